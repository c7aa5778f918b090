-- Messages: their slices, what is refused of a client (protocol rules 7 and 78 to 82) and let pass of
-- a server, and what is made of them.
local R = require "spec.unit.rpc.support"
local lib, ffi = R.lib, R.ffi

describe("rpc/message", function()
  after_each(function()
    local messages, blocks = R.left()
    assert.equal(0, messages)
    assert.equal(0, blocks)
  end)

  local function refused(text, code, words, id)
    local m, fault = R.read(text)
    assert.is_nil(m, text)
    assert.equal(code, fault.code, text)
    assert.equal(id, fault.id, text)
    if words then assert.truthy(fault.text:find(words, 1, true), text .. " gave: " .. fault.text) end
  end

  local function taken(text, options)
    local m, fault = R.read(text, options)
    assert.is_truthy(m, text .. (fault and " gave: " .. fault.text or ""))
    return m
  end

  local function request(params)
    return ('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":%s}'):format(params)
  end

  describe("slices", function()
    it("of a request", function()
      local m = taken ' {"jsonrpc" : "2.0", "id":7, "method":"tools/call" ,"params": {"name":"a","arguments":{"x":[1]},"_meta":{"progressToken":"t"}} }\n'
      assert.equal("request", m.kind)
      assert.equal('{"jsonrpc" : "2.0", "id":7, "method":"tools/call" ,"params": {"name":"a","arguments":{"x":[1]},"_meta":{"progressToken":"t"}} }', m.text)
      assert.equal('"2.0"', m.jsonrpc)
      assert.equal("7", m.id)
      assert.equal("tools/call", m.method)
      assert.equal('{"name":"a","arguments":{"x":[1]},"_meta":{"progressToken":"t"}}', m.params)
      assert.equal('"a"', m.name)
      assert.equal('{"x":[1]}', m.arguments)
      assert.equal('{"progressToken":"t"}', m.meta)
      assert.equal('"t"', m.progress_token)
      assert.is_nil(m.uri)
      assert.is_nil(m.result)
      assert.is_nil(m.error)
      assert.is_false(m.newlines)
    end)

    it("of a notification", function()
      local m = taken '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":0.5}}'
      assert.equal("notification", m.kind)
      assert.is_nil(m.id)
      assert.equal("5", m.progress_token)
    end)

    it("of responses", function()
      local m = taken '{"jsonrpc":"2.0","result":{"a":{}},"id":"x"}'
      assert.equal("result", m.kind)
      assert.equal('{"a":{}}', m.result)
      assert.equal('"x"', m.id)
      m = taken '{"jsonrpc":"2.0","id":-3,"error":{"code":1,"message":"m"}}'
      assert.equal("error", m.kind)
      assert.equal('{"code":1,"message":"m"}', m.error)
      assert.equal("-3", m.id)
    end)

    it("of members under escaped names", function()
      local m = taken '{"jsonrpc":"2.0","\\u0069d":1,"m\\u0065thod":"resources/read","param\\u0073":{"\\u0075ri":"a:b","\\u006eame":"n","re\\u0066":{}}}'
      assert.equal("1", m.id)
      assert.equal("resources/read", m.method)
      assert.equal('"a:b"', m.uri)
      assert.equal('"n"', m.name)
      assert.equal("{}", m.ref)
    end)

    it("keep names as they were written", function()
      local m = taken(request '{"name":"\\u0061\\/\\"","uri":"\\uD83D\\uDE00"}')
      assert.equal('"\\u0061\\/\\""', m.name)
      assert.equal('"\\uD83D\\uDE00"', m.uri)
    end)

    it("show the task that a request asks for, is about or is related to", function()
      local meta = '"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"r"}}'
      local m = taken(request('{"task":{"ttl":1},"taskId":"t",' .. meta .. "}"))
      assert.equal('{"ttl":1}', m.task)
      assert.equal('"t"', m.task_id)
      assert.equal('{"taskId":"r"}', m.related_task)
      m = taken('{"jsonrpc":"2.0","method":"n","params":{"progressToken":1,' .. meta .. "}}")
      assert.equal('{"taskId":"r"}', m.related_task)
      assert.equal("1", m.progress_token)
    end)

    it("leave the progress token of params to notifications, that of _meta to requests", function()
      assert.is_nil(taken(request '{"progressToken":1}').progress_token)
      local m = taken '{"jsonrpc":"2.0","method":"n","params":{"_meta":{"progressToken":1}}}'
      assert.is_nil(m.progress_token)
    end)

    it("leave params by position alone", function()
      local m = taken '{"jsonrpc":"2.0","id":1,"method":"x","params":[{"name":"a","Name":"b"}]}'
      assert.equal('[{"name":"a","Name":"b"}]', m.params)
      assert.is_nil(m.name)
    end)

    it("tell raw line breaks between tokens, not around and not escaped", function()
      assert.is_true(taken '{"jsonrpc":"2.0",\n"method":"x"}'.newlines)
      assert.is_true(taken '{"jsonrpc":"2.0","method":"x"\r}'.newlines)
      assert.is_false(taken '\r\n{"jsonrpc":"2.0","method":"x","params":{"a":"\\n\\r"}}\n\n'.newlines)
    end)

    it("keep unknown members, at every level", function()
      local text = '{"jsonrpc":"2.0","x":1,"id":1,"method":"y","params":{"z":{"Name":1,"NAME":2}},"trace":null}'
      assert.equal(text, taken(text).text)
    end)
  end)

  describe("ids", function()
    for _, id in ipairs { "0", "1", "-1", "9007199254740993", "123456789012345678901234567890", '""', '"1"', '"\\u0000"',
      '"é\\n"' } do
      it("may be " .. id, function()
        assert.equal(id, taken(('{"jsonrpc":"2.0","id":%s,"method":"ping"}'):format(id)).id)
      end)
    end
    for _, id in ipairs { "null", "1.0", "1e3", "1E3", "-0", "0.5", "true", "false", "[1]", '{"a":1}', "-0.0" } do
      it("81: may not be " .. id, function()
        refused(('{"jsonrpc":"2.0","id":%s,"method":"ping"}'):format(id), -32600, "id must be")
        refused(('{"jsonrpc":"2.0","id":%s,"result":{}}'):format(id), -32600, "id must be")
      end)
    end

    it("may be null in an error only: whoever sent it could not read ours", function()
      for _, strict in ipairs { true, false } do
        local m = taken('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}', { strict = strict })
        assert.equal("error", m.kind)
        assert.is_nil(m.id)
        m = taken('{"jsonrpc":"2.0","error":{"code":-32700,"message":"m"}}', { strict = strict })
        assert.equal("error", m.kind)
        assert.is_nil(m.id)
      end
      refused('{"jsonrpc":"2.0","id":1.5,"error":{}}', -32600)
      refused('{"jsonrpc":"2.0","id":null,"method":"x","error":{}}', -32600)
    end)

    it("are in a refusal wherever they stand, if they are good", function()
      refused('{"jsonrpc":"2.0","id":5,"method":"x","params":1}', -32600, "params has the wrong type", "5")
      refused('{"jsonrpc":"2.0","params":1,"method":"x","id":"late"}', -32600, "params has the wrong type", '"late"')
      refused('{"jsonrpc":"2.0","id":[],"method":"x","params":1}', -32600)
    end)

    it("are refused as progress tokens when they are none", function()
      for _, token in ipairs { "null", "1.5", "{}", "true", "1e1" } do
        refused(request('{"_meta":{"progressToken":' .. token .. "}}"), -32602, "progressToken", "1")
        local m = taken(request('{"_meta":{"progressToken":' .. token .. "}}"), { strict = false })
        assert.is_nil(m.progress_token)
      end
      assert.equal('"a"', taken(request '{"_meta":{"progressToken":"a"}}').progress_token)
    end)
  end)

  describe("kinds", function()
    it("are one of the four", function()
      refused('{"jsonrpc":"2.0","id":1}', -32600, "neither a request nor a response", "1")
      refused('{"jsonrpc":"2.0"}', -32600, "neither")
      refused("{}", -32600)
      refused('{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', -32600, "neither", "1")
      refused('{"jsonrpc":"2.0","id":1,"method":"x","result":{}}', -32600, "either a request or a response", "1")
      refused('{"jsonrpc":"2.0","method":"x","error":{}}', -32600, "either a request or a response")
      refused('{"jsonrpc":"2.0","result":{}}', -32600, "a response needs an id")
    end)

    it("need the version, of clients", function()
      for _, version in ipairs { "", '"jsonrpc":"1.0",', '"jsonrpc":2.0,', '"jsonrpc":"\\u0032.0",', '"jsonrpc":null,' } do
        refused("{" .. version .. '"id":1,"method":"ping"}', -32600, 'jsonrpc must be "2.0"', "1")
        taken("{" .. version .. '"id":1,"method":"ping"}', { strict = false })
      end
    end)

    it("have members of the right types", function()
      refused('{"jsonrpc":"2.0","id":1,"method":5}', -32600, "method has the wrong type", "1")
      refused('{"jsonrpc":"2.0","id":1,"method":null}', -32600, "method has the wrong type", "1")
      refused('{"jsonrpc":"2.0","id":1,"method":"x","params":null}', -32600, "params has the wrong type", "1")
      refused('{"jsonrpc":"2.0","id":1,"method":"x","params":"{}"}', -32600, "params has the wrong type", "1")
      refused('{"jsonrpc":"2.0","id":1,"error":"no"}', -32600, "error has the wrong type", "1")
      for _, name in ipairs { "name", "uri" } do
        for _, value in ipairs { "1", "null", "[]", '{"a":1}' } do
          refused(request(('{"%s":%s}'):format(name, value)), -32602, name .. " has the wrong type", "1")
        end
      end
      refused(request '{"_meta":[]}', -32602, "_meta has the wrong type", "1")
    end)

    it("may name something else in a server's own methods", function()
      local m = taken(request '{"name":5,"uri":[],"_meta":1,"ref":2}', { strict = false })
      assert.is_nil(m.name)
      assert.is_nil(m.uri)
      assert.is_nil(m.meta)
      assert.equal("2", m.ref)
    end)
  end)

  describe("methods", function()
    it("80: are plain text", function()
      for _, method in ipairs { "", " ", "a b", "tools/call ", "\\u0074ools/call", "a\\\\b", "a\\nb", "a\\u0000", "\\ud800", "a\127",
        ("x"):rep(257) } do
        refused(('{"jsonrpc":"2.0","id":1,"method":"%s"}'):format(method), -32600, "method must be", "1")
        assert.is_nil((R.read(('{"jsonrpc":"2.0","id":1,"method":"%s"}'):format(method), { strict = false })))
      end
      assert.equal("é/x", taken '{"jsonrpc":"2.0","id":1,"method":"é/x"}'.method)
      assert.equal(256, #taken(('{"jsonrpc":"2.0","id":1,"method":"%s"}'):format(("x"):rep(256))).method)
    end)
  end)

  describe("twins", function()
    it("78: are refused at every depth and in every spelling", function()
      refused('{"jsonrpc":"2.0","id":1,"id":1,"method":"x"}', -32600, "twice")
      refused('{"jsonrpc":"2.0","id":1,"method":"x","method":"y"}', -32600, "twice", "1")
      refused('{"jsonrpc":"2.0","id":1,"method":"x","\\u006dethod":"y"}', -32600, "twice", "1")
      refused(request '{"name":"a","name":"b"}', -32600, "twice", "1")
      refused(request '{"name":"a","\\u006eame":"b"}', -32600, "twice", "1")
      refused(request '{"arguments":{"a":[{"b":{"c":1,"\\u0063":2}}]}}', -32600, "twice", "1")
      refused(request '{"_meta":{"x":1,"x":1}}', -32600, "twice", "1")
      refused('{"jsonrpc":"2.0","id":1,"result":{"":0,"":1}}', -32600, "twice")
      refused(request '{"arguments":{"\\ud83d\\ude00":1,"😀":2}}', -32600, "twice", "1")
      refused(request '{"arguments":{"\\/":1,"/":2}}', -32600, "twice", "1")
      refused(request('{"arguments":' .. ('{"x":'):rep(100) .. '{"q":1,"q":2}' .. ("}"):rep(100) .. "}"), -32600, "twice", "1")
    end)

    it("78: are answered under the id, when there is one to tell", function()
      refused('{"params":{"a":1,"a":2},"method":"x","id":"\\u0061","jsonrpc":"2.0"}', -32600, "twice", '"\\u0061"')
      refused('{"jsonrpc":"2.0","id":1,"i\\u0064":2,"method":"x"}', -32600, "twice")
      refused('{"jsonrpc":"2.0","id":1.0,"method":"x","params":{"a":1,"a":2}}', -32600, "twice")
      refused('{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1,"a":2}', -32600, "twice")
    end)

    it("are looked for within one object only", function()
      taken(request '{"name":"a","arguments":{"name":"b","x":[{"name":1},{"name":2}]}}')
    end)

    it("of a server: the last one counts", function()
      local m = taken('{"jsonrpc":"2.0","id":1,"id":2,"result":1,"result":{}}', { strict = false })
      assert.equal("2", m.id)
      assert.equal("{}", m.result)
    end)
  end)

  describe("case twins", function()
    it("79: of the envelope's members are refused, beside them or instead of them", function()
      for twin, plain in pairs { Id = "id", METHOD = "method", Params = "params", paramS = "params", Result = "result",
        ERROR = "error", JSONRPC = "jsonrpc", jsonRpc = "jsonrpc", ["M\\u0065thod"] = "method", ["\\u004dethod"] = "method",
        ["\\u0049d"] = "id", ["\\u0070\\u0061\\u0072\\u0061\\u006d\\u0053"] = "params" } do
        refused(('{"jsonrpc":"2.0","id":1,"method":"x","%s":1}'):format(twin), -32600, ('only by case'), "1")
        refused(('{"jsonrpc":"2.0","%s":1,"id":1,"method":"x"}'):format(twin), -32600, plain, "1")
      end
    end)

    it("79: of params' members are refused", function()
      for _, name in ipairs { "name", "uri", "arguments", "_meta", "progressToken", "ref", "argument", "cursor", "level",
        "requestId", "task", "taskId", "protocolVersion", "capabilities", "clientInfo" } do
        for _, twin in ipairs { name:upper(), name:gsub("%l", string.upper, 1), (name:gsub(".", function(c)
          return ("\\u%04x"):format(c:upper():byte())
        end)) } do
          if twin ~= name then
            refused(request(('{"%s":"x"}'):format(twin)), -32600, "only by case", "1")
            refused(request(('{"%s":{},"%s":{}}'):format(twin, "other")), -32600, "only by case", "1")
          end
        end
      end
    end)

    it("79: of what names a prompt or a template to complete are refused", function()
      for _, ref in ipairs { '{"type":"ref/prompt","name":"a","Name":"b"}', '{"TYPE":"x"}', '{"URI":"x"}', '{"\\u0055ri":"x"}' } do
        refused(request(('{"ref":%s}'):format(ref)), -32600, "only by case", "1")
      end
      taken(request '{"ref":{"type":"ref/prompt","name":"a","title":"Name"}}')
      taken(request '{"ref":"name"}')
    end)

    it("79: of the progress token are refused, of the rest of _meta not", function()
      refused(request '{"_meta":{"ProgressToken":1}}', -32600, "progressToken", "1")
      refused(request '{"_meta":{"progresstoken":1,"progressToken":2}}', -32600, "progressToken", "1")
      taken(request '{"_meta":{"Name":1,"URI":2,"TraceParent":"x","traceparent":"y"}}')
    end)

    it("79: are known in letters that some libraries fold: long s, Kelvin, dotted and dotless i", function()
      for twin, plain in pairs { ["paramſ"] = "params", ["PARAMſ"] = "params", ["param\\u017f"] = "params", ["ıd"] = "id",
        ["\\u0131d"] = "id", ["İD"] = "id", ["reſult"] = "result", ["jſonrpc"] = "jsonrpc" } do
        refused(('{"jsonrpc":"2.0","id":1,"method":"x","%s":{}}'):format(twin), -32600, plain, "1")
      end
      for _, twin in ipairs { "taſk", "tasK", "tas\226\132\170", "tas\\u212a", "progreſsToken", "progress\\u0054o\\u212aen", "urı", "argumentſ" } do
        refused(request(('{"%s":{}}'):format(twin)), -32600, "only by case", "1")
      end
      refused(request('{"ref":{"urİ":"x"}}'), -32600, "uri", "1")
    end)

    it("are not seen in what is merely alike", function()
      taken(request '{"names":1,"nam":1,"na_me":1,"name ":1,"ñame":1,"unknown":1,"éé":2,"\\u00e9":3}')
      taken(request('{"' .. ("n"):rep(5000) .. '":1,"' .. ("\\u006e"):rep(500) .. '":2}'))
      taken(request '{"arguments":{"Name":1,"name":2,"NAME":3,"ID":4}}')
      taken '{"jsonrpc":"2.0","id":1,"result":{"Content":1,"content":2}}'
    end)

    it("of a server pass", function()
      local m = taken('{"jsonrpc":"2.0","id":1,"Id":2,"result":{},"RESULT":1}', { strict = false })
      assert.equal("1", m.id)
    end)

    it("are named in the refusal, cut to a good length", function()
      local _, fault = R.read(request '{"NAME":1}')
      assert.equal('member "NAME" differs from "name" only by case', fault.text)
    end)
  end)

  describe("names and URIs", function()
    it("80: hold no NUL and no half of a surrogate pair", function()
      for _, member in ipairs { "name", "uri" } do
        for _, value in ipairs { "a\\u0000", "\\u0000", "\\ud800", "a\\udfffb", "\\ud800x\\udc00", "\\ude00\\ud83d" } do
          refused(request(('{"%s":"%s"}'):format(member, value)), -32600, "surrogate", "1")
          refused(request(('{"ref":{"%s":"%s"}}'):format(member, value)), -32600, "surrogate", "1")
          taken(request(('{"%s":"%s"}'):format(member, value)), { strict = false })
        end
        taken(request(('{"%s":"\\ud83d\\ude00 \\n\\u0001 \\u00e9"}'):format(member)))
      end
    end)

    it("may be of any length", function()
      local long = ("\\u0061"):rep(50000)
      assert.equal('"' .. long .. '"', taken(request(('{"name":"%s"}'):format(long))).name)
    end)
  end)

  describe("texts", function()
    it("82: are one object with nothing around it", function()
      refused("", -32700)
      refused("   ", -32700)
      refused('{"jsonrpc":"2.0","method":"x"}{"jsonrpc":"2.0","method":"y"}', -32700)
      refused('{"jsonrpc":"2.0","method":"x"}\n{"jsonrpc":"2.0","method":"y"}', -32700)
      refused('{"jsonrpc":"2.0","method":"x"},', -32700)
      refused('{"jsonrpc":"2.0","method":"x"}\0', -32700)
      refused('\239\187\191{"jsonrpc":"2.0","method":"x"}', -32700)
      refused('{"jsonrpc":"2.0","method":"x"} //', -32700)
      for _, text in ipairs { "[]", '[{"jsonrpc":"2.0","method":"x"}]', "1", '"x"', "null", "true" } do
        refused(text, -32600, "a message is a JSON object")
      end
    end)

    it("80: are UTF-8", function()
      for _, bad in ipairs { "\255", "\192\128", "\237\160\128", "\244\144\128\128", "\195" } do
        refused(request(('{"name":"%s"}'):format(bad)), -32700, "UTF-8")
        assert.is_nil((R.read(request(('{"name":"%s"}'):format(bad)), { strict = false })))
      end
    end)

    it("have limits, for clients and servers", function()
      for _, strict in ipairs { true, false } do
        local _, fault = R.read(request '{"name":"abc"}', { max_bytes = 40, strict = strict })
        assert.equal("ELIMIT", fault.err)
        assert.equal(-32600, fault.code)
        _, fault = R.read(request '{"arguments":{"a":[[]]}}', { max_depth = 4, strict = strict })
        assert.equal("EDEPTH", fault.err)
        assert.truthy(R.read(request '{"arguments":{"a":[]}}', { max_depth = 4, strict = strict }))
      end
      local _, fault = R.read(request '{"a":1,"b":2,"c":3,"d":4,"e":5}', { max_members = 4 })
      assert.equal("ELIMIT", fault.err)
    end)

    it("say where they are broken", function()
      local _, fault = R.read '{"jsonrpc":"2.0","method":}'
      assert.equal("Parse error: malformed input at byte 26", fault.text)
    end)
  end)

  describe("of our own", function()
    local function own(m, kind)
      assert.is_true(m ~= nil)
      local t = R.table(m)
      assert.equal(kind, t.kind)
      lib.ln_msg_unref(m)
      return t
    end
    local function str(s) return R.J.text(s) end

    it("are made of the parts given", function()
      assert.equal('{"jsonrpc":"2.0","id":0,"result":{"a": 1}}', own(lib.ln_msg_result(str '{"a": 1}'), "result").text)
      assert.equal('{"jsonrpc":"2.0","id":0,"error":{"code":1}}', own(lib.ln_msg_error_raw(str '{"code":1}'), "error").text)
      assert.equal('{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"a \\"b\\"\\n"}}',
        own(lib.ln_msg_error(-32602, 'a "b"\n', str(nil)), "error").text)
      assert.equal('{"jsonrpc":"2.0","id":0,"error":{"code":1,"message":"","data":[1]}}',
        own(lib.ln_msg_error(1, "", str "[1]"), "error").text)
      assert.equal('{"jsonrpc":"2.0","id":0,"method":"ping"}', own(lib.ln_msg_request("ping", str(nil)), "request").text)
      local m = own(lib.ln_msg_request("tools/call", str '{"name":"x"}'), "request")
      assert.equal('{"jsonrpc":"2.0","id":0,"method":"tools/call","params":{"name":"x"}}', m.text)
      assert.equal('"x"', m.name)
      assert.equal('{"jsonrpc":"2.0","method":"n"}', own(lib.ln_msg_notification("n", str(nil)), "notification").text)
      assert.equal('{"jsonrpc":"2.0","method":"n","params":{}}', own(lib.ln_msg_notification("n", str "{}"), "notification").text)
    end)

    it("are not made of what is no JSON", function()
      assert.is_true(lib.ln_msg_result(str "{") == nil)
      assert.is_true(lib.ln_msg_request("x", str "1") == nil)
      assert.is_true(lib.ln_msg_request('x"', str(nil)) == nil)
      assert.is_true(lib.ln_msg_error_raw(str "5") == nil)
    end)

    it("say in UTF-8 what was told in anything", function()
      assert.equal('{"jsonrpc":"2.0","id":0,"error":{"code":1,"message":"a\239\191\189b"}}',
        own(lib.ln_msg_error(1, "a\255b", str(nil)), "error").text)
    end)
  end)

  describe("edits", function()
    local text = '{"jsonrpc":"2.0", "id":7,"method":"tools/call","params":{"name" : "a","arguments":{"k":1.0e2}},"x":[]}'
    local function with(source, fn)
      local m = assert(R.parse(source, { strict = false }))
      local out = fn(m.msg)
      local t
      if out ~= nil then
        t = R.table(out)
        lib.ln_msg_unref(out)
      end
      lib.ln_msg_unref(m.msg)
      return t
    end
    local function str(s) return R.J.text(s) end

    it("replace what they name and nothing else", function()
      local m = with(text, function(m)
        local edits = ffi.new "struct ln_edit[3]"
        edits[0].at, edits[0].with = m.id, str '"new"'
        edits[1].at, edits[1].with = m.name, str '"b\\u0063"'
        edits[2].at, edits[2].with = m.arguments, str "{}"
        return lib.ln_msg_edit(m, edits, 3)
      end)
      assert.equal('{"jsonrpc":"2.0", "id":"new","method":"tools/call","params":{"name" : "b\\u0063","arguments":{}},"x":[]}', m.text)
      assert.equal('"new"', m.id)
      assert.equal('"b\\u0063"', m.name)
      assert.equal("{}", m.arguments)
    end)

    it("of nothing copy", function()
      assert.equal(text, with(text, function(m) return lib.ln_msg_edit(m, ffi.new "struct ln_edit[1]", 0) end).text)
    end)

    it("of one slice are left out where it says the same already", function()
      local changed = with(text, function(m) return lib.ln_msg_with(m, m.arguments, str "{}") end)
      assert.equal("{}", changed.arguments)
      local same = with(text, function(m)
        local again = lib.ln_msg_with(m, m.name, str(ffi.string(m.name.p, m.name.n)))
        assert.equal(ffi.cast("void *", m), ffi.cast("void *", again))
        return again
      end)
      assert.equal(text, same.text)
    end)

    it("may be many", function()
      local list = '{"jsonrpc":"2.0","id":1,"result":[' .. ("1,"):rep(199) .. "1]}"
      local m = with(list, function(m)
        local edits = ffi.new "struct ln_edit[200]"
        local cur, item = lib.ln_json_enter(m.result), ffi.new "struct ln_json_item"
        for i = 0, 199 do
          assert.is_true(lib.ln_json_next(cur, item))
          edits[i].at, edits[i].with = item.value, str "22"
        end
        return lib.ln_msg_edit(m, edits, 200)
      end)
      assert.equal('{"jsonrpc":"2.0","id":1,"result":[' .. ("22,"):rep(199) .. "22]}", m.text)
    end)

    it("bring line breaks along, and are never said to have none that they have", function()
      local m = with('{"jsonrpc":"2.0","id":1,"result":{}}', function(m)
        local edit = ffi.new "struct ln_edit[1]"
        edit[0].at, edit[0].with = m.result, str "{\n}"
        return lib.ln_msg_edit(m, edit, 1)
      end)
      assert.is_true(m.newlines)
    end)

    it("of params put them in where there are none", function()
      assert.equal('{"jsonrpc":"2.0", "id":7,"method":"tools/call","params":{"name":"z"},"x":[]}',
        with(text, function(m) return lib.ln_msg_with_params(m, str '{"name":"z"}') end).text)
      local m = with('{"jsonrpc":"2.0","id":1,"method":"tools/call" }', function(m)
        return lib.ln_msg_with_params(m, str '{"name":"z"}')
      end)
      assert.equal('{"jsonrpc":"2.0","id":1,"method":"tools/call" ,"params":{"name":"z"}}', m.text)
      assert.equal('"z"', m.name)
    end)

    it("leave the source as it was, and are counted", function()
      local m = assert(R.parse(text))
      local copy = lib.ln_msg_edit(m.msg, ffi.new "struct ln_edit[1]", 0)
      assert.equal(2, (R.left()))
      assert.equal(copy, lib.ln_msg_ref(copy))
      lib.ln_msg_unref(copy)
      assert.equal(2, (R.left()))
      lib.ln_msg_unref(copy)
      assert.equal(text, R.table(m.msg).text)
      lib.ln_msg_unref(m.msg)
      lib.ln_msg_unref(nil)
    end)
  end)
end)
