-- Lunette itself as a spec has it: the real host with a policy, whose servers and clients are played (see
-- src/bind/test_harness.h). Nothing of it runs but while the spec waits for something.
local core = require "lunette.core"
local check = require "lunette.base.check"
local traceback = require "lunette.base.traceback"
local cli = require "lunette.cli.core"
local targets = require "lunette.config.words"
local clients = require "lunette.test.client"
local http = require "lunette.test.http"
local servers = require "lunette.test.server"
local wire = require "lunette.test.wire"

local M = { open = {} }

--- Set by the command: whether what is opened now lasts for the test alone, or for the file.
function M.scope() return "test" end

local known = {
  policy = "string|table",
  text = "string",
  servers = "table",
  http = "function",
  env = "table",
  log_level = "string",
}

-- What of it another policy may have.
local renewed = { policy = known.policy, text = known.text, env = known.env }

local Proxy = {}
Proxy.__index = Proxy

-- --- what a spec means by a policy ---------------------------------------------------------------------

local function is_file(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- In the spec's folder first, then where the command was started.
local function find(path)
  local dir = core.where():match "^(.*/)[^/]*$"
  if path:sub(1, 1) ~= "/" and dir and is_file(dir .. path) then return dir .. path end
  return path
end

local function target(path)
  path = find(path)
  local found, why = targets.target(path)
  if not found then wire.fail("%s", why) end
  if found.kind ~= "lua" and found.kind ~= "json" then wire.fail("%s is no file", path) end
  if not is_file(path) then wire.fail("there is no file %s beside the spec or here", path) end
  return found
end

local function targets_of(options)
  local list = {}
  if options.text then
    list[1] = { kind = "text", text = options.text, args = { "policy", (core.where():gsub(":%d+$", "")) } }
  end
  local files = type(options.policy) == "string" and { options.policy } or options.policy or {}
  for _, path in ipairs(files) do
    table.insert(list, options.text and #list or #list + 1, target(path))
  end
  if #list == 0 then wire.fail "which policy? Give policy = FILE, or text = its text" end
  return list
end

-- --- its environment ---------------------------------------------------------------------------------------

local function setenv(name, value)
  local ffi = require "ffi"
  pcall(ffi.cdef, "int setenv(const char *, const char *, int); int unsetenv(const char *);")
  if value then
    ffi.C.setenv(name, value, 1)
  else
    ffi.C.unsetenv(name)
  end
end

-- fn() with variables set; they are as before when it is done.
local function with_env(env, fn)
  local before = {}
  for name, value in pairs(env) do
    before[name] = os.getenv(name) or false
    setenv(name, value ~= false and tostring(value) or nil)
  end
  local results = { pcall(fn) }
  for name, value in pairs(before) do
    setenv(name, value or nil)
  end
  if not results[1] then error(results[2], 0) end
  return unpack(results, 2)
end

-- --- starting ------------------------------------------------------------------------------------------------

local function load(options, list)
  local app = cli.new { log_level = options.log_level or "warn" }
  local ok, why = app:load(list)
  if ok then return app end
  app:close()
  wire.fail("%s", traceback.of_load(why))
end

-- A policy without servers of its own gets the test's, as it would get a target's.
local function undeclared(app, played)
  local declared, missing = {}, {}
  for _, upstream in ipairs(app:declarations().upstreams) do
    declared[#declared + 1] = upstream.name
    declared[upstream.name] = true
  end
  for _, name in ipairs(check.sorted(played)) do
    if not declared[name] then missing[#missing + 1] = name end
  end
  if #missing > 0 and #declared > 0 then
    table.sort(declared)
    wire.fail("the policy declares no server %s%s", missing[1], check.suggest(missing[1], declared))
  end
  return missing
end

local function declaring(names)
  local lines = { 'local lunette = require "lunette"' }
  for _, name in ipairs(names) do
    lines[#lines + 1] = ("lunette.upstream(%q, { command = %q })"):format(name, name)
  end
  return { kind = "text", text = table.concat(lines, " "), args = { "servers", "" } }
end

local function start(options)
  local list = targets_of(options)
  local app = load(options, list)
  local missing = undeclared(app, options.servers or {})
  if #missing > 0 then
    app:close()
    table.insert(list, 1, declaring(missing))
    app = load(options, list)
  end
  return app, missing
end

-- Makes servers of tables, and has all of them at hand.
local function play(app, played)
  for name, server in pairs(played) do
    if type(server) == "table" and not servers.is(server) then
      server = servers.new(server)
      played[name] = server
    end
    if not servers.is(server) then
      wire.fail("servers.%s must be a test.server or the table for one, not %s", name, check.describe(server))
    end
    app:harness("play", name, server.down)
  end
  for _, upstream in ipairs(app:declarations().upstreams) do
    if not played[upstream.name] then
      app:harness("play", upstream.name, ("the test plays no server %q: name it in servers"):format(upstream.name))
    end
  end
end

--- test.run(options)
function M.run(options)
  wire.check("test.run", options, known)
  local played = {}
  for name, server in pairs(options.servers or {}) do
    played[name] = server
  end
  local app, declared = with_env(options.env or {}, function() return start(options) end)
  local proxy = setmetatable({
    app = app,
    servers = played,
    clients = {},
    sessions = {},
    scope = M.scope(),
    options = options,
    declared = declared, -- servers that the policy doesn't name
    http = options.http,
  }, Proxy)
  M.open[#M.open + 1] = proxy
  play(app, played)
  for _, server in pairs(played) do
    server:forget()
  end
  if options.http then app:harness "divert" end
  return proxy
end

--- Another policy takes over, as when its file was saved: the one given, or the same file again. Raises why the old
-- one stays in force.
function Proxy:reload(options)
  if self.closed then wire.fail "this proxy has been closed" end
  options = options or {}
  wire.check("proxy:reload", options, renewed)
  local given = options.policy or options.text
  local list = targets_of(given and options or self.options)
  if #self.declared > 0 then table.insert(list, 1, declaring(self.declared)) end
  local why = with_env(options.env or self.options.env or {}, function() return select(2, self.app:reload(list)) end)
  if why then wire.fail("%s", traceback.of_load(why)) end
  play(self.app, self.servers)
end

-- --- events ---------------------------------------------------------------------------------------------------

-- By kind of event: what is done with it.
local on = {}

function on.client(proxy, event)
  local client = proxy.clients[event.id]
  if client then client:_take(wire.read(event.text)) end
end

function on.open(proxy, event)
  proxy.sessions[event.id] = proxy.servers[event.text]:_open(proxy, event.id)
end

function on.server(proxy, event)
  local played = proxy.sessions[event.id]
  if played then played:_take(wire.read(event.text)) end
end

function on.http(proxy, event) http.answer(proxy.app, event.id, event.text, proxy.http) end

function on.gone(proxy, event)
  local played = proxy.sessions[event.id]
  if played then played.server:_closed(played) end
  proxy.sessions[event.id] = nil
end

-- Handles the next event; false when there was none in that time.
function Proxy:_step(seconds)
  local event = self.app:harness("wait", seconds)
  if not event then return false end
  on[event.kind](self, event)
  return true
end

--- Goes on until fn gives something true, which it returns; what: what is waited for, in words.
function Proxy:_wait_for(fn, what, seconds)
  if self.closed then wire.fail "this proxy has been closed" end
  local deadline = core.now() + (seconds or wire.PATIENCE)
  while true do
    local value = fn()
    if value then return value end
    local left = deadline - core.now()
    if left <= 0 then wire.fail("%s did not come within %g seconds", what, seconds or wire.PATIENCE) end
    self:_step(math.min(left, 0.1))
  end
end

--- Another client of the same proxy.
function Proxy:client(options) return clients.new(self, options) end

--- Ends it with all its clients.
function Proxy:close()
  if self.closed then return end
  self.closed = true
  for _, played in pairs(self.sessions) do
    played.server:_closed(played)
  end
  self.app:close()
end

--- Closes those of a scope ("test"), or all.
function M.finish(scope)
  local left = {}
  for _, proxy in ipairs(M.open) do
    if scope and proxy.scope ~= scope then
      left[#left + 1] = proxy
    else
      proxy:close()
    end
  end
  M.open = left
end

return M
