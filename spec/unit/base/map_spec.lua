-- The hash map against a plain Lua table, tombstones and growth included, and its hash.
local B = require "spec.unit.base.support"
local lib, ffi = B.include "base/map.h", B.ffi

-- Keys and values must outlive their entries: both are kept here.
local kept = {}

local function key(s)
  local k = kept[s]
  if not k then
    local str, bytes = B.str(s)
    k = { str = str, bytes = bytes }
    kept[s] = k
  end
  return k.str
end

local function value(n)
  return ffi.cast("void *", n)
end

local function number(v)
  return v ~= nil and tonumber(ffi.cast("intptr_t", v)) or nil
end

local function contents(m)
  local i, slot, all = ffi.new "size_t[1]", ffi.new "struct ln_map_slot *[1]", {}
  while lib.ln_map_next(m, i, slot) do
    local k = B.tostring(slot[0].key)
    assert.is_nil(all[k])
    all[k] = number(slot[0].value)
  end
  return all
end

describe("ln_map", function()
  local m
  before_each(function()
    m = ffi.new "struct ln_map"
    ffi.fill(m, ffi.sizeof(m), 0xff)
    lib.ln_map_init(m)
  end)
  after_each(function()
    lib.ln_map_deinit(m)
    assert.are.equal(0, tonumber(m.cap))
    kept = {}
  end)

  it("is empty at first", function()
    assert.is_true(lib.ln_map_get(m, key "a") == nil)
    assert.is_true(lib.ln_map_remove(m, key "a") == nil)
    assert.are.same({}, contents(m))
  end)

  it("finds what was put, by content", function()
    assert.are.equal(0, lib.ln_map_put(m, key "a", value(1)))
    assert.are.equal(0, lib.ln_map_put(m, key "b", value(2)))
    local same, keep = B.str "a"
    assert.are.equal(1, number(lib.ln_map_get(m, same)))
    assert.is_truthy(keep)
    assert.are.equal(2, number(lib.ln_map_get(m, key "b")))
    assert.is_true(lib.ln_map_get(m, key "c") == nil)
    assert.are.equal(2, tonumber(m.len))
  end)

  it("tells keys apart to the last byte", function()
    local keys = { "", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "b", ("x"):rep(1000), ("x"):rep(999) .. "y", "A" }
    for i, k in ipairs(keys) do assert.are.equal(0, lib.ln_map_put(m, key(k), value(i))) end
    for i, k in ipairs(keys) do assert.are.equal(i, number(lib.ln_map_get(m, key(k)))) end
    assert.are.equal(#keys, tonumber(m.len))
  end)

  it("replaces value and key pointer", function()
    local first, one = B.str "k"
    local second, two = B.str "k"
    assert.are.equal(0, lib.ln_map_put(m, first, value(1)))
    assert.are.equal(0, lib.ln_map_put(m, second, value(2)))
    assert.are.equal(1, tonumber(m.len))
    local i, slot = ffi.new "size_t[1]", ffi.new "struct ln_map_slot *[1]"
    assert.is_true(lib.ln_map_next(m, i, slot))
    assert.is_true(slot[0].key.p == second.p and slot[0].key.p ~= first.p)
    assert.are.equal(2, number(slot[0].value))
    assert.is_false(lib.ln_map_next(m, i, slot))
    assert.is_truthy(one and two)
  end)

  it("removes once", function()
    assert.are.equal(0, lib.ln_map_put(m, key "a", value(1)))
    assert.are.equal(1, number(lib.ln_map_remove(m, key "a")))
    assert.is_true(lib.ln_map_remove(m, key "a") == nil)
    assert.is_true(lib.ln_map_get(m, key "a") == nil)
    assert.are.equal(0, tonumber(m.len))
    assert.are.equal(0, lib.ln_map_put(m, key "a", value(3)))
    assert.are.equal(3, number(lib.ln_map_get(m, key "a")))
  end)

  it("takes the bytes of integers as keys", function()
    local ids = ffi.new "int64_t[100]"
    for i = 0, 99 do
      ids[i] = i * 1000003
      local k = ffi.new("struct ln_str", ffi.cast("const char *", ids + i), 8)
      assert.are.equal(0, lib.ln_map_put(m, k, value(i + 1)))
    end
    for i = 0, 99 do
      local id = ffi.new("int64_t[1]", i * 1000003)
      local k = ffi.new("struct ln_str", ffi.cast("const char *", id), 8)
      assert.are.equal(i + 1, number(lib.ln_map_get(m, k)))
    end
  end)

  it("does what a table does, through any sequence", function()
    math.randomseed(42)
    local model, len = {}, 0
    for step = 1, 50000 do
      -- The range of keys breathes, so that the map grows, thins out and grows again.
      local k = "key" .. math.random(1, 20 + math.floor(400 * math.abs(math.sin(step / 5000))))
      local roll = math.random(4)
      if roll <= 2 then
        assert.are.equal(0, lib.ln_map_put(m, key(k), value(step)))
        if not model[k] then len = len + 1 end
        model[k] = step
      elseif roll == 3 then
        assert.are.equal(model[k], number(lib.ln_map_remove(m, key(k))))
        if model[k] then len = len - 1 end
        model[k] = nil
      else
        assert.are.equal(model[k], number(lib.ln_map_get(m, key(k))))
      end
      assert.are.equal(len, tonumber(m.len))
      if step % 5000 == 0 then assert.are.same(model, contents(m)) end
    end
  end)

  it("does not grow from being used", function()
    for i = 1, 10000 do
      local k = key("k" .. i % 100)
      assert.are.equal(0, lib.ln_map_put(m, k, value(i)))
      if i > 5 then lib.ln_map_remove(m, key("k" .. (i - 5) % 100)) end
    end
    assert.is_true(m.cap <= 32)
  end)

  it("keeps no trace of what was the end of its run of slots", function()
    for i = 1, 100 do
      assert.are.equal(0, lib.ln_map_put(m, key("k" .. i), value(i)))
      lib.ln_map_remove(m, key("k" .. i))
      assert.are.equal(0, tonumber(m.used))
    end
    for i = 1, 1000 do assert.are.equal(0, lib.ln_map_put(m, key("k" .. i), value(i))) end
    for i = 1, 1000 do assert.are.equal(i, number(lib.ln_map_remove(m, key("k" .. i)))) end
    assert.are.equal(0, tonumber(m.used))
  end)

  describe("ln_hash", function()
    it("depends on every byte and on the length", function()
      local seen = {}
      local function fresh(s)
        local h = tostring(lib.ln_hash(key(s)))
        assert.is_nil(seen[h])
        seen[h] = s
        assert.are.equal(h, tostring(lib.ln_hash(key(s))))
      end
      for n = 0, 40 do fresh(("\0"):rep(n)) end
      for n = 1, 24 do
        fresh(("x"):rep(n))
        for at = 1, n do fresh(("x"):rep(at - 1) .. "y" .. ("x"):rep(n - at)) end
      end
    end)
    it("spreads similar keys over low and high bits", function()
      local low, high = {}, {}
      for i = 1, 16384 do
        local h = lib.ln_hash(key(("tool_%05d"):format(i)))
        local a, b = tonumber(h % 64), tonumber(h / 2ULL ^ 58)
        low[a] = (low[a] or 0) + 1
        high[b] = (high[b] or 0) + 1
      end
      -- 256 each on average with a deviation of 16: eight of those never happen by chance.
      for i = 0, 63 do
        assert.is_true(math.abs((low[i] or 0) - 256) < 128)
        assert.is_true(math.abs((high[i] or 0) - 256) < 128)
      end
    end)
    it("is another one in another process", function()
      local command = ("LUNETTE_LIB=%s luajit -e 'package.path=\"./?.lua;\"..package.path " ..
        "local B = require \"spec.unit.base.support\" local lib = B.include \"base/map.h\" " ..
        "print(lib.ln_hash((B.str \"a\")))'"):format(os.getenv "LUNETTE_LIB" or "build/liblunette_spec.so")
      local pipe = io.popen(command)
      local there = pipe:read "*l"
      pipe:close()
      assert.is_truthy(there and there:match "^%d+ULL$")
      assert.are_not.equal(tostring(lib.ln_hash(key "a")), there)
    end)
  end)
end)
