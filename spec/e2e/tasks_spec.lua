-- Tasks of 2025-11-25, in both directions: what a request with `task` becomes, the requests about it, and what is
-- told of it. Numbers at the front of names are those of the protocol checklist.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local tasks = require "spec.support.tasks"

local can = tasks.can
local both = tasks.both
local task = tasks.task
local related = tasks.related
local server = tasks.server
local call = tasks.call
local about = tasks.about

for _, way in ipairs(lunette.ways) do
  describe("tasks from " .. lunette.way_name(way), function()
    local client, up

    local function start(policy)
      client, up = lunette.between(way, server(nil), { policy = policy })
      client:initialize { capabilities = both }
      if way[1] == "http" then client:listen() end
    end
    after_each(lunette.finish)

    it("1: are passed to the byte with one server, from the call to the result", function()
      start()
      assert.equal(can, json.at(client.initialized, "capabilities"))
      assert.equal(both, json.at(up:wait("initialize").params, "capabilities"))
      local params = '{ "name":"slow","arguments":{"x": 1.0},"task":{"ttl": 1e5, "y":[]} }'
      assert.equal('{"task":' .. task "t1" .. "}", client:result("tools/call", params))
      assert.equal(params, up:wait("tools/call").params)
      assert.equal(task "t1", client:result("tasks/get", '{"taskId":"t1", "z":1}'))
      assert.equal('{"taskId":"t1", "z":1}', up:wait("tasks/get").params)
      assert.equal('{"content":[],"of":"up","_meta":' .. related "t1" .. "}", client:result("tasks/result", about "t1"))
      assert.equal('{"tasks":[' .. task "t1" .. "]}", client:result("tasks/list", '{"cursor":"c"}'))
      assert.equal('"c"', up:wait("tasks/list"):at "cursor")
      assert.equal(task("t1", "cancelled"), client:result("tasks/cancel", about "t1"))
    end)

    it("that Lunette has not seen begin go to the one server", function()
      start()
      assert.equal(task "from before", client:result("tasks/get", about "from before"))
      up:on("tasks/get", function(req) req:fail(-32602, "Failed to retrieve task: Task not found", '{"x":1}') end)
      local err = json.at(client:request("tasks/get", about "none"), "error")
      assert.equal('{"code":-32602,"message":"Failed to retrieve task: Task not found","data":{"x":1}}', err)
    end)

    it("go on telling their progress after the response, until they end", function()
      start()
      client:result("tools/call", call("slow", ',"_meta":{"progressToken":"tok"}'))
      local token = up.made[1]:at("_meta", "progressToken")
      local function progress(n)
        up:session():notify("notifications/progress", ('{"progressToken":%s,"progress":%s}'):format(token, n))
      end
      progress(1)
      progress(2)
      for i = 1, 2 do
        assert.equal(('{"progressToken":"tok","progress":%d}'):format(i), client:expect("notifications/progress").params)
      end
      up:session():notify("notifications/tasks/status", task("t1", "completed"))
      progress(3)
      assert.equal(task("t1", "completed"), client:expect("notifications/tasks/status").params)
      client:result("ping")
      assert.is_nil(client:maybe("notifications/progress", 30))
    end)

    it("17: tell only progress that rises", function()
      start()
      client:result("tools/call", call("slow", ',"_meta":{"progressToken":7}'))
      local token = up.made[1]:at("_meta", "progressToken")
      for _, n in ipairs { "1", "1.0", "0.5", "2.5", "25e-1", "3" } do
        up:session():notify("notifications/progress", ('{"progressToken":%s,"progress":%s}'):format(token, n))
      end
      for _, n in ipairs { "1", "2.5", "3" } do
        assert.equal(n, json.at(client:expect("notifications/progress").params, "progress"))
      end
      assert.is_nil(client:maybe("notifications/progress", 20))
    end)

    it("ask while their result is waited for, and get the answer", function()
      start()
      client:result("tools/call", call "slow")
      local waiting
      up:on("tasks/result", function(req)
        waiting = req
        req:ask("elicitation/create", '{"message":"m","requestedSchema":{"type":"object","properties":{}},"_meta":' .. related "t1" .. "}",
          function(answer) req:reply('{"content":[],"answer":' .. answer.result .. ',"_meta":' .. related "t1" .. "}") end)
      end)
      local result = client:start("tasks/result", about "t1")
      local question = client:expect "elicitation/create"
      assert.equal(related "t1", json.at(question.params, "_meta"))
      if way[1] == "http" then assert.equal(result.id, question.stream) end
      client:answer(question, '{"action":"accept","content":{},"_meta":' .. related "t1" .. "}")
      assert.equal('{"action":"accept","content":{},"_meta":' .. related "t1" .. "}", json.at(result:wait(), "result", "answer"))
      assert.truthy(waiting)
    end)

    it("of the client are asked about by the server", function()
      start()
      local seen = {}
      up:on("tools/call", function(req)
        req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1,"task":{"ttl":5},"_meta":{"progressToken":"st"}}', function(one)
          seen.made = one.result
          req:ask("tasks/get", about "c1", function(two)
            seen.get = two.result
            req:ask("tasks/result", about "c1", function(three)
              seen.result = three.result
              req:ask("tasks/list", "{}", function(four)
                seen.list = four.result
                req:reply '{"content":[]}'
              end)
            end)
          end)
        end)
      end)
      local running = client:start("tools/call", '{"name":"slow"}')
      local question = client:expect "sampling/createMessage"
      assert.equal('{"ttl":5}', json.at(question.params, "task"))
      client:answer(question, '{"task":' .. task "c1" .. "}")
      local get = client:expect "tasks/get"
      assert.equal(about "c1", get.params)
      client:notify("notifications/progress", ('{"progressToken":%s,"progress":1}'):format(json.at(question.params, "_meta", "progressToken")))
      client:notify("notifications/tasks/status", task("c1", "working"))
      assert.equal('{"progressToken":"st","progress":1}', up:wait("notifications/progress").params)
      assert.equal(task("c1", "working"), up:wait("notifications/tasks/status").params)
      client:answer(get, task("c1", "completed"))
      client:answer(client:expect "tasks/result", '{"role":"assistant","model":"m","content":{"type":"text","text":"x"},"_meta":' .. related "c1" .. "}")
      client:answer(client:expect "tasks/list", '{"tasks":[' .. task "c1" .. "]}")
      running:wait()
      assert.equal('{"task":' .. task "c1" .. "}", seen.made)
      assert.equal(task("c1", "completed"), seen.get)
      assert.equal(related "c1", json.at(seen.result, "_meta"))
      assert.equal('{"tasks":[' .. task "c1" .. "]}", seen.list)
    end)

    it("21: are called off by tasks/cancel alone, once their id is known", function()
      start()
      local held
      up:on("tools/call", function(req) held = req end)
      local running = client:start("tools/call", call "slow", '"c"')
      loop.wait(function() return held end, "the call")
      client:notify("notifications/cancelled", '{"requestId":"c"}')
      client:result("ping")
      client:result("tasks/get", about "other")
      held:reply('{"task":' .. task "late" .. "}")
      assert.equal('"late"', up:wait("tasks/cancel"):at "taskId")
      assert.equal(0, up:count "notifications/cancelled")
      assert.is_nil(running:done(20))
    end)
  end)
