-- lunette.http: what a policy's own requests look like, what becomes of their answers, and that nothing of
-- them is left when their handler ends in any way. The servers are bytes.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"

-- A tool that makes the request its arguments describe, and tells what came of it.
local fetch_tool = [[
lunette.tools.add { name = "fetch", handler = function(o)
  local ok, response = pcall(lunette.http, o.url and o or o.request)
  if not ok then return lunette.deny(response) end
  return lunette.json.encode { status = response.status, headers = response.headers, body = response.body,
    url = response.url }
end }
]]

describe("lunette.http", function()
  after_each(lunette.finish)

  local function client_of(policy, options)
    options = options or {}
    local client = lunette.stdio { policy = policy or fetch_tool, env = options.env }
    client:initialize()
    return client
  end

  local function start(client, name, arguments)
    return client:start("tools/call", ('{"name":"%s","arguments":%s}'):format(name, arguments or "{}"))
  end

  local function text_of(call)
    local result = json.decode(json.at(call:wait(), "result"))
    return result.content[1] and result.content[1].text, result.isError
  end

  local function call(client, name, arguments) return text_of(start(client, name, arguments)) end

  -- The response that the tool saw.
  local function fetch(client, o)
    local text, failed = call(client, "fetch", type(o) == "string" and o or json.encode(o))
    assert.is_nil(failed, text)
    return json.decode(text)
  end

  -- Why there was none, without the policy's place, which is checked.
  local function refused(client, o)
    local text, failed = call(client, "fetch", type(o) == "string" and o or json.encode(o))
    assert.is_true(failed, text)
    return (assert(text:match "^/.+/policy%d+%.lua:%d+: lunette%.http: (.*)$", text))
  end

  -- A server that keeps the requests and answers each with these bytes, or as the function does.
  local function server(answer)
    local requests = {}
    local s = http.listen(function(request, conn)
      requests[#requests + 1] = request
      if type(answer) == "function" then answer(request, conn) else conn:send(answer) end
    end)
    s.requests = requests
    return s
  end

  local ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

  -- --- requests --------------------------------------------------------------------------------------

  it("asks for a URL", function()
    local s = server(ok)
    local response = fetch(client_of(), { url = s.url .. "/a%20b?c=d#e" })
    assert.equal(("GET /a%%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"):format(s.port)
      .. "User-Agent: lunette/0.1.0", s.requests[1].raw)
    assert.same({ status = 200, headers = { ["content-length"] = "2" }, body = "ok", url = s.url .. "/a%20b?c=d" }, response)
  end)

  it("asks for a URL alone", function()
    local s = server(ok)
    assert.equal(200, fetch(client_of(), { request = s.url }).status)
    assert.equal("GET / HTTP/1.1", s.requests[1].start)
  end)

  it("sends a body, headers of one's own and any method", function()
    local s = server(ok)
    local client = client_of()
    fetch(client, { url = s.url .. "/x", method = "put", body = "a\nb", headers = { ["X-Key"] = "k", ["user-agent"] = "me",
      Many = { "1", "2" }, N = 3 } })
    assert.equal(("PUT /x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nAccept-Encoding: identity\r\nMany: 1\r\nMany: 2\r\n"
      .. "N: 3\r\nX-Key: k\r\nuser-agent: me\r\nContent-Length: 3"):format(s.port), s.requests[1].raw)
    assert.equal("a\nb", s.requests[1].body)
    fetch(client, { url = s.url, body = "" })
    assert.equal("POST / HTTP/1.1", s.requests[2].start)
    assert.equal("0", s.requests[2].headers["content-length"])
  end)

  it("sends a value as JSON", function()
    local s = server(ok)
    local client = client_of()
    fetch(client, '{"url":"' .. s.url .. '","json":{"list":[],"n":1.5}}')
    assert.equal('{"list":[],"n":1.5}', s.requests[1].body)
    assert.equal("application/json", s.requests[1].headers["content-type"])
    assert.equal("application/json", s.requests[1].headers["accept"])
    fetch(client, { url = s.url, json = { 1 }, headers = { ["content-type"] = "application/x-y", Accept = "*/*" } })
    assert.equal("application/x-y", s.requests[2].headers["content-type"])
    assert.equal("*/*", s.requests[2].headers["accept"])
  end)

  it("keeps connections, and asks many at once on connections of their own", function()
    local s
    local held = {}
    s = server(function(request, conn)
      if request.path ~= "/held" then return conn:send(ok) end
      held[#held + 1] = conn
    end)
    local client = client_of()
    for _ = 1, 3 do fetch(client, { url = s.url }) end
    assert.equal(1, #s.connections)
    local calls = {}
    for i = 1, 20 do calls[i] = start(client, "fetch", json.encode { url = s.url .. "/held" }) end
    loop.wait(function() return #held == 20 end, "twenty requests at once")
    for _, conn in ipairs(held) do conn:send(ok) end
    for i = 1, 20 do assert.is_nil(select(2, text_of(calls[i]))) end
    assert.equal(20, #s.connections)
  end)

  it("goes through the environment's proxy", function()
    local proxy = server(ok)
    local client = client_of(nil, { env = { http_proxy = "http://u:p@127.0.0.1:" .. proxy.port, no_proxy = "" } })
    fetch(client, { url = "http://somewhere.test/x" })
    assert.equal("GET http://somewhere.test/x HTTP/1.1", proxy.requests[1].start)
    assert.equal("somewhere.test", proxy.requests[1].headers.host)
    assert.equal("Basic dTpw", proxy.requests[1].headers["proxy-authorization"])
  end)

  -- --- responses ---------------------------------------------------------------------------------------

  it("gives header names in lower case, and what is there twice joined", function()
    local s = server "HTTP/1.1 404 No\r\nX-A: 1\r\nx-a:  2 \r\nSet-Cookie: a=1, 2\r\nSet-Cookie: b=3\r\nContent-Length: 0\r\n\r\n"
    local response = fetch(client_of(), { url = s.url })
    assert.same({ status = 404, body = "", url = s.url .. "/",
      headers = { ["x-a"] = "1, 2", ["set-cookie"] = "a=1, 2\nb=3", ["content-length"] = "0" } }, response)
  end)

  it("reads bodies of every framing, however they are cut", function()
    local whole = {
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
      "HTTP/1.0 200 OK\r\n\r\nabcde",
    }
    local client = client_of()
    for _, bytes in ipairs(whole) do
      for _, step in ipairs { 1, 7, 1000 } do
        local s = server(function(_, conn)
          loop.after(0, function()
            conn:send(bytes, step)
            if bytes:find "1.0" then conn:shutdown() end
          end)
        end)
        assert.equal("abcde", fetch(client, { url = s.url }).body, bytes)
      end
    end
  end)

  it("knows which responses have no body", function()
    local client = client_of()
    local s = server(function(request, conn)
      conn:send(request.path == "/none" and "HTTP/1.1 204 No\r\n\r\n" or "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    end)
    assert.equal("", fetch(client, { url = s.url .. "/head", method = "HEAD" }).body)
    assert.equal("", fetch(client, { url = s.url .. "/none" }).body)
    assert.equal("9", fetch(client, { url = s.url .. "/head", method = "HEAD" }).headers["content-length"])
    assert.equal(1, #s.connections)
  end)

  it("decodes JSON, and says so when it is none", function()
    local client = client_of [[
lunette.tools.add { name = "get", handler = function(o)
  local response = lunette.http(o.url)
  local ok, value = pcall(response.json, response)
  return ok and lunette.json.encode(value) or value end }]]
    local s = server(function(request, conn)
      local body = request.path == "/good" and '{"a": [1, null, []]}' or "<html>"
      conn:send(("HTTP/1.1 502 Bad\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    end)
    assert.equal('{"a":[1,null,[]]}', (call(client, "get", json.encode { url = s.url .. "/good" })))
    assert.equal("lunette.http: GET " .. s.url .. "/: status 502, and the body is not JSON",
      (call(client, "get", json.encode { url = s.url .. "/?key=secret" })):match "lunette%.http.*")
  end)

  -- --- redirects -----------------------------------------------------------------------------------------

  describe("follows redirects", function()
    local function to(status, where)
      return ("HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 4\r\n\r\ngone"):format(status, where)
    end

    it("by the rules of each", function()
      local s
      s = server(function(request, conn)
        local status = request.path:match "^/(%d+)$"
        conn:send(status and to(status, "../end?x") or ok)
      end)
      local client = client_of()
      local cases = { { "301", "POST", "GET" }, { "302", "POST", "GET" }, { "303", "POST", "GET" }, { "307", "POST", "POST" },
        { "308", "POST", "POST" }, { "301", "PUT", "PUT" }, { "303", "PUT", "GET" }, { "302", "HEAD", "HEAD" },
        { "303", "HEAD", "HEAD" } }
      for _, case in ipairs(cases) do
        local n = #s.requests
        local body = case[2] ~= "HEAD" and "data" or nil
        local response = fetch(client, { url = s.url .. "/" .. case[1], method = case[2], body = body,
          headers = { ["Content-Type"] = "text/x", ["X-Key"] = "k" } })
        assert.equal(s.url .. "/end?x", response.url)
        local request, what = s.requests[n + 2], case[1] .. " " .. case[2]
        assert.equal(case[3] .. " /end?x HTTP/1.1", request.start, what)
        local kept = case[2] == case[3]
        assert.equal(kept and body or "", request.body, what)
        assert.equal(kept and "text/x" or nil, request.headers["content-type"], what)
        assert.equal("k", request.headers["x-key"], what)
      end
    end)

    it("and tells another origin no secrets, nor does so on the way back", function()
      local a, b
      b = server(function(request, conn) conn:send(request.path == "/on" and to(307, a.url .. "/back") or ok) end)
      a = server(function(request, conn) conn:send(request.path == "/" and to(307, b.url .. "/on") or ok) end)
      fetch(client_of(), { url = a.url, method = "POST", body = "x", headers = { Authorization = "secret", Cookie = "c",
        ["x-api-key"] = "k", Accept = "text/x", ["Content-Type"] = "text/y" } })
      for _, request in ipairs { b.requests[1], a.requests[2] } do
        assert.equal("text/x", request.headers.accept)
        assert.equal("text/y", request.headers["content-type"])
        assert.is_nil(request.headers.authorization)
        assert.is_nil(request.headers.cookie)
        assert.is_nil(request.headers["x-api-key"])
      end
      assert.equal("secret", a.requests[1].headers.authorization)
    end)

    it("but not for ever, nor when told not to, nor to what is no URL", function()
      local s
      s = server(function(request, conn)
        conn:send(request.path == "/odd" and to(302, "ftp://x/") or to(302, "/"))
      end)
      local client = client_of()
      assert.equal("GET " .. s.url .. ": more than 5 redirects", refused(client, { url = s.url }))
      assert.equal(6, #s.requests)
      assert.equal("GET " .. s.url .. ": more than 1 redirects", refused(client, { url = s.url, redirects = 1 }))
      for _, none in ipairs { 0, false } do
        local response = fetch(client, { url = s.url, redirects = none })
        assert.equal(302, response.status)
        assert.equal("gone", response.body)
      end
      assert.equal("GET " .. s.url .. "/odd: the redirect's Location is not usable: the URL doesn't begin with http:// or https://",
        refused(client, { url = s.url .. "/odd" }))
    end)
  end)

  -- --- what goes wrong -------------------------------------------------------------------------------------

  it("raises what went wrong with the connection, with the policy's place", function()
    local client = client_of()
    local port = http.free_port()
    local url = "http://127.0.0.1:" .. port
    assert.equal(("GET %s/x: can't reach %s: could not connect to 127.0.0.1:%d: connection refused"):format(url, url, port),
      refused(client, { url = url .. "/x?secret=1" }))
    local cases = {
      { "", "the server closed the connection without a response" },
      { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "the server closed the connection before the end of its response" },
      { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "before the end of its response" },
      { "HTTP/1.1 200 OK\r\nContent-Le", "before the end of its response" },
      { "SSH-2.0-x\r\n\r\n", "" },
      { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "" },
      { "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(70000) .. "\r\n\r\n", "" },
    }
    for _, case in ipairs(cases) do
      local s = server(function(_, conn)
        conn:send(case[1])
        conn:shutdown()
      end)
      local why = refused(client, { url = s.url, method = "POST" })
      assert.truthy(why:find("POST " .. s.url .. ": ", 1, true), why)
      assert.truthy(why:find(case[2], 1, true), why)
    end
  end)

  it("gives up in time: its own, the policy's, and at most what the policy allows", function()
    local s = server(function(request, conn)
      conn:send "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
      if request.path == "/drip" then conn:send "x" end
    end)
    local client = client_of("lunette.configure { http_timeout = 0.3, max_http_timeout = 3 }; " .. fetch_tool)
    assert.equal("GET " .. s.url .. "/drip: no whole response within 0.2 s", refused(client, { url = s.url .. "/drip", timeout = 0.2 }))
    assert.equal("GET " .. s.url .. ": no whole response within 0.3 s", refused(client, { url = s.url }))
    assert.equal("timeout must be above 0 and at most max_http_timeout (3 s), not 4", refused(client, { url = s.url, timeout = 4 }))
    loop.wait(function() return s.connections[1].gone and s.connections[2].gone end, "the connections to be closed")
  end)

  it("lets a handler that waits have more time than one may run", function()
    local s = server(function(_, conn) loop.after(600, function() conn:send(ok) end) end)
    local client = client_of("lunette.configure { hook_timeout = 0.3 } " .. fetch_tool)
    assert.equal("ok", fetch(client, { url = s.url }).body)
  end)

  it("takes no more than max_http_bytes whole, announced or not", function()
    local body = ("x"):rep(2000)
    local s = server(function(request, conn)
      if request.path == "/length" then
        conn:send("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" .. body)
      elseif request.path == "/fits" then
        conn:send("HTTP/1.1 200 OK\r\nContent-Length: 1500\r\n\r\n" .. body:sub(1, 1500))
      else
        conn:send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" .. body:sub(1, 1000) .. "\r\n3e8\r\n" .. body:sub(1, 1000)
          .. "\r\n")
      end
    end)
    local client = client_of("lunette.configure { max_http_bytes = 1500 } " .. fetch_tool)
    assert.equal(body:sub(1, 1500), fetch(client, { url = s.url .. "/fits" }).body)
    for _, path in ipairs { "/length", "/chunked" } do
      assert.equal("GET " .. s.url .. path .. ": the body is longer than 1500 bytes; stream = true takes it in pieces, and "
        .. "lunette.configure { max_http_bytes = … } raises the limit", refused(client, { url = s.url .. path }))
    end
    loop.wait(function() return s.connections[#s.connections].gone end, "the connection to be closed")
  end)

  it("says what is wrong with its options", function()
    local client = client_of(fetch_tool)
    local cases = {
      { '{"request":5}', "lunette.http's argument must be a table, not 5" },
      { '{"request":{}}', "url must be a string, not nothing" },
      { '{"url":"http://h/","methd":"GET"}', "unknown option methd; did you mean method?" },
      { '{"url":"h/x"}', "GET h/x: the URL doesn't begin with http:// or https://" },
      { '{"url":"http://u:p@h/x"}', "GET http://h/x: user names and passwords don't belong in a URL" },
      { '{"url":"http://h/","method":"G T"}', "G T http://h/: the method is not one" },
      { '{"url":"http://h/","method":"connect"}', "CONNECT http://h/: the method is not one" },
      { '{"url":"http://h/","headers":{"a":{"b":1}}}', "" },
      { '{"url":"http://h/","headers":{"a b":"c"}}', "a header is not of the form 'Name: value'" },
      { '{"url":"http://h/","headers":{"Host":"c"}}', "a header is one of those that Lunette sets itself" },
      { '{"url":"http://h/","headers":{"a":"b\\r\\nc: d"}}', 'headers["a"] must not contain line breaks or NUL' },
      { '{"url":"http://h/","body":"x","json":1}', "give either body or json, not both" },
      { '{"url":"http://h/","body":{}}', "body must be a string, not a table" },
      { '{"url":"http://h/","timeout":"x"}', 'timeout must be a number, not "x"' },
      { '{"url":"http://h/","timeout":0}', "timeout must be above 0" },
      { '{"url":"http://h/","redirects":99}', "redirects must be a whole number up to 20, not 99" },
      { '{"url":"http://h/","stream":1}', "stream must be a boolean, not 1" },
    }
    for _, case in ipairs(cases) do
      local text, failed = call(client, "fetch", case[1])
      if case[2] ~= "" then
        assert.is_true(failed)
        assert.truthy(text:find(case[2], 1, true), text)
        assert.truthy(text:find "^/.+/policy%d+%.lua:%d+: lunette%.http", text)
      end
    end
  end)

  it("only works where something can wait", function()
    local result = lunette.cli { "check", lunette.policy 'lunette.http "http://127.0.0.1:1/"' }
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find "policy%d+%.lua:1: this waits for an answer, which only a handler can do", result.stderr)
  end)

  -- --- TLS ---------------------------------------------------------------------------------------------------

  it("holds servers to their certificates", function()
    local dir = loop.tempdir()
    local function openssl(...)
      local result = process.run { command = "openssl", args = { ... }, cwd = dir }
      assert.equal(0, result.code, result.stderr)
    end
    for _, name in ipairs { "good", "other" } do
      openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", name .. ".key", "-out",
        name .. ".pem", "-days", "2", "-subj", "/CN=" .. name, "-addext",
        "subjectAltName=" .. (name == "good" and "IP:127.0.0.1" or "DNS:other.test"))
    end
    loop.write_file(dir .. "/both.pem", loop.read_file(dir .. "/good.pem") .. loop.read_file(dir .. "/other.pem"))
    loop.write_file(dir .. "/page", "over TLS")
    local function serve(name)
      local p = process.spawn { command = "openssl", cwd = dir,
        args = { "s_server", "-accept", "127.0.0.1:0", "-cert", name .. ".pem", "-key", name .. ".key", "-WWW" } }
      loop.cleanup(function()
        p:kill "sigterm"
        p:wait_exit()
      end)
      local line = loop.wait(function()
        local l = p:maybe_line(100)
        return l and l:match "^ACCEPT" and l
      end, "s_server")
      return "https://127.0.0.1:" .. line:match ":(%d+)$" .. "/page"
    end
    local good, other = serve "good", serve "other"
    local client = client_of(nil, { env = { SSL_CERT_FILE = dir .. "/both.pem" } })
    assert.equal("over TLS", fetch(client, { url = good }).body)
    local why = refused(client, { url = other })
    assert.truthy(why:find("the certificate of 127.0.0.1 is for another host", 1, true), why)
    client = client_of(nil, { env = { SSL_CERT_FILE = dir .. "/other.pem" } })
    why = refused(client, { url = good })
    assert.truthy(why:find("is not accepted", 1, true) or why:find("not trusted", 1, true), why)
  end)

  -- --- streams -----------------------------------------------------------------------------------------------

  local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end
  local chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

  it("gives a stream's pieces as they come", function()
    local conn
    local s = server(function(_, c)
      conn = c
      c:send(chunked)
    end)
    local client = client_of [[
lunette.tools.add { name = "stream", handler = function(o, ctx)
  local response = lunette.http { url = o.url, stream = true }
  ctx:log("info", tostring(response.status) .. tostring(response.body))
  for piece in response:chunks() do ctx:log("info", piece) end
  return "end" end }]]
    local under_way = start(client, "stream", json.encode { url = s.url })
    local function heard() return json.value(client:expect("notifications/message").raw, "params", "data") end
    assert.equal("200nil", heard())
    for _, text in ipairs { "one", "two\n", "three" } do
      conn:send(chunk(text))
      assert.equal(text, heard())
    end
    conn:send "0\r\n\r\n"
    assert.equal("end", (text_of(under_way)))
  end)

  local lines_tool = [[
lunette.tools.add { name = "lines", handler = function(o)
  local list = lunette.array {}
  local response = lunette.http { url = o.url, stream = true }
  local ok, why = pcall(function() for line in response:lines() do list[#list + 1] = line end end)
  if not ok then list[#list + 1] = why end
  return lunette.json.encode(list) end }]]

  it("gives a stream's lines, however they are cut", function()
    local bytes = "data: a\r\n\r\nb\n\n\rc\r\nlast"
    local client = client_of(lines_tool)
    for _, step in ipairs { 1, 5, 100 } do
      local s = server(function(_, conn)
        loop.after(0, function()
          conn:send("HTTP/1.0 200 OK\r\n\r\n" .. bytes, step)
          conn:shutdown()
        end)
      end)
      assert.equal('["data: a","","b","","\\rc","last"]', (call(client, "lines", json.encode { url = s.url })))
    end
  end)

  it("gives what came of a stream before it broke, then says that it broke", function()
    local s = server(function(_, conn)
      conn:send(chunked .. chunk "a\nb\n")
      conn:shutdown()
    end)
    local list = json.decode((call(client_of(lines_tool), "lines", json.encode { url = s.url })))
    assert.equal("a", list[1])
    assert.equal("b", list[2])
    assert.truthy(list[3]:find("policy%d+%.lua:%d+: lunette%.http: GET .*: the server closed the connection before the end"), list[3])
    assert.equal(3, #list)
  end)

  it("reads a stream no faster than the policy does, and loses nothing of it", function()
    local piece, pieces = ("0123456789abcdef"):rep(4096), 200 -- 12.5 MiB
    local conn
    local s = server(function(_, c)
      conn = c
      c:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#piece * pieces))
      for _ = 1, pieces do c:send(piece) end
    end)
    local client = client_of [[
lunette.tools.add { name = "stream", handler = function(o, ctx)
  local response = lunette.http { url = o.url, stream = true }
  local n, right = 0, true
  for chunk in response:chunks() do
    if n == 0 then
      ctx:log("info", "first")
      lunette.sleep(1)
    end
    local want = ("0123456789abcdef"):rep(#chunk / 16 + 2)
    right = right and want:sub(n % 16 + 1, n % 16 + #chunk) == chunk
    n = n + #chunk
  end
  return ("%d %s"):format(n, tostring(right)) end }]]
    local under_way = start(client, "stream", json.encode { url = s.url })
    client:expect "notifications/message"
    loop.sleep(300)
    assert.is_true(conn.tcp:get_write_queue_size() > 1000000, "the server could send all to a policy that sleeps")
    assert.equal(("%d true"):format(#piece * pieces), (text_of(under_way)))
  end)

  it("has no limit for what is streamed but its time", function()
    local s = server(function(_, conn) conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(100000)) end)
    local client = client_of [[
lunette.configure { max_http_bytes = 1024 }
lunette.tools.add { name = "stream", handler = function(o)
  local n = 0
  for chunk in lunette.http { url = o.url, stream = true }:chunks() do n = n + #chunk end
  return tostring(n) end }
lunette.tools.add { name = "lines", handler = function(o)
  for _ in lunette.http { url = o.url, stream = true }:lines() do error "no" end end }]]
    assert.equal("100000", (call(client, "stream", json.encode { url = s.url })))
    start(client, "lines", json.encode { url = s.url })
    client.process:wait_stderr "a line is longer than max_http_bytes"
  end)

  it("is gone with its handler, or when it is closed", function()
    local s = server(function(_, conn) conn:send(chunked .. chunk "a") end)
    local client = client_of [[
local kept
lunette.tools.add { name = "keep", handler = function(o)
  kept = lunette.http { url = o.url, stream = true }
  return "kept" end }
lunette.tools.add { name = "use", handler = function()
  local ok, why = pcall(function() for _ in kept:chunks() do break end end)
  return why end }
lunette.tools.add { name = "close", handler = function(o)
  local response = lunette.http { url = o.url, stream = true }
  for _ in response:chunks() do response:close() break end
  response:close()
  local ok, why = pcall(function() for _ in response:chunks() do break end end)
  return why end }]]
    local at = json.encode { url = s.url }
    assert.equal("kept", (call(client, "keep", at)))
    loop.wait(function() return s.connections[1].gone end, "the connection to be closed")
    local text = call(client, "use")
    assert.truthy(text:find(":6: the response is closed, or gone with the handler that asked", 1, true), text)
    text = call(client, "close", at)
    assert.truthy(text:find(":12: the response is closed, or gone", 1, true), text)
    loop.wait(function() return s.connections[2].gone end, "the connection to be closed")
  end)

  -- --- callers and their ends --------------------------------------------------------------------------------

  -- A server that never answers, and the connection that asks it.
  local function silent()
    local s = server(function() end)
    function s.asked(n) loop.wait(function() return #s.requests == (n or 1) end, "a request") end
    function s.left(n)
      loop.wait(function() return s.connections[n or 1].gone end, "the connection to be closed")
    end
    return s
  end

  it("ends with its handler when the client cancels", function()
    local s = silent()
    local client = client_of()
    local under_way = start(client, "fetch", json.encode { url = s.url })
    s.asked()
    client:notify("notifications/cancelled", ('{"requestId":%s}'):format(under_way.id))
    s.left()
    assert.is_nil(under_way:done(50))
    assert.equal("{}", client:result "ping")
  end)

  it("ends with its session, while streaming too", function()
    local s = server(function(_, conn) conn:send(chunked .. chunk "a") end)
    local host = lunette.http { policy = [[
lunette.tools.add { name = "stream", handler = function(o)
  for _ in lunette.http { url = o.url, stream = true }:chunks() do end end }]] }
    local client = host.client()
    client:initialize()
    start(client, "stream", json.encode { url = s.url })
    loop.wait(function() return #s.requests == 1 end, "a request")
    client:close()
    loop.wait(function() return s.connections[1].gone end, "the connection to be closed")
  end)

  it("is there for inner handlers of a notification, whose outer ones don't wait for them", function()
    local held
    local s = server(function(_, conn) held = conn end)
    local policy = ([[
lunette.on("notifications/initialized", function(notification, forward) forward(notification) end)
lunette.on("notifications/initialized", function(notification, forward, ctx)
  lunette.log.info("got " .. lunette.http(%q).body)
  forward(notification)
  lunette.log.info("from " .. ctx.session.client.name) end)]]):format(s.url)
    local client = client_of(policy)
    loop.wait(function() return held end, "a request")
    held:send(ok)
    client.process:wait_stderr "got ok"
    client.process:wait_stderr "from spec"
    held = nil
    client = client_of(policy)
    loop.wait(function() return held end, "a request")
    client:close()
    loop.wait(function() return held.gone end, "the connection to be closed")
    assert.is_nil(client.process.err:all():find("got", 1, true))
  end)

  it("ends with Lunette, whoever asks", function()
    local s = silent()
    local client = client_of("lunette.configure { drain_timeout = 0.1 } " .. fetch_tool
      .. ("lunette.every(0.01, function() lunette.http %q end)"):format(s.url))
    start(client, "fetch", json.encode { url = s.url })
    s.asked(2)
    client.process:kill "sigterm"
    client.process:wait_exit()
    assert.is_nil(client.process.err:all():find("error", 1, true), client.process.err:all())
  end)

  it("is for handlers of messages, for timers and for what servers ask", function()
    local s = server(ok)
    local client, up = lunette.between({ "stdio", "stdio" }, { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }, {
      policy = ([[
local url = %q
lunette.on("tools/call", function(request, forward)
  request.params.arguments.got = lunette.http(url .. "/hook").body
  local result = forward(request)
  result.after = lunette.http(url .. "/after").status
  return result
end)
lunette.sampling(function()
  return { role = "assistant", model = "m", content = { type = "text", text = lunette.http(url .. "/sampling").body } }
end)
lunette.every(0.01, function()
  lunette.http(url .. "/timer")
  lunette.sleep(1000)
end)]]):format(s.url) })
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
        req:reply(('{"content":[],"got":%s,"sampled":%s}'):format(req:at("arguments", "got"), answer.result))
      end)
    end)
    client:initialize()
    local result = json.decode(client:result("tools/call", '{"name":"work","arguments":{}}'))
    assert.equal("ok", result.got)
    assert.equal("ok", result.sampled.content.text)
    assert.equal(200, result.after)
    loop.wait(function()
      for _, request in ipairs(s.requests) do
        if request.path == "/timer" then return true end
      end
    end, "the timer's request")
  end)

  it("goes on under the policy it began with", function()
    local held
    local s = server(function(_, conn) held = conn end)
    local path = lunette.policy(fetch_tool)
    local client = lunette.stdio { targets = { path }, flags = { "--no-watch" } }
    client:initialize()
    local under_way = start(client, "fetch", json.encode { url = s.url })
    loop.wait(function() return held end, "a request")
    lunette.policy("", path)
    client.process:kill "sighup"
    client.process:wait_stderr "a new policy is in force"
    held:send(ok)
    assert.truthy(text_of(under_way):find('"body":"ok"', 1, true))
  end)

  it("holds on to nothing over many requests and many servers", function()
    local s = server(ok)
    local client = client_of()
    for i = 1, 40 do
      local other = server(ok)
      fetch(client, { url = other.url })
      if i % 4 == 0 then fetch(client, { url = s.url }) end
    end
    -- Connections are kept for a few seconds each, but not for every server there ever was.
    assert.is_true(process.descriptors(client.process.pid) < 60)
  end)
end)
