-- What one server lists or says costs only itself: work has a budget, and past it a message fails, not its
-- neighbours.
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local loop = require "spec.support.loop"
local upstream = require "spec.support.upstream"

local function templates(n, fn)
  local list = {}
  for i = 1, n do list[i] = ('{"uriTemplate":"%s","name":"t%d"}'):format(fn(i), i) end
  return "[" .. table.concat(list, ",") .. "]"
end

local function links(n, fn)
  local list = {}
  for i = 1, n do list[i] = ('{"type":"resource_link","uri":"%s","name":"l%d"}'):format(fn(i), i) end
  return '{"content":[' .. table.concat(list, ",") .. "]}"
end

local TOOLS = '[{"name":"work","inputSchema":{"type":"object"}}]'
local RENAME = "lunette.resource_templates.rename(function(name, item) if item.upstream == 'big' then return 'b+' .. name end end)\n"

-- A client of `big`, whose templates have other names for clients, and one that only ever asks `good`.
local function both(list, answer, policy)
  local big = upstream.new { name = "big", tools = TOOLS, templates = list }
  local good = upstream.new { name = "good", tools = TOOLS, templates = templates(1, function() return "good://{+a}" end) }
  big:on("tools/call", function() return answer end)
  good:on("tools/call", function() return '{"content":[]}' end)
  local host = lunette.http { policy = lunette.bare(good, big) .. "\n" .. RENAME .. (policy or "") }
  local one, other = host.client(), host.client()
  one:initialize()
  other:initialize()
  for _, client in ipairs { one, other } do
    client:result("resources/list", "{}")
    client:result("resources/templates/list", "{}")
    client:result("tools/call", '{"name":"good_work"}')
  end
  return one, other, host, big
end

-- The longest that a call of the other server takes (ms) while fn's call is under way; and its answer.
local function longest(other, call)
  local worst = 0
  repeat
    local began = loop.uv.hrtime()
    other:result("tools/call", '{"name":"good_work"}')
    worst = math.max(worst, (loop.uv.hrtime() - began) / 1e6)
  until call:done(0)
  return worst, call:done(0)
end

