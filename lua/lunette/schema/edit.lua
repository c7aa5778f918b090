-- Edits of a tool's inputSchema for a transform of its arguments: names moved, arguments taken away, made
-- required or not, described anew. The edits are made in the text: what they don't concern keeps its bytes,
-- its order, its white space and its spelling of numbers.
--
-- A schema can be there in two roles. One that says something about the arguments object itself (the root,
-- and what it brings in with allOf, anyOf, oneOf, not, if, dependentSchemas and $ref) names arguments, and is
-- edited: here a "place", known by its JSON pointer. Any other is about values inside and only has its $refs
-- kept pointing to what they meant. Where one schema has both roles (a recursive "$ref": "#"), or where what
-- a $ref meant is taken away, a copy as it was is put into $defs, for those who mean that.
--
-- What is presented must let through only what the server's own schema then takes. So what an argument that
-- is always sent (it has a default) would have asked for is asked for outright, and of alternatives one that
-- the constant rules out becomes false.
local core = require "lunette.core"
local check = require "lunette.base.check"
local json_text = require "lunette.base.json_text"
local schema_defs = require "lunette.schema.defs"
local schema_names = require "lunette.schema.names"
local schema_read = require "lunette.schema.read"

local M = {}

local edit_items, member, set_member = json_text.edit_items, json_text.member, json_text.set_member
local is_object, is_array = json_text.is_object, json_text.is_array
local is_list, is_map = json_text.is_list, json_text.is_map
local escape, tokens_of = schema_read.escape, schema_read.tokens_of
local quote = core.encode

-- --- the edits ---------------------------------------------------------------------------------

-- E, the edit under way: doc; plan: { name = { new =, hide =, sent = (it always arrives at the server), value =
-- (its constant, if it has one), required =, set = { {key, text}… }, schema = text } }; copies.
local E = {}
E.__index = E

function E:new_name(name)
  local p = self.plan[name]
  if p and p.hide then return false end
  return p and p.new or name
end

-- Whether nothing can match this branch, given the arguments that always arrive and the values of the constants.
function E:is_unsatisfiable(place)
  if place.must then return false end
  local required, sent = place.schema.required, 0
  for name, p in pairs(self.plan) do
    local value
    if p.sent then
      if p.hide then value = p.value end
      if self.said:forbids(place, name, value) then return true end
      sent = sent + 1
    elseif p.hide and is_list(required) then
      for _, needed in ipairs(required) do
        if needed == name then return true end
      end
    end
  end
  return sent > (tonumber(place.schema.maxProperties) or sent)
end

-- A constant that its argument's own schema allows and another that must match does not: no call would pass. (What
-- its own schema doesn't allow is left to the policy.)
function E:check_constants(place)
  for name, p in pairs(self.plan) do
    if p.hide and p.sent and p.value ~= nil and self.said:forbids(place, name, p.value) then
      if not self.said:rules_out(p.value, self.doc.arguments[name].schema) then
        error({ inapplicable = ("the server takes no %s that is %s"):format(name, quote(p.value)) }, 0)
      end
    end
  end
end

-- Where a branch doesn't allow a default, the argument can't be left out: it becomes required.
function E:require_unfit_defaults(place)
  for name, p in pairs(self.plan) do
    if p.sent and not p.hide and p.value ~= nil and self.said:forbids(place, name, p.value) then
      table.insert(self.wanted[place], p.new or name)
    end
  end
  table.sort(self.wanted[place])
end

