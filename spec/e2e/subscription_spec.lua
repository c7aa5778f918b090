-- Subscriptions to what a policy hides: a reload ends them on both sides, and nobody is told of what they are not shown.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local reload = require "spec.support.reload"
local upstream = require "spec.support.upstream"

local UPDATED = "notifications/resources/updated"

describe("a subscription", function()
  after_each(lunette.finish)

  local function server(options)
    options = options or {}
    local up = upstream.new { name = "up", capabilities = '{"resources":{"subscribe":true}}',
      resources = options.resources or '[{"uri":"x://secret","name":"s"},{"uri":"x://open","name":"o"}]',
      templates = options.templates or '[{"uriTemplate":"t://{+path}","name":"t"}]' }
    up.asked = {}
    for _, method in ipairs { "resources/subscribe", "resources/unsubscribe" } do
      up:on(method, function(req)
        up.asked[#up.asked + 1] = method .. " " .. req:value "uri"
        return "{}"
      end)
    end
    up:on("resources/read", function(req) req:reply(('{"contents":[{"uri":%s,"text":""}]}'):format(req:at "uri")) end)
    return up
  end

  local function updated(session, uri) session:notify(UPDATED, json.encode { uri = uri }) end

  -- The URIs that the client was told of until it was told of this one, which is the last.
  local function told(client, last)
    local uris = {}
    repeat
      uris[#uris + 1] = json.value(client:expect(UPDATED).params, "uri")
    until uris[#uris] == last
    return uris
  end

  local function count(up, method, uri)
    local n = 0
    for _, asked in ipairs(up.asked) do n = n + (asked == method .. " " .. uri and 1 or 0) end
    return n
  end

  for _, mode in ipairs { "client", "shared" } do
    describe(('with session = "%s"'):format(mode), function()
      local function begin(policy, options)
        local up = server(options)
        local function text(rules) return ("lunette.upstream('up', %s)\n"):format(up:lua(("session = %q"):format(mode))) .. rules end
        local host = reload.start(text(policy or ""), { stdio = true })
        local client = host.stdio
        client:initialize()
        return client, up, function(rules) host:reload(text(rules)) end
      end

      local function subscribe(client, ...)
        for _, uri in ipairs { ... } do client:result("resources/subscribe", json.encode { uri = uri }) end
      end

      -- { rules, what they leave of these }
      local all = { "x://secret", "t://secret", "t://open", "x://open" }
      for rules, left in pairs {
        ["lunette.resources.hide 'x://secret'"] = "t://secret t://open x://open",
        ["lunette.resources.hide '*secret'"] = "t://open x://open",
        ["lunette.resources.only '*open'"] = "t://open x://open",
        ["lunette.resources.filter(function(r) return r.name ~= 's' end) lunette.resource_templates.hide '*'"] = "x://open",
        ["lunette.resource_templates.hide 't'"] = "x://secret x://open",
        ["lunette.resources.rename { ['x://secret'] = 'x://renamed' }"] = "x://renamed t://secret t://open x://open",
      } do
        it("ends with a reload that hides it: " .. rules, function()
          local client, up, change = begin()
          subscribe(client, unpack(all))
          change(rules .. " lunette.tools.add { name = 'sign', handler = function() return 's' end }")
          local there = " " .. left:gsub("renamed", "secret") .. " "
          for _, uri in ipairs(all) do
            if not there:find(" " .. uri .. " ", 1, true) then
              loop.wait(function() return count(up, "resources/unsubscribe", uri) == 1 end, "the end of " .. uri)
            end
          end
          client:request("resources/read", '{"uri":"z://none"}') -- all lists are known then
          for _, uri in ipairs(all) do updated(up.sessions[1], uri) end
          assert.equal(left, table.concat(told(client, "x://open"), " "))
          for _, uri in ipairs(all) do
            assert.equal(there:find(" " .. uri .. " ", 1, true) and 0 or 1, count(up, "resources/unsubscribe", uri), uri)
          end
        end)
      end

      it("stays with one that leaves it, and comes back to nobody who did not ask again", function()
        local client, up, change = begin()
        subscribe(client, "x://secret", "x://open")
        change "lunette.resources.hide 'x://none'"
        updated(up.sessions[1], "x://secret")
        assert.same({ "x://secret" }, told(client, "x://secret"))
        change "lunette.resources.hide 'x://secret'"
        loop.wait(function() return count(up, "resources/unsubscribe", "x://secret") == 1 end, "its end")
        assert.equal(-32602, client:failure("resources/unsubscribe", '{"uri":"x://secret"}').code)
        change ""
        updated(up.sessions[1], "x://open")
        assert.same({ "x://open" }, told(client, "x://open"))
        assert.equal(1, count(up, "resources/subscribe", "x://open"))
        if mode == "shared" then
          updated(up.sessions[1], "x://secret")
          updated(up.sessions[1], "x://open")
          assert.same({ "x://open" }, told(client, "x://open"))
        end
      end)
    end)
  end

  it("is of each client that shares the server: the others keep theirs, and the server hears of the last", function()
    local up = server()
    local function text(rules) return ("lunette.upstream('up', %s)\n"):format(up:lua "session = 'shared'") .. rules end
    local by_role = "lunette.resources.filter(function(r, ctx) return r.name ~= 's' or ctx.headers['x-role'] == 'admin' end)"
    local host = reload.start(text "lunette.resources.filter(function(r, ctx) return ctx.headers['x-role'] ~= 'none' end)")
    local guest, admin = host.new_client(), host.new_client { headers = { "X-Role: admin" } }
    for _, client in ipairs { guest, admin } do
      client:initialize()
      client:listen()
      client:result("resources/subscribe", '{"uri":"x://secret"}')
      client:result("resources/subscribe", '{"uri":"x://open"}')
    end
    host:reload(text(by_role))
    for _, client in ipairs { guest, admin } do client:request("resources/read", '{"uri":"z://none"}') end
    for _, uri in ipairs { "x://secret", "x://open" } do updated(up.sessions[1], uri) end
    assert.same({ "x://open" }, told(guest, "x://open"))
    assert.same({ "x://secret", "x://open" }, told(admin, "x://open"))
    assert.equal(0, up:count "resources/unsubscribe")
    host:reload(text "lunette.resources.hide 'x://secret'")
    loop.wait(function() return count(up, "resources/unsubscribe", "x://secret") == 1 end, "its end")
    assert.equal(1, up:count "resources/unsubscribe")
  end)

  it("is told, once, of what was updated before it was known whether it may be", function()
    local up = server()
    local function text(rules) return ("lunette.upstream('up', %s)\n"):format(up:lua()) .. rules end
    local host = reload.start(text "", { stdio = true })
    local client, held = host.stdio, nil
    client:initialize()
    for _, uri in ipairs { "x://secret", "x://open" } do client:result("resources/subscribe", json.encode { uri = uri }) end
    up:on("resources/list", function(req) held = req end)
    host:reload(text "lunette.resources.filter(function(r) return r.name ~= 's' end)")
    loop.wait(function() return held end, "the list to be asked for")
    for _, uri in ipairs { "x://secret", "x://open", "x://open" } do updated(up.sessions[1], uri) end
    up.sessions[1]:ask("ping", nil, function()
      held:reply '{"resources":[{"uri":"x://secret","name":"s"},{"uri":"x://open","name":"o"}]}'
    end)
    assert.same({ "x://open" }, told(client, "x://open"))
    client:request("resources/read", '{"uri":"z://none"}')
    assert.equal(0, #client.inbox)
    loop.wait(function() return count(up, "resources/unsubscribe", "x://secret") == 1 end, "the end of the other")
  end)

  it("was never made: nobody hears of what rules hide all the same", function()
    local up = server()
    local client = lunette.stdio { policy = lunette.bare(up) .. "\nlunette.resources.hide '*secret' lunette.resource_templates.hide 't'" }
    client:initialize()
    client:result("resources/read", '{"uri":"x://open"}')
    for _, uri in ipairs { "x://secret", "X://secret", "t://secret", "t://open", "x://unlisted", "x://open" } do updated(up.sessions[1], uri) end
    assert.same({ "x://unlisted", "x://open" }, told(client, "x://open"))
  end)
end)
