-- lunette.random, .uuid, .base64, .sha256, .hmac_sha256, and the seed of math.random.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

local HELPERS = [[local lunette = require "lunette"
  local function bytes(hex) return (hex:gsub("%s", ""):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end
  local big = ("\0\255\128\n"):rep(2 ^ 18)
  ]]

local function eval(expression)
  local text, why = support.eval(HELPERS:gsub("\n", " ") .. "return tostring(" .. expression .. ")")
  return assert(text, why)
end

describe("base64", function()
  -- RFC 4648, section 10; and what is no text.
  for plain, text in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy",
    ["\0"] = "AA==", ["\251\255\254"] = "+//+", ["\0\0\0"] = "AAAA", ["\255\255"] = "//8=" } do
    it(("of %q, both ways"):format(plain), function()
      assert.equal(text, eval(("lunette.base64.encode(%q)"):format(plain)))
      assert.equal("true", eval(("lunette.base64.decode %q == %q"):format(text, plain)))
    end)
  end

  it("goes both ways at every length, and with a MiB", function()
    assert.equal("true", eval [[(function()
      for n = 0, 300 do
        local s = lunette.random(n)
        if lunette.base64.decode(lunette.base64.encode(s)) ~= s then return n end
      end
      return lunette.base64.decode(lunette.base64.encode(big)) == big end)()]])
    assert.equal("8b5d7be9bc5637edf08ef904a87aa52a07ecd1ed94df174355191885aa0ee200", eval "lunette.sha256(lunette.base64.encode(big))")
  end)

  for _, text in ipairs { "Zg", "Zg=", "Zg===", "Zg==Zg==", "Zh==", "Zm9=", "Zm-_", "Zm 9v", "Zm9v\n", "=", "====", "A===", "Z", "Zm9\0", "Zm9\255" } do
    it(("is not %q"):format(text), function()
      local call = ("lunette.base64.decode(%q)"):format(text):gsub("\\\n", "\\n")
      local _, why = support.load("\n" .. call)
      assert.truthy(why:find("policy.lua:2: lunette.base64.decode: the text is not base64", 1, true), why)
    end)
  end
end)

describe("SHA-256", function()
  for expression, digest in pairs {
    -- FIPS 180, examples; then what has NULs, and is large
    ["''"] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ["'abc'"] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ["'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'"] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ["('a'):rep(1000000)"] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ["big"] = "3eaf3fa6f60f33820c2db262e390c2679e6b05b662a5c2ae82fae6329b22ff7a",
  } do
    it("of " .. expression, function()
      assert.equal(digest, eval("lunette.sha256(" .. expression .. ")"))
      assert.equal(digest, eval("lunette.sha256(" .. expression .. ", false)"))
      assert.equal("true", eval(("lunette.sha256(%s, true) == bytes '%s'"):format(expression, digest)))
    end)
  end
end)

describe("HMAC-SHA-256", function()
  for expression, digest in pairs {
    -- RFC 4231, but for test case 5, which is cut short
    ["('\\11'):rep(20), 'Hi There'"] = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ["'Jefe', 'what do ya want for nothing?'"] = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ["('\\170'):rep(20), ('\\221'):rep(50)"] = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ["bytes '0102030405060708090a0b0c0d0e0f10111213141516171819', ('\\205'):rep(50)"] =
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ["('\\170'):rep(131), 'Test Using Larger Than Block-Size Key - Hash Key First'"] =
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ["('\\170'):rep(131), 'This is a test using a larger than block-size key and a larger than block-size data. "
      .. "The key needs to be hashed before being used by the HMAC algorithm.'"] =
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ["'', ''"] = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
    ["big, big"] = "f26682a00b0ced871b81e22d1b1927733ff11487e4ef1e5185247122ed5ec3de",
  } do
    it("of " .. expression, function()
      assert.equal(digest, eval("lunette.hmac_sha256(" .. expression .. ")"))
      assert.equal("true", eval(("lunette.hmac_sha256(%s, true) == bytes '%s'"):format(expression, digest)))
    end)
  end

  it("has nothing of the key before it", function()
    assert.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
      eval "lunette.hmac_sha256('k', 'x') and lunette.hmac_sha256('', '')")
  end)