describe("a budget", function()
  after_each(lunette.finish)

  it("keeps templates without end from holding the others up", function()
    local one, other, host = both(templates(7000, function(i) return "x://" .. ("{a}"):rep(99) .. "{z" .. i .. "}" end),
      links(2000, function(i) return "x://" .. ("a"):rep(150) .. i .. "/" end))
    local worst, reply = longest(other, one:start("tools/call", '{"name":"big_work"}'))
    assert.is_true(worst < 250, worst .. " ms")
    assert.equal("x://" .. ("a"):rep(150) .. "7/", json.value(reply, "result", "content", 7, "uri"))
    local list = json.at(one:result("resources/templates/list", "{}"), "resourceTemplates")
    assert.same({ "good://{+a}" }, json.names(list, "uriTemplate"))
    local _, told = host.process.err:all():gsub("big: 7000 of its 7000 resource templates are left out", "")
    assert.equal(1, told)
  end)

  -- 1,000 templates of 32 expressions that all begin alike.
  local function alike(i) return "x://" .. ("{+a}/"):rep(31) .. "{z" .. i .. "}/end" end

  it("fails the answer whose links take too much work to look up, and no other", function()
    local one, other, host = both(templates(1000, alike), links(2000, function(i) return "x://" .. ("a/"):rep(100) .. i end))
    local worst, reply = longest(other, one:start("tools/call", '{"name":"big_work"}'))
    assert.is_true(worst < 250, worst .. " ms")
    assert.equal(-32603, json.value(reply, "error", "code"))
    assert.equal("The server's answer has too many URIs that could be of its resource templates",
      json.value(reply, "error", "message"))
    assert.truthy(host.process.err:all():find("warn big: its answer was refused: more than 4194304 steps", 1, true))
  end)

  it("is enough for many links of many templates that begin in their own ways", function()
    local one, other = both(templates(1000, function(i) return ("x://%d/{a}{?q}"):format(i) end),
      links(2000, function(i) return ("x://%d/v%d?q=%d"):format(i % 1000 + 1, i, i) end))
    local worst, reply = longest(other, one:start("tools/call", '{"name":"big_work"}'))
    assert.is_true(worst < 250, worst .. " ms")
    for _, i in ipairs { 1, 7, 999, 1000, 2000 } do
      assert.equal(("b+x://%d/v%d?q=%d"):format(i % 1000 + 1, i, i), json.value(reply, "result", "content", i, "uri"))
    end
  end)

  it("fails the request whose URI could be of too many templates, and no other", function()
    local one, other, host, big = both(templates(1000, alike), links(0))
    local uri = "b+x://" .. ("a/"):rep(4000)
    local worst, reply = longest(other, one:start("resources/read", ('{"uri":"%s"}'):format(uri)))
    assert.is_true(worst < 250, worst .. " ms")
    assert.equal(-32603, json.value(reply, "error", "code"))
    assert.truthy(json.value(reply, "error", "message"):find "^Too many resource templates begin as this URI does")
    assert.equal(0, big:count "resources/read")
    assert.truthy(host.process.err:all():find "resources/read was refused: .* 4194304 steps")
  end)

  it("fails what a server asks or tells, too", function()
    local one, other, host, big = both(templates(1000, alike), links(0))
    one:notify "notifications/initialized"
    local content = '{"type":"resource_link","name":"n","uri":"x://' .. ("a/"):rep(4000) .. '"}'
    local asked
    big:on("tools/call", function(req)
      big:session():ask("sampling/createMessage", '{"maxTokens":1,"messages":[{"role":"user","content":[' .. content .. "]}]}", function(answer)
        asked = answer
        req:reply '{"content":[]}'
      end, req)
    end)
    one:result("tools/call", '{"name":"big_work"}')
    assert.equal(-32603, json.value(asked.error, "code"))
    assert.truthy(host.process.err:all():find("warn big: its message was refused", 1, true))
    other:result("tools/call", '{"name":"good_work"}')
  end)

  -- How long the loop's turns took so far, in seconds.
  local function busy(host)
    return tonumber(http.request({ port = host.port, path = "/metrics" }).body:match "lunette_loop_delay_seconds_sum (%S+)")
  end

  for name, ctx in pairs { ["share a view"] = "", ["have views of their own"] = ", ctx" } do
    it("is one for all the clients that a message goes to, which " .. name, function()
      local parts, update = {}, nil
      for i = 1, 31 do parts[i] = "{+a" .. i .. "}/" end
      local up = upstream.new { name = "up", templates = templates(1000, function(i) return "x://" .. table.concat(parts) .. i end) }
      up:on("resources/subscribe", function(req)
        update = function() req.session:notify("notifications/resources/updated", req.params) end
        req:reply "{}"
      end)
      -- To clients each template begins in its own way, to the server all alike.
      local host = lunette.http { policy = ("lunette.upstream('up', %s)\n"):format(up:lua "session = 'shared'")
        .. ("lunette.resource_templates.transform('*', function(item%s) item.uriTemplate = item.name .. '+' .. item.uriTemplate return item end)")
        :format(ctx) }
      local function subscribe()
        local client = host.client()
        client:initialize()
        client:result("resources/subscribe", ('{"uri":"t1000+x://%s1000"}'):format(("a/"):rep(3900)))
      end
      local function cost()
        local least = math.huge
        for _ = 1, 5 do
          local before, _, told = busy(host), host.process.err:all():gsub("its message was refused: more than 4194304 steps", "")
          update()
          loop.wait(function()
            return select(2, host.process.err:all():gsub("its message was refused: more than 4194304 steps", "")) > told
          end, "the refusal")
          least = math.min(least, busy(host) - before)
        end
        return least
      end
      subscribe()
      local one = cost()
      for _ = 1, 31 do subscribe() end
      local all = cost()
      assert.is_true(all < 8 * math.max(one, 0.002), ("%f s for one, %f for 32"):format(one, all))
    end)
  end

  it("is configured: templates of one server", function()
    local one, _, host = both(templates(5, function(i) return ("x%d://{a}"):format(i) end), links(0), "lunette.configure { max_templates = 2 }")
    local list = json.at(one:result("resources/templates/list", "{}"), "resourceTemplates")
    assert.same({ "good://{+a}", "b+x1://{a}", "b+x2://{a}" }, json.names(list, "uriTemplate"))
    assert.truthy(host.process.err:all():find("3 of its 5 resource templates are left out", 1, true))
  end)

  it("lets no template past the rules that it leaves out", function()
    local list = templates(3, function(i) return i == 3 and "secret://{a}" or i == 2 and "long://" .. ("{a}"):rep(33) or "x://{a}" end)
    local up = upstream.new { name = "up", resources = "[]", templates = list }
    up:on("resources/read", function() return '{"contents":[]}' end)
    for rule, unlisted in pairs { ['lunette.resource_templates.hide("secret://*", "long://*")'] = "hidden",
      ["lunette.resource_templates.filter(function(item) return item.name == 't1' end)"] = "hidden",
      ['lunette.on("resources/read", { where = function(item) return item.name ~= "t1" end }, function() lunette.deny "no" end)'] = "hidden",
      ["lunette.resources.add { uri = 'own://', name = 'own', read = function() return '' end }"] = "passed" } do
      local client = lunette.stdio { policy = lunette.bare(up) .. "\nlunette.configure { max_templates = 1 }\n" .. rule }
      client:initialize()
      assert.truthy(client:result("resources/read", '{"uri":"x://1"}'))
      for _, uri in ipairs { "secret://1", "long://" .. ("a"):rep(33), "other://1" } do
        local reply = client:request("resources/read", ('{"uri":"%s"}'):format(uri))
        assert.equal(unlisted == "hidden" and -32602 or nil, json.value(reply, "error", "code"), rule .. " " .. reply)
      end
    end
  end)

  it("lets no template past the rules that is too long to be matched", function()
    local wide = "wide://" .. ("a"):rep(4096)
    local up = upstream.new { name = "up", resources = "[]", templates = templates(2, function(i) return i == 1 and "x://{a}" or wide .. "{a}" end) }
    up:on("resources/read", function() return '{"contents":[]}' end)
    for _, rule in ipairs { 'hide("wide://*")', "rename(function(name) return 'r+' .. name end)" } do
      local client = lunette.stdio { policy = lunette.bare(up) .. "\nlunette.resource_templates." .. rule }
      client:initialize()
      assert.equal(-32602, client:failure("resources/read", ('{"uri":"%s1"}'):format(wide)).code, rule)
    end
  end)
end)

