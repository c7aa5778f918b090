-- What mcpServers files say beyond how a server is reached: keys of FastMCP, VS Code, Cursor and others, tools' own
-- section, tags. (How a server is reached is in upstreams_spec.)
local json = require "spec.support.json"
local support = require "spec.unit.script.support"

local ffi = support.ffi

setup(support.setup)
teardown(support.teardown)

local function load(text, policy)
  support.write("mcp.json", text)
  return support.load("\nlunette.upstreams 'mcp.json' " .. (policy or ""))
end

local function server(text, policy)
  local f = assert(load('{"mcpServers":{"s":' .. text .. "}}", policy))
  return f, f.decls.servers[0]
end

local function list(p)
  local out, i = {}, 0
  while p ~= nil and p[i] ~= nil do
    out[i + 1], i = ffi.string(p[i]), i + 1
  end
  return out
end

describe("a key of a server's", function()
  local function option(text)
    local f, u = server(text)
    local out = { transport = tonumber(u.transport), timeout = tonumber(u.timeout_ms), env = list(u.env),
      headers = list(u.headers), url = u.url ~= nil and ffi.string(u.url) or nil, log = f:log() }
    f:free()
    return out
  end

  it("transport is FastMCP's type", function()
    assert.equal(2, option('{"url":"http://h/x","transport":"sse"}').transport)
    assert.equal(1, option('{"url":"http://h/x","transport":"streamable-http"}').transport)
    assert.equal(0, option('{"command":"x","transport":"stdio"}').transport)
    local _, why = load '{"mcpServers":{"s":{"url":"http://h/x","transport":"stdio"}}}'
    assert.truthy(why:find('mcpServers.s: transport "stdio" goes with command', 1, true), why)
    _, why = load '{"mcpServers":{"s":{"url":"http://h/x","transport":"pigeon"}}}'
    assert.truthy(why:find('mcpServers.s: transport must be stdio, http or sse, not "pigeon"', 1, true), why)
  end)

  it("timeout is seconds, or milliseconds where it is too many for seconds", function()
    assert.equal(60000, option('{"command":"x","timeout":60}').timeout)
    assert.equal(30000, option('{"command":"x","timeout":30000}').timeout)
  end)

  it("auth is a bearer token, unless the headers have one", function()
    assert.same({ "Authorization: Bearer t" }, option('{"url":"http://h/x","auth":"t"}').headers)
    assert.same({ "Authorization: other" }, option('{"url":"http://h/x","auth":"t","headers":{"Authorization":"other"}}').headers)
    assert.truthy(option('{"url":"http://h/x","auth":"oauth"}').log:find("auth is only taken as a text", 1, true))
  end)

  it("envFile is read, beneath env", function()
    support.write("x.env", 'A=1\n# no\nexport B="two words"\nC=\'3\' \r\nD=4 # four\nnonsense\n')
    assert.same({ "A=own", "B=two words", "C=3", "D=4" }, option('{"command":"x","envFile":"x.env","env":{"A":"own"}}').env)
    assert.same({ "A=1", "B=two words", "C=3", "D=4" }, option('{"command":"x","envFile":"${workspaceFolder}/x.env"}').env)
    local _, why = load '{"mcpServers":{"s":{"command":"x","envFile":"none.env"}}}'
    assert.truthy(why:find("mcp.json: mcpServers.s: envFile: ", 1, true), why)
  end)

  it("httpUrl and serverUrl are urls", function()
    assert.equal("http://h/x", option('{"httpUrl":"http://h/x"}').url)
    assert.equal("http://h/x", option('{"serverUrl":"http://h/x"}').url)
  end)

  it("may be somebody else's, and is passed over", function()
    local log = option('{"command":"x","description":"d","icon":"i","authentication":{},"alwaysAllow":[],"trust":true,'
      .. '"autoApprove":[],"keep_alive":true,"cwd":null}').log
    assert.equal("", log)
  end)

  it("that nobody knows is warned of, with file and line", function()
    local f = assert(load '{\n/* two\nlines */ "mcpServers":{\n"s":{"command":"x",\n"comand":"y", "zebra": 1,\n"tools":{"t":{"nme":"u"}}}}}')
    local log = f:log()
    f:free()
    for _, text in ipairs { "mcp.json:5: ", "mcpServers.s: unknown key comand; did you mean command?\n",
      "mcpServers.s: unknown key zebra\n", "mcp.json:6: ", "mcpServers.s.tools.t: unknown key nme; did you mean name?\n" } do
      assert.truthy(log:find(text, 1, true), log .. "\nhas no\n" .. text)
    end
    assert.equal(3, select(2, log:gsub("\n", "")))
  end)

  it("enabled false takes the server away", function()
    local f = assert(load '{"mcpServers":{"a":{"command":"x","enabled":false},"b":{"command":"x"}}}')
    assert.equal(1, tonumber(f.decls.n_servers))
    f:free()
  end)
end)

