-- The ready policy sample_with: what of a server's request reaches a model's API, byte for byte where the API would
-- look, and what of the API's answer reaches the server. The APIs are stand-ins that keep what they are sent.
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"

describe("the ready policy sample_with", function()
  after_each(lunette.finish)

  -- An API that answers with this body (and status).
  local function api(answer, status)
    local requests = {}
    local s = http.listen(function(request, conn)
      requests[#requests + 1] = request
      conn:send(("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(status or 200, #answer, answer))
    end)
    s.requests = requests
    return s
  end

  -- A server that samples with these params in its tool and answers with what it was answered.
  local function sampled(options, params, client_options)
    local client, up = lunette.between({ "stdio", "stdio" }, { tools = '[{"name":"ask","inputSchema":{"type":"object"}}]' },
      { policy = ('require "lunette.policy.sample_with" { %s }'):format(options) })
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", params, function(answer)
        req:reply('{"content":[],"got":' .. (answer.result or answer.error) .. "}")
      end)
    end)
    client:initialize(client_options)
    local call = client:start("tools/call", '{"name":"ask"}')
    return function() return json.at(call:wait(), "result", "got") end, client, up
  end

  local said = '{"id":"x","model":"m-1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Paris"}}]}'
  local spoke = '{"id":"x","type":"message","role":"assistant","model":"c-1","stop_reason":"end_turn","content":[{"type":"text","text":"Paris"}]}'
  local simple = '{"messages":[{"role":"user","content":{"type":"text","text":"Capital?"}}],"maxTokens":100}'
  -- Everything that a request can have.
  local rich = [=[{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image","data":"AAA=","mimeType":"image/png"}]},
{"role":"assistant","content":[{"type":"text","text":"I will"},{"type":"tool_use","id":"t1","name":"look","input":{"at":[]}},
{"type":"tool_use","id":"t2","name":"look","input":{}}]},
{"role":"user","content":[{"type":"tool_result","toolUseId":"t1","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
{"type":"tool_result","toolUseId":"t2","content":[{"type":"text","text":"no"}],"isError":true}]}],
"systemPrompt":"Be brief","maxTokens":9000,"temperature":0.5,"stopSequences":["END"],"modelPreferences":{"hints":[{"name":"Big"}]},
"tools":[{"name":"look","description":"Looks","inputSchema":{"type":"object","properties":{},"required":[]}}],"toolChoice":{"mode":"required"},
"includeContext":"none","metadata":{"x":1}}]=]
  rich = rich:gsub("\n", "")

  describe("speaks OpenAI's", function()
    it("way for a plain question", function()
      local s = api(said)
      local got = sampled(('api = "openai", model = "m", key = "sk-1", url = "%s/v1/chat/completions"'):format(s.url), simple)
      assert.equal('{"content":{"text":"Paris","type":"text"},"model":"m-1","role":"assistant","stopReason":"endTurn"}', got())
      local request = s.requests[1]
      assert.equal("POST /v1/chat/completions HTTP/1.1", request.start)
      assert.equal("Bearer sk-1", request.headers.authorization)
      assert.equal("application/json", request.headers["content-type"])
      assert.equal('{"max_tokens":100,"messages":[{"content":"Capital?","role":"user"}],"model":"m"}', request.body)
    end)

    it("way for everything", function()
      local s = api('{"model":"m-1","choices":[{"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":['
        .. '{"id":"c1","type":"function","function":{"name":"look","arguments":"{\\"at\\":[]}"}},'
        .. '{"id":"c2","type":"function","function":{"name":"look","arguments":""}}]}}]}')
      local got = sampled(('api = "openai", model = { "small", "a-big-one" }, url = %q, body = { top_p = 1 }'):format(s.url), rich)
      assert.equal('{"content":[{"id":"c1","input":{"at":[]},"name":"look","type":"tool_use"},{"id":"c2","input":{},"name":"look","type":'
        .. '"tool_use"}],"model":"m-1","role":"assistant","stopReason":"toolUse"}', got())
      assert.is_nil(s.requests[1].headers.authorization)
      assert.same(json.decode [[{"model":"a-big-one","max_tokens":4096,"temperature":0.5,"stop":["END"],"top_p":1,"tool_choice":"required",
        "tools":[{"type":"function","function":{"name":"look","description":"Looks",
          "parameters":{"type":"object","properties":{},"required":[]}}}],
        "messages":[{"role":"system","content":"Be brief"},
          {"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAA="}}]},
          {"role":"assistant","content":"I will","tool_calls":[
            {"id":"t1","type":"function","function":{"name":"look","arguments":"{\"at\":[]}"}},
            {"id":"t2","type":"function","function":{"name":"look","arguments":"{}"}}]},
          {"role":"tool","tool_call_id":"t1","content":"a\nb"},{"role":"tool","tool_call_id":"t2","content":"no"}]}]],
        json.decode(s.requests[1].body))
      assert.truthy(s.requests[1].body:find('"required":[]', 1, true))
    end)

    it("reasons for stopping", function()
      for theirs, ours in pairs { stop = "endTurn", length = "maxTokens", content_filter = "content_filter" } do
        local s = api((said:gsub('"stop"', '"' .. theirs .. '"')))
        local got = sampled(('api = "openai", model = "m", url = %q'):format(s.url), simple)
        assert.equal(ours, json.value(got(), "stopReason"))
      end
    end)

    it("way to hear", function()
      local s = api(said)
      sampled(('api = "openai", model = "m", url = %q'):format(s.url),
        '{"messages":[{"role":"user","content":{"type":"audio","data":"AA==","mimeType":"audio/mpeg"}}],"maxTokens":1}')()
      assert.equal('[{"content":[{"input_audio":{"data":"AA==","format":"mp3"},"type":"input_audio"}],"role":"user"}]',
        json.at(s.requests[1].body, "messages"))
    end)
  end)

  describe("speaks Anthropic's", function()
    it("way for a plain question", function()
      local s = api(spoke)
      local got = sampled(('api = "anthropic", model = "c", key = "k", url = "%s/v1/messages"'):format(s.url), simple)
      assert.equal('{"content":{"text":"Paris","type":"text"},"model":"c-1","role":"assistant","stopReason":"endTurn"}', got())
      local request = s.requests[1]
      assert.equal("POST /v1/messages HTTP/1.1", request.start)
      assert.equal("k", request.headers["x-api-key"])
      assert.equal("2023-06-01", request.headers["anthropic-version"])
      assert.equal('{"max_tokens":100,"messages":[{"content":[{"text":"Capital?","type":"text"}],"role":"user"}],"model":"c"}', request.body)
    end)

    it("way for everything", function()
      local s = api('{"model":"c-1","stop_reason":"tool_use","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"So"},'
        .. '{"type":"tool_use","id":"c1","name":"look","input":{"at":[]}}]}')
      local got = sampled(('api = "anthropic", model = { "small", "a-big-one" }, url = %q, max_tokens = 10000'):format(s.url), rich)
      assert.equal('{"content":[{"text":"So","type":"text"},{"id":"c1","input":{"at":[]},"name":"look","type":"tool_use"}],'
        .. '"model":"c-1","role":"assistant","stopReason":"toolUse"}', got())
      assert.same(json.decode [[{"model":"a-big-one","max_tokens":9000,"system":"Be brief","temperature":0.5,"stop_sequences":["END"],
        "tools":[{"name":"look","description":"Looks","input_schema":{"type":"object","properties":{},"required":[]}}],
        "tool_choice":{"type":"any"},
        "messages":[{"role":"user","content":[{"type":"text","text":"Look"},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAA="}}]},
          {"role":"assistant","content":[{"type":"text","text":"I will"},{"type":"tool_use","id":"t1","name":"look","input":{"at":[]}},
            {"type":"tool_use","id":"t2","name":"look","input":{}}]},
          {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"no"}],"is_error":true}]}]}]],
        json.decode(s.requests[1].body))
      assert.truthy(s.requests[1].body:find('"input":{"at":[]}', 1, true))
      assert.truthy(s.requests[1].body:find('"input":{},', 1, true))
    end)

    it("reasons for stopping", function()
      for theirs, ours in pairs { stop_sequence = "stopSequence", max_tokens = "maxTokens", refusal = "refusal" } do
        local s = api((spoke:gsub('"end_turn"', '"' .. theirs .. '"')))
        local got = sampled(('api = "anthropic", model = "m", url = %q'):format(s.url), simple)
        assert.equal(ours, json.value(got(), "stopReason"))
      end
    end)
  end)

  it("offers servers sampling with tools, where the client has none", function()
    local s = api(said)
    local got, _, up = sampled(('api = "openai", model = "m", url = %q'):format(s.url), simple)
    got()
    assert.equal('{"sampling":{"tools":{}}}', up:wait("initialize"):at "capabilities")
  end)

  it("leaves clients that have a model to themselves, unless told otherwise", function()
    local s = api(said)
    local got, client, up = sampled(('api = "openai", model = "m", url = %q'):format(s.url), simple,
      { capabilities = '{"sampling":{}}' })
    client:answer(client:expect "sampling/createMessage", '{"role":"assistant","model":"own","content":{"type":"text","text":"hi"}}')
    assert.equal("own", json.value(got(), "model"))
    assert.equal('{"sampling":{}}', up:wait("initialize"):at "capabilities")
    assert.equal(0, #s.requests)
    got = sampled(('api = "openai", model = "m", url = %q, always = true'):format(s.url), simple, { capabilities = '{"sampling":{}}' })
    assert.equal("m-1", json.value(got(), "model"))
  end)

  it("tells a server that the model can't be asked, and the log why", function()
    local port = http.free_port()
    local cases = {
      { api('{"error":{"message":"bad key sk-1"}}', 401).url, "The model can't be asked: status 401", "answered 401: {\"error\":{\"message\":\"bad" },
      { "http://127.0.0.1:" .. port, "The model can't be asked", "connection refused" },
      { api("<html>").url, "policy error", "the body is not JSON" },
      { api("{}").url, "policy error", "openai.lua" },
    }
    for _, case in ipairs(cases) do
      local got, client = sampled(('api = "openai", model = "m", key = "sk-1", url = %q'):format(case[1]), simple)
      assert.equal('{"code":-32603,"message":"' .. case[2] .. '"}', got())
      client.process:wait_stderr(case[3])
    end
  end)

  it("refuses a conversation that no model could be given", function()
    local s = api(said)
    local use = '{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"t","input":{}},{"type":"tool_use","id":"b","name":"t","input":{}}]}'
    local function result(id) return '{"type":"tool_result","toolUseId":"' .. id .. '","content":[]}' end
    local cases = {
      { use, "Tool result missing in request" },
      { use .. ',{"role":"user","content":[' .. result "a" .. "]}", "Tool result missing in request" },
      { use .. ',{"role":"user","content":{"type":"text","text":"x"}}', "Tool result missing in request" },
      { use .. ',{"role":"user","content":[' .. result "a" .. "," .. result "b" .. ',{"type":"text","text":"x"}]}',
        "Tool results mixed with other content" },
      { '{"role":"user","content":{"type":"video"}}', "Unknown content: video" },
    }
    for _, case in ipairs(cases) do
      local got = sampled(('api = "openai", model = "m", url = %q'):format(s.url), '{"messages":[' .. case[1] .. '],"maxTokens":1}')
      assert.equal('{"code":-32602,"message":"' .. case[2] .. '"}', got())
    end
    assert.equal(0, #s.requests)
    local got = sampled(('api = "openai", model = "m", url = %q'):format(s.url), '{"messages":[' .. use .. ',{"role":"user","content":['
      .. result "b" .. "," .. result "a" .. ']}],"maxTokens":1}')
    assert.equal("m-1", json.value(got(), "model"))
  end)

  it("says what is wrong with its options", function()
    for options, why in pairs {
      ["{}"] = "sample_with: api must be given", ['{ api = "gemini", model = "m" }'] = 'api must be openai or anthropic, not "gemini"',
      ['{ api = "openai" }'] = "model must be given",
    } do
      local result = lunette.cli { "check", lunette.policy('require "lunette.policy.sample_with" ' .. options) }
      assert.truthy(result.stderr:find(why, 1, true), result.stderr)
    end
  end)
end)
