-- src/wire/http.c and the framing half of http_head.c: where a body begins and ends, and all
-- the ways to make two readers disagree about it.
local feed = require "spec.unit.wire.feed"

local function with(lines, body)
  return "POST / HTTP/1.1\r\nHost: h\r\n" .. lines .. "\r\n" .. (body or "")
end
local function chunked(body, options)
  return feed.message(with("Transfer-Encoding: chunked\r\n", body), options)
end
local function refused(out, status)
  local last = out[#out]
  assert.equal(("!%d"):format(status), last:sub(1, 4), table.concat(out, "\n"))
  return last
end
local function refuse(lines, status, body) return refused(feed.message(with(lines, body)), status) end

describe("Content-Length", function()
  it("bounds the body; the next byte is another message", function()
    assert.same({ "POST / @h 1.1 keep 3", "body abc", "end", "!400 ESYNTAX a request line without a target" },
      feed.message(with("Content-Length: 3\r\n", "abcd\r\n")))
  end)

  it("may be nothing, or not there", function()
    assert.same({ "POST / @h 1.1 keep 0", "end" }, feed.message(with "Content-Length: 0\r\n"))
    assert.same({ "POST / @h 1.1 keep -", "end" }, feed.message(with ""))
  end)

  it("is there once", function()
    assert.truthy(refuse("Content-Length: 3\r\nContent-Length: 3\r\n", 400, "abc"):find "twice")
    refuse("Content-Length: 3\r\nContent-Length: 4\r\n", 400)
    refuse("Content-Length: 3\r\ncontent-length:\r\n", 400)
  end)

  it("is plain digits", function()
    for _, bad in ipairs {
      "", "5, 5", "5,5", "5 5", "+5", "-5", "-0", "0x5", "5.0", "5e0", "five", "5;", '"5"', "05", "00",
      "0000000000000000000000000000005", "9223372036854775808", "18446744073709551617",
      "99999999999999999999999999999999999999", "5\195\160", "\217\165",
    } do
      refuse("Content-Length: " .. bad .. "\r\n", 400, "hello")
    end
    assert.equal("POST / @h 1.1 keep 999999999999999999",
      feed.http({ with "Content-Length: 999999999999999999\r\n" })[1])
  end)

  it("has no tab beside it: some see no header there", function()
    refuse("Content-Length:\t5\r\n", 400, "hello")
    refuse("Content-Length: 5\t\r\n", 400, "hello")
    assert.same({ "POST / @h 1.1 keep 5", "body hello", "end" },
      feed.message(with("Content-Length:   5  \r\n", "hello")))
    assert.same({ "POST / @h 1.1 keep 5", "body hello", "end" },
      feed.message(with("Content-Length:5\r\n", "hello")))
  end)

  it("over the limit is refused before the body", function()
    assert.same({ "!413 ELIMIT the body is too big" },
      feed.message(with("Content-Length: 6\r\n", "123456"), { max_body = 5 }))
    assert.same({ "POST / @h 1.1 keep 5", "body 12345", "end" },
      feed.message(with("Content-Length: 5\r\n", "12345"), { max_body = 5 }))
  end)

  it("not reached when the connection ends is an error", function()
    refused(feed.message(with("Content-Length: 5\r\n", "1234"), { eof = true }), 400)
    assert.same({ "POST / @h 1.1 keep 5", "body 12345", "end", "eof" },
      feed.message(with("Content-Length: 5\r\n", "12345"), { eof = true }))
  end)

  it("ends a message that was read but for its END when the connection ends", function()
    local lib, ffi = feed.lib, require("spec.support.ffi").ffi
    local h = ffi.new "struct ln_http"
    lib.ln_http_init(h, lib.LN_HTTP_REQUEST, 4096, 0)
    local data, hold = require("spec.support.ffi").str(with "")
    assert.equal(lib.LN_HTTP_HEAD, tonumber(lib.ln_http_next(h, data)))
    assert.truthy(hold)
    assert.equal(lib.LN_HTTP_END, tonumber(lib.ln_http_eof(h)))
    assert.equal(lib.LN_HTTP_MORE, tonumber(lib.ln_http_eof(h)))
    lib.ln_http_deinit(h)
  end)
end)

describe("Transfer-Encoding", function()
  it("is chunked, in any case", function()
    for _, good in ipairs { "chunked", "Chunked", "CHUNKED", " chunked  " } do
      assert.same({ "POST / @h 1.1 keep chunked", "body a", "end" },
        feed.message(with("Transfer-Encoding:" .. good .. "\r\n", "1\r\na\r\n0\r\n\r\n")))
    end
  end)

  it("of any other kind is refused", function()
    for _, bad in ipairs {
      "identity", "gzip", "chunked, identity", "identity, chunked", "gzip, chunked", "chunked, chunked",
      "chunked,", ",chunked", "xchunked", "chunkedx", "chunked;x=1", '"chunked"', "chunk", "", "x",
      "chunked chunked", "cow", "chun\195\159ed", "chunke\196\143",
    } do
      refuse("Transfer-Encoding: " .. bad .. "\r\n", 501)
    end
  end)

  it("has no tab beside it", function()
    refuse("Transfer-Encoding:\tchunked\r\n", 400)
    refuse("Transfer-Encoding: chunked\t\r\n", 400)
    refuse("Transfer-Encoding: chunked \t\r\n", 400)
    refuse("Transfer-Encoding: \11chunked\r\n", 400)
    refuse("Transfer-Encoding: chunked\12\r\n", 400)
  end)

  it("is there once", function()
    assert.truthy(refuse("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400):find "twice")
    refuse("Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n", 400)
    refuse("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", 400)
  end)

  it("never comes with Content-Length, whichever is first", function()
    assert.truthy(refuse("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400, "0\r\n\r\nG"):find "together")
    refuse("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400)
    refuse("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400)
    refuse("Content-Length: 5\r\nTransfer-Encoding: identity\r\n", 400)
  end)

  it("doesn't come in HTTP/1.0", function()
    refused(feed.message "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)
  end)
end)

describe("chunked body", function()
  local HEAD = "POST / @h 1.1 keep chunked"

  it("is put together from its chunks", function()
    assert.same({ HEAD, "body hello, world", "end" },
      chunked "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n")
    assert.same({ HEAD, "end" }, chunked "0\r\n\r\n")
    assert.same({ HEAD, "body " .. ("x"):rep(26), "end" },
      chunked("1a\r\n" .. ("x"):rep(26) .. "\r\n000\r\n\r\n"))
    assert.same({ HEAD, "body 0123456789", "end" }, chunked "0A\r\n0123456789\r\n0\r\n\r\n")
    for digit in ("9AFaf"):gmatch "." do
      local data = ("x"):rep(tonumber(digit, 16))
      assert.same({ HEAD, "body " .. data, "end" }, chunked(digit .. "\r\n" .. data .. "\r\n0\r\n\r\n"))
    end
    assert.same({ HEAD, "body \r\n0\r\n\r\n", "end" }, chunked "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n")
  end)

  it("ends where its last chunk does", function()
    assert.same({ HEAD, "end", "GET /b @h 1.1 keep -", "end" },
      chunked "0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n")
  end)

  it("has sizes of hexadecimal digits only", function()
    for _, bad in ipairs {
      "", " 5", "5 ", "\t5", "0x5", "+5", "-5", "5h", "g", "5,5", "5\0", "5\t", "5 ;x", ".5", "\195\165",
    } do
      refused(chunked(bad .. "\r\nhello\r\n0\r\n\r\n"), 400)
    end
    refused(chunked ";x\r\nhello\r\n0\r\n\r\n", 400)
    refused(chunked "\r\n\r\n", 400)
    refused(chunked ";\r\n\r\n", 400)
    refused(chunked "5 \nhello\r\n0\r\n\r\n", 400)
    refused(chunked "5x\nhello\r\n0\r\n\r\n", 400)
    refused(chunked "@\r\n\r\n", 400)
    refused(chunked "G\r\n\r\n", 400)
    refused(chunked "`\r\n\r\n", 400)
    refused(chunked "/\r\n\r\n", 400)
    refused(chunked ":\r\n\r\n", 400)
  end)

  it("has sizes that are counted", function()
    assert.same({ HEAD, "body a", "end" }, chunked "0000000000000001\r\na\r\n0\r\n\r\n")
    refused(chunked "00000000000000001\r\na\r\n0\r\n\r\n", 400)
    refused(chunked "8000000000000000\r\na", 400)
    refused(chunked "ffffffffffffffff\r\na", 400)
    refused(chunked "10000000000000001\r\na", 400)
    assert.same({ HEAD, "body a" }, chunked "7fffffffffffffff\r\na")
  end)

  it("has CRLF after sizes and data", function()
    refused(chunked "5\nhello\r\n0\r\n\r\n", 400)
    refused(chunked "5\rhello\r\n0\r\n\r\n", 400)
    refused(chunked "5\rXhello\r\n0\r\n\r\n", 400)
    refused(chunked "5\r\nhelloX\n0\r\n\r\n", 400)
    refused(chunked "5\r\nhello\rX0\r\n\r\n", 400)
    refused(chunked "0\rX\r\n", 400)
    refused(chunked "0\r\nX: y\rX\r\n", 400)
    refused(chunked "5\r\r\nhello\r\n0\r\n\r\n", 400)
    refused(chunked "5\r\nhello\n0\r\n\r\n", 400)
    refused(chunked "5\r\nhello\r0\r\n\r\n", 400)
    refused(chunked "5\r\nhello0\r\n\r\n", 400)
    refused(chunked "5\r\nhellox\r\n0\r\n\r\n", 400)
    refused(chunked "5\r\nhello\r\n\r\n0\r\n\r\n", 400)
    refused(chunked "0\n\r\n", 400)
    refused(chunked "0\r\n\n", 400)
    refused(chunked "0\r\n\rx", 400)
    refused(chunked "0\r\nGET / HTTP/1.1\r\n\r\n", 400)
  end)

  it("may have extensions, short and clean", function()
    assert.same({ HEAD, "body hello", "end" }, chunked '5;a=b;c="d e~"\r\nhello\r\n0;x\r\n\r\n')
    assert.same({ HEAD, "body a", "end" }, chunked("1;" .. ("x"):rep(256) .. "\r\na\r\n0\r\n\r\n"))
    refused(chunked("1;" .. ("x"):rep(257) .. "\r\na\r\n0\r\n\r\n"), 400)
    refused(chunked "1;a\nb\r\na\r\n0\r\n\r\n", 400)
    refused(chunked "1;\n\r\na\r\n0\r\n\r\n", 400)
    refused(chunked "1;a\rb\r\na\r\n0\r\n\r\n", 400)
    refused(chunked "1;a\0\r\na\r\n0\r\n\r\n", 400)
    refused(chunked "1;a\127\r\na\r\n0\r\n\r\n", 400)
    refused(chunked "1;a\195\164\r\na\r\n0\r\n\r\n", 400)
    refused(chunked '1;a="x\r\ny"\r\na\r\n0\r\n\r\n', 400)
  end)

  it("may have trailers, which are checked and dropped", function()
    assert.same({ HEAD, "  Host=h", "  Transfer-Encoding=chunked", "body a", "end", "GET / @h 1.1 keep -",
      "  Host=h", "end" },
      chunked("1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\nEmpty:\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        { headers = true }))
    refused(chunked "0\r\nX: a\nb\r\n\r\n", 400)
    refused(chunked "0\r\nX: a\0\r\n\r\n", 400)
    refused(chunked "0\r\nX: a\rb\r\n\r\n", 400)
    refused(chunked "0\r\nX : a\r\n\r\n", 400)
    refused(chunked "0\r\n: a\r\n\r\n", 400)
    refused(chunked "0\r\nX\r\n\r\n", 400)
    refused(chunked "0\r\n X: a\r\n\r\n", 400)
    refused(chunked "0\r\nX: a\r\n b\r\n\r\n", 400)
  end)

  it("bounds its trailers like a head", function()
    local options = { max_head = 100 }
    assert.same({ HEAD, "end" }, chunked("0\r\nX: " .. ("y"):rep(93) .. "\r\n\r\n", options))
    refused(chunked("0\r\nX: " .. ("y"):rep(94) .. "\r\n\r\n", options), 431)
    refused(chunked("0\r\n" .. ("X: y\r\n"):rep(20) .. "\r\n", options), 431)
    assert.same({ HEAD, "end" },
      chunked("0;" .. ("x"):rep(50) .. "\r\nX: " .. ("y"):rep(93) .. "\r\n\r\n", options))
  end)

  it("over the limit is refused before the chunk that is too much", function()
    local options = { max_body = 6 }
    assert.same({ HEAD, "body 123456", "end" }, chunked("3\r\n123\r\n3\r\n456\r\n0\r\n\r\n", options))
    assert.same({ HEAD, "body 123", "!413 ELIMIT the body is too big" },
      chunked("3\r\n123\r\n4\r\n4567\r\n0\r\n\r\n", options))
    assert.same({ HEAD, "!413 ELIMIT the body is too big" }, chunked("7fffffffffffffff\r\n", options))
  end)

  it("cut off by the connection's end is an error", function()
    local body = "3\r\nabc\r\n0;x\r\nY: z\r\n\r\n"
    for i = 0, #body - 1 do
      local out = chunked(body:sub(1, i), { eof = true })
      assert.equal("!400 ECLOSED the connection was closed inside a message", out[#out])
    end
    local out = chunked(body, { eof = true })
    assert.same({ HEAD, "body abc", "end", "eof" }, out)
  end)
end)
