-- src/proxy/names/resolve.c: from the name or URI in a client's request to the component that it stands for. What rules
-- hide can't be meant, under whatever name or spelling.
local H = require "spec.unit.proxy.host"

describe("who is meant", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local function call(h, name, session) return h:resolve("tools/call", ('{"name":"%s"}'):format(name), session) end
  local function read(h, uri) return h:resolve("resources/read", ('{"uri":"%s"}'):format(uri)) end

  local function unknown(noun, key, uri)
    return ('{"code":-32602,"message":"Unknown %s: %s"%s}'):format(noun, key, uri and (',"data":{"uri":"%s"}'):format(key) or "")
  end

  local function is_refused(h, uri)
    local server, why = read(h, uri)
    assert.is_nil(server, uri)
    assert.truthy(why:find('{"code":-32602,"message":"Unknown resource: ', 1, true) == 1, why)
  end

  describe("with one server that no rule is about", function()
    it("is that one, and nobody looks at any list", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}' } })
      for _, request in ipairs {
        { "tools/call", '{"name":"anything"}' }, { "tools/call", '{"name":7}' }, { "tools/call", "{}" },
        { "resources/read", '{"uri":"x:1"}' }, { "prompts/get", '{"name":"p"}' }, { "resources/subscribe", '{"uri":"x:1"}' },
        { "completion/complete", '{"ref":{"type":"ref/prompt","name":"p"}}' }, { "completion/complete", "{}" },
        { "completion/complete", '{"ref":{"type":"ref/resource","uri":"x:{y}"}}' },
      } do
        assert.same({ "a" }, { h:resolve(request[1], request[2]) }, request[2])
      end
      assert.equal(0, #h.asked)
    end)

    it("is still none whose URI is longer than may be", function()
      local h = H.new("lunette.configure { max_uri_bytes = 1024 }", { { "a" } })
      assert.equal("a", (read(h, "x:" .. ("y"):rep(1022))))
      assert.equal("a", (read(h, "x:" .. ("\\u0079"):rep(1022))), "in which escapes count as what they stand for")
      assert.same({ nil, '{"code":-32602,"message":"resources/read: the URI has 1025 bytes, which is more than max_uri_bytes (1024)"}' },
        { read(h, "x:" .. ("y"):rep(1023)) })
      assert.is_nil((h:resolve("completion/complete", '{"ref":{"type":"ref/resource","uri":"x:' .. ("y"):rep(1023) .. '"}}')))
      assert.equal("a", (call(h, ("n"):rep(5000))), "which names are not")
    end)
  end)

  describe("of several servers", function()
    local servers = {
      { "a", tools = '{"name":"x"},{"name":"b_x"}', resources = '{"uri":"x:1"},{"uri":"http://H/1"}', prompts = '{"name":"p"}',
        templates = '{"uriTemplate":"t:{i}"}' },
      { "b", tools = '{"name":"x"},{"name":"n\\u0000l"}', resources = '{"uri":"x:1"}', prompts = '{"name":"p"}',
        templates = '{"uriTemplate":"t:{i}"},{"uriTemplate":"u:{i}/{j}"}' },
    }

    it("is whose list has the name, which the server has under its own", function()
      local h = H.new("", servers)
      assert.same({ "a", "x" }, { call(h, "a_x") })
      assert.same({ "b", "x" }, { call(h, "b_x") })
      assert.same({ "a", "b_x" }, { call(h, "a_b_x") })
      assert.same({ "b", "n\0l" }, { call(h, "b_n\\u0000l") })
      assert.same({ "a", "x" }, { call(h, "\\u0061_x") })
      assert.same({ "b", "p" }, { h:resolve("prompts/get", '{"name":"b_p"}') })
    end)

    it("is nobody for a name that no list has", function()
      local h = H.new("", servers)
      for _, name in ipairs { "x", "c_x", "a_", "a_X", "", "a_x ", "b_n" } do
        assert.same({ nil, unknown("tool", name) }, { call(h, name) }, name)
      end
      assert.same({ nil, unknown("prompt", "p") }, { h:resolve("prompts/get", '{"name":"p"}') })
      assert.same({ nil, unknown("resource", "y:1", true) }, { read(h, "y:1") })
      assert.is_nil((call(h, "a_x\\u0000")))
    end)

    it("is who listed the URI, or from whose template it is; set apart ones by what sets them apart", function()
      local h = H.new("", servers)
      for uri, expected in pairs {
        ["x:1"] = { "a", "x:1" }, ["b+x:1"] = { "b", "x:1" }, ["HTTP://h:80/./1"] = { "a", "http://H/1" },
        ["t:5"] = { "a", "t:{i}" }, ["b+t:5"] = { "b", "t:{i}" }, ["u:1/2"] = { "b", "u:{i}/{j}" },
      } do
        assert.same(expected, { read(h, uri) }, uri)
      end
      for _, uri in ipairs { "a+x:1", "b+http://H/1", "u:1", "t:", "t:5/6" } do is_refused(h, uri) end
      assert.same({ "b", "x:1" }, { h:resolve("resources/subscribe", '{"uri":"b+x:1"}') })
      assert.same({ "b", "u:{i}/{j}" }, { h:resolve("resources/unsubscribe", '{"uri":"u:1/2"}') })
    end)

    it("is asked for each list once, and for templates only when no resource has the URI", function()
      local h = H.new("", servers)
      read(h, "x:1")
      assert.equal(0, h:count("a", "resources/templates/list"))
      read(h, "t:5")
      read(h, "t:6")
      read(h, "x:1")
      for _, method in ipairs { "resources/list", "resources/templates/list" } do assert.equal(1, h:count("a", method), method) end
    end)

    it("is not told for completions when a rule hides it, as if no server had it", function()
      local h = H.new("lunette.resource_templates.hide 's:{i}'", { { "a", templates = '{"uriTemplate":"s:{i}","name":"s"}' } })
      for _, uri in ipairs { "s:{i}", "n:{i}" } do
        assert.same({ nil, unknown("resource", uri, true) },
          { h:resolve("completion/complete", '{"ref":{"type":"ref/resource","uri":"' .. uri .. '"},"argument":{}}') })
      end
    end)

    it("is found for completions by prompts, templates and resources alike", function()
      local h = H.new("", servers)
      local function complete(ref) return h:resolve("completion/complete", '{"ref":' .. ref .. ',"argument":{}}') end
      assert.same({ "b", "p" }, { complete '{"type":"ref/prompt","name":"b_p"}' })
      assert.same({ "b", "t:{i}" }, { complete '{"type":"ref/resource","uri":"b+t:{i}"}' })
      assert.same({ "a", "x:1" }, { complete '{"type":"ref/resource","uri":"x:1"}' })
      assert.same({ "b", "u:{i}/{j}" }, { complete '{"type":"ref/resource","uri":"u:1/2"}' })
      assert.same({ nil, unknown("resource", "v:{j}", true) }, { complete '{"type":"ref/resource","uri":"v:{j}"}' })
      assert.same({ nil, unknown("prompt", "a_x") }, { complete '{"type":"ref/prompt","name":"a_x"}' })
      local needs = '{"code":-32602,"message":"completion/complete needs a ref to a prompt or a resource"}'
      for _, ref in ipairs { "{}", "7", '{"type":"ref/tool","name":"a_x"}', '{"type":7}' } do
        assert.same({ nil, needs }, { complete(ref) }, ref)
      end
    end)

    it("must be said", function()
      local h = H.new("", servers)
      for params, needs in pairs { ["{}"] = "a name", ['{"name":7}'] = "a name", ['{"name":null}'] = "a name", ['{"name":{}}'] = "a name" } do
        assert.same({ nil, '{"code":-32602,"message":"tools/call needs ' .. needs .. '"}' }, { h:resolve("tools/call", params) }, params)
      end
      assert.same({ nil, '{"code":-32602,"message":"resources/read needs a uri"}' }, { h:resolve("resources/read", "{}") })
    end)

    it("is told with the servers that are down, of known and hidden names alike", function()
      local h = H.new("lunette.tools.hide 'a_hidden'", { { "a", tools = '{"name":"hidden"}' },
        { "b", on = { initialize = function() return '"error":{"code":1,"message":"go away"}' end } } })
      assert.same({ nil, unknown("tool", "a_none") }, { call(h, "a_none") }, "of which b can't have heard")
      local _, its = call(h, "b_x")
      assert.equal('{"code":-32602,"message":"Unknown tool: b_x; server \\"b\\" is down: refused initialize (error 1)"}', its)
      local _, hidden = call(h, "a_hidden")
      local _, none = call(h, "a_none")
      assert.equal('{"code":-32602,"message":"Unknown tool: a_hidden; server \\"b\\" is down: refused initialize (error 1)"}', hidden)
      assert.equal((hidden:gsub("hidden", "none")), none)
    end)

    it("is a policy's own component before any server's", function()
      local h = H.new("lunette.tools.add { name = 'a_x', inputSchema = { type = 'object' }, handler = function() end }"
        .. "lunette.resource_templates.add { uriTemplate = 't:{k}', name = 'n', read = function() end }", servers)
      assert.same({ "policy", "a_x" }, { call(h, "a_x") })
      assert.same({ "policy", "t:{k}" }, { read(h, "t:1") })
    end)
  end)

  describe("of one server, by a name that no list has,", function()
    local servers = { { "a", tools = '{"name":"x"}', resources = '{"uri":"x:1"}' } }
    local willing = { { "a", tools = '{"name":"x"}', options = "unlisted = true" } }

    it("is the server where the policy says nothing of such components, or that it is; but for what a rule could hide", function()
      -- { with nothing else said, with unlisted = true }
      for rules, passes in pairs {
        [""] = { true, true }, ["lunette.prompts.hide 'x'"] = { true, true },
        ["lunette.on('tools/call', function(r, f) return f(r) end)"] = { true, true },
        ["lunette.on('tools/call', 'x', function(r, f) return f(r) end)"] = { false, true },
        ["lunette.on('tools/*', { upstream = 'b' }, function(r, f) return f(r) end)"] = { false, true },
        ["lunette.on('prompts/get', 'x', function(r, f) return f(r) end)"] = { true, true },
        ["lunette.tools.hide 'x'"] = { false, true }, ["lunette.tools.hide 'sec*'"] = { false, false },
        ["lunette.tools.only 'x'"] = { false, false }, ["lunette.tools.only '*ret'"] = { false, true },
        ["lunette.tools.filter(function() return true end)"] = { false, false },
        ["lunette.tools.rename { x = 'y' }"] = { false, true }, ["lunette.tools.hide { where = function() end }"] = { false, false },
        ["lunette.tools.hide { upstream = 'a' }"] = { false, false }, ["lunette.tools.hide { upstream = 'b' }"] = { false, false },
        ["lunette.tools.add { name = 'z', inputSchema = { type = 'object' }, handler = function() end }"] = { true, true },
      } do
        for i, declared in ipairs { servers, willing } do
          local h = H.new(rules, declared)
          local server, key = call(h, "secret")
          assert.equal(passes[i] and "a" or nil, server, rules)
          assert.equal(not passes[i] and unknown("tool", "secret") or nil, key, rules)
          assert.is_true(h:count("a", "tools/list") <= 1, rules)
        end
      end
    end)

    it("is nobody where names have a prefix", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}', options = "prefix = 'p'" } })
      assert.same({ "a", "x" }, { call(h, "p_x") })
      for _, name in ipairs { "x", "p_y", "y" } do assert.same({ nil, unknown("tool", name) }, { call(h, name) }) end
      assert.equal("a", (read(h, "y:1")), "which URIs don't")
    end)

    it("is nobody by a name that a rule took away", function()
      local h = H.new("lunette.tools.rename { x = 'y' } lunette.resources.rename { ['x:1'] = 'y:1' }", servers)
      assert.same({ "a", "x" }, { call(h, "y") })
      assert.same({ nil, unknown("tool", "x") }, { call(h, "x") })
      assert.same({ "a", "x:1" }, { read(h, "y:1") })
      is_refused(h, "x:1")
      is_refused(h, "X:1")
      is_refused(h, "x:2")
    end)

    it("is asked about by every spelling of a URI", function()
      local h = H.new("lunette.resources.hide 'file:///srv/secret*'", { { "a", resources = '{"uri":"x:1"}', options = "unlisted = true" } })
      for _, uri in ipairs { "file:///srv/secret", "file:///srv/./secret", "FILE:///srv/secret", "file://localhost/srv/secret",
        "file:///srv/%73ecret", "file:///srv/x/../secret/y", "file:\\\\\\\\\\\\srv/secret", "file:///srv//secret", "file:///srv/x%2f..%2fsecret",
        "file:/srv/secret", "\\tfile:///srv/se\\ncret" } do
        is_refused(h, uri)
      end
      for _, uri in ipairs { "file:///srv/open", "file:///srv/x/secret", "x:1", "file:///srv/secre" } do
        assert.equal("a", (read(h, uri)), uri)
      end
    end)
  end)

  describe("through templates", function()
    it("is the first whose URI it can be", function()
      local h = H.new("", { { "a", templates = '{"uriTemplate":"t:{i}"},{"uriTemplate":"t:x{i}"}' }, { "b", templates = '{"uriTemplate":"t:{+i}"}' } })
      assert.same({ "a", "t:{i}" }, { read(h, "t:x1") })
      assert.same({ "b", "t:{+i}" }, { read(h, "t:x/1") })
      for _, order in ipairs { { "http://H/{x}", "http://h/{x}" }, { "http://h/{x}", "http://H/{x}" } } do
        h = H.new("", { { "a", templates = ('{"uriTemplate":"%s"},{"uriTemplate":"%s"}'):format(unpack(order)) }, { "b" } })
        assert.same({ "a", order[1] }, { read(h, "http://H/1") }, "as it is, or in its normal form")
      end
    end)

    it("is nobody whose resources a rule hides", function()
      local h = H.new("lunette.resources.hide 'file:///srv/secret*'",
        { { "a", templates = '{"uriTemplate":"file:///{+path}"}' }, { "b", templates = '{"uriTemplate":"t:{i}"}' } })
      assert.same({ "a", "file:///{+path}" }, { read(h, "file:///srv/open") })
      for _, uri in ipairs { "file:///srv/secret", "file:///srv/x/../secret", "FILE:///srv/./secret/1", "file:///srv/%73ecret" } do
        is_refused(h, uri)
      end
    end)

    it("is nobody whose template a rule hides, or gave another form", function()
      local h = H.new("lunette.resource_templates.hide 't:*' lunette.resource_templates.transform('u:{i}', { uriTemplate = 'v:{i}' })",
        { { "a", templates = '{"uriTemplate":"t:{i}"},{"uriTemplate":"u:{i}"},{"uriTemplate":"w:{i}"}' } })
      for _, uri in ipairs { "t:1", "T:1", "u:1", "U:%31" } do is_refused(h, uri) end
      assert.same({ "a", "u:{i}" }, { read(h, "v:1") })
      assert.same({ "a", "w:{i}" }, { read(h, "w:1") })
      is_refused(h, "x:1")
    end)

    it("in another form is still nobody whose own URI a rule hides", function()
      local h = H.new("lunette.resource_templates.transform('file:///{+path}', { uriTemplate = 'f:{+path}' }) lunette.resources.hide 'file:///secret*'",
        { { "a", templates = '{"uriTemplate":"file:///{+path}"}' } })
      assert.same({ "a", "file:///{+path}" }, { read(h, "f:open") })
      is_refused(h, "f:secret")
      is_refused(h, "f:secret/1")
    end)

    it("is taken for what dot segments make of it", function()
      local h = H.new("", { { "a", templates = '{"uriTemplate":"http://h/a/{+x}"}' }, { "b", templates = '{"uriTemplate":"http://h/b/{+x}"}' } })
      assert.same({ "a", "http://h/a/{+x}" }, { read(h, "http://h/a/1") })
      assert.same({ "b", "http://h/b/{+x}" }, { read(h, "http://h/a/../b/1") })
      assert.same({ "b", "http://h/b/{+x}" }, { read(h, "http://h/a/%2e%2e/b/1") })
      is_refused(h, "http://h/a/../c")
    end)

    it("is looked for no longer than a message may, which is said", function()
      local wide = {}
      for i = 1, 1000 do wide[i] = ('{"uriTemplate":"t:%sx%d"}'):format(("{+a}y"):rep(32), i) end
      local h = H.new("", { { "a", templates = table.concat(wide, ",") }, { "b" } })
      local server, why = read(h, "t:" .. ("y"):rep(8000))
      assert.is_nil(server)
      assert.equal('{"code":-32603,"message":"Too many resource templates begin as this URI does: which one it is of takes too long to find out"}', why)
      assert.equal(1, h:logged "resources/read was refused: to find the template of its URI takes more than the 4194304 steps")
      assert.same({ nil, unknown("resource", "x:1", true) }, { read(h, "x:1") }, "which begins otherwise")
    end)
  end)

  it("is nobody any more for a request that was called off meanwhile", function()
    for _, cancel in ipairs { "cancel", "call off", "part" } do
      local h = H.new("", { { "a", on = { ["tools/list"] = function() return false end } }, { "b" } })
      local s = h:join()
      H.with_msg(H.request("tools/call", '{"name":"a_x"}'), function(m)
        local a = H.driver.pl_resolve(h.rig, s, m)
        h:run()
        assert.is_false(a.there)
        if cancel ~= "part" then
          if cancel == "cancel" then H.driver.pl_cancel(a) else H.lib.ln_exchange_call_off(a.x, "enough") end
          h:answer(h.held[1], '"result":{"tools":[{"name":"x"}]}')
        else
          h:part(s)
        end
        assert.is_false(a.there or a.found)
      end)
    end
  end)

  it("is said not to be known when lists can't be had, of the only server", function()
    local h = H.new("lunette.tools.hide 'x'", { { "a", on = { ["tools/list"] = function() return '"error":{"code":1,"message":"no"}' end } } })
    assert.same({ nil, '{"code":-32603,"message":"Server \\"a\\": its list is refused (error 1)"}' }, { call(h, "y") })
  end)

  it("differs between sessions where a rule takes ctx", function()
    local h = H.new("lunette.tools.filter(function(t, ctx) return t.name ~= 'a_x' or ctx.session.capabilities.roots ~= nil end)",
      { { "a", tools = '{"name":"x"}' }, { "b" } })
    local one, two = h:join '{"roots":{}}', h:join()
    assert.same({ "a", "x" }, { call(h, "a_x", one) })
    assert.same({ nil, unknown("tool", "a_x") }, { call(h, "a_x", two) })
    assert.same({ "a", "x" }, { call(h, "a_x", one) })
  end)
end)
