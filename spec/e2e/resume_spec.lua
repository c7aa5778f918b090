-- Streams that outlive their connections: what a client missed it gets by GET with Last-Event-ID.
-- Numbers at the front of names are those of the protocol checklist.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

describe("a stream", function()
  local host, up, held

  setup(function()
    up = upstream.new { tools = tools }
    up:on("tools/call", function(req)
      held = req
      req:progress '"progress":1'
    end)
    host = lunette.http { policy = lunette.bare(up) }
  end)
  teardown(lunette.finish)
  before_each(function() held = nil end)

  local function session(version)
    local c = host.client()
    c:initialize { version = version }
    return c
  end

  local function call(id)
    return ('{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"work","_meta":{"progressToken":%s}}}'):format(id, id)
  end

  -- POSTs a call on a connection of its own and reads up to its first progress; returns the connection,
  -- the stream, the id of the last event seen and all events.
  local function begin(c, id)
    local conn = http.connect(host.port)
    conn:send(http.format { method = "POST", path = "/mcp", headers = c:headers "POST", body = call(id) })
    local stream = conn:events(conn:head())
    local events = {}
    repeat
      local event = stream:event()
      events[#events + 1] = event
    until event.data and event.data:find("progress", 1, true)
    return conn, stream, events[#events].id, events
  end

  local function get(c, last)
    local conn = http.connect(host.port)
    local headers = c:headers "GET"
    if last then headers[#headers + 1] = "Last-Event-ID: " .. last end
    conn:send(http.format { method = "GET", path = "/mcp", headers = headers })
    local head = conn:head()
    return head, head.status == 200 and conn:events(head) or nil, conn
  end

  local function data(event) return event and event.data ~= "" and event.data or nil end

  -- The next event with something in it.
  local function message(stream)
    local event
    repeat event = stream:event() until not event or data(event)
    return event
  end

  it("38: is primed from 2025-11-25 on: an id, no data", function()
    local conn, _, _, events = begin(session(), 1)
    assert.truthy(events[1].id)
    assert.equal("", events[1].data)
    held:reply '{"content":[]}'
    conn:close()
  end)

  it("36, 40: goes on where it broke off, with the response, each message once", function()
    local c = session()
    local conn, _, last = begin(c, '"r"')
    conn:close()
    loop.sleep(50)
    held:progress '"progress":2'
    held:progress '"progress":3'
    local _, stream = get(c, last)
    assert.equal(2, json.value(message(stream).data, "params", "progress"))
    assert.equal(3, json.value(message(stream).data, "params", "progress"))
    held:progress '"progress":4'
    assert.equal(4, json.value(message(stream).data, "params", "progress"))
    held:reply '{"content":[],"n":1.0}'
    assert.equal('{"jsonrpc":"2.0","id":"r","result":{"content":[],"n":1.0}}', message(stream).data)
    assert.is_nil(message(stream))
    assert.equal(0, up:count "notifications/cancelled")
  end)

  it("36: keeps a response for a client that was away when it came", function()
    local c = session()
    local conn, _, last = begin(c, 7)
    conn:close()
    loop.sleep(30)
    held:reply '{"content":[]}'
    loop.sleep(50)
    local _, stream = get(c, last)
    assert.equal('{"jsonrpc":"2.0","id":7,"result":{"content":[]}}', message(stream).data)
    assert.is_nil(message(stream))
  end)

  it("37, 40: is known by its ids: two streams of a session are resumed each for itself", function()
    local c = session()
    local conn1, _, last1, events1 = begin(c, 1)
    local first = held
    local conn2, _, last2, events2 = begin(c, 2)
    local second = held
    local seen = {}
    for _, list in ipairs { events1, events2 } do
      for _, event in ipairs(list) do
        if event.id then
          assert.is_nil(seen[event.id])
          seen[event.id] = true
        end
      end
    end
    conn1:close()
    conn2:close()
    loop.sleep(30)
    first:reply '{"content":[],"which":1}'
    second:reply '{"content":[],"which":2}'
    local _, stream2 = get(c, last2)
    assert.equal(2, json.value(message(stream2).data, "result", "which"))
    assert.is_nil(message(stream2))
    local _, stream1 = get(c, last1)
    assert.equal(1, json.value(message(stream1).data, "result", "which"))
    assert.is_nil(message(stream1))
  end)

  it("42: belongs to its session", function()
    local c, other = session(), session()
    local conn, _, last = begin(c, 1)
    conn:close()
    loop.sleep(30)
    held:reply '{"content":[],"secret":true}'
    local head, stream, conn2 = get(other, last)
    if head.status == 200 then
      assert.is_nil(stream:maybe(100))
    else
      assert.is_true(head.status >= 400 and head.status < 500)
    end
    conn2:close()
  end)

  it("41: that came to its end can't be resumed", function()
    local c = session()
    local _, stream, last = begin(c, 1)
    held:reply '{"content":[]}'
    local final = message(stream)
    assert.is_nil(message(stream))
    loop.sleep(30)
    local head, _, conn = get(c, final.id or last)
    assert.equal(405, head.status)
    conn:close()
  end)

  it("33: of a session goes on too, with what came meanwhile", function()
    local c = session()
    up:on("tools/call", function(req) held = req end)
    c:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    local own = held.session
    held:reply '{"content":[]}'
    local _, stream, conn = get(c)
    own:notify("notifications/message", '{"level":"info","data":1}')
    local event = message(stream)
    assert.equal(1, json.value(event.data, "params", "data"))
    conn:close()
    loop.sleep(50)
    own:notify("notifications/message", '{"level":"info","data":2}')
    loop.sleep(30)
    local _, again = get(c, event.id)
    assert.equal(2, json.value(message(again).data, "params", "data"))
    up:on("tools/call", function(req)
      held = req
      req:progress '"progress":1'
    end)
  end)

  it("66: is kept alive while nothing happens, and never buffered on the way", function()
    local c = session()
    local head, _, conn = get(c)
    assert.equal("no", head.headers["x-accel-buffering"])
    conn:close()
  end)
end)
