-- types.lua against what is there: every public function annotated with all its parameters, and nothing annotated
-- that is not. (lunette.test's is held against itself in e2e/lunette_test.lua.)
local annotations = require "spec.support.annotations"
local json = require "spec.support.json"
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

local root = (os.getenv "LUNETTE_ROOT" or ".") .. "/lua/lunette/"
local classes = annotations.read(root .. "types.lua")

local function slurp(name)
  local file = assert(io.open(root .. name))
  local text = file:read "*a"
  file:close()
  return text
end

-- What a policy finds, as text: { [path] = { [function] = { params = n } } }, tables by their names in the module.
local dump = [==[
  local lunette = require "lunette"
  local function functions_of(t, is_method)
    local list = {}
    for name, value in pairs(t) do
      if type(value) == "function" then
        local info = debug.getinfo(value, "u")
        list[name] = { params = not info.isvararg and info.nparams - (is_method and 1 or 0) or nil }
      end
    end
    return list
  end
  local function members(t) return getmetatable(t).__index end
  local out = { lunette = functions_of(members(lunette)) }
  for name, value in pairs(members(lunette)) do
    if type(value) == "table" then out[name] = functions_of(members(value)) end
  end
  local one = lunette.upstream("one", { command = "x" })
  out.upstream_object = functions_of(getmetatable(one).__index, true)
  return lunette.json.encode(out)]==]

describe("types.lua", function()
  local there

  setup(function()
    local text, why = support.eval(dump)
    assert(text, why)
    there = json.decode(text)
  end)

  -- Which class a member of the module is of.
  local function class_of(name) return annotations.fields(classes, "lunette")[name] end

  it("tells of the module's functions, with all their parameters", function()
    assert.same({}, annotations.differences(classes, "lunette", there.lunette))
  end)

  it("tells of every table in the module, and of no other", function()
    local tables, fields = {}, {}
    for name in pairs(there) do
      if name ~= "lunette" and name ~= "upstream_object" then tables[name] = true end
    end
    for name, text in pairs(annotations.fields(classes, "lunette")) do
      if text:find "^lunette%." then fields[name] = true end
    end
    assert.same(tables, fields)
  end)

  it("tells of their functions", function()
    local looked = 0
    for name, functions in pairs(there) do
      if class_of(name) then
        assert.same({}, annotations.differences(classes, class_of(name), functions))
        looked = looked + 1
      end
    end
    assert.is_true(looked >= 7)
  end)

  it("tells of an upstream's methods", function()
    assert.same({}, annotations.differences(classes, "lunette.Upstream", there.upstream_object))
  end)

  it("tells of ctx's methods and fields", function()
    local methods, facts = {}, {}
    local text = "\n" .. slurp "running/ctx.lua"
    for name, params in text:gmatch "\nfunction methods%.([%w_]+)%(self,?%s*(.-)%)" do
      methods[name] = { params = select(2, params:gsub("[%w_]+", "")) }
    end
    assert.same({}, annotations.differences(classes, "lunette.Ctx", methods))
    for name in text:gmatch "\nfunction facts%.([%w_]+)%(" do facts[name] = true end
    for name in pairs(facts) do assert.truthy(annotations.fields(classes, "lunette.Ctx")[name], "ctx." .. name) end
    for name in text:gmatch "\nfunction session_facts%.([%w_]+)%(" do
      assert.truthy(annotations.fields(classes, "lunette.Session")[name], "ctx.session." .. name)
    end
  end)

  -- Tables of options are literals in their modules.
  local function options(file, pattern)
    local text = assert(slurp(file):match(pattern .. "(%b{})"), "no options in " .. file)
    return assert(loadstring("local function f(t) return t end return " .. text))()
  end

  for class, from in pairs {
    ["lunette.UpstreamOptions"] = { "config/upstreams.lua", "\nlocal known = " },
    ["lunette.SelectorTable"] = { "rules/selector.lua", "\nlocal known = " },
    ["lunette.HttpOptions"] = { "lib/http.lua", "\nlocal known = " },
    ["lunette.Settings"] = { "config/settings.lua", "\nlocal known = " },
    ["lunette.ToolArgumentChanges"] = { "rules/transform.lua", "\nlocal options = {\n  tools = " },
    ["lunette.ArgumentChanges"] = { "rules/transform.lua", "\n  prompts = " },
  } do
    it("tells of the options of " .. class, function()
      local known, told = {}, {}
      for name in pairs(options(unpack(from))) do known[name] = true end
      for name in pairs(annotations.fields(classes, class)) do told[name] = true end
      assert.same(known, told)
    end)
  end

  for kind, class in pairs { tools = "ToolChanges", resources = "ResourceChanges", prompts = "PromptChanges",
    resource_templates = "ResourceTemplateChanges" } do
    it("tells of what a transform of " .. kind .. " may change", function()
      for name in pairs(annotations.fields(classes, "lunette." .. class)) do
        local _, why = support.load(("lunette.%s.transform('x', { %s = coroutine.create(print) })"):format(kind, name))
        assert.is_nil(why:find("can't be transformed", 1, true), why)
      end
      local _, why = support.load(("lunette.%s.transform('x', { zzzz = 1 })"):format(kind))
      assert.truthy(why:find("zzzz can't be transformed", 1, true), why)
    end)
  end

  -- What each ready policy takes, asked of the module that checks it.
  local ready = {}
  for name in io.popen(("ls '%spolicy'"):format(root)):read("*a"):gmatch "([%w_]+)%.lua" do
    if slurp("policy/" .. name .. ".lua"):find('options.policy("' .. name, 1, true) then ready[#ready + 1] = name end
  end
  local of_policies = annotations.read(root .. "policy/types.lua")

  it("tells of the options of every ready policy", function()
    assert.is_true(#ready >= 15)
    for _, name in ipairs(ready) do
      local text, why = support.eval(([==[
        local options, known = require "lunette.policy.options", nil
        options.policy = function(_, checks) known = checks return print end
        require "lunette.policy.%s"
        known.list = nil
        return table.concat(require("lunette.base.check").sorted(known), " ")]==]):format(name))
      local told = {}
      for field in pairs(annotations.fields(of_policies, "lunette.policy." .. name)) do told[#told + 1] = field end
      table.sort(told)
      assert.equal(assert(text, why), table.concat(told, " "), name)
      assert.truthy(slurp("policy/" .. name .. ".lua"):find("[[@as fun(options%??: lunette%.policy%." .. name .. "[|)]"), name)
    end
  end)

  -- A type checker for these annotations, where there is one: cargo install emmylua_check
  it("lets a checker find mistakes, in the module's own types and in ready policies'", function()
    if os.execute "command -v emmylua_check >/dev/null" ~= 0 then pending "emmylua_check is not installed" end
    local mistakes = {
      'lunette.upstream("a", { command = "x", args = "y" })',
      'lunette.tools.hid "x"',
      "lunette.tools.hide(5)",
      'lunette.on("tools/call", function(request, forward, ctx) return ctx.sesion end)',
      'lunette.on("tools/call", function(request, forward, ctx) return ctx:call_tol "x" end)',
      'lunette.every("5", print)',
      'require "lunette.policy.rate_limit" { per = 5 }',
      'require "lunette.policy.cache" { by = 5 }',
      "local test = require 'lunette.test' test.conect {}",
    }
    local dir = support.dir() .. "/checked"
    assert(os.execute("mkdir -p '" .. dir .. "'") == 0)
    support.write("checked/.luarc.json", ('{"workspace":{"library":["%s"]},"runtime":{"version":"LuaJIT"}}'):format(
      io.popen("cd '" .. root .. "..' && pwd"):read "*l"))
    support.write("checked/bad.lua", "local lunette = require 'lunette'\n" .. table.concat(mistakes, "\n") .. "\n")
    support.write("checked/good.lua", 'local lunette = require "lunette"\nlunette.tools.hide("a", { upstream = "b" })\n'
      .. 'require "lunette.policy.deny" { "write_*", say = "no" }\nrequire "lunette.policy.read_only" {}\n')
    local report = io.popen("emmylua_check '" .. dir .. "' 2>&1"):read "*a"
    for line = 2, #mistakes + 1 do
      assert.truthy(report:find("warning: [^\n]*\n +%-%-> bad%.lua:" .. line .. ":"), mistakes[line - 1] .. "\n" .. report)
    end
    assert.falsy(report:find("%-%-> good%.lua"), report)
  end)
end)
