-- Names that no list shows: servers may take for the same what neither names nor globs do ("wipe " for "wipe"), so a
-- policy that says anything of single components passes on what is listed, and nothing else.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local TOOLS = '[{"name":"wipe","inputSchema":{"type":"object","properties":{"all":{},"n":{}}}},{"name":"read","inputSchema":{"type":"object"}}]'

-- A server that takes whatever name it is given for the one that it is alike, says who it is and as what it was called.
local function lenient(name, fields)
  fields = fields or {}
  fields.name = name
  fields.tools = fields.tools or TOOLS
  fields.prompts = fields.prompts or '[{"name":"wipe"},{"name":"read"}]'
  fields.resources = fields.resources or '[{"uri":"x://secret","name":"s"},{"uri":"x://open","name":"o"}]'
  fields.templates = fields.templates or '[{"uriTemplate":"t://{name}","name":"t"}]'
  fields.capabilities = fields.capabilities or '{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{}}'
  local up = upstream.new(fields)
  local function says(what, key)
    return function(req) req:reply(('{%s,"by":%q,"as":%s}'):format(what, name, req:at(unpack(key)))) end
  end
  up:on("tools/call", says('"content":[]', { "name" }))
  up:on("prompts/get", says('"messages":[]', { "name" }))
  up:on("resources/read", says('"contents":[]', { "uri" }))
  up:on("resources/subscribe", says('"ok":true', { "uri" }))
  up:on("completion/complete", says('"completion":{"values":[]}', { "ref" }))
  return up
end

-- servers: { up, options }…
local function declared(policy, servers)
  local lines = {}
  for i, server in ipairs(servers) do
    lines[i] = ("lunette.upstream(%q, %s)\n"):format(server[1].name, server[1]:lua(server[2]))
  end
  return table.concat(lines) .. policy
end

local function behind(policy, ...)
  local client = lunette.stdio { policy = declared(policy, { ... }) }
  client:initialize()
  return client
end

local ASKS = {
  tool = function(name) return "tools/call", json.encode { name = name } end,
  prompt = function(name) return "prompts/get", json.encode { name = name } end,
  uri = function(uri) return "resources/read", json.encode { uri = uri } end,
  subscription = function(uri) return "resources/subscribe", json.encode { uri = uri } end,
  completion = function(name)
    return "completion/complete", ('{"ref":{"type":"ref/prompt","name":%s},"argument":{"name":"x","value":""}}'):format(json.quote(name))
  end,
}

-- "WHO AS" where it is passed on, else the code of the error.
local function asked(client, what, name)
  local raw = client:request(ASKS[what](name))
  local code = json.value(raw, "error", "code")
  if code then return code end
  local as = json.at(raw, "result", "as")
  return json.value(raw, "result", "by") .. " " .. (as:sub(1, 1) == "{" and json.value(as, "name") or json.text(as))
end

