-- Many servers behind one endpoint: names and prefixes, collisions, what happens when one is dead,
-- slow or comes late, and that many clients stay apart.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local function tool(...)
  local list = {}
  for i, name in ipairs { ... } do list[i] = ('{"name":%q,"inputSchema":{"type":"object"}}'):format(name) end
  return "[" .. table.concat(list, ",") .. "]"
end

local function server(name, fields)
  fields = fields or {}
  fields.name = name
  fields.tools = fields.tools or tool("echo", name .. "_only")
  local up = upstream.new(fields)
  up:on("tools/call", function(req) req:reply(('{"content":[],"by":%q,"got":%s}'):format(name, req.params)) end)
  return up
end

local function names(client, method, member, key)
  return json.names(json.at(client:result(method or "tools/list", "{}"), member or "tools"), key)
end

describe("several servers", function()
  after_each(lunette.finish)

  local function behind(policy, ...)
    local client = lunette.stdio { policy = lunette.bare(...) .. "\n" .. (policy or "") }
    client:initialize()
    return client
  end

  it("show their tools and prompts under their names, in the order declared", function()
    local a = server("alpha", { prompts = '[{"name":"p"}]' })
    local b = server("beta", { prompts = '[{"name":"p"}]' })
    local client = behind("", a, b)
    assert.same({ "alpha_echo", "alpha_alpha_only", "beta_echo", "beta_beta_only" }, names(client))
    assert.same({ "alpha_p", "beta_p" }, names(client, "prompts/list", "prompts"))
  end)

  it("get the calls meant for them, under their own names, to the byte", function()
    local a, b = server "alpha", server "beta"
    local client = behind("", a, b)
    local result = client:result("tools/call", '{ "arguments":{"x": 1.0},"name":"beta_echo" ,"z":[]}')
    assert.equal("beta", json.value(result, "by"))
    assert.equal('{ "arguments":{"x": 1.0},"name":"echo" ,"z":[]}', json.at(result, "got"))
    assert.equal("alpha", json.value(client:result("tools/call", '{"name":"alpha_alpha_only"}'), "by"))
    assert.equal(1, a:count "tools/call")
    assert.equal(1, b:count "tools/call")
  end)

  it("are never guessed from a name: a table decides", function()
    local a = server("a", { tools = tool "b_c" })
    local ab = server("a_b", { tools = tool "c" })
    local client = behind("", a, ab)
    assert.same({ "a_b_c" }, names(client), "the longest prefix says whose it is")
    assert.equal("a_b", json.value(client:result("tools/call", '{"name":"a_b_c"}'), "by"))
    assert.truthy(client.process.err:all():find("a_b_c", 1, true), "the log tells of the one that lost")
  end)

  it("take a prefix of one's choice, or none", function()
    local a, b = server("alpha", { tools = tool "one" }), server("beta", { tools = tool "two" })
    local client = lunette.stdio { policy = ("lunette.upstream('alpha', %s)\nlunette.upstream('beta', %s)"):format(
      a:lua "prefix = 'x'", b:lua "prefix = false") }
    client:initialize()
    assert.same({ "x_one", "two" }, names(client))
  end)

  it("give what neither lists to nobody", function()
    local a, b = server "alpha", server "beta"
    local client = behind("", a, b)
    for _, name in ipairs { "echo", "gamma_echo", "alpha_", "alpha_nothing", "" } do
      assert.equal(-32602, client:failure("tools/call", json.encode { name = name }).code, name)
    end
    assert.equal(0, a:count "tools/call" + b:count "tools/call")
  end)

  it("keep their URIs, and each is read where it was listed", function()
    local a = server("alpha", { resources = '[{"uri":"a://1","name":"1"}]', templates = '[{"uriTemplate":"a://t/{x}","name":"t"}]' })
    local b = server("beta", { resources = '[{"uri":"b://1","name":"1"}]', templates = '[{"uriTemplate":"b://t/{+x}{?q}","name":"t"}]' })
    for _, up in ipairs { a, b } do
      up:on("resources/read", function(req) req:reply(('{"contents":[{"uri":%s,"text":%q}]}'):format(req:at "uri", up.name)) end)
    end
    local client = behind("", a, b)
    assert.same({ "a://1", "b://1" }, names(client, "resources/list", "resources", "uri"))
    assert.same({ "a://t/{x}", "b://t/{+x}{?q}" }, names(client, "resources/templates/list", "resourceTemplates", "uriTemplate"))
    for uri, owner in pairs { ["a://1"] = "alpha", ["b://1"] = "beta", ["a://t/5"] = "alpha", ["b://t/5/6?q=1"] = "beta" } do
      assert.equal(owner, json.value(client:result("resources/read", json.encode { uri = uri }), "contents", 1, "text"), uri)
    end
    local code = client:failure("resources/read", '{"uri":"c://1"}').code
    assert.truthy(code == -32002 or code == -32602)
  end)

  it("that list one URI twice are both reachable", function()
    local a = server("alpha", { resources = '[{"uri":"x://1","name":"1"}]' })
    local b = server("beta", { resources = '[{"uri":"x://1","name":"1"}]' })
    for _, up in ipairs { a, b } do
      up:on("resources/read", function(req) req:reply(('{"contents":[{"uri":%s,"text":%q}]}'):format(req:at "uri", up.name)) end)
    end
    local client = behind("", a, b)
    local uris = names(client, "resources/list", "resources", "uri")
    assert.equal(2, #uris)
    assert.not_equal(uris[1], uris[2])
    for i, owner in ipairs { "alpha", "beta" } do
      local contents = json.value(client:result("resources/read", json.encode { uri = uris[i] }), "contents", 1)
      assert.equal(owner, contents.text)
      assert.equal(uris[i], contents.uri)
    end
    for _, up in ipairs { a, b } do assert.equal("x://1", up:wait("resources/read"):value "uri") end
  end)

  it("complete for the prompt or template that was asked about", function()
    local a, b = server("alpha", { prompts = '[{"name":"p"}]' }), server("beta", { prompts = '[{"name":"p"}]' })
    for _, up in ipairs { a, b } do
      up:on("completion/complete", function(req) req:reply(('{"completion":{"values":[%q,%s]}}'):format(up.name, req:at("ref", "name"))) end)
    end
    local client = behind("", a, b)
    local result = client:result("completion/complete", '{"ref":{"type":"ref/prompt","name":"beta_p"},"argument":{"name":"x","value":""}}')
    assert.same({ "beta", "p" }, json.value(result, "completion", "values"))
  end)

  it("offer what any of them can", function()
    local a = server("alpha", { capabilities = '{"tools":{}}' })
    local b = server("beta", { capabilities = '{"tools":{"listChanged":true},"resources":{"subscribe":true},"completions":{}}', resources = "[]" })
    local client = lunette.stdio { policy = lunette.bare(a, b) }
    local capabilities = json.at(client:initialize(), "capabilities")
    assert.truthy(json.at(capabilities, "tools"))
    assert.is_true(json.value(capabilities, "resources", "subscribe"))
    assert.truthy(json.at(capabilities, "completions"))
    assert.is_nil(json.at(capabilities, "prompts"))
    assert.is_nil(json.at(capabilities, "logging"))
  end)

  it("59: answer with -32601 what none of them can", function()
    local a, b = server("alpha", { capabilities = '{"tools":{}}' }), server("beta", { capabilities = '{"tools":{}}' })
    local client = behind("", a, b)
    for _, method in ipairs { "prompts/list", "resources/list", "logging/setLevel", "completion/complete" } do
      assert.equal(-32601, client:failure(method, '{"level":"info"}').code, method)
    end
  end)

  it("all hear of the log level", function()
    local a, b = server "alpha", server "beta"
    local client = behind("", a, b)
    client:result("logging/setLevel", '{"level":"warning"}')
    assert.equal("warning", a:wait("logging/setLevel"):value "level")
    assert.equal("warning", b:wait("logging/setLevel"):value "level")
    assert.equal(-32602, client:failure("logging/setLevel", '{"level":"loud"}').code)
  end)

  it("tell their instructions under their names", function()
    local a = server("alpha", { instructions = '"use me first"' })
    local b = server("beta", { instructions = '"use me last"' })
    local client = lunette.stdio { policy = lunette.bare(a, b) }
    local text = json.value(client:initialize(), "instructions")
    assert.truthy(text:find("use me first", 1, true) < text:find("use me last", 1, true))
    assert.truthy(text:find("alpha", 1, true) and text:find("beta", 1, true))
  end)

  it("are read to the last page, and a cursor that goes round ends", function()
    local pages = server "alpha"
    pages:on("tools/list", function(req)
      local cursor = req.params and req:value "cursor"
      local at = cursor and tonumber(cursor) or 0
      req:reply(('{"tools":%s%s}'):format(tool("t" .. at), at < 4 and (',"nextCursor":"%d"'):format(at + 1) or ""))
    end)
    local round = server "beta"
    round:on("tools/list", function(req) req:reply(('{"tools":%s,"nextCursor":"same"}'):format(tool "r")) end)
    local empty = server "gamma"
    empty:on("tools/list", function(req)
      req:reply(req.params and req:at "cursor" and ('{"tools":%s}'):format(tool "last") or '{"tools":[],"nextCursor":""}')
    end)
    local client = behind("", pages, round, empty)
    local seen = {}
    for _, name in ipairs(names(client)) do seen[name] = (seen[name] or 0) + 1 end
    for i = 0, 4 do assert.equal(1, seen["alpha_t" .. i]) end
    assert.equal(1, seen.beta_r)
    assert.equal(1, seen.gamma_last)
    assert.is_true(round:count "tools/list" < 5)
  end)

  it("are given page by page when the policy says so, each once", function()
    local a = server("alpha", { tools = tool("a", "b", "c") })
    local b = server("beta", { tools = tool("d", "e") })
    local client = behind("lunette.configure { page_size = 2 }", a, b)
    local seen, cursor, pages = {}, nil, 0
    repeat
      local result = client:result("tools/list", cursor and json.encode { cursor = cursor } or "{}")
      for _, name in ipairs(json.names(json.at(result, "tools"))) do seen[#seen + 1] = name end
      cursor = json.value(result, "nextCursor")
      pages = pages + 1
    until not cursor or pages > 9
    assert.same({ "alpha_a", "alpha_b", "alpha_c", "beta_d", "beta_e" }, seen)
    assert.equal(3, pages)
    assert.equal(-32602, client:failure("tools/list", '{"cursor":"nonsense"}').code)
  end)

  describe("of which one is dead", function()
    for name, dead in pairs {
      ["can't be started"] = '{ command = "/no/such/program" }',
      ["exits at once"] = '{ command = "sh", args = { "-c", "echo dying words >&2; exit 7" } }',
      ["speaks nonsense"] = '{ command = "sh", args = { "-c", "echo hello; cat >/dev/null" } }',
      ["is not listening"] = '{ url = "http://127.0.0.1:1/mcp" }',
    } do
      it(name .. ": the other works", function()
        local a = server "alpha"
        local host = lunette.http { policy = ("lunette.upstream('dead', %s)\n"):format(dead) .. lunette.bare(a) }
        local client = host.client()
        client:initialize()
        assert.same({ "alpha_echo", "alpha_alpha_only" }, names(client))
        assert.equal("alpha", json.value(client:result("tools/call", '{"name":"alpha_echo"}'), "by"))
        local http = require "spec.support.http"
        local function status(path) return http.request({ port = host.port, method = "GET", path = path }).status end
        assert.equal(503, status "/readyz")
        assert.equal(200, status "/healthz")
        assert.truthy(host.process.err:all():find "dead")
        if name == "exits at once" then host.process:wait_stderr "dying words" end
      end)
    end

    it("and optional: ready all the same", function()
      local a = server "alpha"
      local host = lunette.http { policy = "lunette.upstream('dead', { command = '/no/such/program', optional = true })\n" .. lunette.bare(a) }
      host.client():initialize()
      assert.equal(200, require("spec.support.http").request({ port = host.port, method = "GET", path = "/readyz" }).status)
    end)

    it("in the middle of a call: that call fails and says with which status, the other goes on", function()
      local a, b = server "alpha", server "beta"
      a:on("tools/call", function(req)
        req.session:stderr "out of cheese\n"
        req.session:exit(9)
      end)
      local client = behind("", a, b)
      local call = client:start("tools/call", '{"name":"alpha_echo"}')
      assert.equal("beta", json.value(client:result("tools/call", '{"name":"beta_echo"}'), "by"))
      local err = json.value(call:wait(), "error")
      assert.equal(-32603, err.code)
      assert.equal('Server "alpha": the server exited with status 9', err.message)
      client.process:wait_stderr "out of cheese"
      a:on("tools/call", function(req) req:reply '{"content":[],"by":"reborn"}' end)
      assert.equal("reborn", json.value(client:result("tools/call", '{"name":"alpha_echo"}'), "by"))
      assert.equal(2, #a.sessions)
    end)
  end)

  it("of which one is slow delay nobody: its tools come later", function()
    local a, slow = server "alpha", server "slow"
    local held
    slow:on("initialize", function(req) held = req end)
    local client = lunette.stdio { policy = "lunette.configure { start_timeout = 0.2 }\n" .. lunette.bare(a, slow) }
    local started = loop.uv.hrtime()
    client:initialize()
    assert.is_true((loop.uv.hrtime() - started) / 1e6 < 1500 * loop.slow)
    assert.same({ "alpha_echo", "alpha_alpha_only" }, names(client))
    assert.equal("alpha", json.value(client:result("tools/call", '{"name":"alpha_echo"}'), "by"))
    held:reply '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"slow","version":"1"}}'
    client:expect "notifications/tools/list_changed"
    assert.equal(4, #names(client))
    assert.equal("slow", json.value(client:result("tools/call", '{"name":"slow_echo"}'), "by"))
  end)

  describe("and many clients", function()
    it("have a session each", function()
      local a = server "alpha"
      a:on("tools/call", function(req) req:reply(('{"content":[],"session":%d}'):format(req.session.number)) end)
      local host = lunette.http { policy = lunette.bare(a) }
      local seen = {}
      for _ = 1, 3 do
        local client = host.client()
        client:initialize()
        assert.same({ "echo", "alpha_only" }, names(client))
        local first = json.at(client:result("tools/call", '{"name":"echo"}'), "session")
        assert.equal(first, json.at(client:result("tools/call", '{"name":"echo"}'), "session"))
        assert.is_nil(seen[first])
        seen[first] = true
      end
      assert.equal(3, #a.sessions)
      assert.equal(1, a:count "tools/list", "the index is shared")
    end)

    it('share one where the policy says session = "shared"', function()
      local a = server "alpha"
      local host = lunette.http { policy = ("lunette.upstream('alpha', %s)"):format(a:lua 'session = "shared"') }
      for i = 1, 3 do
        local client = host.client()
        client:initialize()
        client:result("tools/call", '{"name":"echo","arguments":{"i":' .. i .. "}}")
      end
      assert.equal(1, #a.sessions)
      assert.equal(3, a:count "tools/call")
    end)

    it('have a fresh one for every call where it says session = "request"', function()
      local a = server "alpha"
      local client = lunette.stdio { policy = ("lunette.upstream('alpha', %s)"):format(a:lua 'session = "request"') }
      client:initialize()
      for _ = 1, 3 do client:result("tools/call", '{"name":"echo"}') end
      local used = {}
      for _, session in ipairs(a.sessions) do
        if session:count "tools/call" > 0 then used[#used + 1] = session:count "tools/call" end
      end
      assert.same({ 1, 1, 1 }, used)
    end)

    it("outlive what a session for one call says of lists as it ends", function()
      local a = server "alpha"
      a:on("tools/call", function(req)
        req.session:notify "notifications/tools/list_changed"
        req:reply '{"content":[]}'
      end)
      local host = lunette.http { policy = ("lunette.upstream('alpha', %s)"):format(a:lua 'session = "request"') }
      local client = host.client()
      client:initialize()
      for _ = 1, 40 do client:result("tools/call", '{"name":"echo"}') end
    end)

    it("get only what is theirs", function()
      local a = server "alpha"
      local asked = 0
      a:on("tools/call", function(req)
        local who = req:value("arguments", "who")
        req:notify("notifications/message", ('{"level":"info","data":%q}'):format(who))
        req:ask("elicitation/create", ('{"message":%q,"requestedSchema":{"type":"object","properties":{}}}'):format(who), function(answer)
          asked = asked + 1
          req:progress('"progress":' .. asked)
          req:reply(('{"content":[],"answer":%s}'):format(answer.result))
        end)
      end)
      local host = lunette.http { policy = lunette.bare(a) }
      local clients, calls = {}, {}
      for i = 1, 8 do
        clients[i] = host.client()
        clients[i]:initialize { capabilities = '{"elicitation":{}}' }
        clients[i]:listen()
      end
      for i, client in ipairs(clients) do
        calls[i] = client:start("tools/call", ('{"name":"echo","arguments":{"who":"c%d"},"_meta":{"progressToken":1}}'):format(i), "1")
      end
      for i = 8, 1, -1 do
        local question = clients[i]:expect "elicitation/create"
        assert.equal("c" .. i, json.value(question.params, "message"))
        clients[i]:answer(question, ('{"action":"accept","content":{"who":"c%d"}}'):format(i))
      end
      for i, client in ipairs(clients) do
        assert.equal("c" .. i, json.value(calls[i]:wait(), "result", "answer", "content", "who"))
        assert.equal("c" .. i, json.value(client:expect("notifications/message").params, "data"))
        assert.equal("1", json.at(client:expect("notifications/progress").params, "progressToken"))
        assert.equal(0, #client.inbox)
      end
    end)

    it("can be made to begin anew by the policy", function()
      local a = server "alpha"
      local client = lunette.stdio { policy = ("local up = lunette.upstream('alpha', %s)\n"):format(a:lua())
        .. 'lunette.tools.add { name = "anew", inputSchema = { type = "object" }, handler = function() up:clear() return "ok" end }' }
      client:initialize()
      client:result("tools/call", '{"name":"echo"}')
      client:result("tools/call", '{"name":"anew"}')
      client:result("tools/call", '{"name":"echo"}')
      assert.equal(2, a:count "initialize")
      assert.equal(1, a.sessions[1]:count "tools/call")
      assert.equal(1, a.sessions[2]:count "tools/call")
    end)
  end)

  it("come from an mcpServers file, as Claude Desktop, Cursor and VS Code write it", function()
    local a, b = server "alpha", server("beta"):http()
    local command = a:command()
    local args = {}
    for i = 2, #command do args[#args + 1] = json.quote(command[i]) end
    local entries = ('"alpha":{"command":%s,"args":[%s],"env":{"X":"${SPEC_VALUE}-x"}},'
      .. '"beta":{"type":"http","url":%s,"headers":{"X-A":"${SPEC_VALUE}"}}')
    entries = entries:format(json.quote(command[1]), table.concat(args, ","), json.quote(b.url))
    for _, text in ipairs { '{"mcpServers":{' .. entries .. "}}", '{"servers":{' .. entries .. '},"inputs":[]}' } do
      local path = loop.write_file(loop.tempdir() .. "/mcp.json", text)
      local client = lunette.stdio { targets = { path }, env = { SPEC_VALUE = "given" } }
      client:initialize()
      assert.same({ "alpha_alpha_only", "alpha_echo", "beta_beta_only", "beta_echo" }, (function()
        local list = names(client)
        table.sort(list)
        return list
      end)())
      assert.equal("given-x", a.sessions[#a.sessions].hello.env.X)
      assert.equal("given", b.requests[#b.requests].headers["x-a"])
      client:close()
    end
  end)
end)
