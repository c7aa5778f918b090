-- An item of a list on its way through the rules, and what a rule may ask of it and do to it.
--
-- { name = as presented now, upstream =, index = for C, value = its definition once a rule looked, native = the key
-- the server gave it }. A rule edits the table (value) or the bytes (text); whichever comes first is put into the
-- other. What C reads when all is done: hidden, failed, new_name, old, why, text, value (only when edited, to be laid
-- over text), by and chain (what calls go through).
local core = require "lunette.core"
local check = require "lunette.base.check"
local selector = require "lunette.rules.selector"
local template = require "lunette.rules.template"

local M = {}

--- The definition as a table, with the name it has by now. `upstream` and the server's own name can be asked of it
-- too, but are no members.
function M.value(item, kind)
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

function M.native(item, kind)
  M.value(item, kind)
  return item.native
end

--- The definition as JSON, under the name the server gave it.
function M.text(item, kind)
  local text = item.text or core.item_text(item.index)
  if item.value and item.edited then
    item.value[kind.key] = item.native
    text = core.merge(text, item.value)
    item.edited = false
  end
  return text
end

function M.note(item, rule, format, ...)
  if item.lines then item.lines[#item.lines + 1] = ("%s %s\n"):format(rule.where, format:format(...)) end
end

function M.hide(item, rule, format, ...)
  item.hidden, item.by_rule = true, rule
  M.note(item, rule, format, ...)
end

function M.show(item, rule, format, ...)
  item.hidden, item.by_rule = nil, nil
  M.note(item, rule, format, ...)
end

function M.set_name(item, kind, rule, new)
  if type(new) ~= "string" or new == "" or new:find "%c" or not core.utf8(new) then
    local text = "%s: the new name of %s must be a text, not %s"
    error(text:format(rule.where, item.name, check.describe(new)), 0)
  end
  if new == item.name then return end
  if kind.verb == "resource_templates" and template.expressions(new) ~= template.expressions(item.name) then
    local text = "%s: the new form of %s must have the same expressions, or its URIs can't be mapped back: %s has not"
    error(text:format(rule.where, item.name, new), 0)
  end
  M.note(item, rule, "rename %s -> %s", item.name, new)
  item.old = item.old or {}
  item.old[#item.old + 1] = { rule.position, item.name }
  item.name = new
  if item.value then item.value[kind.key] = new end
end

--- True when one of the globs is for this name. A URI is the one that it is in every spelling of the same
-- normal form, its own or the rule's. loosely: to refuse it, for which it is enough that some server might take it so.
function M.named(globs, name, kind, loosely)
  if selector.any(globs, name) then return true end
  if kind.verb ~= "resources" then return false end
  local normal = core.uri(name)
  if normal ~= name and selector.any(globs, normal) then return true end
  for _, glob in ipairs(globs) do
    if core.uri(glob) == normal then return true end
    local other = selector.lower_case(glob, loosely)
    if other ~= glob and (core.glob(other, name) or core.glob(other, normal)) then return true end
  end
  return false
end

--- What a rename's table says of a name: the new one, and the spelling that the table has of the old.
function M.renamed(names, name, kind)
  if names[name] or kind.verb ~= "resources" then return names[name], name end
  local normal = core.uri(name)
  for old, new in pairs(names) do
    if core.uri(old) == normal then return new, old end
  end
end

--- Whether a selector chooses an item. A template is also known by its item's name: its key is no name that people
-- use.
function M.matches(s, item, kind, ctx)
  if s.upstreams and not (item.upstream and selector.any(s.upstreams, item.upstream)) then return false end
  if s.native and M.native(item, kind) ~= s.native then return false end
  if s.names and not M.named(s.names, item.name, kind) then
    if kind.verb ~= "resource_templates" then return false end
    local name = M.value(item, kind).name
    if type(name) ~= "string" or not selector.any(s.names, name) then return false end
  end
  -- Its JSON has none of what `where` looks for.
  local text = s.hints and not item.edited and (item.text or core.item_text(item.index))
  if text and not core.holds(text, s.hints) then return false end
  local yes = not s.where or (s.where(M.value(item, kind), ctx) and true or false)
  s.hit = s.hit or yes -- see loading/unmatched.lua
  return yes
end

return M
