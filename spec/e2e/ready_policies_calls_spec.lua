-- The ready policies that say how calls are made and what is kept of them: how many, how large,
-- how often, and with what.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local ready = require "spec.support.ready"

local tools = ready.tools
local with = ready.with
local seen = ready.seen
local call = ready.call
local text = ready.text
local refused = ready.refused

describe("the ready policy", function()
  after_each(lunette.finish)

  describe("audit", function()
    local function lines(path)
      local list = {}
      for line in (loop.read_file(path) or ""):gmatch "([^\n]*)\n" do list[#list + 1] = json.decode(line) end
      return list
    end

    it("writes a line before and one after", function()
      local path = loop.tempdir() .. "/audit.jsonl"
      local client = with(('require "lunette.policy.audit" { file = %q }'):format(path), {
        reply = function(req)
          local name = req:value "name"
          if name == "read" then req:reply '{"content":[]}' end
          if name == "put" then req:reply '{"content":[],"isError":true}' end
          if name == "quiet" then req:fail(-32000, "no\nway") end
        end,
      })
      call(client, "read", '{"path":"x"}')
      call(client, "put")
      client:failure("tools/call", '{"name":"quiet"}')
      client:result("resources/read", '{"uri":"note://c"}')
      local l = lines(path)
      assert.equal(8, #l)
      assert.equal("request", l[1].event)
      assert.equal("tools/call", l[1].method)
      assert.equal("read", l[1].name)
      assert.same({ path = "x" }, l[1].arguments)
      assert.equal("files", l[1].upstream)
      assert.equal("spec", l[1].client)
      assert.equal("stdio", l[1].transport)
      assert.truthy(l[1].time:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$")
      assert.equal("response", l[2].event)
      assert.equal("ok", l[2].outcome)
      assert.equal(l[1].call, l[2].call)
      assert.equal("number", type(l[2].ms))
      assert.equal("failed", l[4].outcome)
      assert.same({ "error", -32000, "no\nway" }, { l[6].outcome, l[6].code, l[6].message })
      assert.equal("note://c", l[7].name)
      assert.are_not.equal(l[1].call, l[3].call)
    end)

    it("records a call that the client cancels, and one that a later handler refuses", function()
      local path = loop.tempdir() .. "/audit.jsonl"
      local client, up = with(([[
        require "lunette.policy.audit" { file = %q, arguments = false }
        require "lunette.policy.deny" { "put", say = "no" }]]):format(path), { reply = function() end })
      refused(client, "put")
      local pending_call = client:start("tools/call", '{"name":"write","arguments":{"path":"x"}}')
      up:wait "tools/call"
      client:notify("notifications/cancelled", '{"requestId":' .. pending_call.id .. "}")
      client:request "ping"
      local l = lines(path)
      assert.equal(3, #l)
      assert.equal("failed", l[2].outcome)
      assert.equal("write", l[3].name)
      assert.is_nil(l[3].arguments)
    end)

    it("goes to the log without a file", function()
      local client = with 'require "lunette.policy.audit" {}'
      call(client, "read")
      client.process:wait_stderr '"outcome":"ok"'
      assert.truthy(client.process.err:all():find('"name":"read"', 1, true))
    end)

    it("makes its file for nobody else to read, and tells of one that others may", function()
      local dir = loop.tempdir()
      local client, up = with(('require "lunette.policy.audit" { file = %q }'):format(dir .. "/new.jsonl"))
      local function mode(name) return ("%o"):format(loop.uv.fs_stat(dir .. "/" .. name).mode % 512) end
      assert.equal("600", mode "new.jsonl")
      -- Also the one that takes a rotated one's place.
      assert(loop.uv.fs_rename(dir .. "/new.jsonl", dir .. "/old.jsonl"))
      call(client, "read")
      assert.equal("600", mode "new.jsonl")
      assert.equal(1, up:count "tools/call")
      assert.is_nil(client.process.err:all():find("others may", 1, true))
      loop.write_file(dir .. "/open.jsonl", "")
      assert(loop.uv.fs_chmod(dir .. "/open.jsonl", 420))
      local path = lunette.policy(('\nrequire "lunette.policy.audit" { file = %q }'):format(dir .. "/open.jsonl"))
      local result = lunette.cli { "check", path }
      assert.equal(0, result.code)
      assert.truthy(result.stderr:find(path .. ":2: lunette.policy.audit: others may use " .. dir .. "/open.jsonl", 1, true), result.stderr)
      assert.truthy(result.stderr:find("(its mode is 644)", 1, true), result.stderr)
      assert.equal("644", mode "open.jsonl")
    end)

    it("shortens ids of requests that are very long", function()
      local path = loop.tempdir() .. "/audit.jsonl"
      local client = with(('require "lunette.policy.audit" { file = %q }'):format(path))
      client:request("tools/call", '{"name":"read"}', json.quote(("x"):rep(199) .. ("é"):rep(50000)))
      local id = lines(path)[1].id
      assert.equal(("x"):rep(199) .. "… (100199 bytes)", id)
    end)

    it("lets nothing happen that it can't write", function()
      local dir = loop.tempdir() .. "/gone"
      assert(loop.uv.fs_mkdir(dir, 448))
      local client, up = with(('require "lunette.policy.audit" { file = %q }'):format(dir .. "/audit.jsonl"))
      assert(loop.uv.fs_unlink(dir .. "/audit.jsonl"))
      assert(loop.uv.fs_rmdir(dir))
      assert.equal("policy error", client:failure("tools/call", '{"name":"write"}').message)
      assert.equal(0, up:count "tools/call")
      assert.truthy(client.process.err:all():find("audit: " .. dir, 1, true))
    end)
  end)

  -- --- redact ------------------------------------------------------------------------------------

  describe("rate_limit", function()
    it("refuses what is too much and says when to come again", function()
      local client, up = with 'require "lunette.policy.rate_limit" { calls = 2, per = 100, tools = "r*" }'
      call(client, "read")
      call(client, "read")
      assert.truthy(refused(client, "read"):match "^too many calls: 2 in 100 s are allowed; try again in %d+%.%d s$")
      assert.equal("write", call(client, "write").got.name)
      assert.equal(3, up:count "tools/call")
    end)

    it("fills up again", function()
      local client = with 'require "lunette.policy.rate_limit" { calls = 10, per = 1, burst = 1 }'
      call(client, "read")
      refused(client, "read")
      loop.sleep(150)
      assert.is_nil(call(client, "read").isError)
    end)

    it("counts each session by itself, or all together", function()
      for by, allowed in pairs { session = true, all = false } do
        local _, _, host = with(('require "lunette.policy.rate_limit" { calls = 1, per = 100, by = %q }'):format(by),
          { way = { "http", "stdio" } })
        local a, b = host.client(), host.client()
        a:initialize()
        b:initialize()
        assert.is_nil(call(a, "read").isError)
        assert.equal(not allowed or nil, call(b, "read").isError, by)
        lunette.finish()
      end
    end)

    it("counts by what a function says", function()
      local client = with [[require "lunette.policy.rate_limit" { calls = 1, per = 100,
        by = function(ctx) return ctx.session.client.name end }]]
      call(client, "read")
      refused(client, "read")
    end)
  end)

  describe("concurrency", function()
    -- Answers when the spec says so.
    local function slow()
      local held = {}
      return held, { reply = function(req) held[#held + 1] = req end }
    end

    it("refuses what is too much at once, and lets in the next when one is done", function()
      local held, options = slow()
      local client, up = with('require "lunette.policy.concurrency" { calls = 1 }', options)
      local first = client:start("tools/call", '{"name":"read"}')
      up:wait "tools/call"
      assert.truthy(refused(client, "write"):find("too much at once", 1, true))
      held[1]:reply '{"content":[]}'
      first:wait()
      local second = client:start("tools/call", '{"name":"read"}')
      up:wait("tools/call", 2)
      held[2]:fail(-32000, "no")
      second:wait()
      client:start("tools/call", '{"name":"read"}')
      up:wait("tools/call", 3)
    end)

    it("lets a call wait for its turn", function()
      local held, options = slow()
      local client, up = with('require "lunette.policy.concurrency" { calls = 1, wait = 5 }', options)
      client:start("tools/call", '{"name":"read"}')
      up:wait "tools/call"
      local second = client:start("tools/call", '{"name":"write"}')
      loop.sleep(50)
      assert.equal(1, up:count "tools/call")
      held[1]:reply '{"content":[]}'
      up:wait("tools/call", 2)
      held[2]:reply '{"content":[]}'
      assert.truthy(json.at(second:wait(), "result"))
    end)

    it("gets back the place of a call that is cancelled, or whose client is gone", function()
      local _, options = slow()
      options.way = { "http", "stdio" }
      local _, up, host = with('require "lunette.policy.concurrency" { calls = 1, wait = 5, longest = 0.3 }', options)
      local client = host.client()
      client:initialize()
      local first = client:start("tools/call", '{"name":"read"}')
      up:wait "tools/call"
      client:notify("notifications/cancelled", '{"requestId":' .. first.id .. "}")
      client:start("tools/call", '{"name":"read"}')
      up:wait("tools/call", 2, 250)
      client:close()
      local other = host.client()
      other:initialize()
      other:start("tools/call", '{"name":"read"}')
      up:wait("tools/call", 3, 2000)
    end)
  end)

  describe("truncate", function()
    local function answer(...)
      local blocks = {}
      for i, t in ipairs { ... } do blocks[i] = json.encode { type = "text", text = t } end
      return { reply = function(req) req:reply('{"content":[' .. table.concat(blocks, ",") .. ']}') end }
    end

    it("leaves what fits as it is", function()
      local client = with('require "lunette.policy.truncate" { bytes = 10 }', answer("12345", "67890"))
      local result = call(client, "read")
      assert.equal("12345", result.content[1].text)
      assert.equal("67890", result.content[2].text)
    end)

    it("cuts at whole characters, all texts together, and says how much", function()
      local client = with('require "lunette.policy.truncate" { bytes = 8 }', answer("12345", "ab\195\182\195\182", "xyz"))
      local result = call(client, "read")
      assert.equal("12345", result.content[1].text)
      assert.equal("ab\n[… 4 more bytes left out]", result.content[2].text)
      assert.equal("\n[… 3 more bytes left out]", result.content[3].text)
    end)

    it("holds for the tools named, and for resources when asked to", function()
      local client = with('require "lunette.policy.truncate" { bytes = 6, tools = "w*", resources = true }', answer "0123456789")
      assert.equal("0123456789", text(call(client, "read")))
      assert.equal("012345\n[… 4 more bytes left out]", text(call(client, "write")))
      assert.truthy(json.value(client:result("resources/read", '{"uri":"note://c"}'), "contents", 1, "text"):find("^secret\n%["))
    end)
  end)

  -- --- calls -------------------------------------------------------------------------------------

  describe("inject", function()
    it("hides the argument and puts its own in, whatever the client says", function()
      local client, up = with 'require "lunette.policy.inject" { arguments = { user = { client = "name" } } }'
      local raw = json.elements(json.at(client:result("tools/list", "{}"), "tools"))
      assert.equal('{"path":{"type":"string"}}', json.at(raw[1], "inputSchema", "properties"))
      assert.equal('["path"]', json.at(raw[1], "inputSchema", "required"))
      assert.equal(json.elements(tools)[2], raw[2])
      assert.same({ path = "x", user = "spec" }, call(client, "read", '{"path":"x","user":"root"}').got.arguments)
      client:failure("tools/call", '{"name":"unlisted","arguments":{"user":"root"}}')
      assert.same({ user = "root" }, call(client, "write", '{"user":"root"}').got.arguments)
      assert.equal(2, up:count "tools/call")
    end)

    it("is warned of when no tool has the argument, which clients then go on choosing under its right name", function()
      local client = with [[require "lunette.policy.inject" { arguments = { usr = "ann", user = "ann" } }
        require "lunette.policy.inject" { tools = "raed", arguments = { path = "x" } } ]]
      client:result("tools/list", "{}")
      local log = client.process.err
      loop.wait(function() return log:all():find("no tool has an argument path", 1, true) end, "the warning")
      assert.truthy(log:all():find "warn policy [^\n]*policy%d+%.lua:%d+: lunette%.policy%.inject: no tool has an argument usr\n")
      assert.is_nil(log:all():find("an argument user", 1, true))
    end)

    it("takes headers, the environment, values and functions", function()
      local _, _, host = with([[require "lunette.policy.inject" { tools = "read", arguments = {
          user = { header = "X-User" }, path = { env = "INJECTED" } } }
        require "lunette.policy.inject" { tools = "write", arguments = { path = function(ctx) return ctx.upstream .. "!" end } }
        ]], { way = { "http", "stdio" }, env = { INJECTED = "/srv" } })
      local client = host.client { headers = { "X-User: ann" } }
      client:initialize()
      assert.same({ user = "ann", path = "/srv" }, call(client, "read").got.arguments)
      assert.same({ path = "files!" }, call(client, "write").got.arguments)
      local raw = json.elements(json.at(client:result("tools/list", "{}"), "tools"))[1]
      assert.is_nil(json.at(raw, "inputSchema", "required"))
      local nobody = host.client()
      nobody:initialize()
      assert.equal("this needs header X-User", refused(nobody, "read", '{"user":"ann"}'))
    end)
  end)

  describe("retry", function()
    -- Fails the first n calls.
    local function flaky(n, fail)
      local calls = 0
      return { reply = function(req)
        calls = calls + 1
        if calls > n then return req:reply '{"content":[]}' end
        fail(req)
      end }
    end
    local function internal(req) req:fail(-32603, "broken") end

    it("asks again where that can do no harm", function()
      for _, name in ipairs { "read", "put" } do
        local client, up = with('require "lunette.policy.retry" { delay = 0.01 }', flaky(2, internal))
        assert.is_nil(call(client, name).isError)
        assert.equal(3, up:count "tools/call")
        lunette.finish()
      end
    end)

    it("gives up with the last error", function()
      local client, up = with('require "lunette.policy.retry" { delay = 0.01, attempts = 2 }', flaky(9, internal))
      assert.same({ code = -32603, message = "broken" }, client:failure("tools/call", '{"name":"read"}'))
      assert.equal(2, up:count "tools/call")
    end)

    it("never asks again of tools that don't say that they may, nor after answers", function()
      local client, up = with('require "lunette.policy.retry" { delay = 0.01 }', flaky(9, internal))
      for _, name in ipairs { "write", "quiet" } do
        client:failure("tools/call", ('{"name":"%s"}'):format(name))
      end
      assert.equal(2, up:count "tools/call")
      lunette.finish()
      client, up = with('require "lunette.policy.retry" { delay = 0.01 }', flaky(9, function(req)
        if req:value("arguments", "path") then return req:fail(-32602, "no") end
        req:reply '{"content":[],"isError":true}'
      end))
      assert.is_true(call(client, "read").isError)
      client:failure("tools/call", '{"name":"read","arguments":{"path":"x"}}')
      assert.equal(2, up:count "tools/call")
    end)

    it("does as it is told for tools named, and not for long", function()
      local client, up = with('require "lunette.policy.retry" { "write", attempts = 9, delay = 0.2, longest = 0.3 }',
        flaky(9, internal))
      client:failure("tools/call", '{"name":"write"}')
      assert.equal(2, up:count "tools/call")
    end)
  end)

  -- --- catalogues ----------------------------------------------------------------------------------

  describe("tool_search", function()
    it("lists two tools, finds and calls the others", function()
      local client = with 'require "lunette.policy.tool_search" {}'
      assert.same({ "search_tools", "call_tool" }, seen(client))
      local found = json.decode(text(call(client, "search_tools", '{"query":"Write FILE"}')))
      assert.equal("write", found[1].name)
      assert.equal("Writes a file", found[1].description)
      assert.equal("string", found[1].inputSchema.properties.path.type)
      assert.equal("read", found[2].name)
      assert.equal(2, #found)
      local result = call(client, "call_tool", '{"name":"write","arguments":{"path":"x"}}')
      assert.same({ name = "write", arguments = { path = "x" } }, result.got)
      assert.same({ "search_tools", "call_tool" }, seen(client))
      assert.truthy(text(call(client, "search_tools", '{"query":"%z+ ["}')):find("no tool fits", 1, true))
    end)

    it("keeps what it is told to, and finds nothing that other rules hide", function()
      local client, up = with [[
        require "lunette.policy.read_only" { trust = { "quiet" } }
        require "lunette.policy.tool_search" { keep = "qui*", search = "find", call = "use", results = 1 }]]
      assert.same({ "find", "use", "quiet" }, seen(client))
      assert.equal("no tool fits; try other words", text(call(client, "find", '{"query":"write"}')))
      assert.equal(1, #json.decode(text(call(client, "find", '{"query":"read quiet"}'))))
      assert.equal(-32602, client:failure("tools/call", '{"name":"use","arguments":{"name":"write"}}').code)
      refused(client, "use", '{"name":"use"}')
      refused(client, "use", "{}")
      assert.equal(0, up:count "tools/call")
    end)

    it("calls through the handlers, which see the tool's own name", function()
      local client, up = with [[
        require "lunette.policy.tool_search" {}
        require "lunette.policy.deny" { "write", say = "no writing" }]]
      assert.equal("no writing", refused(client, "call_tool", '{"name":"write"}'))
      assert.equal(0, up:count "tools/call")
    end)
  end)
end)
