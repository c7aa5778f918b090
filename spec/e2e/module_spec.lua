-- The rest of the module: JSON, the log, the environment, globs, time, what is shared, settings, notifications of
-- changes, modules.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, says = policy.with, policy.says

-- A client whose every call answers with the text of a Lua expression.
local function tell(expression, options)
  return with("lunette.on('tools/call', function(request, forward, ctx) return tostring(" .. expression .. ") end)", options)
end

describe("the module's", function()
  after_each(lunette.finish)

  for expression, text in pairs {
    ["lunette.json.encode { b = 1, a = { true, lunette.null }, c = lunette.array {}, d = {} }"] = '{"a":[true,null],"b":1,"c":[],"d":{}}',
    ['lunette.json.encode "é/\\"\\n"'] = '"é/\\"\\n"',
    ["lunette.json.encode(lunette.null)"] = "null",
    ["lunette.json.encode { 1.5, 2^40, -0.25, 1e100 }"] = "[1.5,1099511627776,-0.25,1e100]",
    ["lunette.json.encode(lunette.json.decode [==[{\"z\":[],\"y\":{},\"x\":null,\"w\":[1,[]]}]==])"] = '{"w":[1,[]],"x":null,"y":{},"z":[]}',
    ["lunette.json.decode('null') == lunette.null"] = "true",
    ["lunette.json.null == lunette.null"] = "true",
    ["#lunette.json.decode('[1,2,3]')"] = "3",
    ["lunette.json.decode('9007199254740991')"] = "9.007199254741e+15",
    ["lunette.json.decode([==[\"\\u00e9\\ud83d\\ude00\"]==])"] = "é😀",
    ["pcall(lunette.json.decode, '{')"] = "false",
    ["pcall(lunette.json.decode, '[1,]')"] = "false",
    ["pcall(lunette.json.decode, '{} x')"] = "false",
    ["pcall(lunette.json.encode, { print })"] = "false",
    ["pcall(lunette.json.encode, { 1, nil, 3, [5] = 1 })"] = "false",
    ["pcall(lunette.json.encode, 0/0)"] = "false",
    ['lunette.match("a*[0-9]?", "abc1x")'] = "true",
    ['lunette.match("a*[0-9]?", "abcx")'] = "false",
    ['lunette.match("*", "")'] = "true",
    ['lunette.match("a\\\\*", "a*") and not lunette.match("a\\\\*", "ab")'] = "true",
    ['lunette.env("SPEC_THERE")'] = "yes",
    ['lunette.env("SPEC_NOT_THERE", "default")'] = "default",
    ['lunette.env("SPEC_NOT_THERE", nil)'] = "nil",
    ['select(2, pcall(lunette.env, "SPEC_NOT_THERE")):match("the environment has no SPEC_NOT_THERE")'] = "the environment has no SPEC_NOT_THERE",
    ["math.abs(lunette.now() - os.time()) < 5"] = "true",
    ["lunette.now() % 1 ~= 0 or lunette.now() % 1 ~= 0 or lunette.now() % 1 ~= 0"] = "true",
    ["lunette.text('x').content[1].type .. lunette.text(5).content[1].text"] = "text5",
  } do
    it(expression .. " is " .. text, function()
      assert.equal(text, says((tell(expression, { env = { SPEC_THERE = "yes", SPEC_NOT_THERE = false } })), "read"))
    end)
  end

  it("log writes lines with file and line, at the levels asked for, and print and io.write go there or to stderr", function()
    local client = with([[lunette.on("tools/call", function()
      lunette.log.debug("d", 1, { a = 1 })
      lunette.log.info("i", nil, true)
      lunette.log.warn("w")
      lunette.log.error("e", lunette.null)
      print("p", 2)
      io.write("raw\n")
      io.stdout:write("more\n")
      return "x" end)]], { flags = { "--log-level", "debug" } })
    assert.equal("x", says(client, "read"))
    loop.wait(function() return client.process.err:all():find("more", 1, true) end, "the log")
    local log = client.process.err:all()
    for _, pattern in ipairs { 'debug policy [^\n]*policy%d+%.lua:3: d 1 {"a":1}\n', "info policy [^\n]*policy%d+%.lua:4: i nil true\n",
      "warn policy [^\n]*policy%d+%.lua:5: w\n", "error policy [^\n]*policy%d+%.lua:6: e null\n", "info policy [^\n]*policy%d+%.lua:7: p 2\n",
      "raw\n" } do
      assert.truthy(log:find(pattern), pattern .. "\n" .. log)
    end
  end)

  it("shared keeps values for all sessions, copies, and forgets them in time", function()
    local up = policy.server()
    local host = lunette.http { policy = lunette.bare(up) .. [[

      lunette.on("tools/call", function(request, forward, ctx)
        local f = assert(loadstring("local lunette = ... return " .. request.params.arguments.lua))
        return lunette.json.encode { f(lunette) } end)]] }
    local a, b = host.client(), host.client()
    a:initialize()
    b:initialize()
    local function run(client, text) return says(client, "read", json.encode { lua = text }) end
    run(a, "lunette.shared.set('t', { list = lunette.array {}, n = 1.5, null = lunette.null })")
    assert.equal('[{"list":[],"n":1.5,"null":null}]', run(b, "lunette.shared.get 't'"))
    assert.equal("[9]", run(b, "(function() lunette.shared.get('t').n = 9 return 9 end)()"))
    assert.equal("[1.5]", run(b, "lunette.shared.get('t').n"))
    assert.equal("[1]", run(a, "lunette.shared.incr 'n'"))
    assert.equal("[11]", run(b, "lunette.shared.incr('n', 10)"))
    assert.equal("[105]", run(b, "lunette.shared.incr('m', 5, 100)"))
    assert.equal('[["m","n","t"]]', run(a, "lunette.shared.keys()"))
    assert.equal('[["m","n"]]', run(a, "lunette.shared.keys '[mn]'"))
    run(a, "lunette.shared.delete 'n'")
    run(a, "lunette.shared.set('m', nil)")
    assert.equal("[true,true]", run(b, "lunette.shared.get 'n' == nil, lunette.shared.get 'm' == nil"))
    run(a, "lunette.shared.set('short', 1, 0.05)")
    run(a, "lunette.shared.incr('counted', 1, 0, 0.05)")
    loop.wait(function()
      return run(b, "lunette.shared.get 'short' == nil and lunette.shared.get 'counted' == nil") == "[true]"
    end, "the times to live to be over")
    assert.equal('[["t"]]', run(b, "lunette.shared.keys()"))
  end)

  it("every runs again and again, may wait, and outlives its own errors", function()
    local client = with [[
      lunette.every(0.02, function()
        local n = lunette.shared.incr "n"
        lunette.sleep(0.01)
        if n == 2 then error "once" end
      end)
      lunette.on("tools/call", function() return lunette.shared.get "n" or 0 end)]]
    loop.wait(function() return tonumber(says(client, "read")) >= 4 end, "four ticks")
    assert.truthy(client.process.err:all():find "lunette%.every at [^\n]*policy%d+%.lua:2[^\n]*once")
  end)

  it("notify_changed tells clients of a kind", function()
    local client = with([[lunette.on("tools/call", function(request)
      lunette.notify_changed(request.params.arguments.kind)
      return "told" end)]], { server = '{"tools":{"listChanged":true},"resources":{"listChanged":true},"prompts":{"listChanged":true}}' })
    for kind, method in pairs { tools = "tools", resources = "resources", resource_templates = "resources", prompts = "prompts" } do
      says(client, "read", '{"kind":"' .. kind .. '"}')
      assert.truthy(client:expect("notifications/" .. method .. "/list_changed"))
    end
    local err = client:failure("tools/call", '{"name":"read","arguments":{"kind":"tool"}}')
    assert.equal(-32603, err.code)
    assert.truthy(client.process.err:all():find("kind must be tools, resources, resource_templates or prompts", 1, true))
  end)

  it("notify_changed has rules asked again", function()
    local client = with([[
      lunette.tools.filter(function(t) return t.name ~= "delete" or lunette.shared.get "open" end)
      lunette.on("tools/call", function()
        lunette.shared.set("open", true)
        lunette.notify_changed "tools"
        return "open" end)]], { tools = policy.plain, server = '{"tools":{"listChanged":true},"resources":{},"prompts":{}}' })
    assert.same({ "read", "write" }, policy.seen(client))
    says(client, "read")
    client:expect "notifications/tools/list_changed"
    assert.same({ "read", "write", "delete" }, policy.seen(client))
  end)

  describe("configure", function()
    for _, text in ipairs { "start_timeout = 1, request_timeout = 5, hook_timeout = 0.5, drain_timeout = 1, session_timeout = 60",
      "max_message_bytes = 100000, max_sessions = 10, page_size = 0, max_in_flight = 5, max_connections = 9, max_depth = 50",
      "max_uri_bytes = 100, max_templates = 5", "jit = true" } do
      it("takes { " .. text .. " }", function()
        assert.equal("fine", says((with("lunette.configure { " .. text .. " }\nlunette.on('tools/call', function() return 'fine' end)")), "read"))
      end)
    end
    for text, why in pairs {
      ["request_timout = 5"] = "unknown option request_timout; did you mean request_timeout?",
      ["request_timeout = '5'"] = "request_timeout must be a number",
      ["hook_timeout = -1"] = "hook_timeout must be from 0 to",
      ["page_size = 1.5"] = "page_size must be a whole number",
      ["jit = 1"] = "jit must be a boolean",
      ["1"] = "[1] is not an option",
    } do
      it("refuses { " .. text .. " }", function()
        local result = lunette.cli { "check", lunette.policy("\nlunette.configure { " .. text .. " }") }
        assert.equal(1, result.code)
        assert.truthy(result.stderr:find "policy%d+%.lua:2: " and result.stderr:find(why, 1, true), result.stderr)
      end)
    end

    it("bounds what a handler may run, a request may take, and a page may hold", function()
      local client, up = with [[
        lunette.configure { hook_timeout = 0.2, request_timeout = 0.3, page_size = 2 }
        lunette.on("tools/call", "read", function() while true do end end)]]
      assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code)
      assert.truthy(client.process.err:all():find "policy%d+%.lua:3")
      up:on("tools/call", function() end)
      assert.truthy(client:failure("tools/call", '{"name":"write"}').message)
      local page = client:result("tools/list", "{}")
      assert.equal(2, #json.elements(json.at(page, "tools")))
      page = client:result("tools/list", '{"cursor":' .. json.at(page, "nextCursor") .. "}")
      assert.equal(1, #json.elements(json.at(page, "tools")))
      assert.is_nil(json.at(page, "nextCursor"))
    end)
  end)

  it("functions that declare only work while the policy loads", function()
    for _, call in ipairs { "lunette.upstream('x', { command = 'x' })", "lunette.on('x', print)", "lunette.tools.hide 'x'", "lunette.configure {}",
      "lunette.tools.add { name = 'x', handler = print }", "lunette.every(1, print)", "require 'lunette.policy.read_only' {}" } do
      local client = with("\nlunette.on('tools/call', function() " .. call .. " return 'x' end)")
      assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code, call)
      assert.truthy(client.process.err:all():find("only works while the policy loads", 1, true), call)
      lunette.finish()
    end
  end)

  it("require finds modules beside the policy, then Lunette's own, then the system's", function()
    local dir = loop.tempdir()
    loop.write_file(dir .. "/beside.lua", "return { word = ... }")
    local path = lunette.policy([[local beside = require "beside" local cjson = require "cjson"
      lunette.tools.add { name = "tell", handler = function() return beside.word .. cjson.encode { 1 } .. type(require "lunette.policy.allow") end }]],
      dir .. "/policy.lua")
    local client = lunette.stdio { targets = { path } }
    client:initialize()
    assert.equal("beside[1]function", says(client, "tell"))
  end)

  it("missing function, and an error of the policy's own, are told with file and line", function()
    for text, why in pairs {
      ["lunette.tols.hide 'x'"] = "lunette has no tols; did you mean tools?",
      ["lunette.tools.hid 'x'"] = "lunette.tools has no hid; did you mean hide?",
      ["error 'mine'"] = "mine",
      ["local x = nil; x.y = 1"] = "attempt to index local 'x'",
      ["lunette.on('tools/cal', print"] = "expected",
      ["require 'no.such.module'"] = "no.such.module",
    } do
      local result = lunette.cli { "check", lunette.policy("\n" .. text) }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find "policy%d+%.lua:2: " and result.stderr:find(why, 1, true), result.stderr)
    end
  end)
end)
