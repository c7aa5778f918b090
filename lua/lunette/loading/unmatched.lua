-- Rules and handlers that chose nothing of a list that is known as a whole, and filters that left nothing of it for
-- want of a return: told once in the log, each at its place, as what is probably a mistake. What a function decides,
-- or may decide otherwise for another client, is left alone; so are lists with nothing in them.
--
-- A rule's selectors note what they chose while the rules are applied (`hit`, in rules/item.lua). That lasts as long
-- as the policy: what was chosen once, in whoever's list, is none.
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local lint_rules = require "lunette.loading.lint_rules"
local globs = require "lunette.rules.globs"
local selector = require "lunette.rules.selector"

local M = {}

-- Names among which one that is near is looked for: it takes its time.
local MANY = 500

-- All names that the items have or had on their way, and their names at a position.
local function names_of(items)
  local all = {}
  for _, item in ipairs(items) do
    all[item.name] = true
    for _, old in ipairs(item.old or {}) do
      all[old[2]] = true
    end
  end
  return all
end

local function name_at(item, position)
  for _, old in ipairs(item.old or {}) do
    if position <= old[1] then return old[2] end
  end
  return item.name
end

-- Hidden for this client by a rule that asks for each: others may see it.
local function is_anothers(item) return item.hidden and item.by_rule and item.by_rule.per_client end

local function another_sees(view, names, position)
  for _, item in ipairs(view.items) do
    if is_anothers(item) and (not names or selector.any(names, name_at(item, position))) then return true end
  end
  return false
end

-- What may have been meant by a name, or what took it away.
local function hint(name, items, all)
  for _, item in ipairs(items) do
    if item.hidden and item.by_rule and (item.name == name or name_at(item, 0) == name) then
      return (": it is hidden at %s"):format(item.by_rule.where)
    end
  end
  if all[name] or #items > MANY then return "" end
  for _, other in ipairs(check.sorted(all)) do
    if #name > 2 and other:sub(-#name - 1) == "_" .. name then return ("; did you mean %s?"):format(other) end
  end
  return check.suggest(name, check.sorted(all))
end

-- --- what is told ------------------------------------------------------------------------------------------

local told = {} -- "WHERE\ttext" lines, in the order found

local function tell(where, text, quietly)
  local line = where .. "\t" .. text
  if told[line] then return end
  told[line] = true
  told[#told + 1] = line
  if not quietly then check.warn(where, text) end
end

--- All that has been told, a line each. Called by C.
function M.told() return table.concat(told, "\n") end

-- --- rules ---------------------------------------------------------------------------------------------------

-- Selectors that say by name or server what they are for, and that nothing else may decide.
local function is_plain(s) return not s.where end

local function any_name(list, all)
  for name in pairs(all) do
    if selector.any(list, name) then return true end
  end
  return false
end

-- any: whether another of the rule's chose something, or may.
local function look_at_selector(view, rule, s, any)
  s.looked_at = true
  local name = s.names and #s.names == 1 and globs.name(s.names[1])
  local meant = name and hint(name, view.items, view.all) or ""
  local near = meant:find "did you mean"
  -- Of several, one that chose nothing is told when it looks like another name that there is.
  local mistake = not any or (is_plain(s) and near)
  -- A list of URIs is not all that can be read.
  if view.kind.verb == "resources" and not near then mistake = false end
  if rule.verb == "only" and any and s.names and any_name(s.names, view.all) then mistake = false end
  if not mistake or another_sees(view, s.names, rule.position) then return end
  local text = ("%s: %q matches no %s%s"):format(view.verb(rule), s.text, view.kind.thing, meant)
  tell(rule.where, text, view.quietly or s.foreseen)
end

local function look_at_selectors(view, rule, list)
  local any = false
  for _, s in ipairs(list) do
    if s.hit or not is_plain(s) then any = true end
  end
  for _, s in ipairs(list) do
    if not s.hit and not s.looked_at then look_at_selector(view, rule, s, any) end
  end
end

-- A filter without a return hides all.
local function look_at_filter(view, rule)
  if not rule.asked or rule.gave or rule.looked_at then return end
  rule.looked_at = true
  local text = "%s: its function returned nothing for any %s, and so hides them all"
  tell(rule.where, text:format(view.verb(rule), view.kind.thing), view.quietly)
end

local function look_at_rule(view, rule)
  if rule.verb == "filter" then return look_at_filter(view, rule) end
  if rule.selectors then return look_at_selectors(view, rule, rule.selectors) end
  if rule.selector then return look_at_selectors(view, rule, { rule.selector }) end
  for _, old in ipairs(rule.names and check.sorted(rule.names) or {}) do
    local unseen = not rule.hits[old] and not another_sees(view, { old }, rule.position)
    if unseen and not rule.looked_at[old] then
      rule.looked_at[old] = true
      local text = ("%s: %q matches no %s%s"):format(view.verb(rule), old, view.kind.thing,
        hint(old, view.items, view.all))
      tell(rule.where, text, view.quietly or rule.foreseen[old])
    end
  end
end

-- --- handlers --------------------------------------------------------------------------------------------------

local function matches(hook, item)
  local s = hook.selector
  if s.upstreams and not (item.upstream and selector.any(s.upstreams, item.upstream)) then return false end
  return (not item.hidden or is_anothers(item)) and selector.any(s.names, name_at(item, hook.position))
end

local function look_at_hook(view, hook)
  for _, item in ipairs(view.items) do
    hook.hit = hook.hit or matches(hook, item)
  end
  if hook.hit or hook.looked_at then return end
  hook.looked_at = true
  local names = hook.selector.names
  local name = #names == 1 and globs.name(names[1])
  local meant = name and hint(name, view.items, view.all) or ""
  local text = ("lunette.on: %q matches no %s%s"):format(hook.selector.text, view.kind.thing, meant)
  tell(hook.where, text, view.quietly or hook.selector.foreseen)
end

--- Looks at what the rules of a kind made of all the items that there are. quietly: told to who asks only.
function M.look(verb, items, quietly)
  if #items == 0 then return end
  local kind = state.BY_VERB[verb]
  local view = setmetatable({ kind = kind, items = items, quietly = quietly }, {
    -- `all`, when first asked for: mostly it isn't.
    __index = function(self, key)
      if key ~= "all" then return nil end
      local all = names_of(items)
      rawset(self, key, all)
      return all
    end,
  })
  function view.verb(rule) return ("lunette.%s.%s"):format(kind.verb, rule.verb) end
  for _, rule in ipairs(state.rules[kind.verb]) do
    if not rule.per_client then look_at_rule(view, rule) end
  end
  for _, hook in ipairs(state.hooks) do
    if lint_rules.ABOUT[hook.method] == kind.verb and hook.selector.names and not hook.selector.where then
      look_at_hook(view, hook)
    end
  end
end

return M
