-- src/proxy/route/from_client.c: what becomes of each message of a client, by its row in mcp/method.h.
local H = require "spec.unit.proxy.host"
local lib = H.lib

local capabilities = '{"tools":{},"resources":{"subscribe":true},"prompts":{},"logging":{},"completions":{},'
  .. '"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}'
local asked_for = { "tools/call", "resources/read", "prompts/get", "completion/complete", "logging/setLevel",
  "resources/subscribe", "resources/unsubscribe", "tasks/get", "tasks/result", "tasks/cancel", "x/y", "roots/list" }

-- A server that says of each answer whose it is.
local function server(name, caps)
  local on = {}
  for _, method in ipairs(asked_for) do on[method] = function() return ('"result":{"at":"%s"}'):format(name) end end
  return { name, capabilities = caps or capabilities, tools = '{"name":"t"}', resources = ('{"uri":"%s:r","name":"r"}'):format(name),
    prompts = '{"name":"p"}', on = on }
end

local init = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}'
local function notification(method, params) return ('{"jsonrpc":"2.0","method":"%s","params":%s}'):format(method, params or "{}") end
local function cancelled(id) return notification("notifications/cancelled", ('{"requestId":%s}'):format(id)) end
local function result(id, value) return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, value or "{}") end
local function err(id, code, text) return ('{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"%s"}}'):format(id, code, text) end
local function held() return false end

