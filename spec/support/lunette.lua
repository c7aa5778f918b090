-- The binary under test: started with a policy or a target, spoken to over stdio or HTTP, and
-- watched: at the end of each test it must end by itself, leave no process and no complaint of a
-- sanitizer.
local client = require "spec.support.client"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local uv = loop.uv
local M = {}

M.root = os.getenv "LUNETTE_ROOT" or uv.cwd()
M.binary = os.getenv "LUNETTE_BIN" or (M.root .. "/build/lunette")
if M.binary:sub(1, 1) ~= "/" then M.binary = uv.cwd() .. "/" .. M.binary end

--- True when the binary is built with sanitizers: memory and time tell nothing then.
M.sanitized = M.binary:find "asan" ~= nil

local started = {}

local complaints = { "AddressSanitizer", "LeakSanitizer", "runtime error:", "[Aa]ssertion [^\n]*failed" }

-- The line that holds one. Found first: a pattern that began with the line would be tried from each byte of it.
local function complaint(text)
  for _, words in ipairs(complaints) do
    local from, to = text:find(words)
    if from then return text:sub(1, to):match "[^\n]*$" .. text:match("[^\n]*", to + 1) end
  end
end

-- Ends one that still runs as a supervisor does; it must obey in good time.
local function stop(p)
  if not p.code then
    p:kill "sigterm"
    p:wait_exit(15000)
    if (p.code ~= 0 or p.signal ~= 0) and not p.expect_failure then
      error(("lunette ended with exit %d signal %d after TERM\n%s"):format(p.code, p.signal, p.err:all()), 0)
    end
  elseif p.signal ~= 0 and not p.expect_failure then
    error(("lunette died of signal %d\n%s"):format(p.signal, p.err:all()), 0)
  end
  local bad = complaint(p.err:all())
  if bad then error("a sanitizer complains: " .. bad .. "\n" .. p.err:all(), 0) end
end

