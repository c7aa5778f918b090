-- Reload and servers: what is under way finishes under its own policy, and which servers go on, end or start.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"
local reload = require "spec.support.reload"

local changed = reload.changed
local server = reload.server
local says = reload.says
local tool_names = reload.tool_names
local start = reload.start

describe("what is in flight finishes under its own policy", function()
  after_each(lunette.finish)

  -- The new policy's tool `go` lets the old one's handler go on.
  local waits = "lunette.on('tools/call', 'work', function(request, forward)\n"
    .. "  while not lunette.shared.get 'go' do lunette.sleep(0.01) end\n"
    .. "  local result = forward(request)\n  result.policy = 'old'\n  return result end)\n"
  local go = "lunette.tools.add { name = 'go', inputSchema = { type = 'object' }, handler = function() "
    .. "lunette.shared.set('go', true) return '' end }\n"
  local marks = "lunette.on('tools/call', 'work', function(request, forward) "
    .. "local result = forward(request) result.policy = 'new' return result end)\n"

  it("a handler that sleeps", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. waits)
    local client = host:client()
    local call = client:start("tools/call", '{"name":"work"}')
    host:reload(lunette.bare(up) .. "\n" .. marks .. go)
    assert.equal('"new"', json.at(client:result("tools/call", '{"name":"work"}'), "policy"))
    assert.is_nil(call:done(50), "it must wait")
    client:result("tools/call", '{"name":"go"}')
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
    assert.equal(2, up:count "tools/call")
    assert.equal(1, #up.sessions)
  end)

  it("a handler that sleeps through many reloads", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. waits)
    local client = host:client()
    local call = client:start("tools/call", '{"name":"work"}')
    for i = 1, 10 do host:reload(lunette.bare(up) .. "\n" .. marks .. go .. "-- " .. i) end
    client:result("tools/call", '{"name":"go"}')
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
  end)

  it("a call that waits for its server", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. marks:gsub("new", "old"))
    local client = host:client()
    local held
    up:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    host:reload(lunette.bare(up) .. "\n" .. marks)
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    assert.equal('"new"', json.at(client:result("tools/call", '{"name":"work"}'), "policy"))
    held:reply '{"content":[]}'
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
  end)

  it("a call by a name that the new policy has taken away", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\nlunette.tools.rename { work = 'labour' }")
    local client = host:client()
    local held
    up:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"labour"}')
    loop.wait(function() return held end, "the call")
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide '*'")
    assert.equal(-32602, client:failure("tools/call", '{"name":"labour"}').code)
    assert.equal(-32602, client:failure("tools/call", '{"name":"work"}').code)
    held:reply '{"content":[]}'
    assert.equal('{"content":[]}', json.at(call:wait(), "result"))
    assert.equal(1, up:count "tools/call")
  end)

  it("a sleeper whose server is declared no more still reaches it, and then it ends", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. waits)
    local client = host:client()
    local call = client:start("tools/call", '{"name":"work"}')
    host:reload(go)
    client:result("tools/call", '{"name":"go"}')
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
    loop.wait(function()
      for _, session in ipairs(up.sessions) do
        if not session.gone or process.alive(session.pid) then return false end
      end
      return true
    end, "the removed server's end")
  end)

  it("a server's question that the client has yet to answer", function()
    local up = server "up"
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
        req:reply('{"content":[],"said":' .. (answer.result or "null") .. "}")
      end)
    end)
    local host = start(lunette.bare(up))
    local client = host:client { capabilities = '{"sampling":{}}' }
    local call = client:start("tools/call", '{"name":"work"}')
    local question = client:expect "sampling/createMessage"
    host:reload(lunette.bare(up) .. "\n" .. says "new")
    client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":"hello"}}')
    assert.equal('"hello"', json.at(call:wait(), "result", "said", "content", "text"))
  end)
end)

