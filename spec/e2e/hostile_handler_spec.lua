-- Handlers of messages that do what makes no sense, and policies that keep all they can: an error to the request it
-- was done for, with file:line in the log, and everybody else is served.
local hostile = require "spec.support.hostile"
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local LIMITS, GOOD, tool, call, fine, logged = hostile.LIMITS, hostile.GOOD, hostile.tool, hostile.call, hostile.fine,
  hostile.logged

-- A server with the tool `work`, a client of it under a policy, and another client.
local function under(policy, server)
  server = server or { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
  local up = upstream.new(server)
  up:on("tools/call", function(req) req:reply '{"content":[],"by":"server"}' end)
  local host = lunette.http { policy = LIMITS .. GOOD .. lunette.bare(up) .. "\n" .. policy }
  local client, other = host.client(), host.client()
  client:initialize()
  other:initialize()
  return client, other, up, host
end

describe("a handler that", function()
  after_each(lunette.finish)

  local cases = {
    { "never forwards nor answers", "lunette.on('tools/call', 'work', function() end)", "returned nothing" },
    { "forwards and forgets the result", "lunette.on('tools/call', 'work', function(r, forward) forward(r) end)",
      "return forward(request)'s result" },
    { "forwards what is no request", "lunette.on('tools/call', 'work', function(r, forward) return forward(12) end)",
      "forward wants the request, not number" },
    { "forwards params alone", "lunette.on('tools/call', 'work', function(r, f) return f(r.params) end)",
      "forward wants the whole request, not a table without its method" },
    { "gives the request", "lunette.on('tools/call', 'work', function(r) return r end)",
      "the handler of tools/call returned the request; return forward(request)'s result" },
    { "turns the method into another", "lunette.on('tools/call', 'work', function(r, f) r.method = 'ping' return f(r) end)",
      "can't turn tools/call into ping" },
    { "forwards params that can't be sent", "lunette.on('tools/call', 'work', function(r, f) r.params.arguments = print return f(r) end)",
      "params.arguments" },
    { "forwards from a coroutine", "lunette.on('tools/call', 'work', function(r, f) return coroutine.wrap(function() return f(r) end)() end)",
      "which a coroutine made by the handler can't do" },
    { "forwards in gsub", "lunette.on('tools/call', 'work', function(r, f) return (('x'):gsub('.', function() return f(r) end)) end)",
      "string.gsub" },
    { "fails after its forward", "lunette.on('tools/call', 'work', function(r, f) f(r) error 'too late' end)", "too late" },
    { "has a `where` that fails",
      "lunette.on('tools/call', { name = 'work', where = function() error 'where' end }, function(r, f) return f(r) end)", "where" },
    { "has a `call` that returns nothing", "lunette.tools.transform('work', { call = function(args, forward) forward(args) end })",
      "returned nothing; return forward(args)'s result" },
    { "has a `call` that forwards nonsense", "lunette.tools.transform('work', { call = function(args, forward) return forward 'x' end })",
      "forward wants the arguments" },
    { "has a default that fails", "lunette.tools.transform('work', { arguments = { a = { hide = true, default = function() error 'default' end } } })",
      "default", '[{"name":"work","inputSchema":{"type":"object","properties":{"a":{"type":"string"}}}}]' },
  }
  -- What is Lunette's own, in wrong hands: the reply's place is never left empty, and what is no JSON goes nowhere.
  local CORE = "local core = require 'lunette.core' "
  for name, body in pairs {
    ["ends without an answer"] = "core.finish_reply()",
    ["gives what stands for an answer"] = "return core.untouched()",
    ["ends without an answer in a coroutine"] = "coroutine.wrap(core.finish_reply)()",
  } do
    cases[#cases + 1] = { name, CORE .. "lunette.on('tools/call', 'work', function() " .. body .. " end)",
      "nothing was forwarded that could be the answer" }
    cases[#cases + 1] = { name .. ", of a tool", CORE .. tool("work", (body:gsub("return core.untouched", "core.finish_reply"))),
      "nothing was forwarded that could be the answer", "[]" }
    cases[#cases + 1] = { name .. ", of a transform", CORE .. "lunette.tools.transform('work', { call = function() " .. body .. " end })",
      "nothing was forwarded that could be the answer" }
  end
  for _, text in ipairs { '{"x', "", "[1]", "1", '{"a":1},"b":{}', '{"a":\\"\\0"}' } do
    cases[#cases + 1] = { "forwards arguments that are " .. text,
      CORE .. ("lunette.tools.transform('work', { call = function() core.forward_arguments('%s') end })"):format(text),
      (text == "[1]" or text == "1") and "arguments are a JSON object" or "at byte" }
  end
  cases[#cases + 1] = { "asks what is no method", CORE .. [[lunette.on('tools/call', 'work', function() core.request('x","y":"') end)]], "no method's name" }
  cases[#cases + 1] = { "asks the client what is no method", CORE .. [[lunette.on('tools/call', 'work', function() core.ask('a\nb') end)]], "no method's name" }
  cases[#cases + 1] = { "tells the client what is no method",
    CORE .. [[lunette.on('tools/call', 'work', function() core.notify(core.exchange(), 'a"', {}) end)]], "no method's name" }
  cases[#cases + 1] = { "sends a header that is a number", CORE
    .. "lunette.on('tools/call', 'work', function() core.http_start('GET', 'http://127.0.0.1:1/', { 5 }, nil, 1, 0, false, 9) end)", "string expected" }
  cases[#cases + 1] = { "takes a negative number of bytes", CORE
    .. "lunette.on('tools/call', 'work', function() core.http_start('GET', 'http://127.0.0.1:1/', {}, nil, 1, 0, false, -1) end)", "no such size" }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local client, other, _, host = under(case[2], case[4] and { tools = case[4] })
      local err = client:failure("tools/call", call "work")
      assert.equal(-32603, err.code)
      local line = logged(host.process, case[3])
      assert.truthy(line and line:find "policy%d+%.lua:2", host.process.err:all())
      fine(other)
    end)
  end

  it("keeps forward for later is told whose it was", function()
    local client, other, up, host = under [[
      local kept
      lunette.on("tools/call", "work", function(request, forward)
        if kept then return kept(request) end
        kept = forward
        return forward(request)
      end)]]
    client:result("tools/call", call "work")
    assert.equal(-32603, other:failure("tools/call", call "work").code)
    assert.truthy(logged(host.process, "forward belongs to a request that is over"), host.process.err:all())
    assert.equal(1, up:count "tools/call")
    fine(other)
  end)

  it("uses what belongs to another's request, under way, is told so", function()
    local client, other, up, host = under [[
      local theirs
      lunette.on("tools/call", "work", function(request, forward, ctx)
        if theirs then return theirs(request) end
        theirs = request.params.arguments.what == "ctx" and function() return ctx:call_tool("good") end or forward
        lunette.sleep(60)
      end)]]
    for i, what in ipairs { "ctx:call_tool belongs to another", "forward belongs to another" } do
      client:start("tools/call", ('{"name":"work","arguments":{"what":%q}}'):format(i == 1 and "ctx" or "forward"))
      client:result "ping"
      assert.equal(-32603, other:failure("tools/call", call "work").code)
      assert.truthy(logged(host.process, what), host.process.err:all())
      assert.equal(0, up:count "tools/call")
      fine(other)
      if i == 1 then
        client, other, up, host = under [[
          local theirs
          lunette.on("tools/call", "work", function(request, forward, ctx)
            if theirs then return theirs(request) end
            theirs = forward
            lunette.sleep(60)
          end)]]
      end
    end
  end)

  it("ends another's response is told so", function()
    local slow = http.listen(function() end) -- answers nobody
    local client, other, _, host = under(([[
      local core = require "lunette.core"
      local theirs
      lunette.on("tools/call", "work", function()
        if theirs then return core.http_close(theirs) end
        theirs = core.http_start("GET", "http://127.0.0.1:%d/", {}, nil, 60, 0, false, 100)
        core.http_wait(theirs)
      end)]]):format(slow.port))
    client:start("tools/call", call "work")
    client:result "ping"
    assert.equal(-32603, other:failure("tools/call", call "work").code)
    assert.truthy(logged(host.process, "the response is another handler's"), host.process.err:all())
    fine(other)
  end)

  it("takes all away that Lunette's own Lua stands on still has its place told", function()
    local client, other, _, host = under("lunette.tools.transform('work', { call = function() local g = _G for k in pairs(g) do g[k] = nil end return 1 end })")
    assert.equal(-32603, client:failure("tools/call", call "work").code)
    assert.truthy((logged(host.process, "handler at ") or "nothing"):find "policy%d+%.lua:2", host.process.err:all())
    other:result "ping"
  end)

  it("breaks what everybody uses breaks itself alone", function()
    local client, other, _, host = under([[lunette.on("tools/call", "work", function(request, forward)
      for _, name in ipairs { "error", "type", "tostring", "pairs", "ipairs", "pcall", "setmetatable", "rawget", "next" } do _G[name] = nil end
      string.format, table.concat, string.find, string.sub, debug.traceback = nil, nil, nil, nil, nil
      return forward(request) end)]] .. "\nlunette.on('resources/read', function(r, f) return f(r) end)",
      { tools = '[{"name":"work","inputSchema":{"type":"object"}}]', resources = '[{"uri":"file:///a","name":"a"}]' })
    client:request("tools/call", call "work")
    -- Whatever its handlers do now, messages that none of them sees pass, and a new policy is as good as new.
    other:result "ping"
    client:result("tools/list", "{}")
    lunette.policy(GOOD, host.process.policy)
  end)

  it("for a server's question fails is an error to the server, and the call goes on", function()
    for _, body in ipairs { "return", "return 1", "error 'x'", "while true do end", "return { roots = 5, x = print }" } do
      local up = upstream.new { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
      up:on("tools/call", function(req)
        req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
          req:reply(('{"content":[],"code":%s}'):format(json.at(answer.error, "code")))
        end)
      end)
      local host = lunette.http { policy = LIMITS .. lunette.bare(up) .. "\nlunette.sampling(function() " .. body .. " end)" }
      local client = host.client()
      client:initialize()
      assert.equal("-32603", json.at(client:result("tools/call", call "work"), "code"), body)
      assert.truthy(logged(host.process, "handler of sampling/createMessage at "):find "policy%d+%.lua:2")
      lunette.finish()
    end
  end)

  it("for a notification fails drops that one", function()
    local client, other, up = under("lunette.on('notifications/message', function(n, forward) "
      .. "if n.params.data == 'bad' then error(nil) elseif n.params.data == 'endless' then while true do end end forward(n) end)")
    client:listen()
    client:result("tools/call", call "work")
    local session = up.sessions[1]
    for _, data in ipairs { "bad", "endless", "good" } do
      session:notify("notifications/message", ('{"level":"info","data":%q}'):format(data))
    end
    assert.equal('"good"', json.at(client:expect "notifications/message".params, "data"))
    assert.is_nil(client:maybe("notifications/message", 1))
    fine(other)
  end)

  it("for lists fails withholds that one item, with the place", function()
    for _, rule in ipairs {
      "lunette.tools.filter(function(tool) if tool.name == 'work' then error(nil) end return true end)",
      "lunette.tools.filter(function(tool) if tool.name == 'work' then while true do end end return true end)",
      "lunette.tools.filter(function(tool) if tool.name == 'work' then error(setmetatable({}, { __index = error, __tostring = error })) end return true end)",
      "lunette.tools.filter(function(tool) if tool.name == 'work' then lunette.log.info(setmetatable({}, { __tostring = error })) end return true end)",
      "lunette.tools.rename(function(name) if name == 'work' then return {} end end)",
      "lunette.tools.transform('work', function() return 1 end)",
      "lunette.tools.transform('work', function(tool) tool.inputSchema = print return tool end)",
      "lunette.tools.transform('work', function(tool) tool.description = ('x'):rep(1e9) return tool end)",
      "lunette.tools.transform('work', function(tool) tool.inputSchema = { tool } return tool end)",
      "lunette.tools.hide { where = function(tool) return tool.name == 'work' and tool.a.b end }",
    } do
      local client, other, _, host = under(rule)
      local list = client:request("tools/list", "{}")
      assert.is_nil(list:find('"name":"work"', 1, true), rule .. list)
      local stopped = rule:find "while true" or rule:find "1e9"
      assert.truthy(stopped or list:find('"name":"good"', 1, true), rule .. list)
      assert.truthy(host.process.err:all():find "error policy: [^\n]*policy%d+%.lua:2", host.process.err:all())
      other:result "ping"
      lunette.finish()
    end
  end)
end)

describe("a policy that keeps all it can", function()
  after_each(lunette.finish)

  it("fails its own requests, and others pass it by", function()
    local client, other, up, host = under("lunette.configure { hook_timeout = 20 } kept = {}\nlunette.on('tools/call', 'work', function(r, f) "
      .. "for i = 1, 1e5 do kept[#kept + 1] = { i } end return f(r) end)", {
        tools = '[{"name":"work","inputSchema":{"type":"object"}},{"name":"free","inputSchema":{"type":"object"}}]' })
    local failed
    for _ = 1, 20 do
      failed = json.at(client:request("tools/call", call "work"), "error")
      if failed then break end
    end
    assert.truthy(failed, "it never ended")
    assert.truthy(logged(host.process, "memory_limit"):find "policy%d+%.lua:3", host.process.err:all())
    assert.equal('"server"', json.at(other:result("tools/call", call "free"), "by"))
    assert.is_true(up:count "tools/call" > 0)
    assert.is_true(lunette.sanitized or process.rss(host.process.pid) < 120 * 1024)
  end)
end)
