-- The write queue against a model: a Lua string.
local support = require "spec.support.ffi"
local ffi = require "ffi"

local lib = support.include "net/queue.h"

describe("net/queue", function()
  local q, live, random

  before_each(function()
    live = lib.ln_bytes_live()
    q = ffi.new "struct ln_queue"
    lib.ln_queue_init(q)
    local seed = 12345
    random = function(n) -- the same every time
      seed = (seed * 1103515245 + 12345) % 2147483648
      return math.floor(seed / 65536) % n
    end
  end)
  after_each(function()
    lib.ln_queue_deinit(q)
    assert.equal(live, lib.ln_bytes_live())
  end)

  local function contents()
    local out, bytes = {}, 0
    for i = 0, tonumber(q.len) - 1 do
      local e = lib.ln_queue_at(q, i)
      assert.is_true(e.n > 0)
      out[#out + 1] = ffi.string(e.p, e.n)
      bytes = bytes + tonumber(e.n)
    end
    assert.equal(bytes, tonumber(q.bytes))
    return table.concat(out)
  end

  -- parts: strings, or { string } for one with an owner
  local function push(parts, skip)
    local iov, hold = ffi.new("struct ln_iov[?]", #parts + 1), {}
    for i, part in ipairs(parts) do
      local owned = type(part) == "table"
      local s = owned and part[1] or part
      if owned then
        local block = lib.ln_bytes_copy(s, #s)
        iov[i - 1].p, iov[i - 1].n, iov[i - 1].owner = block.data, #s, block
        hold[#hold + 1] = block
      else
        local bytes = ffi.new("char[?]", #s + 1, s)
        hold[#hold + 1] = bytes
        iov[i - 1].p, iov[i - 1].n = bytes, #s
      end
    end
    assert.equal(0, lib.ln_queue_push(q, iov, #parts, skip or 0))
    for i, part in ipairs(hold) do
      if type(parts[i]) == "table" or ffi.istype("struct ln_bytes *", part) then lib.ln_bytes_unref(part) end
    end
  end

  it("keeps bytes in order, without what was written already", function()
    push({ "abc", "", { ("d"):rep(600) }, "efg" }, 2)
    assert.equal("c" .. ("d"):rep(600) .. "efg", contents())
    push({ "hij", { "klm" } }, 0)
    assert.equal("c" .. ("d"):rep(600) .. "efghijklm", contents())
  end)

  it("skips into the middle of a part with an owner", function()
    push({ "abc", { ("x"):rep(700) .. "y" } }, 103)
    assert.equal(("x"):rep(600) .. "y", contents())
  end)

  it("keeps large parts with an owner by reference, and copies the rest", function()
    local block = lib.ln_bytes_copy(("z"):rep(1000), 1000)
    local iov = ffi.new("struct ln_iov[2]")
    iov[0].p, iov[0].n, iov[0].owner = block.data, 1000, block
    iov[1].p, iov[1].n, iov[1].owner = block.data, 10, block
    assert.equal(0, lib.ln_queue_push(q, iov, 2, 0))
    assert.equal(2, block.refs)
    assert.equal(block.data, lib.ln_queue_at(q, 0).p)
    assert.not_equal(block.data, lib.ln_queue_at(q, 1).p)
    lib.ln_queue_pop(q, 1000)
    assert.equal(1, block.refs)
    lib.ln_bytes_unref(block)
    assert.equal("zzzzzzzzzz", contents())
  end)

  it("gathers small copies in few entries", function()
    local expected = {}
    for i = 1, 3000 do
      expected[i] = ("%d,"):format(i)
      push { expected[i] }
    end
    assert.equal(table.concat(expected), contents())
    assert.is_true(q.len <= 5, tostring(q.len))
  end)

  it("gives its memory back when it is empty", function()
    for i = 1, 200 do push { { ("%04d"):format(i):rep(200) } } end
    assert.equal(200, tonumber(q.len))
    lib.ln_queue_pop(q, q.bytes)
    assert.equal(0, tonumber(q.bytes))
    assert.equal(0, tonumber(q.cap))
    assert.equal(live, lib.ln_bytes_live())
    push { "again" }
    assert.equal("again", contents())
  end)

  it("does as a string does, whatever comes", function()
    local model = ""
    for step = 1, 3000 do
      if random(5) < 3 then
        local parts, text = {}, {}
        for i = 1, random(5) do
          local s = string.char(97 + step % 26):rep(random(10) == 0 and random(6000) or random(60))
          parts[i], text[i] = random(2) == 0 and { s } or s, s
        end
        local whole = table.concat(text)
        local skip = random(3) == 0 and random(#whole + 1) or 0
        push(parts, skip)
        model = model .. whole:sub(skip + 1)
      else
        local n = random(math.min(#model, 9000) + 1)
        lib.ln_queue_pop(q, n)
        model = model:sub(n + 1)
      end
      if step % 50 == 0 then assert.equal(model, contents()) end
    end
    assert.equal(model, contents())
  end)
end)
