-- What no policy touches arrives byte for byte, in both directions and over every pair of
-- transports. Compared are raw bytes: what the client sent with what the server read, and what the
-- server sent with what the client read. Only ids (and progress tokens) are Lunette's own.
-- Numbers at the front of names are those of the protocol checklist.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

-- One level of everything that a decoder and encoder would change.
local odd = {
  numbers = '[1.0,1e2,1E+2,-0.0,0.10,12345678901234567890,9007199254740993,1e400,-1.5e-7,123456789.000]',
  ["empty containers"] = '{"a":[],"o":{},"n":null,"na":[[]],"ao":[{}]}',
  ["key order"] = '{"z":1,"a":2,"m":{"y":1,"b":2},"0":3,"":4}',
  ["spaces and tabs"] = '{ "a" :\t1 , "b" : [ 1 ,2 , 3 ] ,"c":{ } , "d" : [ ] }',
  escapes = [=["\u0041\/\b\f\n\r\t\"\\\u00e9\ud83c\udf19\u0000\u001f\u007f"]=],
  ["raw UTF-8"] = '"grüße 世界 \240\159\140\153 \226\128\168 \194\133 \239\191\191"',
  ["names with escapes"] = [[{"\u006eame":"a","a\/b":1,"caf\u00e9":2,"":{}}]],
  ["literals"] = '[true,false,null,"","true","null"]',
  ["names of the envelope"] = '{"jsonrpc":"1.0","id":null,"method":[],"params":0,"result":{},"error":{}}',
  ["metadata"] = '{"_meta":{"a/b":[1.0],"progressToken":"not mine"},"icons":[{"src":"x","sizes":["1x1"]}]}',
}

-- White space around a message is not part of it.
local function trim(raw)
  return raw:match "^%s*(.-)%s*$"
end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

-- Tools, resources… that carry things no schema knows, in a spelling no encoder writes.
local tool = [=[{ "name":"echo", "x-unknown" : [1.0, {}, []],"title":"E\u0063ho","description":"d",
"inputSchema":{"type":"object","$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"p":{"type":"number","minimum":1e-7}},
"properties":{"z":{"$ref":"#/$defs/p"},"a":{"type":"string","default":"\u00fc"}},"oneOf":[{"required":["z"]},{}],"additionalProperties":false},
"outputSchema":{"type":"object","properties":{}},"annotations":{"readOnlyHint":false,"custom":null},"execution":{"taskSupport":"optional"},
"icons":[{"src":"https://example.com/i.png","mimeType":"image/png","sizes":["48x48"],"theme":"dark"}],"_meta":{"example.com/k":{"v":1.50}}}]=]
tool = tool:gsub("\n", " ")

local server = {
  tools = "[" .. tool .. ',{"name":"other","inputSchema":{"type":"object"}}]',
  resources = '[{"uri":"test://a","name":"a","size":10000000000000001,"title":"T","mimeType":"text/plain",'
    .. '"annotations":{"audience":["user"],"priority":0.50,"lastModified":"2025-01-12T15:00:58Z"},"icons":[],"_meta":{"k":[]}, "x":1.0}]',
  templates = '[{"uriTemplate":"test://{+path}{?q*}","name":"t","description":"d","mimeType":"text/plain","x":{"y":1e1}}]',
  prompts = '[{"name":"p","title":"P","arguments":[{"name":"a","title":"A title","description":"d","required":false,"x":1.0}],"_meta":{}}]',
  instructions = [["Be \u006eice.\nAlways."]],
}

