-- Files of servers as Claude Desktop, Cursor, FastMCP (`mcpServers`), VS Code (`servers`) and Zed (`context_servers`)
-- write them: lunette.upstreams, and targets that are *.json. What such a file says of tools becomes rules
-- (tools.lua).
--
-- A wrong value is an error with file and key. An unknown key is a warning with file and line, since other programs
-- may have written it for themselves.
local core = require "lunette.core"
local check = require "lunette.base.check"
local config_tools = require "lunette.config.tools"
local upstreams = require "lunette.config.upstreams"

local M = {}

local function fail(what, format, ...) check.fail("%s: %s", what, format:format(...)) end

-- --- the text ------------------------------------------------------------------------------------

-- Comments and commas before a closing bracket, as VS Code's files may have them, become spaces; strings stay, and
-- so do lines.
local function plain_json(text)
  local out, i, comma = {}, 1, nil
  while i <= #text do
    local c = text:sub(i, i)
    local stop
    if c == '"' then
      stop, comma = i, nil
      repeat
        stop = text:find('["\\]', stop + 1)
        local escape = stop and text:sub(stop, stop) == "\\"
        if escape then stop = stop + 1 end
      until not stop or not escape
      stop = stop or #text
      out[#out + 1] = text:sub(i, stop)
    elseif text:find("^//", i) then
      stop = (text:find("\n", i, true) or #text + 1) - 1
    elseif text:find("^/%*", i) then
      stop = select(2, text:find("*/", i + 2, true)) or #text
      out[#out + 1] = text:sub(i, stop):gsub("[^\n]", "")
    elseif c == "," then
      stop = i
      out[#out + 1] = ","
      comma = #out
    else
      stop = (text:find('[",/]', i + 1) or #text + 1) - 1
      local chunk = text:sub(i, stop)
      if comma and chunk:find "^%s*[%]}]" then out[comma] = " " end
      if chunk:find "%S" then comma = nil end
      out[#out + 1] = chunk
    end
    i = stop + 1
  end
  return table.concat(out)
end

-- A part of the file: its text, and where that begins, so that lines can be told.
local Part = {}
Part.__index = Part

local function part(file, text, offset) return setmetatable({ file = file, text = text, offset = offset }, Part) end

--- FILE:LINE of a byte of the part.
function Part:at(byte)
  local _, lines = self.file.text:sub(1, self.offset + byte - 1):gsub("\n", "")
  return ("%s:%d"):format(self.file.path, lines + 1)
end

--- The members of an object, in the order of the file: { { name =, part =, where = FILE:LINE } … }; of twins the
-- last counts, and knows where the one before it is: `before`.
function Part:members()
  local list, seen = {}, {}
  if self.text:sub(1, 1) ~= "{" then return list end
  for _, span in ipairs(core.spans(self.text)) do
    local member = {
      name = span.name,
      part = part(self.file, self.text:sub(span.at, span.to), self.offset + span.at - 1),
      where = self:at(span.from),
    }
    if seen[span.name] then
      member.before = list[seen[span.name]].where
      list[seen[span.name]] = member
    end
    if not seen[span.name] then
      list[#list + 1] = member
      seen[span.name] = #list
    end
  end
  return list
end

function Part:value() return core.decode(self.text) end

-- --- variables -------------------------------------------------------------------------------------

local function parent(path) return path:match "^(.*)/[^/]*$" or "." end

-- Where the editor's files are in a folder of its own, the one around it.
local function workspace(path)
  local dir = parent(path)
  local name = dir:match "[^/]*$"
  if name == ".vscode" or name == ".cursor" then dir = dir == name and "." or parent(dir) end
  return dir
end

-- VS Code asks the person for an input. Here it comes from the environment, under its name in capitals.
local function input(file, what, key, id)
  for _, one in ipairs(type(file.inputs) == "table" and file.inputs or {}) do
    if type(one) == "table" and one.id == id then
      local variable = id:upper():gsub("[^%w]", "_")
      local value = os.getenv(variable) or (type(one.default) == "string" and one.default or nil)
      if value then return value end
      fail(what, "%s: nobody can be asked for ${input:%s} here; set %s in the environment", key, id, variable)
    end
  end
end

-- ${VAR}, ${VAR:-default}, ${env:VAR}, ${userHome}, ${workspaceFolder} and ${input:ID} in a value of a file.
local function expand(file, what, key, value)
  return (
    value:gsub("%${([^}]*)}", function(inside)
      local name, default = inside:match "^([%a_][%w_]*):%-(.*)$"
      name = name or inside:match "^env:([%a_][%w_]*)$" or inside:match "^([%a_][%w_]*)$"
      if inside == "userHome" then name = "HOME" end
      if inside == "workspaceFolder" then return workspace(file.path) end
      local asked = inside:match "^input:(.+)$"
      asked = asked and input(file, what, key, asked)
      if asked then return asked end
      if not name then fail(what, "%s: ${%s} is nothing that can be expanded here", key, inside) end
      local found = os.getenv(name)
      if default and (found == nil or found == "") then return default end
      if not found then
        fail(what, "%s: the environment has no %s (${%s:-default} does without)", key, name, name)
      end
      return found
    end)
  )
end

local function expand_all(file, what, key, value)
  if type(value) == "string" then return expand(file, what, key, value) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for k, v in pairs(value) do
    local name = type(k) == "number" and ("%s[%d]"):format(key, k) or key .. "." .. tostring(k)
    copy[k] = expand_all(file, what, name, v)
  end
  return copy
end

-- --- a server ----------------------------------------------------------------------------------------

local types = {
  stdio = "stdio",
  http = "http",
  ["streamable-http"] = "http",
  streamableHttp = "http",
  streamable_http = "http",
  sse = "sse",
}

-- By key: how(entry, key, value) fills entry.options. Keys that are for other programs only are ignored.
local keys = {}

local function plain(entry, key, value) entry.options[key] = expand_all(entry.file, entry.what, key, value) end
local function ignored() end

for name in ("args env cwd url headers"):gmatch "%S+" do
  keys[name] = plain
end
for name in ([[disabled enabled description icon name version authentication keep_alive sse_read_timeout trust
  alwaysAllow autoApprove gallery dev source settings tools include_tags exclude_tags includeTools excludeTools
  disabledTools]]):gmatch "%S+" do
  keys[name] = ignored
end

-- Zed may have its arguments and environment in it, too.
function keys.command(entry, key, value)
  if type(value) ~= "table" or value.path == nil then return plain(entry, key, value) end
  plain(entry, key, value.path)
  for _, name in ipairs { "args", "env" } do
    if value[name] ~= nil and value[name] ~= core.null then plain(entry, name, value[name]) end
  end
end

function keys.serverUrl(entry, key, value)
  if type(value) ~= "string" or entry.values.url then return end
  entry.options.url = expand(entry.file, entry.what, key, value)
end

function keys.httpUrl(entry, key, value)
  keys.serverUrl(entry, key, value)
  entry.transport = "http"
end

function keys.type(entry, key, value)
  local transport = types[value]
  if not transport then
    fail(entry.what, "%s must be stdio, http or sse, not %s", key, check.describe(value))
  end
  entry.said, entry.transport = key, transport
end
keys.transport = keys.type

-- Some programs write seconds, some milliseconds: from 10000 on it is taken for milliseconds.
function keys.timeout(entry, _, value)
  if type(value) ~= "number" or value <= 0 then return end
  entry.options.timeout = value >= 10000 and value / 1000 or value
end

-- FastMCP's: a bearer token.
function keys.auth(entry, key, value)
  if type(value) == "string" and value ~= "oauth" then
    entry.bearer = expand(entry.file, entry.what, key, value)
  else
    check.warn(entry.where[key], ("%s: %s is only taken as a text, a bearer token"):format(entry.what, key))
  end
end

-- Lines NAME=value, as shells would read them; what `env` says comes first.
function keys.envFile(entry, key, value)
  if type(value) ~= "string" then fail(entry.what, "%s must be a string, not %s", key, check.describe(value)) end
  local path = upstreams.expand_home(expand(entry.file, entry.what, key, value))
  if path:sub(1, 1) ~= "/" then path = workspace(entry.file.path) .. "/" .. path end
  local file, why = io.open(path, "rb")
  core.note_file(path)
  if not file then fail(entry.what, "%s: %s", key, tostring(why)) end
  entry.from_file = {}
  for line in (file:read "*a" or ""):gmatch "[^\r\n]+" do
    local name, text = line:match "^%s*([%a_][%w_]*)%s*=%s*(.-)%s*$"
    if not name then
      name, text = line:match "^%s*export%s+([%a_][%w_]*)%s*=%s*(.-)%s*$"
    end
    local quoted = name and (text:match '^"(.*)"$' or text:match "^'(.*)'$")
    if name then entry.from_file[name] = quoted or text:gsub("%s+#.*$", "") end
  end
  file:close()
end

-- VS Code and Zed start servers with all of their own environment, the others as the official SDKs do.
local inherit_all = { servers = true, context_servers = true }

local of_programs = { inherit_env = true, max_children = true }

local function finish(entry)
  local options, what = entry.options, entry.what
  if options.command == nil and options.url == nil then fail(what, "has neither command nor url") end
  local transport = entry.transport
  if transport and (transport == "stdio") ~= (options.command ~= nil) then
    local value = check.describe(entry.values[entry.said] or entry.values.httpUrl)
    fail(what, "%s %s goes with %s", entry.said or "httpUrl", value, transport == "stdio" and "command" or "url")
  end
  if transport ~= "stdio" then options.transport = transport end
  if options.command and inherit_all[entry.file.member] then options.inherit_env = true end
  for name, value in pairs(entry.from_file or {}) do
    options.env = options.env or {}
    if type(options.env) == "table" and options.env[name] == nil then options.env[name] = value end
  end
  if entry.bearer and options.url then
    options.headers = options.headers or {}
    options.headers.Authorization = options.headers.Authorization or "Bearer " .. entry.bearer
  end
  -- The policy has the last word: the file is its owner's, but mostly written for other programs.
  for name, value in pairs(entry.file.options) do
    if options.command or not of_programs[name] then options[name] = value end
  end
end

local function read_entry(file, where, member)
  local name, text = member.name, member.part
  local what = ("%s.%s"):format(where, name)
  if member.before then
    check.warn(member.where, ("%s: two servers of this name: the one at %s is passed over"):format(what, member.before))
  end
  local values = text:value()
  if type(values) ~= "table" or text.text:sub(1, 1) ~= "{" then
    fail(what, "must be an object, not %s", check.describe(values))
  end
  if values.disabled == true or values.enabled == false then return end
  if values.source == "extension" or values.settings and not values.command and not values.url then
    return check.warn(text:at(1), what .. ": only Zed can start its extension: passed over")
  end
  local entry = { file = file, what = what, values = values, options = {}, where = {} }
  for _, one in ipairs(text:members()) do
    local key, value = one.name, values[one.name]
    entry.where[key] = one.where
    local how = keys[key]
    if not how then
      check.warn(one.where, ("%s: unknown key %s%s"):format(what, key, check.suggest(key, check.sorted(keys))))
    elseif value ~= core.null then
      how(entry, key, value)
    end
  end
  finish(entry)
  local server = upstreams.declare(what, upstreams.free_name(name), entry.options)
  config_tools.declare(what, server.name, text:members())
  return server
end

-- --- the file ------------------------------------------------------------------------------------------

local function slurp(path)
  local file, why = io.open(path, "rb")
  core.note_file(path)
  if not file then check.fail("%s can't be read: %s", path, (tostring(why):gsub("^.-: ", ""))) end
  local text = file:read "*a"
  file:close()
  if not text then check.fail("%s can't be read: is it a directory?", path) end
  return text
end

-- Where a text stops being JSON, for people; why: what the decoder said of it.
local function malformed(path, text, why)
  local byte = tonumber(why:match "at byte (%d+)")
  if not text:find "%S" then check.fail("%s is empty", path) end
  if not byte then check.fail("%s: %s", path, why) end
  local before = text:sub(1, byte - 1)
  local line, start = 1 + select(2, before:gsub("\n", "")), #(before:match "^.*\n" or "")
  local rest = text:match("^[^\n]*", byte)
  if not rest:find "%S" then rest = text:sub(start + 1, byte - 1) end
  if byte > #text then check.fail("%s:%d: not JSON: the file ends too early", path, line) end
  rest = rest:match "^%s*(.-)%s*$"
  if #rest > 40 then rest = rest:sub(1, 40) .. " …" end
  check.fail("%s:%d: not JSON (a missing comma or quote?) at %s", path, line, rest)
end

-- The member that has the servers: the first that is there.
local function servers_member(path, config)
  for _, name in ipairs { "mcpServers", "servers", "context_servers" } do
    local value = type(config) == "table" and config[name]
    if value ~= nil and value ~= core.null and value ~= false then
      if type(value) == "table" and getmetatable(value) ~= core.array_mt then return name end
      local given = type(value) == "table" and "a list" or check.describe(value)
      check.fail("%s: %s must be an object of servers by name, not %s", path, name, given)
    end
  end
  local names = type(config) == "table" and check.sorted(config) or {}
  local near = check.suggest("mcpServers", names):gsub("mean", "%0 mcpServers instead of")
  check.fail("%s: no mcpServers (or servers) object in it%s", path, near)
end

--- Declares every server of a file, in its order; gives them by the file's names. options: for all of them, checked.
function M.read(path, options)
  local text = plain_json(slurp(path):gsub("^\239\187\191", ""))
  local ok, config = pcall(core.decode, text)
  if not ok then malformed(path, text, (tostring(config):gsub("^.-:%d+: ", ""):gsub("^%?: ", ""))) end
  local member = servers_member(path, config)
  local file = { path = path, text = text, inputs = config.inputs, member = member, options = options or {} }
  local begin = text:find "%S"
  local servers = {}
  for _, top in ipairs(part(file, text:sub(begin), begin - 1):members()) do
    if top.name == member and top.before then
      check.warn(top.where, ("%s: there twice: the one at %s is passed over"):format(member, top.before))
    end
    for _, one in ipairs(top.name == member and top.part:members() or {}) do
      servers[one.name] = read_entry(file, ("%s: %s"):format(path, member), one)
    end
  end
  return servers
end

--- lunette.upstreams(path, options): ~ is the home directory; a relative path is looked for in the policy's folder,
-- then where Lunette was started.
function M.upstreams(path, options)
  check.loading "lunette.upstreams"
  check.text("lunette.upstreams: path", path)
  options = upstreams.options_for_all("lunette.upstreams", options)
  path = upstreams.expand_home(path)
  local dir = core.where():match "^(.*/)[^/]*$"
  if dir and path:sub(1, 1) ~= "/" then
    local found = io.open(dir .. path, "rb")
    if found then
      found:close()
      path = dir .. path
    end
  end
  return M.read(path, options)
end

return M
