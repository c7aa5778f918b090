-- What each mode of a server's sessions costs, counted at the server: processes, sessions, requests. Sessions are
-- opened when they are needed and once, end with their client, by DELETE where there is something to delete, and
-- not later than their time.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local fields = { tools = '[{"name":"work","inputSchema":{"type":"object"}}]', prompts = '[{"name":"p"}]',
  resources = '[{"uri":"x://1","name":"1"}]', templates = "[]" }
local work = '{"name":"work"}'

local function server(kind, name)
  local up = upstream.new { name = name, tools = fields.tools, prompts = fields.prompts, resources = fields.resources, templates = "[]" }
  up:on("tools/call", function(req)
    req.session.count_of_calls = (req.session.count_of_calls or 0) + 1
    req:reply(('{"content":[],"calls":%d}'):format(req.session.count_of_calls))
  end)
  up:on("resources/read", function() return '{"contents":[]}' end)
  up:on("prompts/get", function() return '{"messages":[]}' end)
  return kind == "http" and up:http() or up
end

local lists = { "tools/list", "resources/list", "resources/templates/list", "prompts/list" }
local uses = { { "tools/call", work }, { "resources/read", '{"uri":"x://1"}' }, { "prompts/get", '{"name":"p"}' } }

local function live(up)
  local n = 0
  for _, session in ipairs(up.sessions) do n = n + ((session.gone or session.deleted) and 0 or 1) end
  return n
end

