-- Connections of a pool: kept, lost, refused, through proxies and under TLS.
local loop = require "spec.support.loop"
local http = require "spec.support.http"
local process = require "spec.support.process"
local ffi_support = require "spec.support.ffi"
local support = require "spec.unit.transport.http_channel_support"

local ffi = ffi_support.ffi
local uv = loop.uv
local accepted, id, json, ping, reply, result = support.accepted, support.id, support.json, support.ping,
  support.reply, support.result

local function answer(request, conn)
  conn:send(json(result(id(request.body))))
end

local function start(server, options)
  options = options or {}
  options.url = options.url or (server.url .. "/mcp")
  return support.start(options)
end

local function call(driver, n)
  driver:tell(("send 0 r%d %s"):format(n, ping(n)))
  driver:expect(("message 0 %d %s"):format(n, result(n)))
end

-- --- TLS ---------------------------------------------------------------------------------------

local certificates

local function make_certificates()
  certificates = support.directory()
  local function run(command) assert(os.execute(command .. " >/dev/null 2>&1") == 0, command) end
  run(("cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=spec "
    .. "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem"):format(certificates))
end

-- One connection after the other through `openssl s_server`, whose standard streams are what is
-- inside. handler(request text, send) is called for every request.
local function tls_listen(handler)
  local server = { port = http.free_port(), seen = 0 }
  server.process = process.spawn { command = "openssl", name = "s_server", args = { "s_server", "-quiet", "-accept",
    "127.0.0.1:" .. server.port, "-cert", certificates .. "/cert.pem", "-key", certificates .. "/key.pem", "-alpn", "http/1.1" } }
  loop.wait(function() return http.accepts(server.port) or loop.sleep(10) end, "openssl to listen")
  local out = server.process.out
  local timer = uv.new_timer()
  timer:start(1, 2, loop.guard(function()
    local from, to = out.data:find "\r\n\r\n"
    if not from then return end
    local length = tonumber(out.data:sub(1, to):match "[Cc]ontent%-[Ll]ength: (%d+)") or 0
    local whole = #out.data >= to + length and out:take(to + length)
    if not whole then return end
    server.seen = server.seen + 1
    server.last = whole
    handler(whole, function(bytes) server.process:write(bytes) end)
  end))
  loop.cleanup(function() loop.close(timer) end)
  return server
end

local function tls_answer(text, send)
  send(json(result(id(text))))
end

