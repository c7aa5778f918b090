-- What clients see: hide, only, filter, rename and transform, for all four kinds. Rules are kept in the
-- order written and applied to one item after the other; each sees what the one before left.
--
-- An item on its way: { name = as presented now, upstream =, index = for C, value = its definition once
-- a rule looked, native = the key the server gave it }. A rule edits the table (value) or the bytes (text);
-- whichever comes first is put into the other. What C reads when all is done: hidden, failed, new_name, old,
-- why, text, value (only when edited, to be laid over text), by and chain (what calls go through).
local core = require "lunette.core"
local check = require "lunette.base.check"
local schema_lists = require "lunette.schema.lists"
local selector = require "lunette.rules.selector"
local state = require "lunette.base.state"
local template = require "lunette.rules.template"
local traceback = require "lunette.base.traceback"
local transform = require "lunette.rules.transform"

-- The C one: init.lua gives policies a guarded one.
local xpcall = xpcall

local M = {}

local kinds = {}
for _, kind in ipairs(state.KINDS) do
  kinds[kind.verb] = kind
end

-- --- items -------------------------------------------------------------------------------------

-- The definition as a table, with the name it has by now. `upstream` and the server's own name can be asked of it
-- too, but are no members.
local function value_of(item, kind)
  local value = item.value
  if not value then
    value = item.text and core.decode(item.text) or core.item(item.index)
    item.native = value[kind.key]
    value[kind.key] = item.name
    setmetatable(value, { __index = { upstream = item.upstream, native_name = item.native } })
    item.value = value
  end
  return value
end

local function native_of(item, kind)
  value_of(item, kind)
  return item.native
end

-- The definition as JSON, under the name the server gave it.
local function text_of(item, kind)
  local text = item.text or core.item_text(item.index)
  if item.value and item.edited then
    item.value[kind.key] = item.native
    text = core.merge(text, item.value)
    item.edited = false
  end
  return text
end

