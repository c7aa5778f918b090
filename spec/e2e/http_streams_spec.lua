-- Streams of Streamable HTTP as the specification's transport chapter has them: the one of a session, and the one of
-- each POST. Numbers at the front of names are those of the protocol checklist.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"echo","inputSchema":{"type":"object"}}]'

describe("Streamable HTTP", function()
  local host, up

  setup(function()
    up = upstream.new { tools = tools }
    up:on("tools/call", function(req) up.call(req) end)
    host = lunette.http { policy = lunette.bare(up) }
  end)
  teardown(lunette.finish)
  before_each(function() up.call = function(req) req:reply '{"content":[]}' end end)

  -- A client that is through the handshake.
  local function session(options)
    local c = host.client()
    c:initialize(options)
    return c
  end

  -- One request with exactly the headers given (lines), body optional.
  local function send(method, headers, body, path)
    local lines = { "Host: 127.0.0.1:" .. host.port }
    for _, line in ipairs(headers) do lines[#lines + 1] = line end
    return http.request { port = host.port, method = method, path = path or "/mcp", headers = lines, body = body }
  end

  local function of(c) return "Mcp-Session-Id: " .. c.session end

  describe("GET", function()
    it("24: needs text/event-stream in Accept", function()
      local c = session()
      assert.equal(406, send("GET", { "Accept: application/json", of(c) }).status)
    end)

    it("27: needs its session", function()
      assert.equal(400, send("GET", { "Accept: text/event-stream" }).status)
      assert.equal(404, send("GET", { "Accept: text/event-stream", "Mcp-Session-Id: nonsense" }).status)
    end)

    it("33: is one a session; a second gets 409, after the first ended it is free again", function()
      local c = session()
      local head = c:listen()
      assert.equal(200, head.status)
      assert.equal("text/event-stream", head.headers["content-type"]:match "^[^;]*")
      assert.truthy(head.headers["cache-control"]:find "no%-cache" or head.headers["cache-control"]:find "no%-store")
      assert.equal(409, send("GET", { "Accept: text/event-stream", of(c) }).status)
      c.get:close()
      local again = loop.wait(function()
        local conn = http.connect(host.port)
        conn:send(http.format { method = "GET", path = "/mcp", headers = c:headers "GET" })
        local second = conn:head()
        if second.status == 200 then return second end
        conn:close()
      end, "a free GET stream")
      assert.equal(200, again.status)
      assert.equal(200, session():listen().status)
    end)

    it("carries what belongs to no request", function()
      local c = session()
      c:listen()
      local own
      up.call = function(req)
        own = req.session
        req:reply '{"content":[]}'
      end
      c:request("tools/call", '{"name":"echo"}')
      own:notify("notifications/message", '{"level":"info","data":"one"}')
      assert.equal('{"level":"info","data":"one"}', c:expect("notifications/message").params)
      assert.is_nil(c:maybe("notifications/message", 50))
    end)

    it("37, 4: ids of events are unique in a session, and no message says id null", function()
      local c = session()
      c:listen()
      up.call = function(req)
        for i = 1, 3 do req:progress('"progress":' .. i) end
        req:reply '{"content":[]}'
      end
      for i = 1, 3 do c:request("tools/call", '{"name":"echo","_meta":{"progressToken":' .. i .. "}}") end
      local seen = {}
      for _, call in pairs(c.calls) do
        for _, event in ipairs(call.events or {}) do
          if event.id then
            assert.is_nil(seen[event.id])
            seen[event.id] = true
          end
          assert.is_nil((event.data or ""):find('"id":null', 1, true))
        end
      end
    end)
  end)

  it("35: puts what a call causes on its own stream and closes it with the response", function()
    local c = session { capabilities = '{"sampling":{}}' }
    c:listen()
    up.call = function(req)
      req:progress '"progress":1'
      req:progress '"progress":2'
      req:reply '{"content":[]}'
    end
    local call = c:start("tools/call", '{"name":"echo","_meta":{"progressToken":"t"}}', '"s"')
    call:wait()
    loop.wait(function() return call.finished end, "the end of the stream")
    assert.is_true(call.sse)
    assert.equal("no", (call.head.headers["x-accel-buffering"] or "no"))
    local kinds = {}
    for _, event in ipairs(call.events) do
      if event.data and event.data ~= "" then
        assert.truthy(event.event == nil or event.event == "message")
        kinds[#kinds + 1] = json.value(event.data, "method") or "response"
      end
    end
    assert.same({ "notifications/progress", "notifications/progress", "response" }, kinds)
    assert.equal(call.id, c:expect("notifications/progress").stream)
  end)

  it("38: primes a stream only from 2025-11-25 on", function()
    up.call = function(req)
      req:progress '"progress":1'
      req:reply '{"content":[]}'
    end
    for _, version in ipairs { "2025-03-26", "2025-06-18" } do
      local c = session { version = version }
      local call = c:start("tools/call", '{"name":"echo","_meta":{"progressToken":"t"}}')
      call:wait()
      for _, event in ipairs(call.events or {}) do assert.not_equal("", event.data) end
    end
  end)

  it("42: a response from another session answers nothing", function()
    local answers = {}
    up.call = function(req)
      req:ask("roots/list", nil, function(answer)
        answers[#answers + 1] = answer.result
        req:reply '{"content":[]}'
      end)
    end
    local a, b = session { capabilities = '{"roots":{}}' }, session { capabilities = '{"roots":{}}' }
    local call = a:start("tools/call", '{"name":"echo"}')
    local question = a:expect "roots/list"
    b:send('{"jsonrpc":"2.0","id":' .. question.id .. ',"result":{"roots":[{"uri":"file:///b"}]}}')
    assert.is_nil(call:done(100))
    a:answer(question, '{"roots":[{"uri":"file:///a"}]}')
    call:wait()
    assert.same({ '{"roots":[{"uri":"file:///a"}]}' }, answers)
  end)

end)
