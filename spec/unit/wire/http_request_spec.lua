-- src/wire/http_head.c and http_target.c: heads of requests (RFC 9112), what is taken and what
-- is refused. Every message is fed whole, byte by byte and in two at every place (checklist 12).
local feed = require "spec.unit.wire.feed"

local HOST = "Host: h\r\n"

local function request(text, options) return feed.message(text, options) end
--- The events of a head alone.
local function head(text, options)
  local out = request(text, options)
  assert.equal("end", out[#out])
  return out[1]
end
local function refused(text, status, options)
  local out = request(text, options)
  assert.equal(1, #out, table.concat(out, "\n"))
  local got, why = out[1]:match "^!(%d+) (.*)"
  assert.equal(tostring(status), got, out[1])
  return why
end
--- A request with these header lines besides Host.
local function with(lines, body) return "POST / HTTP/1.1\r\n" .. HOST .. lines .. "\r\n" .. (body or "") end
local function get(target, host, method)
  return ("%s %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(method or "GET", target, host or "h")
end

describe("request head", function()
  it("is taken apart", function()
    assert.same({
      "POST /mcp?x=1 @localhost:8080 1.1 keep 2",
      "  Host=localhost:8080",
      "  Content-Type=application/json; charset=utf-8",
      "  X-Empty=",
      "  X-Tab=a\tb",
      "  X-High=\195\164",
      "  CONTENT-LENGTH=2",
      "body {}",
      "end",
    }, request("POST /mcp?x=1 HTTP/1.1\r\nHost: localhost:8080\r\n"
      .. "Content-Type: \t application/json; charset=utf-8 \t\r\nX-Empty:\r\nX-Tab:a\tb\r\n"
      .. "X-High: \195\164\r\nCONTENT-LENGTH: 2\r\n\r\n{}", { headers = true }))
  end)

  it("comes one after the other on one connection", function()
    assert.same({
      "POST /a @h 1.1 keep 2", "body ab", "end",
      "GET /b @h 1.1 keep -", "end",
      "POST /c @h 1.1 keep chunked", "body xyz", "end",
      "DELETE /d @h 1.1 close -", "end", "eof",
    }, request("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
      .. "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"
      .. "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n"
      .. "DELETE /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", { eof = true }))
  end)

  it("may give its memory back between messages", function()
    local two = get "/a" .. get "/b"
    assert.same({ "GET /a @h 1.1 keep -", "end", "GET /b @h 1.1 keep -", "end" },
      feed.http(feed.cuts(two)[2], { release = true }))
  end)

  it("keeps its memory inside a message, whoever asks for it", function()
    local support = require "spec.support.ffi"
    local lib, h = feed.lib, support.ffi.new "struct ln_http"
    local live = lib.ln_bytes_live()
    lib.ln_http_init(h, lib.LN_HTTP_REQUEST, 4096, 0)
    local data, hold = support.str(get "/a")
    assert.equal(lib.LN_HTTP_HEAD, tonumber(lib.ln_http_next(h, data)))
    assert.truthy(hold)
    lib.ln_http_release(h)
    assert.equal("/a", support.tostring(h.head.target))
    assert.equal(lib.LN_HTTP_END, tonumber(lib.ln_http_next(h, data)))
    assert.equal("/a", support.tostring(h.head.target))
    assert.equal(live + 1, lib.ln_bytes_live())
    lib.ln_http_release(h)
    assert.equal(live, lib.ln_bytes_live())
    lib.ln_http_deinit(h)
  end)

  it("lets any token be a method", function()
    assert.equal("get / @h 1.1 keep -", head(get("/", "h", "get")))
    assert.equal("M-SEARCH! / @h 1.1 keep -", head(get("/", "h", "M-SEARCH!")))
  end)

  it("tolerates one empty line before it, not two", function()
    assert.equal("GET / @h 1.1 keep -", head("\r\n" .. get "/"))
    local two = request(get "/" .. "\r\n" .. get "/")
    assert.same({ "GET / @h 1.1 keep -", "end", "GET / @h 1.1 keep -", "end" }, two)
    assert.equal(4, #request(("\r\n" .. get "/"):rep(2)))
    refused("\r\n\r\n" .. get "/", 400)
    refused("\n" .. get "/", 400)
    refused("\r" .. get "/", 400)
    assert.same({ "eof" }, request("\r\n", { eof = true }))
  end)

  describe("line ends", function()
    it("are CRLF and nothing else", function()
      refused("GET / HTTP/1.1\nHost: h\r\n\r\n", 400)
      refused("GET / HTTP/1.1\r\nHost: h\n\r\n", 400)
      refused("GET / HTTP/1.1\r\nHost: h\r\n\n", 400)
      refused("GET / HTTP/1.1\r\nHost: h\n\n", 400)
      refused("GET / HTTP/1.1\rHost: h\r\n\r\n", 400)
      refused("GET / HTTP/1.1\r\nHost: h\r\rX: y\r\n\r\n", 400)
      refused(with "X: a\rb\r\n", 400)
      refused(with "X: a\nTransfer-Encoding: chunked\r\n", 400)
      refused(with "X: a\r\r\n", 400)
    end)

    it("don't fold", function()
      assert.truthy(refused(with "X: a\r\n b\r\n", 400):find "white space at a line's start")
      refused(with "X: a\r\n\tb\r\n", 400)
      refused(with "Content-Length:\r\n 5\r\n", 400)
      refused("GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400)
      refused("GET / HTTP/1.1\r\n\tHost: h\r\n\r\n", 400)
      refused(" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400)
    end)
  end)

  it("has no control byte anywhere, NUL and DEL included", function()
    for b = 0, 255 do
      local c = string.char(b)
      local bad = (b < 0x20 and b ~= 9) or b == 0x7f
      local value = feed.http { with("X: a" .. c .. "b\r\n") }
      assert.equal(bad, value[1]:sub(1, 4) == "!400", "in a value: " .. b)
      local name = feed.http { with("X" .. c .. "y: a\r\n") }
      local token = c:find "[%w!#$%%&'*+.^_`|~:-]" ~= nil
      assert.equal(not token, name[1]:sub(1, 4) == "!400", "in a name: " .. b)
      local target = feed.http { get("/" .. c) }
      assert.equal(b <= 0x20 or b >= 0x7f or c == "#", target[1]:sub(1, 4) == "!400", "in a target: " .. b)
      local method = feed.http { get("/", "h", "G" .. c) }
      assert.equal(not (token and c ~= ":"), method[1]:sub(1, 4) == "!400", "in a method: " .. b)
    end
    assert.truthy(refused(with "X: a\0b\r\n", 400):find "a control byte")
    assert.truthy(refused(with "X: a\nb\r\n", 400):find "a bare LF")
    refused(with "\0: a\r\n", 400)
  end)

  it("has no control byte wherever in a long value it is, whatever is around it", function()
    for _, around in ipairs { "a", " ", "~", "\128", "\255", "\160" } do
      for at = 0, 24 do
        for b = 0, 255 do
          local value = "x" .. around:rep(at) .. string.char(b) .. around:rep(24 - at) .. "x"
          local bad = (b < 0x20 and b ~= 9) or b == 0x7f
          local out = feed.http { with("X: " .. value .. "\r\n") }
          if bad ~= (out[1]:sub(1, 4) == "!400") then error(("byte %d at %d"):format(b, at)) end
        end
      end
    end
  end)

  it("has names that are tokens, right before the colon", function()
    assert.truthy(refused(with "X : a\r\n", 400):find "before a colon")
    refused(with "X\t: a\r\n", 400)
    refused(with "Content-Length : 5\r\n", 400)
    refused(with "Transfer-Encoding : chunked\r\n", 400)
    assert.truthy(refused(with ": a\r\n", 400):find "without a name")
    assert.truthy(refused(with "X\r\n", 400):find "without a colon")
    refused(with "X Y: a\r\n", 400)
    refused(with "(x): a\r\n", 400)
    refused(with "\"x\": a\r\n", 400)
    refused(with "\195\164: a\r\n", 400)
    refused(with "Transfer-Encoding\255: chunked\r\n", 400)
  end)

  describe("request line", function()
    it("has single spaces", function()
      refused("GET  / HTTP/1.1\r\n" .. HOST .. "\r\n", 400)
      refused("GET /  HTTP/1.1\r\n" .. HOST .. "\r\n", 400)
      refused("GET / HTTP/1.1 \r\n" .. HOST .. "\r\n", 400)
      refused("GET\t/ HTTP/1.1\r\n" .. HOST .. "\r\n", 400)
      refused("GET /\tHTTP/1.1\r\n" .. HOST .. "\r\n", 400)
      refused("GET / x HTTP/1.1\r\n" .. HOST .. "\r\n", 400)
    end)

    it("has all three parts, and is refused as soon as it ends without", function()
      refused("GET\r\n", 400)
      refused("GET /\r\n", 400)
      refused("GET  HTTP/1.1\r\n", 400)
      refused(" / HTTP/1.1\r\n", 400)
      refused("/ HTTP/1.1\r\n", 400)
      refused("HELO there\r\n", 400)
      refused("SSH-2.0-OpenSSH_9.9\r\n", 400)
      refused("\22\3\1\2\0\1\0\1\252\3\3", 400)
    end)

    it("is of version 1.1 or 1.0", function()
      for v, status in pairs {
        ["HTTP/2.0"] = 505, ["HTTP/1.2"] = 505, ["HTTP/1.9"] = 505, ["HTTP/0.9"] = 505,
        ["HTTP/3.0"] = 505, ["HTTP/2"] = 400, ["HTTP/1.10"] = 400, ["HTTP/01.1"] = 400,
        ["http/1.1"] = 400, ["HTTP/1.1x"] = 400, ["HTTP/1,1"] = 400, ["HTTP/1."] = 400,
        ["HTTP/ 1.1"] = 400, ["HTTP/x.1"] = 400, ["HTTP/1.x"] = 400, ["HTTPS/1.1"] = 400,
        ["RTSP/1.0"] = 400,
      } do
        refused("GET / " .. v .. "\r\n", status)
      end
    end)

    it("refuses HTTP/2 without a word of it", function()
      refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4", 505)
    end)
  end)

  describe("target", function()
    it("is given as path and query", function()
      assert.equal("GET /a/%2e?b=c&d @h 1.1 keep -", head(get "/a/%2e?b=c&d"))
      assert.equal("GET //x @h 1.1 keep -", head(get "//x"))
    end)

    it("in absolute form must name the host that Host names", function()
      assert.equal("GET /a?b @h:80 1.1 keep -", head(get("http://h:80/a?b", "h:80")))
      assert.equal("GET / @H 1.1 keep -", head(get("HTTP://H", "h")))
      assert.equal("GET / @h 1.1 keep -", head(get("https://h/", "h")))
      assert.equal("GET / @[::1]:80 1.1 keep -", head(get("http://[::1]:80/", "[::1]:80")))
      assert.equal("OPTIONS * @h 1.1 keep -", head(get("http://h", "h", "OPTIONS")))
      assert.equal("OPTIONS / @h 1.1 keep -", head(get("http://h/", "h", "OPTIONS")))
      assert.equal("GET /x @h 1.0 close -", head("GET http://h/x HTTP/1.0\r\n\r\n"))
      assert.truthy(refused(get("http://evil/", "h"), 400):find "another authority")
      refused(get("http://h:80/", "h"), 400)
      refused("GET http://h/ HTTP/1.1\r\n\r\n", 400)
    end)

    it("in absolute form has no user, a host, and a scheme we speak", function()
      refused(get "http://user@h/", 400)
      refused(get("http://user@h/", "user@h"), 400)
      refused(get "http://h@evil/", 400)
      refused(get "http:///", 400)
      refused(get "http://", 400)
      refused(get "http:/h/", 400)
      refused(get "http:h", 400)
      refused(get "ftp://h/", 400)
      refused(get "ws://h/", 400)
      refused(get "file:///etc", 400)
      refused(get "http://h?x", 400)
      refused(get "http://h\\@evil/", 400)
    end)

    it("has no fragment", function()
      refused(get "/a#b", 400)
      refused(get "#", 400)
      refused(get "http://h/#x", 400)
    end)

    it("is an asterisk for OPTIONS only", function()
      assert.equal("OPTIONS * @h 1.1 keep -", head(get("*", "h", "OPTIONS")))
      refused(get("*", "h", "GET"), 400)
      refused(get("**", "h", "OPTIONS"), 400)
      refused(get("*/", "h", "OPTIONS"), 400)
    end)

    it("is an authority for CONNECT only, whose connection ends", function()
      assert.equal("CONNECT h:443 @h:443 1.1 close -", head(get("h:443", "h:443", "CONNECT")))
      assert.equal("CONNECT h:443 @h:443 1.0 close -",
        head "CONNECT h:443 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      refused(get("h:443", "h:80", "CONNECT"), 400)
      refused(get("h", "h", "CONNECT"), 400)
      refused(get("/", "h", "CONNECT"), 400)
      refused(get("http://h:443/", "h:443", "CONNECT"), 400)
      refused(get("u@h:443", "h:443", "CONNECT"), 400)
      refused(get("h:443", "h:443", "GET"), 400)
      refused(get("h", "h", "GET"), 400)
      refused("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\n\r\nx", 400)
      refused("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n", 400)
    end)
  end)

  describe("Host", function()
    it("is there once", function()
      refused("GET / HTTP/1.1\r\n\r\n", 400)
      refused("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400)
      refused("GET / HTTP/1.1\r\nHost: h\r\nhost: evil\r\n\r\n", 400)
      refused("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n", 400)
      assert.equal("GET / @- 1.0 close -", head "GET / HTTP/1.0\r\n\r\n")
    end)

    it("is a host and perhaps a port", function()
      for _, good in ipairs {
        "h", "H.example", "a-b_c.~d", "127.0.0.1", "127.0.0.1:8080", "h:0", "h:65535", "[::1]",
        "[::1]:80", "[::ffff:1.2.3.4]:1", "xn--nxasmq6b.example",
      } do
        assert.equal("GET / @" .. good .. " 1.1 keep -", head(get("/", good)))
      end
      for _, bad in ipairs {
        "", "h:", ":80", "h:80:80", "h:65536", "h:99999999999", "h:-1", "h:8o", "h h", "h,evil",
        "u@h", "h/x", "h?x", "h#x", "h\\x", "http://h", "%68", "[::1", "::1]", "[]", "[]:80",
        "[::1]x", "[::1]:", "[x]", "[::1%25eth0]", "h\tx", "\195\164", "h;x", "(h)", "[::1][::1]",
      } do
        refused(get("/", bad), 400)
      end
    end)
  end)

  describe("connection", function()
    it("is kept by default in 1.1 and closed in 1.0", function()
      local function says(version, lines)
        return (head(("GET / HTTP/1.%d\r\n%s%s\r\n"):format(version, HOST, lines)):match "1%.%d (%w+)")
      end
      assert.equal("keep", says(1, ""))
      assert.equal("close", says(0, ""))
      assert.equal("close", says(1, "Connection: close\r\n"))
      assert.equal("close", says(1, "connection: CLOSE\r\n"))
      assert.equal("close", says(1, "Connection: x, Close ,y\r\n"))
      assert.equal("close", says(1, "Connection: keep-alive\r\nConnection: close\r\n"))
      assert.equal("close", says(1, "Connection: close, keep-alive\r\n"))
      assert.equal("keep", says(1, "Connection: keep-alive\r\n"))
      assert.equal("keep", says(1, "Connection: enclose\r\n"))
      assert.equal("keep", says(1, "Connection:\r\n"))
      assert.equal("keep", says(0, "Connection: Keep-Alive\r\n"))
      assert.equal("keep", says(0, "Connection: x,keep-alive\r\n"))
      assert.equal("close", says(0, "Connection: keep-alive, close\r\n"))
    end)
  end)

  it("says when it waits for 100 Continue, and then only with a body", function()
    local function expects(lines, version)
      return feed.http({ ("POST / HTTP/1.%d\r\n%s%s\r\n"):format(version or 1, HOST, lines) })[1]:find "expect" ~= nil
    end
    assert.is_true(expects "Expect: 100-continue\r\nContent-Length: 5\r\n")
    assert.is_true(expects "expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n")
    assert.is_false(expects "Expect: 100-continue\r\n")
    assert.is_false(expects "Expect: 100-continue\r\nContent-Length: 0\r\n")
    assert.is_false(expects "Expect: something\r\nContent-Length: 5\r\n")
    assert.is_false(expects("Expect: 100-continue\r\nContent-Length: 5\r\n", 0))
  end)

  describe("limits", function()
    it("bound the whole head, to the byte", function()
      local text = with("X: " .. ("y"):rep(50) .. "\r\n")
      assert.equal("POST / @h 1.1 keep -", head(text, { max_head = #text }))
      refused(text, 431, { max_head = #text - 1 })
      refused(text, 431, { max_head = 30 })
    end)

    it("call a request line that is too long by its name", function()
      refused(get("/" .. ("x"):rep(100)), 414, { max_head = 64 })
      refused(("x"):rep(100), 414, { max_head = 64 })
    end)

    it("bound the number of headers", function()
      assert.equal("POST / @h 1.1 keep -", head(with(("X: y\r\n"):rep(95))))
      refused(with(("X: y\r\n"):rep(96)), 431)
    end)

    it("hold for each head, not for all", function()
      local text = with("X: " .. ("y"):rep(50) .. "\r\n")
      local out = request(text:rep(3), { max_head = #text })
      assert.equal(6, #out)
      assert.equal("end", out[6])
    end)
  end)

  it("cut off by the connection's end is an error", function()
    local text = get "/"
    for i = 1, #text - 1 do
      assert.same({ "!400 ECLOSED the connection was closed inside a message" },
        feed.http({ text:sub(1, i) }, { eof = true }))
    end
    assert.same({ "eof" }, feed.http({}, { eof = true }))
    assert.same({ "!400 ECLOSED the connection was closed inside a message" },
      feed.http({ "\r" }, { eof = true }))
  end)

  it("gives nothing after an error", function()
    assert.same({ "!400 ESYNTAX no Host" }, request("GET / HTTP/1.1\r\n\r\n" .. get "/", { eof = true }))
  end)
end)
