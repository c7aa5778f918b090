-- Streamable HTTP towards servers, as the specification's transport chapter has it: what they are sent, what is kept
-- from them and what of them. Numbers at the front of names are those of the protocol checklist.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"echo","inputSchema":{"type":"object"}}]'

describe("Streamable HTTP upstream", function()
  after_each(lunette.finish)

  it("sends what the specification asks of a client", function()
    local client, up = lunette.between({ "http", "http" }, { tools = tools, version = "2025-06-18" })
    client:initialize()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    client:request("tools/call", '{"name":"echo"}')
    local posts, initialized = 0, nil
    for _, request in ipairs(up.requests) do
      if request.method == "POST" then
        posts = posts + 1
        assert.truthy(request.headers.accept:find "application/json" and request.headers.accept:find "text/event%-stream")
        assert.equal("application/json", request.headers["content-type"]:match "^[^;]*")
        assert.equal("127.0.0.1:" .. up.server.port, request.headers.host)
        if json.value(request.body, "method") == "tools/call" then
          assert.equal(up.sessions[1].id, request.headers["mcp-session-id"])
          assert.equal("2025-06-18", request.headers["mcp-protocol-version"])
          initialized = true
        end
      end
    end
    assert.is_true(initialized)
    assert.equal("2025-11-25", client.version, "each hop negotiates for itself")
  end)

  it("74: tells the client nothing of the server's session, cookies or challenges", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function(req)
      req.via.session_header = "Set-Cookie: a=b\r\nWWW-Authenticate: Bearer\r\nX-Upstream: 1\r\n"
      req:reply '{"content":[]}'
    end)
    local client = lunette.between({ "http", "http" }, up)
    client:initialize()
    assert.not_equal(up.sessions[1].id, client.session)
    local response = client:post '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'
    assert.equal(200, response.status)
    for _, name in ipairs { "set-cookie", "www-authenticate", "x-upstream" } do assert.is_nil(response.headers[name]) end
  end)

  it("76: tells the server nothing of the client's credentials, cookies or connection", function()
    local client, up = lunette.between({ "http", "http" }, { tools = tools })
    client.extra = { "Authorization: Bearer secret-of-the-client", "Cookie: c=1", "Connection: keep-alive, X-Hop", "X-Hop: 1" }
    client:initialize()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    client:request("tools/call", '{"name":"echo"}')
    for _, request in ipairs(up.requests) do
      assert.is_nil(request.raw:find("secret-of-the-client", 1, true))
      assert.is_nil(request.headers.cookie)
      assert.is_nil(request.headers["x-hop"])
    end
  end)

  it("73: tells of a broken server in the message, not by a status of its own", function()
    local client, up = lunette.between({ "http", "http" }, { tools = tools })
    client:initialize()
    local ways = {
      function(req) upstream.plain(req.via.conn, "500 Internal Server Error", "oops") end,
      function(req) upstream.plain(req.via.conn, "502 Bad Gateway") end,
      function(req) upstream.plain(req.via.conn, "429 Too Many Requests", "{}", "Retry-After: 1\r\n") end,
      function(req) upstream.plain(req.via.conn, "200 OK", "this is not JSON") end,
      function(req) req.via.conn:close() end,
      function(req) req.via.conn:send "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{" req.via.conn:close() end,
      function(req) req.via.conn:send "not http at all\r\n\r\n" req.via.conn:close() end,
    }
    for i, way in ipairs(ways) do
      up:on("tools/call", function(req)
        req.via.finished = true
        way(req)
      end)
      local response = client:post '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'
      assert.equal(200, response.status, "way " .. i)
      local raw = response.body:match "data: (%b{})" or response.body
      local err = json.value(raw, "error")
      assert.equal(-32603, err.code, "way " .. i)
      assert.truthy(#err.message > 10, "an error says what happened")
    end
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"echo"}'))
  end)

  it("renews a session that the server has forgotten, and sends the call again", function()
    local client, up = lunette.between({ "http", "http" }, { tools = tools })
    client:initialize()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    client:request("tools/call", '{"name":"echo"}')
    up:forget()
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"echo"}'))
    assert.equal(2, up:count "initialize")
    assert.equal(2, up:count "tools/call")
  end)

  it("works with a server that has neither sessions nor a GET stream", function()
    local client, up = lunette.between({ "stdio", "http" }, { tools = tools, session = false, no_get = true })
    client:initialize()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"echo"}'))
    for _, request in ipairs(up.requests) do assert.is_nil(request.headers["mcp-session-id"]) end
  end)

  it("ends its session upstream when the client ends its own", function()
    local client, up = lunette.between({ "http", "http" }, { tools = tools })
    client:initialize()
    client:request("tools/list", "{}")
    client:close()
    loop.wait(function() return up.sessions[1].deleted end, "DELETE at the server")
  end)
end)
