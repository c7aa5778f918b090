-- What one client's session with a server makes the server list, say or create is never another client's, in any way
-- that clients share what they can.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local restart = require "spec.support.restart"
local tasks = require "spec.support.tasks"
local upstream = require "spec.support.upstream"
local workshop = require "spec.support.workshop"

describe("between clients", function()
  after_each(lunette.finish)

  local function policy_of(up, more, extra) return ("up = lunette.upstream('up', %s) %s"):format(up:lua(extra), more or "") end

  local function host_of(up, way, more, extra)
    if way == "http" and not up.url then up:http() end
    return lunette.http { policy = policy_of(up, more, extra) }
  end

  local function join(host, options)
    local client = host.client()
    client:initialize(options)
    return client
  end

  local function assert_unseen(client, marker)
    local seen = workshop.seen(client)
    assert.is_nil(seen:find(marker, 1, true), seen)
    assert.truthy(seen:find("make", 1, true))
    return seen
  end

  for _, way in ipairs { "stdio", "http" } do
    for _, quiet in ipairs { false, true } do
      describe((quiet and "of a quiet server over " or "of a server that announces, over ") .. way .. ",", function()
        it("nothing that one makes is seen by another, whenever it came", function()
          local up = workshop.new { quiet = quiet }
          local host = host_of(up, way, "lunette.configure { list_max_age = 0.1 }")
          local a, b = join(host), join(host)
          workshop.seen(b)
          workshop.make(a, "MARKER")
          loop.sleep(150)
          assert.truthy(workshop.seen(a):find("MARKER", 1, true))
          assert.equal("used MARKER", json.value(a:result("tools/call", '{"name":"MARKER"}'), "content", 1, "text"))
          assert_unseen(b, "MARKER")
          local c = join(host)
          assert_unseen(c, "MARKER")
          workshop.make(b, "OTHER")
          loop.sleep(150)
          local seen = assert_unseen(b, "MARKER")
          assert.truthy(seen:find("OTHER", 1, true))
          assert_unseen(c, "MARKER")
          assert_unseen(c, "OTHER")
          assert_unseen(join(host), "MARKER")
          assert_unseen(a, "OTHER")
          assert.truthy(workshop.seen(a):find("MARKER", 1, true), "what one makes stays that one's")
          assert.truthy(json.at(b:request("tools/call", '{"name":"MARKER"}'), "error"))
        end)

        it("nor when it was the first to list, after it had made something", function()
          local up = workshop.new { quiet = quiet }
          local host = host_of(up, way)
          local a = join(host)
          workshop.make(a, "MARKER")
          assert.truthy(workshop.seen(a):find("MARKER", 1, true))
          local b = join(host)
          assert_unseen(b, "MARKER")
          assert.truthy(workshop.seen(a):find("MARKER", 1, true))
        end)
      end)
    end

    it("what one made is told to that one alone, over " .. way, function()
      local up = workshop.new()
      local host = host_of(up, way)
      local a, b = join(host), join(host)
      a:listen()
      b:listen()
      workshop.seen(a)
      workshop.seen(b)
      workshop.make(b, "WARM") -- it has a session of its own, too
      b:expect "notifications/tools/list_changed"
      workshop.make(a, "MARKER")
      a:expect "notifications/tools/list_changed"
      assert.is_nil(b:maybe("notifications/tools/list_changed", 200))
      assert_unseen(b, "MARKER")
    end)

    it("names with a prefix that one has are unknown to another, over " .. way, function()
      local up, other = workshop.new { name = "a" }, workshop.new { name = "b" }
      if way == "http" then up:http() other:http() end
      local host = lunette.http { policy = lunette.bare(up, other) }
      local a, b = join(host), join(host)
      workshop.make(a, "MARKER", "a_make")
      assert.truthy(workshop.seen(a):find("a_MARKER", 1, true))
      assert.equal("used MARKER", json.value(a:result("tools/call", '{"name":"a_MARKER"}'), "content", 1, "text"))
      assert_unseen(b, "MARKER")
      local before = up:count "tools/call"
      local refused = b:failure("tools/call", '{"name":"a_MARKER"}')
      assert.equal(-32602, refused.code)
      assert.truthy(refused.message:find("Unknown tool", 1, true))
      b:failure("prompts/get", '{"name":"a_MARKER"}')
      b:failure("completion/complete", '{"ref":{"type":"ref/prompt","name":"a_MARKER"},"argument":{"name":"x","value":""}}')
      assert.equal(before, up:count "tools/call", "nobody was asked")
      assert.equal(0, up:count "prompts/get" + up:count "completion/complete")
    end)

    it("what it makes of a completion's words, or a list's that it doesn't offer, is not another's, over " .. way, function()
      for _, known in ipairs { true, false } do
        local up = workshop.new { capabilities = '{"tools":{"listChanged":true},"prompts":{"listChanged":true},"completions":{}}' }
        local function make(req, marker)
          req.session.made = req.session.made or {}
          table.insert(req.session.made, marker)
          req.session:notify "notifications/tools/list_changed"
        end
        up:on("completion/complete", function(req)
          req:reply '{"completion":{"values":[]}}'
          make(req, (req:value("argument", "value")))
        end)
        up:on("resources/list", function(req)
          req:reply '{"resources":[]}'
          make(req, (req:value "cursor"))
        end)
        local host = host_of(up, way, "lunette.configure { list_max_age = 0.05 }")
        local a, b = join(host), join(host)
        if known then
          a:result "tools/list"
          b:result "tools/list"
        end
        a:result("completion/complete", '{"ref":{"type":"ref/prompt","name":"make"},"argument":{"name":"x","value":"MARKER"}}')
        a:result("resources/list", '{"cursor":"MARKED"}')
        loop.wait(function() return a:result("tools/list"):find("MARKED", 1, true) end, "its own list")
        for _, client in ipairs { b, join(host) } do
          local seen = client:result "tools/list"
          assert.is_nil(seen:find("MARK", 1, true), seen)
        end
      end
    end)

    it("why a list is refused is told to each in the words that are for it, over " .. way, function()
      local up, refused, calls = workshop.new(), {}, {}
      up:on("tools/list", function(req) refused[#refused + 1] = req end)
      local host = host_of(up, way)
      for i = 1, 4 do calls[i] = join(host):start "tools/list" end
      for i = 1, 2 do
        loop.wait(function() return refused[i] end, "the list")
        refused[i]:fail(-32000, "not for MARKER" .. i)
      end
      for i, call in ipairs(calls) do
        local said = json.value(call:wait(), "error", "message")
        assert.equal(i < 3 and "MARKER" .. i or nil, said:match "MARKER%d")
        assert.truthy(said:find("its list is refused (error -32000)", 1, true), said)
      end
    end)

    it("a reload and a restart change nothing of that, over " .. way, function()
      local up = workshop.new()
      local key = ("lunette.configure { session_key_file = %q }"):format(loop.tempdir() .. "/key")
      local host = host_of(up, way, key)
      local process = host.process
      local a, b = join(host), join(host)
      workshop.make(a, "MARKER")
      assert_unseen(b, "MARKER")
      process:kill "sighup"
      loop.wait(function() return process.err:all():find("reload", 1, true) end, "the reload")
      assert_unseen(b, "MARKER")
      assert.truthy(workshop.seen(a):find("MARKER", 1, true))
      assert_unseen(join(host), "MARKER")
      host = restart.restart(host, policy_of(up, key))
      workshop.make(a, "AGAIN")
      assert_unseen(b, "AGAIN")
      assert_unseen(join(host), "AGAIN")
      assert.truthy(workshop.seen(a):find("AGAIN", 1, true))
    end)
  end

  it("instructions are for who they are addressed to", function()
    local up = workshop.new()
    local host = host_of(up, "stdio")
    for _, name in ipairs { "ann", "bob", "ann" } do
      local client = host.client()
      local said = client:initialize { info = ('{"name":"%s","version":"1"}'):format(name) }
      assert.equal("for " .. name, json.value(said, "instructions"))
    end
    assert.equal(2, #up.sessions, "who can't be told apart shares the answer")
  end)

  it("the answers to a server's questions are not another's", function()
    local up = workshop.new()
    up:on("notifications/initialized", function(req)
      req.session:ask("roots/list", nil, function(answer)
        req.session.made = { json.value(answer.result, "roots", 1, "name") }
        req.session:notify "notifications/tools/list_changed"
      end)
    end)
    local host = host_of(up, "stdio")
    local clients = {}
    for _, name in ipairs { "HERS", "HIS" } do
      local client = join(host, { capabilities = '{"roots":{}}' })
      client:listen()
      workshop.seen(client)
      if name == "HIS" then client:result("tools/call", '{"name":"make","arguments":{"marker":"x"}}') end
      client:answer(client:expect "roots/list", ('{"roots":[{"uri":"file:///%s","name":"%s"}]}'):format(name, name))
      client:expect "notifications/tools/list_changed"
      loop.wait(function() return client:result("tools/list"):find(name, 1, true) end, "its own")
      clients[name] = client
    end
    assert_unseen(clients.HERS, "HIS")
    assert_unseen(clients.HIS, "HERS")
    assert_unseen(join(host, { capabilities = '{"roots":{}}' }), "HERS")
  end)

  describe("that a server tells apart", function()
    it("by its answer to initialize, nothing is shared any more", function()
      local up = workshop.new { greeting = function(session) return "session " .. session.number end,
        numbered = function(session) return "n" .. session.number end }
      local host = host_of(up, "stdio")
      local a, b = join(host), join(host)
      assert.truthy(workshop.seen(a):find("n1", 1, true))
      b:request("tools/call", '{"name":"make","arguments":{"marker":"x"}}')
      assert.truthy(workshop.seen(b):find('"n2"', 1, true))
      for i = 3, 4 do
        local client = host.client()
        assert.equal("session " .. i, json.value(client:initialize(), "instructions"))
        local seen = workshop.seen(client)
        assert.truthy(seen:find('"n' .. i .. '"', 1, true))
        assert.is_nil(seen:find('"n1"', 1, true))
      end
      assert.truthy(workshop.seen(a):find('"n1"', 1, true))
      local _, times = host.process.err:all():gsub("is not shared between clients from now on", "")
      assert.equal(1, times, "told once")
    end)

    it("by the name or version that it says it has, neither", function()
      local up = workshop.new()
      up:on("initialize", function(req)
        req:reply(('{"protocolVersion":%s,"capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"n%d"}}'):format(
          req:at "protocolVersion", req.session.number))
      end)
      local host = host_of(up, "stdio")
      for i = 1, 5 do
        local client = host.client()
        local version = json.value(client:initialize(), "serverInfo", "version")
        client:request("tools/call", '{"name":"make","arguments":{"marker":"x"}}')
        -- The first is heard by two: until then it can't be known. Nobody else hears another's.
        assert.equal(i == 2 and "n1" or "n" .. i, version)
      end
    end)

    it("by a list, neither", function()
      local up = workshop.new { quiet = true, greeting = function() return "all" end,
        numbered = function(session) return "n" .. session.number end }
      local host = host_of(up, "stdio", "lunette.configure { list_max_age = 0.05 }")
      local a = join(host)
      assert.truthy(workshop.seen(a):find('"n1"', 1, true))
      workshop.make(a, "x") -- who listed first is not asked for others any more
      loop.sleep(100)
      local b = join(host)
      local of_b = workshop.seen(b)
      assert.is_nil(of_b:find('"n1"', 1, true))
      for _ = 3, 4 do assert.is_nil(workshop.seen(join(host)):find('"n1"', 1, true)) end
      assert.equal(4, #up.sessions)
      assert.equal(of_b, workshop.seen(b))
    end)

    it('by declaration (lists = "own"), each asks for itself from the beginning', function()
      local up = workshop.new { greeting = function(session) return "session " .. session.number end }
      local host = host_of(up, "stdio", nil, "lists = 'own'")
      for i = 1, 3 do
        local client = host.client()
        assert.equal("session " .. i, json.value(client:initialize(), "instructions"))
        client:result "tools/list"
        client:result "tools/list"
      end
      assert.equal(3, up:count "tools/list")
      assert.is_nil(host.process.err:all():find("is not shared", 1, true))
    end)
  end)

  it("what a session listed ends with it, cleared or lost", function()
    for _, way in ipairs { "stdio", "http" } do
      local up = workshop.new()
      local host = host_of(up, way, [[lunette.tools.add { name = "anew", inputSchema = { type = "object" }, handler = function() up:clear() return "ok" end }]])
      local client = join(host)
      for _, over in ipairs { "cleared", "lost" } do
        workshop.make(client, over)
        assert.truthy(workshop.seen(client):find(over, 1, true))
        if over == "cleared" then
          client:result("tools/call", '{"name":"anew"}')
        elseif way == "http" then
          up:forget()
          client:request("tools/call", '{"name":"none"}')
        else
          up.sessions[#up.sessions]:exit(0)
          host.process:wait_stderr "exited"
        end
        assert_unseen(client, over)
      end
    end
  end)

  it("what a session says that its client has lost is nobody's", function()
    local up = workshop.new()
    up:http()
    local lost = false
    up.on_request = function(request, conn)
      if not lost or not (request.body or ""):find("forget me", 1, true) or request.headers["mcp-session-id"] ~= up.sessions[1].id then return end
      upstream.plain(conn, "404 Not Found", "{}")
      return true
    end
    local slow
    local plain_call = up.handlers["tools/call"]
    up:on("tools/call", function(req)
      if req:at("arguments", "slow") then slow = req return end
      return plain_call(req)
    end)
    local host = host_of(up, "http")
    local a, b = join(host), join(host)
    b:listen()
    workshop.seen(a)
    workshop.seen(b)
    b:request("tools/call", '{"name":"make","arguments":{"marker":"B"}}')
    b:expect "notifications/tools/list_changed"
    b:expect "notifications/resources/list_changed"
    b:expect "notifications/prompts/list_changed"
    local call = a:start("tools/call", '{"name":"make","arguments":{"slow":1}}')
    loop.wait(function() return slow end, "the slow call")
    lost = true
    a:request("tools/call", '{"name":"make","arguments":{"marker":"forget me"}}')
    assert.equal(3, #up.sessions)
    slow:notify("notifications/resources/updated", '{"uri":"x://MARKER"}')
    slow:notify "notifications/tools/list_changed"
    slow:notify("notifications/message", '{"level":"error","data":"MARKER"}')
    slow:reply '{"content":[]}'
    call:wait()
    loop.sleep(100)
    for _, message in ipairs(b.inbox) do assert.is_nil(message.method, message.raw) end
    assert_unseen(b, "forget me")
  end)

  it("a server that says at every list that it has changed is asked for it once a second, after the first few", function()
    local up = workshop.new()
    local list = up.handlers["tools/list"]
    up:on("tools/list", function(req)
      list(req)
      req.session:notify "notifications/tools/list_changed"
    end)
    local client = join(host_of(up, "stdio"))
    client:result "tools/list"
    loop.sleep(1500)
    local n = up:count "tools/list"
    assert.is_true(n >= 4 and n <= 14, n)
    client:result("tools/call", '{"name":"make","arguments":{"marker":"MINE"}}')
    loop.wait(function() return client:result("tools/list"):find("MINE", 1, true) end, "its own list", 3000)
  end)

  -- Clients come, list, make things and go, at random; servers change their lists, lose sessions and end.
  for _, way in ipairs { "stdio", "http" } do
    for _, quiet in ipairs { false, true } do
      it(("nothing crosses whatever happens, over %s, of a server that %s"):format(way, quiet and "is quiet" or "announces"), function()
        local up = workshop.new { quiet = quiet }
        local host = host_of(up, way, "lunette.configure { list_max_age = 0.02 }")
        local seed = tonumber(os.getenv "LUNETTE_SEED") or os.time()
        math.randomseed(seed)
        local clients, made = {}, 0
        local function come()
          made = made + 1
          local c = join(host, { info = ('{"name":"c%d","version":"1"}'):format(math.random(2)) })
          c.number = made
          clients[#clients + 1] = c
        end
        for _ = 1, 4 do come() end
        local acts = {
          make = function(c) c:request("tools/call", ('{"name":"make","arguments":{"marker":"M%dx"}}'):format(c.number)) end,
          ping = function(c) c:request("resources/read", '{"uri":"x://make"}') end,
          complete = function(c) c:request("completion/complete", '{"ref":{"type":"ref/prompt","name":"make"},"argument":{"name":"a","value":""}}') end,
          leave = function(_, i)
            table.remove(clients, i):close()
            come()
          end,
          lose = function()
            local session = up.sessions[math.random(#up.sessions)]
            if session.stdio then if not session.gone then session:exit(0) end else up.by_id[session.id] = nil end
          end,
          say = function()
            local session = up.sessions[math.random(#up.sessions)]
            if not session.gone and not session.deleted then session:notify "notifications/tools/list_changed" end
          end,
          all = function() up.all = { "common" .. math.random(3) } end,
          wait = function() loop.sleep(math.random(30)) end,
          reload = function() host.process:kill "sighup" end,
        }
        local names = { "make", "make", "ping", "complete", "leave", "lose", "say", "all", "wait", "wait", "reload" }
        for step = 1, 250 do
          local i, act = math.random(#clients), names[math.random(#names)]
          local c = clients[i]
          acts[act](c, i)
          c = clients[math.random(#clients)]
          local raw = c:request(({ "tools/list", "prompts/list", "resources/list", "resources/templates/list" })[math.random(4)])
          for number in raw:gmatch "M(%d+)x" do
            assert.equal(c.number, tonumber(number), ("seed %d, step %d, after %s: %s"):format(seed, step, act, raw))
          end
        end
      end)
    end
  end

  it("a hundred that have used nothing cost one list", function()
    for _, way in ipairs { "stdio", "http" } do
      local up = workshop.new()
      local host = host_of(up, way)
      for _ = 1, 100 do join(host):result "tools/list" end
      assert.equal(1, up:count "tools/list")
      assert.equal(1, #up.sessions)
    end
  end)

  it("tasks of one are unknown to another", function()
    for _, extra in ipairs { "session = 'client'", "session = 'shared'", "session = 'request'" } do
      local up = tasks.server("up", { tools = '[{"name":"slow","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]' })
      up:http() -- whose tasks are known in all its sessions
      local all = {}
      up:on("tasks/list", function(req)
        local list = {}
        for i = 1, #up.made do list[i] = tasks.task("t" .. i) end
        req:reply('{"tasks":[' .. table.concat(list, ",") .. "]}")
      end)
      local host = lunette.http { policy = ("lunette.upstream('up', %s)"):format(up:lua(extra)) }
      for i = 1, 2 do
        all[i] = join(host)
        assert.equal("t" .. i, json.value(all[i]:result("tools/call", tasks.call "slow"), "task", "taskId"))
      end
      for i = 1, 2 do
        local listed = json.at(all[i]:result "tasks/list", "tasks")
        assert.truthy(listed:find('"t' .. i .. '"', 1, true), extra .. listed)
        assert.is_nil(listed:find('"t' .. 3 - i .. '"', 1, true), extra .. listed)
        assert.truthy(json.at(all[i]:request("tasks/get", tasks.about("t" .. i)), "result"), extra)
        for _, method in ipairs { "tasks/get", "tasks/result", "tasks/cancel" } do
          local refused = all[i]:failure(method, tasks.about("t" .. 3 - i))
          assert.equal("Unknown task", refused.message, extra)
          assert.equal(-32602, refused.code)
        end
      end
      assert.equal(0, up:count "tasks/cancel" + up:count "tasks/result")
      all[1]:close()
      for _, method in ipairs { "tasks/get", "tasks/result", "tasks/cancel" } do
        assert.equal("Unknown task", all[2]:failure(method, tasks.about "t1").message, "not when it has gone either: " .. extra)
      end
    end
  end)
end)

describe("a server that is replaced at its address", function()
  after_each(lunette.finish)

  for name, version in pairs { ["by another version"] = '{"name":"workshop","version":"2"}', ["by one that says the same of itself"] = nil or false } do
    it(name .. " lists what is true to all, whoever is connected", function()
      local port = http.free_port()
      local up = workshop.new()
      up:http(port)
      local host = lunette.http { policy = ("lunette.upstream('up', %s) lunette.configure { list_max_age = 0.2 }"):format(up:lua()) }
      local function join()
        local client = host.client()
        client:initialize()
        return client
      end
      local used, idle = join(), join()
      workshop.seen(used)
      workshop.seen(idle)
      workshop.make(used, "x")
      up.server:close()
      for _, connection in ipairs(up.server.connections) do connection:close() end
      local next_up = workshop.new { info = version or nil, numbered = function() return "NEW" end }
      next_up:http(port)
      loop.sleep(300)
      assert.truthy(workshop.seen(join()):find("NEW", 1, true), "who comes now")
      assert.truthy(workshop.seen(idle):find("NEW", 1, true), "who has used nothing")
      assert.truthy(workshop.seen(used):find("NEW", 1, true), "who has")
    end)
  end
end)