end

describe("tasks", function()
  after_each(lunette.finish)

  it("21: of a call that timed out are called off", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server(nil), { extra = "timeout = 0.3" })
    client:initialize()
    local held
    up:on("tools/call", function(req) held = req end)
    assert.truthy(client:failure("tools/call", call "slow").message:find "time")
    held:reply('{"task":' .. task "late" .. "}")
    assert.equal('"late"', up:wait("tasks/cancel"):at "taskId")
    assert.equal(0, up:count "notifications/cancelled")
  end)

  it("21: a server that makes none is told as ever", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server(nil, { capabilities = '{"tools":{}}' }))
    client:initialize()
    local held
    up:on("tools/call", function(req) held = req end)
    client:start("tools/call", call "slow", '"c"')
    loop.wait(function() return held end, "the call")
    client:notify("notifications/cancelled", '{"requestId":"c"}')
    assert.equal(held.id, up:wait("notifications/cancelled"):at "requestId")
  end)

  it("of a handler's call come through its hands", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server(nil), { policy = [[
      lunette.on("tasks/*", function(request, forward, ctx)
        local result = forward(request)
        result.seen = request.method .. " " .. tostring(request.params.taskId)
        return result
      end)]] })
    client:initialize()
    client:result("tools/call", call "slow")
    assert.equal("tasks/result t1", json.value(client:result("tasks/result", about "t1"), "seen"))
    assert.equal("tasks/get t1", json.value(client:result("tasks/get", about "t1"), "seen"))
    up:wait "tasks/result"
  end)

  it("a task id that is none is refused", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server(nil))
    client:initialize()
    for _, params in ipairs { "{}", '{"taskId":1}', '{"taskId":null}', '{"taskid":"x"}' } do
      local code = client:failure("tasks/get", params).code
      assert.truthy(code == -32602 or code == -32600, params)
    end
    assert.equal(0, up:count "tasks/get")
  end)