for _, way in ipairs(lunette.ways) do
  describe("bytes from " .. lunette.way_name(way), function()
    local client, up

    setup(function()
      client, up = lunette.between(way, upstream.new(server))
      up:on("tools/call", function(req) up.call(req) end)
      client:initialize { capabilities = '{"sampling":{},"elicitation":{},"roots":{"listChanged":true}}' }
    end)
    teardown(lunette.finish)

    -- The last message of a method that the server was sent.
    local function received(method)
      local messages = up:session().messages
      for i = #messages, 1, -1 do
        if messages[i].method == method then return messages[i] end
      end
    end

    it("1, 5, 6: a call's params and a result", function()
      for _, name in ipairs(sorted(odd)) do
        local value = odd[name]
        up.call = function(req) req:reply('{"content":[],"structuredContent":{"v":' .. value .. '},"x":' .. value .. "}") end
        local params = '{"name":"echo","arguments":{"v":' .. value .. '},"unknown":' .. value .. "}"
        local raw = client:request("tools/call", params)
        assert.equal(params, received("tools/call").params, name)
        assert.equal('{"content":[],"structuredContent":{"v":' .. value .. '},"x":' .. value .. "}", json.at(raw, "result"), name)
      end
    end)

    it("1: a whole message with members in any order and any white space", function()
      up.call = function(req)
        req:answer '\t{ "result" : { "content" : [ ] } , "id" : %ID% ,"jsonrpc" : "2.0" } '
      end
      local sent = ' { "params" : { "arguments" : { } ,"name" : "echo" } ,\t"method" : "tools/call" , "id" : "a\\"b" , "jsonrpc" : "2.0" }'
      local raw = client:start_raw(sent, '"a\\"b"'):wait()
      local got = received "tools/call"
      assert.equal(trim(json.with(sent, "id", got.id)), trim(got.raw))
      assert.equal('{ "result" : { "content" : [ ] } , "id" : "a\\"b" ,"jsonrpc" : "2.0" }', trim(raw))
    end)

    it("7: ids come back with their exact type and spelling", function()
      up.call = function(req) req:reply '{"content":[]}' end
      for _, id in ipairs { '"1"', "1", "0", '"0"', "-1", '""', '"\\u0041"', '"' .. ("x"):rep(200) .. '"', "9007199254740991",
        "12345678901234567890", '"null"', '"ü"' } do
        local raw = client:request("tools/call", '{"name":"echo"}', id)
        assert.equal('{"jsonrpc":"2.0","id":' .. id .. ',"result":{"content":[]}}', raw)
        assert.truthy(received("tools/call").id:match "^%d+$", "an upstream id is an integer of our own")
      end
    end)

    it("7: \"1\" and 1 in flight at once are two requests", function()
      local held = {}
      up.call = function(req) held[#held + 1] = req end
      local text = client:start("tools/call", '{"name":"echo","arguments":{"which":"text"}}', '"1"')
      local number = client:start("tools/call", '{"name":"echo","arguments":{"which":"number"}}', "1")
      local other = client:start("tools/call", '{"name":"echo","arguments":{"which":"other"}}', "2")
      require("spec.support.loop").wait(function() return #held == 3 end, "three calls")
      assert.not_equal(held[1].id, held[2].id)
      for i = 3, 1, -1 do held[i]:reply('{"content":[],"for":' .. held[i]:at("arguments", "which") .. "}") end
      assert.equal('"text"', json.at(text:wait(), "result", "for"))
      assert.equal('"number"', json.at(number:wait(), "result", "for"))
      assert.equal('"other"', json.at(other:wait(), "result", "for"))
    end)

    it("2: an error with its data", function()
      local err = '{ "code":-32000,"message":"no\\u0021","data":{"n":1.0,"e":[],"_meta":{}},"extra" : true}'
      up.call = function(req) req:answer('{"jsonrpc":"2.0","id":%ID%,"error":' .. err .. "}") end
      assert.equal(err, json.at(client:request("tools/call", '{"name":"echo"}'), "error"))
    end)

    it("72: an isError result stays a result", function()
      local result = '{"content":[{"type":"text","text":"bad"}],"isError":true}'
      up.call = function(req) req:reply(result) end
      assert.equal(result, json.at(client:request("tools/call", '{"name":"echo"}'), "result"))
    end)

    it("1: long strings and deep nesting", function()
      local long = '"' .. ("0123456789abcdef\\n\\u00e9é"):rep(60000) .. '"'
      local deep = ("[{\"a\":"):rep(40) .. "1.0" .. ("}]"):rep(40)
      up.call = function(req) req:reply('{"content":[],"long":' .. long .. ',"deep":' .. deep .. "}") end
      local params = '{"name":"echo","arguments":{"long":' .. long .. ',"deep":' .. deep .. "}}"
      local raw = client:request("tools/call", params)
      assert.is_true(params == received("tools/call").params)
      assert.is_true('{"content":[],"long":' .. long .. ',"deep":' .. deep .. "}" == json.at(raw, "result"))
    end)

    it("2: every item of every list", function()
      local function same(method, member, raw)
        local list = json.elements(json.at(client:result(method, "{}"), member))
        local expected = json.elements(raw)
        assert.equal(#expected, #list)
        for i, item in ipairs(expected) do assert.equal(item, list[i]) end
      end
      same("tools/list", "tools", server.tools)
      same("resources/list", "resources", server.resources)
      same("resources/templates/list", "resourceTemplates", server.templates)
      same("prompts/list", "prompts", server.prompts)
    end)

    it("2: what is read, got and completed", function()
      local results = {
        ["resources/read"] = { '{"uri":"test://a", "_meta":{"k":1.0}}',
          '{"contents":[{"uri":"test://a","text":"a\\/b","x":1.0},{"uri":"test://b","blob":"AAEC","mimeType":"x/y","_meta":{}},'
            .. '{"uri":"test://c","text":""}], "_meta":{"m":[]}}' },
        ["prompts/get"] = { '{"name":"p","arguments":{"a":"\\u00fc"}}',
          '{"description":"d","messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"x://y","text":"t"}}}],"x":1e2}' },
        ["completion/complete"] = { '{"ref":{"type":"ref/prompt","name":"p","title":"x"},"argument":{"name":"a","value":""},"context":{"arguments":{"z":"1"}}}',
          '{"completion":{"values":["a","\\u0062"],"total":1.0e1,"hasMore":false,"x":{}}}' },
      }
      for _, method in ipairs(sorted(results)) do
        local params, result = results[method][1], results[method][2]
        up:on(method, function(req) req:reply(result) end)
        local raw = client:request(method, params)
        assert.equal(params, received(method).params)
        assert.equal(result, json.at(raw, "result"))
      end
    end)

    it("2: a method nobody has heard of, and its parameters by position", function()
      up:on("vendor/thing", function(req) req:reply "[1.0,null]" end)
      local raw = client:request("vendor/thing", '[1.0, {"a":[]}]')
      assert.equal('[1.0, {"a":[]}]', received("vendor/thing").params)
      assert.equal("[1.0,null]", json.at(raw, "result"))
      assert.equal(-32601, client:failure("vendor/other", "{}").code)
    end)

    it("3: no member is added to the envelope", function()
      up:on("vendor/bare", function(req) req:reply "{}" end)
      client:start_raw('{"jsonrpc":"2.0","id":77,"method":"vendor/bare"}'):wait()
      local got = received "vendor/bare"
      assert.equal('{"jsonrpc":"2.0","id":' .. got.id .. ',"method":"vendor/bare"}', got.raw)
    end)

    it("1: notifications of the client", function()
      local raw = '{ "method":"notifications/vendor", "jsonrpc":"2.0","params":{"n":1.0,"e":{}} }'
      client:send(raw)
      up:wait "notifications/vendor"
      assert.equal(raw, received("notifications/vendor").raw)
    end)

    it("1: notifications of the server, in a call and outside", function()
      local first = '{"jsonrpc":"2.0","params":{ "n":1.0,"x":[] },"method":"notifications/vendor"}'
      up.call = function(req)
        req.session:send(first, req)
        req:reply '{"content":[]}'
      end
      if way[1] == "http" and not client.get then client:listen() end
      client:request("tools/call", '{"name":"echo"}')
      assert.equal(first, client:expect("notifications/vendor").raw)
      local second = '{"jsonrpc":"2.0", "method":"notifications/vendor","params":{"later":1e1}}'
      up:session():send(second)
      assert.equal(second, client:expect("notifications/vendor").raw)
    end)

    it("1: what the server asks and what the client answers", function()
      local answer
      local params = '{"messages":[{"role":"user","content":{"type":"text","text":"\\u00e9"}}],"maxTokens":1e2,"x":[]}'
      local asked
      up.call = function(req)
        asked = '{"jsonrpc":"2.0", "id":0 ,"method":"sampling/createMessage","params":' .. params .. "}"
        req.session.asked["0"] = function(response)
          answer = response.raw
          req:reply '{"content":[]}'
        end
        req.session:send(asked, req)
      end
      local call = client:start("tools/call", '{"name":"echo"}')
      local question = client:expect "sampling/createMessage"
      assert.equal(json.with(asked, "id", question.id), question.raw)
      local reply = '{ "jsonrpc":"2.0","id":%s,"result":{"role":"assistant","content":{"type":"text","text":"\\/"},"model":"m","x":1.0} }'
      client:send(reply:format(question.id))
      call:wait()
      assert.equal(reply:format "0", answer)
    end)

    it("1: an error that the client answers with", function()
      local answer
      up.call = function(req)
        req:ask("elicitation/create", '{"message":"m","requestedSchema":{"type":"object","properties":{}}}', function(response)
          answer = response.raw
          req:reply '{"content":[]}'
        end, '"s"')
      end
      local call = client:start("tools/call", '{"name":"echo"}')
      local question = client:expect "elicitation/create"
      local reply = '{"jsonrpc":"2.0","id":%s,"error":{"code":-1, "message":"User rejected","data":[1.0]}}'
      client:send(reply:format(question.id))
      call:wait()
      assert.equal(reply:format '"s"', answer)
    end)

    it("2: progress tokens are mapped, everything around them stays", function()
      up.call = function(req)
        req.session:send('{"jsonrpc":"2.0","method":"notifications/progress","params":{ "progressToken" : '
          .. req:at("_meta", "progressToken") .. ' , "progress":0.10,"total":1.0,"message":"\\u00e9","x":[]}}', req)
        req:reply '{"content":[]}'
      end
      for _, token in ipairs { '"t\\u0041"', "0", "7", '"7"' } do
        client:request("tools/call", '{"name":"echo","_meta":{"a":1.0, "progressToken" : ' .. token .. ' ,"b":[]}}')
        local got = received("tools/call").params
        local ours = json.at(got, "_meta", "progressToken")
        assert.equal('{"name":"echo","_meta":{"a":1.0, "progressToken" : ' .. ours .. ' ,"b":[]}}', got)
        assert.equal('{"jsonrpc":"2.0","method":"notifications/progress","params":{ "progressToken" : ' .. token
          .. ' , "progress":0.10,"total":1.0,"message":"\\u00e9","x":[]}}', client:expect("notifications/progress").raw)
      end
    end)

    it("gives the server's own instructions and name", function()
      assert.equal("Be nice.\nAlways.", json.value(client.initialized, "instructions"))
      assert.equal("object", json.value(client.initialized, "capabilities", "tools") and "object")
      assert.truthy(json.at(client.initialized, "capabilities", "resources"))
      assert.truthy(json.at(client.initialized, "capabilities", "prompts"))
    end)

    it("costs one upstream request a call, and one list of each kind in all", function()
      local session = up:session()
      local before = session:count()
      up.call = function(req) req:reply '{"content":[]}' end
      for _ = 1, 5 do client:request("tools/call", '{"name":"echo"}') end
      client:request("tools/list", "{}")
      assert.equal(before + 5, session:count())
      assert.equal(1, #up.sessions)
      for _, method in ipairs { "tools/list", "resources/list", "resources/templates/list", "prompts/list" } do
        assert.is_true(up:count(method) <= 1, method)
      end
    end)
  end)
end

describe("bytes", function()
  after_each(lunette.finish)

  it("11: pretty JSON of an HTTP client becomes one line for a child, and nothing else changes", function()
    local client, up = lunette.between({ "http", "stdio" }, server)
    client:initialize()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    local sent = '{\r\n  "jsonrpc": "2.0",\n  "id": 5,\n  "method": "tools/call",\n  "params": {\n    "name": "echo",\n'
      .. '    "arguments": {"text": "a\\nb"}\n  }\n}\n'
    client:start_raw(sent):wait()
    local got = up:wait "tools/call"
    local expected = json.with(sent, "id", got.id):gsub("[\r\n]", "")
    assert.equal(trim(expected), trim(got.raw))
  end)

  it("11: pretty JSON of an HTTP server becomes one line for a client on stdio", function()
    local client, up = lunette.between({ "stdio", "http" }, server)
    client:initialize()
    local pretty = '{\n  "jsonrpc": "2.0",\r\n  "id": %ID%,\n  "result": {\n    "content": []\n  }\n}\n'
    up:on("tools/call", function(req) req:answer(pretty) end)
    local raw = client:request("tools/call", '{"name":"echo"}', '"x"')
    local expected = pretty:gsub("%%ID%%", '"x"'):gsub("[\r\n]", "")
    assert.equal(trim(expected), trim(raw))
  end)

  it("67: a message spread over several data lines of an SSE event", function()
    local client, up = lunette.between({ "http", "http" }, server)
    client:initialize()
    up:on("tools/call", function(req)
      local conn = req.via.conn
      req.via.finished = true
      conn:send(upstream.sse_head:format "")
      for _, part in ipairs { "\239\187\191: hello\r\n", "event: message\r\nid: 1\r\nda", 'ta: {"jsonrpc":"2.0",\r\ndata: "id":',
        req.id .. ',\rdata:"result":{"content":[],', '"x":"gr\195', '\188n"}}\n\n', "event: unknown\ndata: {}\n\n" } do
        upstream.chunk(conn, part)
      end
      conn:send "0\r\n\r\n"
    end)
    local raw = client:request("tools/call", '{"name":"echo"}', "9")
    assert.equal('{"jsonrpc":"2.0","id":9,"result":{"content":[],"x":"grün"}}', (raw:gsub("[\r\n]", "")))
  end)

  it("2: experimental capabilities and extensions of the one server are kept", function()
    local client = lunette.between({ "stdio", "stdio" },
      { tools = "[]", capabilities = '{"tools":{},"experimental":{"vendor/x":{"n":1.0}},"extensions":{"vendor/y":{}}}' })
    local result = client:initialize()
    assert.equal('{"vendor/x":{"n":1.0}}', json.at(result, "capabilities", "experimental"))
  end)

  it("12: a message over the limit is refused and the session goes on", function()
    local client, up = lunette.between({ "http", "stdio" }, server,
      { policy = "lunette.configure { max_message_bytes = 100000 }" })
    client:initialize()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    local big = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"x":"' .. ("x"):rep(200000) .. '"}}}'
    local refusal, said = client:post(big), "more than 100000 bytes (max_message_bytes)"
    assert.equal(413, refusal.status)
    assert.truthy(refusal.body:find(said, 1, true), refusal.body)
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"echo"}'))
    assert.equal(1, up:count "tools/call")
    local other = lunette.stdio { policy = "lunette.configure { max_message_bytes = 100000 }" }
    other:initialize()
    other:send(big)
    other:result "ping"
    assert.truthy(other.inbox[1].raw:find(said, 1, true), other.inbox[1].raw)
  end)
end)
