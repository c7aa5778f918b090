-- src/wire/http_head.c and http.c for responses: which have a body, and of what length.
local feed = require "spec.unit.wire.feed"

local function response(text, options)
  options = options or {}
  options.kind = "response"
  return feed.message(text, options)
end
local function refused(text, options)
  local out = response(text, options)
  assert.equal("!0", out[#out]:sub(1, 2), table.concat(out, "\n"))
  return out[#out]
end

describe("response", function()
  it("is taken apart", function()
    assert.same({ "200 1.1 keep 2", "  Content-Type=application/json", "  Mcp-Session-Id=a b",
      "  content-length=2", "body {}", "end" },
      response("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: a b\r\n"
        .. "content-length: 2\r\n\r\n{}", { headers = true }))
  end)

  it("comes one after the other on one connection", function()
    assert.same({ "202 1.1 keep 0", "end", "200 1.1 keep chunked", "body data: x\n\n", "end", "404 1.1 keep 1",
      "body -", "end", "eof" },
      response("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        .. "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r\n0\r\n\r\n"
        .. "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n-", { eof = true }))
  end)

  it("may have any reason, or none", function()
    for _, reason in ipairs { " OK", " ", "", " Not \195\164 word\t(really)", "  two spaces" } do
      assert.same({ "200 1.1 keep 0", "end" },
        response("HTTP/1.1 200" .. reason .. "\r\nContent-Length: 0\r\n\r\n"))
    end
  end)

  it("has any status of three digits", function()
    for _, status in ipairs { 200, 299, 431, 505, 599, 999 } do
      assert.same({ status .. " 1.1 keep 0", "end" },
        response(("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"):format(status)))
    end
  end)

  it("has a status line", function()
    for _, bad in ipairs {
      "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1 200OK", "HTTP/1.1  200 OK", "HTTP/1.1 099",
      "HTTP/1.1 000", "HTTP/1.1 2x0 OK", "HTTP/1.1 -20 OK", "HTTP/1.1\t200 OK", "HTTP/2.0 200 OK", "HTTP/1.2 200 OK",
      "HTTP/0.9 200 OK", "http/1.1 200 OK", "HTTP/1.10 200 OK", "ICY 200 OK", "GET / HTTP/1.1", " HTTP/1.1 200 OK",
      "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\127K",
    } do
      refused(bad .. "\r\n")
    end
    refused "HTTP/1.1 200 OK\n\n"
    refused "\r\nHTTP/1.1 200 OK\r\n"
    refused "HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n"
  end)

  it("lasts until the close when nothing says how long it is", function()
    assert.same({ "200 1.1 close until-close", "body abc", "end", "eof" },
      (function()
        local out = response("HTTP/1.1 200 OK\r\n\r\nabc", { eof = true })
        out[#out + 1] = "eof"
        return out
      end)())
    assert.same({ "200 1.0 close until-close", "end" },
      response("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", { eof = true }))
  end)

  it("bounds what lasts until the close", function()
    local text = "HTTP/1.1 200 OK\r\n\r\n123456"
    assert.same({ "200 1.1 close until-close", "body 123456", "end" }, response(text, { eof = true, max_body = 6 }))
    assert.same({ "200 1.1 close until-close", "body 12345", "!0 ELIMIT the body is too big" },
      response(text, { eof = true, max_body = 5 }))
  end)

  it("has no body to HEAD, 204 and 304, whatever it says", function()
    local two = "HTTP/1.1 %s\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert.same({ "304 1.1 keep 5", "end", "200 1.1 keep 5" }, response(two:format "304 Not Modified"))
    assert.same({ "200 1.1 keep 5", "end", "200 1.1 keep 5", "end" },
      response(two:format "200 OK", { head_only = true, max_body = 1 }))
    assert.same({ "200 1.1 keep chunked", "end" },
      response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", { head_only = true }))
    assert.same({ "200 1.1 keep -", "end" }, response("HTTP/1.1 200 OK\r\n\r\n", { head_only = true }))
    assert.same({ "304 1.1 keep -", "end" }, response "HTTP/1.1 304 Not Modified\r\n\r\n")
    assert.same({ "204 1.1 keep -", "end" }, response "HTTP/1.1 204 No Content\r\n\r\n")
    assert.same({ "204 1.1 keep 0", "end" }, response "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
  end)

  it("that is a 204 but announces a body isn't trusted with another message", function()
    assert.same({ "204 1.1 close 5", "end" }, response "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
    assert.same({ "204 1.1 close chunked", "end" },
      response "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")
  end)

  it("skips informational ones, but not without end", function()
    local continue = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    local final = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert.same({ "200 1.1 keep 0", "  Content-Length=0", "end" }, response(continue .. final, { headers = true }))
    assert.same({ "200 1.1 keep 0", "end" }, response(continue:rep(8) .. final))
    assert.same({ "200 1.1 keep 0", "end", "200 1.1 keep 0", "end" },
      response(continue:rep(8) .. final .. continue:rep(8) .. final))
    refused(continue:rep(9) .. final)
    assert.same({ "eof" }, response("HTTP/1.1 100 Continue\r\n\r\n", { eof = true, max_head = 30 }))
    refused "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"
    refused "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    refused "HTTP/1.1 101 Switching Protocols\r\n"
  end)

  it("is framed as strictly as a request", function()
    local ok = "HTTP/1.1 200 OK\r\n"
    refused(ok .. "Content-Length: 1\r\nContent-Length: 1\r\n\r\na")
    refused(ok .. "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
    refused(ok .. "Transfer-Encoding: gzip, chunked\r\n\r\n")
    refused(ok .. "Transfer-Encoding: identity\r\n\r\n")
    refused(ok .. "Content-Length: 1, 1\r\n\r\na")
    refused(ok .. "X: a\r\n b\r\n\r\n")
    refused(ok .. "X : a\r\n\r\n")
    refused "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    refused(ok .. "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", { head_only = true })
    refused(ok .. "Content-Length: 6\r\n\r\n123456", { max_body = 5 })
    refused(ok .. "X: " .. ("y"):rep(100) .. "\r\n", { max_head = 100 })
  end)

  it("keeps its connection as it says", function()
    assert.same({ "200 1.1 close 0", "end" },
      response "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert.same({ "200 1.0 close 0", "end" }, response "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert.same({ "200 1.0 keep 0", "end" },
      response "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
  end)

  it("cut off by the connection's end is an error", function()
    refused("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1", { eof = true })
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", { eof = true })
    refused("HTTP/1.1 200 OK\r\n", { eof = true })
  end)
end)
