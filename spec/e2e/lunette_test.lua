-- What lunette.test gives, tried by itself: run by `lunette test` (see test_spec.lua), not by the other specs'
-- runner.
local test = require "lunette.test"

local object = { type = "object" }

describe("a played server", function()
  it("answers with what is written down, in MCP's shapes", function()
    local client = test.connect {
      text = "",
      servers = { s = {
        tools = { { name = "a", result = "one" }, { name = "b", result = { { type = "text", text = "two" } } },
          { name = "c", result = { content = {}, structuredContent = { n = 1 } } } },
        resources = { { uri = "x://1", name = "one", mimeType = "text/plain", text = "the text" } },
        resource_templates = { { uriTemplate = "y://{id}", name = "y", read = function(uri) return "at " .. uri end } },
        prompts = { { name = "p", arguments = { { name = "q" } }, get = function(args) return "ask " .. args.q end } },
        complete = { "alpha", "beta" },
      } },
    }
    assert.equal("one", test.text(client:call "a"))
    assert.equal("two", test.text(client:call "b"))
    assert.same({ n = 1 }, client:call("c").structuredContent)
    assert.same({ uri = "x://1", mimeType = "text/plain", text = "the text" }, client:read("x://1").contents[1])
    assert.equal("at y://5", test.text(client:read "y://5"))
    assert.equal("ask me", test.text(client:get("p", { q = "me" })))
    assert.same({ "x://1" }, client:names "resources")
    assert.same({ "y://{id}" }, client:names "resource_templates")
    assert.equal("p", client:prompts("p").name)
    assert.is_nil(client:tools "nothing")
    local done = client:request("completion/complete", { ref = { type = "ref/prompt", name = "p" },
      argument = { name = "q", value = "" } })
    assert.same({ "alpha", "beta" }, done.completion.values)
  end)

  it("lists in pages, and anew when the list changed", function()
    local s = test.server { tools = { { name = "a" }, { name = "b" }, { name = "c" } }, page_size = 2 }
    local client = test.connect { text = "", servers = { s = s } }
    assert.same({ "a", "b", "c" }, client:names "tools")
    assert.equal(2, #s:got "tools/list")
    table.insert(s.tools, { name = "d" })
    s:list_changed "tools"
    client:got "notifications/tools/list_changed"
    assert.same({ "a", "b", "c", "d" }, client:names "tools")
  end)

  it("fails as it is told to", function()
    local s = test.server {
      tools = { { name = "a", handler = function(_, call) call:fail(-5, "no", { why = "so" }) end } },
      methods = { ["x/y"] = function(params) return { got = params.n } end },
    }
    local client = test.connect { text = "", servers = { s = s } }
    local result, err = client:try("tools/call", { name = "a", arguments = {} })
    assert.is_nil(result)
    assert.same({ -5, "no", "so" }, { err.code, err.message, err.data.why })
    assert.has_error(function() client:call "a" end)
    assert.equal("Unknown tool: zz", (client:refused "zz"))
    assert.equal(3, client:request("x/y", { n = 3 }).got)
  end)

  it("asks the client within a call, tells it things, and hears them answered", function()
    local client = test.connect {
      text = "",
      servers = { s = { tools = { { name = "a", handler = function(_, call)
        call:log("info", "begun")
        call:progress(1, 2)
        local roots = call:list_roots().roots
        local said = call:elicit { message = "?", requestedSchema = object }
        return ("%s %s %s"):format(roots[1].uri, said.action, call.client.clientInfo.name)
      end } } } },
      client = { name = "me", roots = { "file:///srv" }, elicit = { action = "decline" } },
    }
    local result = client:request("tools/call", { name = "a", arguments = {}, _meta = { progressToken = 7 } })
    assert.equal("file:///srv decline me", test.text(result))
    assert.equal("begun", client:got("notifications/message")[1].params.data)
    assert.same({ progressToken = 7, progress = 1, total = 2 }, client:got("notifications/progress")[1].params)
  end)

  it("can die, and be there again", function()
    local s = test.server { tools = { { name = "a", result = "one" } } }
    local client = test.connect { text = "", servers = { s = s } }
    client:call "a"
    s:hang_up "it fell over"
    assert.equal(0, #s.sessions)
    assert.equal("one", test.text(client:call "a"))
  end)

  it("can be down", function()
    local text = [[local lunette = require "lunette"
      lunette.upstream("up", { command = "x" }) lunette.upstream("gone", { command = "y" })]]
    local client = test.connect { text = text, log_level = "none",
      servers = { up = { tools = { { name = "a" } } }, gone = { down = "no such program" } } }
    assert.same({ "up_a" }, client:names "tools")
  end)

  it("has sessions as the policy says", function()
    local s = test.server { tools = { { name = "a" } } }
    local text = 'require("lunette").upstream("s", { command = "x", session = %q })'
    local proxy = test.run { text = text:format "shared", servers = { s = s } }
    proxy:client():names "tools"
    proxy:client():names "tools"
    assert.equal(1, #s:got "initialize")
    proxy = test.run { text = text:format "client", servers = { s = s } }
    proxy:client { name = "one" }:names "tools"
    proxy:client { name = "two" }:call "a"
    assert.equal(2, #s:got "initialize")
  end)
end)

describe("a played client", function()
  it("may have several requests under way", function()
    local open, seen = false, {}
    local client = test.connect {
      text = [[local lunette = require "lunette"
        lunette.on("tools/call", "slow", function(request, forward) lunette.sleep(0.05) return forward(request) end)]],
      servers = { s = { tools = { { name = "slow", result = "slow" }, { name = "quick", handler = function()
        seen[#seen + 1] = "quick"
        open = true
        return "quick"
      end } } } },
    }
    local slow = client:send("tools/call", { name = "slow" })
    local quick = client:send("tools/call", { name = "quick" })
    test.wait(function() return open end, "the quick call")
    assert.equal("quick", test.text(quick:result()))
    assert.is_false(slow:is_done())
    assert.equal("slow", test.text(slow:result()))
  end)

  it("is known to the policy", function()
    local client = test.connect {
      text = [[local lunette = require "lunette"
        lunette.tools.add { name = "who", handler = function(_, ctx)
          local s = ctx.session
          return ("%s %s %s %s"):format(s.client.name, s.transport, s.protocol_version, tostring(s.capabilities.roots ~= nil))
        end }]],
      client = { name = "cat", transport = "http", protocol_version = "2025-06-18", capabilities = { roots = {} } },
    }
    assert.equal("cat http 2025-06-18 true", test.text(client:call "who"))
  end)

  it("may have HTTP headers", function()
    local client = test.connect {
      text = [[local lunette = require "lunette"
        lunette.tools.add { name = "who", handler = function(_, ctx)
          return ctx.session.transport .. " " .. ctx.headers["x-team"] end }]],
      client = { headers = { ["X-Team"] = "moon" } },
    }
    assert.equal("http moon", test.text(client:call "who"))
    assert.equal("http sun", test.text(client:set_headers({ ["x-team"] = "sun" }):call "who"))
    assert.equal("http sun", test.text(client:call "who"))
    client:set_headers()
    assert.has_error(function() client:call "who" end)
    assert.has_error(function() client:set_headers { a = 1 } end)
  end)

  it("can leave while the proxy stays", function()
    local proxy = test.run { text = "", servers = { s = { tools = { { name = "a" } } } } }
    local one, two = proxy:client(), proxy:client()
    one:call "a"
    one:close()
    assert.has_error(function() one:call "a" end)
    assert.same({ "a" }, two:names "tools")
  end)
end)

describe("a policy", function()
  it("gets its environment, and no more than while it loads", function()
    local text = 'require("lunette").tools.add { name = require("lunette").env "SPEC_TOOL", handler = function() return "" end }'
    local client = test.connect { text = text, env = { SPEC_TOOL = "from_env" } }
    assert.same({ "from_env" }, client:names "tools")
    assert.is_nil(os.getenv "SPEC_TOOL")
  end)

  it("that can't be loaded fails the test with its own file and line", function()
    local ok, why = pcall(test.run, { text = '\nlocal lunette = require "lunette"\nlunette.tools.hidd "x"' })
    assert.is_false(ok)
    assert.truthy(why:find("policy:3: lunette.tools has no hidd; did you mean hide?", 1, true), why)
  end)

  it("is told apart from servers that it does not declare", function()
    local text = 'require("lunette").upstream("notes", { command = "x" })'
    local ok, why = pcall(test.run, { text = text, servers = { nots = {} } })
    assert.is_false(ok)
    assert.truthy(why:find("the policy declares no server nots; did you mean notes?", 1, true), why)
  end)

  it("never reaches a server that the test does not play", function()
    local text = 'require("lunette").upstream("notes", { command = "touch", args = { "/tmp/never" } })'
    local ok, why = pcall(test.connect, { text = text, log_level = "none" })
    assert.is_false(ok)
    assert.truthy(tostring(why):find('the test plays no server "notes": name it in servers', 1, true), tostring(why))
  end)

  it("runs its timers and waits while the test does", function()
    local client = test.connect { text = [[local lunette = require "lunette"
      local n = 0
      lunette.every(0.02, function() n = n + 1 end)
      lunette.tools.add { name = "n", handler = function() return tostring(n) end }]] }
    test.sleep(0.1)
    assert.is_true(tonumber(test.text(client:call "n")) >= 1)
  end)

  describe("stands in for lunette.http", function()
    local asking = [[local lunette = require "lunette"
      lunette.tools.add { name = "ask", handler = function(args)
        local ok, response = pcall(lunette.http, args)
        if not ok then return (response:gsub("^.-: ", "")) end
        local body = response.body
        if args.stream then body = "" for piece in response:chunks() do body = body .. piece end end
        return ("%d %s %s"):format(response.status, response.headers["x-a"] or response.headers["content-type"] or "-", body)
      end }]]
    local asked, answer
    local function says(args, what)
      answer = what
      local client = test.connect { text = asking, http = function(request)
        asked = request
        if type(answer) == "function" then return answer(request) end
        return answer
      end }
      return test.text(client:call("ask", args))
    end

    it("with what it gives", function()
      assert.equal("200 - body", says({ url = "http://a.example/x?y#z" }, "body"))
      assert.same({ "GET", "http://a.example/x?y", "" }, { asked.method, asked.url, asked.body })
      assert.equal('201 application/json {"n":1}', says({ url = "https://a.example", json = { a = { 1 } } }, { status = 201, json = { n = 1 } }))
      assert.same({ "POST", "application/json", 1 }, { asked.method, asked.headers["content-type"], asked:json().a[1] })
      assert.equal("503 b, c ", says({ url = "http://a.example" }, { status = 503, headers = { ["X-A"] = { "b", "c" } } }))
      assert.equal("204 - ", says({ url = "http://a.example" }, { status = 204, body = "none" }))
      assert.equal("200 - streamed", says({ url = "http://a.example", stream = true }, "streamed"))
      assert.equal("lunette.http: GET http://a.example: no such host", says({ url = "http://a.example" }, { fails = "no such host" }))
    end)

    it("also where a redirect leads, and says what is wrong with a request as ever", function()
      assert.equal("200 - at http://b.example/there", says({ url = "http://a.example/", method = "POST", body = "x" }, function(request)
        if request.url:find "a.example" then return { status = 303, headers = { Location = "http://b.example/there" } } end
        return "at " .. request.url
      end))
      assert.equal("GET", asked.method)
      assert.truthy(says({ url = "ftp://a.example" }, "x"):find "^lunette.http: ")
    end)

    it("and says what is wrong with its answer", function()
      for _, case in ipairs { { 5, "http gave for GET http://a.example/ must be a table, not 5" }, { { stauts = 1 }, "did you mean status" },
        { { status = "x" }, "status must be a number" }, { nil, "gave for GET http://a.example/ nothing" } } do
        local ok, why = pcall(says, { url = "http://a.example/" }, case[1])
        assert.is_false(ok)
        assert.truthy(tostring(why):find(case[2], 1, true), tostring(why))
      end
    end)
  end)

  describe("reloads", function()
    local function policy(rule)
      return 'local lunette = require "lunette"\n' .. rule
    end
    local s = test.server { tools = { { name = "a", result = "A" }, { name = "b", result = "B" } } }

    it("and tells the clients whose list is another", function()
      local proxy = test.run { text = policy "", servers = { s = s } }
      local one, guest = proxy:client(), proxy:client { name = "guest" }
      assert.same({ "a", "b" }, one:names "tools")
      assert.same({ "a", "b" }, guest:names "tools")
      proxy:reload { text = policy 'lunette.tools.filter(function(t, ctx) return t.name ~= "b" or ctx.session.client.name ~= "guest" end)' }
      guest:got "notifications/tools/list_changed"
      assert.same({ "a" }, guest:names "tools")
      assert.same({ "a", "b" }, one:names "tools")
      assert.same({}, one.received)
    end)

    it("and raises why the old policy stays in force", function()
      local client = test.connect { text = policy 'lunette.tools.hide "a"', servers = { s = s } }
      assert.same({ "b" }, client:names "tools")
      for text, why in pairs { ["x x"] = "policy:2: ", ['lunette.tools.transform("b", { arguments = { x = { hide = true } } })'] = "can't hold" } do
        local ok, said = pcall(client.proxy.reload, client.proxy, { text = policy(text) })
        assert.is_false(ok)
        assert.truthy(tostring(said):find(why, 1, true), tostring(said))
        assert.same({ "b" }, client:names "tools")
      end
      assert.same({}, client.received)
    end)

    it("the same file, with another environment", function()
      local client = test.connect { text = policy 'lunette.tools.hide(lunette.env "HIDDEN")', servers = { s = s }, env = { HIDDEN = "a" } }
      assert.same({ "b" }, client:names "tools")
      client.proxy:reload()
      assert.same({ "b" }, client:names "tools")
      client.proxy:reload { env = { HIDDEN = "b" } }
      assert.same({ "a" }, client:names "tools")
      assert.equal(1, #client:got "notifications/tools/list_changed")
    end)
  end)

  it("is not for the spec's own state", function()
    local ok, why = pcall(require, "lunette")
    assert.is_false(ok)
    assert.truthy(why:find('with require "lunette.test"', 1, true), why)
  end)
end)

describe("lunette.test's annotations", function()
  local root = debug.getinfo(1, "S").source:match "^@(.*)spec/e2e/"
  local annotations = dofile(root .. "spec/support/annotations.lua")
  local classes = annotations.read(root .. "lua/lunette/test/types.lua")
  local function methods(of) return annotations.functions_of(getmetatable(of).__index, true) end

  it("tell of the module", function()
    assert.same({}, annotations.differences(classes, "lunette.test", annotations.functions_of(test)))
    for name, value in pairs(test) do
      if type(value) ~= "function" then assert.truthy(annotations.fields(classes, "lunette.test")[name], name) end
    end
  end)

  it("tell of the methods of all that it gives", function()
    local call
    local s = test.server { tools = { { name = "a", handler = function(_, c) call = c return "" end } } }
    local client = test.connect { text = "", servers = { s = s } }
    client:call "a"
    for class, one in pairs { Server = s, Session = s.sessions[1], Call = call, Client = client, Proxy = client.proxy,
      Pending = client:send "ping" } do
      assert.same({}, annotations.differences(classes, "lunette.test." .. class, methods(one)))
      for field in pairs(classes["lunette.test." .. class].fields) do
        assert.is_not_nil(one[field], class .. "." .. field)
      end
    end
  end)

  it("tell of the options", function()
    for class, give in pairs { ServerOptions = test.server, Options = test.run,
      ClientOptions = function(options) return test.connect { text = "", client = options } end } do
      for field in pairs(classes["lunette.test." .. class].fields) do
        local ok, why = pcall(give, { [field] = coroutine.create(print), zzzz = 1 })
        assert.is_false(ok)
        assert.truthy(why:find("unknown option zzzz", 1, true), why)
      end
    end
  end)
end)
