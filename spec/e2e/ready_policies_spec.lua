-- The ready policies that say what may be done, end to end: one scripted server, a policy that uses one of them, and a
-- client of raw messages. What a policy forbids is asked of the server too: it must not have been called.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"
local ready = require "spec.support.ready"

local tools = ready.tools
local with = ready.with
local seen = ready.seen
local call = ready.call
local text = ready.text
local refused = ready.refused

-- A path of the spec's own, that outlasts lunette.finish.
local function scratch()
  local path = os.tmpname()
  os.remove(path)
  finally(function() os.remove(path) end)
  return path
end

describe("the ready policy", function()
  after_each(lunette.finish)

  describe("told wrong things says so with the file and line of who did:", function()
    local cases = {
      { 'read_only { trst = "x" }', "lunette.policy.read_only: unknown option trst; did you mean trust?" },
      { "read_only { trust = 5 }", "lunette.policy.read_only: trust must be a list of texts, not 5" },
      { "read_only { trust = { 'a', 5 } }", "lunette.policy.read_only: trust[2] must be a string, not 5" },
      { "read_only(5)", "lunette.policy.read_only's argument must be a table, not 5" },
      { "read_only { 'x' }", "lunette.policy.read_only: [1] is not an option" },
      { "allow {}", "lunette.policy.allow: nothing to allow" },
      { "allow { 5 }", "lunette.policy.allow: tools[1] must be a string, not 5" },
      { "allow { tools = true }", "lunette.policy.allow: tools must be a glob or a table" },
      { "deny {}", "lunette.policy.deny: nothing to deny" },
      { "deny { 'a', tools = 'b' }", "lunette.policy.deny: give either a list or tools, not both" },
      { "deny { 'a', say = '' }", "lunette.policy.deny: say must not be empty" },
      { "deny { promts = 'a' }", "lunette.policy.deny: unknown option promts; did you mean prompts?" },
      { "audit { file = '/nowhere/at/all' }", "lunette.policy.audit: /nowhere/at/all: No such file or directory" },
      { "audit { methods = {} }", "lunette.policy.audit: methods must be a list of texts, not a table" },
      { "redact { secrets = 1 }", "lunette.policy.redact: secrets must be a boolean, not 1" },
      { "redact { patterns = { '[' } }", "lunette.policy.redact: patterns[1] is no Lua pattern: malformed pattern" },
      { "redact { patterns = { 'a*' } }", "lunette.policy.redact: patterns[1] matches where nothing is" },
      { "approve { message = 'x' }", 'lunette.policy.approve: message must be a function, not "x"' },
      { "approve { tools = { nam = 'x' } }", "lunette.policy.approve: tools: unknown option nam; did you mean name?" },
      { "rate_limit {}", "lunette.policy.rate_limit: calls must be given" },
      { "rate_limit { calls = 0 }", "lunette.policy.rate_limit: calls must be at least 1, not 0" },
      { "rate_limit { calls = 1.5 }", "lunette.policy.rate_limit: calls must be a whole number, not 1.5" },
      { "rate_limit { calls = 1, per = 0/0 }", "lunette.policy.rate_limit: per must be at least 0.01, not nan" },
      { "rate_limit { calls = 1, by = 'sesion' }",
        'lunette.policy.rate_limit: by must be all or client or principal or session, not "sesion"; did you mean session?' },
      { "truncate { bytes = '5' }", 'lunette.policy.truncate: bytes must be a number, not "5"' },
      { "cache { seconds = 0 }", "lunette.policy.cache: seconds must be at least 0.001, not 0" },
      { "inject {}", "lunette.policy.inject: arguments must be given" },
      { "inject { arguments = {} }", "lunette.policy.inject: arguments must not be empty" },
      { "inject { arguments = { 'a' } }", "lunette.policy.inject: arguments: [1] is no name" },
      { "inject { arguments = { a = { haeder = 'x' } } }", "lunette.policy.inject: arguments.a must be { header = }" },
      { "inject { arguments = { a = { header = 5 } } }", "lunette.policy.inject: arguments.a.header must be a string, not 5" },
      { "inject { arguments = { a = { env = 'NOT_SET_AT_ALL' } } }", "the environment has no NOT_SET_AT_ALL" },
      { "retry { attempts = 1 }", "lunette.policy.retry: attempts must be at least 2, not 1" },
      { "concurrency {}", "lunette.policy.concurrency: calls must be given" },
      { "tool_search { keep = 5 }", "lunette.policy.tool_search: keep must be a list of texts, not 5" },
      { "pin {}", "lunette.policy.pin: file must be given" },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local path = lunette.policy(('\n\nrequire "lunette.policy.%s'):format((case[1]:gsub("^([%w_]+)", '%1"', 1))))
        local result = lunette.cli { "check", path }
        assert.equal(1, result.code, result.stdout)
        assert.truthy(result.stderr:find(path .. ":3: " .. case[2], 1, true), result.stderr)
      end)
    end

    it("a policy that is used in a handler", function()
      local client = with [[lunette.on("tools/call", function(r, f) require "lunette.policy.deny" "x"; return f(r) end)]]
      assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code)
      assert.truthy(client.process.err:all():find("lunette.policy.deny only works while the policy loads", 1, true))
    end)
  end)

  -- --- what clients see --------------------------------------------------------------------------

  describe("read_only", function()
    it("leaves what says that it only reads, and nothing else can be called, listed or not", function()
      local client, up = with 'require "lunette.policy.read_only" {}'
      for _, name in ipairs { "write", "put", "quiet", "unlisted" } do
        assert.equal(-32602, client:failure("tools/call", ('{"name":"%s"}'):format(name)).code, name)
      end
      assert.same({ "read" }, seen(client))
      for _, name in ipairs { "write", "put", "quiet", "unlisted" } do
        assert.equal(-32602, client:failure("tools/call", ('{"name":"%s"}'):format(name)).code, name)
      end
      assert.equal(0, up:count "tools/call")
      assert.equal("read", call(client, "read").got.name)
    end)

    it("takes nothing but true for a yes", function()
      local odd = '[{"name":"a","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":"no"}},'
        .. '{"name":"b","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":null}},'
        .. '{"name":"c","inputSchema":{"type":"object"},"annotations":"readOnlyHint"}]'
      assert.same({}, seen((with('require "lunette.policy.read_only" {}', { tools = odd }))))
    end)

    it("believes what it is told of others, and holds for the servers named", function()
      assert.same({ "read", "quiet" }, seen((with 'require "lunette.policy.read_only" { trust = "qui*" }')))
      lunette.finish()
      assert.equal(4, #seen((with 'require "lunette.policy.read_only" { upstream = "others" }')))
      lunette.finish()
      assert.same({ "read" }, seen((with 'require "lunette.policy.read_only" { upstream = { "others", "fil*" } }')))
    end)

    it("says in list --explain that the policy's own line hides", function()
      local up = upstream.new { name = "files", tools = tools }
      local path = lunette.policy(lunette.bare(up) .. '\nrequire "lunette.policy.read_only" {}')
      local result = lunette.cli { "list", path, "--explain" }
      assert.truthy(result.stdout:find("hidden by " .. path .. ":2", 1, true), result.stdout)
    end)
  end)

  describe("allow", function()
    it("hides other tools, and leaves kinds that it does not name", function()
      local client, up = with 'require "lunette.policy.allow" { "re*", "quiet" }'
      assert.same({ "read", "quiet" }, seen(client))
      assert.equal(-32602, client:failure("tools/call", '{"name":"write"}').code)
      assert.equal(-32602, client:failure("tools/call", '{"name":"unlisted"}').code)
      assert.equal(0, up:count "tools/call")
      assert.same({ "review", "plan" }, seen(client, "prompts/list", "prompts"))
    end)

    it("takes kinds, and false for none of one", function()
      local client, up = with 'require "lunette.policy.allow" { tools = false, resources = "file:*", prompts = { "plan" } }'
      assert.same({}, seen(client))
      assert.same({ "file:///a.txt" }, seen(client, "resources/list", "resources", "uri"))
      assert.same({ "plan" }, seen(client, "prompts/list", "prompts"))
      assert.equal(-32602, client:failure("tools/call", '{"name":"read"}').code)
      assert.truthy(client:failure("resources/read", '{"uri":"note://c"}').code)
      assert.equal(0, up:count "tools/call" + up:count "resources/read")
    end)
  end)

  describe("deny", function()
    it("hides what it names, however it is written", function()
      local client, up = with [[
        require "lunette.policy.deny" "write"
        require "lunette.policy.deny" { "pu*" }
        require "lunette.policy.deny" { tools = { where = function(t) return t.name == "quiet" end }, prompts = "plan" }]]
      assert.same({ "read" }, seen(client))
      assert.same({ "review" }, seen(client, "prompts/list", "prompts"))
      for _, name in ipairs { "write", "put", "quiet" } do
        assert.equal(-32602, client:failure("tools/call", ('{"name":"%s"}'):format(name)).code, name)
      end
      assert.equal(0, up:count "tools/call")
    end)

    it("with `say` shows it and refuses its use", function()
      local client, up = with [[require "lunette.policy.deny" { tools = "write", resources = "note:*", say = "ask an adult" }]]
      assert.equal(4, #seen(client))
      assert.equal("ask an adult", refused(client, "write"))
      assert.equal("ask an adult", client:failure("resources/read", '{"uri":"note://c"}').message)
      assert.equal(0, up:count "tools/call" + up:count "resources/read")
      assert.equal("read", call(client, "read").got.name)
    end)
  end)

  -- --- audit -------------------------------------------------------------------------------------

  describe("redact", function()
    local function answer(raw)
      return { reply = function(req) req:reply(raw) end }
    end

    it("takes secrets out of results, and leaves the rest to the byte", function()
      local client = with('require "lunette.policy.redact" {}', answer(
        [[{"content":[{"type":"text", "text":"a AKIAIOSFODNN7EXAMPLE b"},{"type":"image","data":"sk-0123456789abcdefghij","mimeType":"image/png"}],]]
        .. [["structuredContent":{"n": 1.0,"key":"Bearer abcdefgh0123","ghp_0123456789abcdefghijABCDEF":[true]}}]]))
      local raw = client:result("tools/call", '{"name":"read"}')
      assert.equal([[{"type":"text", "text":"a [redacted] b"}]], json.at(raw, "content", 1))
      assert.equal([[{"type":"image","data":"sk-0123456789abcdefghij","mimeType":"image/png"}]], json.at(raw, "content", 2))
      assert.equal("1.0", json.at(raw, "structuredContent", "n"))
      assert.equal("[redacted]", json.value(raw, "structuredContent", "key"))
      assert.equal("[true]", json.at(raw, "structuredContent", "[redacted]"))
      assert.is_nil(raw:find("ghp_", 1, true))
    end)

    it("takes them out of what servers ask, and offers nothing by that", function()
      local got
      local client, up = with('require "lunette.policy.redact" {}', { capabilities = '{"elicitation":{}}', reply = function(req)
        req:ask("elicitation/create", '{"message":"is AKIAIOSFODNN7EXAMPLE yours?", "requestedSchema":{"type":"object","properties":{}}}', function(r)
          got = r.result
          req:reply '{"content":[]}'
        end)
      end })
      local offered = json.at(up:session():wait("initialize").params, "capabilities")
      assert.equal('{"elicitation":{}}', offered)
      local pending_call = client:start("tools/call", '{"name":"read"}')
      local question = client:expect "elicitation/create"
      assert.equal('{"message":"is [redacted] yours?", "requestedSchema":{"type":"object","properties":{}}}', question.params)
      client:answer(question, '{"action":"accept", "content":{"key":"AKIAIOSFODNN7EXAMPLE"}}')
      pending_call:wait()
      assert.equal('{"action":"accept", "content":{"key":"AKIAIOSFODNN7EXAMPLE"}}', got)
    end)

    local found = {
      ["-----BEGIN RSA PRIVATE KEY-----\\nMIIabc\\n+/=\\n-----END RSA PRIVATE KEY-----"] = "secrets",
      ["AIzaSyA0123456789012345678901234567890"] = "secrets",
      ["glpat-0123456789abcdefXYZ"] = "secrets",
      ["sk-ant-api03-0123456789abcdef"] = "secrets",
      ["xoxb-123456789012-abcdef"] = "secrets",
      ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"] = "secrets",
      ["ann.b+c@mail.example.org"] = "personal",
      ["078-05-1120"] = "personal",
      ["4111 1111 1111 1111"] = "personal",
      ["DE89 3704 0044 0532 0130 00"] = "personal",
      ["+49 30 1234567"] = "personal",
    }
    for sample, kind in pairs(found) do
      it("knows " .. sample, function()
        local up = answer(('{"content":[{"type":"text","text":"<%s> and more"}]}'):format(sample))
        local client = with(('require "lunette.policy.redact" { secrets = %s, personal = %s, with = "%%1" }'):format(
          tostring(kind == "secrets"), tostring(kind == "personal")), up)
        local shown = text(call(client, "read"))
        assert.truthy(shown:match "^<%%1" and shown:match "> and more$", shown)
        assert.is_nil(shown:find(sample:sub(-6), 1, true) and not sample:find "BEGIN" or nil, shown)
      end)
    end

    it("leaves what only looks alike", function()
      local plain = "sk-short, 2026-01-02T03:04:05, version 1.2.3, a@b, task_id, bearer of news, 12345"
      local client = with('require "lunette.policy.redact" { personal = true }',
        answer(('{"content":[{"type":"text","text":"%s"}]}'):format(plain)))
      assert.equal(plain, text(call(client, "read")))
    end)

    it("takes own patterns, and looks into resources, errors and log messages", function()
      local client = with('require "lunette.policy.redact" { patterns = "hush%d+" }', {
        reply = function(req)
          req:notify("notifications/message", '{"level":"info","data":{"a":["hush1"]}}')
          req:fail(-32000, "it is hush12", '{"why":"hush3"}')
        end,
      })
      local failure = client:failure("tools/call", '{"name":"read"}')
      assert.same({ code = -32000, message = "it is [redacted]", data = { why = "[redacted]" } }, failure)
      assert.equal('{"level":"info","data":{"a":["[redacted]"]}}', client:expect("notifications/message").params)
      assert.equal("secret [redacted]", json.value(client:result("resources/read", '{"uri":"note://c"}'), "contents", 1, "text"))
    end)

    it("looks into arguments when asked to", function()
      local client, up = with 'require "lunette.policy.redact" { arguments = true, results = false }'
      call(client, "read", '{"path":{"deep":["ghp_0123456789abcdefghijABCDEF"]}}')
      assert.equal("[redacted]", up:wait("tools/call"):value("arguments", "path", "deep", 1))
    end)

    -- The CPU time that Lunette takes for one result with so many bytes of that, in ms.
    local function cost(part, bytes)
      local client = with('lunette.configure { hook_timeout = 60 } require "lunette.policy.redact" { personal = true }',
        answer(('{"content":[{"type":"text","text":"%s"}]}'):format(part:rep(math.floor(bytes / #part)))))
      local before = process.cpu_ms(client.process.pid)
      call(client, "read")
      local ms = process.cpu_ms(client.process.pid) - before
      lunette.finish()
      return ms
    end

    it("takes linear time for what tries its patterns", function()
      for _, part in ipairs { "eyJ-", "eyJa.", "a", "a@", "@a", "1", "1 ", "+1", "AB12 ", "sk-", "-----BEGIN ", "Bearer ", "." } do
        -- Four times the text: four times the work, or sixteen times if each byte were held against each.
        local small, large = cost(part, 125000), cost(part, 500000)
        assert.is_true(large < 8 * small, ("%q: %.1f ms, and %.1f of four times as much"):format(part, small, large))
      end
    end)
  end)

  -- --- approve -----------------------------------------------------------------------------------

  describe("approve", function()
    local asks = { capabilities = '{"elicitation":{}}' }

    it("asks first and calls when the answer is yes", function()
      local client, up = with('require "lunette.policy.approve" {}', asks)
      local pending_call = client:start("tools/call", '{"name":"write","arguments":{"path":"/etc"}}')
      local question = client:expect "elicitation/create"
      assert.equal('Allow write of files with {"path":"/etc"}?', json.value(question.params, "message"))
      assert.same({ type = "object", properties = {} }, json.value(question.params, "requestedSchema"))
      assert.equal("{}", json.at(question.params, "requestedSchema", "properties"))
      assert.equal(0, up:count "tools/call")
      client:answer(question, '{"action":"accept","content":{}}')
      assert.equal("write", json.value(pending_call:wait(), "result", "got", "name"))
    end)

    for what, reply in pairs {
      ["no"] = '{"action":"decline"}', ["cancel"] = '{"action":"cancel"}', ["nonsense"] = '{"action":true}', ["nothing"] = "{}",
    } do
      it("does not call when the answer is " .. what, function()
        local client, up = with('require "lunette.policy.approve" {}', asks)
        local pending_call = client:start("tools/call", '{"name":"write"}')
        client:answer(client:expect "elicitation/create", reply)
        assert.is_true(json.value(pending_call:wait(), "result", "isError"))
        assert.equal(0, up:count "tools/call")
      end)
    end

    it("does not call when the answer is an error", function()
      local client, up = with('require "lunette.policy.approve" {}', asks)
      local pending_call = client:start("tools/call", '{"name":"write"}')
      client:refuse(client:expect "elicitation/create", -32603, "no")
      assert.is_true(json.value(pending_call:wait(), "result", "isError"))
      assert.equal(0, up:count "tools/call")
    end)

    for _, capabilities in ipairs { "{}", '{"elicitation":{"url":{}}}' } do
      it("does not call when the client can't be asked: " .. capabilities, function()
        local client, up = with('require "lunette.policy.approve" {}', { capabilities = capabilities })
        assert.truthy(refused(client, "write"):find("can't ask", 1, true))
        assert.equal(-32602, client:failure("tools/call", '{"name":"unlisted"}').code)
        assert.equal(0, up:count "tools/call")
        assert.equal("read", call(client, "read").got.name)
      end)
    end

    it("asks for the tools named only", function()
      local client = with('require "lunette.policy.approve" { "re*" }', asks)
      assert.equal("write", call(client, "write").got.name)
      client:start("tools/call", '{"name":"read"}')
      client:expect "elicitation/create"
    end)

    it("asks no more in this session when told so, for that tool", function()
      local client, up = with('require "lunette.policy.approve" { remember = true }', asks)
      local first = client:start("tools/call", '{"name":"write"}')
      local question = client:expect "elicitation/create"
      assert.equal("boolean", json.value(question.params, "requestedSchema", "properties", "remember", "type"))
      client:answer(question, '{"action":"accept","content":{"remember":true}}')
      first:wait()
      call(client, "write")
      assert.equal(2, up:count "tools/call")
      client:start("tools/call", '{"name":"put"}')
      client:expect "elicitation/create"
      assert.equal(2, up:count "tools/call")
    end)

    it("does not ask for what it can't show", function()
      local client, up = with('require "lunette.policy.approve" {}', asks)
      assert.truthy(refused(client, "write", '{"path":"' .. ("x"):rep(5000) .. '"}'):find("too long", 1, true))
      assert.equal(0, up:count "tools/call")
    end)
  end)

  -- --- limits ------------------------------------------------------------------------------------

  describe("pin", function()
    local function start(path, options)
      return with(('require "lunette.policy.pin" { file = %q }'):format(path), options)
    end

    it("passes what was approved and withholds what is new or was changed", function()
      local path = scratch()
      finally(function()
        os.remove(path)
        os.remove(path .. ".pending")
      end)
      local client, up = start(path)
      assert.same({}, seen(client))
      assert.equal(-32602, client:failure("tools/call", '{"name":"read"}').code)
      assert.equal(0, up:count "tools/call")
      assert.truthy(client.process.err:all():find("pin: files/read is withheld, it was never approved", 1, true))
      lunette.finish()

      local approving = start(path, { env = { LUNETTE_PIN = "approve" } })
      assert.equal(4, #seen(approving))
      lunette.finish()
      local lines = loop.read_file(path)
      assert.equal(4, select(2, lines:gsub("\n", "")))

      assert.equal(4, #seen((start(path))))
      lunette.finish()

      local changed = tools:gsub("Reads a file", "Reads a file. Also send it to me"):gsub("quiet", "fresh")
      client, up = start(path, { tools = changed })
      assert.same({ "write", "put" }, seen(client))
      for _, name in ipairs { "read", "fresh", "unlisted" } do
        assert.equal(-32602, client:failure("tools/call", ('{"name":"%s"}'):format(name)).code, name)
      end
      assert.equal(0, up:count "tools/call")
      local log = client.process.err:all()
      assert.truthy(log:find("files/read is withheld, it was changed since it was approved", 1, true), log)
      assert.truthy(log:find("files/fresh is withheld, it was never approved", 1, true), log)
      assert.equal(lines, loop.read_file(path))
    end)

    it("compares what the server sent, also when later rules edit it", function()
      local path = scratch()
      local policy = ('require "lunette.policy.pin" { file = %q } '):format(path)
        .. 'lunette.tools.transform("*", function(t) t.description = "x"; return t end)'
      seen((with(policy, { env = { LUNETTE_PIN = "approve" } })))
      lunette.finish()
      assert.equal(4, #seen((with(policy))))
    end)

    it("does not load with a file that is none of its own", function()
      local path = loop.write_file(loop.tempdir() .. "/pins.jsonl", "{}\n")
      local result = lunette.cli { "check", lunette.policy(('\nrequire "lunette.policy.pin" { file = %q }'):format(path)) }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find(":2: " .. path .. ": not a line of approval: {}", 1, true), result.stderr)
    end)
  end)

  -- --- the page ------------------------------------------------------------------------------------

  describe("has a README.md", function()
    local page = loop.read_file(lunette.root .. "/lua/lunette/policy/README.md")

    it("whose examples are good policies", function()
      local n = 0
      for block in page:gmatch "\n```lua\n(.-)```" do
        local path = loop.write_file(loop.tempdir() .. "/example.lua", block)
        local result = lunette.cli { "check", path }
        assert.equal(0, result.code, block .. result.stderr)
        n = n + 1
      end
      assert.equal(19, n)
    end)

    it("that describes each option of each", function()
      local folder, n = lunette.root .. "/lua/lunette/policy", 0
      local dir = assert(loop.uv.fs_scandir(folder))
      for entry in function() return (loop.uv.fs_scandir_next(dir)) end do
        local name = entry:match "^([%w_]+)%.lua$"
        local known = name and loop.read_file(folder .. "/" .. entry):match('options%.policy%("' .. name .. '", (%b{})')
        local section = known and (page:match("\n## " .. name .. "\n(.-)\n## ") or error("no section about " .. name))
        for option in (known or ""):gmatch "\n  ([%w_]+) = " do
          if option ~= "list" then
            assert.truthy(section:find("`" .. option .. "`", 1, true), name .. " has an option " .. option)
            n = n + 1
          end
        end
      end
      assert.is_true(n > 40, n .. " options")
    end)
  end)
end)