local function note(item, rule, format, ...)
  if item.lines then item.lines[#item.lines + 1] = ("%s %s\n"):format(rule.where, format:format(...)) end
end

local function hide(item, rule, format, ...)
  item.hidden, item.by_rule = true, rule
  note(item, rule, format, ...)
end

local function set_name(item, kind, rule, new)
  if type(new) ~= "string" or new == "" or new:find "%c" or not core.utf8(new) then
    local text = "%s: the new name of %s must be a text, not %s"
    error(text:format(rule.where, item.name, check.describe(new)), 0)
  end
  if new == item.name then return end
  if kind.verb == "resource_templates" and template.expressions(new) ~= template.expressions(item.name) then
    local text = "%s: the new form of %s must have the same expressions, or its URIs can't be told back: %s has not"
    error(text:format(rule.where, item.name, new), 0)
  end
  note(item, rule, "rename %s -> %s", item.name, new)
  item.old = item.old or {}
  item.old[#item.old + 1] = { rule.position, item.name }
  item.name = new
  if item.value then item.value[kind.key] = new end
end

-- True when one of the globs is for this name. A URI is the one that it is in every spelling of the same
-- normal form, its own or the rule's.
local function named(globs, name, kind)
  if selector.any(globs, name) then return true end
  if kind.verb ~= "resources" then return false end
  local normal = core.uri(name)
  if normal ~= name and selector.any(globs, normal) then return true end
  for _, glob in ipairs(globs) do
    if core.uri(glob) == normal then return true end
  end
  return false
end

-- What a rename's table says of a name: the new one, and the spelling that the table has of the old.
local function renamed(names, name, kind)
  if names[name] or kind.verb ~= "resources" then return names[name], name end
  local normal = core.uri(name)
  for old, new in pairs(names) do
    if core.uri(old) == normal then return new, old end
  end
end

-- A template is also known by its item's name: its key is no name that people use.
local function matches(s, item, kind, ctx)
  if s.upstreams and not (item.upstream and selector.any(s.upstreams, item.upstream)) then return false end
  if s.native and native_of(item, kind) ~= s.native then return false end
  if s.names and not named(s.names, item.name, kind) then
    if kind.verb ~= "resource_templates" then return false end
    local name = value_of(item, kind).name
    if type(name) ~= "string" or not selector.any(s.names, name) then return false end
  end
  local yes = not s.where or (s.where(value_of(item, kind), ctx) and true or false)
  s.hit = s.hit or yes -- see unmatched.lua
  return yes
end

-- --- the rules ---------------------------------------------------------------------------------

local apply = {}

function apply.hide(rule, item, kind, ctx)
  for _, s in ipairs(rule.selectors) do
    if matches(s, item, kind, ctx) then return hide(item, rule, "hide %s", s.text) end
  end
end

function apply.only(rule, item, kind, ctx)
  for _, s in ipairs(rule.selectors) do
    if matches(s, item, kind, ctx) then return end
  end
  hide(item, rule, "only %s", rule.text)
end

function apply.filter(rule, item, kind, ctx)
  local keeps = rule.fn(value_of(item, kind), ctx)
  rule.asked, rule.gave = true, rule.gave or keeps ~= nil
  if not keeps then hide(item, rule, "%s", rule.text or "filter") end
end

function apply.rename(rule, item, kind, ctx)
  local new
  if rule.names then
    local old
    new, old = renamed(rule.names, item.name, kind)
    if new then rule.hits[old] = true end
  else
    new = rule.fn(item.name, value_of(item, kind), ctx)
  end
  if new ~= nil then set_name(item, kind, rule, new) end
end

local function transform_by_function(rule, item, kind, ctx)
  local before = item.name
  local value = rule.fn(value_of(item, kind), ctx)
  if type(value) ~= "table" then
    error(("%s: transform must return the %s, not %s"):format(rule.where, kind.thing, check.describe(value)), 0)
  end
  local name = value[kind.key]
  item.value = setmetatable(value, { __index = { upstream = item.upstream } })
  item.by, item.edited = rule.where, true
  note(item, rule, "transform")
  if name ~= before then set_name(item, kind, rule, name) end
end

-- What becomes of a member, by what a transform says of it: false always removes it.
local edits = {}

function edits.replace(value, key, new) value[key] = new end

-- Laid over what is there; null removes one.
function edits.merge(value, key, new)
  if type(value[key]) ~= "table" then value[key] = {} end
  for name, member in pairs(new) do
    if member == core.null then member = nil end
    value[key][name] = member
  end
end

-- FastMCP's tags, where it keeps them.
function edits.tags(value, key, new)
  if type(value[key]) ~= "table" then value[key] = {} end
  local own = type(value[key]._fastmcp) == "table" and "_fastmcp" or "fastmcp"
  if type(value[key][own]) ~= "table" then value[key][own] = {} end
  value[key][own].tags = new
end

-- Another name for what the server calls `native`: what stands before that stays.
local function native_renamed(item, rule)
  local n = #rule.selector.native
  local before = item.name:sub(-n) == rule.selector.native and item.name:sub(1, -n - 1) or ""
  return before .. rule.native_name
end

-- The arguments first: a transform that can't hold changes nothing.
local function transform_calls(rule, item, kind)
  local text, layer = transform.apply(rule, text_of(item, kind), kind.verb)
  item.text, item.value = text, nil
  if layer then
    item.chain = item.chain or {}
    item.chain[#item.chain + 1] = layer
  end
end

local function transform_by_table(rule, item, kind)
  if rule.disabled then return hide(item, rule, "transform enabled = false") end
  if rule.arguments or rule.call then transform_calls(rule, item, kind) end
  if rule.new_name then set_name(item, kind, rule, rule.new_name) end
  if rule.native_name then set_name(item, kind, rule, native_renamed(item, rule)) end
  if #rule.edits > 0 then
    local value = value_of(item, kind)
    for _, edit in ipairs(rule.edits) do
      if edit.value == false then
        value[edit.key] = nil
      else
        edit.fn(value, edit.key, edit.value)
      end
    end
    item.by, item.edited = rule.where, true
  end
  if rule.summary ~= "" then note(item, rule, "transform %s", rule.summary) end
end

function apply.transform(rule, item, kind, ctx)
  if not matches(rule.selector, item, kind, ctx) then return end
  if rule.fn then return transform_by_function(rule, item, kind, ctx) end
  transform_by_table(rule, item, kind)
end

-- --- declaring ---------------------------------------------------------------------------------

local function add(kind, verb, rule)
  rule.verb = verb
  rule.where = core.where()
  rule.position = state.next_position()
  rule.apply = apply[verb]
  local rules = state.rules[kind.verb]
  rules[#rules + 1] = rule
end

local function selectors(what, ...)
  local list, per_client, words = {}, false, {}
  if select("#", ...) == 0 then check.fail("%s: nothing selected", what) end
  for i = 1, select("#", ...) do
    local s = selector.new(("%s: selector %d"):format(what, i), (select(i, ...)))
    list[i], words[i] = s, s.text
    per_client = per_client or s.takes_ctx
  end
  return { selectors = list, text = table.concat(words, " "), per_client = per_client or false }
end

-- What a transform's table may change, by kind: which check it goes through, and which edit it is. "key" is
-- what an item is known by.
local common = { title = "text", description = "text", icons = "list", _meta = "merge", enabled = "flag" }

local function transformable_of(own)
  for name, how in pairs(common) do
    own[name] = how
  end
  return own
end

local transformable = {
  tools = transformable_of {
    name = "key",
    annotations = "merge",
    outputSchema = "schema",
    arguments = "arguments",
    call = "call",
  },
  resources = transformable_of { uri = "key", name = "name", mimeType = "text", annotations = "merge" },
  resource_templates = transformable_of {
    uriTemplate = "key",
    name = "name",
    mimeType = "text",
    annotations = "merge",
  },
  prompts = transformable_of { name = "key", arguments = "arguments" },
}

local takes = {}

function takes.key(rule, what, value) rule.new_name = check.text(what, value) end

function takes.flag(rule, what, value) rule.disabled = not check.type(what, value, "boolean") end

function takes.call(rule, what, value) rule.call = check.callable(what, value) end

function takes.arguments(rule, what, value, kind) rule.arguments = transform.arguments(what, value, kind.verb) end

local function takes_edit(fn, test)
  return function(rule, what, value, _, key)
    if value ~= false or key == "name" then test(what, value) end
    rule.edits[#rule.edits + 1] = { key = key, value = value, fn = fn }
  end
end

takes.name = takes_edit(edits.replace, function(what, value) check.text(what, value) end)
takes.text = takes_edit(edits.replace, function(what, value) check.type(what, value, "string") end)
takes.merge = takes_edit(edits.merge, function(what, value) check.type(what, value, "table") end)
takes.list = takes_edit(edits.replace, check.list)
takes.schema = takes_edit(edits.replace, function(what, value)
  schema_lists.mark(check.type(what, value, "table"))
end)

local function transform_table(what, kind, changes)
  local known, rule, words = transformable[kind.verb], { edits = {} }, {}
  for _, key in ipairs(check.sorted(changes)) do
    local how = known[key]
    if not how then
      local name = tostring(key)
      local hint = name == "inputSchema" and "; see its `arguments`, or use a function"
      check.fail("%s: %s can't be transformed%s", what, name, hint or check.suggest(name, check.sorted(known)))
    end
    takes[how](rule, what .. "." .. key, changes[key], kind, key)
    if how ~= "key" and how ~= "flag" then words[#words + 1] = key end
  end
  rule.summary = table.concat(words, ", ")
  if next(changes) == nil then check.fail("%s: the table changes nothing", what) end
  return rule
end

local function check_renames(what, kind, names)
  local copy = {}
  for old, new in pairs(names) do
    check.text(what .. ": a name", old)
    check.text(("%s: the new name of %s"):format(what, old), new)
    local plain = kind.key == "uriTemplate" and old:gsub("{[^{}]*}", "") or old -- {?q*} is no glob
    local globbed = kind.key == "name" and plain:find "[%*%?%[]" or plain:find("*", 1, true)
    if globbed then
      check.fail("%s: %s looks like a glob; give the exact name, or a function(name, %s)", what, old, kind.thing)
    end
    copy[old] = new
  end
  return copy
end

--- The verbs of a kind, for lunette.tools and so on.
function M.verbs(kind)
  local v = {}
  local function what(verb)
    local text = ("lunette.%s.%s"):format(kind.verb, verb)
    check.loading(text)
    return text
  end
  function v.hide(...) add(kind, "hide", selectors(what "hide", ...)) end
  function v.only(...) add(kind, "only", selectors(what "only", ...)) end
  function v.filter(fn)
    check.callable(what "filter" .. "'s argument", fn)
    add(kind, "filter", { fn = fn, per_client = check.takes(fn, 2) })
  end
  function v.rename(names)
    local text = what "rename"
    if type(names) == "table" and not getmetatable(names) then
      return add(kind, "rename", { names = check_renames(text, kind, names), hits = {}, foreseen = {}, looked_at = {} })
    end
    check.callable(text .. "'s argument", names, "a table { old = new }")
    add(kind, "rename", { fn = names, per_client = check.takes(names, 3) })
  end
  function v.transform(which, how)
    local text = what "transform"
    local s = selector.new(text .. ": selector", which)
    local rule
    if type(how) == "table" and not (getmetatable(how) or {}).__call then
      rule = transform_table(text, kind, how)
    else
      check.callable(text .. "'s second argument", how, "a table")
      rule = { fn = how, per_client = check.takes(how, 2) }
    end
    rule.selector = s
    rule.per_client = rule.per_client or s.takes_ctx or false
    add(kind, "transform", rule)
  end
  return v
end

--- A transform of one server's tool, known by the server's own name for it, from a file. of: what = (for
-- complaints), where =, upstream =, native =, name = (the new one, without its server's prefix), tags =, changes =
-- (as transform's table).
function M.transform_native(of)
  local kind = kinds.tools
  local rule = next(of.changes) and transform_table(of.what, kind, of.changes) or { edits = {}, summary = "" }
  rule.native_name = of.name and check.text(of.what .. ".name", of.name)
  if of.tags then
    rule.edits[#rule.edits + 1] = { key = "_meta", value = of.tags, fn = edits.tags }
    rule.summary = rule.summary .. (rule.summary ~= "" and ", " or "") .. "tags"
  end
  rule.selector = { upstreams = { of.upstream }, native = of.native, text = of.native .. " of " .. of.upstream }
  rule.per_client = false
  add(kind, "transform", rule)
  rule.where = of.where
end

--- A filter from a file: where =, text = (what it is), fn =.
function M.filter_as(kind, rule)
  local where = rule.where
  add(kind, "filter", rule)
  rule.where = where
end

-- --- applying ----------------------------------------------------------------------------------

-- Says what became of items; what can't hold once, not for each client's list.
local function tell(rule, text, once)
  rule.told = rule.told or {}
  if once and rule.told[text] then return end
  rule.told[text] = once
  core.log("error", "policy", text)
end

-- An item that a rule could not be applied to. The first one of a list is told with all that there is to say;
-- the others, of which there may be a thousand, are counted in failures, by rule.
local function withhold(item, rule, kind, why, failures)
  local cant = type(why) == "table" and rawget(why, "cant")
  local whole = cant or core.whole_name(traceback.message(why))
  local short = whole:match "^[^\n]*"
  hide(item, rule, cant and "%s can't hold: %s" or "%s failed: %s", rule.verb, short)
  local text = cant and ("%s: the %s of %s can't hold, so it is withheld: "):format(rule.where, rule.verb, item.name)
    or ("%s: %s failed, %s %s is withheld: "):format(rule.where, rule.verb, kind.thing, item.name)
  item.failed = text .. short
  local seen = failures[rule]
  failures[rule] = { n = (seen and seen.n or 0) + 1, cant = (not seen or seen.cant) and cant ~= nil }
  if not seen then tell(rule, traceback.line(nil, text .. whole), cant and true) end
end

local function tell_others(rules, kind, failures)
  for _, rule in ipairs(rules) do
    local others = failures[rule] and failures[rule].n - 1 or 0
    if others > 0 then
      local text = "%s: %s withholds %d more %s%s for such an error; `lunette list --explain` tells which"
      tell(rule, text:format(rule.where, rule.verb, others, kind.thing, others > 1 and "s" or ""), failures[rule].cant)
    end
  end
end

-- (state.at stays what it was last: where it counts, nothing of the policy's own is on the stack.)
local function apply_all(rules, item, kind, ctx, failures)
  for i = 1, #rules do
    local rule = rules[i]
    state.at = rule.where
    -- debug.traceback is C: it works even when the time is up and Lua code no longer runs.
    local ok, why = xpcall(rule.apply, debug.traceback, rule, item, kind, ctx)
    if not ok then withhold(item, rule, kind, why, failures) end
    if item.hidden then return end
  end
end

-- The rules before the first that takes ctx: what they do is the same for everybody.
local function for_everybody(rules)
  local some = {}
  for i, rule in ipairs(rules) do
    if rule.per_client then return some end
    some[i] = rule
  end
  return rules
end

--- Applies a kind's rules to its items. explain: what each did is told in `why`. trial: for nobody, so that rules from
-- the first that takes ctx on are left out. Gives whether all rules were applied.
function M.present(verb, items, ctx, explain, trial)
  local kind, rules, failures = kinds[verb], state.rules[verb], {}
  if trial then rules = for_everybody(rules) end
  for _, item in ipairs(items) do
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
  tell_others(rules, kind, failures)
  return rules == state.rules[verb]
end

--- An item that a list shows, as the rules written before `position` make it: for a handler's `where`.
function M.at(verb, position, item, ctx)
  local kind = kinds[verb]
  for _, rule in ipairs(state.rules[verb]) do
    if rule.position > position then break end
    if rule.verb == "rename" or rule.verb == "transform" then rule.apply(rule, item, kind, ctx) end
  end
  return value_of(item, kind)
end

-- Could these selectors match a name nothing else is known of?
local function may_match(list, name, kind)
  for _, s in ipairs(list) do
    if s.native then
      if name:sub(-#s.native) == s.native then return true end
    elseif not s.names or kind.verb == "resource_templates" or named(s.names, name, kind) then
      return true
    end
  end
  return false
end

local function surely_matches(list, name, kind)
  for _, s in ipairs(list) do
    if s.names and not s.upstreams and not s.where and named(s.names, name, kind) then return true end
  end
  return false
end

--- Called by C for a name that no list has shown: could a rule have hidden it?
function M.may_hide(verb, name)
  local kind, known = kinds[verb], true -- known: the name is what it would be by now
  for _, rule in ipairs(state.rules[verb]) do
    if rule.verb == "filter" then
      return true
    elseif rule.verb == "hide" then
      if not known or may_match(rule.selectors, name, kind) then return true end
    elseif rule.verb == "only" then
      if not known or not surely_matches(rule.selectors, name, kind) then return true end
    elseif rule.verb == "rename" and rule.names then
      name = (renamed(rule.names, name, kind)) or name
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