end)

-- What Lunette never gave anybody: tasks without a token, numbers in between, what is no token.
local never_given = { "0", "-0", "-1", "1.5", "1e0", "2.0", "999", "9223372036854775807", "-9223372036854775808",
  "18446744073709551616", "1e400", '""', '"0"', '"1"', '"t1"', "null", "true", "{}", "[0]" }

describe("progress under a token that was never given", function()
  after_each(lunette.finish)

  local function tell(peer)
    for _, token in ipairs(never_given) do
      peer:notify("notifications/progress", ('{"progressToken":%s,"progress":1}'):format(token))
    end
    peer:notify("notifications/progress", '{"progress":1}')
  end

  for _, mode in ipairs { "client", "shared", "request" } do
    it("is nobody's: of a server that is " .. mode .. "'s, whose tasks have none", function()
      local up = server "up"
      local host = lunette.http { policy = ('lunette.upstream("up", %s)'):format(up:lua('session = "' .. mode .. '"')) }
      local client = host.client()
      client:initialize()
      client:listen()
      client:result("tools/call", call "slow")
      client:result("tools/call", call("slow", ',"_meta":{"progressToken":"mine"}'))
      for _, made in ipairs(up.made) do tell(made.session) end
      -- Its own comes after those, by the same way.
      up.made[2].session:notify("notifications/progress",
        ('{"progressToken":%s,"progress":1}'):format(up.made[2]:at("_meta", "progressToken")))
      assert.equal('{"progressToken":"mine","progress":1}', client:expect("notifications/progress").params)
      assert.is_nil(client:maybe("notifications/progress", 20))
      assert.equal(task "t1", client:result("tasks/get", about "t1"))
    end)
  end

  it("is nobody's: of a client that a handler has not asked yet", function()
    local up = server "up"
    local client = lunette.stdio { policy = ('lunette.upstream("up", %s)\n'):format(up:lua()) .. [[
      lunette.on("sampling/createMessage", function(request, forward)
        lunette.shared.set("held", true)
        while not lunette.shared.get "go" do lunette.sleep(0.005) end
        return forward(request)
      end)
      lunette.on("ping", function(request, forward)
        while not lunette.shared.get "held" do lunette.sleep(0.005) end
        return forward(request)
      end)
      lunette.on("prompts/list", function() lunette.shared.set("go", true) return { prompts = {} } end)]] }
    client:initialize { capabilities = both }
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1,"_meta":{"progressToken":"st"}}',
        function(answer) req:reply('{"content":[],"answer":' .. answer.result .. "}") end)
    end)
    local running = client:start("tools/call", '{"name":"slow"}')
    client:result "ping"
    tell(client)
    client:result "prompts/list"
    local question = client:expect "sampling/createMessage"
    client:notify("notifications/progress",
      ('{"progressToken":%s,"progress":2}'):format(json.at(question.params, "_meta", "progressToken")))
    client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":"x"}}')
    running:wait()
    assert.equal('{"progressToken":"st","progress":2}', up:wait("notifications/progress").params)
    assert.equal(1, up:count "notifications/progress")
  end)
