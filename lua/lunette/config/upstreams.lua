-- Servers: lunette.upstream. A file of them is file.lua's.
local core = require "lunette.core"
local check = require "lunette.base.check"
local environment = require "lunette.config.environment"
local state = require "lunette.base.state"

local M = {}

local MAX_CHILDREN = 64

local known = {
  command = true,
  args = true,
  env = true,
  cwd = true,
  inherit_env = true,
  url = true,
  headers = true,
  transport = true,
  session = true,
  lists = true,
  prefix = true,
  timeout = true,
  optional = true,
  unlisted = true,
  max_children = true,
  start = true,
  idle_timeout = true,
}

-- Of these, what is of one server only; any other is an option for a whole file of servers, too.
local of_one = { command = true, args = true, env = true, cwd = true, url = true, headers = true, transport = true }

-- Complaints name what (`upstream "files"`, or a file and key) and go through this, so that a file's
-- own can be raised with the file in front.
local function fail(what, format, ...) check.fail("%s: %s", what, format:format(...)) end

local function check_string(what, key, value)
  if type(value) ~= "string" then fail(what, "%s must be a string, not %s", key, check.describe(value)) end
  if value:find "%z" then fail(what, "%s must not contain a NUL", key) end
  return value
end

--- "~" and "~/x" to the home directory.
function M.expand_home(path)
  if path == "~" or path:sub(1, 2) == "~/" then
    local home = os.getenv "HOME"
    if home and home ~= "" then return home .. path:sub(2) end
  end
  return path
end

local function one_of(what, key, value, choices)
  for _, choice in ipairs(choices) do
    if value == choice then return value end
  end
  fail(
    what,
    "%s must be %s, not %s%s",
    key,
    '"' .. table.concat(choices, '" or "') .. '"',
    check.describe(value),
    type(value) == "string" and check.suggest(value, choices) or ""
  )
end

