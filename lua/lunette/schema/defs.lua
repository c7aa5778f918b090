-- Definitions ($defs, and in older drafts definitions) of a tool's inputSchema under a transform: those that an
-- argument's new schema brings along, and those that nobody refers to any more.
--
-- A schema that is written for one argument is a document of its own: "#" in it is itself. Put into the tool's it would
-- mean the tool's. So its definitions go to the tool's $defs, under other names where these are taken, and its
-- references follow. One that leads nowhere in it is about the tool's schema, where it may be.
local core = require "lunette.core"
local json_text = require "lunette.base.json_text"
local schema_read = require "lunette.schema.read"

local M = {}

local edit_items, is_object, is_array = json_text.edit_items, json_text.is_object, json_text.is_array
local escape, tokens_of = schema_read.escape, schema_read.tokens_of

M.REFS = { ["$ref"] = true, ["$dynamicRef"] = true, ["$recursiveRef"] = true }
local REFS = M.REFS

-- The members that hold definitions, where the root has them.
local HOLDERS = { ["$defs"] = true, definitions = true }

-- Members that say by what else than its place a schema is known: its references say the place.
local NAMES = { ["$anchor"] = true, ["$dynamicAnchor"] = true, ["$recursiveAnchor"] = true }

--- Whether a member of a schema (raw) is a name that references in its document know it by.
function M.is_name(key, value) return NAMES[key] or (key == "$id" and value:find '^%s*"#' ~= nil) end

-- --- brought along -------------------------------------------------------------------------------

