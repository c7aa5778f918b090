-- Many templates: a URI is held against those alone that begin as it does.
local S = require "spec.unit.mcp.support"
require("spec.support.ffi").include "mcp/template_set.h"
local lib, ffi, J = S.lib, S.ffi, S.J

local owners = ffi.new "char[4]"
local sets = {}

-- rows: templates, or { owner (1 to 3), template }. find(uri, owner, steps) gives the place of the first
-- that matches, nil or an error's name, and what it took.
local function set_of(rows)
  local set = ffi.new "struct ln_templates"
  sets[#sets + 1] = { set, rows } -- borrowed
  lib.ln_templates_init(set)
  local texts = {}
  for i, row in ipairs(rows) do
    local owner, text = 0, row
    if type(row) == "table" then owner, text = row[1], row[2] end
    texts[i] = J.text(text)
    assert(lib.ln_templates_add(set, owners + owner, texts[i], ffi.cast("void *", i)) == 0)
  end
  lib.ln_templates_seal(set)
  return function(uri, owner, steps)
    local value, left = ffi.new "void *[1]", ffi.new("uint64_t[1]", steps or 2 ^ 40)
    local rc = lib.ln_templates_find(set, owners + (owner or 0), J.text(uri), left, value)
    local took = (steps or 2 ^ 40) - tonumber(left[0])
    if rc == 0 then return tonumber(ffi.cast("intptr_t", value[0])), took, texts end
    local err = S.R.err(rc)
    return err ~= "ENOTFOUND" and err or nil, took, texts
  end
end

describe("mcp/template_set", function()
  after_each(function()
    for _, kept in ipairs(sets) do lib.ln_templates_deinit(kept[1]) end
    sets = {}
  end)

  it("finds the first that was added, wherever it begins", function()
    local find = set_of { "x://a/{b}", "x://{+a}", "{+any}", "x://a/b/{c}", "x://a/{b}", "", "x://a/b/c" }
    assert.equal(1, find "x://a/1")
    assert.equal(2, find "x://a/b/c")
    assert.equal(2, find "x://")
    assert.equal(3, find "y://")
    assert.equal(3, find "")
    assert.equal(3, find "x:/")
    find = set_of { "x://a/b/c", "", "x://{+a}" }
    assert.equal(1, find "x://a/b/c")
    assert.equal(2, find "")
    assert.equal(nil, (find "y://"))
    assert.equal(nil, (set_of {} "x"))
  end)

  it("keeps owners apart", function()
    local find = set_of { { 1, "x://{a}" }, { 2, "x://{a}" }, { 2, "{+a}" }, { 3, "x://1" } }
    assert.same({ 1, 2, 4 }, { (find("x://1", 1)), (find("x://1", 2)), (find("x://1", 3)) })
    assert.same({ nil, 3, nil }, { (find("y", 1)), (find("y", 2)), (find("y", 3)) })
    assert.equal(nil, (find("x://1", 0)))
  end)

  it("says what looking over all says", function()
    local state = 1
    local function random(n)
      state = (state * 48271) % 2147483647
      return state % n + 1
    end
    local bits = { "a", "b", "/", "ab", "a/", "{x}", "{+x}", "{?x}", "{/x*}" }
    local function text(n, of)
      local out = {}
      for i = 1, random(n) - 1 do out[i] = bits[random(of)] end
      return table.concat(out)
    end
    for _ = 1, 200 do
      local rows = {}
      for i = 1, random(30) do rows[i] = text(7, #bits) end
      local find = set_of(rows)
      for _ = 1, 20 do
        local uri, first = text(9, 5), nil
        for i = #rows, 1, -1 do
          if S.match(rows[i], uri) then first = i end
        end
        assert.equal(first, (find(uri)), uri .. " in " .. table.concat(rows, " "))
      end
    end
  end)

  it("looks at none that begins otherwise, however many there are", function()
    local few, many = { "x://1/{a}" }, {}
    for i = 1, 5000 do many[i] = ("x://%d/%s"):format(i, ("{+a}/"):rep(30)) end
    local _, one = set_of(few) "x://1/a"
    local at, all = set_of(many)("x://4000/" .. ("a/"):rep(30))
    assert.equal(4000, at)
    assert.is_true(all < 20 * one, all .. " of " .. one)
    local none, took = set_of(many)(("y"):rep(8000))
    assert.equal(nil, none)
    assert.is_true(took < 200, took)
  end)

  it("stops when steps are spent, and says so", function()
    local many = {}
    for i = 1, 1000 do many[i] = "x://" .. ("{+a}/"):rep(30) .. i end
    local find = set_of(many)
    local uri = "x://" .. ("a/"):rep(100)
    local what, took = find(uri, 0, 10000)
    assert.equal("ELIMIT", what)
    assert.equal(10000, took)
    assert.equal(nil, (find(uri)))
    assert.equal("ELIMIT", (find(("x://"):rep(20000))))
    assert.equal(nil, (find(("y"):rep(80000))))
  end)
end)
