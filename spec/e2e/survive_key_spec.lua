-- The key that session ids are sealed with, and ids of many sessions and of the official client under it.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local again = require "spec.support.restart"

local uv = loop.uv

local who = again.who
local start = again.start
local restart = again.restart
local call = again.call
local assert_gone = again.assert_gone
local open = again.open

describe("many sessions", function()
  after_each(lunette.finish)

  it("come back at once, each to its own client, whom servers ask the right things", function()
    local n = lunette.sanitized and 60 or 200
    local policy = who .. [[
      lunette.tools.add { name = "ask", inputSchema = { type = "object" }, handler = function(args, ctx)
        return ctx:sample({ messages = {}, maxTokens = tonumber(args.n) }).content.text end }]]
    local host = start(policy)
    local clients = {}
    for i = 1, n do
      clients[i] = open(host, { info = ('{"name":"client%d","version":"%d"}'):format(i, i),
        capabilities = ('{"sampling":{},"experimental":{"n":{"is":%d}}}'):format(i), version = i % 3 == 0 and "2025-06-18" or nil })
      for _, conn in ipairs(clients[i].idle) do conn:close() end
      clients[i].idle = {}
    end
    host = restart(host, policy, "sigkill")
    local calls, names = {}, {}
    for round = 1, 2 do
      for i = 1, n do
        calls[#calls + 1] = { i, clients[i]:start("tools/call", '{"name":"who"}') }
        if round == 1 then clients[i].asked = clients[i]:start("tools/call", ('{"name":"ask","arguments":{"n":%d}}'):format(i)) end
      end
    end
    for i = 1, n do
      local question = clients[i]:expect("sampling/createMessage", 20000)
      assert.equal(i, json.value(question.params, "maxTokens"))
      clients[i]:answer(question, ('{"role":"assistant","model":"m","content":{"type":"text","text":"from %d"}}'):format(i))
    end
    for i = 1, n do
      assert.equal("from " .. i, json.value(clients[i].asked:wait(20000), "result", "content", 1, "text"))
    end
    for _, made in ipairs(calls) do
      local i, started = unpack(made)
      local said = json.value(started:wait(20000), "result", "content", 1, "text")
      names[i] = names[i] or json.value(said, 1)
      assert.equal(names[i], json.value(said, 1))
      assert.is_nil(clients[i].session:find(names[i], 1, true))
      assert.equal("client" .. i, json.value(said, 2))
      assert.equal(i, json.value(said, 3, "experimental", "n", "is"))
      assert.equal(i % 3 == 0 and "2025-06-18" or "2025-11-25", json.value(said, 4))
      assert.equal(1, json.value(said, 6))
    end
    local metrics = http.request({ port = host.port, path = "/metrics" }).body
    assert.truthy(metrics:find("\nlunette_sessions " .. n .. "\n", 1, true))
    for i = 1, n do assert.equal(200, clients[i]:close()) end
  end)
end)

describe("the key", function()
  after_each(lunette.finish)

  local function stat(path)
    local s = uv.fs_stat(path)
    return s and ("%o %d"):format(s.mode % 512, s.size)
  end

  it("is made when HTTP is served, for nobody else to read, and only then", function()
    local key = process.state_home() .. "/lunette/session.key"
    local policy = lunette.policy(who)
    for _, args in ipairs { { "version" }, { "help" }, { "check", policy }, { "list", policy }, { "call", policy, "who" } } do
      assert.equal(0, lunette.cli(args).code)
    end
    local stdio = lunette.stdio { policy = who }
    stdio:initialize()
    stdio:close()
    assert.is_nil(uv.fs_stat(process.state_home()))
    local host = start(who)
    assert.equal("600 32", stat(key))
    assert.equal("700 4096", (stat(process.state_home() .. "/lunette"):gsub(" %d+", " 4096")))
    local made = loop.read_file(key)
    restart(host, who)
    assert.equal(made, loop.read_file(key))
  end)

  it("is what an id is good for: with another one it isn't", function()
    local host = start(who)
    local client = open(host)
    host = restart(host, who, "sigterm", { env = { XDG_STATE_HOME = loop.tempdir() } })
    assert_gone(client)
    host = restart(host, who)
    assert.equal(1, json.value(call(client, "who"), 6))
    os.remove(process.state_home() .. "/lunette/session.key")
    restart(host, who)
    assert_gone(client)
  end)

  it("lies where the policy says, and several that share it take each other's clients over", function()
    local path = loop.tempdir() .. "/shared.key"
    local policy = ("lunette.configure { session_key_file = %q }\n"):format(path) .. who
    local hosts = { start(policy), start(policy) }
    assert.equal("600 32", stat(path))
    assert.is_nil(uv.fs_stat(process.state_home()))
    local client = open(hosts[1])
    for i = 1, 6 do
      client.port, client.idle = hosts[i % 2 + 1].port, {}
      assert.equal(1, json.value(call(client, "who"), 6))
    end
    local elsewhere = loop.tempdir()
    loop.write_file(elsewhere .. "/mine.key", ("k"):rep(32))
    uv.fs_chmod(elsewhere .. "/mine.key", 384)
    start('lunette.configure { session_key_file = "~/mine.key" }', { env = { HOME = elsewhere } })
    assert.equal(("k"):rep(32), loop.read_file(elsewhere .. "/mine.key"))
    for text, why in pairs { ["1"] = "must be a string", ['""'] = "must be the name of a file", ['"a\\0b"'] = "must be the name of a file" } do
      local result = lunette.cli { "check", lunette.policy("lunette.configure { session_key_file = " .. text .. " }") }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find("policy%d+%.lua:1: ") and result.stderr:find("session_key_file " .. why, 1, true), result.stderr)
    end
  end)

  it("is one for two that start at the same time", function()
    local policy = lunette.policy(who)
    for _ = 1, 3 do
      os.remove(process.state_home() .. "/lunette/session.key")
      local ports = { http.free_port(), http.free_port() }
      for i, port in ipairs(ports) do
        ports[i] = { port = port, process = lunette.spawn { "run", policy, "--http", "127.0.0.1:" .. port } }
      end
      for _, host in ipairs(ports) do
        host.process:wait_stderr "listening"
        host.client = function() return require("spec.support.client").http(host.port) end
      end
      local client = open(ports[1])
      client.port, client.idle = ports[2].port, {}
      assert.equal(1, json.value(call(client, "who"), 6))
    end
  end)

  it("is in memory only, and the log says why, where a file can't be trusted or made", function()
    local key = process.state_home() .. "/lunette/session.key"
    local function log_of(options, policy)
      local host = start(policy or who, options)
      local client = open(host)
      assert.equal(1, json.value(call(client, "who"), 6))
      host.process:kill "sigterm"
      host.process:wait_exit()
      local log = host.process.err:all()
      local _, n = log:gsub("will not survive", "")
      return log:match "[^\n]*will not survive[^\n]*", n
    end
    assert.is_nil(log_of())
    for mode, name in pairs { [420] = "644", [416] = "640" } do
      uv.fs_chmod(key, mode)
      local said, n = log_of()
      assert.equal(1, n)
      assert.truthy(said:find("warn http: sessions will not survive a restart: " .. key .. " can be used by others (its mode is " .. name, 1, true), said)
    end
    uv.fs_chmod(key, 384)
    loop.write_file(key, "short")
    assert.truthy(log_of():find("warn http: .* must hold 32 random bytes, not 5"))
    assert.equal("short", loop.read_file(key))
    os.remove(key)
    uv.fs_mkdir(key, 448)
    assert.truthy(log_of():find "warn http: .* is not a regular file")
    assert.truthy(log_of({ env = { XDG_STATE_HOME = false, HOME = false } }):find "info http: .* neither XDG_STATE_HOME nor HOME says where")
    assert.truthy(log_of({ env = { XDG_STATE_HOME = "/proc/nowhere" } }):find "info http: .*/proc/nowhere/lunette/session.key can't be made")
    local given = "lunette.configure { session_key_file = '/proc/nowhere/key' }\n" .. who
    assert.truthy(log_of({}, given):find "warn http: .*/proc/nowhere/key can't be made")
  end)
end)

describe("the official client", function()
  after_each(lunette.finish)

  it("goes on after restarts in the middle of its work, and knows of nothing", function()
    local host = start(peers.survivable)
    peers.survive(host.url, function(signal)
      host.process:wait_stderr "at work"
      host = restart(host, peers.survivable, signal)
    end)
  end)
end)
