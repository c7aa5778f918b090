-- Tasks of several servers and of several clients stay apart, also where each request has a session of its own.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local tasks = require "spec.support.tasks"

local both = tasks.both
local task = tasks.task
local related = tasks.related
local server = tasks.server
local call = tasks.call
local about = tasks.about

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
    client = lunette.stdio { policy = ('up = lunette.upstream("up", %s)\n'):format(up:lua(
      'session = "request", max_children = 100')) .. (policy or "") }
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