-- A pattern for names of members is about the server's names. Returns one that doesn't match new names which the old
-- pattern matches only by accident; nil: the old one will do.
function E:new_pattern(pattern)
  local others = {}
  for name, p in pairs(self.plan) do
    if p.new and not p.hide and self.said:matches(pattern, p.new) and self.said:matches(pattern, name) == false then
      others[#others + 1] = p.new:gsub("[%^%$\\%.%*%+%?%(%)%[%]{}|/]", "\\%0")
    end
  end
  if #others == 0 then return nil end
  table.sort(others)
  return ("^(?!(?:%s)$)[\\s\\S]*?(?:%s)"):format(table.concat(others, "|"), pattern)
end

-- What a pattern requires of an argument whose new name it doesn't match is required of that name.
function E:keep_patterns(place, text)
  local patterns = is_map(place.schema.patternProperties) and member(text, "patternProperties")
  for _, span in ipairs(patterns and core.spans(patterns) or {}) do
    for _, name in ipairs(self.doc.names) do
      local p = self.plan[name]
      if p and p.new and self.said:matches(span.name, name) and self.said:matches(span.name, p.new) == false then
        local pointer = place.pointer .. "/patternProperties/" .. escape(span.name)
        local sub = self:schema(patterns:sub(span.at, span.to), pointer, true)
        local all = self.always[place]
        all[#all + 1] = ('{"properties":{%s:%s}}'):format(quote(p.new), sub)
        if not (is_map(place.schema.properties) and place.schema.properties[name] ~= nil) then
          self.listed[place][p.new] = true
        end
      end
    end
  end
end

function E:fresh_name(pointer)
  local base = pointer:match "([^/]*)$"
  base = base ~= "" and base:gsub("[^%w_]", "_") or "root"
  local name, n = base .. "_original", 1
  while self.taken[name] do
    n = n + 1
    name = base .. "_original" .. n
  end
  self.taken[name] = true
  return name
end

-- The pointer to a copy of what was at a pointer.
function E:copy_of(pointer)
  if not self.copies[pointer] then
    self.copies[pointer] = self:fresh_name(pointer)
    self.queue[#self.queue + 1] = pointer
  end
  return "/$defs/" .. escape(self.copies[pointer])
end

-- Where what was at a pointer is now; nil when it is taken away or replaced.
function E:moved(pointer)
  local tokens, from, to = tokens_of(pointer), "", ""
  local i = 1
  while i <= #tokens do
    local token = tokens[i]
    local place = self.doc.places[from]
    from, to = from .. "/" .. escape(token), to .. "/" .. escape(token)
    local named = place and (token == "properties" or token == "dependentSchemas" or token == "dependencies")
    if place and place.unsatisfiable then return nil end
    if place and token == "patternProperties" and tokens[i + 1] and self:new_pattern(tokens[i + 1]) then return nil end
    if named and tokens[i + 1] then
      i = i + 1
      local name = tokens[i]
      local p = self.plan[name]
      if p and (p.hide or (p.schema and self.doc.arguments[name].pointer == place.pointer)) then return nil end
      from, to = from .. "/" .. escape(name), to .. "/" .. escape(self:new_name(name))
    end
    i = i + 1
  end
  return to
end

function E:rewrite_ref(value, in_place, copying)
  local ref = core.decode(value)
  local pointer = schema_read.resolve(self.doc, ref)
  if not pointer then return nil end
  local place = self.doc.places[pointer]
  local now = self:moved(pointer)
  local wants_original = place and self.structural and not in_place
  if not now or wants_original or (copying and place and self.structural) then
    now = self:copy_of(pointer)
  elseif now == pointer then
    return nil
  elseif ref:find "#[^/]" then
    return nil -- an anchor moves along
  end
  return quote("#" .. schema_read.escape_uri(now))
end

-- Where a reference out of an argument's new schema leads, which is none in that.
function E:outer_ref(name, ref, value)
  if not schema_read.resolve(self.doc, ref) then
    if ref:find "^https?://json%-schema%.org/" then return nil end
    local why = "the schema of %s refers to %s, which is neither in it nor in the tool's"
    error({ inapplicable = why:format(name, ref) }, 0)
  end
  return self:rewrite_ref(value)
end

function E:names(value)
  local left = 0
  local text = edit_items(value, function(_, element)
    local name = core.decode(element)
    local new = self:new_name(name)
    local p = self.plan[name]
    if not new or (p and p.sent) then return false end
    left = left + 1
    if new ~= name then return quote(new) end
  end)
  return text, left
end

-- An array of names in dependentRequired, without those that are always sent.
function E:dependents(value, context)
  if is_array(value) then
    local text, left = self:names(value)
    if left == 0 and #core.spans(value) > 0 then return false end
    return text
  end
  return self:schema(value, context)
end

-- Members by argument's name: properties, dependentRequired, dependentSchemas, dependencies. What depends on an
-- argument that is always sent always applies.
function E:by_name(key, value, place, pointer)
  local left = 0
  local text = edit_items(value, function(name, sub)
    local p = self.plan[name]
    local sub_pointer = pointer .. "/" .. escape(name)
    if key == "properties" then
      if p and p.hide then return false end
      left = left + 1
      local text = self:schema(sub, sub_pointer)
      if p and place.pointer == self.doc.arguments[name].pointer then text = self:describe(text, name, place) end
      return text, p and p.new
    end
    local new = self:dependents(sub, sub_pointer)
    if p and p.sent then
      if is_array(sub) then
        for _, needed in ipairs(core.decode(sub)) do
          local sent = self.plan[needed] and self.plan[needed].sent
          if not sent then table.insert(self.wanted[place], self:new_name(needed) or nil) end
        end
      elseif new ~= "true" then
        self.always[place][#self.always[place] + 1] = new
      end
      return false
    end
    if (p and p.hide) or new == false then return false end
    left = left + 1
    return new, p and p.new
  end)
  return text, left
end

-- An argument's own schema with the transform's changes.
function E:describe(text, name, place)
  local p = self.plan[name]
  if p.schema then
    local header = is_object(text) and member(text, "x-mcp-header")
    local at = ("%s/properties/%s"):format(self:moved(place.pointer) or place.pointer, escape(p.new or name))
    local defs
    text, defs = schema_defs.hoist(p.schema, at, self.taken, function(...) return self:outer_ref(name, ...) end)
    for _, def in ipairs(defs) do
      table.insert(self.added, def)
    end
    if header and is_object(text) and not member(text, "x-mcp-header") then
      text = set_member(text, "x-mcp-header", header)
    end
  end
  if #p.set > 0 and not is_object(text) then text = text:find "true" and "{}" or '{"not":{}}' end
  for _, set in ipairs(p.set) do
    text = set_member(text, set[1], set[2])
  end
  return text
end

-- propertyNames: a new name is allowed where the old one was.
function E:property_names(place, value, pointer)
  local text = self:schema(value, pointer)
  if not self.renames or not is_object(text) then return text end
  local enum, alone = member(text, "enum"), #core.spans(text) == 1
  if enum and alone and is_array(enum) then
    local left = edit_items(enum, function(_, element)
      local name = core.decode(element)
      local new = type(name) ~= "string" or self:new_name(name)
      if not new then return false end
      if new ~= name and new ~= true then return quote(new) end
    end)
    return #core.spans(left) > 0 and set_member(text, "enum", left) or "false"
  end
  local allowed, denied = {}, {}
  for _, name in ipairs(self.doc.names) do
    local new = self:new_name(name)
    if new and new ~= name then
      local no = self.said:rules_out(name, place.schema.propertyNames)
      if no ~= self.said:rules_out(new, place.schema.propertyNames) then
        table.insert(no and denied or allowed, quote(new))
      end
    end
  end
  if #denied > 0 then text = ('{"allOf":[{"not":{"enum":[%s]}},%s]}'):format(table.concat(denied, ","), text) end
  if #allowed > 0 then text = ('{"anyOf":[{"enum":[%s]},%s]}'):format(table.concat(allowed, ","), text) end
  return text
end

-- minProperties and maxProperties without the arguments that are filled in. Whether a client sends one that has a
-- default can't be known: where the schema must match, the limits allow for each; elsewhere there is a case for each.
function E:count(place, key, value)
  local n = tonumber(value)
  local hidden, shown = 0, {}
  for _, name in ipairs(self.doc.names) do
    local p = self.plan[name]
    if p and p.sent and p.hide then
      hidden = hidden + 1
    elseif p and p.sent then
      shown[#shown + 1] = quote(p.new or name)
    end
  end
  if not n or hidden + #shown == 0 then return nil end
  if #shown > 0 and #shown <= 4 and not place.must then
    table.insert(self.always[place], schema_names.counted(key, n - hidden, shown))
    return false
  end
  return tostring(math.max(0, n - hidden - (key == "maxProperties" and #shown or 0)))
end

local BY_NAME = { properties = true, dependentRequired = true, dependentSchemas = true, dependencies = true }

function E:place_member(place, key, value, pointer)
  if BY_NAME[key] and is_object(value) then
    local text, left = self:by_name(key, value, place, pointer)
    if left == 0 and key ~= "properties" and #core.spans(value) > 0 then return false end
    return text
  elseif key == "required" and is_array(value) then
    return nil -- with the wanted ones, at the end
  elseif key == "propertyNames" then
    return self:property_names(place, value, pointer)
  elseif key == "patternProperties" and is_object(value) then
    return edit_items(value, function(pattern, sub)
      return self:schema(sub, pointer .. "/" .. escape(pattern)), self:new_pattern(pattern)
    end)
  elseif key == "minProperties" or key == "maxProperties" then
    return self:count(place, key, value)
  end
  return self:plain_member(place, key, value, pointer, false, place.schema)
end

function E:plain_member(place, key, value, pointer, copying, schema)
  if schema_defs.REFS[key] then
    if self.foreign then return nil end
    local new = self:rewrite_ref(value, place ~= nil, copying)
    return new, new and not schema["$ref"] and "$ref" or nil -- only $ref takes a place
  end
  local shape = schema_read.inside[key]
  if not shape then return nil end
  if shape == "map" and is_object(value) then
    return edit_items(value, function(name, sub) return self:schema(sub, pointer .. "/" .. escape(name), copying) end)
  elseif shape == "list" and is_array(value) then
    return edit_items(value, function(_, sub, i) return self:schema(sub, pointer .. "/" .. (i - 1), copying) end)
  elseif shape ~= "map" then
    return self:schema(value, pointer, copying)
  end
end

-- `required` with the old ones renamed or gone and the wanted ones added; nil: none.
function E:required(place, value)
  local seen, added = {}, {}
  local text, left = "[]", 0
  if value then
    text, left = self:names(value)
    for _, name in ipairs(core.decode(text)) do
      seen[name] = true
    end
  end
  for _, name in ipairs(self.wanted[place]) do
    if not seen[name] then
      seen[name] = true
      added[#added + 1] = quote(name)
    end
  end
  if left + #added == 0 then return value and #core.spans(value) == 0 and value or nil end
  return edit_items(text, function() end, added)
end

function E:edit_place(place, text)
  self.wanted[place], self.always[place], self.listed[place] = {}, {}, {}
  self:require_unfit_defaults(place)
  if self.renames then self:keep_patterns(place, text) end
  text = edit_items(text, function(key, value)
    return self:place_member(place, key, value, place.pointer .. "/" .. escape(key))
  end)
  if place.pointer == "" then
    for _, name in ipairs(self.doc.names) do
      local p = self.plan[name]
      if p and p.required and not p.hide then table.insert(self.wanted[place], p.new or name) end
    end
  end
  local before = member(text, "required")
  if before == nil or is_array(before) then
    text = set_member(text, "required", self:required(place, before) or false)
  end
  for _, name in ipairs(check.sorted(self.listed[place])) do
    text = set_member(text, "properties", set_member(member(text, "properties") or "{}", name, "true"))
  end
  if #self.always[place] > 0 then
    local all = member(text, "allOf") or "[]"
    text = set_member(text, "allOf", edit_items(all, function() end, self.always[place]))
  end
  return text
end

function E:schema(text, pointer, copying)
  if not is_object(text) then return text end
  local place, foreign = not copying and self.doc.places[pointer] or nil, self.foreign
  if place and place.unsatisfiable then return "false" end
  local schema = schema_read.at_pointer(self.doc.root, pointer)
  self.foreign = foreign or schema_read.is_foreign(schema, pointer)
  if place then
    text = self:edit_place(place, text)
  else
    text = edit_items(text, function(key, value)
      if copying and schema_defs.is_name(key, value) then return false end
      return self:plain_member(nil, key, value, pointer .. "/" .. escape(key), copying, schema)
    end)
  end
  self.foreign = foreign
  return text
end

-- The copies that references now lead to, as they were.
function E:add_copies()
  local done = 0
  while done < #self.queue do
    done = done + 1
    local pointer = self.queue[done]
    local text = schema_read.text_at(self.doc.text, pointer)
    table.insert(self.added, { self.copies[pointer], self:schema(text, pointer, true) })
  end
end

--- The schema's text under a plan (see E); doc as schema_read.read gave it.
function M.edit(doc, plan)
  local self = { doc = doc, plan = plan, copies = {}, queue = {}, wanted = {}, always = {}, listed = {}, taken = {} }
  self.said, self.added = schema_names.new(doc), {}
  setmetatable(self, E)
  local takes_away = false
  for _, p in pairs(plan) do
    self.renames = self.renames or p.new or p.hide
    self.structural = self.structural or p.new or p.hide or p.sent or p.required ~= nil
    takes_away = takes_away or p.hide or p.sent or p.schema ~= nil
  end
  for name in pairs(is_map(doc.root["$defs"]) and doc.root["$defs"] or {}) do
    self.taken[name] = true
  end
  for _, place in ipairs(doc.order) do
    if place.must then self:check_constants(place) end
    place.unsatisfiable = self:is_unsatisfiable(place)
  end
  local text = self:schema(doc.text, "")
  self:add_copies()
  if #self.added > 0 then
    local defs = member(text, "$defs")
    text = set_member(text, "$defs", edit_items(defs and is_object(defs) and defs or "{}", function() end, self.added))
  end
  return takes_away and schema_defs.prune(doc.root, text) or text
end

return M
