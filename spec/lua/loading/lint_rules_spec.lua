-- Warnings of rules and handlers that can't do anything: those that are plain from the policy alone, and those
-- that show when a whole list is known. What is not sure is not told.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

-- The warnings in a log, each "LINE text".
local function warnings(log)
  local list = {}
  for line, text in log:gmatch "warn policy [^\n]-policy%.lua:(%d+):? ([^\n]*)" do
    list[#list + 1] = line .. " " .. text:gsub("[^%s(]*/policy%.lua", "policy.lua")
  end
  return list
end

local function loaded(policy)
  local f = assert(support.load("\n" .. policy))
  return f
end

local two = 'lunette.upstream("files", { command = "x" }) lunette.upstream("docs", { command = "x" }) '
local T = "lunette.tools."

describe("before any server is asked", function()
  local cases = {
    -- hidden before
    { T .. "hide 'a'\n" .. T .. "hide 'a'", '3 lunette.tools.hide: "a" can match no tool: hidden at policy.lua:2' },
    { T .. "hide 'a*'\n" .. T .. "transform('a?b', { title = 'x' })",
      '3 lunette.tools.transform: "a?b" can match no tool: hidden at policy.lua:2' },
    { T .. "hide 'a*'\n" .. T .. "only('b', 'ac')", '3 lunette.tools.only: "ac" can match no tool: hidden at policy.lua:2' },
    { T .. "hide 'ab'\n" .. T .. "hide 'a*'" },
    { T .. "hide { name = 'a', upstream = 'u' }\n" .. T .. "hide 'a'" },
    { T .. "hide { name = 'a', where = function() end }\n" .. T .. "hide 'a'" },
    { T .. "hide 'a'\nlunette.prompts.hide 'a'" },
    { T .. "transform('a', { enabled = false })\n" .. T .. "hide 'a'",
      '3 lunette.tools.hide: "a" can match no tool: hidden at policy.lua:2' },
    -- nothing of it left
    { T .. "only('docs_*', 'read')\n" .. T .. "hide 'write_*'",
      '3 lunette.tools.hide: "write_*" can match no tool: only docs_* read is left at policy.lua:2' },
    { T .. "only('docs_*')\n" .. T .. "hide '*_x'" },
    { T .. "only('docs_*', { upstream = 'u' })\n" .. T .. "hide 'write_*'" },
    { "lunette.resources.only 'a://*'\nlunette.resources.hide 'b://*'",
      '3 lunette.resources.hide: "b://*" can match no resource: only a://* is left at policy.lua:2' },
    -- renames
    { T .. "rename { a = 'b' }\n" .. T .. "rename { a = 'c' }",
      '3 lunette.tools.rename: "a" can match no tool: renamed to b at policy.lua:2' },
    { T .. "rename { a = 'b' }\n" .. T .. "hide 'b'" },
    { T .. "hide 'b'\n" .. T .. "rename { a = 'b' }\n" .. T .. "transform('b', { title = 'x' })" },
    { T .. "only 'a'\n" .. T .. "rename { a = 'b' }\n" .. T .. "hide 'b'" },
    { T .. "rename { a = 'b', b = 'a' }\n" .. T .. "hide('a', 'b')" },
    { T .. "rename { a = 'c' }\n" .. T .. "rename { b = 'c' }",
      "3 lunette.tools.rename: c is the name of another tool already (policy.lua:2): the first in the list wins" },
    { T .. "rename { a = 'c', b = 'c' }",
      "2 lunette.tools.rename: a and b would both be called c: the first in the list wins" },
    { T .. "transform('a', { name = 'b' })\n" .. T .. "hide 'a'",
      '3 lunette.tools.hide: "a" can match no tool: renamed to b at policy.lua:2' },
    { T .. "add { name = 'now', handler = print }\n" .. T .. "rename { a = 'now' }",
      "3 lunette.tools.rename: now is the name of another tool already (policy.lua:2): the first in the list wins" },
    { T .. "add { name = 'now', handler = print }\n" .. T .. "hide 'now'\n" .. T .. "rename { a = 'now' }" },
    { T .. "hide 'a'\n" .. T .. "rename(function(n) return n end)\n" .. T .. "hide 'a'" },
    { T .. "hide 'a'\n" .. T .. "transform('b', function(t) return t end)\n" .. T .. "hide 'a'" },
    -- the policy's own
    { T .. "only 'a*'\n" .. T .. "add { name = 'now', handler = print } " .. T .. "add { name = 'at', handler = print }",
      "3 lunette.tools.add: now is hidden: only a* is left at policy.lua:2 (rules hold for all components, wherever they are added)" },
    { T .. "only('a*', { upstream = 'u' })\n" .. T .. "add { name = 'now', handler = print }" },
    -- ready policies
    { "require 'lunette.policy.read_only'\nlocal timeout = require 'lunette.policy.timeout'\nrequire 'lunette.policy.timeout' {seconds = 1}",
      '2 require "lunette.policy.read_only" does nothing by itself; give it its options: require "lunette.policy.read_only" {}' },
    -- handlers
    { T .. "hide 'a'\nlunette.on('tools/call', 'a', print)",
      '3 lunette.on: "a" can match no tool: hidden at policy.lua:2' },
    { "lunette.on('tools/call', 'a', print)\n" .. T .. "hide 'a*'",
      '2 lunette.on: "a" can match no tool: hidden at policy.lua:3' },
    { "lunette.on('tools/call', 'a', print)\n" .. T .. "rename { a = 'b' }\n" .. T .. "hide 'a*'" },
    { T .. "rename { a = 'b' }\nlunette.on('tools/call', 'a', print)",
      '3 lunette.on: "a" can match no tool: renamed to b at policy.lua:2' },
    { "lunette.on('tools/call', { 'a', 'b' }, print)\n" .. T .. "hide 'a'" },
    { "lunette.resources.hide 'a://*'\nlunette.on('resources/read', 'a://b', print)" },
    -- servers
    { two .. T .. "hide { upstream = 'flies' }", "2 lunette.tools.hide: no server is called flies; did you mean files?" },
    { two .. "lunette.on('tools/call', { upstream = 'nobody' }, print)", "2 lunette.on: no server is called nobody" },
    { two .. "lunette.resource_templates.hide { upstream = 'doc' }",
      "2 lunette.resource_templates.hide: no server is called doc; did you mean docs?" },
    { two .. T .. "hide { upstream = { 'd*', 'files' } }" },
    { T .. "hide { upstream = 'flies' }" },
    -- prefixes
    { two .. T .. "hide 'read'", '2 lunette.tools.hide: "read" can match no tool: all names begin with their server\'s: '
      .. "files_* docs_*; did you mean files_read or docs_read?" },
    { two .. T .. "hide 'files_read'" },
    { two .. T .. "hide '*read'" },
    { two .. "lunette.resources.hide 'a://b'" },
    { two .. T .. "add { name = 'now', handler = print } " .. T .. "hide 'now'" },
    { two .. 'lunette.upstream("bare", { command = "x", prefix = false }) ' .. T .. "hide 'read'" },
    { 'lunette.upstream("one", { command = "x" }) ' .. T .. "hide 'read'" },
    { 'lunette.upstream("one", { command = "x", prefix = "p" }) ' .. T .. "hide 'read'",
      '2 lunette.tools.hide: "read" can match no tool: all names begin with their server\'s: p_*; did you mean p_read?' },
    -- methods
    { "lunette.on('tols/*', print)", "2 lunette.on: tols/* is no method of MCP; did you mean tools/*? (a server may have methods of its own)" },
    { "lunette.on('x/*', print)" },
    { "lunette.on('tools/*', print)" },
    { "lunette.on('Tools/Call', print)",
      "2 lunette.on: Tools/Call is no method of MCP; did you mean tools/call? (a server may have methods of its own)" },
  }
  for _, case in ipairs(cases) do
    it((case[1]:gsub("\n", " | ")), function()
      local f = loaded(case[1])
      local log = f:log()
      f:free()
      assert.same({ case[2] }, warnings(log))
    end)
  end

  it("does not take long over very many rules", function()
    local began = os.clock()
    local f = loaded [[for i = 1, 1000 do
      lunette.tools.hide("tool_" .. i, "x" .. i .. "*y*")
      lunette.tools.only("tool*", "*x" .. i)
      lunette.on("tools/call", "t" .. i .. "*", print)
    end]]
    f:free()
    -- Without a bound it takes many minutes.
    assert.is_true(os.clock() - began < 20)
  end)

  it("counts rules and warnings", function()
    local f = loaded(T .. "hide 'a' " .. T .. "hide 'a' lunette.prompts.only('b')")
    assert.equal(3, tonumber(f.decls.n_rules))
    assert.equal(1, tonumber(f.decls.n_warnings))
    f:free()
  end)
end)

describe("when a whole list is known", function()
  -- What is told of a policy that sees these tools.
  local function told(policy, names, options)
    options = options or {}
    local f, items = loaded(policy), {}
    for i, name in ipairs(names) do
      local key = options.kind == "resources" and "uri" or "name"
      items[i] = { name = name, upstream = "up", json = ('{"%s":"%s"}'):format(key, name) }
    end
    for _ = 1, 2 do
      assert(f:present(options.kind or "tools", items, { complete = options.complete ~= false }))
    end
    local log = f:log()
    f:free()
    return warnings(log)
  end

  local names = { "read_text", "write_text", "list" }
  local cases = {
    { T .. "hide 'delete'", '2 lunette.tools.hide: "delete" matches no tool' },
    { T .. "hide 'wirte_text'", '2 lunette.tools.hide: "wirte_text" matches no tool; did you mean write_text?' },
    { T .. "hide 'x_*'", '2 lunette.tools.hide: "x_*" matches no tool' },
    { T .. "hide('read_*', 'delete_*')" },
    { T .. "hide('read_*', 'lits')", '2 lunette.tools.hide: "lits" matches no tool; did you mean list?' },
    { T .. "only('read_*', 'lits')", '2 lunette.tools.only: "lits" matches no tool; did you mean list?' },
    { T .. "only('*', 'list')" },
    { T .. "hide { where = function() return false end }" },
    { T .. "hide { name = 'gone', where = function() return false end }" },
    { T .. "hide { upstream = 'other' }", '2 lunette.tools.hide: "upstream other" matches no tool' },
    { T .. "filter(function() return true end)" },
    { T .. "filter(function(t) local keep = t.name == 'list' end)",
      "2 lunette.tools.filter: its function returned nothing for any tool, and so hides them all" },
    { T .. "filter(function(t) return t.name == 'list' or nil end)" },
    { T .. "filter(function(t) return false end)" },
    { T .. "filter(function(t, ctx) return ctx.session.state.more end)" },
    { T .. "rename { list = 'all', lst = 'every' }", '2 lunette.tools.rename: "lst" matches no tool; did you mean list?' },
    { T .. "transform('text', { title = 'x' })", '2 lunette.tools.transform: "text" matches no tool; did you mean read_text?' },
    { T .. "rename { list = 'all' }\nlunette.on('tools/call', 'all', print)" },
    { "lunette.on('tools/call', 'list', print)\n" .. T .. "rename { list = 'all' }" },
    { "lunette.on('tools/call', 'lst', print)", '2 lunette.on: "lst" matches no tool; did you mean list?' },
    { "lunette.on('tools/call', { name = 'lst', where = print }, print)" },
    { T .. "filter(function(t) return t.name ~= 'list' end)\nlunette.on('tools/call', 'list', print)",
      '3 lunette.on: "list" matches no tool: it is hidden at policy.lua:2' },
  }
  for _, case in ipairs(cases) do
    it("once: " .. case[1]:gsub("\n", " | "), function()
      assert.same({ case[2] }, told(case[1], names))
    end)
  end

  it("says nothing while a server is missing, and nothing of lists with nothing in them", function()
    assert.same({}, told(T .. "hide 'delete'", names, { complete = false }))
    assert.same({}, told(T .. "hide 'delete'", {}))
  end)

  it("leaves alone what is for each client, and URIs that may be there without being listed", function()
    assert.same({}, told(T .. "hide { name = 'delete', where = function(_, ctx) return ctx end }", names))
    assert.same({}, told("lunette.resources.hide 'b://*'", { "a://1" }, { kind = "resources" }))
    assert.same({ '2 lunette.resources.rename: "a://2" matches no resource; did you mean a://1?' },
      told("lunette.resources.rename { ['a://2'] = 'a://3' }", { "a://1" }, { kind = "resources" }))
  end)

  it("does not say again what was plain before", function()
    assert.same({ '3 lunette.tools.hide: "list" can match no tool: hidden at policy.lua:2' },
      told(T .. "hide 'list'\n" .. T .. "hide 'list'", names))
  end)
end)