-- H, an argument's schema on its way into the tool's: doc (its own, as for schema_read.resolve), at (where it will be),
-- names (of its definitions, in the tool's $defs, by holder and name), outer (see M.hoist).
local H = {}
H.__index = H

-- Where what was at a pointer of its own is in the tool's schema.
function H:moved(pointer)
  local tokens = tokens_of(pointer)
  local names = self.names[tokens[1]]
  if not names then return self.at .. pointer end
  local new = tokens[2] and names[tokens[2]]
  if not new then return nil end
  local to = "/$defs/" .. escape(new)
  for i = 3, #tokens do
    to = to .. "/" .. escape(tokens[i])
  end
  return to
end

-- A reference's new text, or nil: as it is.
function H:reference(value)
  local ref = core.decode(value)
  if type(ref) ~= "string" then return nil end
  local pointer = schema_read.resolve(self.doc, ref)
  local now = pointer and self:moved(pointer)
  if now then return core.encode("#" .. schema_read.escape_uri(now)) end
  if not pointer and self.ids[ref:match "^[^#]*"] then return nil end
  return self.outer(ref, value)
end

function H:member(key, value, pointer, has_ref)
  if M.is_name(key, value) then return false end
  if REFS[key] then
    local new = self:reference(value)
    -- Only $ref takes a place.
    return new, new and not has_ref and "$ref" or nil
  end
  local shape = schema_read.inside[key]
  if shape == "map" and is_object(value) then
    return edit_items(value, function(name, sub) return self:schema(sub, pointer .. "/" .. escape(name)) end)
  elseif shape == "list" and is_array(value) then
    return edit_items(value, function(_, sub, i) return self:schema(sub, pointer .. "/" .. (i - 1)) end)
  elseif shape and shape ~= "map" then
    return self:schema(value, pointer)
  end
end

function H:schema(text, pointer)
  if not is_object(text) then return text end
  local schema = schema_read.at_pointer(self.doc.root, pointer)
  if schema_read.is_foreign(schema, pointer) then return text end
  return edit_items(text, function(key, value)
    if pointer == "" and (self.names[key] or key == "$schema") then return false end
    return self:member(key, value, pointer .. "/" .. escape(key), schema["$ref"] ~= nil)
  end)
end

local function fresh(name, taken)
  local new, n = name, 1
  while taken[new] do
    n = n + 1
    new = ("%s_%d"):format(name, n)
  end
  taken[new] = true
  return new
end

-- The $ids in a schema, as written: what references by URI may mean.
local function ids_of(value, found)
  if type(value) == "table" then
    if type(value["$id"]) == "string" then found[value["$id"]:match "^[^#]*"] = true end
    for _, sub in pairs(value) do
      ids_of(sub, found)
    end
  end
  return found
end

--- An argument's schema (text) as it can stand at a pointer of the tool's, and what goes to the tool's $defs: a list of
-- { name, text }. taken: the names that are there, to which it adds. outer(ref, raw): called for a reference that
-- leads nowhere in it; gives what it is in the tool's, or nil when it stays as it is, or raises.
function M.hoist(text, at, taken, outer)
  if not is_object(text) then return text, {} end
  local root = core.decode(text)
  local id = root["$id"]
  if type(id) == "string" and id:find "^[^#]" then return text, {} end -- known by its $id, it is a document still
  local self = { doc = schema_read.document(root), at = at, names = {}, outer = outer, ids = ids_of(root, {}) }
  setmetatable(self, H)
  local defs = {} -- { new name, text, pointer }
  for _, span in ipairs(core.spans(text)) do
    local holder, holds = span.name, text:sub(span.at, span.to)
    if HOLDERS[holder] and is_object(holds) then
      local names = {}
      self.names[holder] = names
      for _, def in ipairs(core.spans(holds)) do
        names[def.name] = fresh(def.name, taken)
        table.insert(defs, { names[def.name], holds:sub(def.at, def.to), ("/%s/%s"):format(holder, escape(def.name)) })
      end
    end
  end
  for i, def in ipairs(defs) do
    defs[i] = { def[1], self:schema(def[2], def[3]) }
  end
  return self:schema(text, ""), defs
end

-- --- no longer used --------------------------------------------------------------------------------

-- U, what of a schema's definitions is used: doc, used (by holder and name), queue (definitions still to be looked at).
local U = {}
U.__index = U

function U:use(holder, name)
  local value = json_text.is_map(self.doc.root[holder]) and self.doc.root[holder][name]
  if not value or self.used[holder][name] then return end
  self.used[holder][name] = true
  table.insert(self.queue, value)
end

function U:use_all(test)
  for holder in pairs(HOLDERS) do
    for name, value in pairs(json_text.is_map(self.doc.root[holder]) and self.doc.root[holder] or {}) do
      if test(holder, name, value) then self:use(holder, name) end
    end
  end
end

function U:follow(ref)
  local pointer = schema_read.resolve(self.doc, ref)
  if pointer then
    local holder, name = unpack(tokens_of(pointer), 1, 2)
    if not HOLDERS[holder] then return end
    if name then return self:use(holder, name) end
    if not self.used_whole[holder] then
      self.used_whole[holder] = true
      self:use_all(function(one) return one == holder end)
    end
    return
  end
  -- By URI: whatever is known by one. (Once: there may be many such references, and definitions.)
  if ref:sub(1, 1) == "#" or self.by_uri then return end
  self.by_uri = true
  self:use_all(function(_, _, value) return next(ids_of(value, {})) ~= nil end)
end

-- Everything is looked through, whether it is a schema or not: rather too much is used than too little.
function U:walk(value, is_root)
  if type(value) ~= "table" then return end
  for key, sub in pairs(value) do
    if REFS[key] and type(sub) == "string" then
      self:follow(sub)
    elseif not (is_root and HOLDERS[key]) then
      self:walk(sub)
    end
  end
end

-- The definitions at the root that are referred to, in the end by something that is none, or by one that `stays` says
-- stays whether it is used or not.
local function used_in(root, stays)
  local self = { doc = schema_read.document(root), used = { ["$defs"] = {}, definitions = {} }, queue = {} }
  self.used_whole = {}
  setmetatable(self, U)
  self:walk(root, true)
  self:use_all(stays)
  while #self.queue > 0 do
    self:walk(table.remove(self.queue))
  end
  return self.used
end

--- The schema's text without the definitions that were used before (its root then) and are not any more.
function M.prune(before, text)
  local was = used_in(before, function() return false end)
  local is = used_in(core.decode(text), function(holder, name) return not was[holder][name] end)
  for holder in pairs(HOLDERS) do
    local there = json_text.member(text, holder)
    if there and is_object(there) and next(was[holder]) then
      local left = edit_items(there, function(name)
        if was[holder][name] and not is[holder][name] then return false end
      end)
      local gone = left ~= there and #core.spans(left) == 0
      if left ~= there then text = json_text.set_member(text, holder, not gone and left) end
    end
  end
  return text
end

return M
