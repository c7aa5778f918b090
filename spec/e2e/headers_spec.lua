-- Rules that read the headers of a request: they hold for that request and no other of its session.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"
local reload = require "spec.support.reload"
local restart = require "spec.support.restart"
local sse = require "spec.support.sse"
local upstream = require "spec.support.upstream"

local EVERYTHING = { "X-Role: 1" }
local ADMIN, NOBODY = { "X-Role: admin" }, {}

-- `kind` "secret…" is for admins.
local function only_admins(kind, key)
  return ([[
    lunette.%s.filter(function(item, ctx)
      return not item.%s:find "secret" or ctx.headers["x-role"] == "admin" end)]]):format(kind, key)
end

describe("a rule that reads headers", function()
  after_each(lunette.finish)

  local function open(text, options)
    options = options or {}
    local up = options.up or policy.server { tools = '[{"name":"open","inputSchema":{"type":"object"}},'
      .. '{"name":"secret","inputSchema":{"type":"object"}}]' }
    local host = lunette.http { policy = lunette.bare(up) .. "\n" .. text, flags = options.flags }
    local client = host.client { headers = options.headers or NOBODY }
    client:initialize()
    return client, up, host
  end

  -- The same as what follows, for one request with these headers.
  local function as(client, headers)
    client.extra = headers
    return client
  end

  local function may(client, headers, name)
    local raw = as(client, headers):request("tools/call", ('{"name":"%s"}'):format(name))
    if json.at(raw, "result") then return true end
    assert.equal("Unknown tool: " .. name, json.value(raw, "error", "message"))
    assert.equal(-32602, json.value(raw, "error", "code"))
    return false
  end

  for first, headers in pairs { admin = ADMIN, nobody = NOBODY } do
    it("is asked for each request, whoever began: " .. first, function()
      local client = open(only_admins("tools", "name"), { headers = headers })
      for _ = 1, 2 do
        assert.same({ "open", "secret" }, policy.seen(as(client, ADMIN)))
        assert.same({ "open" }, policy.seen(as(client, NOBODY)))
        assert.is_true(may(client, ADMIN, "secret"))
        assert.is_false(may(client, NOBODY, "secret"))
        assert.is_false(may(client, { "X-Role: writer" }, "secret"))
        assert.is_true(may(client, { "X-Other: 1", "X-ROLE: admin" }, "secret"))
        assert.is_false(may(client, { "X-Role: admin", "X-Role: writer" }, "secret"))
        assert.is_true(may(client, NOBODY, "open"))
      end
    end)
  end

  it("is asked before any list, by a call alone", function()
    local client = open(only_admins("tools", "name"))
    assert.is_true(may(client, ADMIN, "secret"))
    assert.is_false(may(client, NOBODY, "secret"))
    lunette.finish()
    client = open(only_admins("tools", "name"), { headers = ADMIN })
    assert.is_false(may(client, NOBODY, "secret"))
    assert.is_true(may(client, ADMIN, "secret"))
  end)

  it("is asked anew only when what it read differs", function()
    local client = open([[
      local asked = 0
      lunette.tools.filter(function(tool, ctx)
        if tool.name == "open" then asked = asked + 1 end
        return ctx.headers["x-team"] ~= "red" or ctx.headers["x-role"] == "admin" end)
      lunette.on("tools/call", "open", function() return tostring(asked) end)]])
    local function asked(...) return tonumber(policy.says(as(client, { ... }), "open")) end
    assert.equal(1, asked())
    assert.equal(1, asked("X-Trace: 2"))
    assert.equal(1, asked("X-Role: admin"), "which is read of the red team alone")
    assert.equal(2, asked("X-Team: blue"))
    assert.equal(3, asked("X-Team: red", "X-Role: admin"))
    assert.equal(3, asked("X-Role: admin", "X-Trace: 3", "X-Team: red"))
    assert.equal(3, asked("X-Team: blue"), "which is known still")
    assert.equal(3, asked())
    for i = 1, 20 do asked("X-Team: " .. i) end
    assert.equal(23, asked("X-Team: 20"))
    assert.equal(24, asked("X-Team: blue"), "which was forgotten meanwhile: one session has not more than a few")
  end)

  it("is asked anew for what it reads by going through all headers", function()
    for how, close in pairs {
      ["for name, value in pairs(ctx.headers) do"] = "",
      ["for name, value in next, ctx.headers do"] = "",
      ["table.foreach(ctx.headers, function(name, value)"] = ")",
    } do
      local client = open([[
        lunette.tools.filter(function(tool, ctx)
          local role
          ]] .. how .. [[ if name:find "^x%-role" then role = value end end]] .. close .. [[

          return tool.name ~= "secret" or role == "admin" end)]])
      assert.is_false(may(client, NOBODY, "secret"))
      assert.is_true(may(client, { "X-Role-Is: admin" }, "secret"))
      assert.is_false(may(client, NOBODY, "secret"))
      lunette.finish()
    end
  end)

  it("may not keep the headers of one request for another", function()
    local client, _, host = open [[
      local kept
      lunette.tools.filter(function(tool, ctx)
        kept = kept or ctx.headers
        return tool.name ~= "secret" or kept["x-role"] == "admin" or ctx.headers["x-role"] == "x" end)]]
    assert.is_true(may(client, ADMIN, "secret"))
    assert.is_false(may(client, NOBODY, "secret"))
    loop.wait(function()
      return host.process.err:all():find("ctx.headers belongs to a request that is over", 1, true)
    end, "the complaint")
  end)

  it("may be a `where`, a rename or a transform", function()
    local client = open([[
      lunette.tools.hide { name = "secret", where = function(_, ctx) return ctx.headers["x-role"] ~= "admin" end }
      lunette.tools.rename(function(name, _, ctx) if ctx.headers["x-short"] then return name:sub(1, 1) end end)
      lunette.tools.transform("*", function(tool, ctx) tool.description = ctx.headers["x-role"] return tool end)
      lunette.tools.transform("o*", { arguments = { path = { hide = true, default = function(ctx) return ctx.headers["x-role"] end } },
        call = function(args, forward, ctx)
          local result = forward(args)
          result.role = ctx.headers["x-role"]
          return result end })]],
      { up = policy.server { tools = '[{"name":"open","inputSchema":{"type":"object","properties":{"path":{}}}},'
        .. '{"name":"secret","inputSchema":{"type":"object"}}]' } })
    assert.same({ "open", "secret" }, policy.seen(as(client, ADMIN)))
    assert.same({ "o" }, policy.seen(as(client, { "X-Short: 1" })))
    assert.equal("admin", json.value(policy.item(as(client, ADMIN), "open"), "description"))
    assert.is_nil(json.value(policy.item(as(client, NOBODY), "open"), "description"))
    assert.is_true(may(client, { "X-Short: 1" }, "o"))
    assert.is_false(may(client, NOBODY, "o"))
    assert.is_false(may(client, { "X-Short: 1" }, "open"))
    local result = as(client, ADMIN):result("tools/call", '{"name":"open"}')
    assert.equal("admin", json.value(result, "role"))
    assert.equal("admin", json.value(result, "got", "arguments", "path"))
    assert.equal("x", json.value(as(client, { "X-Role: x" }):result("tools/call", '{"name":"open"}'), "got", "arguments", "path"))
  end)

  it("holds for prompts, resources and templates, whatever is done with them", function()
    local up = policy.server {
      prompts = '[{"name":"open"},{"name":"secret"}]',
      resources = '[{"uri":"file:///open","name":"o"},{"uri":"file:///secret","name":"s"}]',
      templates = '[{"uriTemplate":"note://{id}","name":"o"},{"uriTemplate":"secret://{id}","name":"s"}]',
      server = '{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{}}',
    }
    up:on("resources/subscribe", function(req) req:reply "{}" end)
    up:on("completion/complete", function(req) req:reply '{"completion":{"values":["x"]}}' end)
    local client = open(only_admins("prompts", "name") .. only_admins("resources", "uri")
      .. only_admins("resource_templates", "uriTemplate"), { up = up, headers = ADMIN })
    for _ = 1, 2 do
      for _, headers in ipairs { ADMIN, NOBODY } do
        local admin = headers == ADMIN
        as(client, headers)
        for _, kind in ipairs { "prompts", "resources", "resource_templates" } do
          assert.equal(admin and 2 or 1, #policy.seen(client, kind), kind)
        end
        for _, case in ipairs {
          { "prompts/get", '{"name":"secret"}', "Unknown prompt: secret" },
          { "resources/read", '{"uri":"file:///secret"}', "Unknown resource: file:///secret" },
          { "resources/subscribe", '{"uri":"file:///secret"}', "Unknown resource: file:///secret" },
          { "completion/complete", '{"ref":{"type":"ref/prompt","name":"secret"},"argument":{"name":"a","value":""}}',
            "Unknown prompt: secret" },
          { "completion/complete", '{"ref":{"type":"ref/resource","uri":"secret://{id}"},"argument":{"name":"id","value":""}}',
            "Unknown resource: secret://{id}" },
        } do
          local raw = client:request(case[1], case[2])
          assert.equal(admin, json.at(raw, "result") ~= nil, raw)
          if not admin then assert.equal(case[3], json.value(raw, "error", "message")) end
        end
      end
    end
  end)

  it("holds for the URIs of a template", function()
    local client = open(only_admins("resource_templates", "uriTemplate"), {
      up = policy.server { templates = '[{"uriTemplate":"note://{id}","name":"o"},{"uriTemplate":"secret://{id}","name":"s"}]' } })
    for _ = 1, 2 do
      assert.equal("Unknown resource: secret://1", as(client, NOBODY):failure("resources/read", '{"uri":"secret://1"}').message)
      as(client, ADMIN):result("resources/read", '{"uri":"secret://1"}')
      as(client, NOBODY):result("resources/read", '{"uri":"note://1"}')
    end
  end)

  it("holds for what handlers ask in the request's name, and for whether they run", function()
    local client = open(only_admins("tools", "name") .. [[
      lunette.on("tools/call", { name = "open", where = function(_, ctx) return ctx.headers["x-where"] end },
        function() return "chosen" end)
      lunette.tools.add { name = "all", handler = function(_, ctx)
        local names = {}
        for i, tool in ipairs(lunette.tools.list(ctx)) do names[i] = tool.name end
        local fine = pcall(ctx.call_tool, ctx, "secret")
        return table.concat(names, " ") .. " " .. tostring(fine) end }]])
    for _ = 1, 2 do
      assert.equal("all open secret true", policy.says(as(client, ADMIN), "all"))
      assert.equal("all open false", policy.says(as(client, NOBODY), "all"))
      assert.equal("chosen", policy.says(as(client, { "X-Where: 1" }), "open"))
      assert.is_nil(policy.says(as(client, NOBODY), "open"))
    end
  end)

  it("holds for each of several requests that are under way at once", function()
    local up = upstream.new { name = "files", capabilities = '{"tools":{}}' }
    local held
    up:on("tools/list", function(req) held = req end)
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    local client = open(only_admins("tools", "name"), { up = up })
    local calls = {}
    for i = 1, 6 do
      calls[i] = as(client, i % 2 == 0 and ADMIN or NOBODY):start("tools/call", '{"name":"secret"}')
    end
    loop.wait(function() return held end, "the list")
    held:reply '{"tools":[{"name":"secret","inputSchema":{"type":"object"}}]}'
    for i = 1, 6 do
      assert.equal(i % 2 == 0, json.at(calls[i]:wait(), "result") ~= nil, i)
    end
  end)

  it("holds for a batch's members and over HTTP+SSE by the headers of the POST", function()
    local client, _, host = open(only_admins("tools", "name"), { headers = ADMIN })
    local c = sse.open(host.port, { headers = { "X-Role: admin" } }):initialize()
    c:result("tools/call", '{"name":"secret"}')
    c.headers = {}
    c:start("tools/call", '{"name":"secret"}')
    assert.equal("Unknown tool: secret", json.value(c:next(10000), "error", "message"))
    c.headers = { "X-Role: admin" }
    c:result("tools/call", '{"name":"secret"}')
    client:close()
    client = host.client { headers = ADMIN }
    client:initialize { version = "2025-03-26" }
    local batch = '[{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"secret"}},'
      .. '{"jsonrpc":"2.0","id":"b","method":"tools/list"}]'
    for _, case in ipairs { { ADMIN, true }, { NOBODY, false } } do
      local response = as(client, case[1]):post(batch)
      assert.equal(case[2], response.body:find("Unknown tool: secret", 1, true) == nil, response.body)
      assert.equal(case[2], response.body:find('"name":"secret"', 1, true) ~= nil, response.body)
    end
  end)

  it("tells of a resource by the role with which it was subscribed to, whatever role was last", function()
    local up = policy.server { server = '{"resources":{"subscribe":true}}', templates = "[]",
      resources = '[{"uri":"x://secret/1","name":"s"},{"uri":"x://secret/2","name":"t"},{"uri":"x://open","name":"o"}]' }
    local session
    up:on("resources/subscribe", function(req)
      session = req.session
      req:reply "{}"
    end)
    local client = open(only_admins("resources", "uri")
      .. "lunette.resources.rename(function(uri, _, ctx) return ctx.headers['x-role'] and uri .. '/' .. ctx.headers['x-role'] end)",
      { up = up })
    client:listen()
    local function updated(...)
      for _, uri in ipairs { ... } do session:notify("notifications/resources/updated", ('{"uri":"%s"}'):format(uri)) end
      local told = {}
      repeat
        told[#told + 1] = json.value(client:expect("notifications/resources/updated").params, "uri")
      until told[#told]:find "^x://open"
      return told
    end
    as(client, ADMIN):result("resources/subscribe", '{"uri":"x://secret/1/admin"}')
    as(client, NOBODY):result("resources/subscribe", '{"uri":"x://open"}')
    for _, headers in ipairs { NOBODY, ADMIN, { "X-Role: writer" } } do
      assert.is_truthy(#policy.seen(as(client, headers), "resources") > 0)
      assert.same({ "x://secret/1/admin", "x://open" }, updated("x://secret/2", "x://secret/1", "x://open"))
    end
  end)

  it("tells of a resource that nobody subscribed to neither where it hides that from who has no headers nor from the client", function()
    for _, row in ipairs { { 'not ctx.headers["x-guest"]', { "X-Guest: 1" } }, { 'ctx.headers["x-role"] == "admin"', ADMIN } } do
      local up = policy.server { server = '{"resources":{"subscribe":true}}', templates = "[]",
        resources = '[{"uri":"x://secret","name":"s"},{"uri":"x://open","name":"o"}]' }
      local session
      up:on("resources/subscribe", function(req)
        session = req.session
        req:reply "{}"
      end)
      local client = open(('lunette.resources.filter(function(r, ctx) return r.uri ~= "x://secret" or %s end)'):format(row[1]),
        { up = up, headers = row[2] })
      client:listen()
      client:result("resources/subscribe", '{"uri":"x://open"}')
      for _, uri in ipairs { "x://secret", "x://open" } do session:notify("notifications/resources/updated", ('{"uri":"%s"}'):format(uri)) end
      assert.equal("x://open", json.value(client:expect("notifications/resources/updated").params, "uri"))
    end
  end)

  it("is asked of what a handler of a server's request asks as of somebody without headers", function()
    local up = policy.server { tools = '[{"name":"open","inputSchema":{"type":"object"}},{"name":"secret","inputSchema":{"type":"object"}}]' }
    up:on("tools/call", function(req)
      if req:at "name" == '"secret"' then return req:reply '{"content":[]}' end
      req:ask("roots/list", nil, function(answer) req:reply('{"content":[],"got":' .. answer.raw .. "}") end)
    end)
    local client = open(only_admins("tools", "name") .. [[
      lunette.roots(function(_, _, ctx)
        local fine = pcall(ctx.call_tool, ctx, "secret")
        return { roots = { { uri = "file:///" .. tostring(fine) } } } end)]], { up = up, headers = ADMIN })
    local result = client:result("tools/call", '{"name":"open"}')
    assert.truthy(result:find("file:///false", 1, true), result)
    assert.is_true(may(client, ADMIN, "secret"))
  end)

  it("is asked again of a session that goes on after a restart", function()
    local up = policy.server { tools = '[{"name":"secret","inputSchema":{"type":"object"}}]' }
    local text = lunette.bare(up) .. "\n" .. only_admins("tools", "name")
    local host = restart.start(text)
    local client = host.client { headers = ADMIN }
    client:initialize()
    assert.is_true(may(client, ADMIN, "secret"))
    host = restart.restart(host, text)
    client.idle = {}
    assert.is_false(may(client, NOBODY, "secret"))
    assert.is_true(may(client, ADMIN, "secret"))
    host = restart.restart(host, text)
    client.idle = {}
    assert.is_true(may(client, ADMIN, "secret"))
    assert.is_false(may(client, NOBODY, "secret"))
    assert.truthy(host)
  end)

  it("gives cursors that are good for a list of the same names alone", function()
    local names = {}
    for i = 1, 6 do names[i] = ('{"name":"%s%d","inputSchema":{"type":"object"}}'):format(i % 2 == 0 and "secret" or "open", i) end
    local client = open("lunette.configure { page_size = 2 }" .. only_admins("tools", "name"),
      { up = policy.server { tools = "[" .. table.concat(names, ",") .. "]" } })
    local function page(headers, cursor)
      return json.value(as(client, headers):request("tools/list", cursor and ('{"cursor":"%s"}'):format(cursor) or "{}"), "result")
    end
    local mine, theirs = page(ADMIN), page(NOBODY)
    assert.equal("secret2", mine.tools[2].name)
    assert.equal("open3", theirs.tools[2].name)
    assert.is_nil(page(NOBODY, mine.nextCursor), "of another list")
    assert.is_nil(page(ADMIN, theirs.nextCursor))
    assert.equal("secret4", page(ADMIN, mine.nextCursor).tools[2].name)
    assert.equal("open5", page(NOBODY, theirs.nextCursor).tools[1].name)
    assert.equal("open5", page({ "X-Role: x" }, theirs.nextCursor).tools[1].name, "which is the same list")
    assert.is_nil(page(NOBODY, "from-1"))
  end)

  it("holds after a reload, of which is told who saw a list that is another now", function()
    local up = upstream.new { name = "files", tools = '[{"name":"open","inputSchema":{"type":"object"}},'
      .. '{"name":"secret","inputSchema":{"type":"object"}}]' }
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    local function rule(role)
      return lunette.bare(up) .. ([[

        lunette.tools.filter(function(tool, ctx)
          return tool.name ~= "secret" or ctx.headers["x-role"] == %q end)]]):format(role)
    end
    local host = reload.start(rule "admin")
    local client, plain = host:client { headers = ADMIN }, host:client { headers = NOBODY }
    for _, c in ipairs { client, plain } do c:listen() end
    assert.same({ "open", "secret" }, policy.seen(client))
    assert.same({ "open" }, policy.seen(as(client, NOBODY)))
    assert.same({ "open" }, policy.seen(plain))
    host:reload(rule "root")
    client:expect(reload.changed.tools)
    assert.is_false(may(client, ADMIN, "secret"))
    assert.is_true(may(client, { "X-Role: root" }, "secret"))
    assert.is_false(may(client, NOBODY, "secret"))
    assert.is_nil(plain:maybe(reload.changed.tools, 100), "who sees what it saw")
  end)

  it("holds whatever comes between: other clients, roles, reloads and changed lists", function()
    local random = math.random
    math.randomseed(tonumber(os.getenv "LUNETTE_SPEC_SEED") or 7)
    local names, up = {}, upstream.new { name = "files", capabilities = '{"tools":{"listChanged":true}}' }
    local function offer()
      names = {}
      for i = 1, 12 do if random() < 0.7 then names[#names + 1] = "t" .. i end end
      local items = {}
      for i, name in ipairs(names) do items[i] = ('{"name":"%s","inputSchema":{"type":"object"}}'):format(name) end
      up.tools = "[" .. table.concat(items, ",") .. "]"
    end
    offer()
    up:on("tools/list", function(req) req:reply('{"tools":' .. up.tools .. "}") end)
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    -- A role sees what its number divides, plus the policy's.
    local function rule(plus)
      return lunette.bare(up) .. ([[

        lunette.tools.filter(function(tool, ctx)
          local role = tonumber(ctx.headers["x-role"] or ctx.headers["x-other-role"] or "0")
          return role > 0 and (tonumber(tool.name:match "%%d+") + %d) %% role == 0 end)]]):format(plus)
    end
    local plus = 0
    local host = reload.start(rule(plus))
    local clients = {}
    for i = 1, 3 do
      clients[i] = host:client()
      assert.is_true(may(clients[i], EVERYTHING, names[1]), "which has a session with the server from now on")
    end
    local function sees(role, name) return role > 0 and (tonumber(name:match "%d+") + plus) % role == 0 end
    for step = 1, tonumber(os.getenv "LUNETTE_SPEC_STEPS") or 120 do
      local client, role = clients[random(#clients)], random(0, 12)
      as(client, role == 0 and NOBODY or { (random() < 0.8 and "X-Role: " or "X-Other-Role: ") .. role, "X-Step: " .. step })
      local what = random()
      if what < 0.6 then
        local name = names[random(#names)]
        assert.equal(sees(role, name), may(client, client.extra, name), ("%s as %d in step %d"):format(name, role, step))
      elseif what < 0.9 then
        local expected = {}
        for _, name in ipairs(names) do if sees(role, name) then expected[#expected + 1] = name end end
        assert.same(expected, policy.seen(client), ("as %d in step %d"):format(role, step))
      elseif what < 0.95 then
        plus = random(0, 3)
        host:reload(rule(plus) .. "\n-- " .. step)
      else
        offer()
        for _, session in ipairs(up.sessions) do session:notify "notifications/tools/list_changed" end
        local all = table.concat(names, " ")
        for _, c in ipairs(clients) do
          loop.wait(function() return table.concat(policy.seen(as(c, EVERYTHING)), " ") == all end, "the new list")
        end
      end
    end
  end)

  it("is asked anew after lunette.notify_changed, whatever the headers", function()
    local client = open([[
      lunette.tools.filter(function(tool, ctx)
        return tool.name ~= "secret" or lunette.shared.get(ctx.headers["x-team"] or "none") end)
      lunette.on("tools/call", "open", function(_, _, ctx)
        lunette.shared.set(ctx.headers["x-team"] or "none", true)
        lunette.notify_changed "tools"
        return "done" end)]])
    local red = { "X-Team: red" }
    assert.is_false(may(client, red, "secret"))
    assert.is_false(may(client, NOBODY, "secret"))
    policy.says(as(client, red), "open")
    assert.is_false(may(client, NOBODY, "secret"))
    assert.is_true(may(client, red, "secret"))
    policy.says(as(client, NOBODY), "open")
    assert.is_true(may(client, NOBODY, "secret"))
  end)
end)
