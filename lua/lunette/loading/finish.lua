-- The end of loading: what a policy declared is closed, and what C asks of it is worked out.
local core = require "lunette.core"
local state = require "lunette.base.state"
local lint_rules = require "lunette.loading.lint_rules"
local own = require "lunette.loading.own"

local M = {}

-- What messages are about, by method: whose definitions a handler's `where` asks for.
local subjects = {
  tools = { "tools/call" },
  resources = { "resources/read", "resources/subscribe", "resources/unsubscribe" },
  resource_templates = { "resources/read", "resources/subscribe", "resources/unsubscribe", "completion/complete" },
  prompts = { "prompts/get", "completion/complete" },
}

local function is_looked_at(verb)
  for _, hook in ipairs(state.hooks) do
    for _, method in ipairs(hook.test and subjects[verb] or {}) do
      if core.glob(hook.method, method) then return true end
    end
  end
  return false
end

-- Whether the policy says anything of single components of a kind: by rules, by handlers with a selector, by ready
-- policies. What no list shows is refused then, as servers may take for the same what neither names nor globs do
-- ("wipe " for "wipe").
local function is_strict(kind, rules)
  if #rules > 0 then return true end
  for _, component in ipairs(state.components) do
    if component.ready and component.kind == kind.kind then return true end
  end
  for _, hook in ipairs(state.hooks) do
    if hook.ready and core.glob(hook.method, kind.list) then return true end
    for _, method in ipairs((hook.ready or next(hook.selector)) and subjects[kind.verb] or {}) do
      if core.glob(hook.method, method) then return true end
    end
  end
  return false
end

--- Called by C when every target has loaded: nothing can be declared from here on.
function M.finish()
  state.closed = true
  for _, kind in ipairs(state.KINDS) do
    local rules, per_client, on_calls = state.rules[kind.verb], false, false
    for _, rule in ipairs(rules) do
      per_client = per_client or rule.per_client
      on_calls = on_calls or rule.arguments ~= nil or rule.call ~= nil
    end
    state.n_rules = state.n_rules + #rules
    state.kinds[kind.verb] = {
      has_rules = #rules > 0 or is_looked_at(kind.verb),
      per_client = per_client,
      strict = is_strict(kind, rules),
      on_calls = on_calls,
      watched = #rules > 0 or lint_rules.names_any(kind.verb),
    }
  end
  for _, component in ipairs(state.components) do
    component.json = core.encode(component.definition)
  end
  own.check()
  lint_rules.check()
end

return M
