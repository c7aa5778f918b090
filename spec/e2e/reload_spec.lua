-- Reload: what makes the policy change, and what a policy that can't be had leaves as it is.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local reload = require "spec.support.reload"

local uv = loop.uv
local changed = reload.changed
local kept_text = reload.kept_text
local server = reload.server
local says = reload.says
local version = reload.version
local tool_names = reload.tool_names
local replace = reload.replace
local start = reload.start

describe("a reload that fails", function()
  after_each(lunette.finish)

  for text, said in pairs {
    ["\nlunette.tools.hidee 'x'"] = ":2: lunette.tools has no hidee; did you mean hide%?$",
    ["\nlocal x = = 1"] = ":2: unexpected symbol near '='$",
    ["\nlocal x = nil + 1"] = ":2: attempt to perform arithmetic on a nil value$",
    ["\nlocal function f() local x = nil + 1 end\nf()"] = ":2: attempt to perform arithmetic on a nil value ← /[^ ]*:3: in main chunk$",
  } do
    it("is told in a line with each place once: " .. text:sub(2), function()
      local host = start(says "one")
      host:reload(text, kept_text)
      local line = host:complaint()
      assert.truthy(line:find(said), line)
      assert.is_nil(line:find("traceback", 1, true), line)
    end)
  end
end)

