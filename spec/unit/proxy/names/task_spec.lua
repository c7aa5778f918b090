-- src/proxy/names/task.c: whose each task is, under which id, and the progress token that outlives the response.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

describe("tasks", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  -- A server that makes of every call a task of the next id (or this one), with these members.
  local function maker(name, ids, members, options)
    return { name, options = options, on = { ["tools/call"] = function(_, n)
      local id = type(ids) == "table" and ids[n] or type(ids) == "string" and ids or ("t%d"):format(n)
      return ('"result":{"task":{"taskId":"%s"%s}}'):format(id, members or ',"status":"working"')
    end } }
  end

  local function call(h, name, session, params)
    return h:call(name, "tools/call", params or '{"name":"x","task":{}}', session)
  end

  -- The entries of a session, in order.
  local function entries(session)
    local out, node = {}, session.tasks.next
    while node ~= session.tasks do
      out[#out + 1] = ffi.cast("struct ln_task_entry *", node) -- in_session is its first member
      node = node.next
    end
    assert.equal(#out, tonumber(session.n_tasks))
    return out
  end

  local function shown_ids(session)
    local out = {}
    for i, t in ipairs(entries(session)) do out[i] = H.bytes(t.shown) end
    return table.concat(out, " ")
  end

  local function with(text, use)
    local s, anchor = H.text(text)
    local result = use(s)
    assert(anchor)
    return result
  end

  local function name(h, server, id)
    local b = with(id, function(s) return lib.ln_task_name(h:client(), h:server(server), s) end)
    local text = H.bytes(b)
    lib.ln_bytes_unref(b)
    return text
  end

  -- Whose an id is that no table has: the server's name, and the id there.
  local function owner(h, shown, session)
    local id = ffi.new "struct ln_str"
    return with(shown, function(s)
      local server = lib.ln_task_owner(session or h:client(), s, id)
      return server ~= nil and ffi.string(server.conf.name) .. " " .. H.str(id) or nil
    end)
  end

  describe("have ids that", function()
    it("are the server's own where there is one", function()
      local h = H.new("", { maker("a", { "t", "b:t", "", "x\\u0000y" }) })
      assert.equal('{"task":{"taskId":"t","status":"working"}}', H.reply(call(h, "a")))
      for _ = 1, 3 do call(h, "a") end
      assert.equal("t b:t  x\0y", shown_ids(h:client()))
      assert.equal("any", name(h, "a", "any"))
      assert.equal("a b:t", owner(h, "b:t"))
      assert.equal("a ", owner(h, ""))
    end)

    it("have their server's name where there are several, so that equal ones are two", function()
      local h = H.new("", { maker("a", "t"), maker("b", "t") })
      assert.equal('{"task":{"taskId":"a:t","status":"working"}}', H.reply(call(h, "a")))
      assert.equal('{"task":{"taskId":"b:t","status":"working"}}', H.reply(call(h, "b")))
      assert.equal("a:t b:t", shown_ids(h:client()))
      for _, server in ipairs { "a", "b" } do
        local t = with(server .. ":t", function(s) return lib.ln_task_by_shown(h:client(), false, s) end)
        assert.equal(server, ffi.string(t.server.conf.name))
        assert.is_true(t == with("t", function(s) return lib.ln_task_by_native(h:client(), h:server(server), s) end))
      end
      for _, other in ipairs { "t", "a:", "a:t\0", "A:t", "a:a:t", "" } do
        assert.is_true(nil == with(other, function(s) return lib.ln_task_by_shown(h:client(), false, s) end), other)
      end
    end)

    it("tell whose they are, of which nothing is known", function()
      local h = H.new("", { { "a" }, { "a.b" }, { "s", options = "session = 'shared'" } })
      for shown, expected in pairs { ["a:t"] = "a t", ["a:"] = "a ", ["a:b:c"] = "a b:c", ["a.b:t"] = "a.b t", ["a:x\0y"] = "a x\0y" } do
        assert.equal(expected, owner(h, shown), shown)
      end
      for _, shown in ipairs { "t", "", ":", ":t", "c:t", "a", "A:t", "s:t", "ab:t", "a b:t", "a.b", "a\0:t" } do assert.is_nil(owner(h, shown), shown) end
      assert.equal("a.b:x", name(h, "a.b", "x"))
    end)

    it("are nobody's at a server that all share, but for those in one's own table", function()
      local h = H.new("", { maker("a", nil, nil, "session = 'shared'") })
      local one, two = h:join(), h:join()
      call(h, "a", one)
      call(h, "a", two)
      assert.equal("t1", shown_ids(one))
      assert.equal("t2", shown_ids(two))
      assert.is_nil(owner(h, "t1", two))
      assert.is_nil(owner(h, "t1", one))
      local server = h:server "a"
      assert.is_true(nil == with("t1", function(s) return lib.ln_task_by_native(two, server, s) end))
      local any = with("t1", function(s) return lib.ln_task_by_native(nil, server, s) end)
      assert.is_true(any.session == one)
      assert.is_true(nil == with("t3", function(s) return lib.ln_task_by_native(nil, server, s) end))
    end)

    it("are strings, or there is no task", function()
      for _, task in ipairs { '{"taskId":7}', '{"taskId":null}', "{}", "[]", '"t"', "null", '{"taskId":{"taskId":"t"}}' } do
        local h = H.new("", { { "a", on = { ["tools/call"] = function() return '"result":{"task":' .. task .. "}" end } } })
        assert.equal('{"task":' .. task .. "}", H.reply(call(h, "a")))
        assert.equal("", shown_ids(h:client()), task)
      end
    end)

    it("are noted of calls that ask for one alone, and of no error", function()
      local failing = { ["tools/call"] = function() return '"error":{"code":1,"message":"m","data":{"task":{"taskId":"t"}}}' end }
      local h = H.new("", { maker("a", "t"), { "b", on = failing } })
      call(h, "a", nil, '{"name":"x"}')
      call(h, "b")
      assert.equal("", shown_ids(h:client()))
    end)
  end)

  describe("are known from what is asked about them", function()
    it("when they began before this process, by the id that the server answers with", function()
      local h = H.new("", { { "a", on = { ["tasks/get"] = function() return '"result":{"taskId":"t","status":"working"}' end } }, { "b" } })
      h:call("a", "tasks/get", '{"taskId":"a:t"}')
      assert.equal("a:t", shown_ids(h:client()))
      h:call("a", "tasks/get", '{"taskId":"a:t"}')
      assert.equal("a:t", shown_ids(h:client()), "once")
      h:call("b", "tasks/get", '{"taskId":"b:u"}') -- {} has no id
      assert.equal("a:t", shown_ids(h:client()))
    end)

    it("until they are over, in any of the ways to be", function()
      for status, over in pairs { working = false, input_required = false, completed = true, failed = true, cancelled = true, Completed = false } do
        local h = H.new("", { maker("a", "t") })
        call(h, "a")
        local t = entries(h:client())[1]
        H.with_msg(('{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t","status":"%s"}}'):format(status),
          function(m) lib.ln_task_note_status(t, m) end)
        assert.equal(over, t.over, status)
        h.by_name.a.on["tasks/get"] = function() return '"result":{"taskId":"t","status":"working"}' end
        h:call("a", "tasks/get", '{"taskId":"t"}')
        assert.equal(over, t.over, "what is over stays so")
      end
      for method, over in pairs { ["tasks/result"] = true, ["tasks/get"] = false } do
        local h = H.new("", { maker("a", "t") })
        call(h, "a")
        h:call("a", method, '{"taskId":"t"}')
        assert.equal(over, entries(h:client())[1].over, method)
      end
    end)
  end)

  describe("tell their progress under", function()
    local function by_token(h, token)
      return lib.ln_task_by_token(lib.ln_pool_current(h:client(), h:server "a").tasks, token)
    end

    it("the number of their call, for the client's own token, as it wrote it", function()
      local h = H.new("", { maker "a" })
      call(h, "a", nil, '{"name":"x","task":{},"_meta":{"progressToken":"\\u0070" }}')
      call(h, "a", nil, '{"name":"x","task":{},"_meta":{"progressToken":7}}')
      local one, two = unpack(entries(h:client()))
      assert.equal('"\\u0070"', H.bytes(one.asked_token))
      assert.equal("7", H.bytes(two.asked_token))
      assert.is_true(by_token(h, one.token) == one)
      assert.is_true(by_token(h, two.token) == two)
      assert.equal(tostring(tonumber(two.token)), h:last("a", "tools/call").params:match '"progressToken":(%d+)')
      assert.is_true(by_token(h, 99) == nil)
    end)

    it("no token when none was given: 0 is nobody's", function()
      local h = H.new("", { maker "a" })
      call(h, "a")
      call(h, "a", nil, '{"name":"x","task":{},"_meta":{}}')
      for _, t in ipairs(entries(h:client())) do
        assert.equal(0, tonumber(t.token))
        assert.is_true(t.asked_token == nil)
      end
      for _, token in ipairs { 0, 1, 2, -1 } do assert.is_true(by_token(h, token) == nil, token) end
      h:heard()
      for _, token in ipairs { "0", "1", '"0"', "-0" } do
        h:say("a", ('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}'):format(token))
      end
      h:run()
      assert.same({}, h:heard(h:client()))
    end)

    it("that alone of another session's", function()
      local h = H.new("", { maker("a", nil, nil, "session = 'shared'") })
      local one, two = h:join(), h:join()
      call(h, "a", one, '{"name":"x","task":{},"_meta":{"progressToken":1}}')
      call(h, "a", two, '{"name":"x","task":{},"_meta":{"progressToken":1}}')
      local list = h:server "a".shared.tasks
      assert.is_true(lib.ln_task_by_token(list, entries(one)[1].token).session == one)
      assert.is_true(lib.ln_task_by_token(list, entries(two)[1].token).session == two)
    end)
  end)

  describe("of the client, for a server,", function()
    -- The client is asked by a server for something that it makes a task of.
    local function asked(h, server, token, reply)
      h:heard()
      h:say(server, ('{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[],"task":{}%s}}')
        :format(token and ',"_meta":{"progressToken":' .. token .. "}" or ""))
      h:run()
      local text = h:heard(h:client())[1]
      local answer = ('{"jsonrpc":"2.0","id":%s,%s}'):format(text:match '"id":([^,]+)', reply or '"result":{"task":{"taskId":"c","status":"working"}}')
      H.with_msg(answer, function(m) lib.ln_outbox_answer(h:client().outbox, m) end)
      h:run()
    end

    local function ready(servers)
      local h = H.new("", servers)
      h.first = h:join '{"sampling":{},"tasks":{"requests":{"sampling":{"createMessage":{}}}}}'
      for _, server in ipairs(servers) do h:call(server[1], "ping", "{}") end
      return h
    end

    it("are never renamed, and are the asking server's", function()
      local h = ready { { "a" }, { "b" } }
      asked(h, "a", '"k"')
      local t = entries(h:client())[1]
      assert.equal("c", H.bytes(t.shown))
      assert.is_true(t.of_client)
      assert.equal("a", ffi.string(t.server.conf.name))
      assert.equal('"k"', H.bytes(t.asked_token))
      assert.is_true(t == with("c", function(s) return lib.ln_task_by_shown(h:client(), true, s) end))
      assert.is_true(nil == with("c", function(s) return lib.ln_task_by_shown(h:client(), false, s) end))
      assert.is_true(nil == with("c", function(s) return lib.ln_task_by_native(h:client(), h:server "a", s) end), "which is of a server's")
      assert.is_true(lib.ln_task_by_token(t.link.tasks, t.token) == nil, "and so is progress of a server's")
      assert.equal('{"task":{"taskId":"c","status":"working"}}', h.asked[#h.asked].text:match '"result":(.*)}$')
    end)

    it("are none where it makes none", function()
      local h = ready { { "a" } }
      for _, reply in ipairs { '"result":{"role":"assistant"}', '"error":{"code":1,"message":"no"}', '"result":{"task":{"taskId":7}}' } do
        asked(h, "a", nil, reply)
      end
      assert.equal("", shown_ids(h:client()))
    end)

    it("end with the server's session", function()
      local h = ready { maker "a" }
      asked(h, "a")
      call(h, "a", nil, '{"name":"x","task":{},"_meta":{"progressToken":1}}')
      assert.equal("c t1", shown_ids(h:client()))
      h:hang_up "a"
      assert.equal("t1", shown_ids(h:client()))
      local t = entries(h:client())[1]
      assert.is_true(t.link == nil)
      assert.equal(0, tonumber(t.token))
    end)
  end)

  describe("related to a message", function()
    it("are found by its _meta, of the link's own session or of any that shares it", function()
      for _, mode in ipairs { "client", "shared" } do
        local h = H.new("", { maker("a", nil, nil, ("session = %q"):format(mode)) })
        local one, two = h:join(), h:join()
        call(h, "a", one)
        call(h, "a", two)
        local link = lib.ln_pool_current(one, h:server "a")
        local function related(id)
          return H.with_msg(('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"io.modelcontextprotocol/related-task":%s}}}'):format(id),
            function(m)
              local t = lib.ln_task_related(link, m)
              return t ~= nil and t.session or nil
            end)
        end
        assert.is_true(related '{"taskId":"t1"}' == one, mode)
        if mode == "shared" then assert.is_true(related '{"taskId":"t2"}' == two) else assert.is_nil(related '{"taskId":"t2"}') end
        for _, id in ipairs { '{"taskId":"x"}', '{"taskId":7}', "{}", '"t1"', "null" } do assert.is_nil(related(id), id) end
      end
    end)
  end)

  describe("are forgotten", function()
    it("when their time is over", function()
      local h = H.new("", { maker("a", nil, ',"status":"working","ttl":15') })
      call(h, "a")
      assert.equal("t1", shown_ids(h:client()))
      h:wait(function() return #entries(h:client()) == 0 end)
    end)

    it("never, or after a week, when the server says nothing sensible of it", function()
      for ttl, runs in pairs { ["null"] = false, ["-1"] = false, ['"5"'] = false, ["1.5"] = false, ["1e3"] = false, ["{}"] = false,
        ["99999999999999999999"] = false, ["60000"] = true, ["9223372036854775807"] = true } do
        local h = H.new("", { maker("a", "t", ',"ttl":' .. ttl) })
        call(h, "a")
        local t = entries(h:client())[1]
        assert.equal(runs, lib.ln_timer_running(t.expiry), ttl)
        local week = ffi.new "struct ln_timer"
        lib.ln_timer_init(week)
        lib.ln_timer_start(h.host.loop, week, 7 * 86400 * 1000, nil)
        assert.is_true(t.expiry.due <= week.due, ttl)
        lib.ln_timer_stop(week)
      end
    end)

    it("when there are 1,024: of those that are over the first, else the first", function()
      local h = H.new("", { maker "a" })
      for _ = 1, 1024 do call(h, "a") end
      local all = entries(h:client())
      assert.equal(1024, #all)
      all[500].over, all[700].over = true, true
      call(h, "a")
      call(h, "a")
      local ids = " " .. shown_ids(h:client()) .. " "
      assert.equal(1024, #entries(h:client()))
      for _, id in ipairs { "t500", "t700" } do assert.is_nil(ids:find(" " .. id .. " ", 1, true), id) end
      for _, id in ipairs { "t1", "t499", "t501", "t1024", "t1025", "t1026" } do assert.is_truthy(ids:find(" " .. id .. " ", 1, true), id) end
      call(h, "a")
      assert.is_nil((" " .. shown_ids(h:client()) .. " "):find(" t1 ", 1, true))
      assert.equal("a t1", owner(h, "t1"), "but still have their way")
    end)

    it("with their session, and not with a server that is no longer declared", function()
      local h = H.new("", { maker("a", "t"), maker("b", "t") })
      local one, two = h:join(), h:join()
      call(h, "a", one)
      call(h, "b", two)
      h:part(one)
      assert.equal("b:t", shown_ids(two))
      h:reload("", { maker("a", "t") })
      h:run()
      assert.equal("b:t", shown_ids(two))
      assert.equal("b", ffi.string(entries(two)[1].server.conf.name))
    end)
  end)

  describe("at a server with a session for each request", function()
    local function server(more)
      local s = maker("a", nil, nil, "session = 'request'")
      for method, fn in pairs(more or {}) do s.on[method] = fn end
      return s
    end

    -- The entry's own session with the server is asked.
    local function ask(h, t, method)
      H.with_msg(H.request(method, ('{"taskId":"%s"}'):format(H.bytes(t.shown))), function(m)
        H.driver.pl_call_in(h.rig, h:client(), t.link, m)
      end)
      h:run()
    end

    it("keep theirs until the result is fetched or they are called off, whatever it is", function()
      for method, ends in pairs { ["tasks/get"] = false, ["tasks/result"] = true, ["tasks/cancel"] = true } do
        for _, reply in ipairs { '"result":{"taskId":"t1","status":"working"}', '"error":{"code":1,"message":"no"}' } do
          local h = H.new("", { server { [method] = function() return reply end } })
          call(h, "a")
          local t = entries(h:client())[1]
          local channel = h.by_name.a.channel
          assert.is_nil(h.gone[channel])
          ask(h, t, method)
          local over = ends and (reply:find '"result":' or method == "tasks/result") and true or nil
          assert.equal(over, h.gone[channel], method .. " " .. reply)
          assert.equal(over and "" or "t1", shown_ids(h:client()))
        end
      end
    end)

    it("keep theirs until their time is over", function()
      local s = server()
      s.on["tools/call"] = function() return '"result":{"task":{"taskId":"t","ttl":15}}' end
      local h = H.new("", { s })
      call(h, "a")
      local channel = h.by_name.a.channel
      assert.is_nil(h.gone[channel])
      h:wait(function() return h.gone[channel] end)
      assert.equal("", shown_ids(h:client()))
    end)

    it("keep none where the server made no task of it", function()
      local s = server()
      s.on["tools/call"] = function() return '"result":{}' end
      local h = H.new("", { s })
      call(h, "a")
      assert.is_true(h.gone[h.by_name.a.channel])
    end)

    it("take theirs with them when they are forgotten for want of room", function()
      local h = H.new("", { server(), maker "b" })
      call(h, "a")
      local channel = h.by_name.a.channel
      for _ = 1, 1024 do call(h, "b") end
      assert.is_true(h.gone[channel])
      h = H.new("", { server(), maker "b" })
      for _ = 1, 1023 do call(h, "b") end
      entries(h:client())[1].over = true
      call(h, "a")
      call(h, "a")
      assert.equal("a:t1 a:t2", shown_ids(h:client()):match "a:.*$")
      assert.is_nil(h.gone[h.by_name.a.channel])
    end)

    it("go with theirs", function()
      local h = H.new("", { server() })
      call(h, "a")
      h:hang_up "a"
      assert.equal("", shown_ids(h:client()))
    end)

    it("are 64 of a client at most, of which one that is over makes room", function()
      local h = H.new("", { server(), { "b", options = "session = 'request'" } })
      for i = 1, 64 do
        assert.is_true(lib.ln_task_make_room(h:client(), h:server "a"), i)
        call(h, "a")
      end
      assert.is_false(lib.ln_task_make_room(h:client(), h:server "a"))
      assert.is_true(lib.ln_task_make_room(h:join(), h:server "a"), "which is another client's")
      assert.is_true(lib.ln_task_make_room(h:client(), h:server "b"))
      local t = entries(h:client())[10]
      t.over = true
      local channel = tonumber(H.driver.pl_channel(t.link))
      assert.is_true(lib.ln_task_make_room(h:client(), h:server "a"))
      h:run()
      assert.is_true(h.gone[channel])
      assert.equal(63, #entries(h:client()))
    end)
  end)

  describe("that nobody waits for", function()
    local function abandoned(server, reply, params)
      local h = H.new("", { server })
      server.on = { ["tools/call"] = function() return false end }
      local a = call(h, "a", nil, params)
      H.driver.pl_cancel(a)
      h:run()
      local held = h.held[1]
      if reply then h:answer(held, reply) end
      return h
    end

    it("are called off once their id is known, by their own id", function()
      local h = abandoned({ "a" }, '"result":{"task":{"taskId":"\\u0074\\""}}')
      assert.equal(0, h:count("a", "notifications/cancelled"))
      assert.equal('{"taskId":"\\u0074\\""}', h:last("a", "tasks/cancel").params)
      assert.equal("", shown_ids(h:client()))
    end)

    it("are nothing where the server made none, or failed", function()
      for _, reply in ipairs { '"result":{}', '"error":{"code":1,"message":"no"}', '"result":{"task":{}}' } do
        local h = abandoned({ "a" }, reply)
        assert.equal(0, h:count("a", "tasks/cancel"), reply)
      end
    end)

    it("are cancelled as ever where the server makes no tasks, or none was asked for", function()
      for _, capabilities in ipairs { '{"tools":{}}', '{"tools":{},"tasks":{}}', '{"tools":{},"tasks":{"requests":true}}' } do
        assert.equal(1, abandoned({ "a", capabilities = capabilities }):count("a", "notifications/cancelled"), capabilities)
      end
      assert.equal(1, abandoned({ "a" }, nil, '{"name":"x"}'):count("a", "notifications/cancelled"))
    end)
  end)
end)
