-- URI templates read backwards: at least everything that a server's own matching takes.
local S = require "spec.unit.mcp.support"

local cases = {
  -- template, what it matches, what not
  { "", { "" }, { "a" } },
  { "x://a", { "x://a" }, { "x://", "x://ab", "X://a", "" } },
  { "x://{id}", { "x://1", "x://a?b", "x://a#b", "x://{id}", "x://%2F" }, { "x://", "x://a/b", "x:/a", "x://a/" } },
  { "x://{a}/{b}", { "x://1/2" }, { "x://1", "x://1/", "x:///2", "x://1/2/3" } },
  { "x://{a}-{b}", { "x://1-2", "x://1-2-3", "x://---" }, { "x://1-", "x://-1", "x://-" } },
  { "x://{a}{b}", { "x://12", "x://123" }, { "x://1", "x://" } },
  { "x://{+path}", { "x://a/b/c", "x://a", "x://", "x://?#" }, { "y://a" } },
  { "x://{+dir}/{name}", { "x://a/b", "x://a/b/c", "x:///c", "x://a/b/c/d" }, { "x://a", "x://a/", "x://a/b/" } },
  { "{+a}/{b}/{c}", { "1/2/3", "0/1/2/3", "/1/2" }, { "1/2", "1/2/", "//" } },
  { "x://{path*}", { "x://a/b", "x://", "x://a" }, { "x:/" } },
  { "x://{a,b}", { "x://1,2", "x://1" }, { "x://1/2", "x://" } },
  { "x://a{#frag}", { "x://a", "x://a#", "x://a#b/c" }, { "x://ab", "x://a/b" } },
  { "x://a{.ext}", { "x://a", "x://a.md", "x://a.tar.gz" }, { "x://amd" } },
  { "x://a{/seg}", { "x://a", "x://a/b", "x://a/b/c" }, { "x://ab" } },
  { "x://a{;p}", { "x://a", "x://a;p=1" }, { "x://a?p=1", "x://ap" } },
  { "x://a{?q,r}", { "x://a", "x://a?q=1&r=/", "x://a?" }, { "x://ab", "x://a&q", "x://a/b" } },
  { "x://a?x=1{&q}", { "x://a?x=1", "x://a?x=1&q=2" }, { "x://a?x=12" } },
  { "x://{id}{?q}", { "x://1", "x://1?q=2", "x://1?q=a/b" }, { "x://?q=2/", "x://" } },
  { "{+a}{+b}{+c}", { "", "abc" }, {} },
  { "{a}", { "a", "\0" }, { "", "/" } },
  { "{a}b{c}b{d}", { "1b2b3", "bbbbb" }, { "1b2b", "b2b3", "bbbb" } },
}
local malformed = { "{", "}", "x{", "x}", "{}", "{+}", "{*}", "{+*}", "x{a", "{a}{", "{a{b}}", "a}b", "{a}}", "{?}", "{{a}}" }

describe("mcp/template", function()
  after_each(function() assert.equal(0, (select(2, S.R.left()))) end)

  for _, case in ipairs(cases) do
    it(("matches %q"):format(case[1]), function()
      for _, uri in ipairs(case[2]) do assert.is_true(S.match(case[1], uri), uri) end
      for _, uri in ipairs(case[3]) do assert.is_false(S.match(case[1], uri), uri) end
    end)
  end

  it("matches nothing when malformed", function()
    for _, template in ipairs(malformed) do
      for _, uri in ipairs { template, "", "a", "x", "xa", "{a}", "ab" } do assert.is_false(S.match(template, uri), template .. " " .. uri) end
    end
  end)

  it("matches nothing that is too long", function()
    assert.is_true(S.match(("a"):rep(4096), ("a"):rep(4096)))
    assert.is_false(S.match(("a"):rep(4097), ("a"):rep(4097)))
    assert.is_true(S.match("{+a}", ("a"):rep(49168)))
    assert.is_false(S.match("{+a}", ("a"):rep(49169)))
  end)

  it("matches over many places as over few", function()
    for _, n in ipairs { 1, 62, 63, 64, 65, 127, 128, 129, 500 } do
      local a = ("a"):rep(n)
      assert.is_true(S.match("{a}", a))
      assert.is_true(S.match("{x}b{y}", a .. "b" .. a))
      assert.is_false(S.match("{x}b{y}", a .. "/b" .. a))
      assert.is_true(S.match("{+x}" .. a, a))
      assert.is_true(S.match("{+x}b{y}" .. a, a .. "b" .. a .. a))
      assert.is_false(S.match("{+x}b{y}" .. a, a .. "b" .. a))
      assert.is_true(S.match("{x}{?q}", a .. "?" .. a))
      assert.is_false(S.match("{x}{?q}/", a .. "/" .. a))
      assert.is_true(S.match(a .. "{/x}", a .. "/" .. a))
    end
  end)

  it("takes the words of the URI for each byte or expression at most", function()
    local function steps(template, uri)
      local left = S.ffi.new("uint64_t[1]", 2 ^ 40)
      S.lib.ln_template_match(S.J.text(template), S.J.text(uri), left)
      return 2 ^ 40 - tonumber(left[0])
    end
    for _, case in ipairs {
      { ("{+a}b"):rep(800), ("b"):rep(799) }, { ("{+a}b"):rep(800) .. "c", ("b"):rep(49000) },
      { ("{a}"):rep(1300) .. "/x", ("a"):rep(49000) }, { "{+a}" .. ("a"):rep(4000) .. "b", ("a"):rep(49000) },
      { ("{?a}"):rep(1000), ("?"):rep(49000) }, { "{" .. ("a"):rep(4000) .. "}", ("a"):rep(49000) },
    } do
      local n = #case[2]
      assert.is_true(steps(case[1], case[2]) <= 200 + 2 * n + #case[1] + (#case[1] + 10) * (n / 64 + 3), case[1]:sub(1, 20))
    end
    assert.is_true(steps("x://{a}/{b}", "x://abc/def") < 250)
    assert.is_true(steps(("a"):rep(100), "y" .. ("a"):rep(8000)) == 0)
  end)

  it("says no when steps are spent", function()
    local left = S.ffi.new("uint64_t[1]", 150)
    assert.is_false(S.lib.ln_template_match(S.J.text "x://{a}/{b}", S.J.text "x://abc/def", left))
    assert.equal(0, tonumber(left[0]))
  end)
end)
