-- Warnings of rules and handlers that can never do anything, found in the policy alone, before any server has been
-- asked: what an earlier rule has hidden or renamed, or a later one hides. Only what is certain is reported: after
-- names that code makes (a rename or transform by function) nothing is known any more.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local globs = require "lunette.rules.globs"

local M = {}

-- What may be spent on a policy, in comparisons with a name; comparing two globs costs as much as GLOBS of them. When
-- it is spent nothing more is reported.
local BUDGET, GLOBS = 200000, 50
local budget = BUDGET

local function spend(n)
  budget = budget - n
  return budget > 0
end

-- What is known of the names of one kind, rule after rule:
--   removed: { glob =, where =, what = }: nothing has such a name any more; removed_names: the same by name
--   allowed: { globs =, where =, what = }: every name matches one of these
--   present: name → where it came from: certain, or as certain as the name it had before
--   own: name → where the policy itself adds it
local Names = {}
Names.__index = Names

local function safe_prefix(name) return (name:gsub("[^%w_-]", "_")) end

-- The globs that all prefixed names match, or nil where a server has no prefix.
local function prefixed()
  local list, n = {}, #state.upstreams
  for i, upstream in ipairs(state.upstreams) do
    local mode = upstream.prefix_mode
    if mode == "never" or (mode == "default" and n < 2) then return nil end
    list[i] = globs.literal(mode == "given" and upstream.prefix or safe_prefix(upstream.name)) .. "_*"
  end
  return n > 0 and list or nil
end

local function names_of(kind)
  local self = setmetatable({ own = {}, kind = kind }, Names)
  self:forget()
  local list = kind.key == "name" and prefixed()
  if list then
    local what = "all names begin with their server's: " .. table.concat(list, " ")
    self.allowed[1] = { globs = list, what = what, prefixes = list }
  end
  for _, component in ipairs(state.components) do
    if component.verb == kind.verb then
      self.present[component.key], self.own[component.key] = component.where, component.where
    end
  end
  return self
end

--- Forgets all: from here on names are what code made of them.
function Names:forget() self.removed, self.removed_names, self.allowed, self.present = {}, {}, {}, {} end

-- Whether one of the globs can have something in common with a glob (which matches that name alone, if any).
local function any_meets(list, glob, name)
  for _, other in ipairs(list) do
    if not spend(name and 1 or GLOBS) then return true end
    if name and core.glob(other, name) or not name and globs.meet(other, glob) then return true end
  end
  return false
end

-- Why nothing can have a name that the glob matches: what removed it, or nil.
function Names:why_unmatched(glob)
  if budget <= 0 then return nil end
  local name = globs.name(glob)
  for one in pairs(self.present) do
    if not spend(1) or core.glob(glob, one) then return nil end
  end
  if name and self.removed_names[name] then return self.removed_names[name] end
  for _, removal in ipairs(self.removed) do
    if not spend(name and 1 or GLOBS) then return nil end
    if name and core.glob(removal.glob, name) or not name and globs.covers(removal.glob, glob) then return removal end
  end
  for _, limit in ipairs(self.allowed) do
    if not any_meets(limit.globs, glob, name) then return limit end
  end
end

-- Why nothing can be chosen by the globs of a selector, or nil.
function Names:why_unselected(list)
  local first
  for _, glob in ipairs(list) do
    local why = self:why_unmatched(glob)
    if not why then return nil end
    first = first or why
  end
  return first
end

