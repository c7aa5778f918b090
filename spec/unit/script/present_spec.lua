-- Lists through rules: what is shown, under which name, with which bytes, and why.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

local READ = '{ "name":"read","description":"Reads","inputSchema":{"type":"object","x":1.0},"annotations":{"readOnlyHint":true} }'
local WRITE = [[{"name":"write","title":"\u0057rite","inputSchema":{},"annotations":{"destructiveHint":true},"n":12345678901234567890}]]

describe("ln_present", function()
  local f

  after_each(function()
    if f then f:free() end
    f = nil
  end)

  local items = { { name = "read", upstream = "files", json = READ }, { name = "write", upstream = "files", json = WRITE } }

  local function present(policy, options)
    if f then f:free() end
    f = assert(support.load(policy))
    return assert(f:present(options and options.kind or "tools", options and options.items or items, options))
  end

  it("leaves everything as it is where nothing is said", function()
    for _, policy in ipairs { "", "lunette.resources.hide '*'", "lunette.tools.hide 'x'", "lunette.tools.filter(function() return true end)",
      "lunette.tools.transform('*', function(t) return t end)", "lunette.tools.rename(function(n) return n end)" } do
      for i, row in ipairs(present(policy)) do
        assert.same({ name = items[i].name, hidden = false, old = {} }, row, policy)
      end
    end
  end)

  it("hides, and says nothing else of what is hidden", function()
    local rows = present "lunette.tools.transform('*', { title = 'x' }) lunette.tools.hide 'w*'"
    assert.is_false(rows[1].hidden)
    assert.same({ name = "write", hidden = true, old = {} }, rows[2])
  end)

  it("renames, and tells which rule took which name away", function()
    local rows = present [[
      lunette.on("x", function() end)
      lunette.tools.rename { read = "load" }
      lunette.tools.hide "nothing"
      lunette.tools.rename(function(name) return name:upper() end)
      lunette.tools.rename { LOAD = "LOAD" }]]
    assert.same({ name = "LOAD", hidden = false, old = { { 2, "read" }, { 4, "load" } } }, rows[1])
    assert.same({ name = "WRITE", hidden = false, old = { { 4, "write" } } }, rows[2])
  end)

  it("edits a definition where a transform edits it", function()
    local rows = present [[lunette.tools.transform("read", { description = "R", title = "T", annotations = { openWorldHint = false } })]]
    assert.equal('{ "name":"read","description":"R","inputSchema":{"type":"object","x":1.0},'
      .. '"annotations":{"readOnlyHint":true,"openWorldHint":false},"title":"T" }', rows[1].json)
    assert.is_nil(rows[2].json)
  end)

  it("leaves the name to the proxy, even under a prefix", function()
    local prefixed = { { name = "files_read", upstream = "files", json = READ } }
    local rows = present([[lunette.tools.transform("files_read", function(t)
      assert(t.name == "files_read" and t.upstream == "files" and rawget(t, "upstream") == nil)
      t.description = nil
      return t end)]], { items = prefixed })
    assert.same({ name = "files_read", hidden = false, old = {}, json = READ:gsub('"description":"Reads",', "") }, rows[1])
    rows = present([[lunette.tools.transform("files_read", function(t) t.name = "r" return t end)]], { items = prefixed })
    assert.same({ name = "r", hidden = false, old = { { 1, "files_read" } } }, rows[1])
    rows = present([[lunette.tools.transform("files_read", { name = "r", title = false, description = "x" })]], { items = prefixed })
    assert.same({ name = "r", hidden = false, old = { { 1, "files_read" } }, json = READ:gsub("Reads", "x") }, rows[1])
  end)

  it("takes a table of its own from a transform", function()
    local rows = present [[lunette.tools.transform("read", function(t) return { name = t.name, inputSchema = t.inputSchema } end)]]
    assert.equal('{ "name":"read","inputSchema":{"type":"object","x":1.0} }', rows[1].json)
  end)

  it("replaces and removes an output schema", function()
    assert.equal(READ:gsub("%} %}$", '},"outputSchema":{"required":[],"type":"object"} }'),
      present("lunette.tools.transform('read', { outputSchema = { type = 'object', required = {} } })")[1].json)
    local with = { { name = "a", json = '{"name":"a","outputSchema":{}, "b":1}' } }
    assert.equal('{"name":"a", "b":1}', present("lunette.tools.transform('a', { outputSchema = false })", { items = with })[1].json)
  end)

  it("gives what a rule of a ready policy logs the place where that was asked for", function()
    present "\nrequire 'lunette.policy.pin' { file = '/dev/null' }"
    assert.truthy(f:log():find("warn policy [^\n]-policy%.lua:2: pin: files/read is withheld"), f:log())
  end)

  it("withholds what a rule failed for, with the place in the log", function()
    for _, case in ipairs {
      { "\nlunette.tools.filter(function(t) return t.no.such end)", "policy.lua:2: filter failed, tool read is withheld" },
      { "\nlunette.tools.filter(function(t) return t.no.such end)", "withheld: attempt to index field 'no'" },
      { "\nlunette.tools.transform('read', function(t) t.x = nil end)",
        "policy.lua:2: transform failed, tool read is withheld: transform must return the tool, not nothing" },
      { "\nlunette.tools.transform('read', function(t) t.name = 5 return t end)", "the new name of read must be a text, not 5" },
      { "\nlunette.tools.rename(function(n) return '' end)", "withheld: the new name of read must be a text" },
      { "\nlunette.tools.hide { where = function(t) lunette.sleep(1) end }", "which only a handler can do" },
      { "\nlunette.tools.transform('read', function(t) t.f = { print } return t end)",
        "policy.lua:2: read can't be presented and is withheld: item.f[1]: a function can't be sent" },
      { "\nlunette.configure { hook_timeout = 0.05 } lunette.tools.filter(function() lunette.error(-1, 'x') end)", "JSON-RPC error -1: x" },
    } do
      local rows = present(case[1])
      assert.is_true(rows[1].hidden, case[1])
      assert.truthy(f:log():find(case[2], 1, true), f:log() .. "\nhas no\n" .. case[2])
    end
  end)

  it("tells the first that a rule failed for, with the traceback, and counts the others", function()
    local many = {}
    for i = 1, 1000 do many[i] = { name = "t" .. i, upstream = "files", json = ('{"name":"t%d"}'):format(i) } end
    for policy, told in pairs {
      ["\nlunette.tools.filter(function(t) return t.no.such end)"] = { "policy.lua:2: filter failed, tool t1 is withheld: ",
        "policy.lua:2: filter withholds 999 more tools for such an error; `lunette list --explain` shows which" },
      ["\nlunette.tools.transform('t[12]', function(t) error(t.name) end)"] = { "tool t1 is withheld: ",
        "policy.lua:2: transform withholds 1 more tool for such an error" },
      ["\nlunette.tools.transform('*', { arguments = { a = { name = 'b' } } })"] = { "policy.lua:2: the transform of t1 can't hold",
        "policy.lua:2: transform withholds 999 more tools" },
      ["\nlunette.tools.transform('*', function(t) t.f = print return t end)"] = { "policy.lua:2: t1 can't be presented and is withheld: ",
        "999 more of the tools can't be presented for such an error" },
    } do
      local rows = present(policy, { items = many })
      assert.is_true(rows[2].hidden, policy)
      for _, text in ipairs(told) do
        assert.truthy(f:log():find(text, 1, true), f:log():sub(1, 3000))
      end
      assert.is_nil(f:log():find("t2 ", 1, true), f:log():sub(1, 3000))
      assert.is_true(#f:log() < 3000)
    end
  end)

  it("fails as a whole when a rule never ends, and works the next time", function()
    f = assert(support.load [[lunette.configure { hook_timeout = 0.05 }
      lunette.tools.filter(function() while not lunette.shared.get "go" do pcall(error) end return true end)
      lunette.every(0.02, function() lunette.shared.set("go", true) end)]])
    local rows, rc = f:present("tools", items)
    assert.is_nil(rows)
    assert.equal(-19, rc)
    assert.truthy(f:log():find("ran for more than 0.05 s", 1, true), f:log())
    f:run(60)
    assert.is_false(assert(f:present("tools", items))[1].hidden)
    support.lib.ln_policy_retire(f.policy)
    f:run(20)
  end)

  it("explains each step", function()
    local rows = present([[
lunette.tools.hide "nothing"
lunette.tools.rename { read = "load" }
lunette.tools.transform("load", { title = "T", description = "D" })
lunette.tools.transform("load", function(t) return t end)
lunette.tools.only("load", { upstream = "docs" })
lunette.tools.filter(function() return false end)]], { explain = true })
    local function lines(why) return (why:gsub("[^\n]-policy.lua:", "")) end
    assert.equal("2 rename read -> load\n3 transform description, title\n4 transform\n6 filter\n", lines(rows[1].why))
    assert.equal("5 only load upstream docs\n", lines(rows[2].why))
    assert.is_nil(present("lunette.tools.hide 'x'", { explain = true })[1].why)
  end)

  it("asks with the client's ctx where a rule takes one", function()
    local per_client = {
      ["lunette.tools.filter(function(t, ctx) return ctx.session.id == 'a' end)"] = true,
      ["lunette.tools.filter(function(t) return true end)"] = false,
      ["lunette.tools.filter(function(...) return true end)"] = true,
      ["lunette.tools.hide { where = function(t, ctx) return ctx.session.id ~= 'a' end }"] = true,
      ["lunette.tools.hide { where = function(t) return false end }"] = false,
      ["lunette.tools.transform('*', function(t, ctx) return t end)"] = true,
      ["lunette.tools.transform('*', function(t) return t end)"] = false,
      ["lunette.tools.rename(function(n, t) end)"] = false,
      ["lunette.tools.rename(function(n, t, ctx) end)"] = true,
    }
    for policy, yes in pairs(per_client) do
      present(policy)
      assert.equal(yes, f:per_client "tools", policy)
      assert.is_true(f:has_rules "tools")
      assert.is_false(f:has_rules "prompts")
    end
    f:free()
    f = assert(support.load "lunette.tools.filter(function(t, ctx) return ctx.session.id == 'a' end)")
    assert.is_true(f:present("tools", items)[1].hidden)
    f:fact("id", "a")
    assert.is_false(f:present("tools", items, { for_client = true })[1].hidden)
    f:fact("id", "b")
    assert.is_true(f:present("tools", items, { for_client = true })[1].hidden)
  end)

  it("tells which headers the rules read", function()
    for policy, read in pairs {
      ["lunette.tools.filter(function(t) return true end)"] = false,
      ["lunette.tools.filter(function(t, ctx) return ctx.headers and ctx.session.id == 'a' end)"] = false,
      ["lunette.tools.filter(function(t, ctx) return ctx.headers['x-role'] == 'admin' end)"] = "x-role\0",
      ["lunette.tools.filter(function(t, ctx) return ctx.headers['x-role'] == 'x' or ctx.headers.none or ctx.headers.b end)"] = "b\0none\0x-role\0",
      ["lunette.tools.filter(function(t, ctx) return t.name == 'read' or ctx.headers[1] or ctx.headers['a\\0'] or ctx.headers.b end)"] = "b\0",
      ["lunette.tools.filter(function(t, ctx) local n = 0 for k, v in pairs(ctx.headers) do n = n + 1 end return n == 2 end)"] = "all",
      ["lunette.tools.filter(function(t, ctx) return next(ctx.headers) ~= nil end)"] = "all",
      ["lunette.tools.filter(function(t, ctx) local n = 0 for k, v in next, ctx.headers do n = n + 1 end return n == 2 end)"] = "all",
      ["lunette.tools.filter(function(t, ctx) return rawget(ctx.headers, 'b') end)"] = "b\0",
      ["lunette.tools.filter(function(t, ctx) return lunette.json.encode(ctx.headers):find 'admin' end)"] = "all",
      ["lunette.tools.filter(function(t, ctx) ctx.headers.c = 'd' return ctx.headers.c == 'd' end)"] = "c\0",
      ["lunette.tools.filter(function(t, ctx) for i = 1, 100 do local _ = ctx.headers['h' .. i] end return true end)"] = "all",
      ["lunette.tools.hide { where = function(t, ctx) return ctx.headers.no end }"] = "no\0",
      ["local pairs = pairs lunette.tools.rename(function(n, t, ctx) for _ in pairs(ctx.headers) do end end)"] = "all",
    } do
      f = assert(support.load(policy))
      f:fact("headers", '{"x-role":"admin","b":"1"}')
      local rows = assert(f:present("tools", items, { for_client = true }))
      assert.equal(read or nil, rows.read, policy)
      assert.equal(read == false and policy:find "session" ~= nil, rows[1].hidden, policy .. f:log())
      f:free()
      f = nil
    end
  end)

  it("keeps no headers for another list", function()
    f = assert(support.load [[local kept
      lunette.tools.filter(function(t, ctx) kept = kept or ctx.headers return kept.a ~= 'x' end)]])
    f:fact("headers", '{"a":"1"}')
    assert.is_false(assert(f:present("tools", items, { for_client = true }))[1].hidden)
    assert.is_true(assert(f:present("tools", items, { for_client = true }))[1].hidden)
    assert.truthy(f:log():find("ctx.headers belongs to a request that is over", 1, true), f:log())
  end)

  it("forgets a ctx when the list is done", function()
    f = assert(support.load [[lunette.tools.filter(function(t, ctx) kept = kept or ctx return true end)
      lunette.on("x", function() return { id = kept.session.id } end)]])
    assert(f:present("tools", items, { for_client = true }))
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:log():find("belongs to a request that is over", 1, true))
  end)

  it("knows resources by URI, templates also by their name", function()
    local resources = { { name = "file:///a.txt", upstream = "u", json = '{"uri":"file:///a.txt","name":"readme"}' } }
    assert.is_false(present("lunette.resources.hide 'readme'", { kind = "resources", items = resources })[1].hidden)
    assert.is_true(present("lunette.resources.hide '*.txt'", { kind = "resources", items = resources })[1].hidden)
    local rows = present([[lunette.resources.rename { ["file:///a.txt"] = "doc://a" }
      lunette.resources.transform("doc:*", { name = "R", mimeType = "text/plain" })]], { kind = "resources", items = resources })
    assert.same({ name = "doc://a", hidden = false, old = { { 1, "file:///a.txt" } },
      json = '{"uri":"file:///a.txt","name":"R","mimeType":"text/plain"}' }, rows[1])
    local templates = { { name = "file:///{path}", upstream = "u", json = '{"uriTemplate":"file:///{path}","name":"files"}' } }
    assert.is_true(present("lunette.resource_templates.hide 'fil?s'", { kind = "resource_templates", items = templates })[1].hidden)
    assert.is_true(present("lunette.resource_templates.hide 'file:*'", { kind = "resource_templates", items = templates })[1].hidden)
    assert.is_false(present("lunette.resource_templates.hide 'x'", { kind = "resource_templates", items = templates })[1].hidden)
  end)

  it("goes through a thousand items at once", function()
    local many = {}
    for i = 1, 1000 do many[i] = { name = "tool" .. i, upstream = "u", json = ('{"name":"tool%d","description":"%s"}'):format(i, ("x"):rep(300)) } end
    local began = os.clock()
    local rows = present([[lunette.tools.hide("*7", "*8") lunette.tools.rename(function(n) return "t" .. n end)
      lunette.tools.transform("*", function(t) t.description = t.description:sub(1, 10) return t end)]], { items = many })
    assert.is_true(os.clock() - began < 1)
    local shown = 0
    for _, row in ipairs(rows) do shown = shown + (row.hidden and 0 or 1) end
    assert.equal(800, shown)
    assert.equal('{"name":"tool1","description":"xxxxxxxxxx"}', rows[1].json)
  end)

  describe("ln_present_may_hide", function()
    local cases = {
      { "", "x", false },
      { "lunette.tools.hide 'a*'", "abc", true },
      { "lunette.tools.hide 'a*'", "b", false },
      { "lunette.tools.hide { name = 'a*', upstream = 'u' }", "abc", true },
      { "lunette.tools.hide { upstream = 'u' }", "abc", true },
      { "lunette.tools.hide { name = 'b', where = function() end }", "abc", false },
      { "lunette.tools.hide { where = function() end }", "abc", true },
      { "lunette.tools.only 'a*'", "abc", false },
      { "lunette.tools.only 'a*'", "b", true },
      { "lunette.tools.only { name = 'a*', upstream = 'u' }", "abc", true },
      { "lunette.tools.filter(function() return true end)", "x", true },
      { "lunette.tools.rename { a = 'b' } lunette.tools.hide 'b'", "a", true },
      { "lunette.tools.rename { a = 'b' } lunette.tools.hide 'a'", "a", false },
      { "lunette.tools.rename(function() end)", "a", false },
      { "lunette.tools.rename(function() end) lunette.tools.hide 'b'", "a", true },
      { "lunette.tools.transform('*', function(t) return t end)", "a", false },
      { "lunette.tools.transform('*', { title = 'x' }) lunette.tools.hide 'b'", "a", false },
      { "lunette.tools.transform('a', { name = 'b' }) lunette.tools.hide 'b'", "a", true },
      { "lunette.prompts.hide '*'", "a", false },
    }
    for _, case in ipairs(cases) do
      it(("after %s says %s to %s"):format(case[1], case[3], case[2]), function()
        f = assert(support.load(case[1]))
        assert.equal(case[3], f:may_hide("tools", case[2]))
      end)
    end
  end)
end)
