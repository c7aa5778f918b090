-- lunette test: runs policy specs with busted, which is needed for this command alone. busted and the specs
-- run in the command line's own Lua state; each policy under test has a host and a state of its own.
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"

local M = {}

-- busted's options that are passed on as they are; an argument's name where it takes one.
local passed = {
  { "--filter", "PATTERN", "Only tests whose name matches the Lua pattern" },
  { "--filter-out", "PATTERN", "No tests whose name matches the Lua pattern" },
  { "--tags", "TAGS", "Only tests with one of these #tags" },
  { "--exclude-tags", "TAGS", "No tests with one of these #tags" },
  { "--output", "NAME", "busted's output: utfTerminal, plainTerminal, TAP, junit, json …" },
  { "--repeat", "COUNT", "Run all of it as often" },
  { "--shuffle", false, "Run the tests in random order" },
  { "--verbose", false, "Show tracebacks too" },
}

local function key_of(option) return (option:gsub("^%-%-", ""):gsub("%-", "_")) end

function M.describe(parser)
  parser:usage "Usage: lunette test SPEC… [--filter PATTERN] [other options of busted's, as below]"
  parser:description(
    "Runs the specs of policies with busted: files, or folders whose *_spec.lua are run. "
      .. "Exits with 1 when a test fails, or when there was none to run."
  )
  parser:argument("specs"):args("*"):hidden(true)
  for _, row in ipairs(passed) do
    local name, argument, what = unpack(row)
    if argument then
      parser:option(name, what):argname(argument):target(key_of(name))
    else
      parser:flag(name, what):target(key_of(name))
    end
  end
  parser:epilog [[
A spec asks for `require "lunette.test"`, which plays a policy's servers and clients:

  local test = require "lunette.test"
  it("hides wipe", function()
    local notes = { tools = { { name = "search" }, { name = "wipe" } } }
    local client = test.connect { policy = "my.lua", servers = { notes = notes } }
    assert.same({ "search" }, client:names "tools")
  end)]]
end

local function is_there(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function arguments(options)
  local arg = { [0] = "lunette test" }
  for _, row in ipairs(passed) do
    local value = options[key_of(row[1])]
    if value then arg[#arg + 1] = row[2] and row[1] .. "=" .. value or row[1] end
  end
  for _, path in ipairs(options.specs) do
    if not is_there(path) then session.fail("%s can't be read: there is no such file", path) end
    arg[#arg + 1] = path
  end
  return arg
end

-- Modules in a spec's folder are found, as in a policy's.
local function find_beside(specs)
  local seen = {}
  for _, path in ipairs(specs) do
    local dir = path:match "^(.*/)[^/]*$" or ""
    if not seen[dir] then package.path = ("%s?.lua;%s?/init.lua;%s"):format(dir, dir, package.path) end
    seen[dir] = true
  end
end

-- Proxies end with what they were opened for: a test, or a file.
local function watch(busted)
  local proxies = require "lunette.test.proxy"
  local outer = { setup = 1, strict_setup = 1, lazy_setup = 1, file = 1, describe = 1, suite = 1 }
  function proxies.scope() return outer[busted.context.get().descriptor] and "file" or "test" end
  local function at(channel, fn)
    busted.subscribe(channel, function()
      fn()
      return nil, true
    end)
  end
  local run = { tests = 0 }
  at({ "test", "end" }, function()
    run.tests = run.tests + 1
    proxies.finish "test"
  end)
  at({ "file", "end" }, function() proxies.finish() end)
  return run
end

-- Runs busted to its end: its exit code, and how many tests there were.
local function run_busted(arg)
  local make, run = require "busted.core", { tests = 0 }
  package.loaded["busted.core"] = function(...)
    local busted = make(...)
    run = watch(busted)
    return busted
  end
  _G.arg = arg
  local exit, ended = os.exit, nil
  os.exit = function(code) -- luacheck: ignore 122
    ended = (code == true or code == nil) and 0 or code == false and 1 or code
    error({ ended = true }, 0)
  end
  local ok, why = xpcall(function() require "busted.runner" { standalone = false } end, function(err)
    if type(err) == "table" and err.ended then return err end
    return debug.traceback(tostring(err), 2)
  end)
  os.exit = exit -- luacheck: ignore 122
  if not ok and not ended then session.fail("busted failed: %s", why) end
  return ended or 0, run.tests
end

function M.run(options, _, command)
  if command then session.usage "takes specs, not a command after --" end
  if #options.specs == 0 then session.usage "which specs? Give one or more *_spec.lua files, or a folder" end
  local arg = arguments(options)
  if not pcall(require, "busted.core") then
    session.fail(
      "busted, which runs specs, is not installed "
        .. "(Debian: apt install lua-busted; else: luarocks install busted)"
    )
  end
  package.preload.lunette = function()
    error('"lunette" is for policies; a spec looks at one from outside, with require "lunette.test"', 0)
  end
  find_beside(options.specs)
  require "lunette.test"
  output.flush()
  local code, tests = run_busted(arg)
  require("lunette.test.proxy").finish()
  if code == 0 and tests == 0 then session.fail "no test was run" end
  return code == 0 and 0 or 1
end

return M
