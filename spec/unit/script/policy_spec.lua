-- Loading: all or nothing, with file and line; what a policy declared as the proxy sees it.
local build = require "spec.support.build"
local support = require "spec.unit.script.support"

local ffi = support.ffi

setup(support.setup)
teardown(support.teardown)

local function str(p) return p ~= nil and ffi.string(p) or nil end
local function text(s) return s.p ~= nil and ffi.string(s.p, s.n) or nil end
local function list(p)
  if p == nil then return nil end
  local out, i = {}, 0
  while p[i] ~= nil do
    out[i + 1] = ffi.string(p[i])
    i = i + 1
  end
  return out
end

describe("ln_policy_load", function()
  local f

  after_each(function()
    if f then f:free() end
    f = nil
  end)

  local function load(policy, options)
    f = assert(support.load(policy, options))
    return f.decls
  end

  local function fails(policy, expected, options)
    local loaded, why = support.load(policy, options)
    if loaded then loaded:free() end
    assert.is_nil(loaded, "loaded: " .. policy)
    assert.truthy(why:find(expected, 1, true), why .. "\nhas no\n" .. expected)
  end

  it("gives an empty policy nothing but settings", function()
    local d = load ""
    assert.same({ 0, 0, 0 }, { tonumber(d.n_servers), tonumber(d.n_hooks), tonumber(d.n_components) })
    local s = d.settings
    assert.same({ 2000, 60000, 1000, 5000, 1800000 }, {
      tonumber(s.start_timeout_ms), tonumber(s.request_timeout_ms), tonumber(s.hook_timeout_ms), tonumber(s.drain_timeout_ms),
      tonumber(s.session_timeout_ms) })
    assert.same({ 4194304, 8192, 1000, 128, 10000, 1024, 10000, 1000 }, { tonumber(s.max_message_bytes),
      tonumber(s.max_uri_bytes), s.max_templates, s.max_depth, s.max_sessions,
      s.max_in_flight, s.max_connections, s.page_size })
    for _, kind in ipairs { "tools", "resources", "resource_templates", "prompts" } do
      assert.is_false(f:has_rules(kind))
      assert.is_false(f:per_client(kind))
    end
  end)

  it("says what is wrong with file and line", function()
    fails("x = = 1", "policy.lua:1: unexpected symbol")
    fails("\n\nerror 'mine'", "policy.lua:3: mine")
    fails("\nlocal function f() local x = nil; return x.y end\nlocal z = f()", "policy.lua:2: attempt to index")
    fails("error { code = 5, message = 'm' }", "policy.lua:1: m")
    fails("error {}", "policy.lua:1: an error without a message (a table)")
    fails("error(nil)", "policy.lua:1: an error without a message (a nil)")
    fails("\nlunette.error(-1, 'as such')", "as such (lunette.error answers a request: while a policy loads use error)")
    fails("\nlunette.nonsense()", "policy.lua:2: lunette has no nonsense")
    fails("\nlunette.upstrem()", "policy.lua:2: lunette has no upstrem; did you mean upstream?")
    fails("\27LJ\2\2", "policy.lua:1: ")
  end)

  it("says so when there is no such file", function()
    local loaded, why = support.load("/nonexistent/policy.json", { kind = "json" })
    assert.is_nil(loaded)
    assert.truthy(why:find("/nonexistent/policy.json can't be read: No such file or directory", 1, true), why)
  end)

  it("refuses what waits while loading", function()
    for _, call in ipairs { "lunette.sleep(1)", "lunette.tools.list()", "lunette.tools.call('x')", "lunette.resources.read('x:y')",
      "lunette.prompts.get('x')" } do
      fails("\n" .. call, "policy.lua:2: this waits for an answer, which only a handler can do")
    end
  end)

  it("keeps stdout the protocol's, and the process alive", function()
    load "print('one', nil, { a = 1 }, lunette.null) io.write '' assert(io.stdout == io.stderr)"
    assert.truthy(f:log():find('info policy .-policy.lua:1: one nil {"a":1} null\n'), f:log())
    f:free()
    fails("os.exit(0)", "policy.lua:1: os.exit would end the proxy")
    f = nil
  end)

  it("logs at all levels with the place", function()
    load "\nlunette.log.debug 'd'\nlunette.log.info('i', 1)\nlunette.log.warn 'w'\nlunette.log.error { 'e' }"
    local log = f:log()
    for _, line in ipairs { "debug policy .-policy.lua:2: d", "info policy .-policy.lua:3: i 1", "warn policy .-policy.lua:4: w",
      'error policy .-policy.lua:5: %["e"%]' } do
      assert.truthy(log:find(line), log)
    end
  end)

  it("copies servers out", function()
    local d = load([[
local files = lunette.upstream("files", { command = "npx", args = { "-y", "x" }, env = { B = "2", A = 1 }, cwd = "/srv",
  session = "shared", prefix = "f", timeout = 1.5, optional = true })
assert(files.name == "files" and tostring(files) == "upstream files")
lunette.upstream("docs", { url = "https://docs.example.com/mcp", headers = { Authorization = "Bearer x", ["X-A"] = "b" },
  transport = "sse", prefix = false })
lunette.upstream("plain", { url = "http://localhost:1/mcp" })]])
    assert.equal(3, tonumber(d.n_servers))
    local u = d.servers[0]
    assert.same({ "files", "npx", "/srv", "f" }, { str(u.name), str(u.command), str(u.cwd), str(u.prefix) })
    assert.truthy(str(u.where):find("policy.lua:1$"))
    assert.same({ "-y", "x" }, list(u.args))
    assert.same({ "A=1", "B=2" }, list(u.env))
    assert.same({ 0, 1, 2, 1500, true }, { tonumber(u.transport), tonumber(u.session), tonumber(u.prefix_mode),
      tonumber(u.timeout_ms), u.optional })
    assert.is_true(u.url == nil and u.headers == nil)
    u = d.servers[1]
    assert.same({ "https://docs.example.com/mcp", 2, 0, 1 }, { str(u.url), tonumber(u.transport), tonumber(u.session),
      tonumber(u.prefix_mode) })
    assert.same({ "Authorization: Bearer x", "X-A: b" }, list(u.headers))
    assert.is_true(u.command == nil and u.args == nil and u.env == nil and not u.optional and u.timeout_ms == 0)
    u = d.servers[2]
    assert.same({ 1, 0, 0, nil }, { tonumber(u.transport), tonumber(u.session), tonumber(u.prefix_mode), str(u.prefix) })
  end)

  it("copies handlers out, in the order written among the rules", function()
    local d = load [[
lunette.on("tools/call", function() end)
lunette.tools.hide "x"
lunette.on("tools/*", "a_*", function() end)
lunette.on("resources/read", { name = "file:*", upstream = "fi*" }, function() end)
lunette.sampling(function() end) lunette.elicitation(function() end) lunette.roots(function() end)]]
    assert.equal(6, tonumber(d.n_hooks))
    local rows = {}
    for i = 0, 5 do
      local h = d.hooks[i]
      rows[i + 1] = { str(h.method), str(h.name) or "-", str(h.server) or "-", h.position, str(h.where):match ":(%d+)$" }
    end
    assert.same({
      { "tools/call", "-", "-", 1, "1" },
      { "tools/*", "a_*", "-", 3, "3" },
      { "resources/read", "file:*", "fi*", 4, "4" },
      { "sampling/createMessage", "-", "-", 5, "5" },
      { "elicitation/create", "-", "-", 6, "5" },
      { "roots/list", "-", "-", 7, "5" },
    }, rows)
    for method, yes in pairs { ["tools/call"] = true, ["tools/list"] = true, ["resources/read"] = true, ["prompts/get"] = false,
      ["sampling/createMessage"] = true, [""] = false } do
      assert.equal(yes, (f:handles(method)), method)
    end
  end)

  it("takes a handler of everything for one of nothing in particular", function()
    load('lunette.on("*", print) lunette.on("?oots/list", print) lunette.on("sampling/*", print)')
    assert.is_false((f:handles "roots/list"))
    assert.is_false((f:handles "elicitation/create"))
    assert.is_true((f:handles "sampling/createMessage"))
  end)

  it("copies components out", function()
    local d = load [[
lunette.tools.add { name = "now", description = "é\"", inputSchema = { type = "object", required = {}, properties = {} },
  handler = function() end }
lunette.tools.add { name = "bare", handler = function() end }
lunette.resources.add { uri = "note://today", name = "Today", mimeType = "text/plain", read = function() end }
lunette.resource_templates.add { uriTemplate = "note://{day}", name = "A day", read = function() end }
lunette.prompts.add { name = "review", arguments = { { name = "path", required = true } }, get = function() end }]]
    local rows = {}
    for i = 0, tonumber(d.n_components) - 1 do
      local c = d.components[i]
      rows[i + 1] = { tonumber(c.kind), text(c.key), text(c.json) }
    end
    assert.same({
      { 0, "now", [[{"description":"é\"","inputSchema":{"properties":{},"required":[],"type":"object"},"name":"now"}]] },
      { 0, "bare", '{"inputSchema":{"type":"object"},"name":"bare"}' },
      { 1, "note://today", '{"mimeType":"text/plain","name":"Today","uri":"note://today"}' },
      { 2, "note://{day}", '{"name":"A day","uriTemplate":"note://{day}"}' },
      { 3, "review", '{"arguments":[{"name":"path","required":true}],"name":"review"}' },
    }, rows)
  end)

  it("takes settings", function()
    local s = load([[lunette.configure { hook_timeout = 0.25, max_message_bytes = 2048 }
      lunette.configure { page_size = 0, hook_timeout = 0 }]]).settings
    assert.same({ 0, 2048, 0, 2000 }, { tonumber(s.hook_timeout_ms), tonumber(s.max_message_bytes), s.page_size,
      tonumber(s.start_timeout_ms) })
  end)

  it("finds modules beside the policy, and lists what it read", function()
    support.write("beside.lua", "return { word = 'found', n = (...) }")
    support.write("broken.lua", "\n\nx = = 1")
    os.execute("mkdir -p " .. support.dir() .. "/pack")
    support.write("pack/init.lua", "return 'pack'")
    support.write("pack/inner.lua", "return 'inner'")
    local d = load [[local m = require "beside" assert(m == require "beside" and m.word == "found" and m.n == "beside")
      assert(require "pack" == "pack" and require "pack.inner" == "inner")
      assert(require "cjson".encode { 1 } == "[1]")]]
    local files = {}
    for i = 0, tonumber(d.sources.n) - 1 do files[i + 1] = str(d.sources.at[i].path):sub(#support.dir() + 2) end
    assert.same({ "policy.lua", "beside.lua", "pack/init.lua", "pack/inner.lua" }, files)
    f:free()
    fails("\nlocal x = require 'broken'", "broken.lua:3: unexpected symbol")
    fails("\nlocal x = require 'no.where'",
      "policy.lua:2: module 'no.where' not found: neither no/where.lua nor no/where/init.lua beside the policy, nor one of the system's")
    fails("\nlocal x = require 'lunette.nowhere'", "policy.lua:2: Lunette has no module lunette.nowhere")
    fails("\nlocal x = require 'lunette.policy.readonly'", "did you mean lunette.policy.read_only?")
    fails("\nlocal x = require 'lunette.read_only'", "did you mean lunette.policy.read_only?")
    fails("package.loaders[#package.loaders + 1] = function(name) return '\\n\\tasked for ' .. name end\nrequire 'no.where'",
      "asked for no.where")
    f = nil
  end)

  it("looks for modules where the system has them, not where it was started", function()
    load [[for _, field in ipairs { "path", "cpath" } do
        assert(#package[field] > 10 and not (";" .. package[field]):find(";./", 1, true), package[field])
      end]]
  end)

  describe("told of a folder with its own modules", function()
    local development = build.development(os.getenv "LUNETTE_LIB" or "build/liblunette_spec.so")

    local function load_with_tree(source)
      ffi.C.setenv("LUNETTE_LUA", support.dir() .. "/tree", 1)
      local loaded, why = support.load(source)
      ffi.C.unsetenv "LUNETTE_LUA"
      return loaded, why
    end

    setup(function()
      ffi.cdef "int setenv(const char *, const char *, int); int unsetenv(const char *);"
    end)
    before_each(function()
      os.execute("mkdir -p " .. support.dir() .. "/tree/lunette/lib")
      support.write("tree/lunette/extra.lua", "return { where = debug.getinfo(1, 'S').source }")
      support.write("tree/lunette/lib/json.lua", "\nerror 'mine'")
    end)

    it("takes them from there in a development build", function()
      if not development then pending "a release build" end
      local _, why = load_with_tree ""
      assert.truthy(why:find("lunette/lib/json.lua:2: mine", 1, true), why)
      os.remove(support.dir() .. "/tree/lunette/lib/json.lua")
      local loaded, reason = load_with_tree "assert(require 'lunette.extra'.where == '=lunette/extra.lua')"
      f = assert(loaded, reason)
    end)

    it("keeps to those compiled in otherwise", function()
      if development then pending("a development build: " .. development) end
      f = assert(load_with_tree "assert(not pcall(require, 'lunette.extra'))")
    end)
  end)

  it("keeps the compiler off unless the policy says otherwise", function()
    load "assert(not jit.status())"
    f:free()
    fails("jit.on()", "policy.lua:1: jit.on would take the time limit off handlers")
    f = assert(support.load "lunette.configure { jit = true } lunette.on('x', function() return { on = jit.status() } end)")
    f:hook '{"jsonrpc":"2.0","id":1,"method":"x"}'
    f:run()
    assert.truthy(f:account():find '"on":true')
  end)

  it("gives the real lunette to a policy of that name", function()
    load("assert(lunette.tools and require 'lunette' == lunette)", { name = "lunette.lua" })
  end)

  it("keeps the whole name of a file however long it is", function()
    local name = ("long"):rep(30) .. ".lua"
    fails("\nlunette.configure {x = 1}", name .. ":2: lunette.configure: unknown option x", { name = name })
    fails("\nerror 'x'", name .. ":2: x", { name = name })
    fails("\nlocal a = nil + 1", name .. ":2: attempt to", { name = name })
    fails("\nx = = 1", name .. ":2: unexpected", { name = name })
  end)

  it("takes several lists of nothing", function()
    load "lunette.upstream('a', { command = 'x', args = {}, env = {} })"
    local u = f.decls.servers[0]
    assert.same({ {}, {} }, { list(u.args), list(u.env) })
  end)

  it("ends a policy that never ends loading", function()
    local none, why = support.load "\nwhile true do pcall(function() while true do end end) end"
    assert.is_nil(none)
    assert.truthy(why:find("policy.lua:2: ran for more than 10 s while the policy loads", 1, true), why)
  end)

  describe("of targets that are no Lua", function()
    it("a file of servers", function()
      local path = support.write("mcp.json", '{"mcpServers":{"z":{"command":"c","args":["a"]},"a":{"url":"http://h/mcp","headers":{"A":"b"}}}}')
      local d = load(path, { kind = "json" })
      assert.same({ "z", "a" }, { str(d.servers[0].name), str(d.servers[1].name) })
      assert.equal("command line", str(d.servers[0].where))
      assert.same({ "a" }, list(d.servers[0].args))
      assert.same({ "A: b" }, list(d.servers[1].headers))
      assert.equal(path, str(d.sources.at[0].path))
    end)

    it("a URL", function()
      local d = load("https://docs.example.com:8080/mcp?x=1", { kind = "url" })
      assert.same({ "docs.example.com-8080", "https://docs.example.com:8080/mcp?x=1" },
        { str(d.servers[0].name), str(d.servers[0].url) })
      f:free()
      f = nil
      local _, why = support.load("ftp://x", { kind = "url" })
      assert.truthy(why:find("url must be http://… or https://…", 1, true), why)
    end)

    it("a command, called after what it runs", function()
      for _, case in ipairs {
        { "/usr/bin/thing.py", {}, "thing" },
        { "npx", { "-y", "@scope/server-files@1.2", "/srv" }, "server-files" },
        { "node", { "--inspect", "dist/index.js" }, "index" },
        { "uv", { "run", "weather.py" }, "weather" },
        { "env", { "-i" }, "env" },
      } do
        local d = load(case[1], { kind = "command", args = case[2] })
        assert.same({ case[3], case[1], case[2] }, { str(d.servers[0].name), str(d.servers[0].command), list(d.servers[0].args) })
        f:free()
      end
      f = nil
    end)
  end)
end)
