-- What the policy language says to what is not in it: file, line, what is wrong, what was meant.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

local function fails(policy, expected)
  local f, why = support.load("\n" .. policy)
  if f then f:free() end
  assert.is_nil(f, "loaded: " .. policy)
  assert.truthy(why:find("policy.lua:2: " .. expected, 1, true), why .. "\nhas no\n" .. expected)
end

describe("a policy's mistake is told with its line:", function()
  local fn = "function() end"
  local cases = {
    -- selectors
    { "lunette.tools.hide()", "lunette.tools.hide: nothing selected" },
    { "lunette.tools.hide(5)", "lunette.tools.hide: selector 1 must be a glob or a table" },
    { "lunette.tools.hide('a', '')", "lunette.tools.hide: selector 2 must not be empty" },
    { "lunette.tools.hide {}", "lunette.tools.hide: selector 1 selects nothing" },
    { "lunette.tools.hide { nam = 'x' }", "lunette.tools.hide: selector 1: unknown option nam; did you mean name?" },
    { "lunette.tools.hide { tool = 'x' }", "lunette.tools.hide: selector 1: unknown option tool; there are name, upstream, where" },
    { "lunette.tools.hide { where = 'x' }", 'lunette.tools.hide: selector 1.where must be a function, not "x"' },
    { "lunette.tools.hide { name = {} }", "lunette.tools.hide: selector 1.name must be a glob or a list of globs" },
    { "lunette.tools.hide { name = { 'a', 5 } }", "lunette.tools.hide: selector 1.name[2] must be a string" },
    { "lunette.tools.only()", "lunette.tools.only: nothing selected" },
    -- verbs
    { "lunette.tools.filter 'x'", "lunette.tools.filter's argument must be a function" },
    { "lunette.prompts.filter()", "lunette.prompts.filter's argument must be a function, not nothing" },
    { "lunette.tools.rename 'x'", "lunette.tools.rename's argument must be a table { old = new } or a function, not \"x\"" },
    { "lunette.tools.rename { ['a*'] = 'b' }", "lunette.tools.rename: a* looks like a glob; give the exact name" },
    { "lunette.tools.rename { a = 5 }", "lunette.tools.rename: the new name of a must be a string, not 5" },
    { "lunette.tools.rename { a = '' }", "lunette.tools.rename: the new name of a must not be empty" },
    { "lunette.tools.rename { 'a' }", "lunette.tools.rename: a name must be a string, not 1" },
    { "lunette.tools.transform('a')", "lunette.tools.transform's second argument must be a table or a function, not nothing" },
    { "lunette.tools.transform(nil, {})", "lunette.tools.transform: selector must be a glob" },
    { "lunette.tools.transform('a', { titel = 'x' })", "lunette.tools.transform: titel can't be transformed; did you mean title?" },
    { "lunette.tools.transform('a', { desc = 'x' })", "lunette.tools.transform: desc can't be transformed; did you mean description?" },
    { "lunette.upstream('a', { cmd = 'x' })", 'upstream "a": unknown option cmd; did you mean command?' },
    { "lunette.upstream('a', { command = 'x' }).tools.hide 'b'",
      'an upstream has no tools; rules choose by server: lunette.tools.hide { upstream = "files" }' },
    { "lunette.upstream('a', { command = 'x' }):cler()", "an upstream has no cler; did you mean clear?" },
    { "lunette.policy.read_only {}", 'lunette has no policy; ready policies are modules: require "lunette.policy.read_only" {}' },
    { "lunette.tools.transform('a', { title = 5 })", "lunette.tools.transform.title must be a string, not 5" },
    { "lunette.tools.transform('a', { annotations = 'x' })", "lunette.tools.transform.annotations must be a table" },
    { "lunette.tools.transform('a', { outputSchema = { type = 'string' } })",
      'lunette.tools.transform.outputSchema must be the schema of an object: { type = "object", … }' },
    { "lunette.tools.transform('a', { outputSchema = {} })", 'lunette.tools.transform.outputSchema must be the schema of an object: { type = "object", … }' },
    { "lunette.tools.transform('a', { outputSchema = true })", "lunette.tools.transform.outputSchema must be a table, not true" },
    { "lunette.prompts.transform('a', { annotations = {} })", "lunette.prompts.transform: annotations can't be transformed" },
    { "lunette.tools.hid 'x'", "lunette.tools has no hid; did you mean hide?" },
    { "lunette.prompts.call 'x'", "lunette.prompts has no call" },
    { "lunette.log.inof 'x'", "lunette.log has no inof; did you mean info?" },
    { "lunette.shared.gett 'x'", "lunette.shared has no gett; did you mean get?" },
    { "lunette.tools.hide '[ab'", 'lunette.tools.hide: selector 1: the "[" at byte 1 of [ab is not closed' },
    { "lunette.tools.only { name = { 'a', 'x[]' } }", 'lunette.tools.only: selector 1.name[2]: the "[" at byte 2 of x[] is not closed' },
    { "lunette.on('tools/[a', print)", 'lunette.on: method: the "[" at byte 7 of tools/[a is not closed' },
    { "lunette.tool.hide 'x'", "lunette has no tool; did you mean tools?" },
    -- components
    { "lunette.tools.add()", "lunette.tools.add's argument must be a table, not nothing" },
    { "lunette.tools.add { handler = " .. fn .. " }", "lunette.tools.add: name must be a string, not nothing" },
    { "lunette.tools.add { name = 'a' }", "lunette.tools.add: a needs a function handler" },
    { "lunette.tools.add { name = 'a', handler = 'x' }", 'lunette.tools.add.handler must be a function, not "x"' },
    { "lunette.tools.add { name = 'a', inputschema = {}, handler = " .. fn .. " }",
      "lunette.tools.add: unknown option inputschema; did you mean inputSchema?" },
    { "lunette.tools.add { name = 'a', inputSchema = {}, handler = " .. fn .. " }", 'lunette.tools.add.inputSchema.type must be "object", not nothing' },
    { "lunette.tools.add { name = 'a', inputSchema = 'x', handler = " .. fn .. " }", "lunette.tools.add.inputSchema must be a table" },
    { "lunette.tools.add { name = 'a', annotations = { 1 }, handler = " .. fn .. " }", "lunette.tools.add.annotations must be an object, not a list" },
    { "lunette.tools.add { name = 'a', title = 5, handler = " .. fn .. " }", "lunette.tools.add.title must be a string, not 5" },
    { "lunette.tools.add { name = 'a', _meta = { f = print }, handler = " .. fn .. " }", "lunette.tools.add._meta.f: a function can't be sent" },
    { "lunette.tools.add { name = 'a', handler = " .. fn .. " } lunette.tools.add { name = 'a', handler = " .. fn .. " }",
      "lunette.tools.add: a tool a is added already at" },
    { "lunette.resources.add { name = 'a', read = " .. fn .. " }", "lunette.resources.add: uri must be a string, not nothing" },
    { "lunette.resources.add { uri = 'a:b', read = " .. fn .. " }", "lunette.resources.add: name must be a string, not nothing" },
    { "lunette.resources.add { uri = 'a:b', name = 'a' }", "lunette.resources.add: a needs a function read" },
    { "lunette.resource_templates.add { uri = 'a', name = 'a', read = " .. fn .. " }", "lunette.resource_templates.add: unknown option uri" },
    { "lunette.resource_templates.add { uriTemplate = 'x://{', name = 'a', read = " .. fn .. " }",
      "lunette.resource_templates.add: uriTemplate x://{: a brace without its partner" },
    { "lunette.resource_templates.add { uriTemplate = 'x://a}/{b}', name = 'a', read = " .. fn .. " }",
      "lunette.resource_templates.add: uriTemplate x://a}/{b}: a brace" },
    { "lunette.resource_templates.add { uriTemplate = 'x://{?}', name = 'a', read = " .. fn .. " }",
      "lunette.resource_templates.add: uriTemplate x://{?}: {?} is no list of variables" },
    { "lunette.prompts.add { name = 'a', arguments = { { nam = 'x' } }, get = " .. fn .. " }",
      "lunette.prompts.add.arguments[1]: unknown option nam; did you mean name?" },
    { "lunette.prompts.add { name = 'a', arguments = { x = 1 }, get = " .. fn .. " }", "lunette.prompts.add.arguments must be a list" },
    { "lunette.prompts.add { name = 'a', arguments = { { name = 'x', required = 'yes' } }, get = " .. fn .. " }",
      "lunette.prompts.add.arguments[1].required must be a boolean" },
    -- handlers
    { "lunette.on()", "lunette.on: method must be a string, not nothing" },
    { "lunette.on('tools/call')", "lunette.on: the handler must be a function, not nothing" },
    { "lunette.on('tools/call', 'x', 'y')", 'lunette.on: the handler must be a function, not "y"' },
    { "lunette.on('tools/list', 'x', " .. fn .. ")", "lunette.on: tools/list names no component, so the handler would never run; leave out the selector" },
    { "lunette.on('initialize', { name = 'x' }, " .. fn .. ")", "lunette.on: initialize names no component" },
    { "lunette.on('sampling/createMessage', 'x', " .. fn .. ")",
      "lunette.on: sampling/createMessage names no component, so the handler would never run; leave out the selector or select by upstream" },
    { "lunette.on('prompts/list', { upstream = 'x' }, " .. fn .. ")", "lunette.on: prompts/list is of no one server" },
    { "lunette.on('tools/call', 5, " .. fn .. ")", "lunette.on: selector must be a glob or a table" },
    { "lunette.sampling()", "lunette.sampling's argument must be a function, not nothing" },
    { "lunette.every('x', " .. fn .. ")", "lunette.every: seconds must be a number" },
    { "lunette.every(0, " .. fn .. ")", "lunette.every: seconds must be at least 0.01, not 0" },
    { "lunette.every(1)", "lunette.every's second argument must be a function" },
    -- the rest
    { "lunette.configure { hook_timeot = 1 }", "lunette.configure: unknown option hook_timeot; did you mean hook_timeout?" },
    { "lunette.configure { hook_timeout = -1 }", "lunette.configure: hook_timeout must be from 0 to" },
    { "lunette.configure { hook_timeout = 0/0 }", "lunette.configure: hook_timeout must be from 0 to" },
    { "lunette.configure { hook_timeout = '1' }", 'lunette.configure: hook_timeout must be a number, not "1"' },
    { "lunette.configure { max_sessions = 1.5 }", "lunette.configure: max_sessions must be a whole number, not 1.5" },
    { "lunette.configure { max_depth = 1000 }", "lunette.configure: max_depth must be from 4 to 190, not 1000" },
    { "lunette.configure { jit = 1 }", "lunette.configure: jit must be a boolean, not 1" },
    { "lunette.configure { hosts = 'h' }", 'lunette.configure: hosts must be a table, not "h"' },
    { "lunette.configure { hosts = {} }", "lunette.configure: hosts must name at least one" },
    { "lunette.configure { hosts = { a = 'h' } }", "lunette.configure: hosts must be a list" },
    { "lunette.configure { hosts = { 'h', 5 } }", "lunette.configure: hosts[2] must be a string, not 5" },
    { "lunette.configure { hosts = { 'h', '*.example' } }",
      'lunette.configure: hosts[2] must be a host name or an IP address, without scheme, port and wildcards, not "*.example"' },
    { "lunette.configure { hosts = { 'http://h' } }", "lunette.configure: hosts[1] must be a host name" },
    { "lunette.configure { hosts = { 'h:80' } }", "lunette.configure: hosts[1] must be a host name" },
    { "lunette.configure { hosts = { '' } }", "lunette.configure: hosts[1] must be a host name" },
    { "lunette.configure { hosts = { '127.1' } }", "lunette.configure: hosts[1] must be a host name" },
    { "lunette.configure { hosts = { '::1', 'fe80::1%lo' } }", "lunette.configure: hosts[2] must be a host name" },
    { "lunette.configure { hosts = { 'h\\0' } }", "lunette.configure: hosts[1] must be a host name" },
    { "lunette.configure()", "lunette.configure's argument must be a table, not nothing" },
    { "lunette.env()", "lunette.env: name must be a string" },
    { "local x = lunette.env 'SPEC_NO_SUCH_VARIABLE'", "the environment has no SPEC_NO_SUCH_VARIABLE" },
    { "lunette.match('a')", "lunette.match: text must be a string, not nothing" },
    { "lunette.match('a[', 'a')", 'lunette.match: the "[" at byte 2 of a[ is not closed' },
    { "lunette.text {}", "lunette.text: s must be a string, not a table" },
    { "lunette.error('x', 'y')", 'lunette.error: code must be an integer, not "x"' },
    { "lunette.error(-1)", "lunette.error: message must be a string, not nothing" },
    { "lunette.error(-1, 'no way')", "no way (lunette.error answers a request: while a policy loads use error)" },
    { "lunette.deny 'x'", "lunette.deny refuses a message: it only works in a handler" },
    { "local no = lunette.deny()", "lunette.deny refuses a message: it only works in a handler" },
    { "lunette.deny(5)", "lunette.deny: message must be a string, not 5" },
    { "lunette.notify_changed 'tool'", 'lunette.notify_changed: kind must be tools, resources, resource_templates or prompts, not "tool"' },
    { "lunette.json.encode()", "lunette.json.encode: nothing to encode" },
    { "lunette.json.decode(5)", "lunette.json.decode: text must be a string, not 5" },
    { "error {}", "an error without a message (a table)" },
    { "error { code = 5, message = 'm' }", "m" },
    { "lunette.array 'x'", 'lunette.array: list must be a table, not "x"' },
  }
  for _, case in ipairs(cases) do
    it(case[1], function() fails(case[1], case[2]) end)
  end

  it("through a module of the policy's own, where that stands", function()
    support.write("helper.lua", "local lunette = require 'lunette'\nreturn function() lunette.tools.hide() end")
    local f, why = support.load "\nlocal h = require 'helper'\nh()"
    assert.is_nil(f)
    assert.truthy(why:find("helper.lua:2: lunette.tools.hide: nothing selected", 1, true), why)
  end)

  it("globs with sets, and selectors where there is something to select, are none", function()
    assert(support.load [=[lunette.tools.hide('[]a]', '[!]]x', '\\[', 'a[\\]]', 'http://[::1]/*', '[a-z]*')
      lunette.on('*/list', 'x', function() end) lunette.on('sampling/*', 'x', function() end)
      lunette.on('roots/list', { upstream = 'x' }, function() end) lunette.on('tools/list', { where = print }, function() end)
      lunette.on('completion/complete', 'x', function() end) lunette.on('a/b', 'x', function() end)]=]):free()
  end)

  it("a method that MCP has not is only warned of", function()
    local f = assert(support.load "lunette.on('tools/cal', function() end) lunette.on('x/*', function() end) lunette.on('tools/call', function() end)")
    local log = f:log()
    assert.truthy(log:find("tools/cal is no method of MCP; did you mean tools/call?", 1, true), log)
    assert.equal(1, select(2, log:gsub("\n", "")))
    f:free()
  end)

  -- With a colon the first argument is the table: what was meant is told.
  for call, meant in pairs {
    ["lunette.tools:hide 'x'"] = "lunette.tools.hide", ["lunette.prompts:only 'x'"] = "lunette.prompts.only",
    ["lunette.tools:filter(print)"] = "lunette.tools.filter", ["lunette.tools:rename { a = 'b' }"] = "lunette.tools.rename",
    ["lunette.tools:transform('a', { title = 'x' })"] = "lunette.tools.transform", ["lunette.tools:add { name = 'x' }"] = "lunette.tools.add",
    ["lunette:on('tools/call', print)"] = "lunette.on", ["lunette:sampling(print)"] = "lunette.sampling",
    ["lunette:upstream('x', { command = 'x' })"] = "lunette.upstream", ["lunette:configure { page_size = 5 }"] = "lunette.configure",
    ["lunette:upstreams 'x'"] = "lunette.upstreams", ["lunette:every(5, print)"] = "lunette.every", ["lunette:env 'HOME'"] = "lunette.env",
    ["lunette:match('a', 'b')"] = "lunette.match", ["lunette:text 'x'"] = "lunette.text", ["lunette:array {}"] = "lunette.array",
    ["lunette:error(1, 'x')"] = "lunette.error", ["lunette:notify_changed 'tools'"] = "lunette.notify_changed",
    ["lunette:random(5)"] = "lunette.random", ["lunette:sha256 'x'"] = "lunette.sha256", ["lunette:hmac_sha256('k', 'x')"] = "lunette.hmac_sha256",
    ["lunette:http 'http://x'"] = "lunette.http", ["lunette:sleep(0)"] = "lunette.sleep",
    ["lunette.log:info 'x'"] = "lunette.log.info", ["lunette.shared:get 'x'"] = "lunette.shared.get", ["lunette.shared:keys()"] = "lunette.shared.keys",
    ["lunette.json:encode {}"] = "lunette.json.encode", ["lunette.json:decode '1'"] = "lunette.json.decode",
    ["lunette.base64:encode 'x'"] = "lunette.base64.encode", ["lunette.tools:call 'x'"] = "lunette.tools.call",
    ["lunette.resources:read 'x'"] = "lunette.resources.read", ["lunette.prompts:get 'x'"] = "lunette.prompts.get",
  } do
    it(call, function() fails(call, ("%s is called with a dot, not a colon: %s(…)"):format(meant, meant)) end)
  end

  for path, of in pairs { ["tools.hide"] = "lunette.tools", ["tools.foo"] = "lunette.tools", ["prompts.list"] = "lunette.prompts",
    ["deny"] = "lunette", ["tools"] = "lunette", ["foo"] = "lunette", ["json.encode"] = "lunette.json", ["log.info"] = "lunette.log",
    ["shared.get"] = "lunette.shared", ["base64.decode"] = "lunette.base64", ["resources[5]"] = "lunette.resources" } do
    it("lunette." .. path .. " can't be assigned to", function()
      local full = "lunette." .. path:gsub("%[5%]", ".5")
      fails(("lunette.%s = print"):format(path), ("%s is closed: %s can't be assigned to"):format(of, full))
      fails(("lunette.%s = nil"):format(path), ("%s is closed: %s can't be assigned to"):format(of, full))
    end)
  end

  it("and so it is in a handler, which leaves the module as it was", function()
    local f = assert(support.load [[lunette.on("x", function()
      lunette.deny = nil end)]])
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:log():find("policy.lua:2: lunette is closed: lunette.deny can't be assigned to", 1, true), f:log())
    f:free()
    f = assert(support.load [[pcall(function() lunette.deny = nil end)
      lunette.on("y", function() return { there = type(lunette.deny), named = tostring(lunette.tools) } end)]])
    f:hook '{"jsonrpc":"2.0","id":1,"method":"y"}'
    f:run()
    assert.truthy(f:account():find('"result":{"named":"lunette.tools","there":"function"}', 1, true))
    f:free()
  end)

  it("what a handler declares is refused", function()
    for _, call in ipairs { "tools.hide 'x'", "tools.add {}", "on('x', print)", "configure {}", "every(1, print)", "tools.rename {}" } do
      local f = assert(support.load("lunette.on('x', function() lunette." .. call .. " end)"))
      f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
      f:run()
      assert.truthy(f:log():find("only works while the policy loads", 1, true), f:log())
      f:free()
    end
  end)
