-- No way past a policy. A proxy that forwards bytes must refuse whatever it and the server could
-- read in two ways; each of these is refused with -32600 and logged, and the server gets none of it.
-- Numbers at the front of names are those of the protocol checklist.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"echo","inputSchema":{"type":"object"}},{"name":"secret","inputSchema":{"type":"object"}}]'
local resources = '[{"uri":"file:///srv/open.txt","name":"open"},{"uri":"file:///srv/secret/a.txt","name":"hidden"}]'
local policy = [[
lunette.tools.hide("secret")
lunette.resources.hide("file:///srv/secret/*")
]]

-- What is sent must be refused and must not reach the server; the session goes on.
local refused = {
  { "78: a member twice", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"secret"}}' },
  { "78: a member twice, once escaped", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","\\u006eame":"secret"}}' },
  { "78: the method twice", '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"secret"}}' },
  { "78: the params twice", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"params":{"name":"secret"}}' },
  { "78: the params twice, once escaped",
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"par\\u0061ms":{"name":"secret"}}' },
  { "78: the id twice", '{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"echo"}}' },
  { "78: an argument twice", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"p":1,"p":2}}}' },
  { "78: deep inside", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"l":[{"x":{"\\u0061":1,"a":2}}]}}}' },
  { "78: in _meta", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"k":1,"k":2}}}' },
  { "78: the empty name twice", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"":1,"":2}}}' },
  { "79: a case twin of name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"secret"}}' },
  { "79: NAME instead of name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"secret"}}' },
  { "79: an escaped case twin", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","\\u004eame":"secret"}}' },
  { "79: Params", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"Params":{"name":"secret"}}' },
  { "79: PARAMS instead of params", '{"jsonrpc":"2.0","id":1,"method":"tools/call","PARAMS":{"name":"secret"}}' },
  { "79: METHOD", '{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call","params":{"name":"secret"}}' },
  { "79: Arguments", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"Arguments":{"x":1}}}' },
  { "79: Uri", '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///srv/open.txt","Uri":"file:///srv/secret/a.txt"}}' },
  { "79: ID", '{"jsonrpc":"2.0","id":1,"ID":2,"method":"tools/call","params":{"name":"echo"}}' },
  { "79: a method in another case", '{"jsonrpc":"2.0","id":1,"method":"TOOLS/CALL","params":{"name":"secret"}}' },
  { "79: a method in another case, one letter", '{"jsonrpc":"2.0","id":1,"method":"tools/Call","params":{"name":"secret"}}' },
  { "80: a lone surrogate in a name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo\\ud800"}}' },
  { "80: a lone low surrogate in a name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\udc00echo"}}' },
  { "80: NUL in a name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo\\u0000"}}' },
  { "80: NUL in a URI", '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///srv/open.txt\\u0000"}}' },
  { "80: a lone surrogate in a URI", '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///\\ud83c"}}' },
  { "80: NUL in a method", '{"jsonrpc":"2.0","id":1,"method":"tools/call\\u0000","params":{"name":"echo"}}' },
  { "80: a lone surrogate in a method", '{"jsonrpc":"2.0","id":1,"method":"tools/call\\udfff","params":{"name":"echo"}}' },
  { "80: bytes that are not UTF-8 in a name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ech\255"}}' },
  { "80: an overlong form in a name", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\193\165cho"}}' },
  { "80: a surrogate in UTF-8 in a URI", '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///\237\160\128"}}' },
  { "80: bytes that are not UTF-8 anywhere",
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"x":"\128"}}}' },
  { "81: an id that is null", '{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"echo"}}' },
  { "81: an id with a fraction", '{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"echo"}}' },
  { "81: an id with an exponent", '{"jsonrpc":"2.0","id":1e1,"method":"tools/call","params":{"name":"echo"}}' },
  { "81: an id that is minus zero", '{"jsonrpc":"2.0","id":-0,"method":"tools/call","params":{"name":"echo"}}' },
  { "81: an id that is an object", '{"jsonrpc":"2.0","id":{"a":1},"method":"tools/call","params":{"name":"echo"}}' },
  { "81: an id that is true", '{"jsonrpc":"2.0","id":true,"method":"tools/call","params":{"name":"echo"}}' },
  { "82: two messages in one", '{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"secret"}}' },
  { "82: bytes after the message", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}x' },
  { "82: a NUL after the message", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}\0' },
  { "82: a byte order mark", '\239\187\191{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}' },
  { "82: a batch", '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret"}}]' },
  { "82: a comment", '{"jsonrpc":"2.0","id":1,"method":"tools/call",/* */"params":{"name":"echo"}}' },
  { "1: a name that is not a string", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["secret"]}}' },
  { "1: a URI that is not a string", '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":{"x":"file:///srv/secret/a.txt"}}}' },
}

