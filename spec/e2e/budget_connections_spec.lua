-- When descriptors, or the connections that may be, are used up, whoever has most of them gives way; how Lunette is
-- can always be asked.
local flood = require "spec.support.flood"
local http = require "spec.support.http"
local lunette = require "spec.support.lunette"
local loop = require "spec.support.loop"
local upstream = require "spec.support.upstream"

local TOOLS = '[{"name":"work","inputSchema":{"type":"object"}},{"name":"hang","inputSchema":{"type":"object"}}]'

local function server()
  local up = upstream.new { name = "up", tools = TOOLS }
  up:on("tools/call", function(req)
    if req:value "name" ~= "hang" then req:reply '{"content":[]}' end
  end)
  return up
end

local function start(options, settings)
  options.policy = ("lunette.upstream('up', %s)\nlunette.configure { %s }"):format(server():lua "session = 'shared'", settings or "")
  return lunette.http(options)
end

-- Connections that say something and then nothing more.
local function silent(host, n, said, from)
  local all = {}
  for i = 1, n do
    all[i] = http.connect(host.port, { from = from })
    all[i]:send(said)
  end
  return all
end

local function timed(fn)
  local began = loop.uv.hrtime()
  local result = fn()
  return result, (loop.uv.hrtime() - began) / 1e6
end

local function get(host, path, from)
  return http.request({ port = host.port, path = path, from = from }).status
end

local function honest(host)
  local worst = 0
  for _ = 1, 10 do
    local status, ms = timed(function() return get(host, "/healthz", flood.NEIGHBOUR) end)
    assert.equal(200, status)
    worst = math.max(worst, ms)
  end
  return worst
end

describe("connections", function()
  after_each(lunette.finish)

  it("that say nothing leave descriptors for others", function()
    local host = start { descriptors = 96 }
    local neighbour = host.client { from = flood.NEIGHBOUR }
    neighbour:initialize()
    silent(host, 300, "GET /mcp HTTP/1.1\r\n")
    local worst = math.max(honest(host), flood.longest(neighbour, "work"))
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
    -- Also for who comes from where the flood does.
    local status, ms = timed(function() return get(host, "/healthz") end)
    assert.equal(200, status)
    assert.is_true(ms < flood.PATIENCE, ms .. " ms")
    assert.truthy(host.process.err:all():find("one of 127.0.0.1's is closed", 1, true))
    assert.falsy(host.process.err:all():find("can't accept", 1, true))
    local fresh = host.client { from = "127.0.0.3" }
    fresh:initialize()
  end)

  it("are no more than max_connections, and those of who has most give way", function()
    local host = start({}, "max_connections = 20")
    local neighbour = host.client { from = flood.NEIGHBOUR }
    neighbour:initialize()
    silent(host, 100, "")
    local worst = math.max(honest(host), flood.longest(neighbour, "work"))
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
  end)

  it("that are all busy are broken off for another peer's, not for the same", function()
    local host = start({}, "max_connections = 12")
    local wild = host.client()
    wild:initialize()
    local streams = {}
    for i = 1, 20 do
      streams[i] = http.connect(host.port)
      streams[i]:send(flood.post(('{"jsonrpc":"2.0","id":"h%d","method":"tools/call","params":{"name":"hang"}}'):format(i),
        { "Mcp-Session-Id: " .. wild.session }))
    end
    loop.sleep(200)
    local refused = 0
    for _, conn in ipairs(streams) do
      if conn.bytes.data:find("503 Service Unavailable", 1, true) then
        refused = refused + 1
        assert.truthy(conn.bytes.data:find("Retry-After: ", 1, true))
      end
    end
    assert.is_true(refused >= 8, refused .. " refused")
    assert.equal(200, get(host, "/healthz"))
    assert.equal(503, flood.posts(host.port, 1, flood.initialize())[1].status)
    local neighbour = host.client { from = flood.NEIGHBOUR }
    neighbour:initialize()
    local worst = flood.longest(neighbour, "work")
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
  end)
end)

describe("the limit on descriptors", function()
  after_each(lunette.finish)

  local function limit(pid)
    local f = assert(io.open(("/proc/%d/limits"):format(pid)))
    local soft, hard = f:read("*a"):match "Max open files%s+(%d+)%s+(%d+)"
    f:close()
    return tonumber(soft), tonumber(hard)
  end

  it("is raised to what the system allows, for Lunette and not for its servers", function()
    local up = server()
    local p = lunette.spawn({ "run", lunette.policy(lunette.bare(up)) }, { descriptors = "-S -n 200" })
    local c = require("spec.support.client").stdio(p)
    c:initialize()
    local soft, hard = limit(p.pid)
    assert.equal(math.min(hard, 1048576), soft)
    local children = {}
    for pid in io.popen("pgrep -P " .. p.pid .. " -f child.lua"):lines() do children[#children + 1] = tonumber(pid) end
    assert.equal(1, #children)
    assert.same({ 200, hard }, { limit(children[1]) })
  end)
end)
