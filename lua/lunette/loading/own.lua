-- Transforms of the policy's own tools and prompts that can't hold: what these are is known when it is loaded. Rules
-- are tried on them up to the first that asks a function: that one is for lists, when there is a client.
local state = require "lunette.base.state"

local M = {}

local function asks(rule)
  if rule.fn or rule.per_client or rule.verb == "filter" then return true end
  for _, s in ipairs(rule.selectors or { rule.selector }) do
    if s.where then return true end
  end
  return false
end

local function try(component, kind, rules)
  local item = { name = component.key, text = component.json }
  for i, rule in ipairs(rules) do
    if asks(rule) or item.hidden and i > (rules.last_enabling or 0) then return end
    local ok, why = pcall(rule.apply, rule, item, kind)
    if not ok then
      local inapplicable = type(why) == "table" and why.inapplicable
      if not inapplicable then return end -- told where it is listed
      error(("%s: the %s of %s can't hold: %s"):format(rule.where, rule.verb, item.name, inapplicable), 0)
    end
  end
end

--- Raises when one can't.
function M.check()
  for _, component in ipairs(state.components) do
    if component.verb == "tools" or component.verb == "prompts" then
      try(component, state.BY_VERB[component.verb], state.rules[component.verb])
    end
  end
end

return M