--- Starts `lunette args…`; options: env, cwd, detached, descriptors (how many it may have).
function M.spawn(args, options)
  options = options or {}
  local command = M.binary
  if options.descriptors then
    args = { "-c", "ulimit " .. (type(options.descriptors) == "number" and "-n " or "") .. options.descriptors .. ' && exec "$0" "$@"', M.binary, unpack(args) }
    command = "sh"
  end
  local p = process.spawn { command = command, args = args, name = "lunette", env = options.env, cwd = options.cwd,
    detached = options.detached }
  started[#started + 1] = p
  return p
end

--- Runs `lunette args…` to its end: { code, signal, stdout, stderr, ms }.
function M.cli(args, options)
  options = options or {}
  local result = process.run { command = M.binary, args = args, name = "lunette", env = options.env, cwd = options.cwd,
    stdin = options.stdin, timeout = options.timeout }
  local bad = complaint(result.stderr)
  if bad then error("a sanitizer complains: " .. bad .. "\n" .. result.stderr, 2) end
  if result.signal ~= 0 then error("lunette died of signal " .. result.signal .. "\n" .. result.stderr, 2) end
  return result
end

local policies = 0

--- A policy file with that text (after `local lunette = require "lunette"`, on the same line, so
--- that line numbers are those of the text).
function M.policy(text, path)
  policies = policies + 1
  path = path or ("%s/policy%d.lua"):format(loop.tempdir(), policies)
  return loop.write_file(path, 'local lunette = require "lunette"; ' .. text)
end

local lacking = {}

--- Why this binary can't do yet what a piece of policy asks for, by its own words, or nil: specs of what
--- is still to come are pending with that reason, and run by themselves once it is there.
function M.lacks(text)
  if lacking[text] == nil then
    local result = process.run { command = M.binary, args = { "run", M.policy(text) }, name = "lunette" }
    lacking[text] = result.code ~= 0
      and (result.stderr:match "[^\n]*not there yet[^\n]*" or result.stderr:match "[^\n]*by this version[^\n]*"
        or result.stderr:match "[^\n]*lunette has no[^\n]*") or false
  end
  return lacking[text] or nil
end

--- The same for reloading, which only shows when it is asked for.
function M.lacks_reload()
  if lacking.reload == nil then
    local p = M.spawn { "run", M.policy "", "--http", "127.0.0.1:" .. http.free_port() }
    p:wait_stderr "listening"
    p:kill "sighup"
    loop.within(300, function() return p.err:all():find "not there yet" end)
    lacking.reload = p.err:all():match "[^\n]*not there yet[^\n]*" or false
  end
  return lacking.reload or nil
end

--- The text of a bare policy: upstreams and nothing else. Names are up.name or up1, up2…
function M.bare(...)
  local lines = {}
  for i = 1, select("#", ...) do
    local up = select(i, ...)
    lines[i] = ("lunette.upstream(%q, %s)"):format(up.name or "up" .. i, up:lua())
  end
  return table.concat(lines, "\n")
end

local function arguments(options)
  local args = { "run" }
  for _, target in ipairs(options.targets or {}) do args[#args + 1] = target end
  if options.policy then args[#args + 1] = M.policy(options.policy) end
  for _, flag in ipairs(options.flags or {}) do args[#args + 1] = flag end
  return args
end

local function with_command(args, options)
  if options.command then
    args[#args + 1] = "--"
    for _, word in ipairs(options.command) do args[#args + 1] = word end
  end
  return args
end

--- `lunette run` over stdio with options.policy (text), .targets, .flags, .command: a client that
--- is not initialized. Its process is client.process.
function M.stdio(options)
  local p = M.spawn(with_command(arguments(options), options), options)
  return client.stdio(p, options)
end

--- `lunette run --http`: { port, url, process, client(options) }, listening. options.port for a given
--- one.
function M.http(options)
  local port = options.port or http.free_port()
  local args = arguments(options)
  args[#args + 1] = "--http"
  args[#args + 1] = "127.0.0.1:" .. port
  local p = M.spawn(with_command(args, options), options)
  loop.wait(function()
    if p.code then error(("lunette ended with exit %d\n%s"):format(p.code, p.err:all()), 0) end
    return http.accepts(port)
  end, "lunette to listen on port " .. port, 10000)
  return { port = port, url = ("http://127.0.0.1:%d/mcp"):format(port), process = p,
    client = function(fields) return client.http(port, fields) end }
end

--- The ways a message can take: the client's transport, then the server's.
M.ways = { { "stdio", "stdio" }, { "http", "stdio" }, { "http", "http" }, { "stdio", "http" } }

function M.way_name(way)
  return way[1] .. " to " .. way[2]
end

--- A client on a scripted server with nothing in between; LUNETTE_DIRECT makes `between` do this,
--- to tell a spec's mistake from Lunette's.
function M.direct(up)
  if up.url then return client.http(up.server.port) end
  local command = up:command()
  return client.stdio(process.spawn { command = command[1], args = { unpack(command, 2) } })
end

--- Lunette between one client and one scripted server (its options, or one that exists already):
--- returns the client, not initialized, the server, and for HTTP the host. options.policy: text after
--- the upstream's line; options.extra: further fields of the upstream; options.headers: an HTTP client's.
function M.between(way, server, options)
  options = options or {}
  local up = server.on and server or upstream.new(server)
  if way[2] == "http" and not up.url then up:http() end
  if os.getenv "LUNETTE_DIRECT" then return M.direct(up), up end
  local policy = ("lunette.upstream(%q, %s)\n"):format(up.name or "up", up:lua(options.extra)) .. (options.policy or "")
  if way[1] == "stdio" then
    return M.stdio { policy = policy, flags = options.flags, step = options.step, env = options.env }, up
  end
  local host = M.http { policy = policy, flags = options.flags, env = options.env }
  return host.client { step = options.step, headers = options.headers }, up, host
end

--- For after_each (or teardown): ends everything and checks that nothing is left.
function M.finish()
  local first
  for _, p in ipairs(started) do
    local ok, err = pcall(stop, p)
    if not ok then first = first or err end
  end
  started = {}
  local ok, err = pcall(loop.finish)
  if not ok then first = first or err end
  ok, err = pcall(process.assert_none_left)
  if not ok then first = first or err end
  if first then error(first, 0) end
end

return M
