-- allow: hides whatever its selectors don't choose, kind by kind. A kind that is not named stays as it is;
-- one that is `false` goes as a whole.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local kinds = { "tools", "resources", "resource_templates", "prompts" }
local some = options.selector()

local function selector_or_false(what, value)
  if value == false then return false end
  return some(what, value)
end

return options.policy("allow", {
  list = "tools", -- allow { "read_*" } is allow { tools = { "read_*" } }
  tools = selector_or_false,
  resources = selector_or_false,
  resource_templates = selector_or_false,
  prompts = selector_or_false,
}, function(o, what)
  if next(o) == nil then options.fail("%s: nothing to allow: give globs, or tools, resources or prompts", what) end
  for _, kind in ipairs(kinds) do
    if o[kind] then
      lunette[kind].only(o[kind])
    elseif o[kind] == false then
      lunette[kind].hide "*"
    end
  end
end) --[[@as fun(options?: lunette.policy.allow|string)]]
