-- Reload: what makes the policy change, what it changes, for whom, and what it leaves alone.
--
-- Where noticing files isn't the subject, policies are reloaded with SIGHUP and --no-watch, so that there
-- is one reload for each. "Nobody is told" is shown by a later reload that tells everybody: messages to
-- one client keep their order, so what didn't come before that one didn't come.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local uv = loop.uv
local done_text, kept_text = "a new policy is in force", "the old policy stays in force"
local changed = { tools = "notifications/tools/list_changed", resources = "notifications/resources/list_changed",
  prompts = "notifications/prompts/list_changed" }

local function count(text, what)
  local n, at = 0, 1
  while true do
    local _, to = text:find(what, at, true)
    if not to then return n end
    n, at = n + 1, to + 1
  end
end

local function server(name, tools)
  local up = upstream.new { name = name, tools = tools or '[{"name":"work","inputSchema":{"type":"object"}}]' }
  up:on("tools/call", function(req) req:reply(('{"content":[],"by":%s}'):format(json.quote(name))) end)
  return up
end

-- What a policy says of itself: a tool whose description, and so the list, and whose answer is `word`.
local function says(word)
  return ("lunette.tools.add { name = 'version', description = %q, inputSchema = { type = 'object' }, "
    .. "handler = function() return %q end }\n"):format(word, word)
end

local function version(client)
  return json.value(client:result("tools/call", '{"name":"version"}'), "content", 1, "text")
end

local function tool_names(client)
  return json.names(json.at(client:result("tools/list", "{}"), "tools"))
end

-- Puts a file in another's place, as editors do.
local function replace(path, text)
  loop.write_file(path .. ".new", text)
  assert(uv.fs_rename(path .. ".new", path))
end

-- What this version can't do yet, with the reason; it counts as soon as it can.
local function awaited(reason, fn)
  return function()
    if not pcall(fn) then pending(reason) end
  end
end

local Host = {}
Host.__index = Host

-- Lunette on HTTP with a policy that can be changed. options: watch (else SIGHUP is the only way), path,
-- targets, stdio (a client on stdio instead: host.stdio).
local function start(text, options)
  options = options or {}
  local self = setmetatable({ path = options.path or loop.tempdir() .. "/policy.lua" }, Host)
  if text then lunette.policy(text, self.path) end
  local settings = { targets = options.targets or { self.path }, flags = not options.watch and { "--no-watch" } or nil }
  if options.stdio then
    self.stdio = lunette.stdio(settings)
    self.process = self.stdio.process
  else
    local host = lunette.http(settings)
    self.process, self.new_client, self.port = host.process, host.client, host.port
  end
  return self
end