describe("servers at a reload", function()
  after_each(lunette.finish)

  local resources = '[{"uri":"file:///a.txt","name":"a"}]'

  for _, kind in ipairs { "stdio", "http" } do
    it("that are declared as before keep process, session and state over " .. kind, function()
      local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]',
        resources = resources }
      up:on("tools/call", function(req)
        req.session.calls = (req.session.calls or 0) + 1
        req:reply(('{"content":[],"calls":%d}'):format(req.session.calls))
      end)
      if kind == "http" then up:http() end
      local host = start(lunette.bare(up) .. "\n" .. says "0")
      local clients = { host:client(), host:client() }
      for i = 1, 5 do
        for _, client in ipairs(clients) do
          assert.equal(tostring(i), json.at(client:result("tools/call", '{"name":"work"}'), "calls"))
        end
        host:reload(says(tostring(i)) .. lunette.bare(up))
      end
      assert.equal(2, #up.sessions)
      assert.equal(2, up:count "initialize")
      assert.equal(1, up:count "tools/list", "what is known needs no asking")
      for _, session in ipairs(up.sessions) do
        assert.is_nil(session.gone or session.eof or session.deleted)
        if kind == "stdio" then assert.is_true(process.alive(session.pid)) end
      end
    end)
  end

  it("keep subscriptions and log level", function()
    local up = upstream.new { name = "up", tools = "[]", resources = resources }
    local host = start(lunette.bare(up))
    local client = host:client()
    client:result("resources/subscribe", '{"uri":"file:///a.txt"}')
    client:result("logging/setLevel", '{"level":"warning"}')
    host:reload(lunette.bare(up) .. "\n" .. says "new")
    client:expect(changed.tools)
    up.sessions[1]:notify("notifications/resources/updated", '{"uri":"file:///a.txt"}')
    assert.equal('"file:///a.txt"', json.at(client:expect "notifications/resources/updated".params, "uri"))
    up.sessions[1]:notify("notifications/message", '{"level":"error","data":"x"}')
    client:expect "notifications/message"
    assert.equal(1, up:count "resources/subscribe")
    assert.equal(1, up:count "logging/setLevel")
    client:result("resources/unsubscribe", '{"uri":"file:///a.txt"}')
    assert.equal(1, up:count "resources/unsubscribe")
  end)

  it("that are started again for other arguments learn of subscriptions and log level", function()
    local up = upstream.new { name = "up", tools = "[]", resources = resources }
    local host = start(lunette.bare(up))
    local client = host:client()
    client:result("resources/subscribe", '{"uri":"file:///a.txt"}')
    client:result("logging/setLevel", '{"level":"warning"}')
    host:reload(("lunette.upstream('up', %s)"):format(up:lua "env = { OTHER = '1' }"))
    assert.equal('"warning"', up:session(2):wait "logging/setLevel":at "level")
    assert.equal('"file:///a.txt"', up:session(2):wait "resources/subscribe":at "uri")
    up.sessions[2]:notify("notifications/resources/updated", '{"uri":"file:///a.txt"}')
    client:expect "notifications/resources/updated"
  end)

  it("that are new start, and their tools appear with list_changed, prefixes with the second", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a))
    local client, idle = host:client(), host:client { unlisted = true }
    assert.same({ "work" }, tool_names(client))
    host:reload(lunette.bare(a, b))
    loop.wait(function()
      if not client:maybe(changed.tools, 5000) then return false end
      return #tool_names(client) == 2
    end, "both servers' tools", 10000)
    assert.same({ "a_work", "b_work" }, tool_names(client))
    assert.equal('"b"', json.at(client:result("tools/call", '{"name":"b_work"}'), "by"))
    assert.equal('"a"', json.at(client:result("tools/call", '{"name":"a_work"}'), "by"))
    assert.same({ "a_work", "b_work" }, tool_names(idle))
    -- And the prefix goes with the second server.
    host:reload(lunette.bare(a))
    assert.same({ "work" }, tool_names(client))
    assert.equal('"a"', json.at(client:result("tools/call", '{"name":"work"}'), "by"))
    loop.wait(function()
      for _, session in ipairs(b.sessions) do
        if process.alive(session.pid) then return false end
      end
      return true
    end, "the end of every process of b")
    for _, session in ipairs(a.sessions) do assert.is_nil(session.eof) end
  end)

  it("that are declared no more end after their last call", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a, b))
    local client, other = host:client(), host:client()
    client:result("tools/call", '{"name":"a_work"}')
    other:result("tools/call", '{"name":"a_work"}')
    assert.equal(2, #a.sessions)
    local held
    a:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"a_work"}')
    loop.wait(function() return held end, "the call")
    local busy, idle = held.session, held.session == a.sessions[1] and a.sessions[2] or a.sessions[1]
    host:reload(lunette.bare(b))
    loop.wait(function() return idle.gone and not process.alive(idle.pid) end, "the idle session's end")
    client:expect(changed.tools)
    assert.same({ "work" }, tool_names(client))
    assert.equal('"b"', json.at(client:result("tools/call", '{"name":"work"}'), "by"))
    assert.is_true(process.alive(busy.pid), "it has a call under way")
    assert.is_nil(busy.eof)
    held:reply '{"content":[],"late":true}'
    assert.equal('{"content":[],"late":true}', json.at(call:wait(), "result"))
    loop.wait(function() return busy.gone and not process.alive(busy.pid) end, "the busy session's end")
    assert.is_true(busy.eof, "its stdin is closed first")
    assert.is_nil(busy.term)
  end)

  it("that are declared no more end when their last call is cancelled", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a, b))
    local client = host:client()
    local held
    a:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"a_work"}')
    loop.wait(function() return held end, "the call")
    host:reload(lunette.bare(b))
    client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
    held.session:wait "notifications/cancelled"
    loop.wait(function() return held.session.gone and not process.alive(held.session.pid) end, "the server's end", 1500)
  end)

  it("whose arguments change are the only ones that start again, and calls to them go on", function()
    local a, b = server "a", server "b"
    local function text(extra)
      return ("lunette.upstream('a', %s)\nlunette.upstream('b', %s)"):format(a:lua(), b:lua(extra))
    end
    local host = start(text())
    local client = host:client()
    client:result("tools/call", '{"name":"b_work"}')
    host:reload(text "env = { WITH = 'it' }")
    assert.equal('"b"', json.at(client:result("tools/call", '{"name":"b_work"}'), "by"))
    assert.equal('"a"', json.at(client:result("tools/call", '{"name":"a_work"}'), "by"))
    assert.same({ "a_work", "b_work" }, tool_names(client))
    assert.equal(2, #b.sessions)
    assert.equal("it", b.sessions[2].hello.env.WITH)
    assert.equal(1, #a.sessions)
    assert.is_nil(a.sessions[1].eof)
    loop.wait(function() return b.sessions[1].gone and not process.alive(b.sessions[1].pid) end, "the old child's end")
  end)

  it("take a changed timeout without a restart", function()
    local up = server "up"
    local host = start(("lunette.upstream('up', %s)"):format(up:lua "timeout = 60"))
    local client = host:client()
    up:on("tools/call", function() end)
    host:reload(("lunette.upstream('up', %s)"):format(up:lua "timeout = 0.1"))
    assert.truthy(client:failure("tools/call", '{"name":"work"}').message:find("in time", 1, true))
    assert.equal(1, #up.sessions)
  end)

  it("that are changed over and over leave nothing behind", function()
    local up = server "up"
    local function text(i) return ("lunette.upstream('up', %s)"):format(up:lua(("env = { TURN = '%d' }"):format(i))) end
    local host = start(text(0))
    local client = host:client()
    local descriptors
    for i = 1, 12 do
      host:reload(text(i))
      assert.equal('"up"', json.at(client:result("tools/call", '{"name":"work"}'), "by"))
      loop.wait(function() return up.sessions[i].gone end, "the old child's end")
      if i == 2 then descriptors = process.descriptors(host.process.pid) end
    end
    assert.equal(13, #up.sessions)
    loop.wait(function() return process.descriptors(host.process.pid) <= descriptors end, "the old pipes to be closed")
    loop.wait(function()
      local _, zombies = process.children(host.process.pid)
      return zombies == 0
    end, "the old children to be reaped")
  end)

  it("answer through a sampling handler that a reload brought", function()
    local up = server "up"
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
        req:reply('{"content":[],"said":' .. (answer.result or answer.error) .. "}")
      end)
    end)
    local handler = "\nlunette.sampling(function() return { role = 'assistant', model = 'policy', "
      .. "content = { type = 'text', text = 'from the policy' } } end)"
    local host = start(lunette.bare(up))
    local able = host:client { capabilities = '{"sampling":{}}' }
    host:reload(lunette.bare(up) .. handler)
    assert.equal('"from the policy"', json.at(able:result("tools/call", '{"name":"work"}'), "said", "content", "text"))
    assert.is_nil(able:maybe("sampling/createMessage", 1), "the client was asked")
    assert.equal(1, #up.sessions)
    -- A client without it that comes now: the server is offered it.
    local unable = host:client()
    assert.equal('"from the policy"', json.at(unable:result("tools/call", '{"name":"work"}'), "said", "content", "text"))
    assert.truthy(up:session(2):wait "initialize":at("capabilities", "sampling"))
    -- And when the handler goes, clients answer again.
    host:reload(lunette.bare(up))
    local call = able:start("tools/call", '{"name":"work"}')
    able:answer(able:expect "sampling/createMessage", '{"by":"client"}')
    assert.equal('{"by":"client"}', json.at(call:wait(), "result", "said"))
  end)

  it("that are new with a handler are offered what it answers, for clients that were there before", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a))
    host:client()
    host:reload(lunette.bare(a, b) .. "\nlunette.sampling(function() return {} end)")
    assert.truthy(b:session():wait "initialize":at("capabilities", "sampling"))
  end)
end)