end)

describe("the small functions", function()
  local function eval(text)
    local result, why = support.eval(text)
    return result or error(why, 2)
  end

  it("lunette.match", function()
    assert.equal("true false", eval "return tostring(lunette.match('a*', 'ab')) .. ' ' .. tostring(lunette.match('a', 'ab'))")
  end)

  it("lunette.env", function()
    assert.equal("x nil " .. os.getenv "HOME", eval [[return lunette.env("SPEC_NO_SUCH_VARIABLE", "x") .. " "
      .. tostring(lunette.env("SPEC_NO_SUCH_VARIABLE", nil)) .. " " .. lunette.env "HOME"]])
  end)

  it("lunette.now is the time of day", function()
    assert.is_true(math.abs(tonumber(eval "return ('%.3f'):format(lunette.now())") - os.time()) < 2)
  end)

  it("lunette.array and lunette.null", function()
    assert.equal('[[],[1],null]', eval "return lunette.json.encode { lunette.array(), lunette.array { 1 }, lunette.null }")
  end)

  it("an error says what it is", function()
    local f = assert(support.load [[lunette.on("x", function()
      local ok, e = pcall(lunette.error, -5, "m") return { says = tostring(e) } end)]])
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:account():find('"result":{"says":"JSON-RPC error -5: m"}', 1, true))
    f:free()
  end)

  it("lunette.notify_changed reaches the proxy once the policy is loaded", function()
    local f = assert(support.load [[lunette.notify_changed "tools"
      lunette.on("x", function() lunette.notify_changed "resource_templates" return {} end)]])
    assert.equal("", f:account())
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:account():find "^changed 2\n")
    f:free()
  end)

  it("inventory gives items that know their server", function()
    local f = assert(support.load [[lunette.on("x", function()
      local tools = lunette.tools.inventory()
      return { n = #tools, name = tools[1].name, upstream = tools[1].upstream, pure = lunette.json.encode(tools[1]) } end)]])
    f:inventory '[{"upstream":"up","item":{"name":"a","x":[]}},{"upstream":"up","item":{"name":"b"}}]'
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:account():find('"result":{"n":2,"name":"a","pure":"{\\"name\\":\\"a\\",\\"x\\":[]}","upstream":"up"}', 1, true))
    f:free()
  end)

  it("list, call, read and get wait for the proxy's answer, page after page", function()
    local f = assert(support.load [[lunette.on("x", function(request, forward, ctx)
      local tools, templates = lunette.tools.list(ctx), lunette.resource_templates.list()
      local called = lunette.tools.call("t", { a = 1 }, ctx)
      local again = lunette.tools.call(ctx, "t")
      local read, got = lunette.resources.read("a:b", ctx), lunette.prompts.get("p", { x = "y" })
      return { n = #tools + #templates, called = called.c, again = again.c, read = read.c, got = got.c } end)]])
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    local answers = { '{"tools":[{"name":"a"}],"nextCursor":"c1"}', '{"tools":[{"name":"b"}]}', '{"resourceTemplates":[{}]}',
      '{"c":1}', '{"c":2}', '{"c":3}', '{"c":4}' }
    for i, result in ipairs(answers) do f:answer('{"jsonrpc":"2.0","id":1,"result":' .. result .. "}", i) end
    assert.equal(table.concat({ "request 1 tools/list ", 'request 2 tools/list {"cursor":"c1"}', "request 3 resources/templates/list ",
      'request 4 tools/call {"arguments":{"a":1},"name":"t"}', 'request 5 tools/call {"arguments":{},"name":"t"}',
      'request 6 resources/read {"uri":"a:b"}', 'request 7 prompts/get {"arguments":{"x":"y"},"name":"p"}',
      'done 1 {"jsonrpc":"2.0","id":0,"result":{"again":2,"called":1,"got":4,"n":3,"read":3}}' }, "\n") .. "\n", f:account())
    f:free()
  end)
end)
