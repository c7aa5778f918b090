-- When servers start and end: idle_timeout and start = "eager".
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local TOOLS = '[{"name":"work","inputSchema":{"type":"object"}}]'
local work = '{"name":"work"}'

local function server(kind)
  local up = upstream.new { name = "up", tools = TOOLS, resources = '[{"uri":"x://1","name":"1"}]',
    capabilities = '{"tools":{"listChanged":true},"resources":{"subscribe":true}}' }
  up:on("tools/call", function() return '{"content":[]}' end)
  if kind == "http" then up:http() end
  return up
end

local function ready(host) return http.request { port = host.port, path = "/readyz" } end
local function over(session) return session.gone or session.deleted or false end
local function sleeps(session) loop.wait(function() return over(session) end, "the end of an idle session") end
local function quiet(host)
  local log = host.process.err:all()
  assert.falsy(log:find(" error ", 1, true) or log:find(" warn ", 1, true), log)
end

for _, kind in ipairs { "stdio", "http" } do
  describe("idle_timeout of a server over " .. kind, function()
    after_each(lunette.finish)

    local function start(extra, policy)
      local up = server(kind)
      local host = lunette.http { policy = ("lunette.upstream('up', %s) %s"):format(up:lua(extra), policy or "") }
      return up, host
    end
    local function client(host)
      local c = host.client()
      c:initialize()
      return c
    end

    it("ends each client's session that had nothing to do, and the next call opens another", function()
      local up, host = start "idle_timeout = 0.3"
      local a, b = client(host), client(host)
      a:result("tools/list", "{}")
      a:result("tools/call", work)
      b:result("tools/call", work)
      local first, second = up:session(1), up:session(2)
      for _ = 1, 5 do
        loop.sleep(120)
        b:result("tools/call", work)
      end
      assert.same({ true, false }, { over(first), over(second) })
      local response = ready(host)
      assert.equal(200, response.status, response.body)
      assert.same({ "work" }, json.names(json.at(a:result("tools/list", "{}"), "tools")))
      assert.equal(2, #up.sessions, "lists come from what is known")
      a:result("tools/call", work)
      assert.equal(3, #up.sessions)
      sleeps(second)
      sleeps(up:session(3))
      assert.equal(200, ready(host).status)
      b:result("tools/call", work)
      assert.equal(4, #up.sessions)
      quiet(host)
    end)

    it("is not woken by who lists, however old the list is, nor by who comes", function()
      for _, session in ipairs { "client", "shared", "request" } do
        local up, host = start(("idle_timeout = 0.1, session = %q"):format(session), "lunette.configure { list_max_age = 0.05 }")
        local a = client(host)
        a:result("tools/list", "{}")
        sleeps(up:session(1))
        loop.sleep(100)
        a:result("tools/list", "{}")
        assert.equal(1, #up.sessions, session)
        if session ~= "shared" then
          client(host):result("tools/list", "{}")
          assert.equal(1, #up.sessions, session)
        end
        a:result("tools/call", work)
        assert.equal(2, #up.sessions, session)
        lunette.finish()
      end
    end)

    it("ends the session that all share", function()
      local up, host = start "idle_timeout = 0.2, session = 'shared'"
      local a, b = client(host), client(host)
      a:result("tools/call", work)
      sleeps(up:session(1))
      assert.equal(200, ready(host).status)
      local c = client(host)
      c:result("tools/list", "{}")
      b:result("tools/call", work)
      assert.equal(2, #up.sessions)
      sleeps(up:session(2))
      a:result("tools/call", work)
      assert.equal(3, #up.sessions)
      quiet(host)
    end)

    it("never ends one with a call under way, or that asks", function()
      local up, host = start "idle_timeout = 0.1"
      local a = host.client()
      a:initialize { capabilities = '{"elicitation":{}}' }
      local held
      up:on("tools/call", function(req) held = req end)
      local call = a:start("tools/call", work)
      loop.wait(function() return held end, "the call")
      loop.sleep(300)
      assert.is_false(over(up:session(1)))
      held:ask("elicitation/create", '{"message":"?","requestedSchema":{"type":"object","properties":{}}}', function() end)
      local asked = a:expect "elicitation/create"
      held:reply '{"content":[]}'
      call:wait()
      a:answer(asked, '{"action":"cancel"}')
      sleeps(up:session(1))
      quiet(host)
    end)

    it("never ends one that somebody listens to", function()
      for _, session in ipairs { "client", "shared" } do
        local up, host = start("idle_timeout = 0.1, session = '" .. session .. "'")
        local a = client(host)
        a:result("resources/subscribe", '{"uri":"x://1"}')
        loop.sleep(400)
        assert.is_false(over(up:session(1)), session)
        a:result("resources/unsubscribe", '{"uri":"x://1"}')
        sleeps(up:session(1))
        quiet(host)
        lunette.finish()
      end
    end)

    it("tells clients when the server that is started again lists other things", function()
      local up, host = start "idle_timeout = 0.2"
      local a = client(host)
      a:listen()
      a:result("tools/list", "{}")
      a:result("tools/call", work)
      sleeps(up:session(1))
      up:on("tools/list", function() return '{"tools":[{"name":"work","inputSchema":{"type":"object"}},{"name":"new","inputSchema":{"type":"object"}}]}' end)
      a:result("tools/call", work)
      a:expect "notifications/tools/list_changed"
      assert.same({ "work", "new" }, json.names(json.at(a:result("tools/list", "{}"), "tools")))
    end)

    it("can be had, and be left out, by a reload", function()
      local up = server(kind)
      local function policy(extra) return ("lunette.upstream('up', %s)"):format(up:lua(extra)) end
      local path = lunette.policy(policy())
      local host = lunette.http { targets = { path }, flags = { "--no-watch" } }
      local a = client(host)
      a:result("tools/call", work)
      lunette.policy(policy "idle_timeout = 0.2", path)
      host.process:kill "sighup"
      sleeps(up:session(1))
      a:result("tools/call", work)
      lunette.policy(policy(), path)
      host.process:kill "sighup"
      loop.sleep(500)
      assert.is_false(over(up:session(2)))
    end)
  end)
end

describe('start = "eager"', function()
  after_each(lunette.finish)

  local function start(up, extra)
    return lunette.http { policy = ("lunette.upstream('up', %s)"):format(up:lua(extra)) }
  end

  it("opens a shared server with Lunette", function()
    for _, kind in ipairs { "stdio", "http" } do
      local up = server(kind)
      local host = start(up, "start = 'eager', session = 'shared'")
      up:wait "notifications/initialized"
      assert.equal(200, ready(host).status)
      local a = host.client()
      a:initialize()
      a:result("tools/call", work)
      assert.equal(1, #up.sessions)
      lunette.finish()
    end
  end)

  it("starts a program ahead, which serves the first client under that client's name", function()
    local up = server "stdio"
    local host = start(up, "start = 'eager'")
    loop.wait(function() return #up.sessions == 1 end, "the program to be there")
    assert.equal(0, up:count(), "nothing is said to it")
    assert.equal(200, ready(host).status)
    local a, b = host.client(), host.client()
    a:initialize { info = '{"name":"first","version":"1"}' }
    assert.equal(1, #up.sessions)
    assert.equal("first", up:wait("initialize"):value("clientInfo", "name"))
    a:result("tools/call", work)
    b:initialize { info = '{"name":"second","version":"1"}' }
    b:result("tools/call", work)
    assert.equal(2, #up.sessions)
    assert.equal(1, up:session(1):count "tools/call")
    assert.equal(1, up:session(2):count "tools/call")
    quiet(host)
  end)

  it("starts nothing of the others", function()
    for _, extra in ipairs { "start = 'first'", "start = 'first', session = 'shared'" } do
      local up = server "stdio"
      start(up, extra)
      loop.sleep(150)
      assert.equal(0, #up.sessions, extra)
      lunette.finish()
    end
  end)

  it("says at once that a program can't be started", function()
    local host = lunette.http { policy = "lunette.upstream('up', { command = 'false', start = 'eager' })" }
    host.process:wait_stderr "error upstream up"
    assert.equal(503, ready(host).status)
  end)

  it("starts what a reload brings", function()
    local up = server "stdio"
    local path = lunette.policy ""
    local host = lunette.http { targets = { path }, flags = { "--no-watch" } }
    lunette.policy(("lunette.upstream('up', %s)"):format(up:lua "start = 'eager'"), path)
    host.process:kill "sighup"
    loop.wait(function() return #up.sessions == 1 end, "the program to be there")
    lunette.policy("", path)
    host.process:kill "sighup"
    sleeps(up:session(1))
  end)
end)
