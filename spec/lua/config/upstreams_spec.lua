-- lunette.upstream and lunette.upstreams: what is accepted, and what is said of what is not.
local support = require "spec.unit.script.support"

local ffi = support.ffi

setup(support.setup)
teardown(support.teardown)

local function str(p) return p ~= nil and ffi.string(p) or nil end
local function list(p)
  local out, i = {}, 0
  while p ~= nil and p[i] ~= nil do
    out[i + 1] = ffi.string(p[i])
    i = i + 1
  end
  return out
end

local function fails(policy, expected)
  local f, why = support.load(policy)
  if f then f:free() end
  assert.is_nil(f, "loaded: " .. policy)
  assert.truthy(why:find(expected, 1, true), why .. "\nhas no\n" .. expected)
end

describe("lunette.upstream", function()
  local cases = {
    { "5, {}", "policy.lua:2: lunette.upstream: name must be a string, not 5" },
    { "'a b', { command = 'x' }", 'a name is made of letters, digits, _ . and -, not "a b"' },
    { "'', { command = 'x' }", "a name is made of letters" },
    { "'a'", 'upstream "a": options must be a table, not nothing' },
    { "'a', {}", 'upstream "a": give either command or url' },
    { "'a', { command = 'x', url = 'http://h' }", "give either command or url, not both" },
    { "'a', { comand = 'x' }", 'policy.lua:2: upstream "a": unknown option comand; did you mean command?' },
    { "'a', { command = 'x', timout = 1 }", "unknown option timout; did you mean timeout?" },
    { "'a', { command = 'x', zebra = 1 }", "unknown option zebra" },
    { "'a', { command = 'x', 'y' }", "[1] is not an option" },
    { "'a', { command = '' }", "command must not be empty" },
    { "'a', { command = { 'x' } }", "command must be a string, not a table" },
    { "'a', { command = 'x', args = 'y' }", 'args must be a list of strings, not "y"' },
    { "'a', { command = 'x', args = { y = 1 } }", "args must be a list of strings, not a table" },
    { "'a', { command = 'x', args = { 'a', 5 } }", "args[2] must be a string, not 5" },
    { "'a', { command = 'x', args = { 'a\\0b' } }", "args[1] must not contain a NUL" },
    { "'a', { command = 'x', env = { ['A=B'] = 'c' } }", 'env: "A=B" is not a possible name' },
    { "'a', { command = 'x', env = { A = {} } }", "env.A must be a string, not a table" },
    { "'a', { command = 'x', cwd = 5 }", "cwd must be a string, not 5" },
    { "'a', { command = 'x', inherit_env = 'AWS_*' }",
      'policy.lua:2: upstream "a": inherit_env must be true, false or a list of globs as { "AWS_*" }, not "AWS_*"' },
    { "'a', { command = 'x', inherit_env = 1 }", "inherit_env must be true, false or a list of globs" },
    { "'a', { command = 'x', inherit_env = { AWS = true } }", "inherit_env must be true, false or a list of globs" },
    { "'a', { command = 'x', inherit_env = { 'A', 5 } }", 'policy.lua:2: upstream "a": inherit_env[2] must be a string, not 5' },
    { "'a', { command = 'x', inherit_env = { '' } }", 'inherit_env[1]: "" can match no variable\'s name' },
    { "'a', { command = 'x', inherit_env = { 'A=1' } }", 'inherit_env[1]: "A=1" can match no variable\'s name' },
    { "'a', { command = 'x', inherit_env = { 'A[' } }", 'inherit_env[1]: the "[" at byte 2 of A[ is not closed' },
    { "'a', { command = 'x', inherit_en = true }", "unknown option inherit_en; did you mean inherit_env?" },
    { "'a', { url = 'http://h', inherit_env = true }", "inherit_env goes with command, not url" },
    { "'a', { command = 'x', headers = {} }", "headers go with url, not command" },
    { "'a', { command = 'x', transport = 'http' }", 'transport "http" goes with url, not command' },
    { "'a', { url = 'example.com' }", 'url must be http://… or https://…, not "example.com"' },
    { "'a', { url = 'http://' }", "url must be http://…" },
    { "'a', { url = 'http://u:pass@h/' }", 'policy.lua:2: upstream "a": url: user names and passwords don\'t belong in a URL: make them a header' },
    { "'a', { url = 'http://h:99999/' }", 'policy.lua:2: upstream "a": url: the port is not valid' },
    { "'a', { url = 'http://h/#f' }", "url: the URL has a fragment" },
    { "'a', { url = 'http://h/a b' }", "url must be http://…" },
    { "'a', { url = 'http://h\\r\\nX: y' }", "url must be http://…" },
    { "'a', { url = 'http://h', args = {} }", "args goes with command, not url" },
    { "'a', { url = 'http://h', transport = 'ssh' }", 'transport must be "http" or "sse", not "ssh"; did you mean sse?' },
    { "'a', { url = 'http://h', headers = { ['A B'] = 'c' } }", 'headers: "A B" is not a possible name' },
    { "'a', { url = 'http://h', headers = { A = 'b\\r\\nC: d' } }", "headers.A must not contain line breaks or NUL" },
    { "'a', { command = 'x', session = 'clinet' }", 'session must be "client" or "shared" or "request", not "clinet"; did you mean client?' },
    { "'a', { command = 'x', prefix = 'a/b' }", "prefix must be made of letters, digits, _ . and -, or be false for none" },
    { "'a', { command = 'x', prefix = true }", "prefix must be made of" },
    { "'a', { command = 'x', timeout = 0 }", "timeout must be a number of seconds above 0, not 0" },
    { "'a', { command = 'x', timeout = '5' }", 'timeout must be a number of seconds above 0, not "5"' },
    { "'a', { command = 'x', idle_timeout = 0 }", "idle_timeout must be a number of seconds above 0, not 0" },
    { "'a', { command = 'x', idle_timeout = '5' }", 'idle_timeout must be a number of seconds above 0, not "5"' },
    { "'a', { command = 'x', idletimeout = 5 }", "unknown option idletimeout; did you mean idle_timeout?" },
    { "'a', { command = 'x', start = 'eagre' }", 'start must be "first" or "eager", not "eagre"; did you mean eager?' },
    { "'a', { command = 'x', start = true }", 'start must be "first" or "eager", not true' },
    { "'a', { command = 'x', optional = 'yes' }", 'optional must be true or false, not "yes"' },
    { "'a', { command = 'x', lists = 'mine' }", 'lists must be "shared" or "own", not "mine"' },
    { "'a', { command = 'x', lists = 'own', session = 'shared' }", 'lists = "own" can\'t be with session = "shared"' },
  }
  for _, case in ipairs(cases) do
    it("of " .. case[1], function() fails("\nlunette.upstream(" .. case[1] .. ")", case[2]) end)
  end

  it("not twice of one name", function()
    fails("\nlunette.upstream('a', { command = 'x' })\nlunette.upstream('a', { command = 'y' })",
      ':3: upstream "a": a server of this name is declared already at')
  end)

  it("not from a handler", function()
    local f = assert(support.load "lunette.on('x', function() lunette.upstream('a', { command = 'x' }) end)")
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:log():find("lunette.upstream only works while the policy loads", 1, true), f:log())
    f:free()
  end)

  for command, hint in pairs {
    ["'npx -y foo'"] = [[command = "npx", args = { "-y", "foo" }]],
    ["'npx -y', args = { 'foo' }"] = [[command = "npx", args = { "-y", … }]],
    ["' npx'"] = [[command = "npx"]],
    ["[[sh -c 'a b']]"] = [[command = "sh", args = { … }]],
    ["'/bin/sh'"] = false,
  } do
    it("and says how command = " .. command .. " is written", function()
      local f = assert(support.load("\nlunette.upstream('a', { command = " .. command .. " })"))
      local said = 'policy.lua:2: upstream "a": command is a program\'s name, with no arguments in it: '
      if hint then
        assert.truthy(f:log():find(said .. hint .. "\n", 1, true), f:log())
      else
        assert.equal("", f:log())
      end
      f:free()
    end)
  end

  it("and takes no options afterwards", function()
    fails("\nlunette.upstream('a', { command = 'x' }).session = 'shared'",
      ":2: upstream \"a\": session can't be assigned to: options stand in lunette.upstream")
  end)

  it("can be cleared from a handler, by the object it gave", function()
    local f = assert(support.load [[local a = lunette.upstream('a', { command = 'x' }) a:clear()
      lunette.on('x', function() a:clear() return {} end)]])
    assert.equal("", f:account())
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:account():find "^clear a\n")
    f:free()
    fails("\nlunette.upstream('a', { command = 'x' }).clear()", "call it with a colon")
  end)

  it("expands ~ in command and cwd", function()
    local home = os.getenv "HOME"
    local f = assert(support.load "lunette.upstream('a', { command = '~/bin/x', cwd = '~', args = { '~/y' } })")
    local u = f.decls.servers[0]
    assert.same({ home .. "/bin/x", home, { "~/y" } }, { str(u.command), str(u.cwd), list(u.args) })
    f:free()
  end)