local function counts(up)
  local c = { sessions = #up.sessions, initialize = up:count "initialize", lists = 0, uses = 0 }
  for _, method in ipairs(lists) do c.lists = c.lists + up:count(method) end
  for _, use in ipairs(uses) do c.uses = c.uses + up:count(use[1]) end
  return c
end

local function metric(host, name)
  local body = http.request { port = host.port, path = "/metrics" }.body
  return tonumber(body:match("\n" .. name .. " (%d+)"))
end

for _, kind in ipairs { "stdio", "http" } do
  describe("sessions with a server over " .. kind, function()
    local up, host
    after_each(lunette.finish)

    local function start(extra, policy)
      up = server(kind, "up")
      host = lunette.http { policy = ("up = lunette.upstream('up', %s)\n"):format(up:lua(extra)) .. (policy or "") }
    end

    local function client()
      local c = host.client()
      c:initialize()
      return c
    end

    -- Everything there is, twice.
    local function use_all(c)
      for _ = 1, 2 do
        for _, method in ipairs(lists) do c:result(method, "{}") end
        for _, use in ipairs(uses) do c:result(use[1], use[2]) end
      end
    end

    it("in mode client: one each, lists once for all who have used nothing and once in each that was used, a use costs one request", function()
      start()
      local clients = { client(), client(), client() }
      for _, c in ipairs(clients) do use_all(c) end
      assert.same({ sessions = 3, initialize = 3, lists = 3 * 4, uses = 18 }, counts(up))
      for i = 1, 3 do assert.equal(2, up.sessions[i].count_of_calls) end
      assert.equal(2, json.value(clients[1]:result("tools/call", work), "calls") - 1)
    end)

    it("in mode client: none for a client that uses nothing new", function()
      start()
      local first = client()
      for _, method in ipairs(lists) do first:result(method, "{}") end
      for _ = 1, 5 do
        local c = client()
        for _, method in ipairs(lists) do c:result(method, "{}") end
        c:result "ping"
        assert.equal(200, c:close())
      end
      assert.same({ sessions = 1, initialize = 1, lists = 4, uses = 0 }, counts(up))
    end)

    it("in mode shared: one for all, whatever they do", function()
      start "session = 'shared'"
      for _ = 1, 3 do
        local c = client()
        use_all(c)
        assert.equal(200, c:close())
      end
      assert.same({ sessions = 1, initialize = 1, lists = 4, uses = 18 }, counts(up))
      assert.equal(1, live(up))
    end)

    it("in mode request: a fresh one for every use, ended after it", function()
      start "session = 'request'"
      local one, two = client(), client()
      use_all(one)
      use_all(two)
      local c = counts(up)
      assert.same({ 4, 12 }, { c.lists, c.uses })
      for _, session in ipairs(up.sessions) do
        local n = 0
        for _, use in ipairs(uses) do n = n + session:count(use[1]) end
        assert.is_true(n <= 1)
        if n == 1 then loop.wait(function() return session.gone or session.deleted end, "its end") end
      end
      -- One more a client at most: the one that lists were asked of.
      assert.is_true(c.sessions <= 12 + 2, c.sessions .. " sessions")
    end)

    it("are opened once, however many need them at once", function()
      start(nil, "lunette.tools.hide 'nothing'")
      local c = client()
      c:result("tools/list", "{}")
      local late = client()
      local calls = {}
      for i = 1, 30 do calls[i] = late:start("tools/call", work) end
      for i = 1, 30 do calls[i]:wait() end
      assert.equal(2, #up.sessions)
      assert.equal(30, up.sessions[2].count_of_calls)
      -- And again when that one has died under them.
      if kind == "stdio" then
        up.sessions[2]:exit(0)
        host.process:wait_stderr "exited with status 0"
      else
        up:forget()
      end
      for i = 1, 30 do calls[i] = late:start("tools/call", work) end
      for i = 1, 30 do assert.truthy(json.at(calls[i]:wait(), "result"), calls[i].raw) end
      assert.equal(3, #up.sessions)
    end)

    it("in mode shared: are opened once for many clients at once", function()
      start "session = 'shared'"
      local held
      up:on("initialize", function(req) held = req end)
      local clients, hellos = {}, {}
      for i = 1, 10 do
        clients[i] = host.client()
        hellos[i] = clients[i]:start("initialize",
          '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
      end
      loop.wait(function() return held end, "initialize")
      held:reply '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}'
      for i = 1, 10 do assert.truthy(json.at(hellos[i]:wait(), "result")) end
      assert.equal(1, #up.sessions)
    end)

    it("end with their client, told so, and with no other's", function()
      start()
      local gone, stays = client(), client()
      gone:result("tools/call", work)
      stays:result("tools/call", work)
      assert.equal(200, gone:close())
      loop.wait(function() return live(up) == 1 end, "one to end")
      assert.truthy(up.sessions[1].gone or up.sessions[1].deleted)
      if kind == "http" then
        local deletes = 0
        for _, request in ipairs(up.requests) do
          if request.method == "DELETE" then
            deletes = deletes + 1
            assert.equal(up.sessions[1].id, request.headers["mcp-session-id"])
            assert.equal("2025-11-25", request.headers["mcp-protocol-version"])
          end
        end
        assert.equal(1, deletes)
      end
      stays:result("tools/call", work)
      assert.equal(2, up.sessions[2].count_of_calls)
    end)

    it("end when their client has been idle for its time, and not while it listens or waits", function()
      start(nil, "lunette.configure { session_timeout = 0.6 }")
      local idle, listens, waits = client(), client(), client()
      idle:result("tools/call", work)
      listens:listen()
      listens:result("tools/call", work)
      local held
      up:on("tools/call", function(req) held = req end)
      local call = waits:start("tools/call", work)
      loop.wait(function() return held end, "the call")
      loop.wait(function() return live(up) == 2 end, "the idle one to end", 10000)
      assert.equal(404, idle:post('{"jsonrpc":"2.0","id":1,"method":"ping"}').status)
      loop.sleep(1300)
      held:reply '{"content":[]}'
      call:wait()
      assert.equal(2, live(up))
      listens:result "ping"
    end)

    it("are never more than max_sessions, and room is made by who goes", function()
      start(nil, "lunette.configure { max_sessions = 3 }")
      local clients = { client(), client(), client() }
      for _, c in ipairs(clients) do c:result("tools/call", work) end
      local hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        .. '"clientInfo":{"name":"x","version":"1"}}}'
      for _ = 1, 5 do
        local refused = host.client():post(hello)
        assert.equal(503, refused.status)
        assert.truthy(refused.headers["retry-after"])
        assert.truthy(json.value(refused.body, "error", "message"):find("Too many sessions", 1, true))
      end
      assert.equal(503, http.request({ port = host.port, path = "/sse", headers = { "Accept: text/event-stream" } }).status)
      assert.equal(3, metric(host, "lunette_sessions"))
      assert.equal(3, live(up))
      assert.equal(200, clients[1]:close())
      client():result("tools/call", work)
      assert.equal(3, metric(host, "lunette_sessions"))
    end)

    it("are ended by upstream:clear(), all of them, and the next use opens one", function()
      start(nil, 'lunette.tools.add { name = "anew", inputSchema = { type = "object" }, handler = function() up:clear() return "ok" end }')
      local one, two = client(), client()
      for _, c in ipairs { one, two } do c:result("tools/call", work) end
      one:result("tools/call", '{"name":"anew"}')
      assert.equal(1, json.value(one:result("tools/call", work), "calls"))
      loop.wait(function() return up.sessions[1].gone or up.sessions[1].deleted end, "the old one's end")
      assert.truthy(json.at(two:result("tools/call", work), "calls"))
      -- It has used something, so its list is what its own session lists now.
      one:result("tools/list", "{}")
      one:result("tools/list", "{}")
      assert.equal(2, up:count "tools/list")
    end)

    it("hold what the server keeps for one client, and for no other", function()
      start()
      up:on("tools/call", function(req)
        req.session.kept = req:value("arguments", "keep") or req.session.kept
        req:reply(('{"content":[],"kept":%s}'):format(req.session.kept and json.quote(req.session.kept) or "null"))
      end)
      local one, two = client(), client()
      one:result("tools/call", '{"name":"work","arguments":{"keep":"one"}}')
      two:result("tools/call", '{"name":"work","arguments":{"keep":"two"}}')
      for _ = 1, 3 do
        assert.equal('"one"', json.at(one:result("tools/call", work), "kept"))
        assert.equal('"two"', json.at(two:result("tools/call", work), "kept"))
      end
      assert.equal("null", json.at(client():result("tools/call", work), "kept"))
    end)
  end)
end

describe("children", function()
  after_each(lunette.finish)

  it("are as many as clients use, and gone when those are", function()
    local up = server("stdio", "up")
    local host = lunette.http { policy = lunette.bare(up) }
    local base = #process.children(host.process.pid)
    local clients = {}
    for i = 1, 6 do
      clients[i] = host.client()
      clients[i]:initialize()
      clients[i]:result("tools/call", work)
    end
    assert.equal(base + 6, #process.children(host.process.pid))
    for i = 1, 6 do assert.equal(200, clients[i]:close()) end
    loop.wait(function()
      local children, zombies = process.children(host.process.pid)
      return #children == base and zombies == 0
    end, "the children to end")
    assert.equal(0, metric(host, "lunette_sessions"))
  end)
end)

describe("a server that comes back", function()
  after_each(lunette.finish)

  for _, kind in ipairs { "stdio", "http" } do
    it("75: what a server that was started again lists now is told, " .. kind, function()
      local options = { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
      local up = upstream.new(options)
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
      if kind == "http" then up:http() end
      local host = lunette.http { policy = lunette.bare(up) }
      local client, other = host.client(), host.client()
      for _, c in ipairs { client, other } do
        c:initialize()
        c:listen()
        c:result("tools/list", "{}")
        c:result("tools/call", '{"name":"work"}')
      end
      local function restart()
        if kind == "http" then return up:forget() end
        local session = up.sessions[#up.sessions - (options.again and 0 or 1)]
        session:exit(1)
        loop.wait(function() return session.gone end, "its end")
      end
      -- The same as before: nobody is told anything.
      restart()
      loop.wait(function() return json.at(client:request("tools/call", '{"name":"work"}'), "result") end, "it to be back")
      client:result("tools/list", "{}")
      assert.is_nil(client:maybe("notifications/tools/list_changed", 100))
      options.tools = '[{"name":"work","inputSchema":{"type":"object"}},{"name":"more","inputSchema":{"type":"object"}}]'
      options.again = true
      restart()
      loop.wait(function() return json.at(client:request("tools/call", '{"name":"work"}'), "result") end, "it to be back")
      client:expect "notifications/tools/list_changed"
      assert.same({ "work", "more" }, json.names(json.at(client:result("tools/list", "{}"), "tools")))
      client:result("tools/call", '{"name":"more"}')
    end)
  end

  it("75: of another version is listed anew, for who calls it and for all who come then", function()
    local options = { info = '{"name":"s","version":"1"}', tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
    local up = upstream.new(options):http()
    up:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = lunette.bare(up) }
    local function client()
      local c = host.client()
      c:initialize()
      c:listen()
      return c
    end
    local function names(c) return json.names(json.at(c:result("tools/list", "{}"), "tools")) end
    local first = client()
    assert.same({ "work" }, names(first))
    first:close()
    options.info, options.tools = '{"name":"s","version":"2"}', '[{"name":"labour","inputSchema":{"type":"object"}}]'
    local second = client()
    second:request("tools/call", '{"name":"labour"}')
    second:expect "notifications/tools/list_changed"
    assert.same({ "labour" }, names(second))
    local third = client()
    assert.same({ "labour" }, names(third))
    assert.equal(3, up:count "tools/list", "the second had used something: what it lists is its own")
    assert.same({ "labour" }, names(client()))
    assert.equal(3, up:count "tools/list")
  end)

  it("75: tells all who share it, in mode shared", function()
    local options = { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
    local up = upstream.new(options)
    up:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = ("lunette.upstream('up', %s)"):format(up:lua "session = 'shared'") }
    local clients = { host.client(), host.client() }
    for _, c in ipairs(clients) do
      c:initialize()
      c:listen()
      c:result("tools/list", "{}")
    end
    options.tools = "[]"
    up.sessions[1]:exit(1)
    host.process:wait_stderr "exited with status 1"
    clients[1]:request("tools/call", work)
    for _, c in ipairs(clients) do
      c:expect "notifications/tools/list_changed"
      assert.equal("[]", json.at(c:result("tools/list", "{}"), "tools"))
    end
  end)
end)

describe("a list that changes while clients share it", function()
  after_each(lunette.finish)

  local before, after = '[{"name":"work","inputSchema":{"type":"object"}}]', '[{"name":"labour","inputSchema":{"type":"object"}}]'

  local function start(kind, options, policy)
    local up = upstream.new(options)
    up:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = (policy or "") .. ("\nlunette.upstream('up', %s)"):format((kind == "http" and up:http() or up):lua()) }
    local function client(capabilities)
      local c = host.client()
      c:initialize { capabilities = capabilities }
      c:listen()
      return c
    end
    return up, client
  end

  local function names(c) return json.names(json.at(c:result("tools/list", "{}"), "tools")) end
  local changed = "notifications/tools/list_changed"

  it("over HTTP is news to clients that have no session of their own, and to those who come", function()
    local options = { tools = before }
    local up, client = start("http", options)
    local awake, asleep, other = client(), client(), client '{"roots":{}}'
    for _, c in ipairs { awake, asleep, other } do assert.same({ "work" }, names(c)) end
    awake:result("tools/call", work)
    other:result("tools/call", work)
    local late = client '{"roots":{}}'
    assert.same({ "work" }, names(late))
    assert.equal(2, up:count "tools/list")
    options.tools = after
    up.sessions[1]:notify(changed)
    for _, c in ipairs { awake, asleep, late } do
      c:expect(changed)
      assert.same({ "labour" }, names(c))
    end
    assert.same({ "labour" }, names(client()))
    -- Once for each of the two kinds of clients, and once in the session that heard of it.
    assert.equal(2 + 3, up:count "tools/list")
    assert.is_nil(other:maybe(changed, 50)) -- it listens by itself, and was told nothing
    assert.same({ "work" }, names(other))
  end)

  it("over HTTP for one session alone leaves the others what they had", function()
    local up, client = start("http", { tools = before })
    local mine
    up:on("tools/list", function(req) return ('{"tools":%s}'):format(req.session == mine and after or before) end)
    local awake, asleep = client(), client()
    for _, c in ipairs { awake, asleep } do assert.same({ "work" }, names(c)) end
    awake:result("tools/call", work)
    mine = up.sessions[1]
    mine:notify(changed)
    awake:expect(changed)
    assert.same({ "labour" }, names(awake))
    assert.same({ "work" }, names(asleep))
    assert.same({ "work" }, names(client()))
  end)

  it("in a child is nothing to the clients of other children", function()
    local options = { tools = before }
    local up, client = start("stdio", options)
    local awake, asleep = client(), client()
    for _, c in ipairs { awake, asleep } do assert.same({ "work" }, names(c)) end
    awake:result("tools/call", work)
    options.tools = after
    up.sessions[1]:notify(changed)
    awake:expect(changed)
    assert.same({ "labour" }, names(awake))
    assert.is_nil(asleep:maybe(changed, 50))
    assert.same({ "work" }, names(asleep))
    assert.same({ "work" }, names(client()))
  end)

  it("together with another list changes neither for others", function()
    local up, client = start("stdio", { resources = '[{"uri":"x://1","name":"1"}]', templates = "[]" })
    up:on("resources/read", function() return '{"contents":[]}' end)
    local awake, asleep = client(), client()
    local function seen(c)
      return json.at(c:result("resources/list", "{}"), "resources") .. json.at(c:result("resources/templates/list", "{}"), "resourceTemplates")
    end
    local was = seen(awake)
    assert.equal(was, seen(asleep))
    awake:result("resources/read", '{"uri":"x://1"}')
    up:on("resources/list", function() return '{"resources":[]}' end)
    up:on("resources/templates/list", function() return '{"resourceTemplates":[{"uriTemplate":"x://{n}","name":"n"}]}' end)
    up.sessions[1]:notify "notifications/resources/list_changed"
    awake:expect "notifications/resources/list_changed"
    assert.equal('[][{"uriTemplate":"x://{n}","name":"n"}]', seen(awake))
    assert.equal(was, seen(asleep))
  end)

  for what, options in pairs { ["does not announce changes"] = { capabilities = '{"tools":{}}' }, ["has no sessions"] = { session = false },
    ["has no stream to listen to"] = { no_get = true } } do
    it("over HTTP, of a server that " .. what .. ", is asked for anew when it is old", function()
      options.tools = before
      local up, client = start("http", options, "lunette.configure { list_max_age = 0.3 }")
      local first, second = client(), client()
      for _, c in ipairs { first, second } do assert.same({ "work" }, names(c)) end
      first:result("tools/call", work)
      options.tools = after
      assert.same({ "work" }, names(second))
      assert.equal(1, up:count "tools/list")
      loop.sleep(300)
      assert.same({ "labour" }, names(second))
      for _, c in ipairs { first, client() } do assert.same({ "labour" }, names(c)) end
      -- Whether it has changed or is told to each otherwise can't be known: who listed it first has used something.
      assert.equal(1 + 3, up:count "tools/list")
      -- What can't be had anew is as it was.
      up:on("tools/list", function(req) req:fail(-32603, "not now") end)
      loop.sleep(300)
      assert.same({ "labour" }, names(first))
      assert.equal(1 + 4, up:count "tools/list")
    end)

    it("over HTTP, of a server that " .. what .. ", is asked for once for all when it is old, by who listed it first", function()
      options.tools = before
      local up, client = start("http", options, "lunette.configure { list_max_age = 0.3 }")
      local first, second = client(), client()
      for _, c in ipairs { first, second } do assert.same({ "work" }, names(c)) end
      options.tools = after
      loop.sleep(300)
      for _, c in ipairs { second, first, client() } do assert.same({ "labour" }, names(c)) end
      assert.equal(2, up:count "tools/list")
      assert.equal(1, #up.sessions)
    end)
  end

  it("over HTTP is asked for once where a client hears what changes", function()
    local up, client = start("http", { tools = before }, "lunette.configure { list_max_age = 0 }")
    local c = client()
    assert.same({ "work" }, names(c))
    c:result("tools/call", work)
    for _ = 1, 3 do assert.same({ "work" }, names(c)) end
    assert.equal(1, up:count "tools/list")
  end)
end)