-- A client that listens and has listed its tools (options: those of initialize, headers, unlisted: it hasn't).
function Host:client(options)
  options = options or {}
  local client = self.new_client { headers = options.headers }
  client:initialize(options)
  client:listen()
  if not options.unlisted then tool_names(client) end
  return client
end

function Host:reloads(what)
  return count(self.process.err:all(), what or done_text)
end

-- Does `act` and waits for the reload that it brings: one that worked, or `what`.
function Host:after(act, what)
  local before = self:reloads(what)
  act()
  loop.wait(function() return self:reloads(what) > before end, what or done_text, 10000)
end

function Host:hup(what)
  self:after(function() self.process:kill "sighup" end, what)
end

function Host:reload(text, what)
  lunette.policy(text, self.path)
  self:hup(what)
end

-- The line of the log that says why the last reload failed.
function Host:complaint()
  local last
  for line in self.process.err:all():gmatch "[^\n]+" do
    if line:find(kept_text, 1, true) then last = line end
  end
  return last
end

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

  it("after a rule that can't be applied on what its servers offer, whoever has asked for it so far", function()
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

  it("after a rule that can't be applied on what servers were known to offer when the last client left", function()
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

describe("what is in flight finishes under its own policy", function()
  after_each(lunette.finish)

  -- The new policy's tool `go` lets the old one's handler go on.
  local waits = "lunette.on('tools/call', 'work', function(request, forward)\n"
    .. "  while not lunette.shared.get 'go' do lunette.sleep(0.01) end\n"
    .. "  local result = forward(request)\n  result.policy = 'old'\n  return result end)\n"
  local go = "lunette.tools.add { name = 'go', inputSchema = { type = 'object' }, handler = function() "
    .. "lunette.shared.set('go', true) return '' end }\n"
  local marks = "lunette.on('tools/call', 'work', function(request, forward) "
    .. "local result = forward(request) result.policy = 'new' return result end)\n"

  it("a handler that sleeps", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. waits)
    local client = host:client()
    local call = client:start("tools/call", '{"name":"work"}')
    host:reload(lunette.bare(up) .. "\n" .. marks .. go)
    assert.equal('"new"', json.at(client:result("tools/call", '{"name":"work"}'), "policy"))
    assert.is_nil(call:done(50), "it must wait")
    client:result("tools/call", '{"name":"go"}')
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
    assert.equal(2, up:count "tools/call")
    assert.equal(1, #up.sessions)
  end)

  it("a handler that sleeps through many reloads", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. waits)
    local client = host:client()
    local call = client:start("tools/call", '{"name":"work"}')
    for i = 1, 10 do host:reload(lunette.bare(up) .. "\n" .. marks .. go .. "-- " .. i) end
    client:result("tools/call", '{"name":"go"}')
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
  end)

  it("a call that waits for its server", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. marks:gsub("new", "old"))
    local client = host:client()
    local held
    up:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    host:reload(lunette.bare(up) .. "\n" .. marks)
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    assert.equal('"new"', json.at(client:result("tools/call", '{"name":"work"}'), "policy"))
    held:reply '{"content":[]}'
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
  end)

  it("a call by a name that the new policy has taken away", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\nlunette.tools.rename { work = 'labour' }")
    local client = host:client()
    local held
    up:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"labour"}')
    loop.wait(function() return held end, "the call")
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide '*'")
    assert.equal(-32602, client:failure("tools/call", '{"name":"labour"}').code)
    assert.equal(-32602, client:failure("tools/call", '{"name":"work"}').code)
    held:reply '{"content":[]}'
    assert.equal('{"content":[]}', json.at(call:wait(), "result"))
    assert.equal(1, up:count "tools/call")
  end)

  it("a sleeper whose server is declared no more still reaches it, and then it ends", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. waits)
    local client = host:client()
    local call = client:start("tools/call", '{"name":"work"}')
    host:reload(go)
    client:result("tools/call", '{"name":"go"}')
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
    loop.wait(function()
      for _, session in ipairs(up.sessions) do
        if not session.gone or process.alive(session.pid) then return false end
      end
      return true
    end, "the removed server's end")
  end)

  it("a server's question that the client has yet to answer", function()
    local up = server "up"
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
        req:reply('{"content":[],"said":' .. (answer.result or "null") .. "}")
      end)
    end)
    local host = start(lunette.bare(up))
    local client = host:client { capabilities = '{"sampling":{}}' }
    local call = client:start("tools/call", '{"name":"work"}')
    local question = client:expect "sampling/createMessage"
    host:reload(lunette.bare(up) .. "\n" .. says "new")
    client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":"hello"}}')
    assert.equal('"hello"', json.at(call:wait(), "result", "said", "content", "text"))
  end)
end)

