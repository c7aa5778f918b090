-- lunette: the one import of a policy. What each function takes and gives is in types.lua, for people
-- and editors alike, and in the folder's README.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local config_file = require "lunette.config.file"
local settings = require "lunette.config.settings"
local upstreams = require "lunette.config.upstreams"
local bytes = require "lunette.lib.bytes"
local http = require "lunette.lib.http"
local json = require "lunette.lib.json"
local rules = require "lunette.rules.declare"
local selector = require "lunette.rules.selector"
local components = require "lunette.running.components"
local contexts = require "lunette.running.ctx"
local errors = require "lunette.running.errors"
local hooks = require "lunette.running.hooks"

-- (Named for editors: those that find this file rather than types.lua know what is in it.)
---@type lunette
local lunette = {
  upstream = upstreams.upstream,
  upstreams = config_file.upstreams,
  on = hooks.on,
  sampling = hooks.sampling,
  elicitation = hooks.elicitation,
  roots = hooks.roots,
  every = hooks.every,
  http = http,
  deny = errors.deny,
  error = errors.error,
  text = errors.text,
  json = check.sealed("lunette.json", json.json),
  array = json.array,
  null = json.null,
  log = check.sealed("lunette.log", require "lunette.lib.log"),
  shared = check.sealed("lunette.shared", require "lunette.lib.shared"),
  uuid = bytes.uuid,
  random = bytes.random,
  base64 = check.sealed("lunette.base64", bytes.base64),
  sha256 = bytes.sha256,
  hmac_sha256 = bytes.hmac_sha256,
  configure = settings.configure,
  now = core.now,
}

-- --- components -------------------------------------------------------------------------------

-- ctx may stand first or last, or be left out: a handler only ever speaks for its own client.
local function without_ctx(a, ...)
  if contexts.is_ctx(a) then return ... end
  return a, ...
end

local function list_all(kind)
  local all, cursor = json.array(), nil
  for _ = 1, 10000 do
    local page = contexts.request(kind.list, cursor and { cursor = cursor } or nil)
    for _, item in ipairs(page[kind.array] or {}) do
      all[#all + 1] = item
    end
    cursor = page.nextCursor
    if type(cursor) ~= "string" then break end
  end
  return all
end

-- Items before any rule; which server one comes from can be asked of it as `upstream`, without being a
-- member.
local function inventory(kind)
  local items = json.array()
  for i, row in ipairs(core.inventory(kind.verb) or {}) do
    items[i] = setmetatable(row.item, { __index = { upstream = row.upstream } })
  end
  return items
end

local users = {
  tools = function(kind, ctx_or_name, ...)
    local name, args = without_ctx(ctx_or_name, ...)
    check.text(kind .. ".call: name", name)
    check.type(kind .. ".call: args", args, "table", true)
    return contexts.request("tools/call", { name = name, arguments = args or {} })
  end,
  resources = function(kind, ...)
    local uri = without_ctx(...)
    check.text(kind .. ".read: uri", uri)
    return contexts.request("resources/read", { uri = uri })
  end,
  prompts = function(kind, ctx_or_name, ...)
    local name, args = without_ctx(ctx_or_name, ...)
    check.text(kind .. ".get: name", name)
    check.type(kind .. ".get: args", args, "table", true)
    return contexts.request("prompts/get", { name = name, arguments = args or {} })
  end,
}
users.resource_templates = users.resources

local use_names = { tools = "call", resources = "read", resource_templates = "read", prompts = "get" }

for _, kind in ipairs(state.KINDS) do
  local verbs = rules.verbs(kind)
  local what = "lunette." .. kind.verb
  verbs.add = function(definition) components.add(kind, definition) end
  verbs.inventory = function() return inventory(kind) end
  verbs.list = function(_) return list_all(kind) end -- a handler only has its own ctx to give
  verbs[use_names[kind.verb]] = function(...) return users[kind.verb](what, ...) end
  lunette[kind.verb] = check.sealed(what, verbs)
end

--- Tells clients that the list of a kind may have changed.
function lunette.notify_changed(kind)
  check.dotted("lunette.notify_changed", kind)
  if not state.rules[kind] then
    check.fail(
      "lunette.notify_changed: kind must be tools, resources, resource_templates or prompts, not %s",
      check.describe(kind)
    )
  end
  core.notify_changed(kind)
end

-- --- the rest ---------------------------------------------------------------------------------

--- The variable of the environment; default when it is not set, an error when there is no default.
function lunette.env(name, ...)
  check.text("lunette.env: name", name)
  local value = os.getenv(name)
  if value ~= nil then return value end
  if select("#", ...) == 0 then check.fail("the environment has no %s", name) end
  return (...)
end

function lunette.match(glob, text)
  check.type("lunette.match: glob", glob, "string")
  check.type("lunette.match: text", text, "string")
  if glob:find("[", 1, true) then selector.check_glob("lunette.match", glob) end
  return core.glob(glob, text)
end

--- Waits.
function lunette.sleep(seconds)
  check.type("lunette.sleep: seconds", seconds, "number")
  core.sleep(seconds)
end

require "lunette.loading.limits"

-- The last searcher of require: instead of each place that was looked at, what to do. One that a policy adds behind
-- it is still asked.
local function found_nowhere(name)
  if package.loaders[#package.loaders] ~= found_nowhere then return nil end
  if name:find "^lunette%." then
    local policies, short = {}, "lunette.policy." .. name:match "[^.]*$"
    for _, module in ipairs(core.modules()) do
      if module:find "^lunette%.policy%." then policies[#policies + 1] = module end
    end
    check.fail("Lunette has no module %s%s", name, check.suggest(short, policies))
  end
  local file = name:gsub("%.", "/")
  check.fail("module '%s' not found: neither %s.lua nor %s/init.lua beside the policy, nor one of the system's", name,
    file, file)
end
package.loaders[#package.loaders + 1] = found_nowhere

return check.sealed("lunette", lunette, {
  policy = '; ready policies are modules: require "lunette.policy.read_only" {}',
})
