-- The store behind lunette.shared.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

describe("the shared store", function()
  local c, ffi = support.lib, support.ffi
  local s

  before_each(function() s = c.ln_shared_new() end)
  after_each(function() c.ln_shared_unref(s) end)

  local function str(text)
    return ffi.new("struct ln_str", text, #text)
  end

  local function number(n)
    return ffi.new("struct ln_shared_value", { type = ffi.C.LN_SHARED_NUMBER, number = n })
  end

  local function get(key, now)
    local v = c.ln_shared_get(s, str(key), now or 0)
    if v.type == ffi.C.LN_SHARED_NIL then return nil end
    return v.type == ffi.C.LN_SHARED_NUMBER and v.number or ffi.string(v.text.p, v.text.n)
  end

  it("keeps, replaces and deletes", function()
    assert.is_nil(get "a")
    assert.equal(0, c.ln_shared_set(s, str "a", number(1), 0, 0, false))
    assert.equal(0, c.ln_shared_set(s, str "b", number(2), 0, 0, false))
    assert.same({ 1, 2 }, { get "a", get "b" })
    assert.equal(0, c.ln_shared_set(s, str "a", number(3), 0, 0, false))
    assert.equal(3, get "a")
    assert.equal(0, c.ln_shared_set(s, str "a", ffi.new "struct ln_shared_value", 0, 0, false))
    assert.is_nil(get "a")
    assert.equal(2, get "b")
  end)

  it("forgets what is out of time", function()
    assert.equal(0, c.ln_shared_set(s, str "a", number(1), 100, 50, false))
    assert.equal(1, get("a", 149))
    assert.is_nil(get("a", 150))
    assert.equal(0, tonumber(c.ln_shared_bytes(s)))
    assert.equal(0, c.ln_shared_set(s, str "a", number(1), 100, 50, false))
    assert.equal(0, c.ln_shared_set(s, str "a", number(2), 120, 50, true))
    assert.is_nil(get("a", 150))
    assert.equal(0, c.ln_shared_set(s, str "a", number(1), 100, 50, false))
    assert.equal(0, c.ln_shared_set(s, str "a", number(2), 120, 0, false))
    assert.equal(2, get("a", 1000))
  end)

  it("is bounded, and makes room of what is out of time", function()
    local big = ("x"):rep(1024 * 1024)
    local v = ffi.new("struct ln_shared_value", { type = ffi.C.LN_SHARED_STRING, text = str(big) })
    local kept = 0
    while c.ln_shared_set(s, str("k" .. kept), v, 0, kept == 0 and 10 or 0, false) == 0 do kept = kept + 1 end
    assert.equal(63, kept)
    assert.equal(-2, c.ln_shared_set(s, str "more", v, 0, 0, false))
    assert.equal(0, c.ln_shared_set(s, str "k5", v, 0, 0, false))
    assert.equal(0, c.ln_shared_set(s, str "more", v, 10, 0, false))
    assert.is_nil(get("k0", 0))
  end)

  it("outlives a policy", function()
    local one = assert(support.load([[lunette.shared.set("s", "a\0b") lunette.shared.set("t", { a = lunette.array {} })
      lunette.shared.incr("n", 5) lunette.shared.set("b", false)]], { shared = s }))
    one:free()
    local two = assert(support.load([[assert(lunette.shared.get "s" == "a\0b" and lunette.shared.get "b" == false)
      assert(lunette.json.encode(lunette.shared.get "t") == '{"a":[]}' and lunette.shared.incr "n" == 6)]], { shared = s }))
    two:free()
  end)
end)

describe("lunette.shared", function()
  local function eval(text)
    local result, why = support.eval("local s = lunette.shared " .. text)
    return result or error(why, 2)
  end

  it("counts", function()
    assert.equal("1 3 10 11", eval "local a, b = s.incr 'a', s.incr('a', 2) return a .. ' ' .. b .. ' ' .. s.incr('b', 0, 10) .. ' ' .. s.incr 'b'")
  end)

  it("gives copies of tables", function()
    assert.equal("1", eval "local t = { n = 1 } s.set('t', t) t.n = 2 s.get('t').n = 3 return s.get('t').n .. ''")
  end)

  it("lists keys, sorted, and by glob", function()
    assert.equal("a:1 a:2 b|a:1 a:2", eval [[s.set('b', 1) s.set('a:2', 1) s.set('a:1', 1) s.set('c', 1) s.delete 'c'
      return table.concat(s.keys(), ' ') .. '|' .. table.concat(s.keys 'a:*', ' ')]])
  end)

  it("keeps values for a time", function()
    assert.equal("true", eval [[s.set('a', 1, 0.02) local was = s.get 'a' local t = os.clock() while os.clock() - t < 0.03 do end
      return tostring(was == 1 and s.get 'a' == nil and #s.keys() == 0)]])
  end)

  it("says what is wrong", function()
    for text, expected in pairs {
      ["s.get()"] = "lunette.shared.get: key must be a string, not nothing",
      ["s.set('a', print)"] = "value: a function can't be sent",
      ["s.set('a', 1, 0)"] = "lunette.shared.set: ttl must be more than 0 seconds",
      ["s.set('a', 1, 'x')"] = "lunette.shared.set: ttl must be a number",
      ["s.set('a', 'x') s.incr 'a'"] = 'lunette.shared.incr: "a" holds no number',
    } do
      local result, why = support.eval("local s = lunette.shared\n" .. text .. " return ''")
      assert.is_nil(result)
      assert.truthy(why:find("policy.lua:2: " .. expected, 1, true), why)
    end
  end)
end)
