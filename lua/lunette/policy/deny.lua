-- deny: takes away what its selectors choose. Or, with `say`, leaves it in the lists and refuses its use with
-- that sentence, so that the model learns why and what to do instead.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local uses = { tools = "tools/call", resources = "resources/read", prompts = "prompts/get" }

return options.policy("deny", {
  list = "tools", -- deny { "write_*" } is deny { tools = { "write_*" } }
  tools = options.selector(),
  resources = options.selector(),
  resource_templates = options.selector(),
  prompts = options.selector(),
  say = options.text(),
}, function(o, what)
  local any = false
  for _, kind in ipairs { "tools", "resources", "resource_templates", "prompts" } do
    any = any or o[kind] ~= nil
    if o[kind] and o.say and uses[kind] then
      lunette.on(uses[kind], o[kind], function() return lunette.deny(o.say) end)
    elseif o[kind] then
      lunette[kind].hide(o[kind])
    end
  end
  if not any then options.fail("%s: nothing to deny: give globs, or tools, resources or prompts", what) end
end) --[[@as fun(options?: lunette.policy.deny|string)]]
