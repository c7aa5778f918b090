-- Time limits of a policy's own: what forward does with one, and the ready policy that stands on it. Whatever
-- was under way for the forward is called off, wherever it is.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local tools = '[{"name":"slow","inputSchema":{"type":"object"}},{"name":"other","inputSchema":{"type":"object"}}]'
local late = { code = -32001, message = "No answer within 0.2 s", data = { timeout = 0.2 } }

describe("forward with a timeout", function()
  after_each(lunette.finish)

  local function with(policy, options)
    options = options or {}
    local client, up, host = lunette.between(options.way or { "stdio", "stdio" }, { tools = tools },
      { policy = "lunette.configure { drain_timeout = 0.2 } " .. policy, extra = options.extra })
    client:initialize(options)
    return client, up, host
  end

  local limit = 'lunette.on("tools/call", "slow", function(request, forward) return forward(request, { timeout = 0.2 }) end) '

  for _, way in ipairs(lunette.ways) do
    it("gives up, tells the server and leaves its late answer unheard, " .. lunette.way_name(way), function()
      local client, up = with(limit, { way = way })
      local held
      up:on("tools/call", function(req) held = req end)
      assert.same(late, client:failure("tools/call", '{"name":"slow"}'))
      local told = up:wait "notifications/cancelled"
      assert.equal(held.id, told:at "requestId")
      assert.equal("timed out", told:value "reason")
      if way[2] == "stdio" then held:reply '{"content":[]}' end
      up:on("tools/call", function(req) req:reply '{"content":[],"n":1.0}' end)
      assert.equal('{"content":[],"n":1.0}', client:result("tools/call", '{"name":"slow"}'))
    end)
  end

  it("takes an answer in time as it is, and may be tried again", function()
    local client, up = with [[lunette.on("tools/call", "slow", function(request, forward)
      for _ = 1, 2 do pcall(forward, request, { timeout = 0.1 }) end
      return forward(request, { timeout = 20 }) end)]]
    local n = 0
    up:on("tools/call", function(req)
      n = n + 1
      if n == 3 then loop.after(200, function() req:reply '{"content":[], "n": 1.0}' end) end
    end)
    assert.equal('{"content":[], "n": 1.0}', client:result("tools/call", '{"name":"slow"}'))
    assert.equal(2, up:count "notifications/cancelled")
  end)

  it("ends what handlers further in wait for", function()
    local s = http.listen(function() end)
    local inner = {
      sleeps = "lunette.sleep(60)",
      fetches = ("lunette.http %q"):format(s.url),
      asks = "ctx:sample { messages = {}, maxTokens = 1 }",
      calls = 'ctx:call_tool("other", {})',
      forwards = "forward(request)",
    }
    for what, wait in pairs(inner) do
      local client, up = with(limit .. ([[lunette.on("tools/call", "slow", function(request, forward, ctx)
          %s
          lunette.log.error "it went on" end)]]):format(wait), { capabilities = '{"sampling":{}}' })
      up:on("tools/call", function() end)
      assert.same(late, client:failure("tools/call", '{"name":"slow"}'), what)
      assert.equal("{}", client:result "ping")
      assert.is_nil(client.process.err:all():find("it went on", 1, true), what)
      if what == "fetches" then loop.wait(function() return s.connections[1].gone end, "the connection to be closed") end
      if what == "calls" then up:wait "notifications/cancelled" end
      if what == "asks" then
        local asked = client:expect "sampling/createMessage"
        assert.equal(asked.id, json.at(client:expect("notifications/cancelled").raw, "params", "requestId"))
      end
    end
  end)

  it("ends a component's function", function()
    local client = with(limit .. [[lunette.on("tools/call", "mine", function(request, forward) return forward(request, { timeout = 0.2 }) end)
      lunette.tools.add { name = "mine", handler = function() lunette.sleep(60) end }]])
    assert.same(late, client:failure("tools/call", '{"name":"mine"}'))
  end)

  it("leaves the outer of two limits what the inner one doesn't use", function()
    local client, up = with [[lunette.on("tools/call", "slow", function(request, forward)
        return forward(request, { timeout = 5 }) end)
      lunette.on("tools/call", "slow", function(request, forward)
        local ok, err = pcall(forward, request, { timeout = 0.1 })
        return ok and err or lunette.deny(err.message) end)
      lunette.on("tools/call", "other", function(request, forward)
        return forward(request, { timeout = 0.1 }) end)
      lunette.on("tools/call", "other", function(request, forward)
        return forward(request, { timeout = 5 }) end)]]
    up:on("tools/call", function() end)
    assert.equal("No answer within 0.1 s", json.value(client:result("tools/call", '{"name":"slow"}'), "content", 1, "text"))
    assert.equal("No answer within 0.1 s", client:failure("tools/call", '{"name":"other"}').message)
  end)

  it("limits what a client is asked, too, and tells it", function()
    local client, up = with([[lunette.sampling(function(request, forward) return forward(request, { timeout = 0.2 }) end)]],
      { capabilities = '{"sampling":{}}' })
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
        req:reply('{"content":[],"got":' .. answer.error .. "}")
      end)
    end)
    local call = client:start("tools/call", '{"name":"slow"}')
    local asked = client:expect "sampling/createMessage"
    assert.same(late, json.decode(json.at(call:wait(), "result", "got")))
    assert.equal(asked.id, json.at(client:expect("notifications/cancelled").raw, "params", "requestId"))
  end)

  it("is over with the client's own cancelling", function()
    local client, up = with(limit)
    up:on("tools/call", function() end)
    local call = client:start("tools/call", '{"name":"slow"}')
    up:wait "tools/call"
    client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
    up:wait "notifications/cancelled"
    loop.sleep(300)
    assert.is_nil(call:done(1))
    assert.equal(1, up:count "notifications/cancelled")
  end)

  it("sends nothing any more once it is over, though it was still looking for whom to send it to", function()
    local client, up = lunette.between({ "stdio", "stdio" }, {
      resources = '[{"uri":"file:///a","name":"a"},{"uri":"file:///c","name":"c"}]',
      templates = '[{"uriTemplate":"x://{y}","name":"x"}]',
    }, { policy = [[lunette.resources.hide "nothing:*"
      lunette.on("resources/read", function(request, forward)
        request.params.uri = "x://b"
        local _, late = pcall(forward, request, { timeout = 0.2 })
        request.params.uri = "file:///c"
        local result = forward(request)
        result.late = late.message
        return result
      end)]] })
    client:initialize()
    local listing
    up:on("resources/templates/list", function(req) listing = req end)
    up:on("resources/read", function(req)
      -- The list comes while another forward is under way.
      listing:reply '{"resourceTemplates":[{"uriTemplate":"x://{y}","name":"x"}]}'
      loop.after(50, function() req:reply('{"contents":[],"got":' .. req.params .. "}") end)
    end)
    local result = client:result("resources/read", '{"uri":"file:///a"}')
    assert.equal("No answer within 0.2 s", json.value(result, "late"))
    assert.equal("file:///c", json.value(result, "got", "uri"))
    client:result "ping"
    assert.equal(1, up:count "resources/read")
  end)

  it("is there for a transform's call, too, with all that waits further in", function()
    local inner = { forwards = "return forward(args)", sleeps = "lunette.sleep(60)", calls = 'return ctx:call_tool("other")' }
    for what, body in pairs(inner) do
      local client, up = with(([[lunette.tools.transform("slow", { call = function(args, forward, ctx) %s end })
        lunette.tools.transform("slow", { call = function(args, forward)
          local ok, err = pcall(forward, args, { timeout = 0.2 })
          return ok and "in time" or lunette.json.encode(err) end })]]):format(body))
      up:on("tools/call", function() end)
      local said = json.value(client:result("tools/call", '{"name":"slow"}'), "content", 1, "text")
      assert.same(late, json.decode(said), what)
      if what == "sleeps" then
        assert.equal(0, up:count "tools/call")
      else
        up:wait "notifications/cancelled"
      end
    end
    local client = with 'lunette.tools.transform("slow", { call = function(args, forward) return forward(args, { timout = 1 }) end })'
    client:failure("tools/call", '{"name":"slow"}')
    client.process:wait_stderr "forward: unknown option timout; did you mean timeout?"
  end)

  it("says what is wrong with its options", function()
    local cases = { { "5", "forward's second argument must be a table, not 5" },
      { "{ timout = 1 }", "forward: unknown option timout; did you mean timeout?" },
      { "{ timeout = 0 }", "forward: timeout must be above 0 and at most 86400 seconds, not 0" },
      { "{ timeout = 'x' }", 'forward: timeout must be a number, not "x"' } }
    for _, case in ipairs(cases) do
      local client = with(('lunette.on("tools/call", function(request, forward) return forward(request, %s) end)'):format(case[1]))
      client:failure("tools/call", '{"name":"slow"}')
      client.process:wait_stderr(case[2])
      assert.truthy(client.process.err:all():find "policy%d+%.lua:2: forward")
    end
  end)
