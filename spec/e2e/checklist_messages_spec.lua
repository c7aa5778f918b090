-- Rules of the protocol checklist on what a message is, each by its number, where the bytes alone (faithful)
-- or the streams (http_status, resume) don't show it: numbers, text, ids of retries, what a policy keeps.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local options = { tools = '[{"name":"work","inputSchema":{"type":"object"}}]', prompts = '[{"name":"p"}]',
  resources = '[{"uri":"x://1","name":"1"}]' }
local work = '{"name":"work"}'

for _, way in ipairs(lunette.ways) do
  describe("messages from " .. lunette.way_name(way), function()
    local client, up
    after_each(lunette.finish)

    local function start(policy, fields)
      client, up = lunette.between(way, fields or options, { policy = policy })
      client:initialize { capabilities = '{"sampling":{},"roots":{}}' }
      if way[1] == "http" then client:listen() end
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    end

    it("8: ids that no JavaScript can hold never reach the other side, and come back whole", function()
      start()
      for _, id in ipairs { "9007199254740993", "12345678901234567890", "-9007199254740993", '"9007199254740993"' } do
        local answer
        up:on("tools/call", function(req)
          req:ask("roots/list", nil, function(response)
            answer = response
            req:reply '{"content":[]}'
          end, id)
        end)
        local call = client:start("tools/call", work, id)
        local question = client:expect "roots/list"
        assert.truthy(tonumber(question.id) and math.abs(tonumber(question.id)) < 2 ^ 53, question.id)
        client:answer(question, '{"roots":[]}')
        assert.equal(id, json.at(call:wait(), "id"))
        assert.equal(id, answer.id, "the server's own id")
        local sent = up:session().messages
        for i = 1, #sent do
          if sent[i].method then assert.truthy(not sent[i].id or tonumber(sent[i].id) < 2 ^ 53, sent[i].raw) end
        end
      end
    end)

    it("10: text is UTF-8, and every character of it is kept, NUL too", function()
      local text = '"\\u0000 \\u001f \127 \226\128\168 \240\159\140\153 \\ud83c\\udf19 \239\191\191"'
      start()
      up:on("tools/call", function(req) req:reply('{"content":[{"type":"text","text":' .. text .. "}]}") end)
      assert.equal('{"content":[{"type":"text","text":' .. text .. "}]}",
        client:result("tools/call", '{"name":"work","arguments":{"t":' .. text .. "}}"))
      assert.equal(text, up:wait("tools/call"):at("arguments", "t"))
    end)

    it("10: a server's answer that is no UTF-8 fails that call, says so, and no other", function()
      start()
      for _, bad in ipairs { "\255", "\192\128", "\237\160\128", "\244\144\128\128", "\226\130" } do
        up:on("tools/call", function(req) req:reply('{"content":[{"type":"text","text":"' .. bad .. '"}]}') end)
        local err = client:failure("tools/call", work)
        assert.equal(-32603, err.code)
        assert.truthy(err.message:find("no message", 1, true), err.message)
        up:on("tools/call", function(req) req:reply '{"content":[]}' end)
        client:result("tools/call", work)
      end
    end)

    it("12: nesting has an end, on both sides, and the session goes on", function()
      start()
      local deep = ("["):rep(2000) .. ("]"):rep(2000)
      local raw = '{"jsonrpc":"2.0","id":"deep","method":"tools/call","params":{"name":"work","arguments":{"a":' .. deep .. "}}}"
      if way[1] == "http" then
        local response = client:post(raw)
        assert.equal(400, response.status)
        assert.equal(-32600, json.value(response.body, "error", "code"), response.body)
      else
        client:send(raw)
        local refused = loop.wait(function() return table.remove(client.inbox, 1) end, "the refusal")
        assert.equal(-32600, json.value(refused.raw, "error", "code"), refused.raw)
      end
      assert.equal(0, up:count "tools/call")
      up:on("tools/call", function(req) req:reply('{"content":[],"deep":' .. deep .. "}") end)
      assert.equal(-32603, client:failure("tools/call", work).code)
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
      client:result("tools/call", work)
    end)

    it("14: one id is one request at a time, and may be used again", function()
      start()
      local held
      up:on("tools/call", function(req) held = req end)
      local call = client:start("tools/call", work, '"same"')
      loop.wait(function() return held end, "the call")
      local twin = '{"jsonrpc":"2.0","id":"same","method":"tools/call","params":{"name":"work"}}'
      if way[1] == "http" then
        -- Not under the id: a client would take that for the first one's answer.
        local response = client:post(twin)
        assert.equal(400, response.status)
        assert.equal('{"jsonrpc":"2.0","error":{"code":-32600,"message":"A request with this id is under way already"}}', response.body)
      else
        client:send(twin)
        client:result "ping"
        assert.is_nil(call.raw)
        client.process:wait_stderr 'dropped tools/call: a request with its id "same" is under way already'
      end
      held:reply '{"content":[],"first":true}'
      assert.equal('{"content":[],"first":true}', json.at(call:wait(), "result"))
      client:result "ping"
      assert.equal(0, #client.inbox)
      assert.equal(1, up:count "tools/call")
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
      client.calls['"same"'] = nil
      assert.truthy(json.at(client:request("tools/call", work, '"same"'), "result"))
    end)

    it("20: initialize is never cancelled", function()
      up = upstream.new(options)
      if way[2] == "http" then up:http() end
      local held
      up:on("initialize", function(req) held = req end)
      client = lunette.between(way, up)
      local call = client:start("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
      loop.wait(function() return held end, "initialize at the server")
      if way[1] == "stdio" then
        client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
      else
        -- The session has no name yet that a client could know.
        assert.equal(400, client:post(('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}'):format(call.id)).status)
      end
      assert.is_nil(call:done(50))
      assert.equal(0, up:count "notifications/cancelled")
      held:reply '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}'
      assert.truthy(json.at(call:wait(), "result"), call.raw)
      client:notify "notifications/initialized"
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
      client:result("tools/call", work)
    end)

    it("22: what is tried again has a new id, and a token of its own", function()
      start [[lunette.on("tools/call", function(request, forward)
        for _ = 1, 2 do pcall(forward, request) end
        return forward(request) end)]]
      up:on("tools/call", function(req) req:fail(-32000, "again") end)
      client:failure("tools/call", '{"name":"work","_meta":{"progressToken":"t"}}')
      local seen, tokens = {}, {}
      for _, message in ipairs(up:session().messages) do
        if message.method == "tools/call" then
          seen[message.id], tokens[message:at("_meta", "progressToken")] = true, true
        end
      end
      local n, m = 0, 0
      for _ in pairs(seen) do n = n + 1 end
      for _ in pairs(tokens) do m = m + 1 end
      assert.equal(3, n)
      assert.equal(3, m)
    end)

    it("23: _meta of results and data of errors outlive a handler that edits beside them", function()
      start [[lunette.on("tools/call", function(request, forward)
        local result = forward(request)
        result.content[1].text = "edited"
        return result end)
      lunette.on("prompts/get", function(request, forward)
        local ok, err = pcall(forward, request)
        if not ok then error(err) end end)]]
      up:on("tools/call", function(req)
        req:reply '{"content":[{"type":"text","text":"t","_meta":{"a":1.0}}],"_meta":{"x/y":[1e2,{}]},"isError":false}'
      end)
      assert.equal('{"content":[{"type":"text","text":"edited","_meta":{"a":1.0}}],"_meta":{"x/y":[1e2,{}]},"isError":false}',
        client:result("tools/call", work))
      local err = '{"code":-32042,"message":"m","data":{"n":1.0,"_meta":{"k":[]}}}'
      up:on("prompts/get", function(req) req:answer('{"jsonrpc":"2.0","id":%ID%,"error":' .. err .. "}") end)
      assert.equal(err, json.at(client:request("prompts/get", '{"name":"p"}'), "error"))
    end)
  end)
end

describe("messages", function()
  after_each(lunette.finish)

  it("9: numbers that a policy writes are integers where they are", function()
    local client, up = lunette.between({ "stdio", "stdio" }, options, { policy = [[
      lunette.on("tools/call", function(request, forward)
        request.params.arguments = { ttlMs = 300000, big = 1e15, most = 2^53, half = 0.5, minus = -7 }
        local result = forward(request)
        result.ttlMs = 86400 * 1000
        return result end)]] })
    client:initialize()
    up:on("tools/call", function(req) return ('{"content":[],"got":%s}'):format(req:at "arguments") end)
    local result = client:result("tools/call", work)
    assert.equal("86400000", json.at(result, "ttlMs"))
    for name, text in pairs { ttlMs = "300000", big = "1000000000000000", most = "9007199254740992", half = "0.5", minus = "-7" } do
      assert.equal(text, json.at(result, "got", name))
    end
  end)

  it("22: a call that goes once more to a renewed session has an id of that session", function()
    local up = upstream.new(options):http()
    up:on("tools/call", function() return '{"content":[]}' end)
    local client = lunette.stdio { policy = lunette.bare(up) }
    client:initialize()
    for _ = 1, 3 do client:result("tools/call", work) end
    up:forget()
    client:result("tools/call", work)
    assert.equal(2, #up.sessions)
    for _, session in ipairs(up.sessions) do
      local seen = {}
      for _, message in ipairs(session.messages) do
        if message.id then
          assert.is_nil(seen[message.id], "an id twice in one session")
          seen[message.id] = true
        end
      end
    end
  end)

  it("70: no $ref is ever followed, and $schema and $defs stay where they were", function()
    local asked = 0
    local trap = http.listen(function(_, conn)
      asked = asked + 1
      upstream.plain(conn, "200 OK", '{"type":"string"}')
    end)
    local schema = ('{"$schema":"%s/meta","type":"object","$defs":{"p":{"$ref":"%s/p.json"}},"properties":{"a":{"$ref":"#/$defs/p"},'
      .. '"b":{"$ref":"%s/b.json"}},"required":["a"]}'):format(trap.url, trap.url, trap.url)
    local client, up = lunette.between({ "stdio", "stdio" },
      { tools = ('[{"name":"work","inputSchema":%s,"outputSchema":%s}]'):format(schema, schema) }, { policy = [[
      lunette.tools.transform("work", { arguments = { b = { name = "c" } } })
      local ok, validate = pcall(require, "lunette.policy.validate")
      if ok then validate {} end]] })
    up:on("tools/call", function() return '{"content":[],"structuredContent":{"a":"x"}}' end)
    client:initialize()
    local tool = json.at(client:result("tools/list", "{}"), "tools", 1)
    assert.equal(schema, json.at(tool, "outputSchema"))
    local input = json.at(tool, "inputSchema")
    assert.equal(trap.url .. "/meta", json.value(input, "$schema"))
    assert.equal(('{"p":{"$ref":"%s/p.json"}}'):format(trap.url), json.at(input, "$defs"))
    assert.equal(trap.url .. "/b.json", json.value(input, "properties", "c", "$ref"))
    client:request("tools/call", '{"name":"work","arguments":{"a":"x","c":"y"}}')
    client:result "ping"
    assert.equal(0, asked)
  end)

  it("71: what a server says of itself is kept as said: false is not nothing", function()
    local tool = '{"name":"%s","inputSchema":{"type":"object"},"annotations":%s}'
    local annotations = { '{"readOnlyHint":false}', "{}", '{"title":"T","readOnlyHint":true,"destructiveHint":false,"x":null}',
      '{"readOnlyHint":"yes"}', "null" }
    local list = {}
    for i, text in ipairs(annotations) do list[i] = tool:format("t" .. i, text) end
    local client = lunette.between({ "stdio", "stdio" }, { tools = "[" .. table.concat(list, ",") .. "]" }, { policy = [[
      lunette.tools.transform("*", { description = "d" })
      lunette.tools.transform("t1", { title = "One" })]] })
    client:initialize()
    local shown = json.elements(json.at(client:result("tools/list", "{}"), "tools"))
    for i, text in ipairs(annotations) do assert.equal(text, json.at(shown[i], "annotations")) end
  end)

  it("77: what official clients will drop a whole result for is said in the log, and passed on", function()
    local resources = '[{"uri":"x://1","name":"1","annotations":{"lastModified":"yesterday"}}]'
    local client, up = lunette.between({ "stdio", "stdio" }, { tools = options.tools, resources = resources })
    client:initialize()
    assert.equal(resources, json.at(client:result("resources/list", "{}"), "resources"))
    client.process:wait_stderr 'resource "x://1": lastModified is no RFC 3339 date'
    local result = '{"content":[{"type":"image","mimeType":"image/png","data":"not base64!"}]}'
    up:on("tools/call", function() return result end)
    assert.equal(result, client:result("tools/call", work))
    client.process:wait_stderr "tools/call: data or blob is not base64"
    up:on("resources/read", function() return '{"contents":[{"uri":"x://1","blob":"AAAA"}]}' end)
    client:result("resources/read", '{"uri":"x://1"}')
    assert.is_nil(client.process.err:all():find("resources/read", 1, true))
  end)
end)
