-- src/proxy/names/elicitation.c: ids of elicitations by URL, whose they are.
local H = require "spec.unit.proxy.host"
local lib = H.lib

describe("ids of elicitations", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local function name(h, server, id, session)
    local s, anchor = H.text(id)
    local shown = H.bytes(lib.ln_elicitation_name(session or h:client(), h:server(server), s))
    return shown, anchor and nil
  end

  local function here(h, server, id, session)
    local s, anchor = H.text(id)
    local yes = lib.ln_elicitation_asked(session or h:client(), h:server(server), s)
    return yes, anchor and nil
  end

  it("are the server's own, and stay so", function()
    local h = H.new("", { { "a" } })
    for _, id in ipairs { "x", "", "a:x", "x\0y", "\195\188" } do
      assert.equal(id, name(h, "a", id))
      assert.equal(id, name(h, "a", id))
    end
  end)

  it("of two servers that are equal are two to the client", function()
    local h = H.new("", { { "a" }, { "b" }, { "c" } })
    assert.equal("x", name(h, "a", "x"))
    assert.equal("b:x", name(h, "b", "x"))
    assert.equal("c:x", name(h, "c", "x"))
    assert.equal("y", name(h, "b", "y"))
    assert.equal("a:y", name(h, "a", "y"))
    for server, expected in pairs { a = "x", b = "b:x", c = "c:x" } do assert.equal(expected, name(h, server, "x")) end
  end)

  it("of two servers are two to the client, whatever they are", function()
    local h = H.new("", { { "a" }, { "b" } })
    local seen = {}
    for _, pair in ipairs { { "a", "b:x" }, { "a", "b:b:x" }, { "a", "x" }, { "b", "x" }, { "b", "b:x" }, { "b", "b:b:x" }, { "a", "a:x" } } do
      local shown = name(h, pair[1], pair[2])
      assert.is_nil(seen[shown], shown .. " twice")
      seen[shown] = true
      assert.equal(shown, name(h, pair[1], pair[2]))
    end
  end)

  it("are each session's", function()
    local h = H.new("", { { "a" }, { "b" } })
    local one, two = h:join(), h:join()
    assert.equal("x", name(h, "a", "x", one))
    assert.equal("x", name(h, "b", "x", two))
    assert.is_true(here(h, "a", "x", one))
    assert.is_false(here(h, "b", "x", one))
    assert.is_false(here(h, "a", "x", two))
    assert.is_false(here(h, "a", "y", one))
    assert.is_false(here(h, "a", "x\0", one))
  end)

  it("are 256 of a session at most, of which the first is forgotten first", function()
    local h = H.new("", { { "a" }, { "b" } })
    for i = 1, 256 do name(h, "a", "x" .. i) end
    assert.is_true(here(h, "a", "x1"))
    assert.equal("b:x2", name(h, "b", "x2"))
    assert.is_false(here(h, "a", "x1"))
    assert.is_true(here(h, "a", "x2"))
    assert.equal(256, tonumber(H.driver.pl_count(h:client().elicitations)))
    assert.equal("x1", name(h, "b", "x1"), "which is free again")
  end)

  it("are known by a server's serial: one that is declared anew is another", function()
    local h = H.new("", { { "a" }, { "b" } })
    assert.equal("x", name(h, "a", "x"))
    h:reload("", { { "b" } })
    h:run()
    h:reload("", { { "a" }, { "b" } })
    assert.is_false(here(h, "a", "x"))
    assert.equal("a:x", name(h, "a", "x"))
  end)
end)
