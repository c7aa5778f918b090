-- URI templates taken apart, and URIs made over from one template to another.
local S = require "spec.unit.mcp.support"
local lib, ffi, J = S.lib, S.ffi, S.J

local function split(template, uri)
  local parts = ffi.new "struct ln_template_parts"
  local t, u = J.text(template), J.text(uri)
  if not lib.ln_template_split(t, u, parts) then return nil end
  local out = {}
  for i = 0, tonumber(parts.n) - 1 do out[#out + 1] = ffi.string(parts.part[i].text.p, parts.part[i].text.n) end
  return out
end

local function convert(from, to, uri)
  local out = J.buf(100000)
  local rc = lib.ln_template_convert(J.text(from), J.text(to), J.text(uri), out)
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

  it("takes no longer than a product of lengths", function()
    local started = os.clock()
    split(("{+a}b"):rep(60), ("b"):rep(16384))
    split(("{+a}"):rep(60) .. "{?q}", ("a"):rep(16384))
    assert.is_true(os.clock() - started < 3)
  end)
end)
