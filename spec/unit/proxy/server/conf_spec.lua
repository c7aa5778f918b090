-- src/proxy/server/conf.c: declarations copied, and which two mean the same server.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local whole = { name = "a", where = "p.lua:1", command = "c", args = { "x", "" }, env = { "K=V", "L=W" }, cwd = "/d", url = "http://h",
  headers = { "A: b" }, inherit = "H*\nP", prefix = "p", prefix_mode = "LN_PREFIX_GIVEN", timeout_ms = 7, optional = true, session = "LN_SHARING_SHARED" }

local function with(changes)
  local options = {}
  for key, value in pairs(whole) do options[key] = value end
  for key, value in pairs(changes) do options[key] = value or nil end
  return options
end

local function same(a, b)
  local one, keep_one = S.conf(a)
  local other, keep_other = S.conf(b)
  local yes = lib.ln_conf_same(one, other)
  assert.equal(yes, lib.ln_conf_same(other, one))
  return yes, keep_one and keep_other and nil
end

local function list(p)
  if p == nil then return nil end
  local out, i = {}, 0
  while p[i] ~= nil do
    out[#out + 1] = ffi.string(p[i])
    i = i + 1
  end
  return out
end

describe("a declaration", function()
  it("that is copied has its own of everything", function()
    local conf, keep = S.conf(whole)
    local copy = lib.ln_conf_copy(conf)
    for key, value in pairs(whole) do
      if type(value) == "table" then
        assert.same(value, list(copy[key]))
        assert.is_true(copy[key] ~= conf[key] and copy[key][0] ~= conf[key][0])
      elseif ffi.istype("const char *", copy[key]) then
        assert.equal(value, ffi.string(copy[key]))
        assert.is_true(copy[key] ~= conf[key])
      end
    end
    assert.is_true(copy.optional)
    assert.equal(7, tonumber(copy.timeout_ms))
    assert.is_true(lib.ln_conf_same(conf, copy))
    lib.ln_conf_free(copy)
    assert.is_table(keep)
  end)

  it("that says little is copied as little", function()
    local conf, keep = S.conf { name = "a", args = {} }
    local copy = lib.ln_conf_copy(conf)
    assert.same({}, list(copy.args))
    assert.is_true(copy.env == nil and copy.command == nil and copy.url == nil and copy.cwd == nil)
    lib.ln_conf_free(copy)
    lib.ln_conf_free(nil)
    assert.is_table(keep)
  end)

  it("means the same server as its equal, whatever its limits and names for clients", function()
    assert.is_true(same(whole, with {}))
    assert.is_true(same(whole, with { timeout_ms = 8, optional = false, prefix = "q", prefix_mode = "LN_PREFIX_NEVER", where = "q:2" }))
  end)

  it("means another when anything of the way to it differs", function()
    local differ = { { name = "b" }, { command = "d" }, { command = false }, { args = { "x" } }, { args = { "x", "", "y" } },
      { args = { "", "x" } }, { args = false }, { env = { "L=W", "K=V" } }, { env = false }, { inherit = "H*" }, { inherit = false },
      { cwd = "/" }, { cwd = false },
      { url = "http://h/" }, { url = false }, { headers = { "A: c" } }, { headers = false }, { session = "LN_SHARING_CLIENT" },
      { session = "LN_SHARING_REQUEST" }, { transport = "LN_VIA_HTTP" }, { transport = "LN_VIA_SSE" } }
    for _, changes in ipairs(differ) do assert.is_false(same(whole, with(changes)), next(changes)) end
  end)

  it("makes a child's environment: of ours what it inherits, and its own over that", function()
    for _, case in ipairs { { { name = "a" }, {} }, { { name = "a", inherit = "HOME" }, { "HOME=" .. os.getenv "HOME" } },
      { { name = "a", env = { "HOME=x", "B=" } }, { "HOME=x", "B=" } },
      { { name = "a", inherit = "HOM?\nNOT_*", env = { "HOMER=y" } }, { "HOME=" .. os.getenv "HOME", "HOMER=y" } },
      { { name = "a", inherit = "HOME", env = { "HOME=x" } }, { "HOME=x" } } } do
      local conf, keep = S.conf(case[1])
      local env = lib.ln_conf_environ(conf)
      assert.same(case[2], list(env))
      lib.ln_conf_free_list(env)
      assert.is_table(keep)
    end
    lib.ln_conf_free_list(nil)
  end)

  it("with an empty list is one without", function()
    assert.is_true(same({ name = "a", args = {} }, { name = "a" }))
    assert.is_true(same({ name = "a", env = {}, headers = {} }, { name = "a" }))
    assert.is_false(same({ name = "a", args = { "" } }, { name = "a" }))
  end)
end)
