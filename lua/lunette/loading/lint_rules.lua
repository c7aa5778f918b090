-- What a policy's rules and handlers say to each other, looked at when all of it is loaded and no server has
-- been asked: what can't ever do anything is told with its place, as a warning. Only what is sure is told: names
-- that code makes (a rename or transform by function) end what can be known.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local globs = require "lunette.rules.globs"

local M = {}

-- What may be spent on a policy, in comparisons with a name; two globs cost as much as GLOBS of them. When it is
-- spent nothing more is known, and nothing told.
local BUDGET, GLOBS = 200000, 50
local budget = BUDGET

local function spend(n)
  budget = budget - n
  return budget > 0
end

-- What is known of the names of one kind as the rules go by:
--   gone: { glob =, where =, what = }: nothing has such a name any more; by name: gone_names
--   left: { globs =, where =, what = }: everything has one of these
--   there: name → where it came from: for sure, or as sure as the name it had before
--   own: name → where the policy itself adds it
local Names = {}
Names.__index = Names

local function safe_prefix(name) return (name:gsub("[^%w_-]", "_")) end

-- The globs that the prefixes leave, or nil where a server has none.
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
  local self = setmetatable({ gone = {}, gone_names = {}, left = {}, there = {}, own = {}, kind = kind }, Names)
  local list = kind.key == "name" and prefixed()
  if list then
    local what = "all names begin with their server's: " .. table.concat(list, " ")
    self.left[1] = { globs = list, what = what, prefixes = list }
  end
  for _, component in ipairs(state.components) do
    if component.verb == kind.verb then
      self.there[component.key], self.own[component.key] = component.where, component.where
    end
  end
  return self
end

--- Forgets all: names are now what code made of them.
function Names:blur() self.gone, self.gone_names, self.left, self.there = {}, {}, {}, {} end

-- Whether one of the globs can have something in common with a glob (which matches that name alone, if any).
local function any_meets(list, glob, name)
  for _, other in ipairs(list) do
    if not spend(name and 1 or GLOBS) then return true end
    if name and core.glob(other, name) or not name and globs.meet(other, glob) then return true end
  end
  return false
end

-- Why nothing can have a name that the glob matches: what took it, or nil.
function Names:why_none(glob)
  if budget <= 0 then return nil end
  local name = globs.name(glob)
  for one in pairs(self.there) do
    if not spend(1) or core.glob(glob, one) then return nil end
  end
  if name and self.gone_names[name] then return self.gone_names[name] end
  for _, took in ipairs(self.gone) do
    if not spend(name and 1 or GLOBS) then return nil end
    if name and core.glob(took.glob, name) or not name and globs.covers(took.glob, glob) then return took end
  end
  for _, took in ipairs(self.left) do
    if not any_meets(took.globs, glob, name) then return took end
  end
end

-- Why nothing can be chosen by the globs of a selector, or nil.
function Names:why_nothing(list)
  local first
  for _, glob in ipairs(list) do
    local why = self:why_none(glob)
    if not why then return nil end
    first = first or why
  end
  return first
end

