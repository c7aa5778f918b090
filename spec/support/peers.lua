-- The official SDK and the reference servers, as processes: transcripts of the SDK's client with
-- whatever it is pointed at, and their comparison.
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
