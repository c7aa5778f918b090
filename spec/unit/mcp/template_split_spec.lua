-- URI templates taken apart, and URIs made over from one template to another.
local S = require "spec.unit.mcp.support"
local lib, ffi, J = S.lib, S.ffi, S.J

local function split(template, uri)
  local parts = ffi.new "struct ln_template_parts"
  local t, u = J.text(template), J.text(uri)
  if not lib.ln_template_split(t, u, parts, nil) then return nil end
  local out = {}
  for i = 0, tonumber(parts.n) - 1 do out[#out + 1] = ffi.string(parts.part[i].text.p, parts.part[i].text.n) end
  return out
end

local function convert(from, to, uri)
  local out = J.buf(100000)
  local rc = lib.ln_template_convert(J.text(from), J.text(to), J.text(uri), out, nil)
  local text = J.held(out)
  if rc ~= 0 then return nil, S.R.err(rc) end
  return text
end

local cases = {
  { "", "", {} }, { "x://a", "x://a", {} },
  { "x://{id}", "x://1", { "1" } },
  { "x://{a}/{b}", "x://1/2", { "1", "2" } },
  { "x://{a}-{b}", "x://1-2-3", { "1-2", "3" } },
  { "x://{id}{?q}", "x://1?q=2", { "1", "?q=2" } },
  { "x://{id}{?q}", "x://1", { "1", "" } },
  { "x://{+path}{?q}", "x://a/b?q=c/d", { "a/b", "?q=c/d" } },
  { "x://{+path}{#f}", "x://a/b#c#d", { "a/b", "#c#d" } },
  { "x://{+path}{?q}{#f}", "x://a?q=1#f?", { "a", "?q=1", "#f?" } },
  { "x://{path*}", "x://a/b/c", { "a/b/c" } },
  { "x://{name}{.ext}", "x://a.tar.gz", { "a.tar", ".gz" } },
  { "x://{name}{.ext}", "x://a", { "a", "" } },
  { "x://{+path}{.ext}{?q}", "x://d.e/a.md?q=1.5", { "d.e/a", ".md", "?q=1.5" } },
  { "x://a{/seg*}", "x://a/b/c", { "/b/c" } },
  { "x://{a}{/seg*}{?q*}", "x://a/b/c?k=v", { "a", "/b/c", "?k=v" } },
  { "x://{a}{;p,q}", "x://a;p=1;q=2", { "a", ";p=1;q=2" } },
  { "x://a?x=1{&y,z}", "x://a?x=1&z=2", { "&z=2" } },
  { "x://{v:3}{rest}", "x://abcdef", { "abc", "def" } },
  { "x://{v:2}{rest}", "x://\195\188%C3%BCx", { "\195\188%C3%BC", "x" } },
  { "x://{v:1}/{v}", "x://a/abc", { "a", "abc" } },
  { "{+a}/{b}/{c}", "0/1/2/3", { "0/1", "2", "3" } },
}

describe("mcp/template, taken apart", function()
  after_each(function() assert.equal(0, (select(2, S.R.left()))) end)

  it("gives each expression what is its own", function()
    for _, case in ipairs(cases) do
      assert.same(case[3], split(case[1], case[2]), case[1] .. " of " .. case[2])
      assert.equal(case[2], convert(case[1], case[1], case[2]), case[1])
    end
  end)

  it("gives nothing of what does not match, is malformed or has too many", function()
    for _, case in ipairs { { "x://{a}", "y://1" }, { "x://{a", "x://{a" }, { "x://{a}", "x://" } } do
      assert.is_nil(split(case[1], case[2]))
      assert.same({ nil, "ENOTFOUND" }, { convert(case[1], case[1], case[2]) })
    end
    assert.truthy(split(("{+a}"):rep(64), "x"))
    assert.is_nil(split(("{+a}"):rep(65), "x"))
  end)

  it("makes URIs over, with the same bytes for the same expressions", function()
    assert.equal("y://2/x/%41", convert("x://{a}/{+b}", "y://{+b}/x/{a}", "x://%41/2"))
    assert.equal("one+x://a/b?q=1", convert("x://{+p}{?q}", "one+x://{+p}{?q}", "x://a/b?q=1"))
    assert.is_nil(convert("x://{a}", "y://{b}", "x://1"))
    assert.is_nil(convert("x://{a}", "y://{a", "x://1"))
  end)

  it("takes apart what is longer than a word", function()
    for _, n in ipairs { 1, 62, 63, 64, 65, 127, 128, 129, 500 } do
      local a = ("a"):rep(n)
      assert.same({ a, "b" .. a, "?" .. a }, split("x://{a}/{b}{?q}", "x://" .. a .. "/b" .. a .. "?" .. a))
      assert.same({ a .. "/" .. a, a, "/" .. a }, split("x://{+a}/{b}.{/c}", "x://" .. a .. "/" .. a .. "/" .. a .. "./" .. a))
      assert.same({ a }, split("{+x}" .. a, a .. a))
    end
  end)

  it("takes the words of the URI for each byte or expression at most, twice", function()
    local parts = ffi.new "struct ln_template_parts"
    for _, case in ipairs { { ("{+a}b"):rep(60), ("b"):rep(49000) }, { ("{+a}"):rep(60) .. "{?q}", ("a"):rep(49000) },
      { ("{a}/"):rep(60), ("a/"):rep(60) }, { "{+a}" .. ("a"):rep(4000), ("a"):rep(49000) } } do
      local left, n = ffi.new("uint64_t[1]", 2 ^ 40), #case[2]
      assert.is_true(lib.ln_template_split(J.text(case[1]), J.text(case[2]), parts, left), case[1]:sub(1, 20))
      assert.is_true(2 ^ 40 - tonumber(left[0]) <= 200 + 2 * n + 4 * (#case[1] + 130) * (n / 64 + 10), case[1]:sub(1, 20))
    end
  end)

  it("gives nothing when steps are spent", function()
    local parts, left = ffi.new "struct ln_template_parts", ffi.new("uint64_t[1]", 160)
    assert.is_false(lib.ln_template_split(J.text "x://{a}/{b}", J.text "x://abc/def", parts, left))
    left[0] = 160
    local out = J.buf(1000)
    assert.equal("ELIMIT", S.R.err(lib.ln_template_convert(J.text "x://{a}/{b}", J.text "y://{a}/{b}", J.text "x://abc/def", out, left)))
    assert.equal("", J.held(out))
  end)
end)
