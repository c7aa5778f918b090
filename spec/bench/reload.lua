-- How long from a saved policy to the new rules in force, as a client sees it: from the rename that puts the
-- file in its place to list_changed, with many tools and a rule of each kind. Prints the median, the least and
-- the most of the rounds; the settling that watching waits for (net/watch.c) is part of it. On a busy machine
-- the CPU time that Lunette took a round, the list's own request included, says more.
--
--     LUNETTE_BIN=build/lunette luajit spec/bench/reload.lua [TOOLS] [ROUNDS]
package.path = "./?.lua;" .. package.path

local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local n_tools, rounds = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 30

local tools = {}
for i = 1, n_tools do
  tools[i] = ('{"name":"tool_%d","description":"Does the thing numbered %d","inputSchema":{"type":"object","properties":'
    .. '{"path":{"type":"string","description":"where"},"limit":{"type":"integer"}},"required":["path"]}}'):format(i, i)
end
local up = upstream.new { name = "up", tools = "[" .. table.concat(tools, ",") .. "]" }

local function text(i, decides)
  return ('local lunette = require "lunette"; %s\nlunette.tools.hide "tool_99*"\n'
    .. "lunette.tools.rename { tool_1 = 'first%d' }\n%s"):format(lunette.bare(up), i,
    decides and "lunette.tools.filter(function(tool) return tool.name ~= 'tool_77' end)" or "")
end

-- Milliseconds of CPU time that a process has taken.
local function cpu_ms(pid)
  local fields = {}
  for field in loop.read_file(("/proc/%d/stat"):format(pid)):match("%) (.*)"):gmatch "%S+" do fields[#fields + 1] = field end
  return (tonumber(fields[12]) + tonumber(fields[13])) * 10 -- ticks of 1/100 s
end

for _, decides in ipairs { false, true } do
  local path = loop.write_file(loop.tempdir() .. "/policy.lua", text(0, decides))
  local host = lunette.http { targets = { path } }
  local client = host.client()
  client:initialize()
  client:listen()
  client:result("tools/list", "{}")
  local times, cpu = {}, cpu_ms(host.process.pid)
  for i = 1, rounds do
    loop.write_file(path .. ".new", text(i, decides))
    local began = loop.uv.hrtime()
    assert(loop.uv.fs_rename(path .. ".new", path))
    client:expect "notifications/tools/list_changed"
    times[i] = (loop.uv.hrtime() - began) / 1e6
    local names = json.names(json.at(client:result("tools/list", "{}"), "tools"))
    assert(names[1] == "first" .. i, "another policy is in force")
  end
  table.sort(times)
  print(("%d tools, %s: median %.1f ms, %.1f to %.1f; %.1f ms of CPU time"):format(n_tools,
    decides and "and a filter that looks at each" or "rules by name",
    times[math.ceil(rounds / 2)], times[1], times[rounds], (cpu_ms(host.process.pid) - cpu) / rounds))
  client:close()
end
lunette.finish()
-- luv's handles may not be collected after its loop: leave without closing the Lua state.
io.stdout:flush()
os.exit(0)