end)

describe("random", function()
  it("gives as many bytes as asked for, others each time", function()
    for _, n in ipairs { 0, 1, 16, 257, 1048576 } do
      assert.equal(tostring(n), eval(("#lunette.random(%d)"):format(n)))
    end
    assert.equal("false", eval "lunette.random(16) == lunette.random(16)")
  end)

  it("gives every byte, about as often", function()
    assert.equal("true", eval [[(function()
      local s, n = lunette.random(2 ^ 20), {}
      for i = 1, #s do n[s:byte(i)] = (n[s:byte(i)] or 0) + 1 end
      for b = 0, 255 do if not n[b] or n[b] < 3500 or n[b] > 4700 then return b .. ": " .. tostring(n[b]) end end
      return true end)()]])
  end)

  it("seeds math.random, differently in each state", function()
    local a, b = eval "math.random(2 ^ 50)", eval "math.random(2 ^ 50)"
    assert.are_not.equal(a, b)
  end)

  it("is what UUIDs of version 4 are made of", function()
    local seen = {}
    for uuid in eval("(function() local t = {} for i = 1, 500 do t[i] = lunette.uuid() end return table.concat(t, ' ') end)()"):gmatch "%S+" do
      assert.truthy(uuid:find("^" .. ("%x"):rep(8) .. "%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-" .. ("%x"):rep(12) .. "$"), uuid)
      assert.equal(uuid:lower(), uuid)
      assert.is_nil(seen[uuid])
      seen[uuid] = true
    end
    assert.truthy(next(seen))
  end)
end)

describe("a wrong argument is told with its line:", function()
  for call, why in pairs {
    ["random(-1)"] = "lunette.random: n must be a whole number from 0 to 1048576, not -1",
    ["random(1048577)"] = "lunette.random: n must be a whole number from 0 to 1048576, not 1048577",
    ["random(1e300)"] = "lunette.random: n must be a whole number",
    ["random(0 / 0)"] = "lunette.random: n must be a whole number",
    ["random(1.5)"] = "lunette.random: n must be a whole number",
    ["random('16')"] = 'lunette.random: n must be a number, not "16"',
    ["random()"] = "lunette.random: n must be a number, not nothing",
    ["base64.encode(5)"] = "lunette.base64.encode: bytes must be a string, not 5",
    ["base64.encode {}"] = "lunette.base64.encode: bytes must be a string, not a table",
    ["base64.encode(nil)"] = "lunette.base64.encode: bytes must be a string, not nothing",
    ["base64.decode(true)"] = "lunette.base64.decode: text must be a string, not true",
    ["base64.encod 'x'"] = "lunette.base64 has no encod; did you mean encode?",
    ["sha256(lunette.null)"] = "lunette.sha256: text must be a string, not a userdata",
    ["sha256('x', 1)"] = "lunette.sha256: raw must be a boolean, not 1",
    ["sha256()"] = "lunette.sha256: text must be a string, not nothing",
    ["hmac_sha256('k')"] = "lunette.hmac_sha256: text must be a string, not nothing",
    ["hmac_sha256(nil, 'x')"] = "lunette.hmac_sha256: key must be a string, not nothing",
    ["hmac_sha256('k', 5)"] = "lunette.hmac_sha256: text must be a string, not 5",
    ["hmac_sha256('k', 'x', 'raw')"] = 'lunette.hmac_sha256: raw must be a boolean, not "raw"',
  } do
    it(call, function()
      local _, said = support.load("\nlunette." .. call)
      assert.truthy(said and said:find("policy.lua:2: " .. why, 1, true), said)
    end)
  end
end)