local function check_list(what, key, value)
  if type(value) ~= "table" or (next(value) ~= nil and #value == 0) then
    fail(what, "%s must be a list of strings, not %s", key, check.describe(value))
  end
  local list = {}
  for i, element in ipairs(value) do
    list[i] = check_string(what, ("%s[%d]"):format(key, i), element)
  end
  return list
end

-- { NAME = value } to sorted "NAME<between>value" lines.
local function check_map(what, key, value, pattern, between, forbidden)
  if type(value) ~= "table" then
    fail(what, "%s must be a table of names and values, not %s", key, check.describe(value))
  end
  local list = {}
  for _, name in ipairs(check.sorted(value)) do
    local v = value[name]
    if type(name) ~= "string" or not name:find(pattern) then
      fail(what, "%s: %s is not a possible name", key, check.describe(name))
    end
    if type(v) == "number" or type(v) == "boolean" then v = tostring(v) end
    check_string(what, ("%s.%s"):format(key, name), v)
    if v:find(forbidden) then fail(what, "%s.%s must not contain line breaks or NUL", key, name) end
    list[#list + 1] = name .. between .. v
  end
  return list
end

-- A whole command line where a program's name belongs.
local function warn_of_words(what, command, args)
  local file = io.open(command, "rb")
  if file then return file:close() end
  local words = {}
  for word in command:gmatch "%S+" do
    words[#words + 1] = ("%q"):format(word)
  end
  if type(args) == "table" and args[1] then words[#words + 1] = "…" end
  -- How a shell would take quotes, nobody here knows.
  local rest = command:find "[\"'\\]" and "…" or table.concat(words, ", ", 2)
  local right = ("command = %s"):format(words[1] or '""') .. (rest ~= "" and (", args = { %s }"):format(rest) or "")
  check.warn(check.where(), ("%s: command is a program's name, with no arguments in it: %s"):format(what, right))
end

local function check_process(what, o, u)
  u.transport = "stdio"
  u.command = M.expand_home(check_string(what, "command", o.command))
  if u.command == "" then fail(what, "command must not be empty") end
  if u.command:find "%s" then warn_of_words(what, u.command, o.args) end
  if o.transport ~= nil and o.transport ~= "stdio" then
    fail(what, "transport %s goes with url, not command", check.describe(o.transport))
  end
  if o.headers ~= nil then fail(what, "headers go with url, not command") end
  if o.args ~= nil then u.args = check_list(what, "args", o.args) end
  if o.env ~= nil then u.env = check_map(what, "env", o.env, "^[^=%z]+$", "=", "%z") end
  if o.cwd ~= nil then u.cwd = M.expand_home(check_string(what, "cwd", o.cwd)) end
  u.inherit = environment.inherited(what, o.inherit_env)
end

local function check_remote(what, o, u)
  u.url = check_string(what, "url", o.url)
  if not u.url:find "^[hH][tT][tT][pP][sS]?://[^/%s]+" or u.url:find "[%c%s]" then
    -- Neither credentials nor a query, which may hold a token, get into the log by this.
    local shown = o.url:gsub("//[^/]*@", "//…@"):gsub("%?.*", "?…")
    fail(what, "url must be http://… or https://…, not %s", check.describe(shown))
  end
  local fault = core.url_fault(u.url)
  if fault then fail(what, "url: %s", fault) end
  for _, key in ipairs { "args", "env", "cwd", "inherit_env", "max_children" } do
    if o[key] ~= nil then fail(what, "%s goes with command, not url", key) end
  end
  u.transport = o.transport == nil and "http" or one_of(what, "transport", o.transport, { "http", "sse" })
  if o.headers ~= nil then
    u.headers = check_map(what, "headers", o.headers, "^[%w!#$%%&'*+.^_`|~-]+$", ": ", "[\r\n%z]")
  end
end

local function check_prefix(what, o, u)
  u.prefix_mode = "default"
  if o.prefix == false then
    u.prefix_mode = "never"
  elseif o.prefix ~= nil then
    if type(o.prefix) ~= "string" or not o.prefix:find "^[%w_.-]+$" then
      local given = check.describe(o.prefix)
      fail(what, "prefix must be made of letters, digits, _ . and -, or be false for none; not %s", given)
    end
    u.prefix_mode, u.prefix = "given", o.prefix
  end
end

local function check_seconds(what, key, value)
  if value ~= nil and (type(value) ~= "number" or not (value > 0 and value < 1e8)) then
    fail(what, "%s must be a number of seconds above 0, not %s", key, check.describe(value))
  end
  return value
end

-- What any server may have, however it is reached.
local function check_common(what, o, u)
  u.session = o.session == nil and "client" or one_of(what, "session", o.session, { "client", "shared", "request" })
  u.lists_own = o.lists ~= nil and one_of(what, "lists", o.lists, { "shared", "own" }) == "own"
  if u.lists_own and u.session == "shared" then
    fail(what, 'lists = "own" can\'t be with session = "shared": all clients share one session, and what that lists')
  end
  check_prefix(what, o, u)
  u.timeout = check_seconds(what, "timeout", o.timeout)
  u.idle_timeout = check_seconds(what, "idle_timeout", o.idle_timeout)
  u.eager = o.start ~= nil and one_of(what, "start", o.start, { "first", "eager" }) == "eager"
  local most = o.max_children == nil and MAX_CHILDREN or o.max_children
  if type(most) ~= "number" or not (most >= 1 and most <= 100000) or most % 1 ~= 0 then
    fail(what, "max_children must be a whole number from 1 to 100000, not %s", check.describe(most))
  end
  u.max_children = most
  for _, key in ipairs { "optional", "unlisted" } do
    if o[key] ~= nil and type(o[key]) ~= "boolean" then
      fail(what, "%s must be true or false, not %s", key, check.describe(o[key]))
    end
    u[key] = o[key] or false
  end
end

local upstream_mt = { __name = "upstream" }
local RULES = "; rules choose by server: lunette.%s.hide { upstream = %q }"

-- Set later it would be of no effect.
function upstream_mt.__newindex(u, name)
  fail(("upstream %q"):format(u.name), "%s can't be assigned to: options stand in lunette.upstream", tostring(name))
end

upstream_mt.__index = check.closed("an upstream", {
  --- Ends the server's sessions; the next call opens a new one.
  clear = function(self)
    if getmetatable(self) ~= upstream_mt then check.fail "call it with a colon: upstream:clear()" end
    core.upstream_clear(self.name)
  end,
}, {
  tools = RULES:format("tools", "files"),
  resources = RULES:format("resources", "files"),
  prompts = RULES:format("prompts", "files"),
})
upstream_mt.__tostring = function(self) return "upstream " .. self.name end

--- Declares a server with options that are known ones; what: `upstream "files"`, or a file and key.
function M.declare(what, name, o)
  for _, other in ipairs(state.upstreams) do
    if other.name == name then fail(what, "a server of this name is declared already at %s", other.where) end
  end
  local u = { name = name, where = check.where() }
  if (o.command == nil) == (o.url == nil) then
    fail(what, o.command == nil and "give either command or url" or "give either command or url, not both")
  end
  if o.command ~= nil then
    check_process(what, o, u)
  else
    check_remote(what, o, u)
  end
  check_common(what, o, u)
  if u.command then environment.warn(what, u) end
  state.upstreams[#state.upstreams + 1] = u
  return setmetatable({ name = name }, upstream_mt)
end

--- lunette.upstream(name, options)
function M.upstream(name, options)
  check.loading "lunette.upstream"
  check.type("lunette.upstream: name", name, "string")
  if not name:find "^[%w_.-]+$" then
    check.fail("lunette.upstream: a name is made of letters, digits, _ . and -, not %s", check.describe(name))
  end
  local what = ("upstream %q"):format(name)
  check.type(what .. ": options", options, "table")
  check.options(what, options, known)
  return M.declare(what, name, options)
end

--- Checks options for all servers of a file, and gives them; what: for complaints.
function M.options_for_all(what, options)
  check.type(what .. ": options", options, "table", true)
  options = options or {}
  local names = {}
  for name in pairs(known) do
    names[name] = not of_one[name] or nil
  end
  for _, name in ipairs(check.sorted(options)) do
    if of_one[name] then fail(what, "%s is of one server, not for all of a file: the file has it", name) end
  end
  check.options(what, options, names)
  check_common(what, options, {})
  environment.inherited(what, options.inherit_env)
  return options
end

--- A name made out of free text, not taken yet.
function M.free_name(text)
  local base = text:gsub("[^%w_.-]+", "-"):gsub("^-+", ""):gsub("-+$", "")
  if base == "" then base = "server" end
  local name, n = base, 1
  local taken = true
  while taken do
    taken = false
    for _, other in ipairs(state.upstreams) do
      taken = taken or other.name == name
    end
    if taken then
      n = n + 1
      name = ("%s-%d"):format(base, n)
    end
  end
  return name
end

return M
