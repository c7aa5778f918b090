-- Warnings of rules and handlers that match nothing of a complete list, and of filters that return nothing for any item
-- of it: each is logged once, with its place. Not checked are rules that ask a function (but for ready policies' that
-- expect something) or depend on the client, and empty lists.
--
-- While rules are applied each selector notes that it has matched something (`hit`, in rules/item.lua). It keeps that
-- as long as the policy is loaded: a selector that has matched once, in any client's list, is not warned of.
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local lint_rules = require "lunette.loading.lint_rules"
local globs = require "lunette.rules.globs"
local selector = require "lunette.rules.selector"

local M = {}

-- Among more names than these no similar one is looked for: that takes time.
local MANY = 500

-- All names that the items have or had before a rule.
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

-- An item's name where the rule or handler of a position stands.
local function name_at(item, position)
  for _, old in ipairs(item.old or {}) do
    if position <= old[1] then return old[2] end
  end
  return item.name
end

-- Hidden by a rule that depends on the client: other clients may see it.
local function hidden_per_client(item) return item.hidden and item.by_rule and item.by_rule.per_client end

local function others_may_see(view, names, position)
  for _, item in ipairs(view.items) do
    if hidden_per_client(item) and (not names or selector.any(names, name_at(item, position))) then return true end
  end
  return false
end

-- What was probably meant by a name, or which rule hides it.
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

-- --- warnings --------------------------------------------------------------------------------------------

local given = {} -- "WHERE\ttext" lines, in the order found

local function warn(where, text, quietly)
  local line = where .. "\t" .. text
  if given[line] then return end
  given[line] = true
  given[#given + 1] = line
  if not quietly then check.warn(where, text) end
end

--- All warnings that were given, a line each. Called by C.
function M.warnings() return table.concat(given, "\n") end

-- --- rules ---------------------------------------------------------------------------------------------------

-- Selectors by name or server alone.
local function is_plain(s) return not s.where end

local function any_name(list, all)
  for name in pairs(all) do
    if selector.any(list, name) then return true end
  end
  return false
end

-- any: whether another of the rule's selectors has matched something, or may.
local function check_selector(view, rule, s, any)
  s.checked = true
  local name = s.names and #s.names == 1 and globs.name(s.names[1])
  local meant = name and hint(name, view.items, view.all) or ""
  local near = meant:find "did you mean"
  -- Of several selectors, one that matches nothing is warned of when it resembles a name that there is.
  local wrong = not any or (is_plain(s) and near)
  -- Resources can be read without being listed.
  if view.kind.verb == "resources" and not near then wrong = false end
  if rule.verb == "only" and any and s.names and any_name(s.names, view.all) then wrong = false end
  if not wrong or others_may_see(view, s.names, rule.position) then return end
  local text = ("%s: %q matches no %s%s"):format(view.verb(rule), s.text, view.kind.thing, meant)
  warn(rule.where, text, view.quietly or s.warned)
end

local function check_selectors(view, rule, list)
  local any = false
  for _, s in ipairs(list) do
    local expected = not s.hit and not s.checked and state.expected[s.where]
    if expected and not others_may_see(view, s.names, rule.position) then
      s.checked = true
      warn(rule.where, expected, view.quietly)
    end
    if s.hit or not is_plain(s) then any = true end
  end
  for _, s in ipairs(list) do
    if not s.hit and not s.checked then check_selector(view, rule, s, any) end
  end
end

-- A filter without a return hides all.
local function check_filter(view, rule)
  if not rule.asked or rule.gave or rule.checked then return end
  rule.checked = true
  local text = "%s: its function returned nothing for any %s, and so hides them all"
  warn(rule.where, text:format(view.verb(rule), view.kind.thing), view.quietly)
end

local function check_rule(view, rule)
  if rule.verb == "filter" then return check_filter(view, rule) end
  if rule.selectors then return check_selectors(view, rule, rule.selectors) end
  if rule.selector then return check_selectors(view, rule, { rule.selector }) end
  for _, old in ipairs(rule.names and check.sorted(rule.names) or {}) do
    local unseen = not rule.hits[old] and not others_may_see(view, { old }, rule.position)
    if unseen and not rule.checked[old] then
      rule.checked[old] = true
      local text = ("%s: %q matches no %s%s"):format(view.verb(rule), old, view.kind.thing,
        hint(old, view.items, view.all))
      warn(rule.where, text, view.quietly or rule.warned[old])
    end
  end
end

-- --- handlers --------------------------------------------------------------------------------------------------

local function matches(hook, item)
  local s = hook.selector
  if s.upstreams and not (item.upstream and selector.any(s.upstreams, item.upstream)) then return false end
  return (not item.hidden or hidden_per_client(item)) and selector.any(s.names, name_at(item, hook.position))
end

local function check_hook(view, hook)
  for _, item in ipairs(view.items) do
    hook.hit = hook.hit or matches(hook, item)
  end
  if hook.hit or hook.checked then return end
  hook.checked = true
  local names = hook.selector.names
  local name = #names == 1 and globs.name(names[1])
  local meant = name and hint(name, view.items, view.all) or ""
  local text = ("lunette.on: %q matches no %s%s"):format(hook.selector.text, view.kind.thing, meant)
  warn(hook.where, text, view.quietly or hook.selector.warned)
end

--- Checks what the rules of a kind made of a complete list. quietly: warnings are kept for M.warnings, not logged.
function M.check(verb, items, quietly)
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
    if not rule.per_client then check_rule(view, rule) end
  end
  for _, hook in ipairs(state.hooks) do
    if lint_rules.ABOUT[hook.method] == kind.verb and hook.selector.names and not hook.selector.where then
      check_hook(view, hook)
    end
  end
end

return M