-- A proxy that records request heads. CONNECT is answered with options.answer, then leads to
-- options.to; other requests are answered by options.handler.
local function proxy_listen(options)
  local tcp, proxy = uv.new_tcp(), { heads = {} }
  assert(tcp:bind("127.0.0.1", 0))
  proxy.port = tcp:getsockname().port
  local function relay(client, first)
    local onward = uv.new_tcp()
    loop.cleanup(function() loop.close(onward) end)
    onward:connect("127.0.0.1", options.to, loop.guard(function(err)
      assert(not err, err)
      onward:read_start(loop.guard(function(_, data)
        if client:is_closing() then return end
        if data then client:write(data) else loop.close(client) end
      end))
      client:read_start(loop.guard(function(_, data)
        if onward:is_closing() then return end
        if data then onward:write(data) else loop.close(onward) end
      end))
      client:write(first)
    end))
  end
  tcp:listen(16, loop.guard(function()
    local client, text = uv.new_tcp(), ""
    tcp:accept(client)
    loop.cleanup(function() loop.close(client) end)
    client:read_start(loop.guard(function(_, data)
      if not data then return loop.close(client) end
      text = text .. data
      local head, rest = text:match "^(.-\r\n\r\n)(.*)$"
      if not head then return end
      local length = tonumber(head:match "Content%-Length: (%d+)") or 0
      if #rest < length then return end
      text = rest:sub(length + 1)
      proxy.heads[#proxy.heads + 1] = head
      if not head:find "^CONNECT" then
        client:write(options.handler(head, rest:sub(1, length)))
      elseif options.to then
        client:read_stop()
        relay(client, options.answer or "HTTP/1.1 200 Connection established\r\n\r\n")
      elseif options.answer == "" then
        loop.close(client)
      elseif options.answer then
        client:write(options.answer)
      end
    end))
  end))
  loop.cleanup(function() loop.close(tcp) end)
  return proxy
end

describe("a connection pool", function()
  setup(function()
    support.build()
    make_certificates()
  end)
  teardown(support.remove)
  after_each(loop.finish)

  describe("keeps a connection", function()
    it("no longer than the server does", function()
      local server
      server = support.listen(function(request, conn)
        answer(request, conn)
        loop.after(20, function() conn:close() end)
      end)
      local driver = start(server)
      for i = 1, 3 do
        call(driver, i)
        loop.sleep(50)
      end
      driver:finish()
      assert.equal(3, #server.connections)
    end)

    it("not when a response says so, or is of an older kind", function()
      for _, bytes in ipairs { json(result(1), "Connection: close"),
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n" .. result(1) } do
        local server = support.listen(function(_, conn) conn:send(bytes) end)
        local driver = start(server)
        call(driver, 1)
        call(driver, 1)
        driver:finish()
        assert.equal(2, #server.connections)
      end
    end)

    it("a second less than the server announces", function()
      local server = support.listen(function(request, conn)
        conn:send(json(result(id(request.body)), "Keep-Alive: max=100, timeout=1"))
      end)
      local driver = start(server)
      call(driver, 1)
      loop.sleep(100)
      call(driver, 2)
      assert.equal(1, #server.connections)
      server.connections[1]:wait_end(3000)
      call(driver, 3)
      loop.sleep(600) -- too old now, whether closed or not
      call(driver, 4)
      assert.equal(3, #server.connections)
      driver:finish()
    end)

    it("not once the request is answered before it was read", function()
      local uploads, listener = 0, uv.new_tcp()
      listener:bind("127.0.0.1", 0)
      local server = { url = "http://127.0.0.1:" .. listener:getsockname().port }
      listener:listen(8, loop.guard(function()
        local client = uv.new_tcp()
        listener:accept(client)
        loop.cleanup(function() loop.close(client) end)
        uploads = uploads + 1
        client:read_start(loop.guard(function(_, data)
          if not data then return loop.close(client) end
          client:read_stop()
          client:write(data:find "xxxx" and reply(413) or json(result(2)))
          loop.after(100, function() if not client:is_closing() then client:read_start(function() end) end end)
        end))
      end))
      loop.cleanup(function() loop.close(listener) end)
      local driver = start(server)
      driver:tell("send 0 r1 " .. ("x"):rep(10000000))
      local _, line = driver:until_line "failed 0 1 "
      assert.matches("^failed 0 1 ELIMIT 413 the message is too large for the server", line)
      call(driver, 2)
      assert.equal(2, uploads)
      driver:finish()
    end)
  end)

  describe("never sends a call twice", function()
    it("when the connection dies after it was written", function()
      for _, ending in ipairs { "close", "reset" } do
        local server = support.listen(function(request, conn, n)
          if n == 2 then conn[ending](conn) else answer(request, conn) end
        end)
        local driver = start(server)
        call(driver, 1)
        driver:tell("send 0 r2 " .. ping(2))
        driver:expect "failed 0 2 ECLOSED 0 the server closed the connection without a response"
        call(driver, 3)
        driver:finish()
        assert.equal(3, #server.requests)
      end
    end)

    it("nor on a connection that brought something else than the response", function()
      for _, wrong in ipairs { accepted(), reply(200, "text/html", "hello") } do
        local server = support.listen(function(request, conn, n)
          if n == 2 then conn:send(wrong) else answer(request, conn) end
        end)
        local driver = start(server)
        call(driver, 1)
        driver:tell("send 0 r2 " .. ping(2))
        assert.truthy(driver:line():find("^failed 0 2 EPROTOCOL"))
        call(driver, 3)
        driver:finish()
        assert.equal(2, #server.connections)
      end
    end)

    it("when a fresh connection dies", function()
      local server = support.listen(function(_, conn) conn:close() end)
      local driver = start(server)
      driver:tell("send 0 r2 " .. ping(2))
      driver:expect "failed 0 2 ECLOSED 0 the server closed the connection without a response"
      driver:finish()
      assert.equal(1, #server.requests)
    end)

    it("but once more when part of it never left", function()
      local listener, connections, bodies = uv.new_tcp(), 0, {}
      listener:bind("127.0.0.1", 0)
      local server = { url = "http://127.0.0.1:" .. listener:getsockname().port }
      listener:listen(8, loop.guard(function()
        local client, parts, got, length = uv.new_tcp(), {}, 0, nil
        listener:accept(client)
        loop.cleanup(function() loop.close(client) end)
        connections = connections + 1
        local first = connections == 1
        client:read_start(loop.guard(function(_, data)
          if not data then return loop.close(client) end
          if not length then
            local head, rest = data:match "^(.-)\r\n\r\n(.*)$"
            length, data = tonumber(head:match "Content%-Length: (%d+)"), rest
          end
          parts[#parts + 1], got = data, got + #data
          if got == length then
            bodies[#bodies + 1] = table.concat(parts)
            parts, got, length = {}, 0, nil
            client:write(json(result(#bodies)))
          elseif first then
            client:read_stop()
            loop.after(30, function() loop.close(client) end)
          end
        end))
      end))
      loop.cleanup(function() loop.close(listener) end)
      local driver = start(server)
      call(driver, 1)
      local body = '{"id":2,"x":"' .. ("x"):rep(10000000) .. '"}'
      driver:tell("send 0 r2 " .. body)
      driver:expect("message 0 2 " .. result(2), 10000)
      assert.equal(2, connections)
      assert.truthy(bodies[2] == body)
      driver:finish()
    end)

    it("but a GET, which changes nothing", function()
      local server = support.listen(function(request, conn, n)
        if n == 1 then
          conn:send(json(result(1)))
        elseif n == 2 then
          conn:send(accepted())
        elseif n == 3 then
          conn:close()
        elseif request.method == "GET" then
          conn:send(support.sse_head() .. support.chunk "data: hello\n\n")
        end
      end)
      local driver = start(server)
      driver:tell "send 0 i1 {}"
      driver:expect("message 0 1 " .. result(1))
      driver:tell "initialized 0 1 2025-06-18"
      driver:tell "send 0 n {}"
      local started = uv.hrtime()
      driver:expect "message 0 0 hello"
      assert.truthy((uv.hrtime() - started) / 1e6 < 500) -- no backoff between
      assert.equal(4, #server.requests)
      driver:finish()
    end)
  end)

  describe("gives up", function()
    it("a server that doesn't finish its TLS handshake", function()
      local server = support.listen(function() end)
      local driver = support.start { url = ("https://127.0.0.1:%d/"):format(server.port), connect_timeout = 150 }
      driver:tell("send 0 r1 " .. ping(1))
      assert.matches("^failed 0 1 ETIMEOUT 0 can't reach https://127%.0%.0%.1:%d+: ", driver:line())
      driver:finish()
    end)

    it("a name that doesn't exist", function()
      local driver = support.start { url = "http://nothing.invalid/" }
      driver:tell("send 0 r1 " .. ping(1))
      assert.matches("^failed 0 1 ECONNECT 0 can't reach http://nothing%.invalid: ", driver:line(15000))
      driver:finish()
    end)

    it("a response head without end", function()
      local server = support.listen(function(_, conn)
        conn:send("HTTP/1.1 200 OK\r\n" .. ("X-A: " .. ("x"):rep(1000) .. "\r\n"):rep(90))
      end)
      local driver = start(server)
      driver:tell("send 0 r1 " .. ping(1))
      assert.matches("^failed 0 1 EPROTOCOL 0 ", driver:line())
      driver:finish()
    end)

    it("whatever waits, when the server is away, and works when it is back", function()
      local port = http.free_port()
      local driver = support.start { url = ("http://127.0.0.1:%d/"):format(port), max_open = 2 }
      for i = 1, 5 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      for i = 1, 5 do assert.matches(("^failed 0 %d ECONNECT 0 "):format(i), driver:line()) end
      support.listen(answer, port)
      call(driver, 6)
      driver:finish()
    end)
  end)

  describe("goes through a proxy", function()
    local function proxied(options)
      options.handler = options.handler or function(_, body) return json(result(id(body))) end
      return proxy_listen(options)
    end

    it("in absolute form, with its password, for http", function()
      local proxy = proxied {}
      local driver = support.start { url = "http://upstream.example:8080/mcp?x", header = "Authorization: Bearer t",
        env = { http_proxy = ("http://us%%65r:p%%3Aw@127.0.0.1:%d"):format(proxy.port) } }
      call(driver, 1)
      call(driver, 2)
      local head = proxy.heads[1]
      assert.equal("POST http://upstream.example:8080/mcp?x HTTP/1.1\r\nHost: upstream.example:8080",
        head:match "^[^\r]*\r\n[^\r]*")
      assert.matches("\r\nProxy%-Authorization: Basic dXNlcjpwOnc=\r\n", head)
      assert.matches("\r\nAuthorization: Bearer t\r\n", head)
      assert.equal(head, proxy.heads[2])
      driver:finish()
    end)

    for _, case in ipairs {
      { "HTTP_PROXY in capitals", { HTTP_PROXY = "P" } },
      { "https_proxy for http", { https_proxy = "P", HTTPS_PROXY = "P" } },
      { "one that no_proxy excludes", { http_proxy = "P", no_proxy = "example.com, 127.0.0.1" } },
      { "one that NO_PROXY excludes", { all_proxy = "P", NO_PROXY = "127.0.0.0/8" } },
      { "an empty one", { http_proxy = "" } },
    } do
      it("but not " .. case[1], function()
        local proxy = proxied {}
        local server = support.listen(answer)
        for name, value in pairs(case[2]) do
          if value == "P" then case[2][name] = "http://127.0.0.1:" .. proxy.port end
        end
        local driver = start(server, { env = case[2] })
        call(driver, 1)
        assert.equal(0, #proxy.heads)
        driver:finish()
      end)
    end

    it("from all_proxy, without a scheme", function()
      local proxy = proxied {}
      local driver = support.start { url = "http://upstream.example/", env = { all_proxy = "127.0.0.1:" .. proxy.port } }
      call(driver, 1)
      assert.equal("POST http://upstream.example/ HTTP/1.1", proxy.heads[1]:match "^[^\r]*")
      driver:finish()
    end)

    it("by CONNECT for https, and keeps secrets apart", function()
      local server = tls_listen(tls_answer)
      local proxy = proxied { to = server.port }
      local driver = support.start { url = ("https://localhost:%d/mcp"):format(server.port), ca = certificates .. "/cert.pem",
        header = "Authorization: Bearer t", env = { https_proxy = ("http://u:p@127.0.0.1:%d"):format(proxy.port) } }
      call(driver, 1)
      call(driver, 2)
      assert.same({ ("CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\nProxy-Authorization: Basic dTpw\r\n\r\n"):format(
        server.port, server.port) }, proxy.heads)
      assert.matches("^POST /mcp HTTP/1.1\r\n", server.last)
      assert.matches("\r\nAuthorization: Bearer t\r\n", server.last)
      assert.is_nil(server.last:find "Proxy")
      driver:finish()
    end)

    for _, case in ipairs {
      { "that refuses", "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno",
        "ECONNECT 0 can't reach https://a.example through 127.0.0.1:PORT: the proxy refuses with status 407: it wants a user and a password" },
      { "that speaks first", "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "EPROTOCOL 0 can't reach https://a.example through 127.0.0.1:PORT: the proxy sent more than its answer" },
      { "that is none", "220 smtp\r\n\r\n",
        "EPROTOCOL 0 can't reach https://a.example through 127.0.0.1:PORT: the proxy's answer is not HTTP" },
      { "that hangs up", "",
        "ECONNECT 0 can't reach https://a.example through 127.0.0.1:PORT: the connection was closed before it was ready" },
      { "that says nothing", nil,
        "ETIMEOUT 0 can't reach https://a.example through 127.0.0.1:PORT: no answer through the proxy in time" },
    } do
      it("but not one " .. case[1], function()
        local proxy = proxied { answer = case[2] }
        local driver = support.start { url = "https://a.example/", connect_timeout = 300,
          env = { https_proxy = "http://127.0.0.1:" .. proxy.port } }
        driver:tell("send 0 r1 " .. ping(1))
        driver:expect("failed 0 1 " .. case[3]:gsub("PORT", proxy.port))
        driver:finish()
      end)
    end

    it("but none that isn't http", function()
      for proxy, why in pairs { ["socks5://127.0.0.1:1"] = "the environment's proxy is not an http:// URL",
        ["https://127.0.0.1:1"] = "the environment's proxy must be an http:// URL for an https:// server" } do
        local driver = support.start { url = "https://a.example/", env = { https_proxy = proxy }, bare = true }
        assert.equal("refused " .. why, driver.first)
        driver:ended()
      end
    end)
  end)

  describe("under TLS", function()
    it("carries calls to a server whose certificate it was told to trust", function()
      local server = tls_listen(tls_answer)
      local driver = support.start { url = ("https://localhost:%d/mcp"):format(server.port), ca = certificates .. "/cert.pem" }
      for i = 1, 3 do call(driver, i) end
      driver:finish()
      assert.equal(3, server.seen)
    end)

    it("carries big messages and events", function()
      local big = ("abcdefghij"):rep(100000)
      local server = tls_listen(function(_, send)
        send(support.sse_head() .. support.chunk("data: " .. big .. "\n\n")
          .. support.chunk("data: " .. result(1) .. "\n\n") .. support.last_chunk)
      end)
      local driver = support.start { url = ("https://127.0.0.1:%d/"):format(server.port), ca = certificates .. "/cert.pem" }
      driver:tell("send 0 r1 " .. big)
      local lines = driver:until_line("message 0 1 " .. result(1), 10000)
      assert.same({ "drain 0", ("message 0 1 long %d %s"):format(#big, support.sum(big)), "send 0 EFULL" }, lines)
      assert.equal(big, server.last:match "\r\n\r\n(.*)$")
      driver:finish()
    end)

    it("refuses one it wasn't, unless told not to look", function()
      local server = tls_listen(tls_answer)
      local url = ("https://localhost:%d/"):format(server.port)
      local driver = support.start { url = url }
      driver:tell("send 0 r1 " .. ping(1))
      assert.matches("^failed 0 1 %u+ 0 can't reach https://localhost:%d+: .*certificate", driver:line())
      driver:finish()
      driver = support.start { url = url, no_verify = 1 }
      call(driver, 1)
      driver:finish()
    end)
  end)
end)

describe("no_proxy", function()
  local lib = ffi_support.include "transport/http_client.h"

  local function covers(list, text)
    local url, why = ffi.new "struct ln_url", ffi.new "const char *[1]"
    local held = { ffi_support.str(text) }
    assert(lib.ln_url_parse(url, held[1], 0, why) == 0)
    held = { ffi_support.str(list) }
    local covered = lib.ln_http_no_proxy(held[1], url)
    lib.ln_url_deinit(url)
    return covered
  end

  it("covers these", function()
    for _, case in ipairs {
      { "*", "http://x/" }, { "a.com", "http://a.com/" }, { "A.com", "http://a.COM/" }, { "a.com", "http://b.a.com/" },
      { ".a.com", "http://b.a.com/" }, { ".a.com", "http://a.com/" }, { "*.a.com", "http://b.a.com/" }, { "x,a.com", "http://a.com/" },
      { "x  a.com", "http://a.com/" }, { ",, a.com ,", "http://a.com/" }, { "a.com:80", "http://a.com/" }, { "a.com:8080", "http://a.com:8080/" },
      { "127.0.0.1", "http://127.0.0.1:9/" }, { "::1", "http://[::1]/" }, { "[::1]", "http://[0::1]/" }, { "[::1]:80", "http://[::1]/" },
      { "10.0.0.0/8", "http://10.200.3.4/" }, { "10.128.0.0/9", "http://10.200.3.4/" }, { "fd00::/8", "http://[fd12::3]/" },
      { "0.0.0.0/0", "http://9.9.9.9/" }, { "1.2.3.4/32", "http://1.2.3.4/" },
    } do
      assert.is_true(covers(case[1], case[2]), case[1] .. " " .. case[2])
    end
  end)

  it("doesn't cover these", function()
    for _, case in ipairs {
      { "", "http://x/" }, { "a.com", "http://ba.com/" }, { "a.com", "http://a.com.b/" }, { "b.a.com", "http://a.com/" },
      { "a.com:81", "http://a.com/" }, { "a.com:", "http://a.com/" }, { "0.0.1", "http://127.0.0.1/" }, { "1", "http://127.0.0.1/" },
      { ".", "http://a/" }, { "*.", "http://a/" }, { "10.0.0.0/8", "http://11.0.0.1/" }, { "10.128.0.0/9", "http://10.1.3.4/" },
      { "10.0.0.0/33", "http://10.0.0.0/" }, { "10.0.0.0/", "http://10.0.0.0/" }, { "::/0", "http://1.2.3.4/" },
      { "x/8", "http://10.0.0.0/" }, { "[::1]:81", "http://[::1]/" },
    } do
      assert.is_false(covers(case[1], case[2]), case[1] .. " " .. case[2])
    end
  end)
end)