end)

describe("lunette.upstreams", function()
  local function read(text)
    support.write("mcp.json", text)
    local f, why = support.load "\nlunette.upstreams 'mcp.json'"
    if not f then return nil, why end
    local out = {}
    for i = 0, tonumber(f.decls.n_servers) - 1 do
      local u = f.decls.servers[i]
      local row = { str(u.name), str(u.command) or str(u.url) }
      for _, part in ipairs { list(u.args), list(u.env), list(u.headers) } do
        if #part > 0 then row[#row + 1] = table.concat(part, " ") end
      end
      if u.cwd ~= nil then row[#row + 1] = str(u.cwd) end
      row.transport = tonumber(u.transport) > 0 and tonumber(u.transport) or nil
      out[i + 1] = row
    end
    f:free()
    return out
  end

  it("reads what Claude Desktop and Cursor write, in the file's order", function()
    assert.same({
      { "zeta", "npx", "-y x", "A=1 B=two", "/srv" },
      { "alpha", "https://h/mcp", "Authorization: Bearer t", transport = 1 },
      { "old", "http://h/sse", transport = 2 },
    }, (read [[{"mcpServers":{
      "zeta":{"command":"npx","args":["-y","x"],"env":{"B":"two","A":"1"},"cwd":"/srv","alwaysAllow":["a"],"timeout":60},
      "alpha":{"url":"https://h/mcp","headers":{"Authorization":"Bearer t"},"description":"d"},
      "old":{"type":"sse","url":"http://h/sse"}}}]]))
  end)

  it("reads what VS Code writes: servers, types, comments and last commas", function()
    assert.same({
      { "a", "c", "// no comment" },
      { "b", "http://h/mcp", transport = 1 },
      { "c", "http://h/2", transport = 1 },
    }, (read [[{ // VS Code's
      "inputs": [ /* none, */ ],
      "servers": {
        "a": { "type": "stdio", "command": "c", "args": [ "// no comment", ], }, // the first
        "b": { "type": "http", "url": "http://h/mcp" },
        "c": { "type": "streamable-http", "url": "http://h/2", },
      },
    }]]))
  end)

  it("passes over what is disabled, and makes names fit", function()
    assert.same({ { "My-Server", "a" }, { "My-Server-2", "b" }, { "server", "c" } }, (read
      [[{"mcpServers":{"My Server":{"command":"a"},"off":{"command":"x","disabled":true},
        "My/Server":{"command":"b"},"é":{"command":"c","disabled":false}}}]]))
  end)

  it("expands variables", function()
    local home = os.getenv "HOME"
    assert.same({ { "a", home .. "/x", home .. " none lit$HOME $ ${", "E=" .. home .. "-" .. home } }, (read [[{"mcpServers":{"a":{
      "command":"${HOME}/x","args":["${env:HOME}","${SPEC_NO_SUCH_VARIABLE:-none}","lit$HOME","$","${"],"env":{"E":"${userHome}-${HOME:-x}"}}}}]]))
  end)

  it("says what is wrong, with file and key", function()
    for text, expected in pairs {
      ['{"mcpServers":{"a":{"command":"${SPEC_NO_SUCH_VARIABLE}"}}}'] =
        "mcp.json: mcpServers.a: command: the environment has no SPEC_NO_SUCH_VARIABLE (${SPEC_NO_SUCH_VARIABLE:-default} does without)",
      ['{"mcpServers":{"a":{"command":"x","env":{"B":"${input:key}"}}}}'] = "mcp.json: mcpServers.a: env.B: ${input:key} is nothing that can be expanded here",
      ['{"mcpServers":{"a":{"command":"x","args":["${x y}"]}}}'] = "mcpServers.a: args[1]: ${x y} is nothing",
      ['{"mcpServers":{"a":{}}}'] = "mcp.json: mcpServers.a: has neither command nor url",
      ['{"mcpServers":{"a":5}}'] = "mcp.json: mcpServers.a: must be an object, not 5",
      ['{"servers":{"a":{"command":["x"]}}}'] = "mcp.json: servers.a: command must be a string, not a table",
      ['{"mcpServers":{"a":{"command":"x","args":"y"}}}'] = 'mcpServers.a: args must be a list of strings, not "y"',
      ['{"mcpServers":{"a":{"url":"ftp://x"}}}'] = "mcpServers.a: url must be http://…",
      ['{"mcpServers":{"a":{"type":"websocket","url":"http://x"}}}'] = 'mcpServers.a: type must be stdio, http or sse, not "websocket"',
      ['{"mcpServers":{"a":{"type":"sse","command":"x"}}}'] = 'mcpServers.a: type "sse" goes with url',
      ['{"mcpServers":[]}'] = "mcp.json: mcpServers must be an object of servers by name, not a list",
      ['{"servers":[]}'] = "mcp.json: servers must be an object of servers by name, not a list",
      ['{"servers":[{"command":"x"}]}'] = "mcp.json: servers must be an object of servers by name, not a list",
      ['{"context_servers":[]}'] = "mcp.json: context_servers must be an object of servers by name, not a list",
      ['{"mcpServers":"x"}'] = 'mcp.json: mcpServers must be an object of servers by name, not "x"',
      ['{"mcp":{}}'] = "mcp.json: no mcpServers (or servers) object in it",
      ["[]"] = "mcp.json: no mcpServers (or servers) object in it",
      ['{"mcpServers":{"a":{"command":"x",,}}}'] = "mcp.json:1: not JSON (a missing comma or quote?) at }}}",
      ['{"mcpServers":\n{"a":\n{"command":"x" // no comma\n"args":[]}}}'] = 'mcp.json:4: not JSON (a missing comma or quote?) at "args":[]}}}',
      ['{"mcpServers":{\n  "a": { "command": "x }\n}}'] = 'mcp.json:2: not JSON (a missing comma or quote?) at "a": { "command": "x }',
      ['{"mcpServers":{\n'] = "mcp.json:2: not JSON: the file ends too early",
      [""] = "mcp.json is empty",
      ['{"mcpServer":{}}'] = "no mcpServers (or servers) object in it; did you mean mcpServers instead of mcpServer?",
    } do
      local _, why = read(text)
      assert.truthy(why and why:find(expected, 1, true), tostring(why) .. "\nhas no\n" .. expected)
      assert.truthy(why:find("^[^\n]-policy.lua:2: "), why)
    end
  end)

  it("says so when there is no file", function()
    fails("\nlunette.upstreams '/nonexistent/mcp.json'", "policy.lua:2: /nonexistent/mcp.json can't be read: No such file")
    fails("\nlunette.upstreams '/'", "policy.lua:2: / can't be read")
    fails("\nlunette.upstreams()", "policy.lua:2: lunette.upstreams: path must be a string")
  end)

  it("takes an object without servers, and null for none", function()
    assert.same({}, (read '{"mcpServers":{}}'))
    assert.same({ { "a", "x" } }, (read '{"mcpServers":null,"servers":{"a":{"command":"x"}}}'))
  end)

  it("takes options for all of a file's servers, before what the file says", function()
    support.write("mcp.json", [[{"servers":{"a":{"command":"x","timeout":7},"b":{"url":"http://h/mcp"}}}]])
    local f = assert(support.load [[lunette.upstreams("mcp.json",
      { session = "shared", prefix = "p", timeout = 5, optional = true, inherit_env = { "SPEC_*" }, max_children = 3,
        unlisted = true, start = "eager", idle_timeout = 9 })]])
    for i = 0, 1 do
      local u = f.decls.servers[i]
      assert.same({ 1, 2, "p", 5000, true, true, true, 9000 }, { tonumber(u.session), tonumber(u.prefix_mode), str(u.prefix),
        tonumber(u.timeout_ms), u.optional, u.unlisted, u.eager, tonumber(u.idle_ms) })
    end
    -- The file's kind lets its programs inherit everything; the policy has the last word.
    assert.truthy(str(f.decls.servers[0].inherit):find "\nSPEC_%*$")
    f:free()
    f = assert(support.load 'lunette.upstreams("mcp.json", { prefix = false })')
    assert.equal(1, tonumber(f.decls.servers[1].prefix_mode))
    assert.equal(7000, tonumber(f.decls.servers[0].timeout_ms))
    f:free()
  end)

  it("says which of its options are wrong, whatever the file has", function()
    support.write("mcp.json", '{"mcpServers":{}}')
    for options, expected in pairs {
      ["5"] = "options must be a table, not 5",
      ["{ sesion = 'shared' }"] = "unknown option sesion; did you mean session?",
      ["{ session = 'all' }"] = 'session must be "client" or "shared" or "request", not "all"',
      ["{ prefix = 'a b' }"] = "prefix must be made of letters",
      ["{ timeout = 0 }"] = "timeout must be a number of seconds above 0, not 0",
      ["{ optional = 1 }"] = "optional must be true or false, not 1",
      ["{ inherit_env = 'A' }"] = "inherit_env must be true, false or a list of globs",
      ["{ command = 'x' }"] = "command is of one server, not for all of a file",
      ["{ headers = {} }"] = "headers is of one server, not for all of a file",
    } do
      fails("\nlunette.upstreams('mcp.json', " .. options .. ")", "policy.lua:2: lunette.upstreams: " .. expected)
    end
  end)

  it("tells of two servers of one name, of which the last counts", function()
    support.write("mcp.json", '{"mcpServers":{},\n"mcpServers":{"a":{"command":"x"},\n"b":{"command":"y"},\n"\\u0061":{"command":"z"}}}')
    local f = assert(support.load "lunette.upstreams 'mcp.json'")
    assert.equal(2, tonumber(f.decls.n_servers))
    assert.equal("z", str(f.decls.servers[0].command))
    local log = f:log()
    for _, text in ipairs { "mcp.json:4: ", "mcpServers.a: two servers of this name: the one at ", "mcp.json:2 is passed over\n",
      "mcp.json:2: mcpServers: there twice: the one at ", "mcp.json:1 is passed over\n" } do
      assert.truthy(log:find(text, 1, true), log .. "\nhas no\n" .. text)
    end
    f:free()
  end)

  it("gives the servers by the file's names", function()
    support.write("mcp.json", '{"mcpServers":{"My Server":{"command":"a"}}}')
    local f = assert(support.load "local s = lunette.upstreams 'mcp.json' assert(s['My Server'].name == 'My-Server')")
    f:free()
  end)
end)