describe("servers at a reload", function()
  after_each(lunette.finish)

  local resources = '[{"uri":"file:///a.txt","name":"a"}]'

  for _, kind in ipairs { "stdio", "http" } do
    it("that are declared as before keep process, session and state over " .. kind, function()
      local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]',
        resources = resources }
      up:on("tools/call", function(req)
        req.session.calls = (req.session.calls or 0) + 1
        req:reply(('{"content":[],"calls":%d}'):format(req.session.calls))
      end)
      if kind == "http" then up:http() end
      local host = start(lunette.bare(up) .. "\n" .. says "0")
      local clients = { host:client(), host:client() }
      for i = 1, 5 do
        for _, client in ipairs(clients) do
          assert.equal(tostring(i), json.at(client:result("tools/call", '{"name":"work"}'), "calls"))
        end
        host:reload(says(tostring(i)) .. lunette.bare(up))
      end
      assert.equal(2, #up.sessions)
      assert.equal(2, up:count "initialize")
      assert.equal(1, up:count "tools/list", "what is known needs no asking")
      for _, session in ipairs(up.sessions) do
        assert.is_nil(session.gone or session.eof or session.deleted)
        if kind == "stdio" then assert.is_true(process.alive(session.pid)) end
      end
    end)
  end

  it("keep subscriptions and log level", function()
    local up = upstream.new { name = "up", tools = "[]", resources = resources }
    local host = start(lunette.bare(up))
    local client = host:client()
    client:result("resources/subscribe", '{"uri":"file:///a.txt"}')
    client:result("logging/setLevel", '{"level":"warning"}')
    host:reload(lunette.bare(up) .. "\n" .. says "new")
    client:expect(changed.tools)
    up.sessions[1]:notify("notifications/resources/updated", '{"uri":"file:///a.txt"}')
    assert.equal('"file:///a.txt"', json.at(client:expect "notifications/resources/updated".params, "uri"))
    up.sessions[1]:notify("notifications/message", '{"level":"error","data":"x"}')
    client:expect "notifications/message"
    assert.equal(1, up:count "resources/subscribe")
    assert.equal(1, up:count "logging/setLevel")
    client:result("resources/unsubscribe", '{"uri":"file:///a.txt"}')
    assert.equal(1, up:count "resources/unsubscribe")
  end)

  it("that are started again for other arguments learn of subscriptions and log level", function()
    local up = upstream.new { name = "up", tools = "[]", resources = resources }
    local host = start(lunette.bare(up))
    local client = host:client()
    client:result("resources/subscribe", '{"uri":"file:///a.txt"}')
    client:result("logging/setLevel", '{"level":"warning"}')
    host:reload(("lunette.upstream('up', %s)"):format(up:lua "env = { OTHER = '1' }"))
    assert.equal('"warning"', up:session(2):wait "logging/setLevel":at "level")
    assert.equal('"file:///a.txt"', up:session(2):wait "resources/subscribe":at "uri")
    up.sessions[2]:notify("notifications/resources/updated", '{"uri":"file:///a.txt"}')
    client:expect "notifications/resources/updated"
  end)

  it("that are new start, and their tools appear with list_changed, prefixes with the second", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a))
    local client, idle = host:client(), host:client { unlisted = true }
    assert.same({ "work" }, tool_names(client))
    host:reload(lunette.bare(a, b))
    loop.wait(function()
      if not client:maybe(changed.tools, 5000) then return false end
      return #tool_names(client) == 2
    end, "both servers' tools", 10000)
    assert.same({ "a_work", "b_work" }, tool_names(client))
    assert.equal('"b"', json.at(client:result("tools/call", '{"name":"b_work"}'), "by"))
    assert.equal('"a"', json.at(client:result("tools/call", '{"name":"a_work"}'), "by"))
    assert.same({ "a_work", "b_work" }, tool_names(idle))
    -- And the prefix goes with the second server.
    host:reload(lunette.bare(a))
    assert.same({ "work" }, tool_names(client))
    assert.equal('"a"', json.at(client:result("tools/call", '{"name":"work"}'), "by"))
    loop.wait(function()
      for _, session in ipairs(b.sessions) do
        if process.alive(session.pid) then return false end
      end
      return true
    end, "the end of every process of b")
    for _, session in ipairs(a.sessions) do assert.is_nil(session.eof) end
  end)

  it("that are declared no more end after their last call", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a, b))
    local client, other = host:client(), host:client()
    client:result("tools/call", '{"name":"a_work"}')
    other:result("tools/call", '{"name":"a_work"}')
    assert.equal(2, #a.sessions)
    local held
    a:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"a_work"}')
    loop.wait(function() return held end, "the call")
    local busy, idle = held.session, held.session == a.sessions[1] and a.sessions[2] or a.sessions[1]
    host:reload(lunette.bare(b))
    loop.wait(function() return idle.gone and not process.alive(idle.pid) end, "the idle session's end")
    client:expect(changed.tools)
    assert.same({ "work" }, tool_names(client))
    assert.equal('"b"', json.at(client:result("tools/call", '{"name":"work"}'), "by"))
    assert.is_true(process.alive(busy.pid), "it has a call under way")
    assert.is_nil(busy.eof)
    held:reply '{"content":[],"late":true}'
    assert.equal('{"content":[],"late":true}', json.at(call:wait(), "result"))
    loop.wait(function() return busy.gone and not process.alive(busy.pid) end, "the busy session's end")
    assert.is_true(busy.eof, "its stdin is closed first")
    assert.is_nil(busy.term)
  end)

  it("that are declared no more end when their last call is cancelled",
    awaited("a cancelled last call doesn't end a server that was taken away", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a, b))
    local client = host:client()
    local held
    a:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"a_work"}')
    loop.wait(function() return held end, "the call")
    host:reload(lunette.bare(b))
    client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
    held.session:wait "notifications/cancelled"
    loop.wait(function() return held.session.gone and not process.alive(held.session.pid) end, "the server's end", 1500)
  end))

  it("whose arguments change are the only ones that start again, and calls to them go on", function()
    local a, b = server "a", server "b"
    local function text(extra)
      return ("lunette.upstream('a', %s)\nlunette.upstream('b', %s)"):format(a:lua(), b:lua(extra))
    end
    local host = start(text())
    local client = host:client()
    client:result("tools/call", '{"name":"b_work"}')
    host:reload(text "env = { WITH = 'it' }")
    assert.equal('"b"', json.at(client:result("tools/call", '{"name":"b_work"}'), "by"))
    assert.equal('"a"', json.at(client:result("tools/call", '{"name":"a_work"}'), "by"))
    assert.same({ "a_work", "b_work" }, tool_names(client))
    assert.equal(2, #b.sessions)
    assert.equal("it", b.sessions[2].hello.env.WITH)
    assert.equal(1, #a.sessions)
    assert.is_nil(a.sessions[1].eof)
    loop.wait(function() return b.sessions[1].gone and not process.alive(b.sessions[1].pid) end, "the old child's end")
  end)

  it("take a changed timeout without a restart", function()
    local up = server "up"
    local host = start(("lunette.upstream('up', %s)"):format(up:lua "timeout = 60"))
    local client = host:client()
    up:on("tools/call", function() end)
    host:reload(("lunette.upstream('up', %s)"):format(up:lua "timeout = 0.1"))
    assert.truthy(client:failure("tools/call", '{"name":"work"}').message:find("in time", 1, true))
    assert.equal(1, #up.sessions)
  end)

  it("that are changed over and over leave nothing behind", function()
    local up = server "up"
    local function text(i) return ("lunette.upstream('up', %s)"):format(up:lua(("env = { TURN = '%d' }"):format(i))) end
    local host = start(text(0))
    local client = host:client()
    local descriptors
    for i = 1, 12 do
      host:reload(text(i))
      assert.equal('"up"', json.at(client:result("tools/call", '{"name":"work"}'), "by"))
      loop.wait(function() return up.sessions[i].gone end, "the old child's end")
      if i == 2 then descriptors = process.descriptors(host.process.pid) end
    end
    assert.equal(13, #up.sessions)
    loop.wait(function() return process.descriptors(host.process.pid) <= descriptors end, "the old pipes to be closed")
    loop.wait(function()
      local _, zombies = process.children(host.process.pid)
      return zombies == 0
    end, "the old children to be reaped")
  end)

  it("answer through a sampling handler that a reload brought", function()
    local up = server "up"
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
        req:reply('{"content":[],"said":' .. (answer.result or answer.error) .. "}")
      end)
    end)
    local handler = "\nlunette.sampling(function() return { role = 'assistant', model = 'policy', "
      .. "content = { type = 'text', text = 'from the policy' } } end)"
    local host = start(lunette.bare(up))
    local able = host:client { capabilities = '{"sampling":{}}' }
    host:reload(lunette.bare(up) .. handler)
    assert.equal('"from the policy"', json.at(able:result("tools/call", '{"name":"work"}'), "said", "content", "text"))
    assert.is_nil(able:maybe("sampling/createMessage", 1), "the client was asked")
    assert.equal(1, #up.sessions)
    -- A client without it that comes now: the server is offered it.
    local unable = host:client()
    assert.equal('"from the policy"', json.at(unable:result("tools/call", '{"name":"work"}'), "said", "content", "text"))
    assert.truthy(up:session(2):wait "initialize":at("capabilities", "sampling"))
    -- And when the handler goes, clients answer again.
    host:reload(lunette.bare(up))
    local call = able:start("tools/call", '{"name":"work"}')
    able:answer(able:expect "sampling/createMessage", '{"by":"client"}')
    assert.equal('{"by":"client"}', json.at(call:wait(), "result", "said"))
  end)

  it("that are new with a handler are offered what it answers, for clients that were there before",
    awaited("sessions offer new servers what the policy handled when the client came", function()
    local a, b = server "a", server "b"
    local host = start(lunette.bare(a))
    host:client()
    host:reload(lunette.bare(a, b) .. "\nlunette.sampling(function() return {} end)")
    assert.truthy(b:session():wait "initialize":at("capabilities", "sampling"))
  end))
end)

describe("list_changed after a reload", function()
  after_each(lunette.finish)

  local function told(client, kind)
    local n = 0
    for _, message in ipairs(client.inbox) do
      if message.method == changed[kind] then n = n + 1 end
    end
    return n
  end

  -- Everybody's every list changes: what a client heard by the time it hears of this is all it heard.
  local function all_change(host, text, clients)
    host:reload(text .. "\n" .. says "everybody" .. "lunette.resources.add { uri = 'note://all', name = 'all', read = "
      .. "function() return '' end }\nlunette.prompts.add { name = 'all', get = function() return '' end }")
    for _, client in ipairs(clients) do
      client.heard = {}
      local before = #client.inbox
      loop.wait(function() return told(client, "prompts") > 0 end, "the last list_changed")
      for _, kind in ipairs { "tools", "resources", "prompts" } do client.heard[kind] = told(client, kind) - 1 end
      assert.is_true(#client.inbox >= before)
    end
  end

  local function three()
    return upstream.new { name = "up", tools = '[{"name":"read","inputSchema":{"type":"object"}},'
      .. '{"name":"write","inputSchema":{"type":"object"}}]', resources = '[{"uri":"file:///a.txt","name":"a"}]',
      prompts = '[{"name":"review"}]' }
  end

  local function list_all(client)
    client:result("tools/list", "{}")
    client:result("resources/list", "{}")
    client:result("prompts/list", "{}")
  end

  it("names the kinds whose list is another, and no others", function()
    local up = three()
    local cases = {
      { "lunette.tools.hide 'write'", { tools = 1, resources = 0, prompts = 0 } },
      { "lunette.resources.hide 'file:*'", { tools = 0, resources = 1, prompts = 0 } },
      { "lunette.resource_templates.add { uriTemplate = 'n://{x}', name = 'n', read = function() return '' end }",
        { tools = 0, resources = 1, prompts = 0 } },
      { "lunette.prompts.rename { review = 'revise' }", { tools = 0, resources = 0, prompts = 1 } },
      { "lunette.tools.hide 'nothing*'\nlunette.on('tools/call', function(r, f) return f(r) end)",
        { tools = 0, resources = 0, prompts = 0 } },
    }
    local bare = lunette.bare(up)
    local host = start(bare)
    for _, case in ipairs(cases) do
      local client = host:client()
      list_all(client)
      client:result("resources/templates/list", "{}")
      host:reload(bare .. "\n" .. case[1])
      list_all(client)
      client:result("resources/templates/list", "{}")
      all_change(host, bare .. "\n" .. case[1], { client })
      assert.same(case[2], client.heard, case[1])
      client:close()
      host:reload(bare)
    end
    assert.equal(1, up:count "tools/list")
  end)

  it("goes to the sessions whose list is another, and to no others", function()
    local up = three()
    local bare = lunette.bare(up)
    local function rule(name)
      return bare .. ("\nlunette.tools.filter(function(tool, ctx) return ctx.session.client.name ~= %q or tool.name ~= 'write' end)")
        :format(name)
    end
    local host = start(bare)
    local red = host:client { info = '{"name":"red","version":"1"}' }
    local blue = host:client { info = '{"name":"blue","version":"1"}' }
    local green = host:client { info = '{"name":"green","version":"1"}' }
    local quiet = host:client { info = '{"name":"red","version":"1"}', unlisted = true }
    local everyone = { red, blue, green }
    for _, client in ipairs(everyone) do list_all(client) end
    quiet:result("prompts/list", "{}")
    host:reload(rule "red")
    assert.same({ "read" }, tool_names(red))
    assert.same({ "read", "write" }, tool_names(blue))
    assert.equal(-32602, red:failure("tools/call", '{"name":"write"}').code)
    host:reload(rule "blue")
    assert.same({ "read", "write" }, tool_names(red))
    assert.same({ "read" }, tool_names(blue))
    host:reload(rule "nobody")
    assert.same({ "read", "write" }, tool_names(blue))
    all_change(host, rule "nobody", { red, blue, green, quiet })
    assert.same({ tools = 2, resources = 0, prompts = 0 }, red.heard)
    assert.same({ tools = 2, resources = 0, prompts = 0 }, blue.heard)
    assert.same({ tools = 0, resources = 0, prompts = 0 }, green.heard)
    assert.equal(0, told(quiet, "tools"), "one that never asked for tools has nothing to learn anew")
  end)

  describe("with rules by headers", function()
    local up

    local function rule(team)
      return lunette.bare(up) .. ("\nlunette.tools.filter(function(tool, ctx) return tool.name ~= 'write' "
        .. "or ctx.headers['x-team'] == %q end)"):format(team)
    end

    local function teams()
      up = three()
      local host = start(rule "red")
      local red = host:client { headers = { "X-Team: red" } }
      local blue = host:client { headers = { "X-Team: blue" } }
      list_all(red)
      list_all(blue)
      return host, red, blue
    end

    it("holds each client to its own", function()
      local host, red, blue = teams()
      assert.same({ "read", "write" }, tool_names(red))
      assert.same({ "read" }, tool_names(blue))
      host:reload(rule "red" .. " -- again")
      -- A call comes before any list.
      assert.equal(-32602, blue:failure("tools/call", '{"name":"write"}').code)
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
      red:result("tools/call", '{"name":"write"}')
      assert.same({ "read", "write" }, tool_names(red))
      assert.same({ "read" }, tool_names(blue))
      host:reload(rule "blue")
      assert.equal(-32602, red:failure("tools/call", '{"name":"write"}').code)
      blue:result("tools/call", '{"name":"write"}')
      assert.same({ "read" }, tool_names(red))
      assert.same({ "read", "write" }, tool_names(blue))
      assert.equal(2, up:count "tools/call")
    end)

    it("tells those whose list is another", awaited("a reload doesn't know the headers of sessions", function()
      local host, red, blue = teams()
      host:reload(rule "red" .. " -- again")
      host:reload(rule "blue")
      all_change(host, rule "blue", { red, blue })
      assert.equal(1, red.heard.tools)
      assert.equal(1, blue.heard.tools)
    end))
  end)

  it("reaches a client on stdio", function()
    local up = three()
    local host = start(lunette.bare(up), { stdio = true })
    local client = host.stdio
    client:initialize()
    list_all(client)
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide 'write'")
    client:expect(changed.tools)
    assert.same({ "read" }, tool_names(client))
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide 'write' -- the same")
    client:result("ping", "{}")
    assert.equal(0, #client.inbox)
    assert.equal(0, (client:close()))
  end)

  it("waits for a client that has no stream yet", function()
    local up = three()
    local host = start(lunette.bare(up))
    local client = host.new_client {}
    client:initialize()
    tool_names(client)
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide 'write'")
    client:listen()
    client:expect(changed.tools)
    assert.same({ "read" }, tool_names(client))
  end)
end)

describe("across reloads", function()
  after_each(lunette.finish)

  it("lunette.shared is kept, and nothing else of the old policy", function()
    local text = "leaked = (rawget(_G, 'leaked') or 0) + 1\nlunette.tools.add { name = 'version', description = 'd', "
      .. "inputSchema = { type = 'object' }, handler = function() "
      .. "return lunette.shared.incr 'n' .. ' ' .. rawget(_G, 'leaked') end }"
    local host = start(text)
    local client = host:client()
    assert.equal("1 1", version(client))
    for i = 2, 6 do
      host:reload(text .. " -- " .. i)
      assert.equal(i .. " 1", version(client))
    end
  end)

  it("lunette.every of the old policy stops, that of the new runs", function()
    local function ticking(name)
      return ("lunette.every(0.01, function() lunette.shared.incr %q end)\n"):format(name)
    end
    local read = "lunette.tools.add { name = 'version', inputSchema = { type = 'object' }, handler = function() "
      .. "return (lunette.shared.get 'old' or 0) .. ' ' .. (lunette.shared.get 'new' or 0) end }"
    local host = start(ticking "old" .. read)
    local client = host:client()
    local function counts()
      local old, new = version(client):match "^(%d+) (%d+)$"
      return tonumber(old), tonumber(new)
    end
    loop.wait(function() return counts() > 2 end, "the old policy's timer")
    host:reload(ticking "new" .. read)
    local stopped_at, began_at = counts()
    loop.wait(function() return select(2, counts()) > began_at + 10 end, "the new policy's timer")
    assert.equal(stopped_at, (counts()))
  end)

  it("settings of the new policy hold", function()
    local tools = {}
    for i = 1, 10 do tools[i] = ('{"name":"t%d","inputSchema":{"type":"object"}}'):format(i) end
    local up = server("up", "[" .. table.concat(tools, ",") .. "]")
    local host = start(lunette.bare(up))
    local client = host:client()
    assert.equal(10, #tool_names(client))
    host:reload(lunette.bare(up) .. "\nlunette.configure { page_size = 4 }")
    local result = client:result("tools/list", "{}")
    assert.equal(4, #json.elements(json.at(result, "tools")))
    assert.truthy(json.at(result, "nextCursor"))
  end)
end)

describe("a storm of reloads", function()
  after_each(lunette.finish)

  local reloads, n_clients = lunette.sanitized and 60 or 150, 8

  -- Numbers of inotify descriptors, and of what they watch.
  local function watches(pid)
    local descriptors, watched = 0, 0
    local dir = uv.fs_scandir(("/proc/%d/fd"):format(pid))
    while dir do
      local name = uv.fs_scandir_next(dir)
      if not name then break end
      local link = uv.fs_readlink(("/proc/%d/fd/%s"):format(pid, name))
      if link and link:find "inotify" then
        descriptors = descriptors + 1
        for _ in loop.read_file(("/proc/%d/fdinfo/%s"):format(pid, name)):gmatch "inotify wd" do watched = watched + 1 end
      end
    end
    return descriptors, watched
  end

  -- Policy n marks each result with n, calls the tool "labour<n % 3>" and shows nothing else. Handler and name
  -- of one call must be of one generation.
  local function text(up, n)
    return lunette.bare(up) .. "lunette.tools.transform('work', { call = function(args, forward) return forward(args) end })"
      .. ("\nlunette.tools.rename { work = 'labour%d' }\nlunette.tools.only 'labour%d'\n"
      .. "lunette.on('tools/call', function(request, forward) if request.params.arguments.slow then lunette.sleep(0.02) end "
      .. "local result = forward(request) result.policy = %d return result end)"):format(n % 3, n % 3, n)
  end

  -- How many policies there are and what is held of them; handles of the loop.
  local function held(host)
    local body = http.request { port = host.port, path = "/metrics" }.body
    local function metric(name) return assert(tonumber(body:match("\nlunette_" .. name .. " (%d+)")), body) end
    return { policies = metric "policies", references = metric "policy_references" }, metric "handles"
  end

  -- Over stdio there is one client, which has as many calls under way as there are clients over HTTP.
  local function storm(watch, stdio)
    local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}},'
      .. '{"name":"secret","inputSchema":{"type":"object"}}]' }
    if not stdio then up:http() end
    up:on("tools/call", function(req)
      assert(req:value "name" == "work", "the server was asked for " .. req:at "name")
      req:reply(('{"content":[],"tag":%s}'):format(req:at("arguments", "tag")))
    end)
    local host = start(text(up, 0), { watch = watch, stdio = stdio })
    local clients, current, sent = {}, 0, 0
    for i = 1, n_clients do
      local client = not stdio and host.new_client {} or i == 1 and host.stdio
      clients[i] = client or { start = function(_, ...) return host.stdio:start(...) end }
      if client then
        client:initialize()
        tool_names(client)
      end
    end
    if not stdio then host:reload(text(up, 0)) end
    local at_first = not stdio and held(host)
    local accepted, refused, stopping = 0, 0, false
    -- `current` is the last generation written; in force may be any from `settled` on.
    local settled = 0
    local function check(call)
      local raw = call.raw
      local policy = json.value(raw, "result", "policy")
      local newest = current
      if policy then
        assert(policy >= call.oldest and policy <= newest, ("policy %d, not of %d to %d"):format(policy, call.oldest, newest))
        assert(policy % 3 == call.name, ("policy %d took the name labour%d"):format(policy, call.name))
        assert(json.value(raw, "result", "tag") == call.tag, raw)
        accepted = accepted + 1
      else
        -- Right only if some policy that could be in force has another name for it.
        local error_object = json.value(raw, "error")
        assert(error_object.code == -32602, raw)
        local may = call.name < 0 -- the secret: never
        for n = call.oldest, newest do may = may or n % 3 ~= call.name end
        assert(may, "refused by no policy: " .. raw)
        refused = refused + 1
      end
    end
    local function step(client)
      if client.call and client.call.raw then
        check(client.call)
        client.call = nil
      end
      if client.call or stopping then return client.call == nil end
      sent = sent + 1
      local secret = sent % 10 == 0
      local name = secret and "secret" or "labour" .. settled % 3
      local call = client:start("tools/call", ('{"name":%q,"arguments":{"tag":%d,"slow":%s}}'):format(name, sent,
        sent % 7 == 0 and "true" or "false"))
      call.tag, call.oldest, call.name = sent, settled, secret and -1 or settled % 3
      client.call = call
      return false
    end
    local function drive(condition, what)
      loop.wait(function()
        local idle = true
        for _, client in ipairs(clients) do
          if client.call and client.call.refused then error("HTTP " .. client.call.refused.status) end
          idle = step(client) and idle
        end
        return condition(idle)
      end, what, 20000)
    end
    local function one()
      current = current + 1
      local before = host:reloads()
      if not watch then
        lunette.policy(text(up, current), host.path)
        host.process:kill "sighup"
      elseif current % 2 == 0 then
        lunette.policy(text(up, current), host.path)
      else
        replace(host.path, 'local lunette = require "lunette"; ' .. text(up, current))
      end
      drive(function() return host:reloads() > before end, "reload " .. current)
      settled = current
    end
    for _ = 1, 40 do one() end
    local pid = host.process.pid
    local rss, descriptors = process.rss(pid), process.descriptors(pid)
    local handles = not stdio and select(2, held(host))
    for _ = 41, reloads do one() end
    stopping = true
    drive(function(idle) return idle end, "the last answers")
    -- How many meet the policy that they were made for depends on who is faster, the reloads or the calls.
    assert.is_true(accepted > 0 and accepted + refused > reloads,
      ("%d calls went through, %d were refused"):format(accepted, refused))
    assert.equal(sent, accepted + refused)
    assert.equal(accepted, up:count "tools/call")
    assert.equal(stdio and 1 or n_clients, up:count "initialize")
    assert.equal(0, host:reloads(kept_text), host:complaint())
    loop.wait(function() return process.descriptors(pid) <= descriptors + 4 end,
      ("%d descriptors to be no more than %d"):format(process.descriptors(pid), descriptors + 4))
    -- Sampled until it holds: a reload's last act is to watch anew.
    loop.wait(function()
      local inotify, watched = watches(pid)
      return inotify <= 1 and watched == (watch and 1 or 0)
    end, "one directory to be watched, once")
    if not stdio then
      current = 0
      host:reload(text(up, current))
      local now, handles_now = held(host)
      assert.same({ policies = 1, references = at_first.references }, now)
      assert.is_true(handles_now <= handles + 4, ("%d handles, then %d"):format(handles, handles_now))
    end
    local after = process.rss(pid)
    print(("      %d reloads, %d calls answered, %d refused; %d kB after 40 reloads, %d at the end; %d descriptors")
      :format(reloads, accepted, refused, rss, after, process.descriptors(pid)))
    if not lunette.sanitized then assert.is_true(after < rss + 4096, ("%d kB, then %d"):format(rss, after)) end
    for i = 1, stdio and 1 or n_clients do
      assert.same({ "labour" .. current % 3 }, tool_names(clients[i]))
      assert.equal(stdio and 0 or 200, (clients[i]:close()))
    end
  end

  it("loses, doubles and misjudges no call, and grows nothing (SIGHUP)", function() storm(false) end)
  it("loses, doubles and misjudges no call, and grows nothing (watching)", function() storm(true) end)
  it("loses, doubles and misjudges no call, and grows nothing (stdio)", function() storm(false, true) end)

  it("ends in what was saved last, however fast the saves come", function()
    local host = start(says "0", { watch = true })
    local client = host:client()
    for round = 1, 5 do
      for i = 1, 40 do replace(host.path, 'local lunette = require "lunette"; ' .. says(round .. "." .. i)) end
      loop.wait(function() return version(client) == round .. ".40" end, "the last version")
    end
    assert.equal(0, host:reloads(kept_text), host:complaint())
  end)

  it("of signals alone is many reloads or few, and nothing breaks", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. says "one")
    local client = host:client()
    for _ = 1, 100 do host.process:kill "sighup" end
    host:hup()
    for _ = 1, 20 do assert.equal('"up"', json.at(client:result("tools/call", '{"name":"work"}'), "by")) end
    assert.equal(1, #up.sessions)
    assert.equal(0, #client.inbox)
  end)
end)

describe("the time from a saved file", function()
  after_each(lunette.finish)

  it("to the new list, with 1,000 tools", function()
    local tools = {}
    for i = 1, 1000 do
      tools[i] = ('{"name":"tool_%d","description":"Does the thing numbered %d","inputSchema":{"type":"object","properties":'
        .. '{"path":{"type":"string","description":"where"},"limit":{"type":"integer"}},"required":["path"]}}'):format(i, i)
    end
    local up = upstream.new { name = "up", tools = "[" .. table.concat(tools, ",") .. "]" }
    local function text(i)
      return ('local lunette = require "lunette"; %s\nlunette.tools.hide "tool_99*"\n'
        .. "lunette.tools.rename { tool_1 = 'first%d' }\n"
        .. "lunette.tools.filter(function(tool) return tool.name ~= 'tool_77' end)"):format(lunette.bare(up), i)
    end
    local host = start(nil, { watch = true, path = loop.write_file(loop.tempdir() .. "/policy.lua", text(0)) })
    local client = host:client()
    local times = {}
    for i = 1, 7 do
      loop.write_file(host.path .. ".new", text(i))
      local began = uv.hrtime()
      assert(uv.fs_rename(host.path .. ".new", host.path))
      client:expect(changed.tools)
      times[i] = (uv.hrtime() - began) / 1e6
      local names = tool_names(client)
      assert.equal("first" .. i, names[1])
      assert.equal(988, #names)
    end
    table.sort(times)
    print(("      from rename to list_changed with 1,000 tools: median %.0f ms, worst %.0f ms"):format(times[4], times[7]))
    assert.is_true(times[4] < (lunette.sanitized and 3000 or 1000) * loop.slow, ("%.0f ms"):format(times[4]))
  end)
end)