function Names:remove(glob, rule, what)
  local name = globs.name(glob)
  local removal = { glob = glob, where = rule.where, what = what }
  if name then
    self.removed_names[name] = removal
  else
    self.removed[#self.removed + 1] = removal
  end
  for one in pairs(self.present) do
    if spend(1) and core.glob(glob, one) then self.present[one] = nil end
  end
end

-- --- warnings --------------------------------------------------------------------------------------------

local function words(list) return table.concat(list, " ") end

local function cause(why, list)
  if why.where then return ("%s at %s"):format(why.what, why.where) end
  local name = #list == 1 and globs.name(list[1])
  local hint = ""
  if name and #why.prefixes <= 3 then
    local candidates = {}
    for i, prefix in ipairs(why.prefixes) do
      candidates[i] = prefix:sub(1, -2) .. name
    end
    hint = "; did you mean " .. table.concat(candidates, " or ") .. "?"
  end
  return why.what .. hint
end

local function warn_unmatched(names, at, verb, list, why)
  check.warn(at, ("%s: %q can match no %s: %s"):format(verb, words(list), names.kind.thing, cause(why, list)))
end

-- Names of servers in a selector that no server has.
local function warn_servers(at, verb, s)
  if not s.upstreams or #state.upstreams == 0 then return end
  local declared = {}
  for i, upstream in ipairs(state.upstreams) do
    declared[i] = upstream.name
  end
  for _, glob in ipairs(s.upstreams) do
    local found = false
    for _, name in ipairs(declared) do
      found = found or not spend(1) or core.glob(glob, name)
    end
    if not found then
      s.warned = true
      check.warn(at, ("%s: no server is called %s%s"):format(verb, glob, check.suggest(glob, declared)))
    end
  end
end

-- --- by rule -----------------------------------------------------------------------------------------------

local function verb_of(names, rule) return ("lunette.%s.%s"):format(names.kind.verb, rule.verb) end

local function check_selector(names, rule, s)
  local verb = verb_of(names, rule)
  warn_servers(rule.where, verb, s)
  local why = s.names and names:why_unselected(s.names)
  if why then warn_unmatched(names, rule.where, verb, s.names, why) end
  s.warned = s.warned or why ~= nil -- so that unmatched.lua does not warn again
  return not why
end

-- Whether it chooses all that has such a name, and nothing else.
local function by_name_alone(s) return s.names and not s.upstreams and not s.where end

local apply = {}

function apply.filter() end

function apply.hide(names, rule)
  for _, s in ipairs(rule.selectors) do
    if check_selector(names, rule, s) and by_name_alone(s) then
      for _, glob in ipairs(s.names) do
        names:remove(glob, rule, "hidden")
      end
    end
  end
end

function apply.only(names, rule)
  local all = {}
  for _, s in ipairs(rule.selectors) do
    check_selector(names, rule, s)
    for _, glob in ipairs(s.names or { "*" }) do
      all[#all + 1] = glob
    end
  end
  local what = "only " .. words(all) .. " is left"
  local here = ("%s at %s (rules hold for all components, wherever they are added)"):format(what, rule.where)
  names.allowed[#names.allowed + 1] = { globs = all, where = rule.where, what = what }
  for name in pairs(names.present) do
    local stays = false
    for _, glob in ipairs(all) do
      stays = stays or not spend(1) or core.glob(glob, name)
    end
    if not stays then
      local own = names.own[name]
      if own then check.warn(own, ("lunette.%s.add: %s is hidden: %s"):format(names.kind.verb, name, here)) end
      names.present[name] = nil
    end
  end
end

-- Some or all of what had one name has another from here on.
local function renamed(names, rule, new)
  local by = names.present[new]
  if by then
    local text = "%s: %s is the name of another %s already (%s): the first in the list wins"
    check.warn(rule.where, text:format(verb_of(names, rule), new, names.kind.thing, by))
  end
  names.present[new] = rule.where
end

function apply.rename(names, rule)
  if rule.fn then return names:forget() end
  local left, news = {}, {}
  for _, old in ipairs(check.sorted(rule.names)) do
    local glob = globs.literal(old)
    local why = names:why_unmatched(glob)
    if why then
      warn_unmatched(names, rule.where, verb_of(names, rule), { old }, why)
      rule.warned[old] = true
    else
      left[#left + 1] = old
    end
  end
  for _, old in ipairs(left) do
    if rule.names[old] ~= old then names:remove(globs.literal(old), rule, "renamed to " .. rule.names[old]) end
  end
  for _, old in ipairs(left) do
    local new = rule.names[old]
    if news[new] then
      local text = "%s: %s and %s would both be called %s: the first in the list wins"
      check.warn(rule.where, text:format(verb_of(names, rule), news[new], old, new))
    elseif new ~= old then
      renamed(names, rule, new)
    end
    news[new] = old
  end
end

function apply.transform(names, rule)
  local s = rule.selector
  local some = check_selector(names, rule, s)
  if rule.fn or rule.native_name then return names:forget() end
  if not some then return end
  if rule.disabled and by_name_alone(s) then
    for _, glob in ipairs(s.names) do
      names:remove(glob, rule, "hidden")
    end
  elseif rule.new_name then
    local old = by_name_alone(s) and #s.names == 1 and globs.name(s.names[1])
    if old == rule.new_name then return end
    if old then names:remove(s.names[1], rule, "renamed to " .. rule.new_name) end
    renamed(names, rule, rule.new_name)
  end
end

-- --- handlers ------------------------------------------------------------------------------------------------

-- Methods that are about a component of a list, and its kind. (Resources can be read without being listed.)
M.ABOUT = { ["tools/call"] = "tools", ["prompts/get"] = "prompts" }

local function changes_names(rule)
  return rule.verb == "rename" or (rule.verb == "transform" and (rule.fn or rule.new_name or rule.native_name))
end

-- Warns of a handler that no name can select; false when one can.
local function warn_unselected(names, hook)
  local why = names:why_unselected(hook.selector.names)
  if not why then return false end
  warn_unmatched(names, hook.where, "lunette.on", hook.selector.names, why)
  hook.selector.warned = true
  return true
end

-- Handlers for what a later rule hides, as far as names stay the same in between.
local function warn_hidden_later(names, unwarned, rule)
  if changes_names(rule) or not spend(#unwarned) then return {} end
  local still = {}
  for _, hook in ipairs(unwarned) do
    if not warn_unselected(names, hook) then still[#still + 1] = hook end
  end
  return still
end

local function check_kind(kind, hooks)
  -- What one rule hides a later one may show again: then nothing is known.
  if state.rules[kind.verb].last_enabling then return end
  local names, unwarned, next_hook = names_of(kind), {}, 1
  local function check_hooks(position)
    while hooks[next_hook] and hooks[next_hook].position < position do
      local hook = hooks[next_hook]
      if not warn_unselected(names, hook) then unwarned[#unwarned + 1] = hook end
      next_hook = next_hook + 1
    end
  end
  for _, rule in ipairs(state.rules[kind.verb]) do
    check_hooks(rule.position)
    apply[rule.verb](names, rule)
    unwarned = warn_hidden_later(names, unwarned, rule)
  end
  check_hooks(math.huge)
end

--- Whether a handler is for components of a kind by their names.
function M.names_any(verb)
  for _, hook in ipairs(state.hooks) do
    if hook.selector.names and M.ABOUT[hook.method] == verb then return true end
  end
  return false
end

-- `require "lunette.policy.read_only"` alone gives a function, and protects nobody.
local function warn_unused()
  for _, name in ipairs(check.sorted(state.unused)) do
    local text = "require %q does nothing by itself; give it its options: require %q {}"
    check.warn(state.unused[name], text:format(name, name))
  end
end

--- Checks all that is declared. Templates are left out: rules know them by two names.
function M.check()
  warn_unused()
  local by_kind = { tools = {}, prompts = {}, resources = {} } -- handlers with names
  for _, hook in ipairs(state.hooks) do
    warn_servers(hook.where, "lunette.on", hook.selector)
    local list = by_kind[M.ABOUT[hook.method]]
    if list and hook.selector.names then list[#list + 1] = hook end
  end
  for _, kind in ipairs(state.KINDS) do
    if by_kind[kind.verb] then check_kind(kind, by_kind[kind.verb]) end
  end
  for _, rule in ipairs(state.rules.resource_templates) do
    for _, s in ipairs(rule.selectors or { rule.selector }) do
      warn_servers(rule.where, "lunette.resource_templates." .. rule.verb, s)
    end
  end
end

return M
