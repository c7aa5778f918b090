-- src/proxy/names/rewrite.c: servers' names in a message become the client's, wherever one may stand and nowhere else.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

describe("a server's message", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local servers = {
    { "a", resources = '{"uri":"x:1"}', templates = '{"uriTemplate":"t:{i}"}' },
    { "b", resources = '{"uri":"x:1"},{"uri":"x:2"}', templates = '{"uriTemplate":"t:{i}"}' },
  }

  -- A host whose client knows all lists of resources; at b x:1 is b+x:1 and t:5 is b+t:5 to it.
  local function known(rules, list)
    local h = H.new(rules or "", list or servers)
    h:view "resources"
    h:view "templates"
    return h
  end

  local function result(members) return ('{"jsonrpc":"2.0","id":1,"result":{%s}}'):format(members) end
  local function failed(members) return ('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m",%s}}'):format(members) end
  local function request(method, params) return ('{"jsonrpc":"2.0","id":1,"method":"%s","params":{%s}}'):format(method, params) end
  local function told(method, params) return ('{"jsonrpc":"2.0","method":"%s","params":{%s}}'):format(method, params) end

  -- What the client sees of b's message: the same text.
  local function is_same(h, text)
    local seen, same = h:seen("b", text)
    assert.equal(text, seen)
    assert.is_true(same, "not the same message: " .. text)
  end

  describe("has the client's URIs", function()
    -- @ is where the URI stands.
    local places = {
      -- contents of resources
      result '"contents":[{"uri":@}]', result '"contents":[{"uri":@,"text":"t"},{"uri":@,"blob":""}]', result '"contents":{"uri":@}',
      -- links and embedded resources, of tools, prompts, tasks
      result '"content":[{"type":"resource_link","uri":@,"name":"n"}]', result '"content":[{"type":"resource","resource":{"uri":@,"text":"t"}}]',
      result '"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":@}}}]',
      result '"messages":[{"role":"user","content":[{"type":"resource_link","uri":@}]}]',
      -- what shows a tool's result
      result '"_meta":{"ui":{"resourceUri":@}}', result '"_meta":{"ui/resourceUri":@}',
      -- errors
      failed '"data":{"uri":@}',
      -- what is to be sampled, blocks in blocks too
      request("sampling/createMessage", '"messages":[{"role":"user","content":{"type":"resource_link","uri":@}}]'),
      request("sampling/createMessage", '"messages":[{"content":[{"type":"tool_result","content":[{"type":"resource","resource":{"uri":@}}]}]}]'),
      -- notifications
      told("notifications/resources/updated", '"uri":@'),
      -- twins, and names with escapes
      result '"contents":[{"uri":@,"uri":@}]', result '"cont\\u0065nts":[{"\\u0075ri":@}]',
    }

    it("in every place where one may stand, and every other byte stays", function()
      local h = known()
      for _, place in ipairs(places) do
        for native, seen in pairs { ['"x:1"'] = '"b+x:1"', ['"t:5"'] = '"b+t:5"', ['"\\u0078:1"'] = '"b+x:1"' } do
          local text = place:gsub("@", (native:gsub("%%", "%%%%")))
          assert.equal((place:gsub("@", (seen:gsub("%%", "%%%%")))), (h:seen("b", text)), text)
        end
        local spaced = place:gsub("@", ' \t"x:1" '):gsub("}$", ' , "x" : 1.0 }')
        assert.equal((spaced:gsub('"x:1"', '"b+x:1"')), (h:seen("b", spaced)))
      end
    end)

    it("where they differ, and only then", function()
      local h = known()
      for _, place in ipairs(places) do
        for _, same in ipairs { '"x:2"', '"x:3"', '"X:1"', '""', '"t:"', '"t:5/6"', "7", "null", "[]", '{"uri":"x:1"}', '["x:1"]' } do
          is_same(h, (place:gsub("@", same)))
        end
        local text = place:gsub("@", '"x:1"')
        assert.equal(text, (h:seen("a", text)), "at a it is no other")
      end
    end)

    local nowhere = {
      -- what people and models read
      result '"content":[{"type":"text","text":"x:1"}]', result '"structuredContent":{"uri":"x:1","content":[{"uri":"x:1"}]}',
      result '"content":[{"type":"text","text":"{\\"uri\\":\\"x:1\\"}"}],"structuredContent":{"contents":[{"uri":"x:1"}]}',
      result '"contents":[{"uri":"x:2","text":"x:1","blob":"x:1"}]', failed '"data":"x:1"',
      -- members of other names, and of other places
      result '"uri":"x:1"', result '"resource":{"uri":"x:1"}', result '"resources":[{"uri":"x:1"}]', result '"contents":[{"URI":"x:1"}]',
      result '"contents":[{"resource":{"uri":"x:1"}}]', result '"content":[{"resource":{"resource":{"uri":"x:1"}}}]',
      result '"content":[{"annotations":{"uri":"x:1"},"_meta":{"uri":"x:1"},"name":"x:1"}]',
      result '"content":[{"content":[{"content":[{"uri":"x:1"}]}]}]', result '"messages":[{"uri":"x:1"}]', result '"messages":[[{"content":{"uri":"x:1"}}]]',
      result '"_meta":{"resourceUri":"x:1","uri":"x:1","ui":"x:1"}', failed '"uri":"x:1"', failed '"data":{"data":{"uri":"x:1"}}',
      result '"contents":"x:1"', result '"content":null', result '"contents":[["x:1"],"x:1",7,{"uri":{"uri":"x:1"}}]',
      -- other methods
      request("elicitation/create", '"message":"x:1","uri":"x:1","requestedSchema":{"uri":"x:1"}'), request("roots/list", '"uri":"x:1"'),
      request("sampling/createMessage", '"systemPrompt":"x:1","uri":"x:1","metadata":{"uri":"x:1"},"tools":[{"uri":"x:1"}]'),
      told("notifications/message", '"data":{"uri":"x:1","contents":[{"uri":"x:1"}]}'), told("notifications/progress", '"uri":"x:1","message":"x:1"'),
      told("notifications/resources/updated", '"params":{"uri":"x:1"}'), told("notifications/resources/list_changed", '"uri":"x:1"'),
      told("notifications/Resources/updated", '"uri":"x:1"'),
    }

    it("nowhere else", function()
      local h = known()
      for _, text in ipairs(nowhere) do is_same(h, text) end
      for _, odd in ipairs { "[]", "null", "7", '"x:1"', "{}" } do
        is_same(h, ('{"jsonrpc":"2.0","id":1,"result":%s}'):format(odd))
        is_same(h, ('{"jsonrpc":"2.0","method":"notifications/resources/updated","params":%s}'):format(odd == "{}" and odd or "{}"))
      end
    end)

    it("each in its place, however many and in whatever order they are looked at", function()
      local h = known()
      local function text(one, five)
        return ('{"jsonrpc":"2.0","id":1,"result":{"_meta":{"ui":{"resourceUri":%s}},"content":[{"resource":{"uri":%s},"uri":%s},{"uri":"x:2"},'
          .. '{"uri":%s}],"contents":[%s{"uri":%s}]}}'):format(one, five, one, five, ('{"uri":' .. one .. "},"):rep(1000), five)
      end
      assert.equal(text('"b+x:1"', '"b+t:5"'), (h:seen("b", text('"x:1"', '"t:5"'))))
    end)

    it("that rules gave them, of one server too", function()
      local h = known("lunette.resources.rename { ['x:1'] = 'note:\"1\"' } lunette.resource_templates.transform('t:{i}', { uriTemplate = 'u:{i}/x' })",
        { { "b", resources = '{"uri":"x:1"}', templates = '{"uriTemplate":"t:{i}"}' } })
      assert.equal(result '"contents":[{"uri":"note:\\"1\\""},{"uri":"u:5/x"},{"uri":"u:%41/x"}]',
        (h:seen("b", result '"contents":[{"uri":"x:1"},{"uri":"t:5"},{"uri":"t:%41"}]')))
      is_same(h, result '"contents":[{"uri":"note:1"},{"uri":"u:5/x"}]')
    end)

    it("each of its server", function()
      local list = {}
      for i, server in ipairs { "a", "b", "c", "d" } do
        list[i] = { server, resources = '{"uri":"x:1"},{"uri":"x:1"}', templates = '{"uriTemplate":"t:{i}"}' }
      end
      local h = known("", list)
      for _, server in ipairs { "c", "a", "d", "b", "a", "c" } do
        local prefix = server == "a" and "" or server .. "+"
        assert.equal(result(('"contents":[{"uri":"%sx:1"},{"uri":"%st:5"}]'):format(prefix, prefix)),
          (h:seen(server, result '"contents":[{"uri":"x:1"},{"uri":"t:5"}]')))
      end
    end)

    it("not of what rules hide", function()
      local h = known("lunette.resources.hide 'x:1' lunette.resource_templates.hide 't:*'")
      is_same(h, result '"contents":[{"uri":"x:1"},{"uri":"t:5"}]')
    end)

    it("of NUL and of any text", function()
      local h = known("", { { "a", resources = '{"uri":"x:\\u0000\195\188"}' }, { "b", resources = '{"uri":"x:\\u0000\195\188"}' } })
      assert.equal(result '"contents":[{"uri":"b+x:\\u0000\195\188"},{"uri":"x:"}]',
        (h:seen("b", result '"contents":[{"uri":"x:\\u0000\\u00fc"},{"uri":"x:"}]')))
    end)
  end)

  describe("before its client has lists", function()
    it("is not looked into by those who can't wait", function()
      is_same(H.new("", servers), result '"contents":[{"uri":"x:1"}]')
    end)

    it("gets them first when it belongs to a request, and names a URI", function()
      local h = H.new("", servers)
      assert.equal(result '"contents":[{"uri":"b+x:1"},{"uri":"b+t:5"}]', h:shown("b", result '"contents":[{"uri":"x:1"},{"uri":"t:5"}]'))
      assert.equal(1, h:count("a", "resources/list"))
      assert.equal(1, h:count("b", "resources/templates/list"))
    end)

    it("costs none when it names none, when they don't matter, or when the server has none", function()
      local text = result '"contents":[{"uri":"x:1"}]'
      for _, case in ipairs {
        { "", servers, result '"content":[{"type":"text","text":"x:1"}],"contents":[{"uri":7}]' },
        { "lunette.tools.hide 'x'", { servers[2] }, text },
      } do
        local h = H.new(case[1], case[2])
        assert.equal(case[3], h:shown("b", case[3]))
        assert.equal(0, h:count("b", "resources/list"))
      end
      local h = H.new("", { servers[1], { "b", capabilities = '{"tools":{}}' } })
      h:call("b", "ping", "{}")
      assert.equal(text, h:shown("b", text))
      assert.equal(0, h:count("a", "resources/list"))
    end)

    it("goes out as it is when they can't be had", function()
      local h = H.new("lunette.resources.rename { ['x:1'] = 'y:1' }",
        { { "b", on = { ["resources/list"] = function() return '"error":{"code":1,"message":"no"}' end } } })
      local text = result '"contents":[{"uri":"x:1"}]'
      assert.equal(text, h:shown("b", text))
      assert.equal(1, h:count("b", "resources/list"))
    end)

    it("reaches nobody when its request ended meanwhile", function()
      local h = H.new("", { servers[1], { "b", on = { ["resources/list"] = function() return false end } } })
      H.with_msg(H.request("tools/call", '{"name":"t"}'), function(m)
        H.with_msg(result '"contents":[{"uri":"x:1"}]', function(msg)
          local a = H.driver.pl_rewrite(h.rig, h:client(), h:server "b", m, msg)
          h:run()
          H.driver.pl_cancel(a)
          h:answer(h.held[1], '"result":{"resources":[]}')
          assert.is_false(a.there)
        end)
      end)
    end)
  end)

  describe("with more than may be looked up", function()
    local function refusal(text) return ('{"code":-32603,"message":"%s"}'):format(text) end

    it("is refused, and the log says why", function()
      local wide = {}
      for i = 1, 1000 do wide[i] = ('{"uriTemplate":"t:%sx%d"}'):format(("{+a}y"):rep(32), i) end
      local h = known("", { { "a", templates = table.concat(wide, ",") }, { "b", templates = table.concat(wide, ",") } })
      local uri = "t:" .. ("y"):rep(8000)
      local seen = h:seen("b", result('"contents":[{"uri":"' .. uri .. '"}]'))
      assert.truthy(seen:find(refusal "The server's answer has too many URIs that could be of its resource templates", 1, true), seen)
      seen = h:seen("b", told("notifications/resources/updated", '"uri":"' .. uri .. '"'))
      assert.truthy(seen:find("The server's message has too many URIs", 1, true), seen)
      assert.equal(2, h:logged "was refused: more than 4194304 steps of looking its URIs up")
      is_same(h, result '"contents":[{"uri":"x:1"}]')
    end)

    it("is refused for a URI that is too long, if that could matter", function()
      local h = known "lunette.configure { max_uri_bytes = 1024 }"
      local function contents(uri) return result('"contents":[{"uri":"' .. uri .. '"}]') end
      assert.equal(contents("b+t:" .. ("y"):rep(1022)), (h:seen("b", contents("t:" .. ("y"):rep(1022)))))
      local seen = h:seen("b", contents("t:" .. ("y"):rep(1023)))
      assert.truthy(seen:find(refusal "The server's answer has a URI that is longer than max_uri_bytes (1024)", 1, true), seen)
      is_same(h, contents("u:" .. ("y"):rep(5000)))
    end)
  end)

  describe("of several servers has ids that are the client's", function()
    it("of elicitations", function()
      local h = H.new("", servers)
      local first = request("elicitation/create", '"elicitationId":"e","url":"e"')
      assert.equal(first, (h:seen("a", first)))
      for _, place in ipairs { request("elicitation/create", '"mode":"url","elicitationId":@'), told("notifications/elicitation/complete", '"elicitationId":@'),
        failed '"data":{"elicitations":[{"elicitationId":@,"mode":"url"},{"elicitationId":7}]}' } do
        assert.equal((place:gsub("@", '"b:e"')), (h:seen("b", (place:gsub("@", '"\\u0065"')))), place)
        is_same(h, (place:gsub("@", "7")))
        is_same(h, (place:gsub("@", '"other"')))
      end
      for _, text in ipairs { request("sampling/createMessage", '"elicitationId":"e"'), result '"elicitationId":"e","elicitations":[{"elicitationId":"e"}]',
        failed '"elicitations":[{"elicitationId":"e"}]', told("notifications/message", '"data":{"elicitationId":"e"}') } do
        is_same(h, text)
      end
    end)

    it("of tasks", function()
      local h = H.new("", servers)
      local related = '"_meta":{"io.modelcontextprotocol/related-task":{"taskId":@}}'
      local in_messages = { told("notifications/tasks/status", '"taskId":@,"status":"working"'), request("sampling/createMessage", '"messages":[],' .. related),
        request("elicitation/create", related), told("notifications/progress", '"progressToken":1,' .. related), told("notifications/message", related) }
      local in_results = { result '"taskId":@,"status":"working"', result '"task":{"taskId":@,"status":"completed"}', result('"content":[],' .. related) }
      local function all(places, expected)
        for _, place in ipairs(places) do
          assert.equal((place:gsub("@", expected)), (h:seen("b", (place:gsub("@", '"t"')))), place)
          is_same(h, (place:gsub("@", "7")))
        end
      end
      all(in_messages, '"b:t"')
      all(in_results, '"t"') -- nobody has any task
      h.by_name.a.on = { ["tools/call"] = function() return '"result":{"task":{"taskId":"t","status":"working"}}' end }
      h:call("a", "tools/call", '{"name":"x","task":{}}')
      all(in_messages, '"b:t"')
      all(in_results, '"b:t"')
      assert.equal(result '"taskId":"a:t"', (h:seen("a", result '"taskId":"t"')))
      for _, text in ipairs { result '"content":[{"taskId":"t"}],"structuredContent":{"taskId":"t"}', failed '"data":{"taskId":"t"}',
        result '"_meta":{"taskId":"t","related-task":{"taskId":"t"}}', told("notifications/message", '"taskId":"t"'),
        request("elicitation/create", '"taskId":"t"') } do
        is_same(h, text)
      end
    end)

    it("of both, in the order that they stand in", function()
      local h = H.new("", servers)
      h:seen("a", request("elicitation/create", '"elicitationId":"e"'))
      for _, order in ipairs { '"elicitationId":%s,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":%s}}',
        '"_meta":{"io.modelcontextprotocol/related-task":{"taskId":%s}},"elicitationId":%s' } do
        assert.equal(request("elicitation/create", order:format('"b:e"', '"b:e"')), (h:seen("b", request("elicitation/create", order:format('"e"', '"e"')))))
      end
    end)

    it("and of one server its own", function()
      local h = H.new("", { { "b" } })
      is_same(h, request("elicitation/create", '"elicitationId":"e"'))
      is_same(h, told("notifications/tasks/status", '"taskId":"t"'))
      h = H.new("", { { "b", options = "session = 'shared'" } })
      is_same(h, told("notifications/tasks/status", '"taskId":"t"'))
    end)
  end)

  describe("in the other direction:", function()
    local function answered(h, server, text)
      local m = lib.ln_rewrite_answer(h:client(), h:server(server), H.msg(text))
      local out = H.str(m.text)
      lib.ln_msg_unref(m)
      return out
    end

    it("a client's answer has the server's own id of the task that it belongs to", function()
      local h = H.new("", { { "a" }, { "b", on = { ["tools/call"] = function() return '"result":{"task":{"taskId":"t","status":"working"}}' end } } })
      local function related(id)
        return result('"action":"accept", "content":{"taskId":"b:t"},"_meta":{"x":1,"io.modelcontextprotocol/related-task":{"taskId":' .. id .. "}}")
      end
      assert.equal(related '"b:t"', answered(h, "b", related '"b:t"'), "nobody has any task")
      h:call("b", "tools/call", '{"name":"x","task":{}}')
      assert.equal(related '"t"', answered(h, "b", related '"b:t"'))
      assert.equal(related '"t"', answered(h, "b", related '"\\u0062:t"'))
      for _, id in ipairs { '"t"', '"a:t"', '"b:u"', "7", "null" } do assert.equal(related(id), answered(h, "b", related(id))) end
      assert.equal(related '"b:t"', answered(h, "a", related '"b:t"'), "it is none of a's")
      for _, text in ipairs { result '"taskId":"b:t"', failed '"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"b:t"}}' } do
        assert.equal(text, answered(h, "b", text))
      end
    end)
  end)

  describe("that lists tools", function()
    -- A page of tools of these servers (nil: the policy's own) as the client sees it.
    local function tools(h, names, text)
      local of = ffi.new("struct ln_server *[?]", #names)
      for i, name in ipairs(names) do of[i - 1] = name ~= "policy" and h:server(name) or nil end
      local m = lib.ln_rewrite_tools(h:client(), of, #names, H.msg(text))
      local out = H.str(m.text)
      lib.ln_msg_unref(m)
      return out
    end

    local function page(...)
      local items = {}
      for i, uri in ipairs { ... } do items[i] = ('{"name":"t","_meta":{"ui":{"resourceUri":"%s"},"uri":"x:1"},"uri":"x:1"}'):format(uri) end
      return result('"tools":[' .. table.concat(items, ",") .. ']')
    end

    it("has the client's URIs of what shows them, each of its server", function()
      local h = known()
      assert.equal(page("x:1", "b+x:1", "x:1", "b+t:5"), tools(h, { "a", "b", "policy", "b" }, page("x:1", "x:1", "x:1", "t:5")))
      assert.equal(page("x:1", "b+x:1", "x:1"), tools(h, { "a", "b" }, page("x:1", "x:1", "x:1")), "as far as it is said whose")
      assert.equal(page "x:1", tools(h, { "a", "b" }, page "x:1"))
    end)

    it("costs one server's tools no names for another's", function()
      local wide = {}
      for i = 1, 1000 do wide[i] = ('{"uriTemplate":"t:%sx%d"}'):format(("{+a}y"):rep(32), i) end
      local other = '{"uriTemplate":"u:{i}"}'
      local h = known("", { { "a", templates = other .. "," .. table.concat(wide, ",", 1, 999) }, { "b", templates = table.concat(wide, ",") },
        { "c", templates = other } })
      local long = "t:" .. ("y"):rep(8000)
      assert.equal(page(long, "c+u:5"), tools(h, { "b", "c" }, page(long, "u:5")))
    end)
  end)
end)
