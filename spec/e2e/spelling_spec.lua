-- Rules about names and URIs hold however a client spells what they hide, and whichever way it asks.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

describe("what a policy hides", function()
  after_each(lunette.finish)

  local function read_any(up)
    return up:on("resources/read", function(req) req:reply(('{"contents":[{"uri":%s,"text":"read"}]}'):format(req:at "uri")) end)
  end

  -- A client of one server behind that policy.
  local function behind(policy, options, extra)
    local up = read_any(upstream.new(options))
    local client = lunette.stdio { policy = ("lunette.upstream('up', %s)\n%s"):format(up:lua(extra), policy) }
    client:initialize()
    return client, up
  end

  local function read(client, uri)
    return client:request("resources/read", ('{"uri":%s}'):format(json.quote(uri)))
  end

  local function is_refused(client, uri)
    local raw = read(client, uri)
    assert.equal(-32602, json.value(raw, "error", "code"), uri .. " gave " .. raw)
  end

  local function is_read(client, uri)
    local raw = read(client, uri)
    assert.truthy(json.at(raw, "result"), uri .. " gave " .. raw)
  end

  -- All of them reach file:///srv/secret on some server.
  local spellings = { "file:///srv/secret", "FILE:///srv/secret", "file://localhost/srv/secret", "file:/srv/secret", "file:srv/secret",
    "file:///srv/./secret", "file:///srv/x/../secret", "file:///srv/%2e/secret", "file:///srv/x/%2E%2e/secret", "file:///srv/%73ecret",
    "file:///srv//secret", "file:///srv%2Fsecret", "file:///srv/x%2f..%2fsecret", "file:///srv\\secret", "file:///srv/secret/",
    "file:///srv/secret#x", "file:///srv/secret?x", " file:///srv/secret", "file:///srv/secret\n", "fi\tle:///srv/secret", "file:////srv/secret",
    "file:///srv/x//../secret", "file:///srv%5Csecret" }

  local any_file = '[{"uriTemplate":"file:///{+path}","name":"any"}]'

  it("85: is reached by no spelling when it is listed", function()
    local client, up = behind("lunette.resources.hide 'file:///srv/secret'",
      { resources = '[{"uri":"file:///srv/secret","name":"s"},{"uri":"file:///srv/open","name":"o"}]' })
    for _, uri in ipairs(spellings) do is_refused(client, uri) end
    assert.equal(0, up:count "resources/read")
    is_read(client, "file:///srv/open")
    is_read(client, "FILE://localhost/srv/x/../open")
    assert.equal('"FILE://localhost/srv/x/../open"', up:wait("resources/read", 2):at "uri")
  end)

  it("85: is reached by no spelling when it is not listed", function()
    local client, up = behind("lunette.resources.hide 'file:///srv/secret*'", { resources = '[{"uri":"file:///srv/open","name":"o"}]', templates = any_file })
    for _, uri in ipairs(spellings) do is_refused(client, uri) end
    assert.equal(0, up:count "resources/read")
    is_read(client, "file:///srv/other")
  end)

  it("85: is not reached by what only looks allowed", function()
    local client, up = behind("lunette.resources.only 'file:///pub/*'", { resources = '[{"uri":"file:///pub/a","name":"a"}]', templates = any_file })
    for _, uri in ipairs { "file:///pub/../srv/secret", "file:///pub/..%2Fsrv/secret", "file:///pub/%2e%2e/srv", "file:///pub\\..\\srv" } do
      is_refused(client, uri)
    end
    assert.equal(0, up:count "resources/read")
    is_read(client, "file:///pub/a")
    is_read(client, "file:///pub/b c")
  end)

  it("85: stays what it was called before it was renamed, in no spelling", function()
    local client, up = behind("lunette.resources.rename { ['http://h:80/a'] = 'note://a' }", { resources = '[{"uri":"http://h:80/a","name":"a"}]' })
    for _, uri in ipairs { "http://h:80/a", "http://h/a", "HTTP://H/./a", "http://h/a#x" } do is_refused(client, uri) end
    is_read(client, "note://a")
    assert.equal('"http://h:80/a"', up:wait("resources/read"):at "uri")
  end)

  it("85: is what a rule names in any spelling, the rule's own or the list's", function()
    for rule, listed in pairs { ["http://h/a"] = "http://H:80/%61", ["HTTP://h/x/../a"] = "http://h/a", ["http://h/*"] = "http://H/a" } do
      local list = json.encode { { uri = listed, name = "a" }, { uri = "http://i/a", name = "b" } }
      local client, up = behind(("lunette.resources.hide %q"):format(rule), { resources = list })
      assert.same({ "http://i/a" }, json.names(json.at(client:result("resources/list", "{}"), "resources"), "uri"))
      for _, uri in ipairs { rule, listed, "http://h/a", "http://u@h/a" } do is_refused(client, uri) end
      assert.equal(0, up:count "resources/read")
      is_read(client, "http://i/a")
    end
    local client, up = behind("lunette.resources.rename { ['http://h/a'] = 'note://a' } lunette.resources.only 'NOTE://a'",
      { resources = '[{"uri":"http://H:80/a","name":"a"},{"uri":"http://i/a","name":"b"}]' })
    is_refused(client, "http://h/a")
    is_refused(client, "http://i/a")
    is_read(client, "note://a")
    assert.equal('"http://H:80/a"', up:wait("resources/read"):at "uri")
  end)

  it("85: is not reached by the spelling of a twin that is shown", function()
    local client, up = behind("lunette.resources.hide { where = function(r) return r.name == 'hidden' end }",
      { resources = '[{"uri":"http://h/a","name":"shown"},{"uri":"http://h:80/a","name":"hidden"}]' })
    is_refused(client, "http://h:80/a")
    is_refused(client, "http://h:080/a")
    is_read(client, "http://h/a")
    assert.equal(1, up:count "resources/read")
  end)

  it("85: handlers see", function()
    local client, up = behind("lunette.on('resources/read', 'file:///srv/secret*', function() return lunette.deny 'no' end)",
      { resources = '[{"uri":"file:///srv/secret","name":"s"}]', templates = any_file })
    for _, uri in ipairs(spellings) do assert.truthy(json.value(read(client, uri), "error", "code"), uri) end
    assert.equal(0, up:count "resources/read")
    is_read(client, "file:///srv/open")
  end)

  it("85: handlers see though they name it in another spelling than servers and clients", function()
    local client, up = behind("lunette.on('resources/read', 'http://Example.com:80/x', function() return lunette.deny 'no' end)",
      { resources = '[{"uri":"http://example.com/y","name":"y"}]', templates = '[{"uriTemplate":"http://{+all}","name":"t"}]' })
    for _, uri in ipairs { "http://Example.com:80/x", "http://example.com/x", "HTTP://EXAMPLE.com/./x" } do
      assert.truthy(read(client, uri):find('"message":"no"', 1, true), uri)
    end
    assert.equal(0, up:count "resources/read")
    is_read(client, "http://example.com/y")
  end)

  it("85: is not reached through templates", function()
    local client, up = behind("lunette.resource_templates.hide 'file:///secret/{+dir}/{name}'",
      { templates = '[{"uriTemplate":"file:///secret/{+dir}/{name}","name":"s"},{"uriTemplate":"file:///pub/{name}","name":"p"}]' })
    for _, uri in ipairs { "file:///secret/a/b", "file:///secret/a/b/c", "FILE:///secret/a/b", "file:///pub/../secret/a/b", "file:/secret/a/b",
      "file:///secret%2Fa%2Fb", "file:///secret//a/b", "file:///secret/a/b?c", "file:///x/%2e%2e/secret/a/b" } do
      is_refused(client, uri)
    end
    assert.equal(0, up:count "resources/read")
    is_read(client, "file:///pub/a")
    is_read(client, "file:///pub/a/../b")
    is_refused(client, "file:///secret/" .. ("a/"):rep(20000) .. "b")
  end)

  -- A server with a template that matches all there is, and takes what it gets for what it has.
  local others = {
    ["file:///srv/secret"] = { "/srv/secret", "srv/secret", "//srv/secret", "\\srv\\secret", "./srv/secret", " /srv/secret", "/srv//secret",
      "/srv/x/../secret", "%2Fsrv%2Fsecret", "file%3A///srv/secret", "file:///srv/secret;x=1", "file:///srv;x/secret", "file:///srv/pub/..;/secret",
      "file:///srv/secret%00.txt" },
    ["http://Host.example/a/b"] = { "HTTP://host.EXAMPLE/a/b", "http://host.example:80/a;s=1/b", "host.example/a/b", "//host.example/a/b",
      "http://host.example/a/b;jsessionid=1" },
    ["http://Host.example/a/*"] = { "http://host.example/a/b", "HTTP://HOST.example/a/b/c", "host.example/a/b" },
    ["db://Host/secret"] = { "db://host/secret", "DB://HOST/secret", "db://host/secret;x", "db://Host/./secret" },
    ["db://Host/s*"] = { "db://host/secret", "DB://HOST/s" },
  }
  local apart = { "file:///srv/open", "/srv/open", "file:///srv/secrets", "http://host.example/b", "db://host/open", "note", "db://other/secret" }
  for hidden, uris in pairs(others) do
    local any = { resources = '[{"uri":"note://n","name":"n"}]', templates = '[{"uriTemplate":"{+any}","name":"any"}]' }

    it("85: is reached by no spelling of " .. hidden .. " that another server might take for it", function()
      local client, up = behind(("lunette.resources.hide %q"):format(hidden), any)
      for _, uri in ipairs(uris) do is_refused(client, uri) end
      assert.equal(0, up:count "resources/read")
      for _, uri in ipairs(apart) do is_read(client, uri) end
    end)

    it("85: is seen by a handler of " .. hidden .. " in each such spelling", function()
      local client, up = behind(("lunette.on('resources/read', %q, function() return lunette.deny 'no' end)"):format(hidden), any)
      for _, uri in ipairs(uris) do assert.truthy(read(client, uri):find('"message":"no"', 1, true), uri) end
      assert.equal(0, up:count "resources/read")
      for _, uri in ipairs(apart) do is_read(client, uri) end
    end)
  end

  it("85: is not reached without its scheme when it is listed, nor through a hidden template", function()
    local client, up = behind("lunette.resources.rename { ['file:///srv/secret'] = 'x:1', ['http://h/s'] = 'x:2' } lunette.resource_templates.hide 'gone'", {
      resources = '[{"uri":"file:///srv/secret","name":"s"},{"uri":"http://h/s","name":"s"}]',
      templates = '[{"uriTemplate":"file:///gone/{x}","name":"gone"}]' }, "unlisted = true")
    for _, uri in ipairs { "/srv/secret", "srv/secret;x", "h/s", "//h/s", "/gone/1", "gone/1" } do is_refused(client, uri) end
    assert.equal(0, up:count "resources/read")
    is_read(client, "/srv/open")
  end)

  it("is a tool by its native name under a prefix, too", function()
    local options = { tools = '[{"name":"read","inputSchema":{}},{"name":"write","inputSchema":{}}]', prompts = '[{"name":"p"}]' }
    for policy, hidden in pairs { [""] = false, ["lunette.tools.hide 'files_write'"] = true } do
      local client, up = behind(policy, options, "prefix = 'files'")
      up:on("tools/call", function() return '{"content":[]}' end):on("prompts/get", function() return '{"messages":[]}' end)
      for _, name in ipairs { "write", "read", "files_", "files_files_write", "other" } do
        assert.equal(-32602, client:failure("tools/call", json.encode { name = name }).code, name)
      end
      assert.equal(-32602, client:failure("prompts/get", '{"name":"p"}').code)
      assert.equal(0, up:count "tools/call")
      client:result("tools/call", '{"name":"files_read"}')
      assert.equal('"read"', up:wait("tools/call"):at "name")
      client:result("prompts/get", '{"name":"files_p"}')
      if hidden then
        client:failure("tools/call", '{"name":"files_write"}')
      else
        client:result("tools/call", '{"name":"files_write"}')
      end
    end
  end)

  it("is not completed for under another kind's name", function()
    local client, up = behind("lunette.prompts.hide 'p'", { prompts = '[{"name":"p"},{"name":"q"}]', templates = '[{"uriTemplate":"a:{x}","name":"t"}]' })
    up:on("completion/complete", function() return '{"completion":{"values":[]}}' end)
    for _, ref in ipairs { '{"type":"ref/prompt","name":"p"}', '{"type":"ref/prompt","name":"p","uri":"a:{x}"}',
      '{"uri":"a:{x}","type":"ref/prompt","name":"p"}' } do
      assert.equal(-32602, client:failure("completion/complete", ('{"ref":%s,"argument":{"name":"x","value":""}}'):format(ref)).code, ref)
    end
    assert.equal(-32600, client:failure("completion/complete", '{"ref":{"type":"ref/prompt","name":"q","Name":"p"},"argument":{}}').code)
    assert.equal(0, up:count "completion/complete")
    client:result("completion/complete", '{"ref":{"type":"ref/prompt","name":"q","uri":"zzz"},"argument":{"name":"x","value":""}}')
  end)

  it("is not completed for as a resource that a rule hides", function()
    for _, policy in ipairs { "lunette.resources.hide 'a:1'", "lunette.resources.only 'b:*'", "lunette.resource_templates.hide 'a:{x}'" } do
      local client, up = behind(policy, { resources = '[{"uri":"a:1","name":"1"}]', templates = '[{"uriTemplate":"a:{x}","name":"t"}]' })
      up:on("completion/complete", function() return '{"completion":{"values":[]}}' end)
      local uri = policy:find "templates" and "a:{x}" or "a:1"
      assert.equal(-32602, client:failure("completion/complete",
        ('{"ref":{"type":"ref/resource","uri":"%s"},"argument":{"name":"x","value":""}}'):format(uri)).code, policy)
      assert.equal(0, up:count "completion/complete")
    end
  end)
end)
