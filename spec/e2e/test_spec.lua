-- `lunette test`: what it says of specs, by which exit code, and that lunette.test does what lua/README.md says.
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local here = lunette.root .. "/spec/e2e/"

-- A spec file of that text beside others of the test; its path.
local function spec(text, name, dir)
  return loop.write_file((dir or loop.tempdir()) .. "/" .. (name or "a_spec.lua"), text)
end

local function run(...) return lunette.cli({ "test", ... }, { timeout = 60000 }) end

local function has(text, part) assert.truthy(text:find(part, 1, true), text .. "\nhas no\n" .. part) end

describe("lunette test", function()
  after_each(lunette.finish)

  it("does all that lunette.test promises", function()
    local result = run(here .. "lunette_test.lua")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    has(result.stdout, " 0 failures / 0 errors")
    assert.is_true(tonumber(result.stdout:match "(%d+) success") >= 15, result.stdout)
  end)

  it("runs the spec that lua/README.md shows", function()
    local file = assert(io.open(lunette.root .. "/lua/README.md"))
    local shown = file:read("*a"):match "```lua\n(%-%- my_spec%.lua.-)```"
    file:close()
    local dir = loop.tempdir()
    lunette.policy('lunette.upstream("notes", { command = "x" }) lunette.tools.hide "wipe"', dir .. "/my.lua")
    local result = run(spec(shown, "my_spec.lua", dir))
    assert.equal(0, result.code, result.stdout .. result.stderr)
    has(result.stdout, "2 successes")
  end)

  it("passes the examples' own specs", function()
    local result = run(lunette.root .. "/examples/spec")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    has(result.stdout, "0 failures / 0 errors")
  end)

  it("tells a failure with the spec's file and line, and exits 1", function()
    local path = spec [[
local test = require "lunette.test"
describe("a policy", function()
  it("fails here", function()
    local client = test.connect { text = "", servers = { s = { tools = { { name = "a", result = "x" } } } } }
    assert.equal("y", test.text(client:call "a"))
  end)
  it("is refused", function()
    test.connect({ text = "" }):call "none"
  end)
  it("waits in vain", function()
    test.wait(function() end, "what never comes", 0.05)
  end)
  it("asks for what is not there", function()
    test.run { policy = "none.lua" }
  end)
  it("misspells", function()
    test.run { polcy = "none.lua" }
  end)
  it("fails in the policy", function()
    test.connect { text = "require 'lunette'.on('ping', function(r) return r.no.such end)" }:request "ping"
  end)
end)]]
    local result = run(path)
    assert.equal(1, result.code)
    has(result.stdout, path .. ":5: Expected objects to be equal")
    has(result.stdout, path .. ":8: tools/call answered with error -32602: Unknown tool: none")
    has(result.stdout, path .. ":11: what never comes did not come within 0.05 seconds")
    has(result.stdout, path .. ":14: there is no file none.lua beside the spec or here")
    has(result.stdout, path .. ":17: test.run: unknown option polcy; did you mean policy?")
    has(result.stdout, path .. ":20: ping answered with error -32603: policy error (the log, on stderr, says why)")
    has(result.stderr, "policy:1: attempt to index field 'no' (a nil value)")
  end)

  it("runs several, folders too, and of them those that a filter lets through", function()
    local dir = loop.tempdir()
    local one = spec('describe("x", function() it("one", function() print "ran one" end) end)', "one_spec.lua", dir)
    spec('describe("x", function() it("two", function() print "ran two" end) it("six", function() print "ran six" end) end)',
      "two_spec.lua", dir)
    local result = run(dir)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    for _, word in ipairs { "ran one", "ran two", "ran six" } do has(result.stdout, word) end
    result = run(one, dir .. "/two_spec.lua", "--filter=two")
    has(result.stdout, "ran two")
    assert.is_nil(result.stdout:find("ran one", 1, true))
    result = run("--filter-out", "two", "--output", "TAP", dir)
    has(result.stdout, "ok 1 - x one")
    assert.is_nil(result.stdout:find("ran two", 1, true))
  end)

  it("finds policies and modules beside the spec, from anywhere", function()
    local dir = loop.tempdir()
    lunette.policy('lunette.tools.add { name = require "names".tool, handler = function() return "" end }', dir .. "/p.lua")
    loop.write_file(dir .. "/names.lua", 'return { tool = "shared" }')
    local path = spec([[
local test, names = require "lunette.test", require "names"
it("sees", function()
  assert.same({ names.tool }, test.connect({ policy = "p.lua" }):names "tools")
  assert.same({ names.tool }, test.connect({ text = 'require("lunette").tools.add { name = require "names".tool, '
    .. 'handler = print }' }):names "tools")
end)]], nil, dir)
    local result = lunette.cli({ "test", path }, { cwd = "/" })
    assert.equal(0, result.code, result.stdout .. result.stderr)
  end)

  it("ends what a test opened, in its time", function()
    local path = spec [[
local test = require "lunette.test"
local s = test.server { tools = { { name = "a" } } }
local outer
setup(function() outer = test.connect { text = "", servers = { s = s } } end)
it("one", function() test.connect { text = "", servers = { s = s } }:call "a" end)
it("two", function()
  assert.equal(1, #s.sessions)
  outer:call "a"
end)]]
    local result = run(path)
    assert.equal(0, result.code, result.stdout .. result.stderr)
  end)

  it("takes an mcpServers file, with a policy over it", function()
    local dir = loop.tempdir()
    loop.write_file(dir .. "/mcp.json", '{"mcpServers":{"notes":{"command":"no-such-program"}}}')
    lunette.policy('lunette.tools.hide "b"', dir .. "/rules.lua")
    local path = spec([[
local test = require "lunette.test"
it("sees", function()
  local notes = { tools = { { name = "a" }, { name = "b" } } }
  assert.same({ "a" }, test.connect({ policy = { "mcp.json", "rules.lua" }, servers = { notes = notes } }):names "tools")
end)]], nil, dir)
    local result = run(path)
    assert.equal(0, result.code, result.stdout .. result.stderr)
  end)

  for name, case in pairs {
    ["without specs"] = { {}, 2, "which specs?" },
    ["with an option that is none"] = { { "--no-such-option", "x" }, 2, "no%-such%-option" },
    ["with a file that is not there"] = { { "/no/such_spec.lua" }, 1, "/no/such_spec.lua can't be read" },
  } do
    it(name .. " exits " .. case[2], function()
      local result = run(unpack(case[1]))
      assert.equal(case[2], result.code, result.stderr)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find(case[3]), result.stderr)
    end)
  end

  it("fails when nothing was run", function()
    local result = run(spec 'describe("x", function() end)')
    assert.equal(1, result.code)
    has(result.stderr, "no test was run")
  end)

  it("fails with a spec that is no Lua", function()
    local path = spec "\nthis is none"
    local result = run(path)
    assert.equal(1, result.code)
    has(result.stdout .. result.stderr, path .. ":2:")
  end)

  it("says what to install where busted is missing", function()
    local dir = loop.tempdir()
    local from = package.searchpath("argparse", package.path)
    assert(loop.uv.fs_symlink(from, dir .. "/argparse.lua"))
    local result = lunette.cli({ "test", spec "" }, { env = { LUA_PATH = dir .. "/?.lua", LUA_CPATH = dir .. "/?.so" } })
    assert.equal(1, result.code)
    assert.equal("lunette: busted, which runs specs, is not installed (Debian: apt install lua-busted; "
      .. "else: luarocks install busted)\n", result.stderr)
  end)
end)
