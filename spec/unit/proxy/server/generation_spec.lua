-- src/proxy/server/generation.c: a policy with its servers, and which of them a reload keeps.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig

local function prefixes(g)
  local out = {}
  for i = 0, tonumber(g.n_servers) - 1 do out[i + 1] = g.prefixes[i] ~= nil and ffi.string(g.prefixes[i]) or false end
  return out
end

-- The policy comes into force.
local function force(g)
  lib.ln_generation_unref(rig.host.gen)
  rig.host.gen = g
end

describe("a generation", function()
  setup(S.setup)
  teardown(S.teardown)
  after_each(function() rig:finish() end)

  it("has the servers of its policy, in the order declared", function()
    rig = S.rig [[lunette.upstream("b", { command = "x" }) lunette.upstream("a", { url = "http://h:1/" })]]
    local g = rig.host.gen
    assert.equal(2, tonumber(g.n_servers))
    assert.equal("b a", ffi.string(g.servers[0].conf.name) .. " " .. ffi.string(g.servers[1].conf.name))
    assert.is_true(lib.ln_generation_has(g, g.servers[1]))
    local other = rig:server { name = "b", command = "x" }
    assert.is_false(lib.ln_generation_has(g, other))
  end)

  it("keeps over a reload the servers that are declared as they were", function()
    rig = S.rig [[lunette.upstream("a", { command = "x" }) lunette.upstream("b", { command = "x", args = { "1" } })
      lunette.upstream("c", { command = "y" })]]
    local old = rig.host.gen
    local a, b, c = old.servers[0], old.servers[1], old.servers[2]
    local new = assert(rig:generation [[lunette.upstream("c", { command = "y", timeout = 9, prefix = "sea", optional = true })
      lunette.upstream("b", { command = "x", args = { "2" } }) lunette.upstream("a", { command = "x" })]])
    assert.equal(c, new.servers[0])
    assert.not_equal(b, new.servers[1])
    assert.equal(a, new.servers[2])
    assert.is_true(lib.ln_generation_has(old, b) and not lib.ln_generation_has(new, b))
    assert.same({ 2, 1, 2 }, { a.refs, b.refs, c.refs })
    force(new)
    assert.same({ "b ends" }, rig:told()) -- with the generation that had it
    assert.equal(1, a.refs)
  end)

  it("that is not put in force gives its servers back", function()
    rig = S.rig [[lunette.upstream("a", { command = "x" })]]
    local a = rig.host.gen.servers[0]
    local g = assert(rig:generation [[lunette.upstream("a", { command = "x" }) lunette.upstream("b", { command = "x" })]])
    lib.ln_generation_unref(g)
    assert.equal(1, a.refs)
    assert.same({ "b ends" }, rig:told())
  end)

  it("lives as long as a session works by it", function()
    rig = S.rig [[lunette.upstream("a", { command = "x" })]]
    local s = rig:session "s"
    force(assert(rig:generation [[lunette.upstream("b", { command = "x" })]]))
    assert.same({}, rig:told())
    lib.ln_session_set_generation(s, rig.host.gen)
    assert.same({ "a ends" }, rig:told())
  end)

  it("that a server's links outlive leaves them to end by themselves", function()
    rig = S.rig [[lunette.upstream("a", { command = "x" })]]
    local a = rig.host.gen.servers[0]
    local link = rig:open_link(a)
    force(assert(rig:generation ""))
    assert.same({}, rig:told())
    lib.ln_link_close(link, "done")
    rig:told()
    rig:closed(1)
    assert.same({ "1: freed", "a ends" }, rig:told())
  end)

  it("can't be had with headers that are too long: nothing is left of it", function()
    rig = S.rig [[lunette.upstream("a", { command = "x" })]]
    local a = rig.host.gen.servers[0]
    local none, why = rig:generation [[lunette.upstream("a", { command = "x" }) lunette.upstream("b", { command = "x" })
      lunette.upstream("w", { url = "http://h/", headers = { a = ("a"):rep(1e6) } })]]
    assert.is_nil(none)
    assert.equal("the headers are too long", why)
    assert.equal(1, a.refs)
    assert.same({ "b ends" }, rig:told())
  end)

  it("names servers by prefixes where there are several, or as the policy says", function()
    rig = S.rig [[lunette.upstream("a", { command = "x" })]]
    assert.same({ false }, prefixes(rig.host.gen))
    force(assert(rig:generation [[lunette.upstream("a", { command = "x" }) lunette.upstream("b.c.d", { command = "x" })
      lunette.upstream("c", { command = "x", prefix = "sea" }) lunette.upstream("d", { command = "x", prefix = false })]]))
    assert.same({ "a", "b_c_d", "sea", false }, prefixes(rig.host.gen))
  end)

  it("knows of which kinds its policy has components", function()
    rig = S.rig [[lunette.tools.add { name = "t", handler = function() return "x" end }]]
    assert.is_true(rig.host.gen.components[lib.LN_KIND_TOOL])
    assert.is_false(rig.host.gen.components[lib.LN_KIND_RESOURCE])
  end)

  it("warns once of the same thing", function()
    rig = S.rig ""
    local g = rig.host.gen
    rig:log()
    for _ = 1, 3 do lib.ln_generation_warn_once(g, "lists", "twice: %s", "a") end
    lib.ln_generation_warn_once(g, "lists", "twice: %s", "b")
    lib.ln_generation_warn_once(g, "others", "twice: %s", "a")
    local _, lines = rig:log():gsub("\n", "\n")
    assert.equal(3, lines)
    local another = assert(rig:generation "")
    lib.ln_generation_warn_once(another, "lists", "twice: %s", "a")
    assert.matches("warn lists: twice: a\n", rig:log(), 1, true)
    lib.ln_generation_unref(another)
  end)

  it("warns of no more than a thousand things", function()
    rig = S.rig ""
    for i = 1, 1200 do lib.ln_generation_warn_once(rig.host.gen, "lists", "%d", ffi.cast("int", i)) end
    assert.equal(1000, tonumber(rig.host.gen.warned.len))
  end)
end)
