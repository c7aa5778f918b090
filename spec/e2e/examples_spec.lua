-- Every example loads, and those that need nothing else do what they say.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local folder = lunette.root .. "/examples"

local function examples()
  local list, dir = {}, assert(loop.uv.fs_scandir(folder))
  while true do
    local name = loop.uv.fs_scandir_next(dir)
    if not name then break end
    if name:match "%.lua$" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

describe("the example", function()
  after_each(lunette.finish)

  for _, name in ipairs(examples()) do
    it(name .. " is a good policy", function()
      local result = lunette.cli { "check", folder .. "/" .. name }
      assert.equal(0, result.code, result.stderr)
    end)
  end

  it("quickstart.lua hides what it says it hides, from anywhere", function()
    local function names(...)
      local result = lunette.cli({ "list", folder .. "/quickstart.lua", "--json", ... }, { cwd = "/tmp" })
      assert.equal(0, result.code, result.stderr)
      local list = {}
      for _, tool in ipairs(json.decode(result.stdout).tools) do list[tool.name] = true end
      return list
    end
    local raw, seen = names "--raw", names()
    assert.is_true(raw.wipe and raw.search_notes)
    assert.is_nil(seen.wipe)
    assert.is_nil(seen.search_notes)
    assert.is_true(seen.search)
  end)

  it("sampled_by_api.lua has a model's API answer for the client", function()
    local requests = {}
    local s = http.listen(function(request, conn)
      requests[#requests + 1] = request
      local body = '{"model":"stand-in","choices":[{"finish_reason":"stop","message":{"content":"Lamp Needs Bulb!"}}]}'
      conn:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    end)
    local result = lunette.cli({ "call", folder .. "/sampled_by_api.lua", "headline", "text=The lamp needs a bulb." },
      { cwd = "/tmp", env = { MODEL_URL = s.url .. "/v1/chat/completions", MODEL = "m", MODEL_KEY = "k" } })
    assert.equal("Lamp Needs Bulb!\n", result.stdout, result.stderr)
    assert.equal("Bearer k", requests[1].headers.authorization)
    assert.equal('{"max_tokens":50,"messages":[{"content":"Answer with a headline of at most eight words.","role":"system"},'
      .. '{"content":"The lamp needs a bulb.","role":"user"}],"model":"m"}', requests[1].body)
  end)

  it("quickstart.lua serves", function()
    local host = lunette.http { targets = { folder .. "/quickstart.lua" } }
    local client = host.client()
    client:initialize()
    client:result("tools/call", '{"name":"add_note","arguments":{"name":"moon","text":"half"}}')
    local found = client:result("tools/call", '{"name":"search","arguments":{"query":"half"}}')
    assert.truthy(found:find("moon", 1, true), found)
  end)

  -- A client of an example over HTTP; headers are lines.
  local function serve(name, options)
    options = options or {}
    local host = lunette.http { targets = { folder .. "/" .. name }, env = options.env }
    return host, function(headers, capabilities)
      local client = host.client { headers = headers }
      client:initialize { capabilities = capabilities }
      return client
    end
  end

  local function call(client, tool, arguments)
    return client:result("tools/call", '{"name":"' .. tool .. '","arguments":' .. (arguments or "{}") .. "}")
  end

  local function says(client, tool, arguments)
    local result = call(client, tool, arguments)
    return json.value(result, "content", 1, "text"), json.value(result, "isError") == true
  end

  it("approval.lua asks a person, and takes only a yes for one", function()
    local _, client_of = serve "approval.lua"
    local person = client_of(nil, '{"elicitation":{}}')
    local function answer(arguments, text, reply)
      local pending_call = person:start("tools/call", arguments)
      local question = person:expect "elicitation/create"
      assert.equal(text, json.value(question.params, "message"))
      person:answer(question, reply)
      return json.value(pending_call:wait(), "result", "content", 1, "text")
    end
    local delete = '{"name":"delete_note","arguments":{"name":"moon"}}'
    assert.equal("delete_note is not approved", answer(delete, 'Delete the note "moon" for good?', '{"action":"decline"}'))
    assert.equal("deleted moon", answer(delete, 'Delete the note "moon" for good?', '{"action":"accept","content":{}}'))
    assert.equal("deleted 2 notes", answer('{"name":"wipe"}', "Delete ALL notes?\nThey can't be had back.", '{"action":"accept","content":{}}'))
    local text, failed = says(client_of(), "add_note", '{"name":"a","text":"b"}')
    assert.truthy(failed and text:find("needs a person's approval", 1, true))
    assert.equal("no note has that word", says(client_of(), "search_notes", '{"query":"b"}'))
  end)

  it("redaction.lua lets nothing of the kind through", function()
    local _, client_of = serve "redaction.lua"
    local client = client_of()
    says(client, "add_note", '{"name":"keys","text":"ghp_0123456789abcdefghijABCDEF of ann@example.org"}')
    assert.equal("keys: [removed] of [removed]", says(client, "search_notes", '{"query":"keys"}'))
    local text, failed = says(client, "add_note", '{"name":"badge","text":"BADGE-77"}')
    assert.truthy(failed and text:find("not to be written down", 1, true))
    assert.equal("no note has that word", says(client, "search_notes", '{"query":"badge"}'))
  end)

  it("small_model.lua shows two tools and little of them", function()
    local function size(...)
      local result = lunette.cli { "list", folder .. "/small_model.lua", "--json", ... }
      assert.equal(0, result.code, result.stderr)
      return #result.stdout, json.decode(result.stdout)
    end
    local seen, list = size()
    assert.is_true(seen < size "--raw" / 2)
    assert.equal(2, #list.tools)
    assert.same({ type = "object", properties = { word = { type = "string" } }, required = { "word" } }, list.tools[1].inputSchema)
    local _, client_of = serve "small_model.lua"
    local client = client_of()
    assert.equal("wrote a (1 bytes)", says(client, "note", '{"title":"a","body":"b"}'))
    assert.truthy(says(client, "find", '{"word":"a"}'):find("a: b", 1, true))
  end)

  it("per_user.lua keeps users apart", function()
    local host, client_of = serve("per_user.lua", { env = { USER_NAME = false } })
    local ann, bob = client_of { "X-User: ann" }, client_of { "X-User: bob" }
    assert.equal("noted", says(ann, "add", '{"topic":"cats","text":"three"}'))
    assert.equal("noted", says(bob, "add", '{"topic":"cats","text":"none, ann. knows"}'))
    assert.equal("cats: three", says(ann, "mine"))
    assert.equal("cats: none, ann. knows", says(bob, "mine"))
    assert.equal(-32602, ann:failure("tools/call", '{"name":"mine","arguments":{"query":"bob."}}').code)
    local nobody = host.client()
    nobody:initialize()
    assert.truthy(nobody:failure("tools/call", '{"name":"mine"}').message:find("who are you?", 1, true))
  end)

  it("audit.lua writes down who did what", function()
    local file = loop.tempdir() .. "/audit.jsonl"
    local _, client_of = serve("audit.lua", { env = { AUDIT = file } })
    says(client_of(), "search_notes", '{"query":"moon"}')
    local lines = {}
    for line in loop.read_file(file):gmatch "[^\n]+" do lines[#lines + 1] = json.decode(line) end
    assert.equal(2, #lines)
    assert.same({ "search_notes", "moon", "spec", "notes" }, { lines[1].name, lines[1].arguments.query, lines[1].client, lines[1].upstream })
    assert.equal("ok", lines[2].outcome)
  end)

  it("team.lua gives each role its tools", function()
    local file = loop.tempdir() .. "/audit.jsonl"
    local host, client_of = serve("team.lua", { env = { AUDIT = file } })
    for role, expected in pairs {
      none = { "press_headline" },
      reader = { "notes_search_notes", "press_headline" },
      writer = { "notes_search_notes", "notes_add_note", "press_headline" },
      admin = { "notes_search_notes", "notes_add_note", "notes_delete_note", "notes_wipe", "press_headline" },
    } do
      local client = client_of { role == "none" and "X-Other: 1" or "X-Role: " .. role }
      assert.same(expected, json.names(json.at(client:result("tools/list", "{}"), "tools")), role)
      if role == "reader" then
        assert.equal(-32602, client:failure("tools/call", '{"name":"notes_wipe"}').code)
        assert.truthy(says(client, "notes_search_notes", '{"query":"moon"}'):find "384,400")
      elseif role == "admin" then
        local _, failed = says(client, "notes_wipe")
        assert.is_true(failed)
      end
    end
    -- The role is the request's, whichever the session began with.
    for first, second in pairs { reader = "admin", admin = "reader" } do
      local client = client_of { "X-Role: " .. first }
      for _, role in ipairs { first, second, first, second } do
        client.extra = { "X-Role: " .. role }
        local names = json.names(json.at(client:result("tools/list", "{}"), "tools"))
        assert.equal(role == "admin" and 5 or 2, #names, first .. " as " .. role)
        local raw = client:request("tools/call", '{"name":"notes_add_note","arguments":{"title":"t","text":"x"}}')
        assert.equal(role == "admin", json.at(raw, "result") ~= nil, raw)
        client.extra = {}
        assert.equal(-32602, client:failure("resources/read", '{"uri":"note://moon"}').code)
      end
    end
    assert.is_nil(host.process.err:all():find("matches no", 1, true))
    assert.truthy(loop.read_file(file):find('"name":"notes_search_notes"', 1, true))
  end)
end)
