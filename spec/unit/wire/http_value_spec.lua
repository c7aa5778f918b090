-- src/wire/http_value.c: header values taken apart (checklist 24, 25, 48, 84).
local feed = require "spec.unit.wire.feed"
local support = require "spec.support.ffi"
local ffi, lib = support.ffi, feed.lib

local function with(text, call)
  local s, hold = ffi.new "struct ln_str", nil
  if text then s, hold = support.str(text) end
  local result = call(s)
  return result, hold
end

describe("ln_http_header", function()
  local function lookup(lines, name)
    local h, count = ffi.new "struct ln_http", ffi.new "unsigned[1]"
    lib.ln_http_init(h, lib.LN_HTTP_REQUEST, 4096, 0)
    local value = with("GET / HTTP/1.1\r\nHost: h\r\n" .. lines .. "\r\n", function(data)
      assert.equal(lib.LN_HTTP_HEAD, tonumber(lib.ln_http_next(h, data)))
      assert.equal(support.tostring(lib.ln_http_header(h.head, name, nil)),
        support.tostring(lib.ln_http_header(h.head, name, count)))
      return support.tostring(lib.ln_http_header(h.head, name, count))
    end)
    lib.ln_http_deinit(h)
    return value, count[0]
  end

  it("finds the first by name, in any case, and counts all", function()
    assert.same({ "1", 1 }, { lookup("X-A: 1\r\n", "x-a") })
    assert.same({ "1", 2 }, { lookup("x-a: 1\r\nX-A: 2\r\n", "X-a") })
    assert.same({ "", 1 }, { lookup("X-A:\r\n", "X-A") })
    assert.same({ nil, 0 }, { lookup("X-AB: 1\r\nX: 1\r\n", "X-A") })
  end)
end)

describe("ln_http_token", function()
  local function has(value, token)
    return (with(value, function(s) return lib.ln_http_token(s, token) end))
  end

  it("finds a token in a list, in any case", function()
    assert.is_true(has("close", "close"))
    assert.is_true(has("Keep-Alive, CLOSE", "close"))
    assert.is_true(has(" a ,\tclose\t, b", "close"))
    assert.is_true(has("a,,close", "close"))
    assert.is_false(has("closed", "close"))
    assert.is_false(has("enclose, clos e", "close"))
    assert.is_false(has("", "close"))
    assert.is_false(has(nil, "close"))
    assert.is_false(has(",,", ""))
  end)

  it("ignores parameters", function()
    assert.is_true(has("a;q=1, close ; x=y", "close"))
    assert.is_false(has("a;close, b;x=close", "close"))
  end)

  it("doesn't cut inside quotes", function()
    assert.is_false(has('a;x="b,close,c"', "close"))
    assert.is_false(has('a;x="b\\",close,c"', "close"))
    assert.is_true(has('a;x="b\\\\",close', "close"))
    assert.is_false(has('a;x="b,close', "close"))
    assert.is_false(has('"\\', "close"))
  end)
end)

describe("ln_http_prefers", function()
  local function prefers(value)
    return (with(value, function(s) return lib.ln_http_prefers(s, "text/event-stream", "application/json") end))
  end

  it("goes by weight, then by place", function()
    assert.is_true(prefers "text/event-stream, application/json")
    assert.is_true(prefers "application/json;q=0.9, text/event-stream")
    assert.is_true(prefers "application/json;q=0.25, text/event-stream;q=0.251")
    assert.is_true(prefers "text/event-stream;q=0.5, application/json;q=0.5")
    assert.is_true(prefers "text/event-stream;q=1.000, application/json")
    assert.is_true(prefers "text/event-stream, */*")
    assert.is_true(prefers "*/*;q=0.1, text/event-stream")
    assert.is_true(prefers "text/event-stream")
    assert.is_false(prefers "application/json, text/event-stream")
    assert.is_false(prefers "text/event-stream;q=0.999, application/json")
    assert.is_false(prefers "text/event-stream;q=0.05, application/json;q=0.5")
    assert.is_false(prefers "text/event-stream;q=0, application/json;q=0")
    assert.is_false(prefers "application/json, */*")
    assert.is_false(prefers "application/json")
  end)

  it("prefers nothing where both fit the same", function()
    assert.is_false(prefers "*/*")
    assert.is_false(prefers "")
    assert.is_false(prefers(nil))
  end)
end)

