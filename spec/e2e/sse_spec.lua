-- HTTP+SSE, the transport of 2024-11-05: for clients that know nothing newer, and servers.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"echo","inputSchema":{"type":"object"}}]'
local init = '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},'
  .. '"clientInfo":{"name":"s","version":"1"}}}'

describe("HTTP+SSE", function()
  local host, up

  setup(function()
    up = upstream.new { tools = tools }
    up:on("tools/call", function(req)
      req:notify("notifications/message", '{"level":"info","data":"on the way"}')
      req:reply('{"content":[],"got":' .. req.params .. "}")
    end)
    host = lunette.http { policy = lunette.bare(up) }
  end)
  teardown(lunette.finish)

  local function open()
    local conn = http.connect(host.port)
    conn:send(http.format { method = "GET", path = "/sse", headers = { "Host: 127.0.0.1:" .. host.port, "Accept: text/event-stream" } })
    local stream = conn:events(conn:head())
    local event = stream:event()
    assert.equal("endpoint", event.event)
    return stream, event.data, conn
  end

  local function post(path, body, headers)
    return http.request { port = host.port, method = "POST", path = path, body = body,
      headers = headers or { "Host: 127.0.0.1:" .. host.port, "Content-Type: application/json" } }
  end

  local function message(stream)
    local event = stream:event()
    assert.equal("message", event.event)
    return event.data
  end

  it("names its endpoint first: a relative URL of the same origin, of this session alone", function()
    local _, one = open()
    local _, two = open()
    assert.truthy(one:match "^/messages%?[^%s]+$")
    assert.not_equal(one, two)
  end)

  it("carries a session: every POST is 202, every message an event", function()
    local stream, endpoint = open()
    local response = post(endpoint, init)
    assert.equal(202, response.status)
    assert.equal("2024-11-05", json.value(message(stream), "result", "protocolVersion"))
    assert.equal(202, post(endpoint, '{"jsonrpc":"2.0","method":"notifications/initialized"}').status)
    assert.equal(202, post(endpoint, '{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo","n": 1.0}}').status)
    assert.equal('{"level":"info","data":"on the way"}', json.at(message(stream), "params"))
    assert.equal('{"jsonrpc":"2.0","id":"a","result":{"content":[],"got":{"name":"echo","n": 1.0}}}', message(stream))
  end)

  it("answers what is no message with 400, and knows no session but its own", function()
    local _, endpoint = open()
    assert.equal(400, post(endpoint, "{nonsense").status)
    assert.equal(404, post((endpoint:gsub("=.*$", "=nonsense")), init).status)
    local without = post("/messages", init).status
    assert.is_true(without == 400 or without == 404)
  end)

  it("ends a session with its stream, and the server's with it", function()
    local stream, endpoint, conn = open()
    post(endpoint, init)
    message(stream)
    post(endpoint, '{"jsonrpc":"2.0","method":"notifications/initialized"}')
    post(endpoint, '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}')
    message(stream)
    message(stream)
    local own = up.sessions[#up.sessions]
    conn:close()
    loop.wait(function() return own.gone end, "the server's end")
    assert.equal(404, post(endpoint, init).status)
  end)

  it("32: guards Origin and Host as the newer transport does", function()
    local _, endpoint = open()
    local plain = { "Host: 127.0.0.1:" .. host.port, "Content-Type: application/json", "Origin: http://evil.example" }
    assert.equal(403, post(endpoint, init, plain).status)
    assert.equal(403, post(endpoint, init, { "Host: evil.example", "Content-Type: application/json" }).status)
    local response = http.request { port = host.port, method = "GET", path = "/sse",
      headers = { "Host: evil.example", "Accept: text/event-stream" } }
    assert.equal(403, response.status)
  end)

  it("does not let a session of one transport be used by the other", function()
    local _, endpoint = open()
    local id = endpoint:match "=(.*)$"
    local response = post("/mcp", '{"jsonrpc":"2.0","id":1,"method":"ping"}', { "Host: 127.0.0.1:" .. host.port, "Content-Type: application/json",
      "Accept: application/json, text/event-stream", "Mcp-Session-Id: " .. id })
    assert.equal(404, response.status)
    local client = host.client()
    client:initialize()
    assert.equal(404, post((endpoint:gsub("=.*$", function() return "=" .. client.session end)), init).status)
  end)
end)
