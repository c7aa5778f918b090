-- src/proxy/http/replay.c: what is kept of a stream, what goes first, and the ids of its events
-- (checklist 36, 37, 40, 68).
local ffi = require "ffi"
local c = require "spec.support.ffi"
local lib = c.include "proxy/http/replay.h"

local EVENTS, BYTES = 256, 1048576

describe("the memory of a stream", function()
  local replay, total, live

  before_each(function()
    live = tonumber(lib.ln_bytes_live())
    replay, total = ffi.new "struct ln_replay", ffi.new("size_t[1]")
    lib.ln_replay_init(replay, total, nil)
  end)
  after_each(function()
    lib.ln_replay_deinit(replay)
    assert.equal(0, tonumber(total[0]))
    assert.equal(live, tonumber(lib.ln_bytes_live()))
  end)

  -- One event of these parts: strings (copied) or blocks (kept).
  local function add(droppable, ...)
    local n = select("#", ...)
    local parts, anchors = ffi.new("struct ln_iov[?]", math.max(n, 1)), {}
    for i = 1, n do
      local part = select(i, ...)
      if type(part) == "string" then
        local bytes = ffi.new("char[?]", #part + 1, part)
        anchors[i] = bytes
        parts[i - 1].p, parts[i - 1].n = bytes, #part
      else
        parts[i - 1].p, parts[i - 1].n, parts[i - 1].owner = part.data, part.len, part
      end
    end
    assert.equal(0, lib.ln_replay_add(replay, parts, n, droppable))
    for _, bytes in pairs(anchors) do ffi.fill(bytes, ffi.sizeof(bytes), 33) end
  end

  -- "number:data" of all after that number.
  local function after(number)
    local list, e = {}, lib.ln_replay_after(replay, number)
    while e ~= nil do
      local text = ""
      for i = 0, tonumber(e.n_parts) - 1 do text = text .. ffi.string(e.parts[i].p, e.parts[i].n) end
      list[#list + 1] = tonumber(e.number) .. ":" .. text
      e = lib.ln_replay_next(replay, e)
    end
    return list
  end

  it("gives back what comes after a number, to the byte", function()
    assert.same({}, after(0))
    add(true, "a")
    add(false, "b", "", "c\0d")
    add(true)
    assert.same({ "1:a", "2:bc\0d", "3:" }, after(0))
    assert.same({ "2:bc\0d", "3:" }, after(1))
    assert.same({}, after(3))
    assert.same({}, after(99))
    assert.equal(3, tonumber(replay.last))
  end)

  it("keeps blocks by reference and copies the rest", function()
    local block = lib.ln_bytes_copy("block", 5)
    add(false, "<", block, ">")
    assert.equal(2, block.refs)
    lib.ln_bytes_unref(block)
    assert.same({ "1:<block>" }, after(0))
  end)

  it("lets the oldest notification go when there are too many, never the newest event", function()
    add(false, "question")
    for i = 1, EVENTS + 50 do add(true, "n" .. i) end
    add(false, "answer")
    local list = after(0)
    assert.equal(EVENTS, #list)
    assert.equal("1:question", list[1])
    assert.equal(("%d:n%d"):format(54, 53), list[2])
    assert.equal(("%d:answer"):format(EVENTS + 52), list[#list])
  end)

  it("lets questions go too when there is nothing else", function()
    for i = 1, EVENTS + 3 do add(false, "q" .. i) end
    local list = after(0)
    assert.equal(EVENTS, #list)
    assert.equal("4:q4", list[1])
  end)

  it("stays within its bytes but for a single event that is larger", function()
    local text = ("x"):rep(100000)
    for _ = 1, 30 do add(true, text) end
    assert.is_true(tonumber(replay.bytes) <= BYTES)
    assert.equal(tonumber(replay.bytes), tonumber(total[0]))
    assert.equal(10, #after(0))
    add(false, ("y"):rep(3 * BYTES))
    assert.equal(1, #after(0))
    add(true, "z")
    assert.same({ "32:z" }, after(0))
  end)

  it("counts for the front what all streams keep", function()
    local other = ffi.new "struct ln_replay"
    lib.ln_replay_init(other, total, nil)
    add(true, ("x"):rep(1000))
    local one = tonumber(total[0])
    assert.is_true(one >= 1000)
    lib.ln_replay_add(other, ffi.new("struct ln_iov[1]", { { p = ffi.cast("const char *", "abc"), n = 3 } }), 1, true)
    assert.is_true(tonumber(total[0]) > one)
    lib.ln_replay_deinit(other)
    assert.equal(one, tonumber(total[0]))
  end)

  it("can be cut down to so many, and goes on", function()
    for i = 1, 5 do add(i ~= 2, "e" .. i) end
    lib.ln_replay_trim(replay, 2)
    assert.same({ "2:e2", "5:e5" }, after(0))
    lib.ln_replay_trim(replay, 0)
    assert.same({}, after(0))
    add(true, "f")
    assert.same({ "6:f" }, after(0))
  end)
end)

describe("the id of an event", function()
  local function write(epoch, stream, number, request)
    local text = ffi.new "char[64]"
    return c.tostring(lib.ln_replay_id_write(ffi.new("struct ln_replay_id", epoch, stream, number, request ~= nil, request or 0), text))
  end

  local function read(text)
    local id, s, anchor = ffi.new "struct ln_replay_id", c.str(text)
    local ok = lib.ln_replay_id_read(s, id)
    assert(anchor)
    return ok and { tonumber(id.epoch), tonumber(id.stream), tonumber(id.number), id.has_request and tonumber(id.request) or nil } or nil
  end

  it("names process, stream and event, and the request that is answered, and is read back", function()
    assert.equal("0000002a-1-0", write(42, 1, 0))
    assert.equal("ffffffff-ffffffff-ffffffffffffffff", write(0xffffffff, 0xffffffff, 0xffffffffffffffffULL))
    for _, id in ipairs { { 0, 0, 0 }, { 42, 1, 0 }, { 0xdeadbeef, 0xff, 0x123456789 } } do
      assert.same(id, read(write(id[1], id[2], id[3])))
    end
    assert.is_not_nil(read "ffffffff-ffffffff-ffffffffffffffff")
    assert.equal("0000002a-1-0-0", write(42, 1, 0, 0))
    assert.equal("ffffffff-ffffffff-ffffffffffffffff-ffffffffffffffff", write(0xffffffff, 0xffffffff, 0xffffffffffffffffULL, 0xffffffffffffffffULL))
    for _, id in ipairs { { 42, 1, 0, 0 }, { 42, 1, 9, 7 }, { 42, 1, 0, 999999999999999 } } do
      assert.same(id, read(write(id[1], id[2], id[3], id[4])))
    end
  end)

  it("is nothing else", function()
    for _, text in ipairs { "", "-", "--", "0000002a", "0000002a-", "0000002a-1", "0000002a-1-", "0000002a--0", "2a-1-0", "0000002A-1-0",
      "0000002a-01-0", "0000002a-1-00", "0000002a-1-0-",
      "0000002a-1-0-00", "0000002a-1-0-1-", "0000002a-1-0-1-1", "0000002a-1-0-g", "0000002a-1-0-10000000000000000",
      " 0000002a-1-0", "0000002a-1-0 ", "0000002a-1-g",
      "0000002a-100000000-0", "0000002a-1-10000000000000000", "00000002a-1-0", "0000002a-1-0\0" } do
      assert.is_nil(read(text), text)
    end
  end)
end)
