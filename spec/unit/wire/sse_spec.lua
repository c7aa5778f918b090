-- src/wire/sse.c: the event stream format in both directions (checklist 67, 84).
local feed = require "spec.unit.wire.feed"
local support = require "spec.support.ffi"
local ffi, lib = support.ffi, feed.lib

local function events(stream, max)
  return feed.same(stream, function(parts) return feed.events(parts, max) end)
end
local function only(stream, max)
  local out = events(stream, max)
  table.remove(out)
  return out
end
local function state(stream)
  local out = events(stream)
  return out[#out]
end

describe("SSE parser", function()
  it("takes LF, CR and CRLF for line ends, mixed too", function()
    for _, eol in ipairs { "\n", "\r", "\r\n" } do
      local stream = ("event: x\nid: 1\ndata: a\ndata: b\n\ndata: c\n\n"):gsub("\n", eol)
      assert.same({ "x|1|a\nb", "message|1|c" }, only(stream))
    end
    assert.same({ "message||a\nb", "message||c" }, only "data: a\rdata: b\r\n\ndata: c\n\r\n")
    assert.same({ "message||a" }, only "data: a\r\n\r\n\r\n\r\n")
    assert.same({ "message||a", "message||b" }, only "data: a\n\rdata: b\r\r")
  end)

  it("delivers at the CR, not at the LF that may follow", function()
    assert.same({ "message||a" }, only "data: a\r\r")
    assert.same({ "message||a", "message||b" }, only "data: a\r\n\r\ndata: b\r\n\r\n")
  end)

  it("joins data lines with LF, empty ones too", function()
    assert.same({ "message||\n\n" }, only "data\ndata:\ndata: \n\n")
    assert.same({ "message||a\n\nb" }, only "data:a\ndata\ndata:b\n\n")
  end)

  it("delivers empty data when the field is there", function()
    assert.same({ "message|7|" }, only "id: 7\ndata:\n\n")
    assert.same({ "message||" }, only "data\n\n")
  end)

  it("takes one space off a value and no more", function()
    assert.same({ "message|| a " }, only "data:  a \n\n")
    assert.same({ "message||\ta" }, only "data:\ta\n\n")
    assert.same({ "message||: a" }, only "data:: a\n\n")
  end)

  it("skips a BOM at the very start only", function()
    assert.same({ "message||a" }, only "\239\187\191data: a\n\n")
    assert.same({ "message||b" }, only "\239\187\191\239\187\191data: a\n\ndata: b\n\n")
    assert.same({ "message||b" }, only "data: b\n\239\187\191data: a\n\n")
    assert.same({ "message||b" }, only "\239\187data: a\ndata: b\n\n")
    assert.same({ "message||b" }, only "\239\ndata: b\n\n")
    assert.same({ "message||b" }, only "\239\187\r\ndata: b\n\n")
    assert.same({ "message||\239\187\191" }, only "data: \239\187\191\n\n")
  end)

  it("ignores comments and unknown fields, of any length", function()
    assert.same({ "message||a" }, only(": ping\n:\ndata: a\n\n"))
    local long = ("x"):rep(300)
    assert.same({ "message||a" }, only(":" .. long .. "\n" .. long .. "\n" .. long .. ": y\n"
      .. "dat: z\ndatas: z\nData: z\n data: z\neventx: z\nidx\ndata: a\n\n", 16))
  end)

  it("goes on with the event after a line it ignores", function()
    for _, ignored in ipairs { ":", ": x", "abcdef", "abcdefgh", "abcdefdata: x", "dat", "x:data: y", " data: x" } do
      assert.same({ "t|1|a\nb" }, only("event: t\nid: 1\ndata: a\n" .. ignored .. "\ndata: b\n\n"))
    end
  end)

  it("takes a line without a colon for a name", function()
    assert.same({ "message||" }, only "event\ndata\n\n")
    assert.same({}, only "dataa\n\n")
  end)

  it("does not deliver an event without data, but counts its id and retry", function()
    assert.same({ "message|5|x", "id=5 retry=9" }, events "event: t\nid: 5\nretry: 9\n\ndata: x\n\n")
    assert.same({}, only "\n\n\r\n\r")
  end)

  it("forgets the type with its event, delivered or not", function()
    assert.same({ "t||a", "message||b" }, only "event: t\ndata: a\n\ndata: b\n\n")
    assert.same({ "message||b" }, only "event: t\n\ndata: b\n\n")
    assert.same({ "t||a", "u||b", "v||c" },
      only "event: t\ndata: a\n\nevent: u\ndata: b\n\ndata: c\nevent: v\n\n")
    assert.same({ "u||b" }, only "event: t\n\nevent: u\ndata: b\n\n")
    assert.same({ "u||b" }, only "event: t\nevent: u\ndata: b\n\n")
    assert.same({ "message||b" }, only "event: t\nevent:\ndata: b\n\n")
  end)

  it("keeps the id from event to event until another comes", function()
    assert.same({ "message|1|a", "message|1|b", "message||c", "id= retry=-1" },
      events "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n")
    assert.same({ "message|2|a" }, only "id: 1\nid: 2\ndata: a\n\n")
  end)

  it("ignores an id with a NUL", function()
    assert.same({ "message|1|a" }, only "id: 1\nid: 2\0\ndata: a\n\n")
    assert.same({ "message||a\0b" }, only "id: \0\ndata: a\0b\n\n")
  end)

  it("doesn't count the id of an event that was cut off: it is still to come", function()
    assert.same({ "message|1|a", "id=1 retry=-1" }, events "id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert.same({ "message|1|a", "id=1 retry=-1" }, events "id: 1\ndata: a\n\nid: 2\ndata: b")
  end)

  it("reads retry only when it is digits", function()
    assert.equal("id= retry=1500", state "retry: 1500\n")
    assert.equal("id= retry=0", state "retry:00\n")
    assert.equal("id= retry=7", state "retry: 7\nretry: -1\nretry: 1s\nretry:\nretry\nretry:  9\n")
    assert.equal("id= retry=9223372036854775807", state "retry: 9223372036854775807\n")
    assert.equal("id= retry=9223372036854775805", state "retry: 9223372036854775805\n")
    assert.equal("id= retry=9223372036854775807", state "retry: 9223372036854775808\n")
    assert.equal("id= retry=9223372036854775807", state "retry: 99999999999999999999999999\n")
    assert.equal("id= retry=-1", state "retry: 5")
  end)

  it("drops an unfinished event at the end", function()
    assert.same({ "message||a" }, only "data: a\n\ndata: b\n")
    assert.same({}, only "data: b")
  end)

  it("keeps UTF-8 that is cut between feeds, and bytes that are none", function()
    assert.same({ "message||\226\130\172\240\159\140\153\255" },
      only "data: \226\130\172\240\159\140\153\255\n\n")
  end)

  it("bounds the data of an event", function()
    assert.same({ "message||12345678" }, only("data: 12345678\n\n", 8))
    assert.same({ "!ELIMIT" }, only("data: 123456789\n\ndata: a\n\n", 8))
    assert.same({ "message||1234\n678" }, only("data: 1234\ndata: 678\n\n", 8))
    assert.same({ "!ELIMIT" }, only("data: 1234\ndata: 6789\n\n", 8))
    assert.same({ "!ELIMIT" }, only(("data\n"):rep(10) .. "\n", 8))
    assert.same({ "message||a", "!ELIMIT" }, only("data: a\n\ndata: 123456789", 8))
  end)

  it("bounds the other fields", function()
    assert.same({ "12345678|abcdefgh|" }, only("event: 12345678\nid: abcdefgh\ndata\n\n", 8))
    assert.same({ "!ELIMIT" }, only("event: 123456789\ndata\n\n", 8))
    assert.same({ "!ELIMIT" }, only("id: 123456789\ndata\n\n", 8))
    assert.same({ "!ELIMIT" }, only("retry: 123456789\ndata\n\n", 8))
  end)

  it("works with a limit below a field's name", function()
    assert.same({ "message|1|ab" }, only("event:\nid:1\nretry:\ndata:ab\n\n", 2))
  end)

  it("hands over big events without slack", function()
    local sse, event = ffi.new "struct ln_sse", ffi.new "struct ln_sse_event"
    lib.ln_sse_init(sse, 1e6)
    local live = lib.ln_bytes_live()
    local data, hold = support.str("data: " .. ("x"):rep(70000) .. "\n\n")
    assert.equal(lib.LN_OK, lib.ln_sse_next(sse, data, event))
    assert.truthy(hold)
    assert.equal(70000, tonumber(event.data.len))
    assert.equal(0, tonumber(sse.data.cap))
    assert.equal(live + 1, lib.ln_bytes_live())
    lib.ln_bytes_unref(event.data)
    lib.ln_sse_deinit(sse)
    assert.equal(live, lib.ln_bytes_live())
  end)
end)

describe("SSE head", function()
  local out
  before_each(function()
    out = ffi.new "struct ln_buf"
    lib.ln_buf_init(out, 100)
  end)
  after_each(function() lib.ln_buf_deinit(out) end)

  local function head(kind, id)
    local none = ffi.new "struct ln_str"
    local t, hold_t, i, hold_i = none, nil, none, nil
    if kind then t, hold_t = support.str(kind) end
    if id then i, hold_i = support.str(id) end
    local rc = lib.ln_sse_head(out, t, i)
    return rc, ffi.string(out.data or "", out.len), hold_t, hold_i
  end

  it("has the fields that are given", function()
    assert.equal("data: ", select(2, head()))
    out.len = 0
    assert.equal("event: message\nid: 4/7\ndata: ", select(2, head("message", "4/7")))
    out.len = 0
    assert.equal("id: \ndata: ", select(2, head(nil, "")))
  end)

  it("refuses what would end the field and leaves the buffer alone", function()
    assert.equal(lib.LN_OK, (head("a")))
    for _, bad in ipairs { "a\nb", "a\r", "\0", "x\n\ndata: forged" } do
      local rc, text = head(bad)
      assert.equal(lib.LN_EINVALID, rc)
      assert.equal("event: a\ndata: ", text)
      rc, text = head("t", bad)
      assert.equal(lib.LN_EINVALID, rc)
      assert.equal("event: a\ndata: ", text)
    end
  end)

  it("leaves the buffer as it was when there is no room", function()
    local rc, text = head("t", ("x"):rep(100))
    assert.equal(lib.LN_ELIMIT, rc)
    assert.equal("", text)
  end)

  it("comes back from the parser as it was", function()
    for _, case in ipairs { { "t", "1" }, { " t", " 1 " }, { "message", "" }, { "\226\130\172", "a:b" } } do
      out.len = 0
      local _, text = head(case[1], case[2])
      assert.same({ ("%s|%s|%s"):format(case[1], case[2], '{"x":1}') }, only(text .. '{"x":1}\n\n'))
    end
  end)
end)