function Names:take(glob, rule, what)
  local name = globs.name(glob)
  local took = { glob = glob, where = rule.where, what = what }
  if name then
    self.gone_names[name] = took
  else
    self.gone[#self.gone + 1] = took
  end
  for one in pairs(self.there) do
    if spend(1) and core.glob(glob, one) then self.there[one] = nil end
  end
end

-- --- telling ---------------------------------------------------------------------------------------------

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

local function tell_nothing(names, at, verb, list, why)
  check.warn(at, ("%s: %q can match no %s: %s"):format(verb, words(list), names.kind.thing, cause(why, list)))
end

-- A selector's servers that there are none of.
local function tell_servers(at, verb, s)
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
      s.foreseen = true
      check.warn(at, ("%s: no server is called %s%s"):format(verb, glob, check.suggest(glob, declared)))
    end
  end
end

-- --- by rule -----------------------------------------------------------------------------------------------

local function verb_of(names, rule) return ("lunette.%s.%s"):format(names.kind.verb, rule.verb) end

local function look(names, rule, s)
  local verb = verb_of(names, rule)
  tell_servers(rule.where, verb, s)
  local why = s.names and names:why_nothing(s.names)
  if why then tell_nothing(names, rule.where, verb, s.names, why) end
  s.foreseen = s.foreseen or why ~= nil -- unmatched.lua need not say it again
  return not why
end

-- Chooses all that has such a name, and nothing else.
local function by_name_alone(s) return s.names and not s.upstreams and not s.where end

local pass = {}

function pass.filter() end

function pass.hide(names, rule)
  for _, s in ipairs(rule.selectors) do
    if look(names, rule, s) and by_name_alone(s) then
      for _, glob in ipairs(s.names) do
        names:take(glob, rule, "hidden")
      end
    end
  end
end

function pass.only(names, rule)
  local all = {}
  for _, s in ipairs(rule.selectors) do
    look(names, rule, s)
    for _, glob in ipairs(s.names or { "*" }) do
      all[#all + 1] = glob
    end
  end
  local what = "only " .. words(all) .. " is left"
  local here = ("%s at %s (rules hold for all components, wherever they are added)"):format(what, rule.where)
  names.left[#names.left + 1] = { globs = all, where = rule.where, what = what }
  for name in pairs(names.there) do
    local stays = false
    for _, glob in ipairs(all) do
      stays = stays or not spend(1) or core.glob(glob, name)
    end
    if not stays then
      local own = names.own[name]
      if own then check.warn(own, ("lunette.%s.add: %s is hidden: %s"):format(names.kind.verb, name, here)) end
      names.there[name] = nil
    end
  end
end

-- Some or all of what had one name has another from here on.
local function renamed(names, rule, new)
  local by = names.there[new]
  if by then
    local text = "%s: %s is the name of another %s already (%s): the first in the list wins"
    check.warn(rule.where, text:format(verb_of(names, rule), new, names.kind.thing, by))
  end
  names.there[new] = rule.where
end

function pass.rename(names, rule)
  if rule.fn then return names:blur() end
  local left, news = {}, {}
  for _, old in ipairs(check.sorted(rule.names)) do
    local glob = globs.literal(old)
    local why = names:why_none(glob)
    if why then
      tell_nothing(names, rule.where, verb_of(names, rule), { old }, why)
      rule.foreseen[old] = true
    else
      left[#left + 1] = old
    end
  end
  for _, old in ipairs(left) do
    if rule.names[old] ~= old then names:take(globs.literal(old), rule, "renamed to " .. rule.names[old]) end
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

function pass.transform(names, rule)
  local s = rule.selector
  local some = look(names, rule, s)
  if rule.fn or rule.native_name then return names:blur() end
  if not some then return end
  if rule.disabled and by_name_alone(s) then
    for _, glob in ipairs(s.names) do
      names:take(glob, rule, "hidden")
    end
  elseif rule.new_name then
    local old = by_name_alone(s) and #s.names == 1 and globs.name(s.names[1])
    if old == rule.new_name then return end
    if old then names:take(s.names[1], rule, "renamed to " .. rule.new_name) end
    renamed(names, rule, rule.new_name)
  end
end

-- --- handlers ------------------------------------------------------------------------------------------------

-- What messages are about components that lists show. (Resources may be there without.)
M.ABOUT = { ["tools/call"] = "tools", ["prompts/get"] = "prompts" }

local function changes_names(rule)
  return rule.verb == "rename" or (rule.verb == "transform" and (rule.fn or rule.new_name or rule.native_name))
end

-- Handlers for what is hidden after them, as far as names are the same in between.
local function tell_hidden_later(names, waiting, rule)
  if changes_names(rule) or not spend(#waiting) then return {} end
  local still = {}
  for _, hook in ipairs(waiting) do
    local why = names:why_nothing(hook.selector.names)
    if why then
      tell_nothing(names, hook.where, "lunette.on", hook.selector.names, why)
      hook.selector.foreseen = true
    else
      still[#still + 1] = hook
    end
  end
  return still
end

local function look_at_kind(kind, hooks)
  local names, waiting, next_hook = names_of(kind), {}, 1
  local function meet_hooks(position)
    while hooks[next_hook] and hooks[next_hook].position < position do
      local hook = hooks[next_hook]
      local why = names:why_nothing(hook.selector.names)
      if why then
        tell_nothing(names, hook.where, "lunette.on", hook.selector.names, why)
        hook.selector.foreseen = true
      else
        waiting[#waiting + 1] = hook
      end
      next_hook = next_hook + 1
    end
  end
  for _, rule in ipairs(state.rules[kind.verb]) do
    meet_hooks(rule.position)
    pass[rule.verb](names, rule)
    waiting = tell_hidden_later(names, waiting, rule)
  end
  meet_hooks(math.huge)
end

--- Whether a handler is for components of a kind by their names.
function M.names_any(verb)
  for _, hook in ipairs(state.hooks) do
    if hook.selector.names and M.ABOUT[hook.method] == verb then return true end
  end
  return false
end

-- `require "lunette.policy.read_only"` alone gives a function, and protects nobody.
local function tell_unused()
  for _, name in ipairs(check.sorted(state.unused)) do
    local text = "require %q does nothing by itself; give it its options: require %q {}"
    check.warn(state.unused[name], text:format(name, name))
  end
end

--- Looks at all that is declared. Templates are left out: rules know them by two names.
function M.look()
  tell_unused()
  local by_kind = { tools = {}, prompts = {}, resources = {} } -- handlers with names
  for _, hook in ipairs(state.hooks) do
    tell_servers(hook.where, "lunette.on", hook.selector)
    local list = by_kind[M.ABOUT[hook.method]]
    if list and hook.selector.names then list[#list + 1] = hook end
  end
  for _, kind in ipairs(state.KINDS) do
    if by_kind[kind.verb] then look_at_kind(kind, by_kind[kind.verb]) end
  end
  for _, rule in ipairs(state.rules.resource_templates) do
    for _, s in ipairs(rule.selectors or { rule.selector }) do
      tell_servers(rule.where, "lunette.resource_templates." .. rule.verb, s)
    end
  end
end

return M