describe("ln_http_accepts", function()
  local function accepts(value, media)
    return (with(value, function(s) return lib.ln_http_accepts(s, media) end))
  end
  local JSON, SSE = "application/json", "text/event-stream"

  it("finds a type among several, in any case, with parameters", function()
    local both = "application/json, text/event-stream"
    assert.is_true(accepts(both, JSON))
    assert.is_true(accepts(both, SSE))
    assert.is_true(accepts("Application/JSON;charset=utf-8", JSON))
    assert.is_true(accepts("text/html,application/json;q=0.9", JSON))
    assert.is_false(accepts("application/json", SSE))
    assert.is_false(accepts("application/jsonl, application/jso", JSON))
    assert.is_false(accepts("json", JSON))
  end)

  it("honours wildcards", function()
    assert.is_true(accepts("*/*", JSON))
    assert.is_true(accepts("application/*", JSON))
    assert.is_true(accepts("text/html, APPLICATION/*;q=0.1", JSON))
    assert.is_false(accepts("text/*", JSON))
    assert.is_false(accepts("app/*", JSON))
    assert.is_false(accepts("*", JSON))
    assert.is_false(accepts("*/json", JSON))
    assert.is_false(accepts("application/j", JSON))
    assert.is_false(accepts("application/*x", JSON))
    assert.is_false(accepts("application/", JSON))
    assert.is_true(accepts("*/*", "odd"))
    assert.is_false(accepts("*", "odd"))
  end)

  it("lets the closest range decide, and honours q=0", function()
    assert.is_false(accepts("application/json;q=0", JSON))
    assert.is_false(accepts("*/*, application/json;q=0.000", JSON))
    assert.is_false(accepts("application/json;q=0., */*", JSON))
    assert.is_false(accepts("application/*;q=0, */*", JSON))
    assert.is_true(accepts("application/*;q=0, application/json", JSON))
    assert.is_true(accepts("*/*;q=0, application/json;q=0.001", JSON))
    assert.is_false(accepts("application/json ; Q=0", JSON))
    assert.is_true(accepts("application/json;q=0;v=1, application/json", JSON))
    assert.is_true(accepts("application/json, application/json;q=0", JSON))
    assert.is_true(accepts('application/json;x="q=0"', JSON))
    assert.is_true(accepts("application/json;q=", JSON))
    assert.is_true(accepts("application/json;q=1.0", JSON))
    assert.is_true(accepts("application/json;q=01", JSON))
    assert.is_true(accepts("application/json;q=0.01", JSON))
    assert.is_true(accepts("application/json;x=0", JSON))
    assert.is_true(accepts("application/json;q:0", JSON))
  end)

  it("takes nothing for nothing", function()
    assert.is_false(accepts("", JSON))
    assert.is_false(accepts(nil, JSON))
    assert.is_false(accepts(";,;", JSON))
  end)
end)

describe("ln_http_media_type", function()
  local function media(value)
    return (with(value, function(s) return support.tostring(lib.ln_http_media_type(s)) end))
  end

  it("leaves the parameters out", function()
    assert.equal("application/json", media "application/json")
    assert.equal("application/json", media " application/json ; charset=utf-8")
    assert.equal("Text/Event-Stream", media "Text/Event-Stream;a=b;c")
    assert.equal("", media "")
    assert.equal("", media ";x")
    assert.is_nil(media(nil))
  end)
end)

describe("ln_http_parameter", function()
  local function of(value, name)
    local count = ffi.new "unsigned[1]"
    return (with(value, function(s) return support.tostring(lib.ln_http_parameter(s, name, count)) end)), count[0]
  end

  it("25: finds one by name, in any case, without its quotes, and counts", function()
    assert.same({ "utf-8", 1 }, { of("application/json; charset=utf-8", "charset") })
    assert.same({ "utf-8", 1 }, { of('a/b;x="y;charset=z" ;CharSet="utf-8"', "charset") })
    assert.same({ "a", 2 }, { of("a/b;charset=a;charset=b", "charset") })
    assert.same({ "", 1 }, { of('a/b;charset=""', "charset") })
    assert.same({ '"', 1 }, { of('a/b;charset="', "charset") })
  end)

  it("25: finds nothing in the type itself, nor by half a name", function()
    for _, value in ipairs { "charset=utf-8", "a/b", "a/b;xcharset=1", "a/b;charsets=1", "a/b;charset", "" } do
      assert.same({ nil, 0 }, { of(value, "charset") }, value)
    end
    assert.same({ nil, 0 }, { of(nil, "charset") })
  end)
end)

describe("ln_http_value_ok", function()
  it("is true without control bytes", function()
    for b = 0, 255 do
      local got = with("a" .. string.char(b), function(s) return lib.ln_http_value_ok(s) end)
      assert.equal((b >= 0x20 and b ~= 0x7f) or b == 9, got, tostring(b))
    end
    assert.is_true((with("", lib.ln_http_value_ok)))
    assert.is_true((with(nil, lib.ln_http_value_ok)))
  end)
end)

describe("ln_http_status_text", function()
  it("has a phrase for what we send, and one for the rest", function()
    for status, text in pairs {
      [200] = "OK", [202] = "Accepted", [400] = "Bad Request", [404] = "Not Found", [405] = "Method Not Allowed",
      [406] = "Not Acceptable", [409] = "Conflict", [413] = "Content Too Large", [415] = "Unsupported Media Type",
      [431] = "Request Header Fields Too Large", [501] = "Not Implemented", [505] = "HTTP Version Not Supported",
      [299] = "Unknown", [-1] = "Unknown",
    } do
      assert.equal(text, ffi.string(lib.ln_http_status_text(status)))
    end
  end)
end)