-- Ways to spell the hidden resource.
local spellings = {
  "file:///srv/secret/a.txt", "file:///srv/./secret/a.txt", "file:///srv/x/../secret/a.txt", "file:///srv/%73ecret/a.txt",
  "file:///srv/secret/%61.txt", "FILE:///srv/secret/a.txt", "file:///srv/open/%2e%2e/secret/a.txt",
  "file:///srv/open/%2E./secret/a.txt", "file:///srv/secret/../secret/a.txt", "file:///../srv/secret/a.txt",
}

for _, way in ipairs { { "stdio", "stdio" }, { "http", "stdio" }, { "http", "http" } } do
  describe("smuggling from " .. lunette.way_name(way), function()
    local client, up, reached

    setup(function()
      client, up = lunette.between(way, { tools = tools, resources = resources }, { policy = policy })
      client:initialize()
      up:on("tools/call", function(req)
        reached = req.raw
        req:reply '{"content":[]}'
      end)
      up:on("resources/read", function(req)
        reached = req.raw
        req:reply '{"contents":[]}'
      end)
    end)
    teardown(lunette.finish)
    before_each(function() reached = nil end)

    local function errors()
      local list = {}
      for _, message in ipairs(client.inbox) do
        if json.at(message.raw, "error") then list[#list + 1] = json.value(message.raw, "error", "code") end
      end
      client.inbox = {}
      return list
    end

    for _, case in ipairs(refused) do
      it(case[1], function()
        local code
        if way[1] == "http" then
          local response = client:post(case[2])
          local raw = response.body:match "data: (%b{})" or response.body
          code = json.value(raw, "error", "code")
          assert.is_true(response.status == 400 or response.status == 200, "status " .. response.status)
        else
          client.calls = {}
          local seen = #client.traffic
          client:send(case[2])
          loop.wait(function() return #client.traffic > seen end, "an answer")
          code = json.value(client.traffic[#client.traffic], "error", "code")
          errors()
        end
        assert.is_true(code == -32600 or code == -32700 or code == -32602, "code " .. tostring(code))
        if case[1]:match "^7[89]" or case[1]:match "^8[01]" then
          assert.is_true(code == -32600 or code == -32700, "code " .. code)
        end
        assert.equal('{"content":[]}', client:result("tools/call", '{"name":"echo","arguments":{"after":1}}'))
        assert.truthy(reached:find('"after":1', 1, true))
        assert.equal(reached, up:session().messages[#up:session().messages].raw)
        for _, message in ipairs(up:session().messages) do
          assert.is_nil(message.raw:find("secret", 1, true), "it reached the server: " .. message.raw)
        end
      end)
    end

    it("a hidden tool can't be called, however its name is escaped", function()
      for _, name in ipairs { "secret", "\\u0073ecret", "s\\u0065cret" } do
        assert.equal(-32602, client:failure("tools/call", '{"name":"' .. name .. '"}').code)
        assert.is_nil(reached, name)
      end
    end)

    it("85: a hidden resource can't be read by another spelling", function()
      for _, uri in ipairs(spellings) do
        for _, method in ipairs { "resources/read", "resources/subscribe" } do
          local err = client:failure(method, '{"uri":"' .. uri .. '"}')
          assert.truthy(err.code == -32002 or err.code == -32602, uri)
          assert.is_nil(reached, uri)
          assert.equal(0, up:count "resources/subscribe", uri)
        end
      end
    end)

    it("85: an open resource is passed on as the client spelled it", function()
      for _, uri in ipairs { "file:///srv/open.txt", "file:///srv/./open.txt", "file:///srv/%6fpen.txt" } do
        client:result("resources/read", '{"uri":"' .. uri .. '"}')
        assert.equal(uri, json.value(reached, "params", "uri"))
      end
    end)

    it("83: a header that names another method or tool than the body is refused", function()
      if way[1] ~= "http" then return end
      for _, lines in ipairs { { "Mcp-Method: tools/list" }, { "Mcp-Name: other" }, { "Mcp-Method: tools/call", "Mcp-Name: secret" } } do
        local headers = client:headers "POST"
        for _, line in ipairs(lines) do headers[#headers + 1] = line end
        local response = client:post('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}', headers)
        assert.equal(400, response.status)
        assert.is_nil(reached)
      end
    end)

    it("84: what a client or a server says can't forge a line of the log or a message", function()
      local process = client.process or nil
      local nasty = '{"name":"echo\\r\\n{\\"level\\":\\"error\\"}\\nforged line\\u001b[31m"}'
      client:request("tools/call", nasty)
      up:session():notify("notifications/message", '{"level":"info","data":"x\\r\\ndata: forged\\n\\nevent: y"}')
      if process then assert.is_nil(process.err:all():find "\nforged line") end
    end)
  end)
end

describe("HTTP framing", function()
  local host, up, client

  setup(function()
    up = upstream.new { tools = tools }
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    host = lunette.http { policy = lunette.bare(up) .. "\n" .. policy }
    client = host.client()
    client:initialize()
  end)
  teardown(lunette.finish)

  local body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'

  -- Sends raw lines (Host and the usual headers go first) and the rest; returns the response or nil if
  -- the connection was closed without one.
  local function attempt(lines, rest, request_line)
    local before = up:count "tools/call"
    local text = { request_line or "POST /mcp HTTP/1.1" }
    for _, line in ipairs(client:headers "POST") do text[#text + 1] = line end
    for _, line in ipairs(lines) do text[#text + 1] = line end
    local conn = http.connect(host.port)
    conn:send(table.concat(text, "\r\n") .. "\r\n\r\n" .. (rest or ""))
    local ok, response = pcall(conn.response, conn, 2000)
    if not ok then
      assert.is_true(conn.bytes.ended, "neither a response nor the end of the connection: " .. tostring(response))
      response = nil
    end
    return response, up:count "tools/call" - before, conn
  end

  local cases = {
    ["two lengths"] = { { "Content-Length: " .. #body, "Content-Length: " .. #body + 1 }, body .. "x" },
    ["two lengths in one line"] = { { "Content-Length: " .. #body .. ", " .. #body + 2 }, body },
    ["a length with a sign"] = { { "Content-Length: +" .. #body }, body },
    ["a negative length"] = { { "Content-Length: -1" }, body },
    ["a length that is no number"] = { { "Content-Length: " .. #body .. "x" }, body },
    ["a length in hex"] = { { ("Content-Length: 0x%x"):format(#body) }, body },
    ["a length over all bounds"] = { { "Content-Length: 18446744073709551617" }, body },
    ["an empty length"] = { { "Content-Length:" }, body },
    ["length and chunks"] = { { "Content-Length: 4", "Transfer-Encoding: chunked" }, ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body) },
    ["an unknown transfer coding"] = { { "Transfer-Encoding: gzip" }, body },
    ["chunked twice"] = { { "Transfer-Encoding: chunked, chunked" }, ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body) },
    ["chunked not last"] = { { "Transfer-Encoding: chunked, identity" }, ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body) },
    ["a hidden transfer coding"] = { { "Transfer-Encoding: \vchunked" }, ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body) },
    ["white space before the colon"] = { { "Content-Length : " .. #body }, body },
    ["a folded header"] = { { "X-A: b\r\n c", "Content-Length: " .. #body }, body },
    ["a bare CR in a header"] = { { "X-A: b\rc", "Content-Length: " .. #body }, body },
    ["a NUL in a header"] = { { "X-A: b\0c", "Content-Length: " .. #body }, body },
    ["a header without a colon"] = { { "X-A", "Content-Length: " .. #body }, body },
    ["a header without a name"] = { { ": x", "Content-Length: " .. #body }, body },
    ["a name with a space"] = { { "X A: b", "Content-Length: " .. #body }, body },
    ["a bad chunk size"] = { { "Transfer-Encoding: chunked" }, ("%xg\r\n%s\r\n0\r\n\r\n"):format(#body, body) },
    ["a chunk size over all bounds"] = { { "Transfer-Encoding: chunked" }, "ffffffffffffffff1\r\n" .. body },
    ["a chunk without its end"] = { { "Transfer-Encoding: chunked" }, ("%x\r\n%sXX0\r\n\r\n"):format(#body, body) },
    ["a second Host"] = { { "Host: evil.example", "Content-Length: " .. #body }, body },
    ["a head over the limit"] = { { "X-A: " .. ("x"):rep(100000), "Content-Length: " .. #body }, body },
    ["ten thousand headers"] = { { ("X-A: b\r\n"):rep(10000) .. "Content-Length: " .. #body }, body },
  }
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it("82: " .. name .. " is refused", function()
      local response, calls, conn = attempt(unpack(cases[name]))
      if response then assert.is_true(response.status >= 400 and response.status <= 501, "status " .. response.status) end
      assert.equal(0, calls)
      -- Whatever follows on this connection can't be trusted.
      conn:wait_end()
      assert.equal(200, client:post('{"jsonrpc":"2.0","id":1,"method":"ping"}').status)
    end)
  end

  it("82: a second session is refused", function()
    local response, calls = attempt({ "Mcp-Session-Id: other", "Content-Length: " .. #body }, body)
    assert.equal(400, response.status)
    assert.equal(0, calls)
  end)

  it("82: request lines that are none are refused", function()
    for _, line in ipairs { "POST /mcp", "POST  /mcp HTTP/1.1", "POST /mcp HTTP/2.0", "POST /mcp HTTP/1.1 x", "/mcp HTTP/1.1", "P\1ST /mcp HTTP/1.1",
      "POST /mcp\0 HTTP/1.1", "POST /mcp HTTP/11", "post /mcp HTTP/1.1" } do
      local response, calls = attempt({ "Content-Length: " .. #body }, body, line)
      if response then assert.is_true(response.status >= 400, line) end
      assert.equal(0, calls, line)
    end
  end)

  it("82: bytes after a body are the next request, not part of this one", function()
    local response, calls, conn = attempt({ "Content-Length: " .. #body }, body .. "garbage that is no request\r\n\r\n")
    assert.equal(200, response.status)
    assert.equal(1, calls)
    conn:wait_end()
  end)

  it("takes chunks with extensions and trailers", function()
    local half = math.floor(#body / 2)
    local response, calls = attempt({ "Transfer-Encoding: Chunked" }, ("%x;name=value\r\n%s\r\n%X\r\n%s\r\n0\r\nX-Trailer: x\r\n\r\n"):format(
      half, body:sub(1, half), #body - half, body:sub(half + 1)))
    assert.equal(200, response.status)
    assert.equal(1, calls)
  end)

  it("84: a header's value with a line break in disguise stays one value", function()
    local response = attempt({ "Content-Length: " .. #body, "X-A: a%0d%0aSet-Cookie: b" }, body)
    assert.equal(200, response.status)
    assert.is_nil(response.headers["set-cookie"])
  end)
end)
