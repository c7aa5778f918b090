-- Tasks of 2025-11-25, in both directions: what a request with `task` becomes, the requests about it,
-- what is told of it, and that tasks of several servers and several clients stay apart.
-- Numbers at the front of names are those of the protocol checklist.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local can = '{"tools":{"listChanged":true},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}'
local both = '{"sampling":{},"elicitation":{},"tasks":{"list":{},"cancel":{},"requests":{"sampling":{"createMessage":{}},'
  .. '"elicitation":{"create":{}}}}}'

local function task(id, status, rest)
  return ('{"taskId":%s,"status":"%s","createdAt":"2025-11-25T10:30:00Z","lastUpdatedAt":"2025-11-25T10:40:00Z","ttl": 60000%s}')
    :format(json.quote(id), status or "working", rest or "")
end
local function related(id) return '{"io.modelcontextprotocol/related-task":{"taskId":' .. json.quote(id) .. "}}" end

-- A server whose tasks are called t1, t2 … or as it is told.
local function server(name, fields)
  fields = fields or {}
  fields.name = name
  fields.tools = fields.tools
    or '[{"name":"slow","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]'
  fields.capabilities = fields.capabilities or can
  local up, made = upstream.new(fields), 0
  up.made = {}
  up:on("tools/call", function(req)
    if not req:at "task" then return ('{"content":[],"by":%s}'):format(json.quote(name or "up")) end
    made = made + 1
    local id = fields.id or "t" .. made
    up.made[#up.made + 1] = req
    req:reply('{"task":' .. task(id) .. "}")
  end)
  up:on("tasks/get", function(req) req:reply(task(req:value "taskId")) end)
  up:on("tasks/cancel", function(req) req:reply(task(req:value "taskId", "cancelled")) end)
  up:on("tasks/result", function(req)
    req:reply(('{"content":[],"of":%s,"_meta":%s}'):format(json.quote(name or "up"), related(req:value "taskId")))
  end)
  up:on("tasks/list", function(req) req:reply('{"tasks":[' .. task(fields.id or "t1") .. "]}") end)
  return up
end

local function call(tool, rest) return ('{"name":%q,"arguments":{},"task":{"ttl": 1e5}%s}'):format(tool, rest or "") end
local function about(id) return '{"taskId":' .. json.quote(id) .. "}" end

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

describe("tasks of several servers", function()
  after_each(lunette.finish)
  local client, a, b

  local function behind(policy, fields_a, fields_b)
    a, b = server("alpha", fields_a or { id = "same" }), server("beta", fields_b or { id = "same" })
    client = lunette.stdio { policy = lunette.bare(a, b) .. "\n" .. (policy or "") }
    client:initialize { capabilities = both }
  end

  it("are offered as far as one of them goes", function()
    behind(nil, { capabilities = '{"tools":{},"tasks":{"list":{}}}' },
      { capabilities = '{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}' })
    assert.equal('{"list":{},"requests":{"tools":{"call":{}}}}', json.at(client.initialized, "capabilities", "tasks"))
  end)

  it("59: are not offered where nobody has any", function()
    behind(nil, { capabilities = '{"tools":{}}' }, { capabilities = '{"tools":{}}' })
    assert.is_nil(json.at(client.initialized, "capabilities", "tasks"))
    for _, method in ipairs { "tasks/get", "tasks/result", "tasks/cancel", "tasks/list" } do
      assert.equal(-32601, client:failure(method, about "x").code, method)
    end
  end)

  it("have their server's name, in everything that is said of them", function()
    behind()
    for _, name in ipairs { "alpha", "beta" } do
      local up, id = name == "alpha" and a or b, name .. ":same"
      assert.equal('{"task":' .. task(id) .. "}", client:result("tools/call", call(name .. "_slow")))
      assert.equal(task(id), client:result("tasks/get", about(id)))
      assert.equal('"same"', up:wait("tasks/get"):at "taskId")
      assert.equal(('{"content":[],"of":%q,"_meta":%s}'):format(name, related(id)), client:result("tasks/result", about(id)))
      up:session():notify("notifications/tasks/status", task "same")
      assert.equal(task(id), client:expect("notifications/tasks/status").params)
      up:session():notify("notifications/message", '{"level":"info","data":1,"_meta":' .. related "same" .. "}")
      assert.equal(related(id), json.at(client:expect("notifications/message").params, "_meta"))
      local answer
      up:session():ask("elicitation/create", '{"message":"m","_meta":' .. related "same" .. "}", function(r) answer = r.result end)
      local question = client:expect "elicitation/create"
      assert.equal(related(id), json.at(question.params, "_meta"))
      client:answer(question, '{"action":"decline","_meta":' .. related(id) .. "}")
      loop.wait(function() return answer end, "the answer")
      assert.equal('{"action":"decline","_meta":' .. related "same" .. "}", answer)
      assert.equal(task(id, "cancelled"), client:result("tasks/cancel", about(id)))
    end
    assert.equal(-32602, client:failure("tasks/get", about "gamma:same").code)
    assert.equal(-32602, client:failure("tasks/get", about "same").code)
    assert.equal(task "beta:older:x", client:result("tasks/get", about "beta:older:x"))
    assert.equal('"older:x"', b:wait("tasks/get", 2):at "taskId")
  end)

  it("are listed together, page by page", function()
    behind()
    assert.equal('{"tasks":[' .. task "alpha:same" .. "," .. task "beta:same" .. "]}", client:result("tasks/list", "{}"))
    for _, up in ipairs { a, b } do
      up:on("tasks/list", function(req)
        local cursor = req:value "cursor"
        if cursor and cursor ~= 'p"2\\' then return req:fail(-32602, "Invalid cursor") end
        req:reply(cursor and ('{"tasks":[%s]}'):format(task "two") or ('{"tasks":[%s],"nextCursor":"p\\"2\\\\"}'):format(task "one"))
      end)
    end
    local seen, cursor, pages = {}, nil, 0
    repeat
      local result = client:result("tasks/list", cursor and '{"cursor":' .. cursor .. "}" or nil)
      for _, id in ipairs(json.names(json.at(result, "tasks"), "taskId")) do seen[#seen + 1] = id end
      cursor, pages = json.at(result, "nextCursor"), pages + 1
    until not cursor or pages > 9
    assert.same({ "alpha:one", "alpha:two", "beta:one", "beta:two" }, seen)
    for _, bad in ipairs { '"x"', '"0-zzz"', '"9-p"', "5", '""', '"-1-p"' } do
      assert.equal(-32602, client:failure("tasks/list", '{"cursor":' .. bad .. "}").code, bad)
    end
  end)

  it("are listed as far as servers answer", function()
    behind()
    a:on("tasks/list", function(req) req:fail(-32603, "broken") end)
    assert.equal('{"tasks":[' .. task "beta:same" .. "]}", client:result("tasks/list", "{}"))
  end)

  it("that the client works at are only the asking server's", function()
    behind()
    client:result("tools/list", "{}")
    local got = {}
    local function ask(up, key, method, params)
      up:session():ask(method, params, function(r) got[key] = r.result or r.error end)
    end
    ask(a, "made", "sampling/createMessage", '{"messages":[],"maxTokens":1,"task":{}}')
    client:answer(client:expect "sampling/createMessage", '{"task":' .. task "c1" .. "}")
    loop.wait(function() return got.made end, "the task")
    assert.equal('{"task":' .. task "c1" .. "}", got.made)
    ask(b, "foreign", "tasks/get", about "c1")
    loop.wait(function() return got.foreign end, "the refusal")
    assert.equal(-32602, json.value(got.foreign, "code"))
    ask(a, "own", "tasks/get", about "c1")
    client:answer(client:expect "tasks/get", task "c1")
    loop.wait(function() return got.own end, "the answer")
    assert.equal(task "c1", got.own)
    for up, list in pairs { [a] = task "c1", [b] = "" } do
      got.list = nil
      ask(up, "list", "tasks/list", "{}")
      client:answer(client:expect "tasks/list", '{"tasks":[' .. task "c1" .. "," .. task "stray" .. '],"nextCursor":"n"}')
      loop.wait(function() return got.list end, "the list")
      assert.equal('{"tasks":[' .. list .. '],"nextCursor":"n"}', got.list)
    end
    client:notify("notifications/tasks/status", task("c1", "completed"))
    a:wait "notifications/tasks/status"
    assert.equal(0, b:count "notifications/tasks/status")
  end)
end)

describe("tasks of many clients", function()
  after_each(lunette.finish)

  for _, mode in ipairs { "client", "shared" } do
    it("stay apart at a server that is " .. mode .. "'s", function()
      local up = server "up"
      local host = lunette.http { policy = ('lunette.upstream("up", %s)'):format(up:lua('session = "' .. mode .. '"')) }
      local one, two = host.client(), host.client()
      for _, client in ipairs { one, two } do
        client:initialize { capabilities = both }
        client:listen()
      end
      local first = json.value(one:result("tools/call", call("slow", ',"_meta":{"progressToken":"one"}')), "task", "taskId")
      local second = json.value(two:result("tools/call", call("slow", ',"_meta":{"progressToken":"two"}')), "task", "taskId")
      assert.same({ "t1", "t2" }, { first, second })
      for i, client in ipairs { one, two } do
        up.made[i].session:notify("notifications/progress",
          ('{"progressToken":%s,"progress":%d}'):format(up.made[i]:at("_meta", "progressToken"), i))
        local params = client:expect("notifications/progress").params
        assert.equal(i == 1 and "one" or "two", json.value(params, "progressToken"))
        up.made[i].session:notify("notifications/tasks/status", task("t" .. i))
        assert.equal("t" .. i, json.value(client:expect("notifications/tasks/status").params, "taskId"))
      end
      assert.is_nil(one:maybe("notifications/tasks/status", 20))
      if mode == "shared" then
        assert.equal(-32602, two:failure("tasks/get", about "t1").code)
        assert.equal(-32602, two:failure("tasks/cancel", about "t1").code)
        up:on("tasks/list", function(req) req:reply('{"tasks":[' .. task "t1" .. "," .. task "t2" .. "," .. task "t3" .. "]}") end)
        assert.equal('{"tasks":[' .. task "t2" .. "]}", two:result("tasks/list", "{}"))
      end
      assert.equal(task "t1", one:result("tasks/get", about "t1"))
    end)
  end

end)

describe("tasks of requests with a session each", function()
  after_each(lunette.finish)

  local up, client

  -- As server, but each session knows its own tasks alone, as processes do; when: a task's status.
  local function start(policy)
    up = server(nil)
    local function known(req)
      local id = req:value "taskId"
      if req.session.mine == id then return id end
      req:fail(-32602, "Task not found")
    end
    local n = 0
    up:on("tools/call", function(req)
      if not req:at "task" then return '{"content":[]}' end
      n = n + 1
      req.session.mine, req.session.status = "t" .. n, "working"
      req:reply('{"task":' .. task(req.session.mine) .. "}")
    end)
    up:on("tasks/get", function(req) local id = known(req) if id then req:reply(task(id, req.session.status)) end end)
    up:on("tasks/cancel", function(req) local id = known(req) if id then req:reply(task(id, "cancelled")) end end)
    up:on("tasks/result", function(req)
      local id = known(req)
      if not id then return end
      if req.session.status == "failed" then return req:fail(-32000, "it failed") end
      req:reply(('{"content":[],"_meta":%s}'):format(related(id)))
    end)
    up:on("tasks/list", function(req) req:reply('{"tasks":[' .. (req.session.mine and task(req.session.mine) or "") .. "]}") end)
    client = lunette.stdio { policy = ('up = lunette.upstream("up", %s)\n'):format(up:lua 'session = "request"') .. (policy or "") }
    client:initialize { capabilities = both }
  end

  local function session_of(id)
    for _, session in ipairs(up.sessions) do if session.mine == id then return session end end
  end

  local function ended(id)
    loop.wait(function() return session_of(id).gone or session_of(id).eof end, "the end of that session")
  end

  local function alive()
    local n = 0
    for _, session in ipairs(up.sessions) do n = n + ((session.gone or session.eof) and 0 or 1) end
    return n
  end

  it("keep it until their result is fetched", function()
    start()
    client:result("tools/call", call "slow")
    client:result("tools/call", '{"name":"slow"}')
    assert.equal(task "t1", client:result("tasks/get", about "t1"))
    session_of("t1").status = "completed"
    assert.equal(task("t1", "completed"), client:result("tasks/get", about "t1"))
    client:result("tasks/result", about "t1")
    assert.equal(1, session_of("t1"):count "tasks/result")
    ended "t1"
    assert.equal(-32602, client:failure("tasks/get", about "t1").code)
  end)

  it("keep it until they are called off, have failed, or their time is over", function()
    start()
    for _ = 1, 3 do client:result("tools/call", call "slow") end
    assert.equal(task("t1", "cancelled"), client:result("tasks/cancel", about "t1"))
    ended "t1"
    session_of("t2").status = "failed"
    assert.equal("it failed", client:failure("tasks/result", about "t2").message)
    ended "t2"
    assert.falsy(session_of("t3").gone)
    up:on("tools/call", function(req)
      req.session.mine = "brief"
      req:reply('{"task":' .. task("brief"):gsub("60000", "200") .. "}")
    end)
    client:result("tools/call", call "slow")
    ended "brief"
  end)

  it("are listed from wherever they are, as they are now, page cursors being none", function()
    start()
    assert.equal('{"tasks":[]}', client:result("tasks/list", "{}"))
    for _ = 1, 3 do client:result("tools/call", call "slow") end
    session_of("t2").status = "completed"
    local list, states = json.at(client:result("tasks/list", "{}"), "tasks"), {}
    for _, one in ipairs(json.elements(list)) do states[json.value(one, "taskId")] = json.value(one, "status") end
    assert.same({ t1 = "working", t2 = "completed", t3 = "working" }, states)
    client:result("tasks/cancel", about "t1")
    session_of("t3"):exit(0)
    loop.wait(function() return session_of("t3").gone end, "the end of a server")
    loop.wait(function() return client:result("tasks/list", "{}") == '{"tasks":[' .. task("t2", "completed") .. "]}" end, "what is left")
    assert.equal(-32602, client:failure("tasks/list", '{"cursor":"0-x"}').code)
  end)

  it("that nobody waits for are called off in it, and it ends", function()
    start()
    local held
    up:on("tools/call", function(req) held = req end)
    client:start("tools/call", call "slow", "7")
    loop.wait(function() return held end, "the call")
    client:notify("notifications/cancelled", '{"requestId":7}')
    client:result "ping"
    held.session.mine = "late"
    held:reply('{"task":' .. task "late" .. "}")
    assert.equal("late", up:wait("tasks/cancel"):value "taskId")
    assert.equal(0, up:count "notifications/cancelled")
    ended "late"
  end)

  it("are as many as a client may have, and no process more; what is over makes room", function()
    start()
    local calls = {}
    for i = 1, 70 do calls[i] = client:start("tools/call", call "slow") end
    local made, refused = 0, 0
    for i = 1, 70 do
      local raw = calls[i]:wait(30000)
      if json.at(raw, "result") then made = made + 1 else refused = refused + 1 end
    end
    assert.same({ 64, 6 }, { made, refused })
    assert.is_true(alive() <= 65)
    assert.truthy(client:failure("tools/call", call "slow").message:find "Too many tasks")
    client:result("tools/call", '{"name":"slow"}')
    session_of("t5").status = "completed"
    client:result("tasks/get", about "t5")
    assert.equal("t65", json.value(client:result("tools/call", call "slow"), "task", "taskId"))
    ended "t5"
  end)

  it("go with the client, and with what clears the server", function()
    start 'lunette.on("x/clear", function() up:clear() return {} end)'
    client:result("tools/call", call "slow")
    client:result "x/clear"
    ended "t1"
    assert.equal(-32602, client:failure("tasks/get", about "t1").code)
    client:result("tools/call", call "slow")
    assert.equal(task "t2", client:result("tasks/get", about "t2"))
    assert.equal(0, (client:close()))
    ended "t2"
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
