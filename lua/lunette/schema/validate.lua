-- Whether a value fits a JSON Schema: 2020-12, and what is different in 2019-09, draft-07 and draft-06 where a
-- schema says that it is one of these. All keywords that assert; `format` and `content…` only describe, as the
-- specification has it. Where references lead is in refs.lua. Work has a limit, since servers write schemas.
--
-- Which properties and items were evaluated is noted in `seen`, where `unevaluated…` asks for it.
local core = require "lunette.core"
local refs = require "lunette.schema.refs"
local values = require "lunette.schema.values"

local M = {}

local STEPS = 100000 -- schemas applied to values
local DEPTH = 200 -- in one another
local ERRORS = 5 -- that are listed

local is_array, target, unusable = refs.is_array, refs.target, refs.unusable

local dialects = {
  ["https://json-schema.org/draft/2020-12/schema"] = "new",
  ["https://json-schema.org/draft/2019-09/schema"] = "new",
  ["http://json-schema.org/draft-07/schema"] = "old",
  ["http://json-schema.org/draft-06/schema"] = "old",
}

local is_object, types = values.is_object, values.types
local equal, length_of, sorted_keys, describe = values.equal, values.length, values.sorted_keys, values.describe

-- --- applying schemas --------------------------------------------------------------------------------------

local apply

-- Notes what is wrong at a place; returns false, for the caller to return.
local function wrong(self, at, format, ...)
  if self.quiet == 0 then
    self.count = self.count + 1
    if #self.errors < ERRORS then self.errors[#self.errors + 1] = at .. " " .. format:format(...) end
  end
  return false
end

-- Like apply, without noting errors.
local function fits(self, schema, value, at, scope, seen)
  self.quiet = self.quiet + 1
  local ok = apply(self, schema, value, at, scope, seen)
  self.quiet = self.quiet - 1
  return ok
end

local function merge(into, from)
  if not into then return end
  into.all_items, into.all_names = into.all_items or from.all_items, into.all_names or from.all_names
  for _, set in ipairs { "items", "names" } do
    for key in pairs(from[set]) do
      into[set][key] = true
    end
  end
end

local function fresh(seen) return seen and { items = {}, names = {} } end

-- apply or fits, and what they evaluated counts only when it fits.
local function branch(how, self, schema, value, at, scope, seen)
  local own = fresh(seen)
  local ok = how(self, schema, value, at, scope, own)
  if ok and own then merge(seen, own) end
  return ok
end

local function member(at, name)
  return name:find "^[%a_][%w_-]*$" and at .. "." .. name or ("%s[%s]"):format(at, core.encode(name, "name"))
end

-- A function that tells whether a text matches.
local function matcher(self, pattern)
  local found = refs.regex_of(self, pattern)
  return found and function(text)
    local ok, why = found(text)
    if why then unusable("its pattern %s can't be tried: %s", pattern, why) end
    return ok
  end
end

-- The same for names of members: what is not known of them is not known of additionalProperties.
local function name_matcher(self, pattern)
  return matcher(self, pattern)
    or unusable("its pattern %s for names has what is not supported: %s", pattern, self.odd[pattern])
end

-- Each keyword: function(self, its value, the value, at, the schema, scope, seen).
local any, numbers, strings, arrays, objects = {}, {}, {}, {}, {}

function any.type(self, wanted, value, at)
  for _, name in ipairs(type(wanted) == "table" and wanted or { wanted }) do
    if types[name] and types[name](value) then return true end
  end
  local names = type(wanted) == "table" and table.concat(wanted, " or ") or tostring(wanted)
  return wrong(self, at, "must be of type %s, not %s", names, describe(value))
end

