-- The official SDK and the reference servers, as processes: transcripts of the SDK's client with
-- whatever it is pointed at, and their comparison.
local json = require "cjson"

local http = require "spec.support.http"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

local M = {}

local root = os.getenv "LUNETTE_ROOT" or loop.uv.cwd()
local modules = root .. "/spec/node_modules/@modelcontextprotocol"

--- The command line of a reference server ("everything", "filesystem", "memory") over stdio.
function M.command(name, ...)
  return { "node", ("%s/server-%s/dist/index.js"):format(modules, name), ... }
end

--- The fields for lunette.upstream that start it; `extra` is Lua text.
function M.lua(command, extra)
  local args = {}
  for i = 2, #command do args[#args + 1] = ("%q"):format(command[i]) end
  return ("{ command = %q, args = { %s }%s }"):format(command[1], table.concat(args, ", "), extra and ", " .. extra or "")
end

--- What policies for transcripts begin with: on a busy machine node takes its time, and a server that
--- comes late is told to the client otherwise.
M.patience = "lunette.configure { start_timeout = 60 }\n"

-- Node 18, which Debian 12 has, keeps the global that the SDK's HTTP server wants behind an option.
local function node_options()
  local version = process.run { command = "node", args = { "--version" } }.stdout
  return version:match "^v18%." and "--experimental-global-webcrypto" or nil
end

--- server-everything over HTTP ("streamableHttp" or "sse"); returns its port once it listens.
function M.everything_http(transport)
  local port = http.free_port()
  process.spawn { command = "node", args = { modules .. "/server-everything/dist/index.js", transport or "streamableHttp" },
    env = { PORT = port, NODE_OPTIONS = node_options() }, name = "server-everything" }
  loop.wait(function() return http.accepts(port) end, "server-everything to listen", 15000)
  return port
end

