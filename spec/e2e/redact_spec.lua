-- The ready policy redact: nothing that a server sends reaches the client with a secret in it, whatever the message,
-- and a large one holds nobody up.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"
local upstream = require "spec.support.upstream"

local SECRET = "AKIAIOSFODNN7EXAMPLE"
local redact = 'require "lunette.policy.redact" {}'

local function tool(fields) return '[{"name":"read","inputSchema":{"type":"object"}' .. fields .. "}]" end

describe("redact takes a secret out of", function()
  after_each(lunette.finish)

  local function clean(raw)
    assert.is_nil(raw:find(SECRET, 1, true), raw)
    assert.is_nil(raw:find("IOSFODNN7", 1, true), raw)
    return raw
  end

  local function with(options)
    options.way = options.way or { "http", "stdio" }
    return policy.with(options.policy or redact, options)
  end

  it("definitions of every kind, which can still be used", function()
    local client, up = with {
      tools = ('[{"name":"a_%s","description":"use %s","inputSchema":{"type":"object","properties":{"p":{"default":"%s"}}}},{"name":"fine", "n":1.0}]')
        :format("x", SECRET, SECRET),
      resources = ('[{"uri":"file:///%s/a","name":"%s"}]'):format(SECRET, SECRET),
      templates = ('[{"uriTemplate":"t://{x}","name":"t","description":"%s"}]'):format(SECRET),
      prompts = ('[{"name":"p","arguments":[{"name":"a","description":"%s"}]}]'):format(SECRET),
    }
    for _, method in ipairs { "tools/list", "resources/list", "resources/templates/list", "prompts/list" } do
      assert.truthy(clean(client:result(method, "{}")):find("[redacted]", 1, true), method)
    end
    assert.equal('{"name":"fine", "n":1.0}', policy.item(client, "fine"))
    up:on("resources/read", function(req) req:reply('{"contents":[{"uri":' .. req:at "uri" .. ',"text":"body"}]}') end)
    local read = clean(client:result("resources/read", '{"uri":"file:///[redacted]/a"}'))
    assert.equal("body", json.value(read, "contents", 1, "text"))
    assert.equal(("file:///%s/a"):format(SECRET), up:wait("resources/read"):value "uri")
  end)

  it("definitions that rules before it have edited", function()
    local client = with { tools = '[{"name":"read","description":"a","inputSchema":{"type":"object"}},{"name":"b","inputSchema":{"type":"object"}}]',
      policy = ('lunette.tools.transform("read", { description = "of %s" }) lunette.tools.transform("b", function(t) t.title = "B" return t end)\n%s')
        :format(SECRET, redact) }
    assert.equal("of [redacted]", json.value(policy.item(client, "read"), "description"))
    assert.equal("B", json.value(policy.item(client, "b"), "title"))
  end)

  it("what lists have beside their items, and their errors", function()
    local client, up = with { tools = tool "" }
    up:on("prompts/list", function(req) req:fail(-32000, "no " .. SECRET, '{"why":"' .. SECRET .. '"}') end)
    up:on("resources/list", function(req) req:reply('{"resources":[],"_meta":{"k":"' .. SECRET .. '"}}') end)
    clean(client:request("prompts/list", "{}"))
    assert.equal("[redacted]", json.value(clean(client:result("resources/list", "{}")), "_meta", "k"))
  end)

  it("the answer to initialize, and its refusal", function()
    local up = upstream.new { name = "up", instructions = '"say ' .. SECRET .. '"', info = '{"name":"' .. SECRET .. '","version":"1"}',
      extra = '"_meta":{"' .. SECRET .. '":1}' }
    local host = lunette.http { policy = lunette.bare(up) .. "\n" .. redact }
    assert.equal("say [redacted]", json.value(clean(host.client():initialize()), "instructions"))
    up = upstream.new { name = "up" }
    up:on("initialize", function(req) req:fail(-32000, "no " .. SECRET) end)
    host = lunette.http { policy = lunette.bare(up) .. "\n" .. redact }
    clean(host.client():request("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"s","version":"1"}}'))
  end)

  it("results and errors of all methods, known or not", function()
    local client, up = with {}
    up:on("*", function(req)
      if req.id then req:reply('{"x":["' .. SECRET .. '"],"' .. SECRET .. '":{"a":1.0}}') end
    end)
    for method, params in pairs {
      ["x/unknown"] = "{}", ["completion/complete"] = '{"ref":{"type":"ref/prompt","name":"plan"},"argument":{"name":"a","value":""}}',
      ["resources/subscribe"] = '{"uri":"note://c"}', ["tasks/get"] = '{"taskId":"1"}',
    } do
      clean(client:request(method, params))
    end
    assert.equal('{"x":["[redacted]"],"[redacted]":{"a":1.0}}', client:result("x/other", '{"a":"' .. SECRET .. '"}'))
    assert.equal(SECRET, up:wait("x/other"):value "a", "what clients send stays")
    up:on("*", function(req) req:fail(-32000, SECRET, '{"' .. SECRET .. '":1}') end)
    for _, method in ipairs { "x/unknown", "resources/read", "prompts/get", "tools/call" } do
      clean(client:request(method, '{"uri":"note://c","name":' .. (method == "tools/call" and '"read"' or '"plan"') .. "}"))
    end
  end)

  it("what is written with escapes", function()
    local client, up = with { policy = 'require "lunette.policy.redact" { patterns = "p%-%d%d%d" }' }
    up:on("tools/call", function(req)
      req:reply([[{"content":[{"type":"text","text":"\u0041KIAIOSFODNN7EXAMPLE and \nAKIAIOSFODNN7EXAMPLE, p\u002d123"}]}]])
    end)
    assert.equal("[redacted] and \n[redacted], [redacted]", policy.says(client, "read"))
  end)

  it("what own patterns match, whatever they begin with", function()
    local own = { "%f[%w]ACME%-%d+", "ab?c!", "x%.y*z!", "%f[%]]]q!", "[uv]w!", "(gh)i!", "jk-l!", "mno+!", "p/q!", "%%r!", "^start!", "é!", "s%d!" }
    local list, text = {}, "start! ACME-1 ac! abc! x.z! x.yyz! ]q! uw! ghi! jl! jkkl! mnooo! p\\/q! %r! é! s5! end"
    for i, pattern in ipairs(own) do list[i] = ("%q"):format(pattern) end
    for _, patterns in ipairs { list, { list[1] }, { list[2] }, { list[3] }, { list[4] }, { list[6] }, { list[7] }, { list[8] }, { list[9] } } do
      local client, up = with { policy = ('require "lunette.policy.redact" { secrets = false, with = "-", patterns = { %s } }')
        :format(table.concat(patterns, ", ")) }
      up:on("tools/call", function(req) req:reply('{"content":[{"type":"text","text":"' .. text .. '"}]}') end)
      local expected = text:gsub("\\/", "/")
      for i, pattern in ipairs(own) do
        if #patterns > 1 or patterns[1] == list[i] then expected = expected:gsub(pattern, "-") end
      end
      assert.equal(expected, policy.says(client, "read"))
      lunette.finish()
    end
  end)

  it("notifications and requests of servers, but not the ids by which they are known", function()
    local client, up = with { capabilities = '{"sampling":{}}' }
    up:on("tools/call", function(req)
      req:notify("notifications/message", '{"level":"info","data":{"' .. SECRET .. '":"' .. SECRET .. '"}}')
      req:notify("notifications/x", '{"a":"' .. SECRET .. '"}')
      req:progress('"progress":1,"message":"' .. SECRET .. '"')
      req:ask("x/ask", '{"q":"' .. SECRET .. '"}', function(r) req:reply('{"content":[],"got":' .. (r.result or "null") .. "}") end)
    end)
    local call = client:start("tools/call", '{"name":"read","_meta":{"progressToken":"' .. SECRET .. '"}}')
    assert.equal('{"level":"info","data":{"[redacted]":"[redacted]"}}', client:expect("notifications/message").params)
    assert.equal('{"a":"[redacted]"}', client:expect("notifications/x").params)
    local progress = client:expect("notifications/progress").params
    assert.equal("[redacted]", json.value(progress, "message"))
    assert.equal(SECRET, json.value(progress, "progressToken"))
    local question = client:expect "x/ask"
    assert.equal('{"q":"[redacted]"}', question.params)
    client:answer(question, '{"yes":"' .. SECRET .. '"}')
    -- The server got it as it was: it is only taken out of what servers send.
    assert.equal("[redacted]", json.value(call:wait(), "result", "got", "yes"))
  end)
end)

describe("redact and large texts", function()
  after_each(lunette.finish)

  local function answering(raw, options, more)
    local up = upstream.new { name = "up", tools = '[{"name":"read","inputSchema":{"type":"object"}}]' }
    up:on("tools/call", function(req) req:reply(raw) end)
    local host = lunette.http { policy = ('%s\nlunette.configure { max_message_bytes = 16777216 } require "lunette.policy.redact" %s\n%s')
      :format(lunette.bare(up), options, more or "") }
    local client = host.client()
    client:initialize()
    return client, host
  end

  it("finds each secret, wherever the pieces meet", function()
    local parts = {}
    for i = 65490, 65560 do parts[#parts + 1] = ("."):rep(i) .. SECRET end
    local key = "-----BEGIN PRIVATE KEY-----" .. ("ab+/"):rep(60000) .. "-----END PRIVATE KEY-----"
    local text = table.concat(parts) .. " " .. SECRET .. SECRET .. " " .. key .. " end"
    local client = answering('{"content":[{"type":"text","text":"' .. text .. '"}]}', '{ patterns = { "^%.+", "end$" } }')
    local got = policy.says(client, "read")
    local expected = text:gsub("%f[%w]" .. SECRET .. "%f[%W]", "[redacted]"):gsub("%-%-%-%-%-BEGIN [^-]*%-%-%-%-%-[^-]*", "[redacted]")
      :gsub("^%.+", "[redacted]"):gsub("end$", "[redacted]")
    assert.is_true(expected == got)
  end)

  it("lists ten thousand tools, of which some have one", function()
    local tools = {}
    for i = 1, 10000 do
      tools[i] = ('{"name":"t%d","description":"of a task-list %d %s","inputSchema":{"type":"object"}}'):format(i, i, i % 1000 == 0 and SECRET or "")
    end
    local up = upstream.new { name = "up", tools = "[" .. table.concat(tools, ",") .. "]" }
    local host = lunette.http { policy = 'lunette.configure { page_size = 0 } require "lunette.policy.redact" { personal = true }\n' .. lunette.bare(up) }
    local client = host.client()
    client:initialize()
    local raw = client:result("tools/list", "{}")
    assert.equal(10000, #json.elements(json.at(raw, "tools")))
    assert.is_nil(raw:find(SECRET, 1, true))
    assert.equal(10, select(2, raw:gsub("%[redacted%]", "")))
  end)

  -- In seconds, as far as the histogram tells.
  local function longest_turn(host)
    local metrics = http.request { port = host.port, path = "/metrics" }.body
    local total, longest = tonumber(metrics:match 'lunette_loop_delay_seconds_count (%d+)'), nil
    for bound, n in metrics:gmatch 'lunette_loop_delay_seconds_bucket{le="([%d.e-]+)"} (%d+)' do
      if tonumber(n) == total and not longest then longest = tonumber(bound) end
    end
    return longest or math.huge
  end

  local mb = ("lorem ipsum 1234 dolor+sit sk-amet a@b "):rep(100000)
  for name, case in pairs {
    ["one text without any"] = { '{"content":[{"type":"text","text":"' .. ("lorem ipsum "):rep(325000) .. '"}]}', "{}" },
    ["one text that tempts all patterns"] = { '{"content":[{"type":"text","text":"' .. mb .. '"}]}', "{ personal = true }" },
    ["one text full of secrets"] = { '{"content":[{"type":"text","text":"' .. (SECRET .. " "):rep(180000) .. '"}]}', "{}" },
    ["many texts"] = { '{"content":[],"structuredContent":{"list":[' .. ('"sk-x a@b",'):rep(50000) .. "0]}}", "{ personal = true }" },
  } do
    it("lets others have their turn: " .. name, function()
      local client, host = answering(case[1], case[2], "lunette.configure { hook_timeout = 20 }")
      client:result("tools/call", '{"name":"read"}')
      -- All at once each would take longer than half a second.
      assert.is_true(longest_turn(host) <= 0.25 * loop.slow)
    end)
  end
end)
