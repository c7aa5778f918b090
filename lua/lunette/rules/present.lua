-- Lists through the rules of their kind, which are applied in the order written to one item after the other; each sees
-- what the one before left. What an item is on its way: item.lua.
local core = require "lunette.core"
local state = require "lunette.base.state"
local traceback = require "lunette.base.traceback"
local globs = require "lunette.rules.globs"
local items = require "lunette.rules.item"

-- The C one: loading/limits.lua gives policies a guarded one.
local xpcall = xpcall

local M = {}

-- Logs what became of items. once: not again for each client's list.
local function report(rule, text, once)
  rule.reported = rule.reported or {}
  if once and rule.reported[text] then return end
  rule.reported[text] = once
  core.log("error", "policy", text)
end

-- Hides an item that a rule failed on. The first one of a list is logged with the whole error; the others, of which
-- there may be a thousand, are counted in failures, by rule.
local function withhold(item, rule, kind, why, failures)
  local inapplicable = type(why) == "table" and rawget(why, "inapplicable") or nil
  local whole = inapplicable or core.whole_name(traceback.message(why))
  whole = traceback.without_place(whole, rule.where)
  local short = whole:match "^[^\n]*"
  items.hide(item, rule, inapplicable and "%s can't hold: %s" or "%s failed: %s", rule.verb, short)
  local text = ("%s: %s failed, %s %s is withheld: "):format(rule.where, rule.verb, kind.thing, item.name)
  if inapplicable then
    text = ("%s: the %s of %s can't hold, so it is withheld: "):format(rule.where, rule.verb, item.name)
  end
  item.failed = text .. short
  -- once: all the rule's failures so far are of the schema, which is the same for every client.
  local seen = failures[rule]
  failures[rule] = { n = (seen and seen.n or 0) + 1, once = (not seen or seen.once) and inapplicable ~= nil }
  if not seen then report(rule, traceback.line(nil, text .. whole), inapplicable ~= nil) end
end

local function report_others(rules, kind, failures)
  for _, rule in ipairs(rules) do
    local others = failures[rule] and failures[rule].n - 1 or 0
    if others > 0 then
      local text = "%s: %s withholds %d more %s%s for such an error; `lunette list --explain` shows which"
      text = text:format(rule.where, rule.verb, others, kind.thing, others > 1 and "s" or "")
      report(rule, text, failures[rule].once)
    end
  end
end

-- (state.at keeps the last rule's place: it is only read where nothing of the policy's own is on the stack.)
local function apply_all(rules, item, kind, ctx, failures)
  for i = 1, #rules do
    local rule = rules[i]
    state.at = rule.where
    -- debug.traceback is C: it works even when the time is up and Lua code no longer runs.
    local ok, why = xpcall(rule.apply, debug.traceback, rule, item, kind, ctx)
    if not ok then return withhold(item, rule, kind, why, failures) end
    -- What is hidden goes on through the rules as long as one may be to come that shows it again.
    if item.hidden and i >= (rules.last_enabling or 0) then return end
  end
end

-- The rules before the first that takes ctx: what they do is the same for everybody.
local function for_everybody(rules)
  local some = {}
  for i, rule in ipairs(rules) do
    if rule.per_client then return some end
    some[i] = rule
    if rule.enabled then some.last_enabling = i end
  end
  return rules
end

--- Applies a kind's rules to a list of its items. explain: `why` of each says what was done. trial: without a
-- client, so that rules from the first that takes ctx on are left out. Returns whether all rules were applied.
function M.present(verb, list, ctx, explain, trial)
  local kind, rules, failures = state.BY_VERB[verb], state.rules[verb], {}
  if trial then rules = for_everybody(rules) end
  for _, item in ipairs(list) do
    local first = item.name
    if explain then item.lines = {} end
    apply_all(rules, item, kind, ctx, failures)
    if item.name ~= first then item.new_name = item.name end
    if item.lines and #item.lines > 0 then item.why = table.concat(item.lines) end
    if item.edited and not item.hidden then
      -- The name is C's to put in, over the server's own.
      item.value[kind.key] = item.native
    else
      item.value = nil
    end
  end
  report_others(rules, kind, failures)
  return rules == state.rules[verb]