--- The transcript of a plan with a target: { url = } or { sse = } or { command = {…} }; options.set (a
--- table), options.bare, options.env. Returns its text, and what the client's transport complained of.
function M.transcript(plan, target, options)
  options = options or {}
  local args = { root .. "/spec/support/peers/transcript.mjs", plan }
  if options.bare then args[#args + 1] = "--bare" end
  for name, value in pairs(options.set or {}) do
    args[#args + 1] = "--set"
    args[#args + 1] = name .. "=" .. value
  end
  for _, kind in ipairs { "url", "sse" } do
    if target[kind] then
      args[#args + 1] = "--" .. kind
      args[#args + 1] = target[kind]
    end
  end
  if target.command then
    args[#args + 1] = "--"
    for _, word in ipairs(target.command) do args[#args + 1] = word end
  end
  local result = process.run { command = "node", args = args, env = options.env, timeout = 60000 * loop.slow,
    name = "the SDK's client" }
  if result.code ~= 0 or result.signal ~= 0 or not result.stdout:find '"steps"' then
    error(("the client failed (exit %d, signal %d):\n%s%s"):format(result.code, result.signal, result.stdout, result.stderr), 2)
  end
  return result.stdout, result.stderr:match "client error: .*" or ""
end

local Survivor = {}
Survivor.__index = Survivor

-- The next line that is wanted; what comes before it is kept for who wants that.
function Survivor:want(what, wanted)
  return loop.wait(function()
    local line = self.process.out:take_until "\n"
    while line do
      table.insert(self.said, json.decode(line))
      line = self.process.out:take_until "\n"
    end
    for i, said in ipairs(self.said) do
      if wanted(said) then return table.remove(self.said, i) end
    end
    if self.process.code then error("the SDK's client ended\n" .. self.process.err:all(), 0) end
  end, what, 30000)
end

--- Waits for a notification of this method ("ready": the handshake is done).
function Survivor:told(method)
  self:want(method, function(said) return said.told == method end)
end

--- Begins a call; the function it returns waits for its text, or nil and the error.
function Survivor:start(tool, arguments)
  self.calls = self.calls + 1
  local id = self.calls
  self.process:write(('{"id":%d,"tool":"%s","arguments":%s}\n'):format(id, tool, arguments or "{}"))
  return function()
    local said = self:want("the outcome of " .. tool, function(said) return said.id == id end)
    return said.text, said.error
  end
end

function Survivor:call(tool, arguments)
  return self:start(tool, arguments)()
end

--- An official client (peers/survive.mjs, or what command says) at a URL, under a name, that is told what to call. Its
--- connection may break and come back.
function M.survivor(url, name, command)
  command = command or { "node", root .. "/spec/support/peers/survive.mjs" }
  local self = setmetatable({ said = {}, calls = 0 }, Survivor)
  self.process = process.spawn { command = command[1], args = { command[2], url, name }, name = "the SDK's client" }
  self:told "ready"
  return self
end

--- What a host is asked for by such clients.
M.survivable = [[
lunette.tools.add { name = "who", inputSchema = { type = "object" }, handler = function(args, ctx)
  return ctx.session.client.name .. (ctx.session.capabilities.sampling and " can sample" or "") end }
lunette.tools.add { name = "sample", inputSchema = { type = "object" }, handler = function(args, ctx)
  return ctx:sample({ messages = lunette.array {}, maxTokens = 1 }).content.text end }
lunette.tools.add { name = "elicit", inputSchema = { type = "object" }, handler = function(args, ctx)
  return ctx:elicit({ message = "?", requestedSchema = { type = "object", properties = { name = { type = "string" } } } }).content.name end }
lunette.tools.add { name = "slow", inputSchema = { type = "object" }, handler = function(args, ctx)
  ctx:progress(1)
  lunette.log.warn "at work"
  lunette.sleep(args.seconds)
  return "done" end }
]]

--- Two of them across restarts in mid-use: `restart(signal)` ends the host and starts it anew.
function M.survive(url, restart, command)
  local a, b = M.survivor(url, "ann", command), M.survivor(url, "bob", command)
  local function all_is_well()
    local calls, expected = {}, {}
    for _, client in ipairs { a, b } do
      local name = client == a and "ann" or "bob"
      for tool, text in pairs { who = name .. " can sample", sample = "sampled by " .. name, elicit = "accepted by " .. name } do
        calls[#calls + 1], expected[#expected + 1] = client:start(tool), text
      end
    end
    for i, wait in ipairs(calls) do
      local text, err = wait()
      assert(text == expected[i], ("%s instead of %s"):format(text or err, expected[i]))
    end
  end
  all_is_well()
  -- Ended in good time: what is under way is answered.
  local slow = a:start("slow", '{"seconds":0.5}')
  restart "sigterm"
  assert(slow() == "done", "a call was lost though there was time")
  all_is_well()
  a:told "notifications/tools/list_changed"
  b:told "notifications/tools/list_changed"
  -- Killed: what was under way is lost, and its client told so.
  slow = b:start("slow", '{"seconds":60}')
  restart "sigkill"
  local text, err = slow()
  assert(not text and err:find("Lunette was restarted meanwhile", 1, true), text or err)
  all_is_well()
  a:told "notifications/tools/list_changed"
  b:told "notifications/tools/list_changed"
end

local function lines(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

--- nil when both are equal and nobody complained, else what differs first, with what stands before it.
function M.difference(direct, through, complaints)
  if complaints and complaints ~= "" then return complaints end
  if direct == through then return nil end
  local a, b = lines(direct), lines(through)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then
      local out = { ("transcripts differ from line %d on; before it:"):format(i) }
      for k = math.max(1, i - 12), i - 1 do out[#out + 1] = "    " .. a[k]:sub(1, 300) end
      -- A long line is shown from a little before the place where it differs.
      local column = 1
      while column <= #(a[i] or "") and (a[i] or ""):byte(column) == (b[i] or ""):byte(column) do column = column + 1 end
      local from = math.max(1, column - 60)
      for k = i, math.min(i + 6, #a) do out[#out + 1] = "  direct:  " .. a[k]:sub(k == i and from or 1):sub(1, 300) end
      for k = i, math.min(i + 6, #b) do out[#out + 1] = "  through: " .. b[k]:sub(k == i and from or 1):sub(1, 300) end
      return table.concat(out, "\n")
    end
  end
end

return M