describe("a name that no list shows", function()
  after_each(lunette.finish)

  local free = { "", "lunette.on('tools/call', function(request, forward) return forward(request) end)",
    "lunette.on('*', function(request, forward) return forward(request) end)",
    "lunette.tools.add { name = 'mine', handler = function() return 'm' end }",
    "lunette.on('sampling/createMessage', { upstream = 'a' }, function(request, forward) return forward(request) end)" }
  it("goes to the only server of a policy that says nothing of single components", function()
    for _, policy in ipairs(free) do
      local client = behind(policy, { lenient "a" })
      for _, what in ipairs { "tool", "prompt", "completion" } do
        for _, name in ipairs { "Wipe", "wipe ", "other" } do assert.equal("a " .. name, asked(client, what, name), policy) end
      end
      for _, uri in ipairs { "x://other", "secret" } do
        assert.equal("a " .. uri, asked(client, "uri", uri))
        assert.equal("a " .. uri, asked(client, "subscription", uri))
      end
    end
  end)

  local strict = {
    ["lunette.tools.hide 'wipe'"] = "tool",
    ["lunette.tools.rename { wipe = 'wash' }"] = "tool",
    ["lunette.tools.transform('wipe', { arguments = { all = { hide = true } } })"] = "tool",
    ["lunette.tools.filter(function(tool) return tool.name ~= 'wipe' end)"] = "tool",
    ["lunette.on('tools/call', 'wipe', function() return lunette.deny 'no' end)"] = "tool",
    ["lunette.on('tools/*', { where = function() return false end }, function() return lunette.deny 'no' end)"] = "tool",
    ["lunette.on('*', { upstream = 'b' }, function() return lunette.deny 'no' end)"] = "tool prompt completion uri subscription",
    ["require 'lunette.policy.approve' { tools = 'wipe' }"] = "tool",
    ["require 'lunette.policy.rate_limit' { calls = 5, per = 60 }"] = "tool",
    ["require 'lunette.policy.tool_search' {}"] = "tool",
    ["require 'lunette.policy.redact' {}"] = "tool prompt completion uri subscription",
    ["lunette.prompts.hide 'wipe'"] = "prompt completion",
    ["lunette.on('prompts/get', 'wipe', function() return lunette.deny 'no' end)"] = "prompt completion",
    ["lunette.resources.hide 'x://secret'"] = "uri subscription",
    ["lunette.resource_templates.hide 'y://{x}'"] = "uri subscription",
    ["lunette.on('resources/read', 'x://secret', function() return lunette.deny 'no' end)"] = "uri subscription",
  }
  for policy, kinds in pairs(strict) do
    it("is refused, with one server and with two: " .. policy, function()
      for n = 1, 2 do
        local a, b = lenient "a", lenient("b", { resources = "[]", templates = "[]" })
        local client = behind("require 'lunette.policy.options'; " .. policy, { a, "prefix = false" }, n == 2 and { b } or nil)
        for what in pairs(ASKS) do
          local uri = what == "uri" or what == "subscription"
          for _, name in ipairs(uri and { "x://other", "X:secret", "secret", "Y://1" } or { "Wipe", "wipe ", " wipe", "other", "" }) do
            local got = asked(client, what, name)
            if n == 2 or (" " .. kinds .. " "):find(" " .. what .. " ", 1, true) then
              assert.equal(-32602, got, what .. " " .. name)
            else
              assert.equal("a " .. name, got, what)
            end
          end
        end
        if not kinds:find "uri" then
          assert.equal("a x://secret", asked(client, "uri", "x://secret"))
          assert.equal("a t://1", asked(client, "uri", "t://1"))
        end
        lunette.finish()
      end
    end)
  end

  it("is passed to a server of which the policy says so, but for what rules hide", function()
    local client = behind([[
      lunette.tools.hide 'wipe*' lunette.tools.rename { read = 'see' } lunette.prompts.hide 'wipe'
      lunette.tools.transform({ name = 'pinned*' }, { arguments = { all = { hide = true } } })
      lunette.resources.hide 'x://secret*']], { lenient "a", "unlisted = true" })
    for _, name in ipairs { "wipe", "wipe all", "read", "pinned" } do assert.equal(-32602, asked(client, "tool", name), name) end
    for _, name in ipairs { "Wipe", " wipe", "other" } do assert.equal("a " .. name, asked(client, "tool", name)) end
    assert.equal("a read", asked(client, "tool", "see"))
    assert.equal(-32602, asked(client, "prompt", "wipe"))
    assert.equal(-32602, asked(client, "completion", "wipe"))
    assert.equal("a wipe ", asked(client, "prompt", "wipe "))
    for _, uri in ipairs { "x://secret", "X://SECRET", "x://secrets" } do assert.equal(-32602, asked(client, "uri", uri), uri) end
    assert.equal("a x://other", asked(client, "uri", "x://other"))
  end)

  it("goes to the server whose prefix it has, under that server's own name", function()
    local a, b, c = lenient "a", lenient("b", { resources = "[]", templates = "[]" }), lenient("c", { resources = "[]", templates = "[]" })
    local client = behind("lunette.on('tools/call', function(request, forward, ctx) local r = forward(request) r.native = ctx.native_name return r end)",
      { a }, { b, "unlisted = true" }, { c, "prefix = false, unlisted = true" })
    for name, whom in pairs { b_other = "b other", b_ = "b ", other = "c other", a_read = "a read", b_read = "b read" } do
      assert.equal(whom, asked(client, "tool", name))
      assert.equal(whom, asked(client, "prompt", name))
    end
    assert.equal("b other", asked(client, "completion", "b_other"))
    assert.equal("other", json.value(client:result("tools/call", '{"name":"b_other"}'), "native"))
    assert.equal(-32602, asked(client, "tool", "a_other"))
    assert.equal("b y://1", asked(client, "uri", "y://1"))
  end)

  it("is the policy's own will no more than the client's when a handler puts it in", function()
    local policy = "lunette.on('tools/call', 'read', function(request, forward) request.params.name = 'other' return forward(request) end)"
    assert.equal(-32602, asked(behind(policy, { lenient "a" }), "tool", "read"))
    assert.equal("a other", asked(behind(policy, { lenient "a", "unlisted = true" }), "tool", "read"))
  end)

  for _, via in ipairs { "stdio", "http" } do
    it("is refused only after an old list was asked for again, at most once in that time, over " .. via, function()
      local a = lenient("a", { capabilities = '{"tools":{"listChanged":true},"prompts":{},"resources":{}}' })
      if via == "http" then a:http() end
      local tools = TOOLS
      a:on("tools/list", function(req) req:reply(('{"tools":%s}'):format(tools)) end)
      local client = behind("lunette.configure { list_max_age = 0.2 } lunette.tools.hide 'wipe'", { a })
      client:result("tools/list", "{}")
      local before = a:count "tools/list"
      tools = tools:sub(1, -2) .. ',{"name":"new","inputSchema":{"type":"object"}}]'
      loop.sleep(250)
      assert.equal("a new", asked(client, "tool", "new"))
      assert.equal(before + 1, a:count "tools/list")
      for i = 1, 20 do assert.equal(-32602, asked(client, "tool", "made up " .. i)) end
      assert.equal(-32602, asked(client, "tool", "wipe"))
      assert.is_true(a:count "tools/list" <= before + 2)
      client:expect "notifications/tools/list_changed"
      loop.sleep(250)
      local calls = {}
      tools = tools:sub(1, -2) .. ',{"name":"newer","inputSchema":{"type":"object"}}]'
      before = a:count "tools/list"
      for i = 1, 5 do calls[i] = client:start("tools/call", '{"name":"newer"}') end
      for i = 1, 5 do assert.equal("a", json.value(calls[i]:wait(), "result", "by")) end
      assert.equal(before + 1, a:count "tools/list")
    end)
  end
end)
