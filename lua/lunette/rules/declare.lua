-- The verbs of lunette.tools and so on: hide, only, filter, rename and transform are checked where they are written,
-- and kept in that order.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local apply = require "lunette.rules.apply"
local selector = require "lunette.rules.selector"
local transform = require "lunette.rules.transform"
local schema_lists = require "lunette.schema.lists"

local M = {}

local function add(kind, verb, rule)
  rule.verb = verb
  rule.where = core.where()
  rule.position = state.next_position()
  rule.apply = apply[verb]
  local rules = state.rules[kind.verb]
  rules[#rules + 1] = rule
  if rule.enabled then rules.last_enabling = #rules end
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

function takes.flag(rule, what, value)
  rule.enabled = check.type(what, value, "boolean")
  rule.disabled = not value
end

function takes.call(rule, what, value) rule.call = check.callable(what, value) end

function takes.arguments(rule, what, value, kind) rule.arguments = transform.arguments(what, value, kind.verb) end

local function takes_edit(fn, test)
  return function(rule, what, value, _, key)
    if value ~= false or key == "name" then test(what, value) end
    rule.edits[#rule.edits + 1] = { key = key, value = value, fn = fn }
  end
end

takes.name = takes_edit(apply.edits.replace, function(what, value) check.text(what, value) end)
takes.text = takes_edit(apply.edits.replace, function(what, value) check.type(what, value, "string") end)
takes.merge = takes_edit(apply.edits.merge, function(what, value) check.type(what, value, "table") end)
takes.list = takes_edit(apply.edits.replace, check.list)
takes.schema = takes_edit(apply.edits.replace, function(what, value)
  schema_lists.mark(check.type(what, value, "table"))
  if value.type ~= "object" then check.fail("%s must be the schema of an object: { type = \"object\", … }", what) end
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
      return add(kind, "rename", { names = check_renames(text, kind, names), hits = {}, warned = {}, checked = {} })
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
  local kind = state.BY_VERB.tools
  local rule = transform_table(of.what, kind, of.changes)
  rule.native_name = of.name and check.text(of.what .. ".name", of.name)
  if of.tags then
    rule.edits[#rule.edits + 1] = { key = "_meta", value = of.tags, fn = apply.edits.tags }
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

return M