describe("a reload comes when", function()
  after_each(lunette.finish)

  local function one(text, path)
    local host = start(text, { watch = true, path = path })
    return host, host:client()
  end

  it("the file is saved in place", function()
    local host, client = one(says "one")
    for _, word in ipairs { "two", "three", "four" } do
      lunette.policy(says(word), host.path)
      client:expect(changed.tools)
      assert.equal(word, version(client))
    end
  end)

  it("the file is replaced by another", function()
    local host, client = one(says "one")
    for _, word in ipairs { "two", "three", "four" } do
      replace(host.path, 'local lunette = require "lunette"; ' .. says(word))
      client:expect(changed.tools)
      assert.equal(word, version(client))
    end
  end)

  it("the file is moved away and written anew, as some editors do", function()
    local host, client = one(says "one")
    for _, word in ipairs { "two", "three" } do
      assert(uv.fs_rename(host.path, host.path .. "~"))
      lunette.policy(says(word), host.path)
      client:expect(changed.tools)
      assert.equal(word, version(client))
    end
    assert.equal(0, host:reloads(kept_text), host.process.err:all())
  end)

  it("a symbolic link to its directory is swapped, again and again", function()
    local dir = loop.tempdir()
    for i = 1, 4 do
      assert(uv.fs_mkdir(dir .. "/v" .. i, 493))
      loop.write_file(dir .. "/v" .. i .. "/words.lua", ("return 'v%d'"):format(i))
      lunette.policy("local word = require 'words'\n" .. says "x":gsub("'x'", "word"):gsub('"x"', "word"),
        dir .. "/v" .. i .. "/policy.lua")
    end
    assert(uv.fs_symlink("v1", dir .. "/current"))
    local host = start(nil, { watch = true, path = dir .. "/current/policy.lua" })
    local client = host:client()
    assert.equal("v1", version(client))
    for i = 2, 4 do
      assert(uv.fs_symlink("v" .. i, dir .. "/next"))
      assert(uv.fs_rename(dir .. "/next", dir .. "/current"))
      client:expect(changed.tools)
      assert.equal("v" .. i, version(client))
    end
    -- Behind the new link the file itself is watched.
    loop.write_file(dir .. "/v4/words.lua", "return 'edited'")
    client:expect(changed.tools)
    assert.equal("edited", version(client))
  end)

  it("any link on the way is swapped, before the slow poll would see it", function()
    -- policy.lua → data/policy.lua, data → v1: how orchestrators mount configuration.
    local dir, mount = loop.tempdir(), loop.tempdir()
    for i = 1, 2 do
      assert(uv.fs_mkdir(dir .. "/v" .. i, 493))
      lunette.policy(says("v" .. i), dir .. "/v" .. i .. "/policy.lua")
    end
    assert(uv.fs_symlink("v1", dir .. "/data"))
    assert(uv.fs_symlink(dir .. "/data/policy.lua", mount .. "/policy.lua"))
    local host = start(nil, { watch = true, path = mount .. "/policy.lua" })
    local client = host:client()
    assert(uv.fs_symlink("v2", dir .. "/next"))
    assert(uv.fs_rename(dir .. "/next", dir .. "/data"))
    local began = uv.hrtime()
    client:expect(changed.tools)
    local ms = (uv.hrtime() - began) / 1e6
    assert.equal("v2", version(client))
    if loop.slow == 1 and not lunette.sanitized then assert.is_true(ms < 1500, ms .. " ms: only the poll saw it") end
  end)

  it("a module that it requires changes", function()
    local dir = loop.tempdir()
    loop.write_file(dir .. "/words.lua", "return 'one'")
    local host = start("local word = require 'words'; lunette.tools.add { name = 'version', description = word, "
      .. "inputSchema = { type = 'object' }, handler = function() return word end }", { watch = true, path = dir .. "/policy.lua" })
    local client = host:client()
    assert.equal("one", version(client))
    loop.write_file(dir .. "/words.lua", "return 'two'")
    client:expect(changed.tools)
    assert.equal("two", version(client))
    replace(dir .. "/words.lua", "return 'three'")
    client:expect(changed.tools)
    assert.equal("three", version(client))
  end)

  it("a module changes that only the policy of the last reload requires", function()
    local host, client = one(says "one")
    local dir = host.path:match "^(.*)/"
    loop.write_file(dir .. "/fresh.lua", "return 'fresh'")
    lunette.policy("local word = require 'fresh'; lunette.tools.add { name = 'version', description = word, "
      .. "inputSchema = { type = 'object' }, handler = function() return word end }", host.path)
    client:expect(changed.tools)
    loop.write_file(dir .. "/fresh.lua", "return 'fresher'")
    client:expect(changed.tools)
    assert.equal("fresher", version(client))
  end)

  it("an mcpServers file that it reads changes", function()
    local a, b = server "a", server "b"
    local file = loop.tempdir() .. "/mcp.json"
    local function write(...)
      local entries = {}
      for i, up in ipairs { ... } do
        local command = up:command()
        entries[i] = ("%q:%s"):format(up.name, json.encode { command = command[1], args = { unpack(command, 2) } })
      end
      loop.write_file(file, ('{"mcpServers":{%s}}'):format(table.concat(entries, ",")))
    end
    write(a)
    local host = start(("lunette.upstreams %q"):format(file), { watch = true })
    local client = host:client()
    assert.same({ "work" }, tool_names(client))
    write(a, b)
    loop.wait(function()
      local names = tool_names(client)
      return #names == 2 and names[1] == "a_work" and names[2] == "b_work"
    end, "the tools of both servers")
    assert.equal(1, #a.sessions)
  end)

  it("the mcpServers file that it was started with changes", function()
    local a = server "a"
    local command = a:command()
    local path = loop.tempdir() .. "/mcp.json"
    local function write(name)
      loop.write_file(path, ('{"mcpServers":{%q:%s}}'):format(name, json.encode { command = command[1],
        args = { unpack(command, 2) } }))
    end
    write "a"
    local host = start(nil, { watch = true, path = path })
    local client = host:client()
    host:after(function() write "b" end)
    a:session(2)
    assert.same({ "work" }, tool_names(client))
  end)

  it("SIGHUP says so", function()
    local host = start(says "one")
    local client = host:client()
    host:reload(says "two")
    client:expect(changed.tools)
    assert.equal("two", version(client))
  end)

  it("--no-watch leaves it to SIGHUP", function()
    local host = start(says "one")
    local client = host:client()
    lunette.policy(says "two", host.path)
    assert.falsy(loop.within(400, function() return host:reloads() > 0 end))
    assert.equal("one", version(client))
    host:hup()
    assert.equal("two", version(client))
    assert.equal(1, host:reloads())
  end)

  it("nothing was touched: never", function()
    local host = start(says "one", { watch = true })
    local client = host:client()
    local dir = host.path:match "^(.*)/"
    -- A neighbour's changes are no concern of the policy's; a reload after them tells that they were seen.
    for i = 1, 5 do loop.write_file(dir .. "/other.lua", "return " .. i) end
    assert.falsy(loop.within(200, function() return host:reloads() > 0 end))
    host:after(function() lunette.policy(says "two", host.path) end)
    client:expect(changed.tools)
    assert.equal(1, host:reloads())
  end)

  it("the file is whole: a truncated one isn't an empty policy", function()
    local host, client = one(says "one")
    local quick
    for attempt = 1, 20 do
      local began = uv.hrtime()
      local file = assert(io.open(host.path, "wb")) -- truncated now
      loop.sleep(60)
      file:write('local lunette = require "lunette"; ')
      file:flush() -- half of it: that would be an empty policy too
      file:write(says("word" .. attempt))
      file:close()
      -- Only what a writer does in good time is promised, and this machine may be slow.
      quick = (uv.hrtime() - began) / 1e6 < 150
      if quick then break end
      host:after(function() end)
    end
    assert.is_true(quick, "this machine is too slow to tell")
    client:expect(changed.tools)
    loop.wait(function() return version(client):find "word" end, "the written policy")
    assert.same({ "version" }, tool_names(client))
    assert.is_nil(client:maybe(changed.tools, 300), "told twice: an empty policy was in force between")
    assert.equal(1, host:reloads())
  end)

  it("SIGHUP says so while the file is being written: not before it is whole", function()
    local host, client = one(says "one")
    local file = assert(io.open(host.path, "wb")) -- truncated now
    host.process:kill "sighup"
    loop.sleep(60)
    file:write('local lunette = require "lunette"; ' .. says "whole")
    file:close()
    client:expect(changed.tools)
    assert.same({ "version" }, tool_names(client))
    assert.equal("whole", version(client))
    assert.is_nil(client:maybe(changed.tools, 300), "told twice: an empty policy was in force between")
  end)

  it("the file changes again while the last change is being read", function()
    -- A policy that saves its own next version as it runs: nothing may be lost between reading and watching.
    local host, client = one(says "one")
    local second = 'local lunette = require "lunette"; ' .. says "second"
    lunette.policy(says "first" .. ("do local f = io.open(%q, 'wb') f:write(%q) f:close() end"):format(host.path, second),
      host.path)
    loop.wait(function() return version(client) == "second" end, "the version that was saved last", 10000)
  end)

  it("what made the last one fail is mended, in a module that only the failed policy knows", function()
    local host, client = one(says "one")
    local dir = host.path:match "^(.*)/"
    loop.write_file(dir .. "/broken.lua", "return = 1")
    host:after(function()
      lunette.policy("local word = require 'broken'; lunette.tools.add { name = 'version', description = word, "
        .. "inputSchema = { type = 'object' }, handler = function() return word end }", host.path)
    end, kept_text)
    assert.truthy(host:complaint():find("broken.lua:1", 1, true), host:complaint())
    loop.write_file(dir .. "/broken.lua", "return 'mended'")
    client:expect(changed.tools)
    assert.equal("mended", version(client))
  end)

  it("a module is there at last that the failed policy looked for", function()
    local host, client = one(says "one")
    local dir = host.path:match "^(.*)/"
    host:after(function()
      lunette.policy("local word = require 'to_come'; lunette.tools.add { name = 'version', description = word, "
        .. "inputSchema = { type = 'object' }, handler = function() return word end }", host.path)
    end, kept_text)
    loop.write_file(dir .. "/to_come.lua", "return 'came'")
    client:expect(changed.tools)
    assert.equal("came", version(client))
  end)

  it("what a policy writes over its own file is something else: with the same it isn't read forever", function()
    local host, client = one(says "one")
    -- Each load writes the file that is being loaded.
    local rewrites = ("do local f = io.open(%q) local t = f:read '*a' f:close() f = io.open(%q, 'wb') f:write(t) f:close() end\n")
      :format(host.path, host.path)
    host:after(function() lunette.policy(says "two" .. rewrites, host.path) end)
    client:expect(changed.tools)
    assert.falsy(loop.within(600, function() return host:reloads() > 1 end))
    host:after(function() lunette.policy(says "three" .. rewrites, host.path) end)
    client:expect(changed.tools)
    assert.equal("three", version(client))
  end)

  it("the file changes while Lunette starts", function()
    -- The policy changes its file as it is read for the first time, before anything is watched.
    local path = loop.tempdir() .. "/policy.lua"
    local second = 'local lunette = require "lunette"; ' .. says "second"
    local host, client = one(says "first" .. ("do local f = io.open(%q, 'wb') f:write(%q) f:close() end"):format(path, second),
      path)
    loop.wait(function() return version(client) == "second" end, "the version that was saved last", 10000)
    assert.equal(1, host:reloads())
  end)
end)

describe("a policy that can't be had leaves the old in force and says where", function()
  after_each(lunette.finish)

  local cases = {
    { "broken Lua", "\n\nthis is not Lua", "policy%.lua:3:" },
    { "an error as it runs", "\nlocal t = nil\nlocal x = t.field", "policy%.lua:3:" },
    { "an error of its own", "\nerror 'not today'", "policy%.lua:2: not today" },
    { "an unknown option", "\n\nlunette.configure { no_such_option = 1 }", "policy%.lua:3:" },
    { "a URL that is none", "\nlunette.upstream('docs', { url = 'nonsense' })", "policy%.lua:2" },
    { "a module that is missing", "\nrequire 'no_such_module_here'", "policy%.lua:2:" },
    { "a loop without end", "\nwhile true do end", "policy%.lua:2:" },
  }
  for _, case in ipairs(cases) do
    it("after " .. case[1], function()
      local up = server "up"
      local text = lunette.bare(up) .. "\n" .. says "old"
      local host = start(text)
      local client = host:client()
      local before = process.descriptors(host.process.pid)
      lunette.policy(case[2], host.path)
      host.process:kill "sighup"
      loop.wait(function() return host:reloads(kept_text) > 0 end, kept_text, 30000)
      assert.truthy(host:complaint():find(case[3]), host:complaint())
      assert.equal("old", version(client))
      assert.equal('"up"', json.at(client:result("tools/call", '{"name":"work"}'), "by"))
      assert.equal(0, host:reloads())
      assert.equal(before, process.descriptors(host.process.pid))
      host:reload(lunette.bare(up) .. "\n" .. says "new")
      assert.equal("new", version(client))
      assert.equal(1, #up.sessions, "the server was never let go")
      client:expect(changed.tools)
      assert.is_nil(client:maybe(changed.tools, 1), "the failure was told of")
    end)
  end

  it("after a rule that can't hold on what its servers offer, whoever has asked for it so far", function()
    local up = server("up", '[{"name":"work","inputSchema":{"type":"object","properties":{"a":{}},"required":["a"]}}]')
    local bare = lunette.bare(up) .. "\n" .. says "old"
    local host = start(bare)
    -- One has listed and gone; one has called, which needs the list, but never asked for it.
    local client = host:client { unlisted = true }
    client:result("tools/call", '{"name":"work","arguments":{"a":1}}')
    for _, rule in ipairs {
      "lunette.tools.transform('work', { arguments = { b = { hide = true } } })",
      "lunette.tools.transform('work', { arguments = { a = { hide = true } } })",
      "lunette.tools.filter(function(tool) return tool.nothing.at_all end)",
    } do
      local before = host:reloads(kept_text)
      host:reload(lunette.bare(up) .. "\n" .. says "new" .. "\n" .. rule, kept_text)
      assert.equal(before + 1, host:reloads(kept_text))
      assert.truthy(host:complaint():find "policy%.lua:4", host:complaint())
      assert.equal("old", version(client))
      client:result("tools/call", '{"name":"work","arguments":{"a":1}}')
    end
    assert.equal(0, host:reloads())
    host:reload(lunette.bare(up) .. "\n" .. says "new")
    assert.equal("new", version(client))
  end)

  it("after a rule that can't hold on what servers were known to offer when the last client left", function()
    local with_a = '[{"name":"work","inputSchema":{"type":"object","properties":{"a":{}},"required":["a"]}}]'
    for _, session in ipairs { "client", "shared" } do
      local one, two = server("one", with_a), server("two", with_a:gsub('"a"', '"b"'))
      local function policy(word, rule)
        return ("lunette.upstream('one', %s) lunette.upstream('two', %s)\n"):format(one:lua(("session = %q"):format(session)), two:lua())
          .. says(word) .. (rule or "")
      end
      local host = start(policy "old")
      -- Before anybody came only what the policy has itself is known.
      host:reload(policy("new", "lunette.tools.transform('version', { arguments = { a = { hide = true } } })"), kept_text)
      local client = host:client()
      assert.same({ "version", "one_work", "two_work" }, tool_names(client))
      client:close()
      for _, rule in ipairs {
        "lunette.tools.transform('version', { arguments = { a = { hide = true } } })",
        "lunette.tools.transform('one_work', { arguments = { b = { hide = true } } })",
        "lunette.tools.transform('two_work', { arguments = { b = { hide = true } } })",
        "lunette.tools.filter(function(tool) return tool.nothing.at_all end)",
      } do
        local before = host:reloads(kept_text)
        host:reload(policy("new", rule), kept_text)
        assert.equal(before + 1, host:reloads(kept_text))
        assert.truthy(host:complaint():find "policy%.lua:3", host:complaint())
      end
      assert.equal(0, host:reloads())
      -- What asks who the client is can't be told of nobody, nor what comes after it.
      host:reload(policy("new", "lunette.tools.filter(function(tool, ctx) return ctx.headers.x.y end) "
        .. "lunette.tools.transform('one_work', { arguments = { b = { hide = true } } })"))
      host:reload(policy("new", "lunette.tools.transform('one_work', { arguments = { a = { hide = true, default = 1 } } })"))
      client = host:client()
      assert.equal("new", version(client))
      lunette.finish()
    end
  end)

  it("also when its file has gone, and takes the next", function()
    local host = start(says "old", { watch = true })
    local client = host:client()
    host:after(function() assert(uv.fs_unlink(host.path)) end, kept_text)
    assert.truthy(host:complaint():find("policy.lua", 1, true), host:complaint())
    assert.equal("old", version(client))
    lunette.policy(says "new", host.path)
    client:expect(changed.tools)
    assert.equal("new", version(client))
  end)

  it("while a timer of the failed one never runs", function()
    local host = start(says "old")
    local client = host:client()
    host:reload("lunette.every(0.01, function() lunette.shared.incr 'ghost' end)\n"
      .. "lunette.upstream('docs', { url = 'nonsense' })", kept_text)
    host:reload("lunette.tools.add { name = 'version', description = 'd', inputSchema = { type = 'object' }, "
      .. "handler = function() lunette.sleep(0.1); return tostring(lunette.shared.get 'ghost') end }")
    assert.equal("nil", version(client))
  end)
end)

describe("ctx.session.state across a reload", function()
  after_each(lunette.finish)

  local function policy(word)
    return says(word) .. [[
      lunette.tools.add { name = "secret", handler = function() return "s" end }
      lunette.tools.filter(function(tool, ctx) return tool.name ~= "secret" or ctx.session.state.open end)
      lunette.tools.add { name = "keep", handler = function(args, ctx)
        local state = ctx.session.state
        state.word, state.open = args.word, args.open
        state.deep = { list = { 1, 2.5, "x", { a = lunette.null } }, none = lunette.array {}, yes = true }
        state.fn, state.deep.fn, state[1], state[print], state.nan = print, print, "first", "p", 0 / 0
        state.deep.again = state.deep
        lunette.notify_changed "tools"
        return "ok" end }
      lunette.tools.add { name = "tell", handler = function(args, ctx)
        local state = ctx.session.state
        local deep = state.deep or {}
        return lunette.json.encode { state.word or "none", deep.list or 0, deep.none or 0, deep.yes or false,
          tostring(state.fn), tostring(deep.fn), tostring(deep.again), tostring(state.nan) } end }]]
  end

  local function tell(client) return json.value(client:result("tools/call", '{"name":"tell"}'), "content", 1, "text") end
  local function keep(client, args) client:result("tools/call", '{"name":"keep","arguments":' .. args .. "}") end

  it("keeps what JSON can hold, each session's for itself", function()
    local host = start(policy "one")
    local a, b, c = host:client(), host:client(), host:client()
    keep(a, '{"word":"of a","open":true}')
    keep(b, '{"word":"of b"}')
    local kept = '["%s",[1,2.5,"x",{"a":null}],[],true,"nil","nil","nil","nil"]'
    for _, word in ipairs { "two", "three" } do
      host:reload(policy(word))
      assert.equal(word, version(a))
      assert.equal(kept:format "of a", tell(a))
      assert.equal(kept:format "of b", tell(b))
      assert.equal('["none",0,0,false,"nil","nil","nil","nil"]', tell(c))
      assert.truthy(table.concat(tool_names(a), " "):find("secret", 1, true))
      assert.falsy(table.concat(tool_names(b), " "):find("secret", 1, true))
    end
    host:reload("error 'x'", kept_text)
    assert.equal(kept:format "of a", tell(a))
  end)

  it("is there for the rules that decide what the client is shown, who hears of no change then", function()
    local host = start(policy "one")
    local client = host:client()
    keep(client, '{"word":"x","open":true}')
    client:expect(changed.tools)
    tool_names(client)
    host:reload(policy "one" .. " -- the same")
    host:reload(policy "two")
    client:expect(changed.tools)
    assert.is_nil(client:maybe(changed.tools, 20))
  end)

  it("that is too large is lost with a warning, and nobody else's with it", function()
    local host = start(policy "one" .. [[
      lunette.tools.add { name = "fill", handler = function(args, ctx) ctx.session.state.big = ("x"):rep(2 ^ 24 + 1) return "ok" end }]])
    local a, b = host:client(), host:client()
    a:result("tools/call", '{"name":"fill"}')
    keep(b, '{"word":"of b"}')
    host:reload(policy "two")
    assert.truthy(tell(a):find('^%["none"'))
    assert.truthy(tell(b):find('^%["of b"'))
    host.process:wait_stderr "ctx.session.state of a client is lost with this reload: "
  end)
end)