end)

describe("what a handler asks a client", function()
  after_each(lunette.finish)

  for _, way in ipairs { { "stdio", "stdio" }, { "http", "stdio" } } do
    it("is withdrawn when the call is cancelled, as often as that happens, " .. way[1], function()
      local client = lunette.between(way, { tools = tools }, { policy = [[
        lunette.configure { max_in_flight = 3 }
        lunette.on("tools/call", function(request, forward, ctx)
          local answer = ctx:elicit { message = "May I?", requestedSchema = { type = "object", properties = {} } }
          return lunette.deny(answer.action) end)]] })
      client:initialize { capabilities = '{"elicitation":{}}' }
      for _ = 1, 5 do
        local call = client:start("tools/call", '{"name":"slow"}')
        local asked = client:expect "elicitation/create"
        client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
        assert.equal(asked.id, json.at(client:expect("notifications/cancelled").raw, "params", "requestId"))
        client:answer(asked, '{"action":"accept"}') -- late: nobody hears it
        assert.is_nil(call:done(1))
      end
      local call = client:start("tools/call", '{"name":"slow"}')
      client:answer(client:expect "elicitation/create", '{"action":"decline"}')
      assert.equal("decline", json.value(call:wait(), "result", "content", 1, "text"))
    end)
  end
end)

