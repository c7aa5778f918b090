-- src/proxy/lists/view_build.c, view.c: what a client sees of all servers' lists after the rules, and what it can
-- find in it by a name or a URI.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

describe("a view", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local function list(key, names, more)
    local items = {}
    for name in names:gmatch "%S+" do items[#items + 1] = ('{"%s":"%s"%s}'):format(key, name, more or "") end
    return table.concat(items, ",")
  end
  local function tools(names) return list("name", names) end
  local function uris(names) return list("uri", names, ',"name":"n"') end
  local function templates(names) return list("uriTemplate", names, ',"name":"n"') end

  -- The keys that a list shows, in order.
  local function keys(h, kind)
    local out = {}
    local key = ({ resources = "uri", templates = "uriTemplate" })[kind] or "name"
    for name in assert(h:page(kind)):gmatch('"' .. key .. '":"([^"]*)"') do out[#out + 1] = name end
    return table.concat(out, " ")
  end

  local function entry(view, key)
    local s, anchor = H.text(key)
    local e = lib.ln_view_find(view, s)
    assert(anchor)
    return e ~= nil and e or nil
  end

  -- Whose it is, and what it is presented as.
  local function find(view, key)
    local e = entry(view, key)
    if not e then return nil end
    return e.server ~= nil and ffi.string(e.server.conf.name) or "policy", H.bytes(e.key)
  end

  local function native(view, key) return H.bytes(entry(view, key).item.key) end

  local function hidden(view, key)
    local s, anchor = H.text(key)
    local yes = lib.ln_view_is_hidden(view, s)
    return yes, anchor and nil
  end

  describe("of several servers", function()
    it("has their tools and prompts under their names, in the order declared; URIs as they are", function()
      local h = H.new("", {
        { "beta", tools = tools "z a", prompts = list("name", "p"), resources = uris "b:1", templates = templates "b:{x}" },
        { "alpha", tools = { tools "y", tools "b" }, prompts = list("name", "p"), resources = uris "a:1", templates = templates "a:{x}" },
      })
      assert.equal("beta_z beta_a alpha_y alpha_b", keys(h, "tools"))
      assert.equal("beta_p alpha_p", keys(h, "prompts"))
      assert.equal("b:1 a:1", keys(h, "resources"))
      assert.equal("b:{x} a:{x}", keys(h, "templates"))
    end)

    it("edits a definition there alone where it says its name", function()
      local h = H.new("", { { "a", tools = '{ "x" : [1.0] , "name" : "t" ,"title":"t"}' }, { "b" } })
      assert.equal('{"tools":[{ "x" : [1.0] , "name" : "a_t" ,"title":"t"}]}', (h:page "tools"))
      h = H.new("", { { "a", tools = '{"name":"s","name":"\\u0074"}' }, { "b" } })
      assert.equal('{"tools":[{"name":"s","name":"a_t"}]}', (h:page "tools"), "of twins the last counts")
    end)

    it("takes the prefixes that are declared, made safe", function()
      local function seen(name, options, other)
        return keys(H.new("", { { name, tools = tools "t", options = options }, other and { "other" } }), "tools")
      end
      assert.equal("t", seen("a"))
      assert.equal("a_t", seen("a", nil, true))
      assert.equal("t", seen("a", "prefix = false", true))
      assert.equal("p_t", seen("a", "prefix = 'p'"))
      assert.equal("a-b_c_t", seen("a-b.c", nil, true))
    end)

    it("has a name from the one whose prefix fits it best, and from nobody else", function()
      local h = H.new("", { { "a", tools = tools "b_t t" }, { "a_b", tools = tools "t u" } })
      local view = h:view "tools"
      assert.equal("a_t a_b_t a_b_u", keys(h, "tools"))
      assert.same({ "a_b", "a_b_t" }, { find(view, "a_b_t") })
      assert.same({ "a_b", "a_b_u" }, { find(view, "a_b_u") })
      for _, name in ipairs { "t", "u", "b_t", "b_u", "a_b_T", "a_b_t ", "a_b_t\0", "", "A_t", "a__t" } do
        assert.is_nil(find(view, name), name)
      end
      assert.equal(1, h:logged 'its tool "a_b_t" is withheld: names that begin with "a_b_" are those of server "a_b"')
    end)

    it("of one name has the first, and says so once", function()
      local options = "prefix = false"
      local h = H.new("", { { "a", tools = tools "x y", prompts = list("name", "p"), options = options },
        { "b", tools = tools "y z x", prompts = list("name", "p"), options = options } })
      assert.equal("x y z", keys(h, "tools"))
      assert.equal("p", keys(h, "prompts"))
      local view = h:view "tools"
      assert.equal("a", (find(view, "x")))
      assert.equal("b", (find(view, "z")))
      h:view("tools", h:join '{"x":{}}') -- which has lists, and so a view, of its own
      for _, name in ipairs { "x", "y" } do
        assert.equal(1, h:logged(('its tool "%s" is not shown: that of a comes first'):format(name)), name)
      end
    end)

    it("that have a tool called NAME_TOOL have both, by the prefix", function()
      local h = H.new("", { { "a", tools = tools "x" }, { "b", tools = tools "a_x x" } })
      assert.equal("a_x b_a_x b_x", keys(h, "tools"))
    end)
  end)

  describe("of one URI at two servers", function()
    it("has the later one's set apart by its server's name", function()
      for kind, make in pairs { resources = uris, templates = templates } do
        local u = kind == "resources" and "x:1" or "x:{i}"
        local h = H.new("", { { "a", [kind] = make(u) }, { "b", [kind] = make(u .. " y:" .. u) }, { "c", [kind] = make(u) } })
        assert.equal(("%s b+%s y:%s c+%s"):format(u, u, u, u), keys(h, kind), kind)
        local view = h:view(kind)
        assert.same({ "a", u }, { find(view, u) })
        assert.same({ "b", "b+" .. u }, { find(view, "b+" .. u) })
        assert.equal(u, native(view, "b+" .. u))
        assert.equal(2, tonumber(entry(view, "b+" .. u).uri_prefix))
        assert.equal("c", (find(view, "c+" .. u)))
        assert.is_nil(find(view, "a+" .. u))
        assert.is_nil(find(view, "b+y:" .. u))
        assert.is_true(view.renames)
      end
    end)

    it("makes a scheme of any name", function()
      for name, scheme in pairs { ["9a"] = "xa", ["a_b"] = "a-b", ["a.B-9"] = "a.B-9", ["-x"] = "xx" } do
        local h = H.new("", { { "first", resources = uris "x:1" }, { name, resources = uris "x:1" } })
        assert.equal("x:1 " .. scheme .. "+x:1", keys(h, "resources"), name)
      end
    end)

    it("withholds what can't be set apart, as its name would be another's", function()
      local h = H.new("", { { "first", resources = uris "x:1" }, { "a_b", resources = uris "x:1" }, { "a.b" }, { "a-b", resources = uris "x:1" } })
      assert.equal("x:1 a-b+x:1", keys(h, "resources"))
      assert.equal("a_b", (find(h:view "resources", "a-b+x:1")))
      assert.equal(1, h:logged 'its resource "x:1" is not shown: that of first comes first')
    end)

    it("gives way to one that is listed so, or is set apart from it", function()
      local h = H.new("", { { "a", resources = uris "b+x:1 x:1" }, { "b", resources = uris "x:1" } })
      assert.equal("b+x:1 x:1", keys(h, "resources"))
      h = H.new("", { { "a", resources = uris "x:1" }, { "b", resources = uris "x:1" }, { "c", resources = uris "b+x:1" } })
      assert.equal("x:1 b+x:1 c+b+x:1", keys(h, "resources"))
    end)

    it("is one URI in any spelling", function()
      local h = H.new("", { { "a", resources = uris "http://H/1" }, { "b", resources = uris "http://h/1" } })
      assert.equal("http://H/1 b+http://h/1", keys(h, "resources"))
      local view = h:view "resources"
      for _, spelt in ipairs { "http://H/1", "http://h/1", "HTTP://h:80/1", "http://h/./1" } do assert.equal("a", (find(view, spelt)), spelt) end
      for _, spelt in ipairs { "b+http://h/1", "B+http://h/1" } do assert.equal("b", (find(view, spelt)), spelt) end
    end)
  end)

  describe("of a policy's own components", function()
    local own = "lunette.tools.add { name = 'x', inputSchema = { type = 'object' }, handler = function() end }"
      .. "lunette.resources.add { uri = 'x:1', name = 'n', read = function() end }"

    it("has them first, in the place of what servers have", function()
      local h = H.new(own, { { "a", tools = tools "y x", resources = uris "x:1 y:1" } })
      assert.equal("x y", keys(h, "tools"))
      assert.equal("x:1 y:1", keys(h, "resources"))
      assert.equal("policy", (find(h:view "tools", "x")))
      assert.equal("policy", (find(h:view "resources", "x:1")))
      assert.equal("policy", (find(h:view "resources", "X:1")))
      assert.is_nil(find(h:view "resources", "a+x:1"))
      assert.equal(1, h:logged 'its tool "x" is not shown: that of the policy comes first')
    end)

    it("presents them after the rules, too", function()
      local h = H.new(own .. "lunette.tools.rename { x = 'z' } lunette.resources.hide 'x:*'", { { "a", tools = tools "x" } })
      assert.equal("z", keys(h, "tools"), "the rule is for both, and the server's is the second")
      assert.equal("", keys(h, "resources"))
      assert.same({ "policy", "z" }, { find(h:view "tools", "z") })
    end)
  end)

  describe("after rules", function()
    it("has lost what they hide, under every name and spelling", function()
      local h = H.new("lunette.tools.hide '*secret' lunette.resources.hide 'http://h/secret' lunette.resource_templates.hide 'x:*'",
        { { "a", tools = tools "secret open", resources = uris "http://H:80/secret http://h/open", templates = templates "x:{i} y:{i}" }, { "b" } })
      assert.equal("a_open", keys(h, "tools"))
      assert.equal("http://h/open", keys(h, "resources"))
      assert.equal("y:{i}", keys(h, "templates"))
      local view = h:view "tools"
      assert.is_nil(find(view, "a_secret"))
      assert.is_true(hidden(view, "a_secret"))
      assert.is_false(hidden(view, "secret"))
      assert.is_false(hidden(view, "a_open"))
      view = h:view "resources"
      for _, spelt in ipairs { "http://h/secret", "http://H:80/secret", "HTTP://h/secret", "http://h:080/secret", "http://h/x/../secret",
        "http://h/./secret", "http://h/%73ecret", "http:\\\\h\\secret", " http://h/secret", "http://h/se\ncret", "http://h//secret",
        "http://h/secret/", "http://h/secret#f", "http://h/secret?", "http://u@h/secret", "http://h./secret", "http://h/x%2f..%2fsecret" } do
        assert.is_nil(find(view, spelt), spelt)
        assert.is_true(hidden(view, spelt), spelt)
      end
      for _, spelt in ipairs { "http://h/open", "http://h/x/../open", "HTTP://H/open" } do
        assert.equal("a", (find(view, spelt)), spelt)
        assert.is_false(hidden(view, spelt), spelt)
      end
      for _, spelt in ipairs { "http://h/secrets", "https://h/secret", "http://i/secret", "http://h/secret?x" } do
        assert.is_false(hidden(view, spelt), spelt)
      end
      assert.is_true(hidden(h:view "templates", "x:{i}"))
      assert.is_false(hidden(h:view "templates", "x:1"), "which is a question of matching, see names/resolve.c")
    end)

    it("knows what they rename by the new name alone", function()
      local h = H.new("lunette.tools.rename { a_x = 'y' } lunette.resources.rename { ['http://h/a'] = 'note:a' }",
        { { "a", tools = tools "x", resources = uris "http://H/a" }, { "b" } })
      assert.equal("y", keys(h, "tools"))
      assert.equal("note:a", keys(h, "resources"))
      local view = h:view "tools"
      assert.same({ "a", "y" }, { find(view, "y") })
      for _, name in ipairs { "a_x", "x" } do assert.is_nil(find(view, name), name) end
      assert.is_true(hidden(view, "a_x"))
      view = h:view "resources"
      assert.same({ "a", "note:a" }, { find(view, "NOTE:a") })
      for _, spelt in ipairs { "http://H/a", "http://h/a", "http://h:80/./a" } do
        assert.is_nil(find(view, spelt), spelt)
        assert.is_true(hidden(view, spelt), spelt)
      end
      assert.equal('"http://H/a"', H.bytes(entry(view, "note:a").native_json))
    end)

    it("has the first of those that they give one name, and of a swap both", function()
      local h = H.new("lunette.tools.rename { a = 'c', b = 'c' }", { { "s", tools = tools "a b" } })
      assert.equal("c", keys(h, "tools"))
      assert.equal("a", native(h:view "tools", "c"))
      h = H.new("lunette.resources.rename { ['y:1'] = 'x:1' }", { { "a", resources = uris "x:1" }, { "b", resources = uris "y:1" } })
      assert.equal("x:1", keys(h, "resources"), "nothing that a rule named is set apart")
      h = H.new("lunette.tools.rename { a = 'b', b = 'a' }", { { "s", tools = tools "a b" } })
      assert.equal("b a", keys(h, "tools"))
      local view = h:view "tools"
      assert.equal("a", native(view, "b"))
      assert.equal("b", native(view, "a"))
    end)

    it("knows what they rename to a name that is taken by neither name", function()
      local h = H.new("lunette.tools.rename { a = 'b' } lunette.resources.rename { ['x:1'] = 'x:2' } "
        .. "lunette.resource_templates.transform('x:{i}', { uriTemplate = 'y:{i}' })",
        { { "s", tools = tools "b a", resources = uris "x:2 x:1", templates = templates "y:{i} x:{i}" } })
      assert.equal("b", keys(h, "tools"))
      assert.equal("b", native(h:view "tools", "b"))
      assert.is_nil(find(h:view "tools", "a"))
      assert.is_true(hidden(h:view "tools", "a"))
      assert.equal("x:2", keys(h, "resources"))
      assert.equal("x:2", native(h:view "resources", "x:2"))
      assert.is_true(hidden(h:view "resources", "x:1"))
      assert.equal("y:{i}", keys(h, "templates"))
      assert.is_true(hidden(h:view "templates", "x:{i}"))
      local message = '{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"x:1"},{"uri":"x:5"},{"uri":"x:2"}]}}'
      assert.equal(message, (h:seen("s", message)), "x:2 is another's name, and y:5 another's URI")
    end)

    it("sets apart what is the same only after them", function()
      local h = H.new("lunette.resources.hide { upstream = 'a' }", { { "a", resources = uris "x:1" }, { "b", resources = uris "x:1" } })
      assert.equal("x:1", keys(h, "resources"))
      assert.equal("b", (find(h:view "resources", "x:1")))
    end)

    it("can still find one that is shown by a URI that is hidden elsewhere", function()
      local h = H.new("lunette.resources.hide { upstream = 'a' }", { { "a", resources = uris "x:1 x:2" }, { "b", resources = uris "x:1" } })
      local view = h:view "resources"
      assert.equal("b", (find(view, "x:1")))
      assert.is_nil(find(view, "X:1"), "in another spelling it may be either")
      assert.is_nil(find(view, "x:2"))
    end)

    it("has what is hidden under no spelling of one that is shown", function()
      for _, order in ipairs { "http://h:80/a http://h/a", "http://h/a http://h:80/a" } do
        local h = H.new("lunette.resources.filter(function(r) return r.uri ~= 'http://h/a' end)", { { "a", resources = uris(order) } })
        assert.equal("http://h:80/a", keys(h, "resources"))
        local view = h:view "resources"
        for _, spelt in ipairs { "http://h/a", "HTTP://h/a", "http://h:080/a" } do assert.is_nil(find(view, spelt), spelt) end
        assert.equal("a", (find(view, "http://h:80/a")))
      end
    end)

    it("knows what is hidden under what a server might take for it, too", function()
      local h = H.new("lunette.resources.filter(function(r) return r.uri == 'x:1' end)",
        { { "a", resources = uris "http://h/x%2f..%2fsecret file:///a%20b x:1" } })
      local view = h:view "resources"
      for _, spelt in ipairs { "http://h/x%2f..%2fsecret", "http://h/x%2F..%2Fsecret", "http://h/secret", "file:///a b", "file:///a%20b/" } do
        assert.is_true(hidden(view, spelt), spelt)
      end
    end)

    it("says which of them chose nothing, once every list is there", function()
      local fails = { ["tools/list"] = function() return '"error":{"code":1,"message":"no"}' end }
      local h = H.new("lunette.tools.hide 'a_none'", { { "a", tools = tools "x" }, { "b", on = fails } })
      h:view "tools"
      assert.equal(0, h:logged "a_none")
      h.by_name.b.on = nil
      h:view "tools"
      assert.equal(1, h:logged '"a_none" matches no tool')
    end)

    it("hides what a rule fails for, and says where", function()
      local h = H.new("lunette.tools.filter(function(t) return t.name == 'a' or error 'no' end)", { { "s", tools = tools "b a" } })
      assert.equal("a", keys(h, "tools"))
      local view = h:view "tools"
      assert.truthy(H.bytes(view.failed):find("policy.lua:", 1, true))
      assert.is_true(hidden(view, "b"))
    end)

    it("explains each item's way on request, and keeps it out of lists", function()
      local h = H.new("lunette.tools.hide 'a' lunette.tools.rename { b = 'c' }", { { "s", tools = tools "a b" } })
      local view = h:view("tools", nil, "explain")
      local function why(i) return H.bytes(view.entries[i].why) end
      assert.truthy(why(0):match "^policy%.lua:%d+ hide")
      assert.truthy(why(1):match "^policy%.lua:%d+ rename")
      assert.is_nil(H.bytes(h:view "tools".entries[0].why))
    end)
  end)

  describe("takes what servers name unkindly:", function()
    it("names with NUL are names", function()
      local h = H.new("", { { "a", tools = '{"name":"x\\u0000y"},{"name":"x"},{"name":"x\\u0000z"}' }, { "b" } })
      assert.equal('{"tools":[{"name":"a_x\\u0000y"},{"name":"a_x"},{"name":"a_x\\u0000z"}]}', (h:page "tools"))
      local view = h:view "tools"
      assert.same({ "a", "a_x\0y" }, { find(view, "a_x\0y") })
      assert.same({ "a", "a_x" }, { find(view, "a_x") })
      assert.is_nil(find(view, "a_x\0"))
      h = H.new("lunette.tools.hide 'x'", { { "a", tools = '{"name":"x\\u0000y"},{"name":"x"}' } })
      assert.is_true(hidden(h:view "tools", "x"))
      assert.equal('{"tools":[{"name":"x\\u0000y"}]}', (h:page "tools"))
    end)

    it("an empty name is one", function()
      local h = H.new("", { { "a", tools = tools "x" .. ',{"name":""}' }, { "b", tools = '{"name":""}' } })
      assert.equal("a_x a_ b_", keys(h, "tools"))
      h = H.new("", { { "a", tools = '{"name":""},{"name":""}', resources = '{"uri":""}' } })
      assert.equal('{"tools":[{"name":""}]}', (h:page "tools"))
      assert.equal('{"resources":[{"uri":""}]}', (h:page "resources"))
    end)

    it("a name that is there twice is shown once", function()
      local h = H.new("", { { "a", tools = '{"name":"x","n":1},{"name":"y"},{"name":"\\u0078","n":2}' } })
      assert.equal('{"tools":[{"name":"x","n":1},{"name":"y"}]}', (h:page "tools"))
      assert.equal(1, h:logged 'two of its tools are called "x"')
    end)

    it("a URI that is there twice is shown once, as it is", function()
      for kind, make in pairs { resources = uris, templates = templates } do
        local u = kind == "resources" and "x:1" or "x:{i}"
        local h = H.new("", { { "a", [kind] = make(u .. " y:" .. u .. " " .. u) } })
        assert.equal(u .. " y:" .. u, keys(h, kind))
        assert.is_false(h:view(kind).renames, "so that nothing in messages becomes another")
        assert.equal(1, h:logged(('are called "%s"'):format(u)))
        h = H.new("", { { "a", [kind] = make(u) }, { "b", [kind] = make(u .. " " .. u) } })
        assert.equal(u .. " b+" .. u, keys(h, kind))
      end
    end)

    it("a URI that is there in two spellings is found by each", function()
      local h = H.new("", { { "a", resources = '{"uri":"http://H/1","name":"one"},{"uri":"http://h/1","name":"two"}' } })
      assert.equal("http://H/1 http://h/1", keys(h, "resources"))
      local view = h:view "resources"
      assert.equal("http://H/1", native(view, "http://H/1"))
      assert.equal("http://h/1", native(view, "http://h/1"))
      assert.equal("http://h/1", native(view, "HTTP://h:80/1"))
      assert.is_false(view.renames)
    end)

    it("a name that models won't take is told of, where it is our prefix that did it", function()
      local long = ("n"):rep(60)
      local h = H.new("", { { "a-server", tools = tools(long .. " " .. ("m"):rep(65)) }, { "b", tools = tools(long) } })
      keys(h, "tools")
      assert.equal(1, h:logged "has a name of 69 bytes; some model APIs take 64 at most")
      assert.equal(1, h:logged "model APIs take")
    end)

    it("a long list is read in one turn, and made a view of in another", function()
      for n, at_once in pairs { [1000] = true, [1001] = false } do
        local items = {}
        for i = 1, n do items[i] = ('{"name":"t%d"}'):format(i) end
        local h = H.new("", { { "a", tools = table.concat(items, ",") } })
        assert.equal(at_once, h:view_at_once "tools", n)
      end
    end)

    it("100,000 of one name are one", function()
      local h = H.new("lunette.configure { max_message_bytes = 8000000 }", { { "a", tools = ('{"name":"x"},'):rep(99999) .. '{"name":"y"}' } })
      assert.equal("x y", keys(h, "tools"))
      assert.equal(1, h:logged "two of its tools are called")
    end)

    it("100,000 templates are as many as are kept, the first of each server, and few expressions each", function()
      local many, wide = {}, ("{x}/"):rep(32)
      for i = 1, 1500 do many[i] = "t:" .. i .. "/{x}" end
      local h = H.new("lunette.configure { max_templates = 1000 }", { { "a", templates = templates(table.concat(many, " ")) },
        { "b", templates = templates("u:" .. wide .. "{x} u:" .. wide .. " u:{x}") } })
      local view = h:view "templates"
      assert.equal(1002, tonumber(view.n_entries))
      assert.equal("a", (find(view, "t:1000/{x}")))
      assert.is_nil(find(view, "t:1001/{x}"))
      assert.equal("b", (find(view, "u:" .. wide)))
      assert.is_nil(find(view, "u:" .. wide .. "{x}"))
      assert.equal(1, h:logged "500 of its 1500 resource templates are left out")
      assert.equal(1, h:logged "1 of its 3 resource templates are left out")
    end)
  end)

  describe("is needed", function()
    local function needed(rules, servers)
      local h = H.new(rules, servers)
      local out = {}
      for kind, n in pairs(H.kinds) do
        if lib.ln_view_needed(h.host.gen, n) then out[#out + 1] = kind end
      end
      table.sort(out)
      return table.concat(out, " ")
    end

    it("for no call of one server that no rule is about", function()
      assert.equal("", needed("", { { "a" } }))
      assert.equal("prompts resources templates tools", needed("", { { "a" }, { "b" } }))
      assert.equal("prompts resources templates tools", needed("", {}))
      assert.equal("prompts tools", needed("", { { "a", options = "prefix = 'p'" } }))
      assert.equal("tools", needed("lunette.tools.hide 'x'", { { "a" } }))
      assert.equal("resources", needed("lunette.resources.rename { a = 'b' }", { { "a" } }))
      assert.equal("prompts", needed("lunette.prompts.add { name = 'p', get = function() end }", { { "a" } }))
      assert.equal("", needed("lunette.on('tools/call', '*', function(r, f) return f(r) end)", { { "a" } }))
    end)
  end)

  it("out of any lists can be tried without a session, as far as rules are the same for everybody", function()
    local h = H.new("lunette.tools.hide 'a_x' lunette.tools.filter(function(t, ctx) return ctx.session.client.name == 'no' end)",
      { { "a", tools = tools "x y" }, { "b" } })
    h:listing("a", "tools")
    local lists = ffi.new("struct ln_listing *[2]", { h:index "a".listings[0], nil })
    local view = lib.ln_view_build_trial(h.host.gen, H.kinds.tools, lists)
    assert.same({ "a", "a_y" }, { find(view, "a_y") })
    assert.is_nil(find(view, "a_x"))
    lib.ln_view_unref(view)
    assert.equal("", keys(h, "tools"))
  end)
end)
