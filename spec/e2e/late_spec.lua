-- Servers that are late: that answer initialize, or a list, after a while or never. Nobody hears "unknown" of what is
-- only late, and nobody waits for a server that is not meant.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local reload = require "spec.support.reload"
local restart = require "spec.support.restart"
local upstream = require "spec.support.upstream"

-- Clients hear quickly that a server is late, and could wait for it for longer than any test lasts.
local patient = "lunette.configure { start_timeout = 0.1, late_timeout = 3600 }\n"
-- Whoever waits for a list that isn't needed waits for longer than any test lasts.
local stubborn = "lunette.configure { start_timeout = 3600, late_timeout = 3600 }\n"

-- A server that says by whom it was called, with what; fields.holds: a method that it doesn't answer until it is let.
local function server(name, fields)
  fields = fields or {}
  fields.name = name
  fields.tools = fields.tools or '[{"name":"work","inputSchema":{"type":"object"}}]'
  fields.prompts = '[{"name":"p"}]'
  fields.resources = ('[{"uri":"%s:///1","name":"1"}]'):format(name)
  fields.templates = ('[{"uriTemplate":"%s:///t/{x}","name":"t"}]'):format(name)
  local up = upstream.new(fields)
  for _, method in ipairs { "tools/call", "prompts/get", "resources/read", "resources/subscribe", "completion/complete" } do
    up:on(method, function(req) req:reply(('{"content":[],"contents":[],"messages":[],"completion":{"values":[]},"by":%q}'):format(name)) end)
  end
  up.held = {}
  if fields.holds then up:on(fields.holds, function(req) up.held[#up.held + 1] = req end) end
  -- Answers what was held, as it would have been answered, and holds nothing more.
  function up:let()
    local held = self.held
    self.handlers[fields.holds], self.held = nil, {}
    for _, req in ipairs(held) do
      if fields.holds == "initialize" then
        req:reply(('{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{"subscribe":true},'
          .. '"completions":{},"logging":{}},"serverInfo":{"name":%q,"version":"1"}}'):format(name))
      else
        local member = fields.holds:match "^(%w+)/list$" or "resourceTemplates"
        req:reply(('{%q:%s}'):format(member, fields[member] or fields.templates))
      end
    end
  end
  return up
end

local function by(raw) return json.value(raw, "result", "by") or raw end

local function call(client, name) return client:start("tools/call", ('{"name":%q}'):format(name)) end

-- Nothing has been answered that came before this.
local function still_waits(client, ...)
  client:request("ping", "{}")
  for _, waiting in ipairs { ... } do assert.is_nil(waiting.raw, waiting.raw) end
end

describe("a server that is late,", function()
  after_each(lunette.finish)

  local function behind(policy, ...)
    local client = lunette.stdio { policy = policy .. lunette.bare(...) }
    client:initialize()
    return client
  end

  -- What can be asked for of server "slow", by whatever names it.
  local requests = {
    { "tools/call", '{"name":"slow_work"}' },
    { "prompts/get", '{"name":"slow_p"}' },
    { "resources/read", '{"uri":"slow:///1"}' },
    { "resources/read", '{"uri":"slow:///t/5"}' },
    { "resources/subscribe", '{"uri":"slow:///1"}' },
    { "completion/complete", '{"ref":{"type":"ref/prompt","name":"slow_p"},"argument":{"name":"x","value":""}}' },
    { "completion/complete", '{"ref":{"type":"ref/resource","uri":"slow:///t/{x}"},"argument":{"name":"x","value":""}}' },
  }

  for _, holds in ipairs { "initialize", "tools/list", "prompts/list", "resources/list", "resources/templates/list" } do
    it("with " .. holds .. ", gets what is meant for it once it is there", function()
      local ready, slow = server "ready", server("slow", { holds = holds })
      local client = behind(patient, ready, slow)
      local calls = {}
      for i, request in ipairs(requests) do calls[i] = client:start(request[1], request[2]) end
      loop.wait(function() return #slow.held > 0 end, holds)
      still_waits(client)
      slow:let()
      for i, waiting in ipairs(calls) do assert.equal("slow", by(waiting:wait()), requests[i][1]) end
    end)

    it("with " .. holds .. ", keeps nobody from the first call of another", function()
      local ready, slow = server "ready", server("slow", { holds = holds })
      local client = behind(holds == "initialize" and patient or stubborn, slow, ready)
      assert.equal("ready", by(call(client, "ready_work"):wait()))
      assert.equal("ready", by(client:start("prompts/get", '{"name":"ready_p"}'):wait()))
      local unknown = client:failure("tools/call", '{"name":"ready_nothing"}')
      assert.same({ -32602, "Unknown tool: ready_nothing" }, { unknown.code, unknown.message })
      assert.equal(-32602, client:failure("tools/call", '{"name":"nobody_s"}').code)
    end)
  end

  for _, way in ipairs { { "client", "stdio" }, { "shared", "stdio" }, { "request", "stdio" }, { "client", "http" }, { "shared", "http" } } do
    it(("gets its calls in mode %s over %s"):format(unpack(way)), function()
      local ready, slow = server "ready", server("slow", { holds = "initialize" })
      if way[2] == "http" then slow:http() end
      local client = lunette.stdio { policy = ("%slunette.upstream('ready', %s)\nlunette.upstream('slow', %s)"):format(patient,
        ready:lua(), slow:lua(("session = %q"):format(way[1]))) }
      client:initialize()
      local waiting, unknown = call(client, "slow_work"), call(client, "slow_none")
      assert.equal("ready", by(call(client, "ready_work"):wait()))
      still_waits(client, waiting, unknown)
      slow:let()
      assert.equal("slow", by(waiting:wait()))
      assert.equal("Unknown tool: slow_none", json.value(unknown:wait(), "error", "message"))
    end)
  end

  it("is waited for when it is the only one", function()
    for _, rule in ipairs { "", "lunette.tools.hide 'x'", "lunette.tools.rename { work = 'job' }", "lunette.tools.filter(function() return true end)" } do
      local slow = server("slow", { holds = "initialize" })
      local client = lunette.stdio { policy = patient .. lunette.bare(slow) .. "\n" .. rule }
      client:initialize()
      local waiting, list = call(client, rule:find "rename" and "job" or "work"), client:start("tools/list", "{}")
      still_waits(client, waiting, list)
      slow:let()
      assert.equal("slow", by(waiting:wait()))
      assert.equal(1, #json.names(json.at(list:wait(), "result", "tools")))
      client:close()
    end
  end)

  it("in one client's session alone, is late for nobody else", function()
    local ready, slow = server "ready", server "slow"
    slow:on("tools/list", function(req)
      if req.session.number == 1 then slow.held[1] = req else req:reply(('{"tools":%s}'):format(slow.options.tools)) end
    end)
    local host = lunette.http { policy = patient .. lunette.bare(ready, slow) }
    local stuck, other, third = host.client(), host.client(), host.client()
    stuck:initialize()
    local waiting = call(stuck, "slow_work")
    loop.wait(function() return slow.held[1] end, "tools/list")
    other:initialize()
    assert.equal("slow", by(call(other, "slow_work"):wait()))
    third:initialize()
    assert.same({ "ready_work", "slow_work" }, json.names(json.at(third:result("tools/list", "{}"), "tools")))
    slow.held[1]:reply(('{"tools":%s}'):format(slow.options.tools))
    assert.equal("slow", by(waiting:wait()))
  end)

  it("is told apart from what is unknown when there is no room to start it", function()
    local ready, slow = server("ready"):http(), server "slow"
    local host = lunette.http { policy = ("%slunette.upstream('ready', %s)\nlunette.upstream('slow', %s)"):format(patient,
      ready:lua(), slow:lua "max_children = 1, lists = 'own'") }
    local first, second = host.client(), host.client()
    first:initialize()
    assert.equal("slow", by(call(first, "slow_work"):wait()))
    second:initialize()
    local err = second:failure("tools/call", '{"name":"slow_work"}')
    assert.equal(-32603, err.code)
    assert.truthy(err.message:find('Server "slow": as many children run as may', 1, true), err.message)
    assert.equal("ready", by(call(second, "ready_work"):wait()))
  end)

  it("is waited for by every name that could be its own, hidden or not", function()
    for policy, names in pairs {
      ["lunette.tools.hide 'slow_work'"] = { "slow_work", "slow_none" },
      ["lunette.tools.rename { slow_work = 'found' }"] = { "found" },
      ["lunette.tools.rename(function(name) return (name:gsub('^slow', 'ready')) end)"] = { "ready_none", "none" },
      ["lunette.tools.transform('slow_work', { name = 'found' })"] = { "found" },
      ["lunette.tools.transform('*', function(tool) return tool end)"] = { "ready_none" },
    } do
      local ready, slow = server "ready", server("slow", { holds = "initialize" })
      local client = lunette.stdio { policy = patient .. lunette.bare(ready, slow) .. "\n" .. policy }
      client:initialize()
      client:result("tools/call", '{"name":"ready_work"}')
      local calls = {}
      for i, name in ipairs(names) do calls[i] = call(client, name) end
      still_waits(client, unpack(calls))
      slow:let()
      for i, name in ipairs(names) do
        local raw = calls[i]:wait()
        if name == "found" then
          assert.equal("slow", by(raw), policy)
        else
          assert.equal("Unknown tool: " .. name, json.value(raw, "error", "message"), policy)
        end
      end
      client:close()
    end
  end)

  it("is waited for by all names that no list has where there are no prefixes", function()
    local ready = server("ready", { tools = '[{"name":"one","inputSchema":{"type":"object"}}]' })
    local slow = server("slow", { holds = "initialize", tools = '[{"name":"two","inputSchema":{"type":"object"}}]' })
    local client = lunette.stdio { policy = ("%slunette.upstream('ready', %s)\nlunette.upstream('slow', %s)"):format(patient,
      ready:lua "prefix = false", slow:lua "prefix = false") }
    client:initialize()
    assert.equal("ready", by(call(client, "one"):wait()))
    local two, three = call(client, "two"), call(client, "three")
    still_waits(client, two, three)
    slow:let()
    assert.equal("slow", by(two:wait()))
    assert.equal("Unknown tool: three", json.value(three:wait(), "error", "message"))
  end)

  it("comes first, where it was declared first, when what it has is another's too", function()
    local first, second = server("first", { holds = "resources/list" }), server "second"
    for _, up in ipairs { first, second } do up.options.resources = '[{"uri":"x:///1","name":"1"}]' end
    local client = behind("", first, second)
    local read = client:start("resources/read", '{"uri":"x:///1"}')
    second:wait "resources/list"
    still_waits(client, read)
    first:let()
    assert.equal("first", by(read:wait()))
  end)

  it("is waited for by a list once, whatever that needs", function()
    local patience = 1 * loop.slow
    local ui = server("ui", { capabilities = '{"tools":{},"resources":{}}',
      tools = '[{"name":"work","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui:///1"}}}]' }):http()
    local ready = server "ready"
    local client = lunette.stdio { policy = ("lunette.configure { start_timeout = %d, list_max_age = 0 }\n"):format(patience) .. lunette.bare(ready, ui) }
    for _, up in ipairs { ui, ready } do up:on("resources/list", function(req) req:fail(-32000, "not now") end) end
    client:initialize()
    client:result("tools/list", "{}")
    -- Asked again they say nothing, nor of the resources that tools are displayed by.
    for _, up in ipairs { ui, ready } do
      for _, method in ipairs { "tools/list", "resources/list" } do up:on(method, function() end) end
    end
    local started = loop.uv.hrtime()
    assert.same({ "ready_work", "ui_work" }, json.names(json.at(client:result("tools/list", "{}"), "tools")))
    assert.is_true((loop.uv.hrtime() - started) / 1e9 < 1.8 * patience)
  end)

  it("is told apart from what is unknown when it stays away", function()
    local ready, slow = server "ready", server("slow", { holds = "initialize" })
    local listless = server("listless", { holds = "tools/list" })
    local client = behind("lunette.configure { start_timeout = 0.1, late_timeout = 0.3 }\n", ready, slow, listless)
    for name, owes in pairs { slow_work = "initialize", listless_work = "tools/list" } do
      for _ = 1, 2 do
        local err = client:failure("tools/call", ('{"name":%q}'):format(name))
        assert.equal(-32603, err.code)
        assert.equal(('Server "%s" has not answered %s yet, so that it is not known whether the tool "%s" is there: try again later')
          :format(name:match "^%l+", owes, name), err.message)
      end
    end
    assert.equal("ready", by(call(client, "ready_work"):wait()))
    slow:let()
    client:expect "notifications/tools/list_changed"
    assert.equal("slow", by(call(client, "slow_work"):wait()))
  end)

  it("is waited for no longer than a request to it may take", function()
    local ready, slow = server "ready", server("slow", { holds = "tools/list" })
    local client = lunette.stdio { policy = ("%slunette.upstream('ready', %s)\nlunette.upstream('slow', %s)"):format(patient,
      ready:lua(), slow:lua "timeout = 0.3") }
    client:initialize()
    local err = client:failure("tools/call", '{"name":"slow_work"}')
    assert.truthy(err.code == -32603 or err.message:find('server "slow"', 1, true), err.message)
  end)

  it("and then fails is named to who waited", function()
    local ready, slow = server "ready", server("slow", { holds = "initialize" })
    local client = behind(patient, ready, slow)
    local waiting, read = call(client, "slow_work"), client:start("resources/read", '{"uri":"slow:///1"}')
    still_waits(client, waiting, read)
    slow.sessions[1]:exit(3)
    local err = json.value(waiting:wait(), "error")
    assert.equal(-32602, err.code)
    assert.truthy(err.message:find('Unknown tool: slow_work; server "slow" is down: ', 1, true), err.message)
    err = json.value(read:wait(), "error")
    assert.truthy(err.message:find('server "slow" is down: ', 1, true), err.message)
  end)

  it("and then can't list is named to who waited", function()
    local ready, slow = server "ready", server("slow", { holds = "tools/list" })
    local client = behind(patient, ready, slow)
    local waiting = call(client, "slow_work")
    loop.wait(function() return slow.held[1] end, "tools/list")
    slow.held[1]:fail(-32000, "not now")
    for _ = 1, 2 do
      assert.equal('Unknown tool: slow_work; server "slow" could not list its tools', json.value(waiting:wait(), "error", "message"))
      waiting = call(client, "slow_work")
    end
  end)

  it("never hears of what was cancelled meanwhile", function()
    local ready, slow = server "ready", server("slow", { holds = "initialize" })
    local client = behind(patient, ready, slow)
    call(client, "slow_work")
    client:start("prompts/get", '{"name":"slow_p"}', '"second"')
    local third = call(client, "slow_work")
    client:notify("notifications/cancelled", '{"requestId":' .. tonumber(third.id) - 1 .. "}")
    client:notify("notifications/cancelled", '{"requestId":"second"}')
    still_waits(client, third)
    slow:let()
    assert.equal("slow", by(third:wait()))
    client:request("ping", "{}")
    assert.equal(1, slow:count "tools/call")
    assert.equal(0, slow:count "prompts/get")
  end)

  it("costs nothing for what was cancelled, and no more than may be in flight for what was not", function()
    local ready, slow = server "ready", server("slow", { holds = "initialize" })
    local client = behind(patient .. "lunette.configure { max_in_flight = 50 }\n", ready, slow)
    local before = process.rss(client.process.pid)
    local body = ("x"):rep(100000)
    for i = 1, 2000 do
      client:send(('{"jsonrpc":"2.0","id":"c%d","method":"tools/call","params":{"name":"slow_work","arguments":{"x":"%s"}}}'):format(i, body))
      client:notify("notifications/cancelled", ('{"requestId":"c%d"}'):format(i))
      if i % 50 == 0 then client:request("ping", "{}") end
    end
    local calls = {}
    for i = 1, 60 do calls[i] = call(client, "slow_work") end
    client:request("ping", "{}")
    local refused = 0
    for _, waiting in ipairs(calls) do refused = refused + (waiting.raw and 1 or 0) end
    assert.is_true(refused >= 10, refused .. " were refused")
    if not lunette.sanitized then assert.is_true(process.rss(client.process.pid) - before < 60 * 1024) end
    slow:let()
    for _, waiting in ipairs(calls) do
      assert.truthy(by(waiting:wait()) == "slow" or json.value(waiting.raw, "error", "message") == "Too many requests at once")
    end
  end)

  it("loses who waits when that one goes", function()
    local ready, slow = server "ready", server("slow", { holds = "initialize" })
    local host = lunette.http { policy = patient .. lunette.bare(ready, slow) }
    local client, other = host.client(), host.client()
    client:initialize()
    other:initialize()
    call(client, "slow_work")
    local waiting = call(other, "slow_work")
    assert.equal(200, client:close())
    slow:let()
    assert.equal("slow", by(waiting:wait()))
    assert.equal(1, slow:count "tools/call")
  end)

  it("is waited for by a handler's forward only as long as that says", function()
    local ready, slow = server "ready", server("slow", { holds = "initialize" })
    local client = lunette.stdio { policy = patient .. lunette.bare(ready, slow) .. [[

      lunette.on("tools/call", "ready_work", function(request, forward)
        request.params.name = "slow_work"
        local ok, why = pcall(forward, request, { timeout = 0.2 })
        return "said: " .. (ok and "?" or why.message)
      end)]] }
    client:initialize()
    assert.equal("said: No answer within 0.2 s", json.value(client:result("tools/call", '{"name":"ready_work"}'), "content", 1, "text"))
    slow:let()
    assert.equal("slow", by(call(client, "slow_work"):wait()))
    assert.equal(1, slow:count "tools/call")
  end)

  it("by a reload, is waited for: a new one, and one in the place of another", function()
    local ready, old, new = server "ready", server "slow", server("slow", { holds = "initialize" })
    local host = reload.start(patient .. lunette.bare(ready, old))
    local client = host:client()
    assert.equal("slow", by(call(client, "slow_work"):wait()))
    host:reload(patient .. lunette.bare(ready, new))
    local waiting = call(client, "slow_work")
    still_waits(client, waiting)
    new:let()
    assert.equal("slow", by(waiting:wait()))
    assert.equal(1, new:count "tools/call")
    local third = server("third", { holds = "tools/list" })
    host:reload(patient .. lunette.bare(ready, new, third))
    waiting = call(client, "third_work")
    loop.wait(function() return third.held[1] end, "tools/list")
    still_waits(client, waiting)
    third:let()
    assert.equal("third", by(waiting:wait()))
  end)

  it("and is replaced by a reload, gets what was meant for it before", function()
    local ready, old, new = server "ready", server("slow", { holds = "initialize" }), server "slow"
    local host = reload.start(patient .. lunette.bare(ready, old))
    local client = host:client { unlisted = true }
    local waiting = call(client, "slow_work")
    still_waits(client, waiting)
    host:reload(patient .. lunette.bare(ready, new))
    assert.equal("slow", by(call(client, "slow_work"):wait()))
    still_waits(client, waiting)
    old:let()
    assert.equal("slow", by(waiting:wait()))
    assert.equal(1, old:count "tools/call")
    assert.equal(1, new:count "tools/call")
  end)

  it("after Lunette was started anew, is waited for in the sessions that go on", function()
    local ready, slow = server("ready"):http(), server("slow"):http()
    local policy = patient .. lunette.bare(ready, slow)
    local host = restart.start(policy)
    local client = restart.open(host)
    assert.equal("slow", by(call(client, "slow_work"):wait()))
    slow:on("initialize", function(req) slow.held[1] = req end)
    restart.restart(host, policy)
    local waiting = call(client, "slow_work")
    loop.wait(function() return slow.held[1] end, "initialize")
    assert.equal("ready", by(call(client, "ready_work"):wait()))
    still_waits(client, waiting)
    slow.handlers.initialize = nil
    slow.held[1]:reply '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}'
    assert.equal("slow", by(waiting:wait()))
  end)
end)

describe("initialize", function()
  after_each(lunette.finish)

  local initialize = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}'
  local dead = "{ command = 'sh', args = { '-c', 'exit 7' }%s }"

  local function declared(n, optional)
    local lines = {}
    for i = 1, n do
      lines[i] = ("lunette.upstream('dead%d', %s)\n"):format(i, dead:format(i == optional and ", optional = true" or ""))
    end
    return table.concat(lines)
  end

  it("counts a late server as one that can do everything, and tells the instructions of the others", function()
    local everything = { logging = {}, completions = {}, tools = { listChanged = true }, prompts = { listChanged = true },
      resources = { subscribe = true, listChanged = true } }
    local ready = server("ready", { capabilities = '{"tools":{}}', instructions = '"be kind"' })
    local slow = server("slow", { holds = "initialize", instructions = '"too late"' })
    for _, servers in ipairs { { slow }, { ready, slow } } do
      local client = lunette.stdio { policy = patient .. lunette.bare(unpack(servers)) }
      local result = client:initialize()
      assert.same(everything, json.value(result, "capabilities"))
      assert.equal(servers[2] and "# ready\n\nbe kind" or nil, json.value(result, "instructions"))
      client:close()
    end
  end)

  it("fails when no server can be had and none is optional, and says of each why", function()
    for n = 1, 2 do
      local client = lunette.stdio { policy = declared(n) }
      local err = client:failure("initialize", initialize)
      assert.equal(-32603, err.code)
      for i = 1, n do assert.truthy(err.message:find(('Server "dead%d": '):format(i), 1, true), err.message) end
      client:close()
    end
  end)

  it("works when a server is optional, or the policy has something of its own", function()
    local own = "lunette.tools.add { name = 'own', inputSchema = { type = 'object' }, handler = function() return 'x' end }\n"
    for _, case in ipairs {
      { declared(1, 1), 200, {} }, { declared(2, 2), 503, {} }, { declared(1) .. own, 503, { "own" } }, { declared(1, 1) .. own, 200, { "own" } },
    } do
      local host = lunette.http { policy = case[1] }
      local client = host.client()
      client:initialize()
      assert.same(case[3], json.names(json.at(client:result("tools/list", "{}"), "tools")))
      for method, member in pairs { ["resources/list"] = "resources", ["resources/templates/list"] = "resourceTemplates", ["prompts/list"] = "prompts" } do
        if case[2] == 200 or #case[3] == 0 then assert.equal("[]", json.at(client:result(method, "{}"), member), method) end
      end
      local err = client:failure("tools/call", '{"name":"dead1_work"}')
      assert.truthy(err.message:find("dead1", 1, true) and err.message:find("status 7", 1, true), err.message)
      assert.equal(case[2], http.request({ port = host.port, path = "/readyz" }).status)
    end
  end)

  it("works for an optional server that is not there yet, and has its tools once it is", function()
    local up = server "up"
    up.on_session = function(session) session:exit(4) end
    local client = lunette.stdio { policy = ("lunette.upstream('up', %s)"):format(up:lua "optional = true") }
    client:initialize()
    assert.equal("[]", json.at(client:result("tools/list", "{}"), "tools"))
    up.on_session = nil
    loop.wait(function()
      loop.sleep(50)
      return json.at(client:result("tools/list", "{}"), "tools") ~= "[]"
    end, "its tools", 10000)
    assert.equal("up", by(call(client, "work"):wait()))
  end)

  it("needs no server to be there for lunette list, where all may be missing", function()
    for n = 1, 2 do
      for _, optional in ipairs { true, false } do
        local policy = declared(n, optional and n or nil)
        if optional and n == 2 then policy = policy:gsub("dead1', { ", "dead1', { optional = true, ") end
        local result = lunette.cli { "list", lunette.policy(policy) }
        assert.equal(optional and 0 or 1, result.code, result.stderr)
        for i = 1, n do assert.truthy(result.stderr:find("dead" .. i, 1, true), result.stderr) end
        if optional then assert.truthy(result.stdout:find("nothing", 1, true)) end
      end
    end
  end)
end)

describe("the command line", function()
  after_each(lunette.finish)

  it("says after two seconds what it waits for, once and on stderr", function()
    local cases = {
      { "initialize", "list" }, { "tools/list", "list" }, { "tools/list", "list", "--explain" }, { "initialize", "call", "slow_work" },
      { "resources/list", "read", "slow:///1" }, { "prompts/get", "prompt", "slow_p" }, { "tools/call", "call", "slow_work" },
    }
    for _, case in ipairs(cases) do
      case.ready, case.slow = server "ready", server("slow", { holds = case[1] })
      local args = { case[2], lunette.policy(lunette.bare(case.ready, case.slow)) }
      for i = 3, #case do args[#args + 1] = case[i] end
      case.process = lunette.spawn(args)
    end
    for _, case in ipairs(cases) do
      local said = "lunette: waiting for server slow to answer " .. case[1] .. " …\n"
      case.process:wait_stderr(said)
      assert.equal("", case.process.out:all())
    end
    loop.sleep(600) -- in which it would be said again
    for _, case in ipairs(cases) do
      if case[1]:find "list$" or case[1] == "initialize" then
        case.slow:let()
      else
        for _, req in ipairs(case.slow.held) do req:reply '{"content":[{"type":"text","text":"done"}],"messages":[]}' end
      end
      assert.equal(0, case.process:wait_exit(10000))
      local _, times = case.process.err:all():gsub("waiting", "")
      assert.equal(1, times, case.process.err:all())
    end
  end)

  it("says nothing of servers that answer in time", function()
    local result = lunette.cli { "list", lunette.policy(lunette.bare(server "ready")) }
    assert.same({ 0, "" }, { result.code, result.stderr })
  end)
end)