describe("the ready policy timeout", function()
  after_each(lunette.finish)

  it("calls a tool off that takes too long, and tells the model", function()
    local client, up = lunette.between({ "stdio", "stdio" }, { tools = tools }, { policy =
      [[require "lunette.policy.timeout" { tools = "s*", seconds = 0.2 }
        require "lunette.policy.timeout" { tools = "slow", seconds = 20, say = "never" }]] })
    up:on("tools/call", function(req)
      if req:value "name" == "other" then loop.after(400, function() req:reply '{"content":[]}' end) end
    end)
    client:initialize()
    local other = client:start("tools/call", '{"name":"other"}')
    local result = client:result("tools/call", '{"name":"slow"}')
    assert.equal('{"content":[{"text":"slow was called off after 0.2 s; try something that is quicker","type":"text"}],"isError":true}',
      result)
    up:wait "notifications/cancelled"
    assert.equal('{"content":[]}', json.at(other:wait(), "result"))
  end)

  it("leaves results and errors as they are, a server's own timeout among them", function()
    local client, up = lunette.between({ "stdio", "stdio" }, { tools = tools }, { policy =
      [[require "lunette.policy.timeout" { seconds = 20 }]] })
    up:on("tools/call", function(req)
      if req:value "name" == "other" then req:fail(-32001, "Request timed out", '{"timeout":60000}') else
        req:reply '{"content":[], "n": 1.0}'
      end
    end)
    client:initialize()
    assert.equal('{"content":[], "n": 1.0}', client:result("tools/call", '{"name":"slow"}'))
    assert.same({ code = -32001, message = "Request timed out", data = { timeout = 60000 } },
      client:failure("tools/call", '{"name":"other"}'))
  end)

  it("wants to know how long", function()
    local result = lunette.cli { "check", lunette.policy 'require "lunette.policy.timeout" {}' }
    assert.truthy(result.stderr:find("policy%d+%.lua:1: lunette%.policy%.timeout: seconds must be given"), result.stderr)
  end)
end)