describe("a URI that is too long", function()
  after_each(lunette.finish)

  local function uri(n) return "x://" .. ("a"):rep(n - 4) end

  for _, name in ipairs { "one server", "several" } do
    it("is refused with its length, " .. name, function()
      local up = upstream.new { name = "up", resources = "[]", templates = templates(1, function() return "x://{a}" end) }
      local other = name == "several" and upstream.new { name = "other", resources = "[]" } or nil
      up:on("resources/read", function(req) return ('{"contents":[{"uri":"%s","text":""}]}'):format(req:value "uri") end)
      up:on("completion/complete", function() return '{"completion":{"values":[]}}' end)
      local client = lunette.stdio { policy = other and lunette.bare(up, other) or lunette.bare(up) }
      client:initialize()
      for method, params in pairs { ["resources/read"] = '{"uri":"%s"}', ["resources/subscribe"] = '{"uri":"%s"}',
        ["resources/unsubscribe"] = '{"uri":"%s"}',
        ["completion/complete"] = '{"ref":{"type":"ref/resource","uri":"%s"},"argument":{"name":"a","value":""}}' } do
        assert.truthy(client:result(method, params:format(uri(8192))), method)
        local failure = client:failure(method, params:format(uri(8193)))
        assert.same({ -32602, method .. ": the URI has 8193 bytes, which is more than max_uri_bytes (8192)" },
          { failure.code, failure.message })
        -- Escaped it is longer, but is no longer URI.
        assert.truthy(client:result(method, params:format(uri(8191) .. "\\u0061")), method)
      end
    end)
  end

  it("is configured, and fails an answer where it may have to be renamed", function()
    local answer
    local one, _, host, big = both(templates(1, function() return "x://{a}" end), "", "lunette.configure { max_uri_bytes = 100 }")
    big:on("tools/call", function() return answer end)
    for given, shown in pairs { [uri(100)] = "b+" .. uri(100), ["data:," .. ("a"):rep(9000)] = "data:," .. ("a"):rep(9000) } do
      answer = links(1, function() return given end)
      assert.equal(shown, json.value(one:result("tools/call", '{"name":"big_work"}'), "content", 1, "uri"))
    end
    answer = links(1, function() return uri(101) end)
    local failure = one:failure("tools/call", '{"name":"big_work"}')
    assert.same({ -32603, "The server's answer has a URI that is longer than max_uri_bytes (100)" }, { failure.code, failure.message })
    assert.truthy(host.process.err:all():find("warn big: its answer was refused: more than max_uri_bytes (100)", 1, true))
  end)
end)