end

--- An item that a list shows, as the rules written before `position` make it: for a handler's `where`.
function M.at(verb, position, item, ctx)
  local kind = state.BY_VERB[verb]
  for _, rule in ipairs(state.rules[verb]) do
    if rule.position > position then break end
    if rule.verb == "rename" or rule.verb == "transform" then rule.apply(rule, item, kind, ctx) end
  end
  return items.value(item, kind)
end

-- Could these selectors match a name nothing else is known of?
local function may_match(list, name, kind)
  for _, s in ipairs(list) do
    if s.native then
      if name:sub(-#s.native) == s.native then return true end
    elseif not s.names or kind.verb == "resource_templates" or items.named(s.names, name, kind, true) then
      return true
    end
  end
  return false
end

local function surely_matches(list, name, kind)
  for _, s in ipairs(list) do
    if s.names and not s.upstreams and not s.where and items.named(s.names, name, kind) then return true end
  end
  return false
end

--- Called by C for a name that no list has shown: could a rule give it to what a server has by another?
function M.may_rename(verb, name)
  for _, rule in ipairs(state.rules[verb]) do
    if rule.verb == "rename" or rule.verb == "transform" then
      if rule.fn or rule.new_name == name then return true end
      for _, new in pairs(rule.names or {}) do
        if new == name then return true end
      end
      if rule.native_name and name:sub(-#rule.native_name) == rule.native_name then return true end
    end
  end
  return false
end

local function some(globs_of_rule, glob, holds)
  for _, name in ipairs(globs_of_rule) do
    if holds(name, glob) then return true end
  end
  return false
end

--- Called by C for what some server might take a URI for: does a rule hide it by its globs?
function M.hides(verb, name)
  for _, rule in ipairs(state.rules[verb]) do
    for _, s in ipairs(rule.verb == "hide" and rule.selectors or {}) do
      if s.names and items.named(s.names, name, state.BY_VERB[verb], true) then return true end
    end
  end
  return false
end

--- Called by C: do rules hide all that this glob matches? What rules rename is theirs to show, and what a function
-- decides is not known. A long glob counts as hidden, as it is compared with each of the rules'.
function M.hides_all(verb, glob)
  if #glob > 256 then return true end
  for _, rule in ipairs(state.rules[verb]) do
    local left = false
    for _, s in ipairs(rule.selectors or {}) do
      local whole = s.names and not s.upstreams and not s.where
      if rule.verb == "hide" and whole and some(s.names, glob, globs.covers) then return true end
      left = left or not s.names or some(s.names, glob, globs.meet)
    end
    if rule.verb == "only" and not left then return true end
    if rule.verb == "rename" or rule.verb == "transform" then return false end
  end
  return false
end

--- Called by C for a name that no list has shown: could a rule have hidden it?
function M.may_hide(verb, name)
  local kind, known = state.BY_VERB[verb], true -- known: the name is what it would be by now
  for _, rule in ipairs(state.rules[verb]) do
    if rule.verb == "filter" then
      return true
    elseif rule.verb == "hide" then
      if not known or may_match(rule.selectors, name, kind) then return true end
    elseif rule.verb == "only" then
      if not known or not surely_matches(rule.selectors, name, kind) then return true end
    elseif rule.verb == "rename" and rule.names then
      name = (items.renamed(rule.names, name, kind)) or name
    elseif rule.fn then
      known = false
    elseif rule.arguments or rule.call or rule.disabled then
      -- Not passed unedited: what the transform would make of it is not known.
      if not known or may_match({ rule.selector }, name, kind) then return true end
    elseif (rule.new_name or rule.native_name) and may_match({ rule.selector }, name, kind) then
      known = false
    end
  end
  return false
end

return M