describe("a client's message", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  -- What servers were asked and told since the last time, each as "SERVER METHOD PARAMS".
  local function asked(h)
    local out = {}
    for i, r in ipairs(h.asked) do out[i] = ("%s %s %s"):format(r.server, r.method or "-", r.params or "") end
    h.asked = {}
    return out
  end

  -- An open host whose lists are known already.
  local function open(servers, rules)
    local h = H.new(rules or "", servers)
    for kind in pairs(H.kinds) do h:page(kind) end
    h:heard()
    h.asked = {}
    return h
  end

  -- Each row: a method, params and what becomes of it with one server: what that is asked, and the answer; then params
  -- and the same with two. %s: the params.
  local unknown = "Method not found: "
  local rows = {
    { "ping", "{}", "", '{}', "{}", "", "{}" },
    { "tools/list", "{}", "", '{"tools":[{"name":"t"}]}', "{}", "", '{"tools":[{"name":"a_t"},{"name":"b_t"}]}' },
    { "resources/list", "{}", "", '{"resources":[{"uri":"a:r","name":"r"}]}', "{}", "",
      '{"resources":[{"uri":"a:r","name":"r"},{"uri":"b:r","name":"r"}]}' },
    { "resources/templates/list", "{}", "", '{"resourceTemplates":[]}', "{}", "", '{"resourceTemplates":[]}' },
    { "prompts/list", "{}", "", '{"prompts":[{"name":"p"}]}', "{}", "", '{"prompts":[{"name":"a_p"},{"name":"b_p"}]}' },
    { "tools/call", '{"name":"t"}', "a tools/call %s", '{"at":"a"}', '{"name":"b_t"}', 'b tools/call {"name":"t"}', '{"at":"b"}' },
    { "resources/read", '{"uri":"a:r"}', "a resources/read %s", '{"at":"a"}', '{"uri":"b:r"}', "b resources/read %s", '{"at":"b"}' },
    { "prompts/get", '{"name":"p"}', "a prompts/get %s", '{"at":"a"}', '{"name":"b_p"}', 'b prompts/get {"name":"p"}', '{"at":"b"}' },
    { "completion/complete", '{"ref":{"type":"ref/prompt","name":"p"}}', "a completion/complete %s", '{"at":"a"}',
      '{"ref":{"type":"ref/prompt","name":"b_p"}}', 'b completion/complete {"ref":{"type":"ref/prompt","name":"p"}}', '{"at":"b"}' },
    { "resources/subscribe", '{"uri":"a:r"}', "a resources/subscribe %s", '{"at":"a"}', '{"uri":"b:r"}', "b resources/subscribe %s", '{"at":"b"}' },
    { "resources/unsubscribe", '{"uri":"a:r"}', "a resources/unsubscribe %s", '{"at":"a"}', '{"uri":"b:r"}', "b resources/unsubscribe %s", '{"at":"b"}' },
    { "logging/setLevel", '{"level":"info"}', "a logging/setLevel %s", '{"at":"a"}', '{"level":"info"}',
      "b logging/setLevel %s; a logging/setLevel %s", '{"at":"b"}' },
    { "tasks/get", '{"taskId":"T"}', "a tasks/get %s", '{"at":"a"}', '{"taskId":"T"}', "", "-32602 Unknown task" },
    { "tasks/result", '{"taskId":"T"}', "a tasks/result %s", '{"at":"a"}', '{"taskId":"T"}', "", "-32602 Unknown task" },
    { "tasks/cancel", '{"taskId":"T"}', "a tasks/cancel %s", '{"at":"a"}', '{"taskId":"T"}', "", "-32602 Unknown task" },
    { "tasks/list", "{}", "a tasks/list %s", "{}", "{}", "a tasks/list %s; b tasks/list %s", '{"tasks":[]}' },
    { "initialize", init, "", "-32600 The session is initialized already", init, "", "-32600 The session is initialized already" },
    { "x/y", '{"n":1.0}', "a x/y %s", '{"at":"a"}', "{}", "", "-32601 " .. unknown .. "x/y" },
    { "roots/list", "{}", "a roots/list %s", '{"at":"a"}', "{}", "", "-32601 " .. unknown .. "roots/list" }, -- a server's
    { "Tools/Call", "{}", "", '-32600 method \\"Tools/Call\\" differs from \\"tools/call\\" only by case', "{}", "",
      '-32600 method \\"Tools/Call\\" differs from \\"tools/call\\" only by case' },
    { "notifications/cancelled", "{}", "", "-32601 A notification has no id", "{}", "", "-32601 A notification has no id" },
  }
  local function expect(h, method, params, to, answer)
    local told = h:hear(H.request(method, params, 7))
    local code, text = answer:match "^(%-%d+) (.*)$"
    assert.same({ code and err(7, tonumber(code), text) or result(7, answer) }, told)
    local want = {}
    for one in to:gmatch "[^;]+" do want[#want + 1] = one:match "^%s*(.*)$":gsub("%%s", function() return params end) end
    local got = asked(h)
    table.sort(want)
    table.sort(got)
    assert.same(want, got)
  end
  for _, row in ipairs(rows) do
    it(row[1] .. " as a request", function()
      expect(open { server "a" }, row[1], row[2], row[3], row[4])
      expect(open { server "a", server "b" }, row[1], row[5], row[6], row[7])
    end)
  end

  -- What servers are told of a notification: with one server, with two.
  local notes = {
    { "notifications/roots/list_changed", { "a" }, { "a", "b" } },
    { "notifications/x", { "a" }, {} },
    { "x/y", { "a" }, {} },
    { "notifications/tasks/status", { "a" }, {} }, -- of no task that is known
    { "notifications/progress", {}, {} }, -- of no request
    { "notifications/cancelled", {}, {} },
    { "notifications/initialized", {}, {} }, -- again
    { "tools/call", {}, {} }, -- a lax server might carry it out
    { "Notifications/Cancelled", {}, {} },
  }
  for _, note in ipairs(notes) do
    it(note[1] .. " as a notification", function()
      for n, servers in ipairs { { server "a" }, { server "a", server "b" } } do
        local h, want = open(servers), {}
        assert.same({}, (h:hear(notification(note[1], '{"name":"t","requestId":5}'))))
        for i, name in ipairs(note[n + 1]) do want[i] = name .. " " .. note[1] .. ' {"name":"t","requestId":5}' end
        local got = asked(h)
        table.sort(got)
        assert.same(want, got)
      end
    end)
  end

  it("of each method that clients have is one of these", function()
    local known = {}
    for _, list in ipairs { rows, notes } do
      for _, row in ipairs(list) do known[row[1]] = true end
    end
    local file = assert(io.open((os.getenv "LUNETTE_ROOT" or ".") .. "/src/mcp/method.h"))
    local n = 0
    for method, from in file:read "*a":gmatch 'X%("([^"]+)", ([%u_ |]+)' do
      if from:find "LN_FROM_CLIENT" then
        n = n + 1
        assert.is_true(known[method], method)
      end
    end
    file:close()
    assert.is_true(n > 20)
  end)

  it("about what no server has is no method with two", function()
    local h = open { server("a", '{"tools":{}}'), server("b", '{"tools":{}}') }
    expect(h, "logging/setLevel", '{"level":"info"}', "", "-32601 " .. unknown .. "logging/setLevel")
    expect(h, "completion/complete", '{"ref":{"type":"ref/prompt","name":"a_p"}}', "", "-32601 " .. unknown .. "completion/complete")
  end)

  describe("before initialize", function()
    for method, answer in pairs { ["tools/list"] = err(7, -32600, "Not initialized: send initialize first"), ping = result(7),
      ["x/y"] = err(7, -32601, "Method not found: x/y"), ["logging/setLevel"] = err(7, -32600, "Not initialized: send initialize first") } do
      it(method, function()
        local h = H.new("", { server "a" })
        assert.same({ answer }, (h:hear(H.request(method, '{"level":"info"}', 7), h:connect())))
        assert.same({}, asked(h))
      end)
    end

    it("notifications are nothing", function()
      local h = H.new("", { server "a" })
      local s = h:connect()
      h:hear(notification "notifications/initialized", s)
      h:hear(notification "notifications/x", s)
      assert.equal(lib.LN_SESSION_NEW, tonumber(s.state))
      assert.same({}, asked(h))
    end)
  end)

  describe("initialize", function()
    it("goes to servers as it is, once, and initialized after it", function()
      local a = server "a"
      a.on.initialize = held
      local h = H.new("", { a })
      local s = h:connect()
      assert.same({}, (h:hear(H.request("initialize", init, '"i"'), s)))
      assert.same({ err(2, -32600, "The session is initialized already") }, (h:hear(H.request("initialize", init, 2), s)), "under way")
      assert.same({}, (h:hear(cancelled '"i"', s)), "can't be called off")
      h:answer(h.held[1], '"result":{"protocolVersion":"2025-11-25","capabilities":{"x":{}},"serverInfo":{"name":"a"}}')
      assert.same({ result('"i"', '{"protocolVersion":"2025-11-25","capabilities":{"x":{}},"serverInfo":{"name":"a"}}') }, h:heard(s))
      h:hear(notification "notifications/initialized", s)
      h:hear(notification "notifications/initialized", s)
      assert.same({ "a initialize " .. init, "a notifications/initialized {}" }, asked(h))
      assert.equal(lib.LN_SESSION_OPEN, tonumber(s.state))
    end)

    it("may come again after one that failed", function()
      local h = H.new("", { server "a" })
      local s = h:connect()
      assert.same({ err(1, -32602, "initialize needs params.protocolVersion") }, (h:hear(H.request("initialize", "{}", 1), s)))
      assert.equal(lib.LN_SESSION_NEW, tonumber(s.state))
      h:hear(H.request("initialize", init, 2), s)
      assert.equal(lib.LN_SESSION_INITIALIZED, tonumber(s.state))
    end)

    it("may come again after one that a handler refused", function()
      local h = H.new([[local n = 0
        lunette.on("initialize", function(request, next)
          n = n + 1
          local reply = next(request)
          if n == 1 then error { code = -32000, message = "not yet" } end
          return reply
        end)]], { server "a" })
      local s = h:connect()
      assert.is_truthy(h:hear(H.request("initialize", init, 1), s)[1]:find('"error"', 1, true))
      assert.equal(lib.LN_SESSION_NEW, tonumber(s.state))
      assert.is_truthy(h:hear(H.request("initialize", init, 2), s)[1]:find('"result"', 1, true))
    end)
  end)

  describe("with an id", function()
    local function holding()
      local a = server "a"
      a.on["tools/call"] = held
      return open { a }
    end
    local function call(id) return H.request("tools/call", '{"name":"t"}', id) end

    it("that is another's under way is dropped", function()
      local h = holding()
      h:hear(call(1))
      assert.same({ "given up" }, (h:hear(call(1))))
      assert.same({ "given up" }, (h:hear(H.request("ping", "{}", 1))))
      h:hear(call '"1"')
      assert.equal(2, #h.held, "another id")
      h:answer(h.held[1], '"result":{"n":1}')
      assert.same({ result(1, '{"n":1}') }, h:heard())
      h:hear(call(1))
      assert.equal(3, #h.held, "which may be used again")
    end)

    it("is known to its own client alone", function()
      local h = holding()
      local one, two = h:join(), h:join()
      h:hear(call(1), one)
      h:hear(call(1), two)
      assert.equal(2, #h.held)
      assert.same({ "given up" }, (h:hear(cancelled(1), two)))
      h:answer(h.held[1], '"result":{}')
      assert.same({ result(1) }, h:heard(one))
    end)

    it("that is called off is called off at the server, under its id there, and gets no answer", function()
      local h = holding()
      h:hear(call '"x"')
      asked(h)
      assert.same({ "given up" }, (h:hear(notification("notifications/cancelled", '{"requestId":"x","reason":"r"}'))))
      assert.same({ ('a notifications/cancelled {"requestId":%s,"reason":"r"}'):format(h.held[1].id) }, asked(h))
      h:answer(h.held[1], '"result":{}')
      h:hear(cancelled '"x"')
      h:hear(cancelled '"y"')
      h:hear(notification "notifications/cancelled")
      assert.same({}, h:heard())
      assert.same({}, asked(h))
    end)

    it("is refused when too many are under way", function()
      local a = server "a"
      a.on["tools/call"] = held
      local h = open({ a }, "lunette.configure { max_in_flight = 2 }")
      h:hear(call(1))
      h:hear(call(2))
      assert.same({ err(3, -32603, "Too many requests at once") }, (h:hear(call(3))))
      h:answer(h.held[1], '"result":{}')
      h:heard()
      assert.same({ result(4) }, (h:hear(H.request("ping", "{}", 4))))
    end)
  end)

  it("with progress of a server's request goes to that server, with its own token", function()
    local h = open { server "a" }
    local one, two = h:join '{"sampling":{}}', h:join '{"sampling":{}}'
    h:call("a", "ping", "{}", one)
    h:heard(one)
    h:say("a", H.request("sampling/createMessage", '{"_meta":{"progressToken":"mine"}}', '"s"'), h:channel("a", one))
    h:run()
    local id = h:heard(one)[1]:match '"id":(%d+)'
    asked(h)
    local function progress(token) return notification("notifications/progress", ('{"progressToken":%s,"progress":1}'):format(token)) end
    h:hear(progress(id), two)
    h:hear(progress '"mine"', one)
    h:hear(progress(0), one)
    h:hear(progress(id + 1), one)
    assert.same({}, asked(h))
    h:hear(progress(id), one)
    assert.same({ 'a notifications/progress {"progressToken":"mine","progress":1}' }, asked(h))
    h:hear(result(id), two)
    assert.same({}, asked(h), "nor is another's answer one")
    h:hear(result(id), one)
    assert.equal('{"jsonrpc":"2.0","id":"s","result":{}}', h.asked[1].text)
    h.asked = {}
    h:hear(progress(id), one)
    assert.same({}, asked(h), "it has been answered")
  end)

  it("that sets a level goes to the servers that log, and an error restores the level", function()
    local b = server "b"
    local answer = '"result":{}'
    b.on["logging/setLevel"] = function() return answer end
    local h = open { server("a", '{"tools":{}}'), b }
    h:call("a", "ping")
    h:call("b", "ping")
    h.asked = {}
    local s = h:client()
    expect(h, "logging/setLevel", '{"level":"error"}', "b logging/setLevel %s", "{}")
    assert.equal(4, tonumber(s.peer.level))
    answer = '"error":{"code":-32000,"message":"no"}'
    assert.same({ '{"jsonrpc":"2.0","id":8,"error":{"code":-32000,"message":"no"}}' }, (h:hear(H.request("logging/setLevel", '{"level":"debug"}', 8))))
    assert.equal(4, tonumber(s.peer.level))
    h.asked = {}
    expect(h, "logging/setLevel", '{"level":"loud"}', "", "-32602 Unknown log level")
    assert.same({ 0, 1 }, { tonumber(h.host.levels[0]), tonumber(h.host.levels[4]) })
  end)
end)
