-- Handlers on their way: forwarding, waiting, answers that come late, errors, limits.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

local CALL = '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"read","arguments":{"n":1.0}}}'
local REPLY = '{"jsonrpc":"2.0","id":77,"result":{"content":[ ],"n":1.0}}'
local FAILURE = '{"jsonrpc":"2.0","id":77,"error":{"code":-32000,"message":"br\\u006fken","data":{"n":1.0}}}'
local POLICY_ERROR = '{"jsonrpc":"2.0","error":{"code":-32603,"message":"policy error"}}'

describe("a handler", function()
  local f

  after_each(function()
    if f then f:free() end
    f = nil
  end)

  local function load(text)
    f = assert(support.load(text))
    return f
  end

  local function on_call(body) return load("lunette.on('tools/call', function(request, forward, ctx) " .. body .. " end)") end

  -- What the run ended with, less the id that nobody has chosen yet.
  local function ended(account)
    local text = account:match "done %d+ ([^\n]*)\n$"
    return text and (text:gsub('"id":0,', ""))
  end

  local function error_log() return f:log():match "error policy: ([^\n]*)" end

  it("that forwards what it got passes both messages as they are", function()
    on_call "return forward(request)"
    f:hook(CALL)
    assert.equal("forward 1 " .. CALL .. "\n", f:account())
    assert.equal(1, f:runs())
    f:answer(REPLY)
    assert.equal("done 1 " .. REPLY .. "\n", f:account())
    assert.equal(0, f:runs())
  end)

  it("may forward without saying what", function()
    on_call "return forward()"
    assert.equal("forward 1 " .. CALL .. "\ndone 1 " .. REPLY .. "\n", f:call('{"name":"read","arguments":{"n":1.0}}', REPLY):gsub('"id":1,', '"id":5,'))
  end)

  it("sees tables where the message has none", function()
    on_call "assert(next(request.params.arguments) == nil) return forward(request)"
    for _, params in ipairs { '{"name":"read"}', '{"name":"read","arguments":null}', '{"name":"read","arguments":{ }}' } do
      f:hook('{"jsonrpc":"2.0","id":5,"method":"tools/call","params":' .. params .. "}")
      assert.truthy(f:account():find('"params":' .. params .. "}\n", 1, true))
    end
    f:hook '{"jsonrpc":"2.0","id":5,"method":"tools/call"}'
    assert.equal('forward 4 {"jsonrpc":"2.0","id":5,"method":"tools/call"}\n', f:account())
    f:cancel()
  end)

  it("that gives arguments to a call without any adds them", function()
    on_call "request.params.arguments.a = 1 return forward(request)"
    f:hook '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"read"}}'
    assert.equal('forward 1 {"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"read","arguments":{"a":1}}}\n', f:account())
    f:cancel()
  end)

  it("edits params where it edits them", function()
    on_call "request.params.arguments.m = {} return forward(request)"
    f:hook(CALL)
    assert.equal("forward 1 " .. CALL:gsub("1.0", '1.0,"m":{}') .. "\n", f:account())
    f:cancel()
  end)

  it("may forward another table", function()
    on_call "return forward { method = 'tools/call', params = { name = 'other', arguments = { n = 1 } } }"
    f:hook(CALL)
    assert.equal("forward 1 " .. CALL:gsub("read", "other") .. "\n", f:account())
    f:cancel()
  end)

  it("can't turn a method into another", function()
    on_call "request.method = 'tools/list' return (forward(request))"
    assert.equal(POLICY_ERROR, ended(f:call "{}"))
    assert.truthy(error_log():find("policy.lua:1: a handler can't turn tools/call into tools/list", 1, true), error_log())
  end)

  it("is named by what it returns the call of", function()
    on_call "return forward { method = 'x' }"
    f:call "{}"
    assert.truthy(error_log():find("policy.lua:1: a handler can't turn tools/call into x", 1, true), error_log())
    f:free()
    on_call "return lunette.log.warn 'w'"
    f:call "{}"
    assert.truthy(f:log():find "warn policy [^?]-policy.lua:1: w")
  end)

  it("may forward again, and is told the newest answer", function()
    on_call "local a = forward(request) local b = forward(request) b.was = a.n return b"
    f:hook(CALL)
    f:answer(REPLY, 1)
    f:answer('{"jsonrpc":"2.0","id":78,"result":{ "n":2.0 }}', 2)
    assert.equal("forward 1 " .. CALL .. "\nforward 2 " .. CALL .. '\ndone 1 {"jsonrpc":"2.0","id":78,"result":{ "n":2.0,"was":1 }}\n', f:account())
  end)

  it("may answer itself", function()
    for body, result in pairs {
      ["return lunette.text 'x'"] = '{"content":[{"text":"x","type":"text"}]}',
      ["return 'x'"] = '{"content":[{"text":"x","type":"text"}]}',
      ["return 5"] = '{"content":[{"text":"5","type":"text"}]}',
      ["return { { type = 'text', text = 'a' }, 'b' }"] = '{"content":[{"text":"a","type":"text"},{"text":"b","type":"text"}]}',
      ["return { content = {}, n = 1 }"] = '{"content":[],"n":1}',
      ["return { structuredContent = { a = 1 } }"] = '{"content":[{"text":"{\\"a\\":1}","type":"text"}],"structuredContent":{"a":1}}',
    } do
      on_call(body)
      assert.equal('{"jsonrpc":"2.0","result":' .. result .. "}", ended(f:call "{}"))
      f:free()
    end
    f = nil
  end)

  it("refuses: a failed result for a call, an error elsewhere", function()
    load "lunette.on('*', function() return lunette.deny 'not now' end)"
    assert.equal('{"jsonrpc":"2.0","result":{"content":[{"text":"not now","type":"text"}],"isError":true}}', ended(f:call "{}"))
    for method, code in pairs { ["resources/read"] = -32600, ["sampling/createMessage"] = -1, ["x/y"] = -32600 } do
      f:hook('{"jsonrpc":"2.0","id":5,"method":"' .. method .. '","params":{}}')
      f:run()
      assert.equal(('{"jsonrpc":"2.0","error":{"code":%d,"message":"not now"}}'):format(code), ended(f:account()))
    end
    assert.equal("", f:log())
  end)

  it("refuses without return, from however deep inside, and whatever is done with what pcall caught", function()
    for _, body in ipairs { "lunette.deny 'no'", "lunette.deny 'no' return forward(request)", "error(lunette.deny 'no')",
      "local function deep() lunette.deny 'no' return 1 end return deep() + 1",
      "for _ in (function() lunette.deny 'no' end) do end return 'x'",
      "local ok, why = pcall(lunette.deny, 'no') assert(not ok) return why", "local _, why = pcall(lunette.deny, 'no') error(why, 0)",
      "local _, why = pcall(lunette.deny, 'no') lunette.deny(tostring(why):match 'denied: (.*)')" } do
      on_call(body)
      assert.equal('{"jsonrpc":"2.0","result":{"content":[{"text":"no","type":"text"}],"isError":true}}', ended(f:call "{}"), body)
      assert.equal("", f:log())
      f:free()
    end
    f = nil
  end)

  it("decides itself about a refusal that it catches", function()
    on_call "local ok = pcall(lunette.deny, 'no') return tostring(ok)"
    assert.equal('{"jsonrpc":"2.0","result":{"content":[{"text":"false","type":"text"}]}}', ended(f:call "{}"))
    f:free()
    on_call "pcall(lunette.deny, 'no') return forward(request)"
    f:hook(CALL)
    f:answer(REPLY)
    assert.equal("forward 1 " .. CALL .. "\ndone 1 " .. REPLY .. "\n", f:account())
  end)

  it("refuses after it has forwarded", function()
    on_call "forward(request) lunette.deny 'too late'"
    f:hook(CALL)
    f:answer(REPLY)
    assert.truthy(f:account():find('"text":"too late"', 1, true))
  end)

  it("drops a notification that it refuses, quietly", function()
    for _, body in ipairs { "lunette.deny 'no' forward(n)", "return lunette.deny()" } do
      load("lunette.on('notifications/*', function(n, forward) " .. body .. " end)")
      f:hook '{"jsonrpc":"2.0","method":"notifications/x","params":{}}'
      f:run()
      assert.equal("done 1\n", f:account())
      assert.equal("", f:log())
      f:free()
    end
    f = nil
  end)

  it("refuses where its selector's function does", function()
    load "lunette.on('tools/call', { where = function() lunette.deny 'no' end }, function() return 'x' end)"
    f:hook(CALL, 1, '{"name":"read"}')
    f:run()
    assert.truthy(f:account():find('"text":"no"', 1, true), f:account())
  end)

  it("passes an error on to the byte", function()
    on_call "return forward(request)"
    f:hook(CALL)
    f:answer(FAILURE)
    assert.equal("done 1 " .. FAILURE .. "\n", f:account():match "\n(.*)$")
    assert.equal("", f:log())
  end)

  it("can catch an error and look at it", function()
    on_call [[local ok, e = pcall(forward, request)
      return lunette.text(tostring(ok) .. e.code .. e.message .. e.data.n .. tostring(e))]]
    f:hook(CALL)
    f:answer(FAILURE)
    assert.equal("false-32000broken1JSON-RPC error -32000: broken", f:account():match '"text":"(.-)"')
  end)

  it("edits an error where it edits it", function()
    on_call "local _, e = pcall(forward, request) e.code = -1 error(e)"
    f:hook(CALL)
    f:answer(FAILURE)
    assert.equal("done 1 " .. FAILURE:gsub("%-32000", "-1") .. "\n", f:account():match "\n(.*)$")
  end)

  it("raises errors of its own", function()
    on_call "lunette.error(-32050, 'mine', { a = {}, b = lunette.array {} })"
    assert.equal('{"jsonrpc":"2.0","error":{"code":-32050,"data":{"a":{},"b":[]},"message":"mine"}}', ended(f:call "{}"))
    assert.equal("", f:log())
  end)

  it("that fails tells the log all and the client nothing", function()
    load "lunette.on('tools/call', function(request)\n  local function deeper() return request.nothing.at_all end\n  local x = deeper()\n  return x end)"
    assert.equal(POLICY_ERROR, ended(f:call "{}"))
    local log = error_log()
    assert.truthy(log:find("handler of tools/call at ", 1, true), log)
    assert.truthy(log:find("policy.lua:1: ", 1, true), log)
    assert.truthy(log:find("policy.lua:2: attempt to index", 1, true), log)
    assert.truthy(log:find(" ← [^\n]-policy%.lua:3: in function 'fn'$"), log)
    assert.falsy(log:find("lunette/running/main.lua", 1, true) or log:find("traceback", 1, true), log)
  end)

  it("that raises what is no text fails too", function()
    for raised, told in pairs {
      ["{ code = 'x' }"] = 'an error without a message: {"code":"x"}',
      ["{ code = 5, message = 'm' }"] = "m (code 5)",
      ["{ f = print }"] = "an error without a message: a table",
      ["setmetatable({}, { __tostring = function() return 'told' end })"] = "told",
      ["setmetatable({}, { __tostring = function() return {} end })"] = "an error whose __tostring gives a table",
    } do
      on_call("error(" .. raised .. ")")
      assert.equal(POLICY_ERROR, ended(f:call "{}"))
      assert.truthy(error_log():find("policy.lua:1: " .. told, 1, true), error_log())
      f:free()
    end
    f = nil
  end)

  it("that returns nothing is told what to return", function()
    on_call ""
    assert.equal(POLICY_ERROR, ended(f:call "{}"))
    assert.truthy(error_log():find("policy.lua:1: the handler of tools/call returned nothing; return a result, lunette.deny", 1, true), error_log())
    f:free()
    on_call "forward(request)"
    assert.equal(POLICY_ERROR, ended(f:call("{}", REPLY)))
    assert.truthy(error_log():find("returned nothing; return forward(request)'s result", 1, true), error_log())
  end)

  it("that returns what is no result is told so", function()
    load "lunette.on('x', function() return 'text' end) lunette.on('x', function() return { f = { print } } end)"
    local message = '{"jsonrpc":"2.0","id":5,"method":"x"}'
    f:hook(message, 1)
    f:run()
    assert.equal(POLICY_ERROR, ended(f:account()))
    assert.truthy(f:log():find("policy.lua:1: the handler of x returned a string, not a result", 1, true), f:log())
    f:hook(message, 2)
    f:run()
    assert.equal(POLICY_ERROR, ended(f:account()))
    assert.truthy(f:log():find("result.f[1]: a function can't be sent", 1, true), f:log())
  end)

  it("of a notification forwards it edited, or drops it", function()
    load [[lunette.on('notifications/message', function(n, forward)
      if n.params.level == 'debug' then return end
      n.params.data = 'new'
      assert(forward(n) == nil)
      forward(n)
    end)]]
    f:hook '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug"}}'
    f:run()
    assert.equal("done 1\n", f:account())
    f:hook '{"jsonrpc":"2.0","method":"notifications/message","params":{ "level":"info", "data":1 }}'
    f:run()
    local line = 'forward 0 {"jsonrpc":"2.0","method":"notifications/message","params":{ "level":"info", "data":"new" }}\n'
    assert.equal(line .. line .. "done 2\n", f:account())
  end)

  it("of a notification that fails drops it and tells the log", function()
    load "lunette.on('notifications/*', function(n, forward) error 'oops' end)"
    f:hook '{"jsonrpc":"2.0","method":"notifications/x"}'
    f:run()
    assert.equal("done 1\n", f:account())
    assert.truthy(error_log():find("^handler of notifications/%* %(notifications/x%) at [^\n]-policy%.lua:1: oops$"), error_log())
  end)

  it("is asked with where first, and is passed by when that says no", function()
    load [[lunette.on('tools/call', { where = function(tool, ctx) return tool.annotations.destructiveHint and tool.upstream == 'files' end },
      function() return lunette.deny 'no' end)]]
    f:fact("upstream", "files")
    f:hook(CALL, 1, '{"name":"read","annotations":{"destructiveHint":true}}')
    f:run()
    assert.truthy(f:account():find '"isError":true')
    f:hook(CALL, 1, '{"name":"read","annotations":{"destructiveHint":false}}')
    f:answer(REPLY)
    assert.equal("forward 1 " .. CALL .. "\ndone 2 " .. REPLY .. "\n", f:account())
    f:hook(CALL, 1, '{"name":"read","annotations":{"destructiveHint":false}}')
    f:answer(FAILURE, 2)
    assert.equal("forward 2 " .. CALL .. "\ndone 3 " .. FAILURE .. "\n", f:account())
  end)

  it("of several globs is the proxy's to choose: it gets them all, a line each", function()
    load "lunette.on('tools/call', { 'x*', 'read' }, function() return 'mine' end)"
    assert.equal("x*\nread", require("ffi").string(f.decls.hooks[0].name))
    f:hook(CALL)
    f:run()
    assert.truthy(f:account():find('"mine"', 1, true))
  end)

  it("waits without holding anyone up", function()
    on_call "if request.params.name == 'slow' then lunette.sleep(0.03) end return forward(request)"
    f:hook(CALL:gsub("read", "slow"))
    f:hook(CALL:gsub("read", "quick"))
    assert.truthy(f:account():find('^forward 1 .*quick[^\n]*\n$'))
    f:run(200)
    assert.truthy(f:account():find('^forward 2 .*slow[^\n]*\n$'))
    f:answer(REPLY, 1)
    f:answer(REPLY, 2)
    assert.equal("done 2 " .. REPLY .. "\ndone 1 " .. REPLY .. "\n", f:account())
  end)

  it("ignores answers that come twice, late or after its end", function()
    on_call "local r = forward(request) forward(request) return r"
    f:hook(CALL)
    f:answer(REPLY, 1)
    f:answer(FAILURE, 1)
    assert.equal(1, f:runs())
    f:answer(REPLY, 2)
    f:answer(FAILURE, 2)
    f:answer(FAILURE, 1)
    assert.equal("done 1 " .. REPLY .. "\n", f:account():match "(done.*)$")
    -- The same run, out of the pool, awaits something else by now.
    f:hook(CALL)
    f:answer(FAILURE, 1)
    f:answer(FAILURE, 2)
    assert.equal("forward 3 " .. CALL .. "\n", f:account())
    f:cancel()
  end)

  it("that is cancelled says nothing more", function()
    on_call "local r = forward(request) ctx:log('info', 'never') return r"
    f:hook(CALL)
    f:hook(CALL)
    f:cancel()
    assert.equal(0, f:runs())
    f:account()
    f:answer(REPLY, 1)
    f:run()
    assert.equal("", f:account())
  end)

  it("that is cancelled between its end and the word of it says nothing", function()
    on_call "return 'done'"
    f:hook(CALL)
    f:cancel()
    f:run()
    assert.equal("", f:account())
  end)

  it("that is cancelled while it asks or sleeps is let go", function()
    on_call "if request.params.name == 'read' then ctx:call_tool('x') else lunette.sleep(10) end"
    f:hook(CALL)
    f:hook(CALL:gsub("read", "sleep"))
    f:cancel()
    f:answer(REPLY, 1)
    f:run()
    assert.equal(0, f:runs())
  end)

  it("asks the proxy and the client", function()
    on_call [[
      local tool = ctx:call_tool("t", { a = {} })
      local resource = ctx:read_resource "file:///a"
      local prompt = ctx:get_prompt("p")
      local sample = ctx:sample { messages = {}, maxTokens = 3 }
      local answer = ctx:elicit { message = "sure?", requestedSchema = { type = "object" } }
      local roots = ctx:list_roots().roots
      return tool.a .. resource.a .. prompt.a .. sample.a .. answer.a .. #roots]]
    f:hook(CALL)
    for i = 1, 5 do f:answer('{"jsonrpc":"2.0","id":1,"result":{"a":' .. i .. "}}", i) end
    f:answer('{"jsonrpc":"2.0","id":1,"result":{"roots":[{"uri":"file:///r"}]}}', 6)
    assert.equal(table.concat({
      'request 1 tools/call {"arguments":{"a":{}},"name":"t"}',
      'request 2 resources/read {"uri":"file:///a"}',
      'request 3 prompts/get {"arguments":{},"name":"p"}',
      'ask 4 sampling/createMessage {"maxTokens":3,"messages":{}}',
      'ask 5 elicitation/create {"message":"sure?","requestedSchema":{"type":"object"}}',
      "ask 6 roots/list ",
      'done 1 {"jsonrpc":"2.0","id":0,"result":{"content":[{"text":"123451","type":"text"}]}}',
    }, "\n"):gsub('"id":0,', "") .. "\n", (f:account():gsub('"id":0,', "")))
  end)

  it("hears what went wrong with what it asked", function()
    on_call "local ok, e = pcall(ctx.call_tool, ctx, 't') return e.message"
    f:hook(CALL)
    f:answer(FAILURE)
    assert.truthy(f:account():find '"text":"broken"')
  end)

  it("has its answers laid over the last forwarded one only", function()
    on_call "local r = forward(request) ctx:call_tool 't' return r"
    f:hook(CALL)
    f:answer(REPLY, 1)
    f:answer('{"jsonrpc":"2.0","id":1,"result":{"other":1}}', 2)
    assert.equal("done 1 " .. REPLY .. "\n", f:account():match "(done.*)$")
  end)

  it("tells the client things", function()
    on_call [[ctx:log("warning", { a = {} }, "me") ctx:progress(1, 2, "half") ctx:progress(2) return "x"]]
    f:hook(CALL:gsub('"name"', '"_meta":{"progressToken":7},"name"'))
    f:run()
    assert.equal('notify notifications/message {"data":{"a":{}},"level":"warning","logger":"me"}\n'
      .. 'notify notifications/progress {"message":"half","progress":1,"progressToken":7,"total":2}\n'
      .. 'notify notifications/progress {"progress":2,"progressToken":7}\n', f:account():match "^(.*)done")
    f:hook(CALL)
    f:run()
    assert.falsy(f:account():find "progress")
  end)

  it("knows the facts", function()
    f = assert(support.load [[lunette.on('x', function(request, forward, ctx)
      local s = ctx.session
      return { s.id, s.transport, s.era, s.protocol_version, s.client.name, s.capabilities.sampling ~= nil, ctx.headers.host,
        ctx.upstream, ctx.native_name, ctx.request_id, ctx.deadline > lunette.now() + 1 and ctx.deadline < lunette.now() + 3,
        ctx.principal.subject == nil and #ctx.principal.scopes == 0 and next(ctx.principal.claims) == nil } end)]])
    local facts = { id = "s1", transport = "http", era = "legacy", protocol_version = "2025-11-25", client = '{"name":"c"}',
      capabilities = '{"sampling":{}}', headers = '{"host":"h"}', upstream = "u", native_name = "n", request_id = "12", deadline = "2000" }
    for name, text in pairs(facts) do f:fact(name, text) end
    f:hook '{"jsonrpc":"2.0","id":5,"method":"x"}'
    f:run()
    f:account()
    f:free()
    f = assert(support.load [[lunette.on('x', function(request, forward, ctx)
      local s = ctx.session
      return { facts = { s.id, s.transport, s.era, s.protocol_version, s.client.name, s.capabilities.sampling ~= nil, ctx.headers.host,
        ctx.upstream, ctx.native_name, ctx.request_id, ctx.deadline > lunette.now() + 1 and ctx.deadline < lunette.now() + 3,
        ctx.principal.subject == nil and #ctx.principal.scopes == 0 and next(ctx.principal.claims) == nil } } end)]])
    for name, text in pairs(facts) do f:fact(name, text) end
    f:hook '{"jsonrpc":"2.0","id":5,"method":"x"}'
    f:run()
    assert.equal('["s1","http","legacy","2025-11-25","c",true,"h","u","n",12,true,true]', f:account():match '"facts":(%b[])')
  end)

  it("finds no fact where there is none, and no error either", function()
    load [[lunette.on('x', function(request, forward, ctx)
      local s = ctx.session
      return { none = s.id == nil and ctx.upstream == nil and ctx.deadline == nil and next(s.client) == nil
        and next(s.capabilities) == nil and next(ctx.headers) == nil } end)]]
    f:hook '{"jsonrpc":"2.0","id":5,"method":"x"}'
    f:run()
    assert.truthy(f:account():find '"none":true')
  end)

  it("keeps things for its session until that ends", function()
    on_call "ctx.session.state.n = (ctx.session.state.n or 0) + 1 return ctx.session.state.n"
    local function count() return tonumber(f:call("{}"):match '"text":"(%d+)"') end
    assert.same({ 1, 2, 3 }, { count(), count(), count() })
    f:session_end()
    assert.equal(1, count())
  end)

  it("can't write anything else into the session", function()
    on_call "ctx.session.name = 1"
    f:call "{}"
    assert.truthy(error_log():find("policy.lua:1: ctx.session is read-only; keep name in ctx.session.state", 1, true), error_log())
  end)

  it("can't use a ctx that is over", function()
    on_call "if kept then return tostring(kept.session.id) end kept = ctx return 'kept'"
    f:call "{}"
    assert.equal(POLICY_ERROR, ended(f:call "{}"))
    assert.truthy(error_log():find("belongs to a request that is over", 1, true), error_log())
  end)

  it("that waits where Lua can't is told so", function()
    on_call "table.sort({ 1, 2 }, function() forward(request) end)"
    assert.equal(POLICY_ERROR, ended(f:call "{}"))
    assert.truthy(error_log():find("table.sort, string.gsub, require", 1, true), error_log())
    f:free()
    on_call "local ok, e = coroutine.resume(coroutine.create(function() lunette.sleep(0) end)) return e"
    assert.truthy(f:call("{}"):find("policy.lua:1: this waits for an answer, which a coroutine made by the handler can't do", 1, true))
    f:free()
    on_call "coroutine.yield()"
    assert.equal(POLICY_ERROR, ended(f:call "{}"))
    assert.truthy(error_log():find("coroutine.yield", 1, true))
  end)

  it("can wait inside pcall, iterators and metamethods", function()
    on_call [[
      local order = {}
      pcall(function() lunette.sleep(0.001) order[#order + 1] = "pcall" error "x" end)
      for i in function(_, i) lunette.sleep(0.001) return not i and 1 or nil end do order[#order + 1] = "iterator" end
      local t = setmetatable({}, { __index = function(_, k) lunette.sleep(0.001) return k end })
      order[#order + 1] = t.meta
      return table.concat(order, " ")]]
    f:hook(CALL)
    f:run(200)
    assert.truthy(f:account():find '"pcall iterator meta"')
  end)

  describe("that does not end", function()
    for what, body in pairs {
      ["in a plain loop"] = "while true do end",
      ["behind pcall"] = "while true do pcall(function() while true do end end) end",
      ["behind xpcall and its handler"] = "local function x() while true do end end while true do xpcall(x, x) end",
      ["in a coroutine of its own"] = "while true do coroutine.wrap(function() while true do end end)() end",
      ["in sort"] = "table.sort({ 3, 2, 1 }, function() while true do end end)",
      ["in a metamethod"] = "return setmetatable({}, { __index = function() while true do end end }).x",
      ["after it waited"] = "forward(request) while true do end",
    } do
      it(what .. " is stopped, and the next one runs", function()
        load("lunette.configure { hook_timeout = 0.05 } lunette.on('tools/call', function(request, forward)\n"
          .. " if request.params.name == 'good' then return 'fine' end\n"
          .. body .. " end)")
        local began = os.clock()
        assert.equal(POLICY_ERROR, ended(f:call('{"name":"bad"}', what == "after it waited" and REPLY or nil)))
        assert.is_true(os.clock() - began < 2)
        assert.truthy(error_log():find("policy.lua:%d+: ran for more than 0.05 s without waiting %(hook_timeout%)"), error_log())
        for _ = 1, 3 do assert.truthy(f:call('{"name":"good"}'):find '"fine"') end
      end)
    end
  end)

  it("can't take the limit off", function()
    load([[lunette.configure { hook_timeout = 0.05 } lunette.on('tools/call', function(request)
      pcall(debug.sethook)
      pcall(debug.sethook, coroutine.running())
      while request.params.name == 'bad' do end
      for _, what in ipairs { "sethook", "getregistry", "debug" } do assert(not pcall(debug[what])) end
      assert(not pcall(debug.setupvalue, print, 1, 1) and not pcall(debug.getupvalue, xpcall, 1))
      assert(not pcall(debug.getupvalue, require "lunette.core".where, 1) and not pcall(debug.upvaluejoin, load, 1, xpcall, 1))
      local up = 5
      local function own() return up end
      return select(2, debug.getupvalue(own, 1)) .. debug.getinfo(1, "l").currentline end)]])
    assert.truthy(f:call('{"name":"good"}'):find('"510"', 1, true), f:log())
    f:hook '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"bad"}}'
    f:run(500)
    assert.truthy(error_log():find("policy.lua:4: ran for more than 0.05 s", 1, true), error_log())
  end)

  it("may wait far longer than it may run", function()
    load "lunette.configure { hook_timeout = 0.02 } lunette.on('tools/call', function() lunette.sleep(0.1) return 'late' end)"
    f:hook(CALL)
    f:run(400)
    assert.truthy(f:account():find '"late"')
  end)

  it("has one limit for all its running, however often it waits", function()
    load [[lunette.configure { hook_timeout = 0.05 } lunette.on('tools/call', function()
      for _ = 1, 100 do
        local from = os.clock()
        while os.clock() - from < 0.01 do end
        lunette.sleep(0)
      end
      return 'never' end)]]
    f:hook(CALL)
    f:run(2000)
    assert.equal(POLICY_ERROR, ended(f:account()))
  end)

  it("runs in the pool's coroutines again and again", function()
    on_call "if request.params.name == 'bad' then error 'x' end return forward(request)"
    for round = 1, 200 do
      f:hook(CALL:gsub("read", round % 3 == 0 and "bad" or "good"))
      if round % 3 ~= 0 then f:answer(REPLY, (round - 1) - math.floor((round - 1) / 3) + 1) end
      f:run(1)
    end
    assert.equal(0, f:runs())
    local account = f:account()
    local _, replies = account:gsub("done %d+ " .. REPLY:gsub("%p", "%%%0"), "")
    assert.equal(134, replies)
  end)
end)

describe("lunette.every", function()
  it("runs again and again, may wait, and outlives its errors", function()
    local f = assert(support.load [[lunette.every(0.01, function()
      lunette.sleep(0.005)
      if lunette.shared.incr "n" == 2 then error "twice" end
      lunette.log.info("n", lunette.shared.get "n")
    end)]])
    f:run(300)
    local log = f:log()
    assert.truthy(log:find("n 1\n", 1, true), log)
    assert.truthy(log:find("lunette.every at .-policy.lua:1: .-policy.lua:3: twice"), log)
    assert.truthy(log:find("n 4\n", 1, true), log)
    f:cancel()
    support.lib.ln_policy_retire(f.policy)
    f:run(100)
    local after = f:log()
    f:run(100)
    assert.equal(after, f:log())
    f:free()
  end)

  it("has no client to speak of", function()
    local f = assert(support.load "lunette.every(0.01, function() lunette.tools.list() end)")
    f:run(60)
    support.lib.ln_policy_retire(f.policy)
    f:run(40)
    assert.truthy(f:log():find("there is no client here to ask for", 1, true), f:log())
    f:free()
  end)
end)
