-- A server that ends streams on purpose and would rather be asked again (Streamable HTTP, "Resumability and
-- Redelivery"). Numbers at the front of names are those of the protocol checklist.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

describe("a server that would rather be asked again", function()
  after_each(lunette.finish)

  -- Its calls: a stream that is primed, ended, and goes on by GET as `again` says.
  local function polled(version, again, policy)
    local up = upstream.new({ tools = tools }):http()
    local polls = {}
    up.on_request = function(request, conn)
      local id = request.body:match '"method":"tools/call"' and json.at(request.body, "id")
      if id then
        up.id = id
        conn:send(upstream.sse_head:format "")
        upstream.chunk(conn, "id: e1\ndata: \n\n")
        upstream.chunk(conn, "retry: 40\n\n")
        conn:send "0\r\n\r\n"
        return true
      elseif request.method == "GET" and request.headers["last-event-id"] then
        polls[#polls + 1] = request.headers["last-event-id"]
        again(up, conn, #polls)
        return true
      end
    end
    local client = lunette.between({ "http", "http" }, up, { policy = policy })
    client:initialize { version = version }
    return client, polls
  end

  local function answer(up, conn)
    conn:send(upstream.sse_head:format "")
    upstream.chunk(conn, ('id: e9\ndata: {"jsonrpc":"2.0","id":%s,"result":{"content":[]}}\n\n'):format(up.id))
    conn:send "0\r\n\r\n"
  end

  local function post(client)
    local conn = http.connect(client.port)
    conn:send(http.format { method = "POST", path = "/mcp", headers = client:headers "POST",
      body = '{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{"name":"work"}}' })
    return conn
  end

  local function get(client, id)
    local conn = http.connect(client.port)
    local headers = client:headers "GET"
    headers[#headers + 1] = "Last-Event-ID: " .. id
    conn:send(http.format { method = "GET", path = "/mcp", headers = headers })
    local head = conn:head()
    assert.equal(200, head.status)
    return conn:events(head)
  end

  local hooked = 'lunette.on("tools/call", function(request, forward) return forward(request) end)'
  for name, policy in pairs { ["through nothing"] = "", ["through a handler"] = hooked } do
    it("39: lets the client go too, with the same time to wait, " .. name, function()
      local client, polls = polled(nil, function(up, conn, n)
        if n == 1 then
          conn:send(upstream.sse_head:format "")
          upstream.chunk(conn, "id: e2\nretry: 60\ndata: \n\n")
          conn:send "0\r\n\r\n"
        else
          loop.after(100, function() answer(up, conn) end)
        end
      end, policy)
      local conn = post(client)
      local stream = conn:events(conn:head())
      local prime, retry = stream:event(), stream:event()
      assert.equal("", prime.data)
      assert.equal("40", retry.retry)
      assert.is_nil(retry.data)
      assert.is_nil(stream:event())
      assert.is_true(stream.complete())
      -- Whether it comes back before the server has more to say, or after.
      local again = get(client, prime.id)
      local word = again:event()
      if word then assert.equal("60", word.retry) end
      assert.is_nil(again:event())
      local last = get(client, prime.id):event()
      assert.equal('{"jsonrpc":"2.0","id":"q","result":{"content":[]}}', last.data)
      assert.same({ "e1", "e2" }, polls)
    end)
  end

  it("39: is asked again while an older client goes on waiting", function()
    local client, polls = polled("2025-06-18", answer)
    local response = post(client):response()
    assert.equal('{"jsonrpc":"2.0","id":"q","result":{"content":[]}}', response.body)
    assert.same({ "e1" }, polls)
  end)

  it("39: has its answer kept when the client takes its time", function()
    local client = polled(nil, answer)
    local conn = post(client)
    local stream = conn:events(conn:head())
    local prime = stream:event()
    loop.sleep(200)
    local again = get(client, prime.id)
    assert.equal('{"jsonrpc":"2.0","id":"q","result":{"content":[]}}', again:event().data)
    assert.is_nil(again:event())
  end)

  -- It had begun with the call: done again, it could be done twice.
  it("and has forgotten the session by then is not given the call once more", function()
    local server
    local client, polls = polled("2025-06-18", function(up, conn)
      server = up
      up:forget()
      upstream.plain(conn, "404 Not Found", "")
    end)
    local body = post(client):response().body
    assert.equal("-32603", json.at(body, "error", "code"))
    assert.truthy(json.value(body, "error", "message"):find("knows this session no more", 1, true), body)
    assert.same({ "e1" }, polls)
    local calls = 0
    for _, request in ipairs(server.requests) do
      if request.body:find('"tools/call"', 1, true) then calls = calls + 1 end
    end
    assert.equal(1, calls)
  end)
end)