describe("Zed's settings", function()
  it("have servers with their command in one or in parts, and some that it alone can start", function()
    local f = assert(load [[{ "theme": "x", // and more
      "context_servers": {
        "new": { "source": "custom", "command": "a", "args": ["1"], "env": { "K": "v" } },
        "old": { "command": { "path": "${HOME}/b", "args": ["2"], "env": null }, "settings": {} },
        "far": { "url": "http://127.0.0.1:1/mcp" },
        "extension": { "source": "extension", "settings": { "token": "t" } },
        "early": { "settings": {} },
      } }]])
    assert.equal(3, tonumber(f.decls.n_servers))
    local old = f.decls.servers[1]
    assert.same({ "old", os.getenv "HOME" .. "/b", "2" }, { ffi.string(old.name), ffi.string(old.command), list(old.args)[1] })
    assert.equal("1", list(f.decls.servers[0].args)[1])
    local log = f:log()
    assert.truthy(log:find("mcp.json: context_servers.extension: only Zed can start", 1, true), log)
    assert.truthy(log:find("mcp.json:7: ", 1, true) and log:find("context_servers.early", 1, true), log)
    f:free()
  end)
end)

describe("VS Code's ${input:…}", function()
  local function file(input) return '{"inputs":[' .. input .. '],"servers":{"s":{"command":"x","args":["${input:spec-key}"]}}}' end

  it("is the variable of its name, or the default", function()
    local f = assert(load(file '{"id":"spec-key","type":"promptString","default":"d"}'))
    assert.same({ "d" }, list(f.decls.servers[0].args))
    f:free()
    f = assert(load((file('{"id":"home"}'):gsub("spec%-key", "home"))))
    assert.same({ os.getenv "HOME" }, list(f.decls.servers[0].args))
    f:free()
    local _, why = load(file '{"id":"spec-key","type":"promptString"}')
    assert.truthy(why:find("args[1]: nobody can be asked for ${input:spec-key} here; set SPEC_KEY in the environment", 1, true), why)
  end)
end)