end)

describe("ready policies see what a task gives in the end:", function()
  after_each(lunette.finish)

  -- A task's result under a policy, and Lunette's log.
  local function given(policy, result, name)
    local up = server(nil, { tools = '[{"name":"slow","inputSchema":{"type":"object"},"outputSchema":{"type":"object",'
      .. '"properties":{"n":{"type":"integer"}},"required":["n"]}},{"name":"other","inputSchema":{"type":"object"}}]' })
    up:on("tasks/result", function(req) req:reply(result) end)
    local client = lunette.between({ "stdio", "stdio" }, up, { policy = policy })
    client:initialize { capabilities = both }
    client:result("tools/call", call(name or "slow"))
    return client:result("tasks/result", about "t1"), client
  end
  local meta = ',"_meta":' .. related "t1"

  it("truncate", function()
    local long = '{"content":[{"type":"text","text":"0123456789"}]' .. meta .. "}"
    local short = long:gsub("456789", "\\n[… 6 more bytes left out]")
    assert.equal(short, (given('require "lunette.policy.truncate" { bytes = 4 }', long)))
    assert.equal(short, (given('require "lunette.policy.truncate" { bytes = 4, tools = "slow" }', long)))
    assert.equal(long, (given('require "lunette.policy.truncate" { bytes = 4, tools = "slow" }', long, "other")))
    assert.equal(long, (given('require "lunette.policy.truncate" { bytes = 40 }', long)))
  end)

  it("truncate, also of a task that began before a reload", function()
    local up = server()
    up:on("tasks/result", function(req) req:reply '{"content":[{"type":"text","text":"0123456789"}]}' end)
    local host = lunette.http { policy = lunette.bare(up) .. '\nrequire "lunette.policy.truncate" { bytes = 4 }', flags = { "--no-watch" } }
    local client = host.client()
    client:initialize { capabilities = both }
    client:result("tools/call", call "slow")
    host.process:kill "sighup"
    host.process:wait_stderr "a new policy is in force"
    assert.truthy(client:result("tasks/result", about "t1"):find("6 more bytes left out", 1, true))
  end)

  it("redact", function()
    assert.equal('{"content":[{"type":"text","text":"[redacted]"}]}', (given('require "lunette.policy.redact" { patterns = "hush" }',
      '{"content":[{"type":"text","text":"hush"}]}')))
  end)

  it("validate", function()
    local policy = 'require "lunette.policy.validate" {}'
    for result, wrong in pairs {
      ['{"content":[],"structuredContent":{"n":1.0}' .. meta .. "}"] = false,
      ['{"content":[],"structuredContent":{"n":"x"}' .. meta .. "}"] = "slow: wrong structuredContent: ",
      ['{"content":[{"type":"text","text":"x"}]' .. meta .. "}"] = "lacks the structuredContent",
      ['{"content":[],"isError":true}'] = false,
    } do
      local got = given(policy, result)
      if not wrong then
        assert.equal(result, got)
      else
        assert.is_true(json.value(got, "isError"))
        assert.truthy(json.value(got, "content", 1, "text"):find(wrong, 1, true), got)
        assert.equal(related "t1", json.at(got, "_meta"))
      end
      lunette.finish()
    end
  end)

  it("audit", function()
    local _, client = given('require "lunette.policy.audit" {}', '{"content":[],"isError":true}')
    local lines = {}
    for line in client.process.err:all():gmatch "policy[^\n]- ({[^\n]*})" do lines[#lines + 1] = json.decode((line:gsub('\\"', '"'))) end
    assert.same({ "tools/call", "tasks/result" }, { lines[1].method, lines[3].method })
    assert.same({ "t1", "t1", "failed" }, { lines[2].task, lines[3].task, lines[4].outcome })
  end)
end)
