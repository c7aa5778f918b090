-- The ready policy cache: what is answered from memory, whose answers these are, and equal calls at once.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local ready = require "spec.support.ready"

local with = ready.with
local call = ready.call

describe("the ready policy", function()
  after_each(lunette.finish)

  describe("cache", function()
    it("answers from memory, by tool and arguments, while it is fresh", function()
      local client, up = with(('require "lunette.policy.cache" { seconds = %g }'):format(0.3 * loop.slow))
      local first = call(client, "read", '{"path":"a","user":"b"}')
      assert.same(first, call(client, "read", '{"user":"b","path":"a"}'))
      assert.equal(1, up:count "tools/call")
      call(client, "read", '{"path":"b"}')
      assert.equal(2, up:count "tools/call")
      loop.sleep(350 * loop.slow)
      call(client, "read", '{"path":"a","user":"b"}')
      assert.equal(3, up:count "tools/call")
    end)

    it("keeps arrays arrays", function()
      local client = with('require "lunette.policy.cache" {}', { reply = function(req)
        req:reply '{"content":[],"structuredContent":{"list":[],"object":{},"null":null}}'
      end })
      client:result("tools/call", '{"name":"read"}')
      local raw = client:result("tools/call", '{"name":"read"}')
      assert.equal("[]", json.at(raw, "content"))
      assert.equal("[]", json.at(raw, "structuredContent", "list"))
      assert.equal("{}", json.at(raw, "structuredContent", "object"))
      assert.equal("null", json.at(raw, "structuredContent", "null"))
    end)

    it("does not keep failures, big results, or what may have changed something", function()
      local client, up = with('require "lunette.policy.cache" { max_bytes = 100 }', { reply = function(req)
        local failed = req:value("arguments", "path") == "bad"
        req:reply(('{"content":[],"x":"%s","isError":%s}'):format(failed and "" or ("x"):rep(100), tostring(failed)))
      end })
      for _ = 1, 2 do
        call(client, "write")
        call(client, "quiet")
        call(client, "read", '{"path":"bad"}')
        call(client, "read", '{"path":"big"}')
      end
      assert.equal(8, up:count "tools/call")
    end)

    it("keeps sessions apart unless told otherwise", function()
      for by, count in pairs { session = 2, all = 1 } do
        local _, up, host = with(('require "lunette.policy.cache" { by = %q }'):format(by), { way = { "http", "stdio" } })
        for _ = 1, 2 do
          local client = host.client()
          client:initialize()
          call(client, "read")
          call(client, "read")
        end
        assert.equal(count, up:count "tools/call", by)
        lunette.finish()
      end
    end)
  end)

  describe("cache beside what puts in who asks", function()
    local cache = 'require "lunette.policy.cache" { by = "all" }\n'
    for name, rules in pairs {
      ["inject after it"] = cache .. 'require "lunette.policy.inject" { arguments = { user = { header = "x-user" } } }',
      ["inject before it"] = 'require "lunette.policy.inject" { arguments = { user = { header = "x-user" } } }\n' .. cache,
      ["a hidden argument's default"] = cache .. 'lunette.tools.transform("read", { arguments = { user = { hide = true, '
        .. 'default = function(ctx) return ctx.headers["x-user"] end } } })',
      ["a transform's call"] = cache .. 'lunette.tools.transform("read", { call = function(args, forward, ctx) '
        .. 'args.user = ctx.headers["x-user"] return forward(args) end })',
      ["a handler"] = cache .. 'lunette.on("tools/call", function(request, forward, ctx) '
        .. 'request.params.arguments.user = ctx.headers["x-user"] return forward(request) end)',
    } do
      it("gives nobody another's answer: " .. name, function()
        local _, up, host = with(rules, { way = { "http", "stdio" } })
        local users = {}
        for i, user in ipairs { "ann", "bob", "ann" } do
          users[i] = host.client { headers = { "X-User: " .. user } }
          users[i]:initialize()
          assert.equal(user, call(users[i], "read", '{"path":"p"}').got.arguments.user)
        end
        for i, user in ipairs { "ann", "bob", "ann" } do
          assert.equal(user, call(users[i], "read", '{"path":"p"}').got.arguments.user)
        end
        assert.equal(2, up:count "tools/call", "one for each user")
      end)
    end

    it("knows a tool by its server's name for it, and edits of the answer are made each time", function()
      local client, up = with(cache .. [[
        lunette.on("tools/call", { name = { "write", "quiet" } }, function(request, forward)
          request.params.name = "read" return forward(request) end)
        local n = 0
        lunette.on("tools/call", function(request, forward)
          local result = forward(request) n = n + 1 result.n = n return result end)]])
      assert.equal(1, call(client, "read", "{}").n)
      assert.equal(2, call(client, "write", "{}").n)
      assert.equal(3, call(client, "quiet", "{}").n)
      assert.equal(1, up:count "tools/call")
    end)
  end)

  describe("cache with equal calls at once", function()
    local args = '{"name":"read","arguments":{"path":"p"}}'
    local held
    local function hold(policy, options)
      held = {}
      options = options or {}
      options.reply = function(req) held[#held + 1] = req end
      return with(policy or 'require "lunette.policy.cache" {}', options)
    end
    local function asked(n) loop.wait(function() return #held >= n end, n .. " calls at the server") end
    -- After whatever was sent before, at the server.
    local function settle(client) client:result "tools/list" client:result "ping" end
    local ANSWER = '{"content":[{"type":"text","text":"one"}]}'

    it("makes one of them, and gives all its answer", function()
      local client, up = hold()
      local calls = {}
      for i = 1, 20 do calls[i] = client:start("tools/call", args) end
      asked(1)
      settle(client)
      held[1]:reply(ANSWER)
      for i = 1, 20 do assert.equal("one", json.value(calls[i]:wait(), "result", "content", 1, "text")) end
      assert.equal(1, up:count "tools/call")
    end)

    it("gives all its error, or failure, and asks anew after that", function()
      local client, up = hold()
      for n, answer in ipairs { function(req) req:fail(-32050, "no") end, function(req) req:reply '{"content":[],"isError":true}' end } do
        local a, b = client:start("tools/call", args), client:start("tools/call", args)
        asked(n)
        settle(client)
        answer(held[n])
        for _, one in ipairs { a, b } do
          local raw = one:wait()
          assert.truthy(json.value(raw, "error", "code") == -32050 or json.value(raw, "result", "isError") == true, raw)
        end
        assert.equal(n, up:count "tools/call")
      end
    end)

    it("goes on for the others when the first gives up; the server hears of it when all have", function()
      local client, up = hold()
      local first = client:start("tools/call", args, '"c1"')
      asked(1)
      local second, third = client:start("tools/call", args, '"c2"'), client:start("tools/call", args, '"c3"')
      settle(client)
      client:notify("notifications/cancelled", '{"requestId":"c1"}')
      client:notify("notifications/cancelled", '{"requestId":"c3"}')
      settle(client)
      assert.equal(0, up:count "notifications/cancelled")
      held[1]:reply(ANSWER)
      assert.truthy(second:wait():find("one", 1, true))
      assert.falsy(first:done(20) or third:done(20))

      local again = '{"name":"read","arguments":{"path":"q"}}'
      client:start("tools/call", again, '"d1"')
      asked(2)
      client:start("tools/call", again, '"d2"')
      settle(client)
      client:notify("notifications/cancelled", '{"requestId":"d1"}')
      settle(client)
      assert.equal(0, up:count "notifications/cancelled")
      client:notify("notifications/cancelled", '{"requestId":"d2"}')
      up:wait "notifications/cancelled"
      local last = client:start("tools/call", again)
      asked(3)
      held[3]:reply(ANSWER)
      assert.truthy(last:wait():find("one", 1, true))
      assert.same({ 3, 1 }, { up:count "tools/call", up:count "notifications/cancelled" })
    end)

    it("asks anew for the others when the first's session ends", function()
      local _, _, host = hold('require "lunette.policy.cache" { by = "all" }', { way = { "http", "stdio" } })
      local a, b = host.client(), host.client()
      a:initialize()
      b:initialize()
      a:start("tools/call", args)
      asked(1)
      local waits = b:start("tools/call", args)
      b:result "ping"
      assert.equal(200, a:close())
      asked(2)
      held[2]:reply(ANSWER)
      assert.truthy(waits:wait():find("one", 1, true))
    end)

    it("takes no large number for another", function()
      local client, up = with 'require "lunette.policy.cache" {}'
      for _, n in ipairs { "9007199254740992", "9007199254740993", "9007199254740993" } do
        local raw = client:result("tools/call", '{"name":"read","arguments":{"path":' .. n .. "}}")
        assert.truthy(raw:find("900719925474099", 1, true))
      end
      assert.equal(2, up:count "tools/call")
    end)
  end)
end)
