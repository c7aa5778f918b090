-- What the specs of src/json share. Texts live in blocks of exactly their size, so that a
-- sanitizer sees a read one byte past the end; release() gives them back and proves that
-- nothing else was kept.
local T = require "spec.support.ffi"
local lib = T.include "json/json.h"
local ffi = T.ffi

local M = { lib = lib, ffi = ffi, str = T.tostring }

local blocks = {}
local buffers = {}
local live = lib.ln_bytes_live()

--- A Lua string as an ln_str in memory of its own; nil gives an absent one.
function M.text(s)
  if not s then return ffi.new "struct ln_str" end
  local block = lib.ln_bytes_copy(s, #s)
  blocks[#blocks + 1] = block
  return ffi.new("struct ln_str", block.data, #s)
end

function M.buf(max)
  local b = ffi.new "struct ln_buf"
  lib.ln_buf_init(b, max or 1048576)
  buffers[#buffers + 1] = b
  return b
end

--- What a buffer holds, as a Lua string.
function M.held(b)
  return b.data == nil and "" or ffi.string(b.data, b.len)
end

--- Frees what text() and buf() made; returns how many blocks are left over.
function M.release()
  for i = #blocks, 1, -1 do
    lib.ln_bytes_unref(blocks[i])
    blocks[i] = nil
  end
  for i = #buffers, 1, -1 do
    lib.ln_buf_deinit(buffers[i])
    buffers[i] = nil
  end
  return tonumber(lib.ln_bytes_live() - live)
end

function M.err(rc)
  return ffi.string(lib.ln_err_name(rc))
end

M.types = {}
for _, name in ipairs { "NONE", "NULL", "FALSE", "TRUE", "NUMBER", "STRING", "ARRAY", "OBJECT" } do
  M.types[tonumber(ffi.cast("int", ffi.new("enum ln_json_type", "LN_JSON_" .. name)))] = name:lower()
end

function M.type(t)
  return M.types[tonumber(ffi.cast("int", t))]
end

--- Scans s; the error's name and what was learned, as a Lua table.
function M.scan(s, limits)
  limits = limits or {}
  local l = ffi.new("struct ln_json_limits", {
    max_bytes = limits.max_bytes or 64 * 1048576,
    max_depth = limits.max_depth or 128,
    max_members = limits.max_members or 65536,
    unique = limits.unique or false,
  })
  local info = ffi.new "struct ln_json_info"
  ffi.fill(info, ffi.sizeof(info), 0xff)
  local rc = lib.ln_json_scan(M.text(s), l, info)
  return M.err(rc), {
    type = M.type(info.type),
    newlines = info.newlines,
    lone_surrogates = info.lone_surrogates,
    error_at = tonumber(info.error_at),
  }
end

local function item_table(item)
  return { key = T.tostring(item.key), value = T.tostring(item.value), type = M.type(item.type) }
end

--- The items of a container, as tables.
function M.items(s)
  local cur = lib.ln_json_enter(type(s) == "string" and M.text(s) or s)
  local item = ffi.new "struct ln_json_item"
  local list = {}
  while lib.ln_json_next(cur, item) do list[#list + 1] = item_table(item) end
  return list
end

--- The member called name, as a table; nil when there is none.
function M.get(s, name)
  local item = ffi.new "struct ln_json_item"
  if not lib.ln_json_get(M.text(s), name, item) then return nil end
  return item_table(item)
end

return M
