-- How many children run has a limit, of one server and in all: who has most of them gives way, and nobody else.
local flood = require "spec.support.flood"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local loop = require "spec.support.loop"
local upstream = require "spec.support.upstream"

local TOOLS = '[{"name":"work","inputSchema":{"type":"object"}},{"name":"hang","inputSchema":{"type":"object"}}]'

local function server(name)
  local up = upstream.new { name = name, tools = TOOLS }
  up:on("tools/call", function(req)
    if req:value "name" ~= "hang" then req:reply '{"content":[]}' end
  end)
  return up
end

local function start(options, settings, ...)
  local up, more = server "up", {}
  for i, name in ipairs { ... } do more[i] = ("lunette.upstream('%s', %s)\n"):format(name, server(name):lua()) end
  local host = lunette.http { policy = ("lunette.upstream('up', %s)\n%slunette.configure { %s }"):format(up:lua(options),
    table.concat(more), settings or "") }
  return host, up
end

-- Its own capabilities, as if each client were another program: none gets a list that another's server gave.
local n = 0
local function client(host, from)
  n = n + 1
  local c = host.client { from = from }
  c:initialize { capabilities = ('{"experimental":{"n%d":{}}}'):format(n) }
  return c
end

local function children(host)
  local count = 0
  for pid in io.popen("pgrep -P " .. host.process.pid):lines() do
    local f = io.open("/proc/" .. pid .. "/cmdline")
    if f then
      if f:read("*a"):find("child.lua", 1, true) then count = count + 1 end
      f:close()
    end
  end
  return count
end

local function call(c, name)
  local reply = c:request("tools/call", ('{"name":"%s"}'):format(name or "work"))
  return json.value(reply, "error", "code"), json.value(reply, "error", "message")
end

describe("children", function()
  after_each(lunette.finish)

  it("of one server are no more than its max_children, whoever asks", function()
    local host = start "max_children = 3"
    local refused, served = 0, 0
    for _ = 1, 12 do
      local ok, err = pcall(client, host)
      if ok then
        served = served + 1
      else
        refused = refused + 1
        assert.truthy(tostring(err):find "%-32603.*max_children of this server = 3", err)
      end
    end
    assert.same({ 3, 9 }, { served, refused })
    assert.equal(3, children(host))
  end)

  it("of all servers are no more than max_children", function()
    local host = start("", "max_children = 3", "other")
    local one, two = client(host), client(host)
    assert.equal(3, children(host))
    assert.is_nil((call(one, "up_work")))
    local code, text = call(two, "other_work")
    if code == nil then code, text = call(two, "up_work") end
    assert.equal(-32603, code)
    assert.truthy(text:find("max_children = 3", 1, true), text)
    assert.truthy(host.process.err:all():find "refused a client: as many children run as may %(max_children = 3%)")
  end)

  it("end for another peer's, of who has most of them: first of sessions that have asked nothing", function()
    local host = start "max_children = 4"
    local old, recent, unused, hanging = client(host), client(host), client(host), client(host)
    hanging:start("tools/call", '{"name":"hang"}')
    call(old)
    call(recent)
    local neighbour = client(host, flood.NEIGHBOUR)
    assert.is_nil((call(neighbour)))
    -- Who has asked nothing has lost its child, and its session has not: it gets none now, with a word that says why.
    assert.equal(-32603, (call(unused)))
    assert.is_nil((call(recent)))
    local second = client(host, flood.NEIGHBOUR)
    assert.is_nil((call(second)))
    assert.is_nil((call(recent)))
    assert.equal(-32603, (call(old)))
    assert.truthy(host.process.err:all():find("ending a child of 127.0.0.1, whose session has asked nothing, to make room", 1, true))
    assert.truthy(host.process.err:all():find("ending a child of 127.0.0.1, whose session is the longest unused, to make room", 1, true))
    -- Two and two now: nobody gets another's to have more than it.
    assert.is_false((pcall(client, host, flood.NEIGHBOUR)))
    assert.is_true(children(host) <= 6)
  end)

  it("that are all busy end for another peer's as well, and who used them hears so", function()
    local host = start "max_children = 2"
    local calls = {}
    for i = 1, 2 do calls[i] = client(host):start("tools/call", '{"name":"hang"}') end
    loop.sleep(50)
    local began = loop.uv.hrtime()
    local neighbour = client(host, flood.NEIGHBOUR)
    assert.is_nil((call(neighbour)))
    local ms = (loop.uv.hrtime() - began) / 1e6
    assert.is_true(ms < 4 * flood.PATIENCE, ms .. " ms") -- a child starts meanwhile
    local reply = calls[1]:wait()
    assert.equal(-32603, json.value(reply, "error", "code"))
    assert.truthy(json.value(reply, "error", "message"):find("max_children", 1, true), reply)
    assert.is_falsy(calls[2]:done(50))
  end)

  it("are free again once they have ended", function()
    local host = start "max_children = 2, session = 'request'"
    local c = client(host)
    for _ = 1, 4 do
      assert.truthy(loop.within(10000, function() return call(c) == nil end))
    end
    assert.truthy(loop.within(3000, function() return children(host) == 1 end))
  end)

  it("need a number", function()
    for _, value in ipairs { "0", "1.5", "'x'" } do
      local result = lunette.cli { "check", lunette.policy("lunette.upstream('up', { command = 'true', max_children = " .. value .. " })") }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find('upstream "up": max_children must be a whole number', 1, true), result.stderr)
    end
  end)
end)