function any.enum(self, list, value, at)
  local texts = {}
  for i, one in ipairs(list) do
    if equal(one, value) then return true end
    texts[i] = describe(one)
  end
  local all = table.concat(texts, ", ")
  return wrong(self, at, "must be one of %s", #all > 300 and all:sub(1, 297):gsub("[\128-\255]*$", "") .. "…" or all)
end

function any.const(self, wanted, value, at)
  return equal(wanted, value) or wrong(self, at, "must be %s", describe(wanted))
end

function any.allOf(self, list, value, at, _, scope, seen)
  local ok = true
  for _, schema in ipairs(list) do
    ok = apply(self, schema, value, at, scope, seen) and ok
  end
  return ok
end

function any.anyOf(self, list, value, at, _, scope, seen)
  local ok = false
  for _, schema in ipairs(list) do
    if branch(fits, self, schema, value, at, scope, seen) then
      if not seen then return true end
      ok = true
    end
  end
  if ok then return true end
  if #list == 1 then return apply(self, list[1], value, at, scope, seen) end
  return wrong(self, at, "fits none of the schemas of anyOf")
end

function any.oneOf(self, list, value, at, _, scope, seen)
  local n = 0
  for _, schema in ipairs(list) do
    if branch(fits, self, schema, value, at, scope, seen) then n = n + 1 end
  end
  return n == 1 or wrong(self, at, "must fit one of the schemas of oneOf, not %s", n == 0 and "none" or n)
end

any["not"] = function(self, schema, value, at, _, scope)
  return not fits(self, schema, value, at, scope) or wrong(self, at, "fits what it must not (not)")
end

any["if"] = function(self, condition, value, at, schema, scope, seen)
  local next_one = schema["else"]
  if branch(fits, self, condition, value, at, scope, seen) then next_one = schema["then"] end
  return next_one == nil or apply(self, next_one, value, at, scope, seen)
end

any["$ref"] = function(self, reference, value, at, schema, scope, seen)
  return apply(self, (target(self, schema, reference)), value, at, scope, seen)
end

-- The outermost schema on the way here that has the anchor, if what is referred to has it at all.
any["$dynamicRef"] = function(self, reference, value, at, schema, scope, seen)
  local found, fragment, resource = target(self, schema, reference)
  if resource.dynamic[fragment] == found then
    local outer = scope
    while outer do
      found = outer.resource.dynamic[fragment] or found
      outer = outer.outer
    end
  end
  return apply(self, found, value, at, scope, seen)
end

any["$recursiveRef"] = any["$dynamicRef"]

function numbers.multipleOf(self, divisor, value, at)
  local times = value / divisor
  local near = math.floor(times + 0.5)
  -- 0.3 is a multiple of 0.1, whatever binary fractions make of it.
  local off = math.abs(near * divisor - value) -- NaN where the quotient is infinite
  if off == 0 or math.abs(times - near) <= 1e-9 and off <= math.abs(value) * 1e-15 then return true end
  return wrong(self, at, "must be a multiple of %s", divisor)
end

local function compare(keyword, words, test)
  numbers[keyword] = function(self, limit, value, at)
    return type(limit) ~= "number" or test(value, limit) or wrong(self, at, "must be %s %s", words, limit)
  end
end
compare("maximum", "at most", function(a, b) return a <= b end)
compare("minimum", "at least", function(a, b) return a >= b end)
compare("exclusiveMaximum", "less than", function(a, b) return a < b end)
compare("exclusiveMinimum", "more than", function(a, b) return a > b end)

-- Keywords about how many there are.
local function limit(set, keyword, measure, words, test)
  set[keyword] = function(self, n, value, at)
    return test(measure(value), n) or wrong(self, at, words, n)
  end
end
local function at_most(a, b) return a <= b end
local function at_least(a, b) return a >= b end
local function count(object)
  local n = 0
  for _ in pairs(object) do
    n = n + 1
  end
  return n
end
local function items(array) return #array end
limit(strings, "maxLength", length_of, "must have at most %s characters", at_most)
limit(strings, "minLength", length_of, "must have at least %s characters", at_least)
limit(arrays, "maxItems", items, "must have at most %s items", at_most)
limit(arrays, "minItems", items, "must have at least %s items", at_least)
limit(objects, "maxProperties", count, "must have at most %s members", at_most)
limit(objects, "minProperties", count, "must have at least %s members", at_least)

function strings.pattern(self, pattern, value, at)
  local matches = matcher(self, pattern)
  return not matches or matches(value) or wrong(self, at, "must match the pattern %s", pattern)
end

local function twice(self, at, first, second)
  return wrong(self, at, "must not have an item twice: [%d] and [%d]", first - 1, second - 1)
end

function arrays.uniqueItems(self, wanted, value, at)
  if wanted ~= true then return true end
  local plain = {}
  for i, item in ipairs(value) do
    if type(item) ~= "table" then
      local twin = plain[item]
      if twin then return twice(self, at, twin, i) end
      plain[item] = i
    else
      for k = 1, i - 1 do
        self.steps = self.steps + 1
        if self.steps > STEPS then unusable "it takes too long to check" end
        if equal(value[k], item) then return twice(self, at, k, i) end
      end
    end
  end
  return true
end

local function each(self, list, from, schema, at, scope, seen)
  local ok = true
  for i = from, #list do
    ok = apply(self, schema, list[i], ("%s[%d]"):format(at, i - 1), scope) and ok
    if seen then seen.items[i] = true end
  end
  return ok
end

local function prefix(self, schemas, value, at, scope, seen)
  local ok = true
  for i = 1, math.min(#schemas, #value) do
    ok = apply(self, schemas[i], value[i], ("%s[%d]"):format(at, i - 1), scope) and ok
    if seen then seen.items[i] = true end
  end
  return ok
end

function arrays.prefixItems(self, schemas, value, at, _, scope, seen)
  return prefix(self, schemas, value, at, scope, seen)
end

function arrays.items(self, items_schema, value, at, schema, scope, seen)
  if is_array(items_schema) then -- until 2019-09: by position, and additionalItems for the rest
    local ok = prefix(self, items_schema, value, at, scope, seen)
    if schema.additionalItems == nil then return ok end
    return each(self, value, #items_schema + 1, schema.additionalItems, at, scope, seen) and ok
  end
  return each(self, value, #(schema.prefixItems or {}) + 1, items_schema, at, scope, seen)
end

function arrays.contains(self, inner, value, at, schema, scope, seen)
  local n = 0
  for i, item in ipairs(value) do
    if fits(self, inner, item, at, scope) then
      n = n + 1
      if seen and not self.old then seen.items[i] = true end
    end
  end
  local least, most = schema.minContains or 1, schema.maxContains or math.huge
  if self.old then
    least, most = 1, math.huge
  end
  return n >= least and n <= most or wrong(self, at, "has %d items of the kind that it must contain", n)
end

function objects.required(self, names, value, at)
  local ok = true
  for _, name in ipairs(names) do
    if value[name] == nil then ok = wrong(self, at, "lacks %s", name) end
  end
  return ok
end

-- Applies to each member the schema that schema_of(name) gives for it, if any. none: what a schema of false says then.
local function members(self, value, at, scope, seen, schema_of, none)
  local ok = true
  for _, name in ipairs(sorted_keys(value)) do
    local schema = schema_of(name)
    if schema == false and none then
      ok = wrong(self, at, none, name)
    elseif schema ~= nil then
      ok = apply(self, schema, value[name], member(at, name), scope) and ok
    end
    if schema ~= nil and seen then seen.names[name] = true end
  end
  return ok
end

function objects.properties(self, schemas, value, at, _, scope, seen)
  return members(self, value, at, scope, seen, function(name) return schemas[name] end)
end

function objects.patternProperties(self, schemas, value, at, _, scope, seen)
  local ok = true
  for _, pattern in ipairs(sorted_keys(schemas)) do
    local matches = name_matcher(self, pattern)
    local function schema_of(name)
      if matches(name) then return schemas[pattern] end
    end
    ok = members(self, value, at, scope, seen, schema_of) and ok
  end
  return ok
end

local function rest(self, schema, value, at, scope, seen, named)
  local function schema_of(name)
    if not named(name) then return schema end
  end
  return members(self, value, at, scope, seen, schema_of, "has no member %s")
end

function objects.additionalProperties(self, inner, value, at, schema, scope, seen)
  local names, patterns = schema.properties or {}, {}
  for pattern in pairs(schema.patternProperties or {}) do
    patterns[#patterns + 1] = name_matcher(self, pattern)
  end
  return rest(self, inner, value, at, scope, seen, function(name)
    if names[name] ~= nil then return true end
    for _, matches in ipairs(patterns) do
      if matches(name) then return true end
    end
    return false
  end)
end

function objects.propertyNames(self, inner, value, at, _, scope)
  for _, name in ipairs(sorted_keys(value)) do
    if not fits(self, inner, name, at, scope) then return wrong(self, at, "must not have a member called %s", name) end
  end
  return true
end

function objects.dependentRequired(self, map, value, at)
  for _, name in ipairs(sorted_keys(map)) do
    if value[name] ~= nil and not objects.required(self, map[name], value, at) then return false end
  end
  return true
end

function objects.dependentSchemas(self, map, value, at, _, scope, seen)
  local ok = true
  for _, name in ipairs(sorted_keys(map)) do
    if value[name] ~= nil then ok = apply(self, map[name], value, at, scope, seen) and ok end
  end
  return ok
end

function objects.dependencies(self, map, value, at, _, scope, seen)
  local ok = true
  for _, name in ipairs(sorted_keys(map)) do
    if value[name] ~= nil and is_array(map[name]) then
      ok = objects.required(self, map[name], value, at) and ok
    elseif value[name] ~= nil then
      ok = apply(self, map[name], value, at, scope, seen) and ok
    end
  end
  return ok
end

-- After all others: what none of them evaluated.
local function unevaluated(self, schema, value, at, scope, seen)
  local ok = true
  if is_array(value) and schema.unevaluatedItems ~= nil then
    for i, item in ipairs(value) do
      if not seen.items[i] then
        ok = apply(self, schema.unevaluatedItems, item, ("%s[%d]"):format(at, i - 1), scope) and ok
        seen.items[i] = true
      end
    end
  elseif is_object(value) and schema.unevaluatedProperties ~= nil then
    ok = rest(self, schema.unevaluatedProperties, value, at, scope, seen, function(name) return seen.names[name] end)
  end
  return ok
end

-- The keywords that are there, in an order, so that errors have one too.
local function words_of(self, schema)
  local words = self.words[schema]
  if not words then
    words = sorted_keys(schema)
    self.words[schema] = words
  end
  return words
end

local sets = { number = numbers, string = strings }
local none = {}

local function keywords(self, schema, value, at, scope, seen)
  local set = sets[type(value)] or is_array(value) and arrays or is_object(value) and objects or none
  local ok = true
  for _, word in ipairs(words_of(self, schema)) do
    local test = any[word] or set[word]
    if test then ok = test(self, schema[word], value, at, schema, scope, seen) and ok end
  end
  return ok
end

function apply(self, schema, value, at, scope, seen)
  if schema == true then return true end
  if schema == false then return wrong(self, at, "must not be there") end
  if not is_object(schema) then unusable("it has %s where a schema belongs", describe(schema)) end
  self.steps, self.depth = self.steps + 1, self.depth + 1
  if self.steps > STEPS then unusable "it takes too long to check" end
  if self.depth > DEPTH then unusable "it goes round in a circle, or too deep" end
  local resource = self.of[schema]
  if not scope or scope.resource ~= resource then scope = { resource = resource, outer = scope } end
  local own = self.unevaluated and type(value) == "table" and { items = {}, names = {} } or nil
  local ok
  if self.old and schema["$ref"] ~= nil then -- what stands beside it says nothing there
    ok = any["$ref"](self, schema["$ref"], value, at, schema, scope, own)
  else
    ok = keywords(self, schema, value, at, scope, own)
    if own then ok = unevaluated(self, schema, value, at, scope, own) and ok end
  end
  if own and ok then merge(seen, own) end
  self.depth = self.depth - 1
  return ok
end

-- --- the module ------------------------------------------------------------------------------------------

local function prepared(schema, lenient)
  local old = false
  local dialect = type(schema) == "table" and schema["$schema"]
  if dialect then
    local known = dialects[tostring(dialect):gsub("#$", "")]
    if not known and lenient then known = tostring(dialect):find "draft%-0" and "old" or "new" end
    if not known then unusable("its dialect %s is not supported", tostring(dialect)) end
    old = known == "old"
  end
  local self = refs.index(schema, old)
  self.words = {}
  return self
end

--- A function(value, name) that gives nil when the value fits, or a list of what is wrong with it (a few texts,
-- which call the value `name`), or nil and why when the schema can't tell; and a list of what in the schema is not
-- checked (patterns that are not supported). The schema must not change. Or nil and why, at once, when it is no
-- schema for us. `lenient` takes a dialect that is not supported for the nearest that is. The function's third
-- argument, if there is one, is the schema within this one that the value is to fit.
function M.new(schema, lenient)
  local fine, self = pcall(prepared, schema, lenient)
  if not fine then
    if type(self) ~= "table" then error(self, 0) end
    return nil, self.unusable
  end
  return function(value, name, inner)
    self.steps, self.depth, self.quiet, self.count, self.errors = 0, 0, 0, 0, {}
    local done, ok = pcall(apply, self, inner or schema, value, name)
    if not done and type(ok) == "table" and ok.unusable then return nil, ok.unusable end
    if not done then return nil, "it is not a schema: " .. tostring(ok) end
    if ok then return nil end
    if self.count > #self.errors then
      self.errors[#self.errors + 1] = ("and %d more"):format(self.count - #self.errors)
    end
    return self.errors
  end, self.unchecked
end

return M
