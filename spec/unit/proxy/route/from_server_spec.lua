-- src/proxy/route/from_server.c: what becomes of each message of a server, by its row in mcp/method.h and by whose it is.
local H = require "spec.unit.proxy.host"
local lib = H.lib

local params = '{"level":"info","uri":"u:x","progressToken":"x","taskId":"T","elicitationId":"E"}'
local function notification(method, with) return ('{"jsonrpc":"2.0","method":"%s","params":%s}'):format(method, with or params) end
local function result(id, value) return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, value or "{}") end
local function err(id, code, text) return ('{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"%s"}}'):format(id, code, text) end
local function call(id, with) return H.request("tools/call", with or '{"name":"t"}', id) end
local shared = "session = 'shared'"
local function held() return false end

describe("a server's message", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  -- A host with one server whose calls are held, and two clients, of whom both know its tools.
  local able = '{"roots":{},"sampling":{},"elicitation":{}}'
  local function open(options, capabilities, rules)
    local h = H.new(rules or "", { { "a", options = options, tools = '{"name":"t"}', on = { ["tools/call"] = held } } })
    capabilities = capabilities or able
    local one, two = h:join(capabilities), h:join(capabilities)
    for _, s in ipairs { one, two } do
      h:page("tools", nil, s)
      h:heard(s)
    end
    h.asked = {}
    return h, one, two
  end

  -- The server says this, in the link of one; what it is told then.
  local function say(h, one, text)
    h.asked = {}
    h:say("a", text, h:channel("a", one))
    h:run()
    local told = {}
    for i, r in ipairs(h.asked) do told[i] = r.text end
    return told
  end

  -- Who the server can mean, in the columns' order: a link of one's own, one that is shared and that nobody has a call
  -- in, that one has, that both have.
  local function situations()
    local at = 0
    return function()
      at = at + 1
      if at > 4 then return nil end
      local h, one, two = open(at > 1 and shared or "")
      if at > 2 then h:hear(call(1), one) end
      if at > 3 then h:hear(call(1), two) end
      return at, h, one, two
    end
  end

  describe("that is a request", function()
    -- Whether the client is asked in each situation; what is answered by the proxy.
    local nobody = { -32601, "No client to ask: this connection is shared" }
    for _, method in ipairs { "roots/list", "sampling/createMessage", "elicitation/create", "tasks/list", "tasks/get", "tasks/result",
      "tasks/cancel", "x/y", "tools/call" } do
      it(method .. " is for the client that it must concern, under an id of its own", function()
        for at, h, one, two in situations() do
          local answer = say(h, one, H.request(method, params, '"s"'))
          if at == 1 or at == 3 then
            assert.same({ H.request(method, params, 1) }, h:heard(one))
            assert.same({}, answer)
            h:hear(result(1, '{"n":1.0}'), two)
            assert.equal(0, #h.asked, "another client answers")
            h:hear(result(1, method == "tasks/list" and '{"tasks":[]}' or '{"n":1.0}'), one)
            assert.equal(result('"s"', method == "tasks/list" and '{"tasks":[]}' or '{"n":1.0}'), h.asked[1].text)
            h:hear(result(1), one)
            assert.equal(1, #h.asked, "once")
          else
            assert.same({ err('"s"', unpack(nobody)) }, answer)
          end
          assert.same({}, h:heard(two))
        end
      end)
    end

    it("ping is answered", function()
      for _, h, one, two in situations() do
        assert.same({ result '"s"' }, say(h, one, H.request("ping", "{}", '"s"')))
        assert.same({ {}, {} }, { h:heard(one), h:heard(two) })
      end
    end)

    it("goes on the stream of the call that it belongs to, else on the general one", function()
      for _, related in ipairs { true, false } do
        local h, one = open()
        h:hear(call(1), one)
        local general = one.outbox.general
        if not related then
          h:answer(h.held[1], '"result":{}')
          h:heard(one)
        end
        lib.ln_outbox_set_general(one.outbox, nil)
        say(h, one, H.request("sampling/createMessage", "{}", '"s"'))
        local asked = { H.request("sampling/createMessage", "{}", 1) }
        assert.same(related and asked or {}, h:heard(one))
        lib.ln_outbox_set_general(one.outbox, general)
        h:run()
        assert.same(related and {} or asked, h:heard(one))
      end
    end)

    it("is refused for a client without the capability where a handler or another client had it offered", function()
      for method, lacking in pairs { ["roots/list"] = "roots", ["sampling/createMessage"] = "sampling", ["elicitation/create"] = "elicitation" } do
        local handled = ("lunette.on(%q, function(request, next) return next(request) end)"):format(method)
        -- Each row: the server's options, the rules, whether the client is asked all the same.
        for _, row in ipairs { { "", handled, false }, { shared, "", false }, { "", "", true } } do
          local h, one = open(row[1], "{}", row[2])
          h:hear(call(1), one)
          local answer = say(h, one, H.request(method, "{}", '"s"'))
          assert.same(row[3] and {} or { err('"s"', -32601, "The client has no " .. lacking) }, answer)
          assert.same(row[3] and { H.request(method, "{}", 1) } or {}, h:heard(one))
          local with, other = open(row[1], ('{"%s":{}}'):format(lacking), row[2])
          with:hear(call(1), other)
          assert.same({}, say(with, other, H.request(method, "{}", '"s"')))
          assert.same({ H.request(method, "{}", 1) }, with:heard(other))
        end
      end
    end)

    it("and is called off is called off at the client, under its id there, and gets no answer", function()
      for _, options in ipairs { "", shared } do
        local h, one = open(options)
        h:hear(call(1), one)
        say(h, one, H.request("roots/list", "{}", '"s"'))
        h:heard(one)
        assert.same({}, say(h, one, notification("notifications/cancelled", '{"requestId":"t"}')))
        assert.same({}, h:heard(one))
        assert.same({}, say(h, one, notification("notifications/cancelled", '{"requestId":"s","reason":"r"}')))
        assert.same({ notification("notifications/cancelled", '{"requestId":1,"reason":"r"}') }, h:heard(one))
        h:hear(result(1), one)
        assert.equal(0, #h.asked)
      end
    end)

    it("ends with an error when the client goes", function()
      local h, one = open(shared)
      h:hear(call(1), one)
      say(h, one, H.request("roots/list", "{}", '"s"'))
      h:part(one)
      local answers = 0
      for _, r in ipairs(h.asked) do
        if r.id == '"s"' then
          answers = answers + 1
          assert.is_truthy(r.text:find('"error"', 1, true), r.text)
        end
      end
      assert.equal(1, answers)
    end)
  end)

  -- Each row: a notification, and who is told in each situation (1: the client whose link or call it is, 2: both).
  local rows = {
    { "notifications/message", 1, 0, 1, 0 },
    { "notifications/x", 1, 0, 1, 0 },
    { "notifications/roots/list_changed", 1, 0, 1, 0 }, -- a client's
    { "notifications/tools/list_changed", 1, 2, 2, 2 },
    { "notifications/resources/list_changed", 1, 2, 2, 2 },
    { "notifications/prompts/list_changed", 1, 2, 2, 2 },
    { "notifications/resources/updated", 1, 0, 0, 0 }, -- shared: nobody has subscribed
    { "notifications/elicitation/complete", 1, 0, 0, 0 }, -- shared: nobody was asked
    { "notifications/tasks/status", 1, 0, 0, 0 }, -- shared: nobody's task
    { "notifications/progress", 0, 0, 0, 0 }, -- of no request
    { "notifications/cancelled", 0, 0, 0, 0 },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is for the clients that it concerns", function()
      for at, h, one, two in situations() do
        local n = row[at + 1]
        say(h, one, notification(row[1]))
        assert.same({ n > 0 and { notification(row[1]) } or {}, n > 1 and { notification(row[1]) } or {} }, { h:heard(one), h:heard(two) }, at)
      end
    end)
  end

  it("of each notification that servers have is one of these", function()
    local known, n = {}, 0
    for _, row in ipairs(rows) do known[row[1]] = true end
    local file = assert(io.open((os.getenv "LUNETTE_ROOT" or ".") .. "/src/mcp/method.h"))
    for method, from in file:read "*a":gmatch 'X%("(notifications/[^"]+)", ([%u_ |]+)' do
      if from:find "LN_FROM_SERVER" then
        n = n + 1
        assert.is_true(known[method], method)
      end
    end
    file:close()
    assert.is_true(n > 8)
  end)

  describe("about progress", function()
    local with_token = '{"name":"t","_meta":{"progressToken":"p"}}'
    local function progress(token, at) return notification("notifications/progress", ('{"progressToken":%s,"progress":%d}'):format(token, at or 1)) end
    local function token_of(request) return request.params:match '"progressToken":(%d+)' end

    it("goes to the client whose token it has, as that client wrote it", function()
      local h, one, two = open(shared)
      h:hear(call(1, with_token), one)
      h:hear(call(1, with_token:gsub('"p"', "7") .. ""), two)
      local first, second = token_of(h.held[1]), token_of(h.held[2])
      assert.are_not.equal(first, second)
      say(h, one, progress(second))
      assert.same({ {}, { progress(7) } }, { h:heard(one), h:heard(two) })
      say(h, one, progress(first))
      assert.same({ { progress '"p"' }, {} }, { h:heard(one), h:heard(two) })
    end)

    it("has no token of another's link", function()
      local h, one, two = open()
      h:hear(H.request("ping", "{}", 1), two)
      h:hear(call(1, with_token), two)
      local token = token_of(h.held[1])
      say(h, one, progress(token))
      assert.same({ {}, {} }, { h:heard(one), h:heard(two) })
      say(h, two, progress(token))
      assert.same({ {}, { progress '"p"' } }, { h:heard(one), h:heard(two) })
    end)

    it("is told as long as it increases and the call lasts, to who asked for it", function()
      local h, one = open()
      h:hear(call(1, with_token), one)
      h:hear(call(2), one)
      local token = token_of(h.held[1])
      say(h, one, progress(token, 2))
      say(h, one, progress(token, 2))
      say(h, one, progress('"p"', 3))
      say(h, one, progress(h.held[2].id, 3)) -- of a call without a token
      say(h, one, progress(token, 4))
      assert.same({ progress('"p"', 2), progress('"p"', 4) }, h:heard(one))
      h:answer(h.held[1], '"result":{}')
      h:heard(one)
      say(h, one, progress(token, 5))
      assert.same({}, h:heard(one))
    end)
  end)

  it("that is of the log goes to no client of a shared server that wants less", function()
    local h, one, two = open(shared)
    local function level(s, name) h:hear(H.request("logging/setLevel", ('{"level":"%s"}'):format(name), 9), s) end
    level(one, "error")
    level(two, "info")
    local function log(name) return notification("notifications/message", ('{"level":"%s"}'):format(name)) end
    local function told(name)
      say(h, one, log(name))
      return { #h:heard(one), #h:heard(two) }
    end
    assert.same({ 0, 0 }, told "debug")
    assert.same({ 0, 1 }, told "warning")
    assert.same({ 1, 1 }, told "alert")
    h:hear(call(1), one)
    assert.same({ 0, 0 }, told "warning", "it is one's now")
    assert.same({ 1, 0 }, told "error")
    h:answer(h.held[1], '"result":{}')
    h:heard(one)
    assert.same({ 1, 0 }, told "error", "nobody else has used the server")
  end)

  it("that a list has changed is told when the list has been fetched again", function()
    local h, one = open()
    h.by_name.a.on["tools/list"] = held
    assert.equal(1, #say(h, one, notification "notifications/tools/list_changed"))
    say(h, one, notification "notifications/tools/list_changed")
    assert.same({}, h:heard(one))
    h.by_name.a.on["tools/list"] = nil
    h:answer(h.held[1], '"result":{"tools":[{"name":"new"}]}')
    h:run()
    assert.equal(2, #h:heard(one), "once more for those that came meanwhile")
    assert.equal(1, h:count("a", "tools/list"))
  end)
end)
