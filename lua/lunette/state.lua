-- What a policy has declared so far. The C side copies it out when loading is done (see
-- src/script/decls.c); functions stay here and are found by their index.
local core = require "lunette.core"

local M = {
  closed = false,
  position = 0, -- of the last rule or handler written
  upstreams = {},
  hooks = {},
  components = {},
  timers = {},
  rules = { tools = {}, resources = {}, resource_templates = {}, prompts = {} },
  settings = {},
  at = "?", -- FILE:LINE of the rule that is or was applied last
  warnings = 0, -- told so far
  unused = {}, -- ready policies that were required and are not called yet: name → FILE:LINE
  n_rules = 0, -- for C: of all kinds, when loaded
  kinds = {}, -- for C: { tools = { has_rules =, per_client =, on_calls =, … } … }
}

--- The kinds in the order of the C side's enum, with what differs between them.
-- key: the member an item is known by; list: how a client asks for all; array: where they are.
M.KINDS = {
  {
    kind = 0,
    verb = "tools",
    thing = "tool",
    key = "name",
    list = "tools/list",
    array = "tools",
  },
  {
    kind = 1,
    verb = "resources",
    thing = "resource",
    key = "uri",
    list = "resources/list",
    array = "resources",
  },
  {
    kind = 2,
    verb = "resource_templates",
    thing = "resource template",
    key = "uriTemplate",
    list = "resources/templates/list",
    array = "resourceTemplates",
  },
  { kind = 3, verb = "prompts", thing = "prompt", key = "name", list = "prompts/list", array = "prompts" },
}

--- The place of the next rule among all: what nests outside what.
function M.next_position()
  M.position = M.position + 1
  return M.position
end

-- What messages are about, by method: whose definitions a handler's `where` asks for.
local subjects = {
  tools = { "tools/call" },
  resources = { "resources/read", "resources/subscribe", "resources/unsubscribe" },
  resource_templates = { "resources/read", "resources/subscribe", "resources/unsubscribe", "completion/complete" },
  prompts = { "prompts/get", "completion/complete" },
}

local function is_looked_at(verb)
  for _, hook in ipairs(M.hooks) do
    for _, method in ipairs(hook.test and subjects[verb] or {}) do
      if core.glob(hook.method, method) then return true end
    end
  end
  return false
end

--- Called by C when every target has loaded: nothing can be declared from here on.
function M.close()
  local foresee = require "lunette.foresee" -- here, since it stands on this module
  M.closed = true
  for _, kind in ipairs(M.KINDS) do
    local rules, per_client, on_calls = M.rules[kind.verb], false, false
    for _, rule in ipairs(rules) do
      per_client = per_client or rule.per_client
      on_calls = on_calls or rule.arguments ~= nil or rule.call ~= nil
    end
    M.n_rules = M.n_rules + #rules
    M.kinds[kind.verb] = {
      has_rules = #rules > 0 or is_looked_at(kind.verb),
      per_client = per_client,
      on_calls = on_calls,
      watched = #rules > 0 or foresee.names_any(kind.verb),
    }
  end
  for _, component in ipairs(M.components) do
    component.json = core.encode(component.definition)
  end
  foresee.look()
end

return M
