-- lunette.http: what a policy's own requests look like, and what becomes of their answers. The servers are bytes.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local fetching = require "spec.support.fetch"

local fetch_tool = fetching.fetch_tool
local client_of = fetching.client_of
local start = fetching.start
local text_of = fetching.text_of
local call = fetching.call
local fetch = fetching.fetch
local refused = fetching.refused
local server = fetching.server
local ok = fetching.ok

describe("lunette.http", function()
  after_each(lunette.finish)

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
      { '{"url":"http://u:p@h/x"}', "GET http://h/x: user names and passwords don't belong in a URL: make them a header" },
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
end)