describe("a file's tools", function()
  local tools = {
    '{"name":"read","description":"R","inputSchema":{"type":"object","properties":{"path":{"type":"string"},"n":{"type":"integer"}},'
      .. '"required":["path"]},"_meta":{"_fastmcp":{"tags":["safe","old"]}}}',
    '{"name":"write","inputSchema":{"type":"object"},"_meta":{"fastmcp":{"tags":["risky"]}}}',
    '{"name":"plain","inputSchema":{"type":"object"}}',
  }

  -- What becomes of the tools: name → definition or false, with a server's prefix on.
  local function presented(entry, options)
    options = options or {}
    local f = server(entry, options.policy)
    local items = {}
    for i, text in ipairs(tools) do
      items[i] = { name = (options.prefix or "") .. json.decode(text).name, upstream = options.upstream or "s", json = text }
    end
    local out = {}
    for i, row in ipairs(assert(f:present("tools", items, { explain = true }))) do
      out[i] = not row.hidden and row or false
      out[row.name] = not row.hidden and (row.json and json.decode(row.json) or row) or false
    end
    local log = f:log()
    f:free()
    return out, log
  end

  it("get other names, behind the server's prefix, and other words", function()
    local entry = '{"command":"x","tools":{"read":{"name":"load","title":"T","description":"D","meta":{"k":1}}}}'
    local row = presented(entry).load
    assert.same({ "T", "D", 1 }, { row.title, row.description, row._meta.k })
    assert.is_table(presented(entry, { prefix = "s_" }).s_load)
    assert.is_nil(presented(entry, { upstream = "other" }).load)
  end)

  it("have arguments with other names, defaults, types and examples, or none", function()
    local row = presented([[{"command":"x","tools":{"read":{"arguments":{
      "path":{"name":"file","description":"which","required":true,"type":"string","examples":"a"},
      "n":{"hide":true,"default":5}}}}}]]).read
    local properties = row.inputSchema.properties
    assert.same({ type = "string", description = "which", examples = { "a" } }, properties.file)
    assert.is_nil(properties.n)
    assert.same({ "file" }, row.inputSchema.required)
  end)

  it("can be taken away", function()
    local out = presented '{"command":"x","tools":{"write":{"enabled":false},"read":{"enabled":true}}}'
    assert.is_false(out.write)
    assert.is_table(out.read)
  end)

  it("are those with a tag that is included, and none that is excluded", function()
    local out = presented '{"command":"x","include_tags":["safe"]}'
    assert.is_table(out.read)
    assert.is_false(out.write)
    assert.is_false(out.plain)
    out = presented '{"command":"x","exclude_tags":["risky"]}'
    assert.is_table(out.read)
    assert.is_false(out.write)
    assert.is_table(out.plain)
    out = presented '{"command":"x","include_tags":["safe","new"],"exclude_tags":["old"],"tools":{"plain":{"tags":["new"]}}}'
    assert.is_false(out.read)
    assert.same({ fastmcp = { tags = { "new" } } }, out.plain._meta)
    assert.is_table(presented('{"command":"x","include_tags":["none"]}', { upstream = "other" }).read)
  end)

  it("are those that an editor's lists leave, by the server's own names", function()
    local function left(entry)
      local out = presented(entry, { prefix = "s_" })
      local names = {}
      for _, name in ipairs { "s_read", "s_write", "s_plain", "s_load" } do
        if out[name] then names[#names + 1] = name end
      end
      return table.concat(names, " ")
    end
    assert.equal("s_read s_plain", left '{"command":"x","includeTools":["read","plain","other"]}')
    assert.equal("s_read s_plain", left '{"command":"x","excludeTools":["write","s_read"]}')
    assert.equal("s_plain", left '{"command":"x","disabledTools":["read"],"includeTools":["read","plain"]}')
    assert.equal("s_load", left '{"command":"x","includeTools":["read"],"tools":{"read":{"name":"load"}}}')
    assert.equal("", left '{"command":"x","includeTools":[]}')
  end)

  it("are tagged where the server keeps its tags", function()
    local out = presented '{"command":"x","tools":{"read":{"tags":["a"]}}}'
    assert.same({ _fastmcp = { tags = { "a" } } }, out.read._meta)
  end)

  it("are withheld when what the file says can't hold", function()
    local out, log = presented '{"command":"x","tools":{"read":{"arguments":{"paht":{"name":"file"}}}}}'
    assert.is_false(out.read)
    assert.truthy(log:find("mcp.json:1: the transform of read can't hold, so it is withheld: it has no argument paht; "
      .. "did you mean path?", 1, true), log)
  end)

  it("are known to later rules by the new names", function()
    local out = presented('{"command":"x","tools":{"read":{"name":"load"}}}', { policy = "lunette.tools.hide 'load'" })
    assert.is_false(out.load)
  end)

  it("are no way around for names that are not listed", function()
    local f = server '{"command":"x","tools":{"gone":{"enabled":false}}}'
    assert.is_true((f:may_hide("tools", "gone")))
    assert.is_true((f:may_hide("tools", "s_gone")))
    assert.is_false((f:may_hide("tools", "other")))
    f:free()
  end)

  it("say what is wrong with file and key", function()
    for text, expected in pairs {
      ['"tools":[]'] = "mcp.json: mcpServers.s.tools must be an object of tools by name",
      ['"tools":{"t":5}'] = "mcpServers.s.tools.t must be an object",
      ['"tools":{"t":{"title":5}}'] = "mcpServers.s.tools.t.title must be a string, not 5",
      ['"tools":{"t":{"enabled":"no"}}'] = 'mcpServers.s.tools.t.enabled must be a boolean, not "no"',
      ['"tools":{"t":{"arguments":{"a":{"hide":1}}}}'] = "mcpServers.s.tools.t.arguments.a.hide must be a boolean, not 1",
      ['"tools":{"t":{"arguments":{"a":{"hide":true,"required":true}}}}'] = "an argument can't be hidden and required",
      ['"tools":{"t":{"name":""}}'] = "mcpServers.s.tools.t.name must not be empty",
      ['"tools":{"t":{"tags":["a",5]}}'] = "mcpServers.s.tools.t.tags[2] must be a string, not 5",
      ['"disabledTools":[1]'] = "mcpServers.s.disabledTools[1] must be a string, not 1",
      ['"include_tags":"a"'] = 'mcpServers.s.include_tags must be a table, not "a"',
    } do
      local f, why = load('{"mcpServers":{"s":{"command":"x",' .. text .. "}}}")
      if f then f:free() end
      assert.truthy(why and why:find(expected, 1, true), tostring(why) .. "\nhas no\n" .. expected)
    end
  end)
end)
