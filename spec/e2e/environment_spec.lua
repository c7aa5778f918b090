-- What children find in their environment: the usual few of Lunette's variables, what `env` says, and what
-- `inherit_env` adds; never a key that only Lunette was given.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

-- Lunette's own environment: with what is never passed on unasked, and all that is.
local given = { SPEC_API_KEY = "secret", SPECS_PROFILE = "p", SPECS_REGION = "r", LD_SPEC = "l", LCX = "x", HOME_SPEC = "h", XLC_ALL = "x",
  lang = "x", HOME = "/tmp", LOGNAME = "log", SHELL = "/bin/sh", TERM = "dumb", USER = "u", LANG = "C", LC_TIME = "C", TMPDIR = "/tmp",
  TZ = "UTC" }

local usual = { "HOME", "LANG", "LC_LUNETTE_SPEC_MARK", "LC_TIME", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER" }

local function server() return upstream.new { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' } end

-- The environment of a child of Lunette's that was started so, by `start(up)`.
local function env_of(start)
  local up = server()
  start(up)
  return up:session().hello.env
end

local function names(env)
  local list = {}
  for name in pairs(env) do
    -- The developer's own LC_ALL and its like come along.
    if not name:find "^LC_" or name == "LC_TIME" or name == "LC_LUNETTE_SPEC_MARK" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function with(...)
  local list = { ... }
  for _, name in ipairs(usual) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- With these options of the server, as Lua text.
local function declared(extra)
  return env_of(function(up)
    lunette.stdio({ env = given, policy = ("lunette.upstream('up', %s)"):format(up:lua(extra)) }):initialize()
  end)
end

local function in_file(member, env)
  return env_of(function(up)
    local command = up:command()
    local entry = json.encode { command = command[1], args = { unpack(command, 2) }, env = env }
    local path = loop.write_file(loop.tempdir() .. "/mcp.json", ('{%q:{"up":%s}}'):format(member, entry))
    lunette.stdio({ env = given, targets = { path } }):initialize()
  end)
end

describe("a child", function()
  after_each(lunette.finish)

  it("gets the usual few variables and no other", function()
    local env = declared()
    assert.same(usual, names(env))
    for _, name in ipairs(usual) do
      if given[name] then assert.equal(given[name], env[name]) end
    end
    assert.same(usual, names(declared "inherit_env = false"))
    assert.same(usual, names(declared "inherit_env = {}"))
  end)

  it("gets what env says, whatever Lunette's own has of that name", function()
    local env = declared "env = { GIVEN = 'x y', USER = 'other', SPECS_REGION = 'q' }"
    assert.same(with("GIVEN", "SPECS_REGION"), names(env))
    assert.same({ "x y", "other", "q" }, { env.GIVEN, env.USER, env.SPECS_REGION })
  end)

  it("gets what inherit_env adds", function()
    local env = declared "inherit_env = { 'SPECS_*', 'SPEC_NOT_THERE' }, env = { SPECS_REGION = 'q' }"
    assert.same(with("SPECS_PROFILE", "SPECS_REGION"), names(env))
    assert.same({ "p", "q" }, { env.SPECS_PROFILE, env.SPECS_REGION })
    assert.equal("secret", declared("inherit_env = { 'SPEC_API_KE?' }").SPEC_API_KEY)
  end)

  it("gets all that Lunette has with inherit_env = true", function()
    local env = declared "inherit_env = true, env = { USER = 'other' }"
    for name, value in pairs(given) do
      assert.equal(name == "USER" and "other" or value, env[name], name)
    end
  end)

  it("of a command line gets the usual few", function()
    for _, command in ipairs { "list", "run" } do
      assert.same(usual, names(env_of(function(up)
        if command == "run" then return lunette.stdio({ env = given, command = up:command() }):initialize() end
        local result = lunette.cli({ "list", "--", unpack(up:command()) }, { env = given })
        assert.equal(0, result.code, result.stderr)
      end)))
    end
  end)

  it("of a command line gets what env(1) is told, which names no server", function()
    local result
    local env = env_of(function(up)
      result = lunette.cli({ "list", "--log-level", "debug", "--", "env", "SPEC_API_KEY=given", unpack(up:command()) }, { env = given })
    end)
    assert.equal(0, result.code, result.stderr)
    assert.same(with "SPEC_API_KEY", names(env))
    assert.equal("given", env.SPEC_API_KEY)
    assert.is_nil((result.stdout .. result.stderr):find("SPEC_API_KEY", 1, true))
  end)

  it("of an mcpServers file gets the usual few, as the official SDKs have it", function()
    local env = in_file("mcpServers", { GIVEN = "${SPEC_API_KEY}" })
    assert.same(with "GIVEN", names(env))
    assert.equal("secret", env.GIVEN)
  end)

  it("of VS Code's and Zed's files gets everything, as there", function()
    for _, member in ipairs { "servers", "context_servers" } do
      local env = in_file(member, { USER = "other" })
      assert.same({ "secret", "p", "other" }, { env.SPEC_API_KEY, env.SPECS_PROFILE, env.USER })
    end
  end)

  it("starts again when a reload changes what it inherits, and only then", function()
    local up = server()
    local function text(extra) return ("lunette.upstream('up', %s)"):format(up:lua(extra)) end
    local path = lunette.policy(text "inherit_env = { 'SPECS_*' }")
    local host = lunette.http { targets = { path }, env = given, flags = { "--no-watch" } }
    local client = host.client()
    client:initialize()
    client:result("tools/list", "{}")
    local reloads = 0
    local function reload(extra)
      reloads = reloads + 1
      lunette.policy(text(extra), path)
      host.process:kill "sighup"
      loop.wait(function() return select(2, host.process.err:all():gsub("in force", "")) == reloads end, "the reload")
      client:result("tools/list", "{}")
    end
    reload "inherit_env = { 'SPECS_*' }, timeout = 7"
    assert.equal(1, #up.sessions)
    reload "inherit_env = { 'SPEC_*' }"
    local env = up:session(2).hello.env
    assert.same({ "secret" }, { env.SPEC_API_KEY, env.SPECS_PROFILE })
  end)
end)

describe("lunette check", function()
  it("names the variables that a command line wants and won't get, at their server's line", function()
    local path = lunette.policy [[

      lunette.upstream("a", { command = "sh", args = { "-c", "exec srv --home $HOME --token $SPEC_API_KEY" } })]]
    local result = lunette.cli({ "check", path }, { env = given })
    assert.equal(0, result.code)
    assert.equal(path .. ": ok (1 server; 1 warning)\n", result.stdout)
    assert.truthy(result.stderr:find(path .. ':2: upstream "a": args[2] wants $SPEC_API_KEY, which the server won\'t get', 1, true),
      result.stderr)
    assert.is_nil(result.stderr:find("secret", 1, true))
  end)
end)
