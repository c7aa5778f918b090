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
local json_text = require "lunette.json_text"
local schema_read = require "lunette.schema_read"

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

-- What is said of this branch when all that is said of arguments that always arrive is known: true when nothing
-- fits it.
function E:is_dead(place)
  if place.must then return false end
  local schema = place.schema
  local properties = is_map(schema.properties) and schema.properties or {}
  local closed = schema.additionalProperties == false and not is_map(schema.patternProperties)
  for name, p in pairs(self.plan) do
    if p.sent then
      local property = properties[name]
      if p.hide and self.rules_out(p, property) then return true end
      if closed and property == nil then return true end
    elseif p.hide and is_list(schema.required) and schema_read.one_of(name, schema.required) then
      return true
    end
  end
  return false
end

-- The constant that arrives doesn't fit this schema.
function E.rules_out(p, schema)
  return p.value ~= nil and schema ~= nil and schema_read.ruled_out(p.value, schema)
end

-- Where a default doesn't fit, to leave an argument out is not to pass it by: it must be sent.
function E:want_misfits(place)
  local properties = is_map(place.schema.properties) and place.schema.properties or {}
  for name, p in pairs(self.plan) do
    if p.sent and not p.hide and self.rules_out(p, properties[name]) then
      table.insert(self.wanted[place], p.new or name)
    end
  end
  table.sort(self.wanted[place])
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

-- The pointer to where a copy of what was there is.
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
    if place and place.dead then return nil end
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
  elseif not ref:find "^#/" then
    return nil -- an anchor moves along
  end
  return quote("#" .. schema_read.escape_uri(now))
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

-- An array of names in dependentRequired: those always sent need no asking.
function E:dependents(value, context)
  if is_array(value) then
    local text, left = self:names(value)
    if left == 0 and #core.spans(value) > 0 then return false end
    return text
  end
  return self:schema(value, context)
end

-- Members by argument's name: properties, dependentRequired, dependentSchemas, dependencies. What hangs on an
-- argument that is always sent holds always.
function E:by_name(key, value, place, pointer)
  local left = 0
  local text = edit_items(value, function(name, sub)
    local p = self.plan[name]
    local sub_pointer = pointer .. "/" .. escape(name)
    if key == "properties" then
      if p and p.hide then return false end
      left = left + 1
      local text = self:schema(sub, sub_pointer)
      if p and place.pointer == self.doc.arguments[name].pointer then text = self:describe(text, p) end
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

-- An argument's own schema with what the transform says of it.
function E:describe(text, p) -- luacheck: no self
  if p.schema then
    local header = is_object(text) and member(text, "x-mcp-header")
    text = p.schema
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

function E:property_names(value, pointer)
  local text = self:schema(value, pointer)
  if not self.renames or not is_object(text) then return text end
  local enum, const = member(text, "enum"), member(text, "const")
  local function renamed(_, element)
    local name = core.decode(element)
    local new = type(name) == "string" and self:new_name(name)
    if new == false and type(name) == "string" then return false end
    if new and new ~= name then return quote(new) end
  end
  if enum and is_array(enum) then
    local left = edit_items(enum, renamed)
    return #core.spans(left) > 0 and set_member(text, "enum", left) or "false"
  end
  if const then return set_member(text, "const", renamed(nil, const) or const) end
  if #core.spans(text) == 0 then return text end
  local news = {}
  for _, p in pairs(self.plan) do
    if p.new and not p.hide then news[#news + 1] = quote(p.new) end
  end
  if #news == 0 then return text end
  table.sort(news)
  return '{"anyOf":[{"enum":[' .. table.concat(news, ",") .. "]}," .. text .. "]}"
end

-- How many members an object may have: those of the transform's own don't count. Whether a client sends what has a
-- default can't be known, so there may be one more of each.
function E:count(key, value)
  local n = tonumber(value)
  local own = 0
  for _, p in pairs(self.plan) do
    if p.sent and (p.hide or key == "maxProperties") then own = own + 1 end
  end
  if not n or own == 0 then return nil end
  return tostring(math.max(0, n - own))
end

local REFS = { ["$ref"] = true, ["$dynamicRef"] = true, ["$recursiveRef"] = true }

local BY_NAME = { properties = true, dependentRequired = true, dependentSchemas = true, dependencies = true }

function E:place_member(place, key, value, pointer)
  if BY_NAME[key] and is_object(value) then
    local text, left = self:by_name(key, value, place, pointer)
    if left == 0 and key ~= "properties" and #core.spans(value) > 0 then return false end
    return text
  elseif key == "required" and is_array(value) then
    return nil -- with the wanted ones, at the end
  elseif key == "propertyNames" then
    return self:property_names(value, pointer)
  elseif key == "minProperties" or key == "maxProperties" then
    return self:count(key, value)
  end
  return self:plain_member(place, key, value, pointer)
end

function E:plain_member(place, key, value, pointer, copying)
  if REFS[key] then
    if self.foreign then return nil end
    return self:rewrite_ref(value, place ~= nil, copying)
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

local ANCHORS = { ["$anchor"] = true, ["$dynamicAnchor"] = true, ["$recursiveAnchor"] = true }

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
  self.wanted[place], self.always[place] = {}, {}
  self:want_misfits(place)
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
  if #self.always[place] > 0 then
    local all = member(text, "allOf") or "[]"
    text = set_member(text, "allOf", edit_items(all, function() end, self.always[place]))
  end
  return text
end

function E:schema(text, pointer, copying)
  if not is_object(text) then return text end
  local place, foreign = not copying and self.doc.places[pointer] or nil, self.foreign
  if place and place.dead then return "false" end
  self.foreign = foreign or schema_read.is_foreign(schema_read.at_pointer(self.doc.root, pointer), pointer)
  if place then
    text = self:edit_place(place, text)
  else
    text = edit_items(text, function(key, value)
      if copying and ANCHORS[key] then return false end
      return self:plain_member(nil, key, value, pointer .. "/" .. escape(key), copying)
    end)
  end
  self.foreign = foreign
  return text
end

--- The schema's text under a plan (see E); doc as schema_read.read gave it.
function M.edit(doc, plan)
  local self = { doc = doc, plan = plan, copies = {}, queue = {}, wanted = {}, always = {}, taken = {} }
  setmetatable(self, E)
  for _, p in pairs(plan) do
    self.renames = self.renames or p.new or p.hide
    self.structural = self.structural or p.new or p.hide or p.sent or p.required ~= nil
  end
  for name in pairs(is_map(doc.root["$defs"]) and doc.root["$defs"] or {}) do
    self.taken[name] = true
  end
  for _, place in ipairs(doc.order) do
    place.dead = self:is_dead(place)
  end
  local text = self:schema(doc.text, "")
  local done, added = 0, {}
  while done < #self.queue do
    done = done + 1
    local pointer = self.queue[done]
    added[done] = { self.copies[pointer], self:schema(schema_read.text_at(doc.text, pointer), pointer, true) }
  end
  if #added == 0 then return text end
  local defs = member(text, "$defs")
  return set_member(text, "$defs", edit_items(defs and is_object(defs) and defs or "{}", function() end, added))
end

return M
