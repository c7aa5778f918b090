-- What the specs of src/rpc share: parsing a text into a Lua table of slices, and the proof that
-- every slice lies inside the message's own bytes.
local J = require "spec.unit.json.support"
local T = require "spec.support.ffi"
T.include "rpc/out.h"

local lib, ffi = J.lib, J.ffi
local M = { lib = lib, ffi = ffi, J = J, err = J.err }

M.slots = { "text", "jsonrpc", "id", "method", "params", "result", "error", "name", "uri", "arguments", "meta", "ref",
  "progress_token", "task", "task_id", "related_task" }
M.kinds = { [0] = "request", "notification", "result", "error" }

local live = tonumber(lib.ln_msg_live())

--- A Lua string as an ln_str that the caller must hold on to.
M.str = T.str

function M.limits(options)
  options = options or {}
  local limits = ffi.new "struct ln_msg_limits"
  limits.json.max_bytes = options.max_bytes or 4194304
  limits.json.max_depth = options.max_depth or 128
  limits.json.max_members = options.max_members or 65536
  limits.strict = options.strict ~= false
  return limits
end

--- An ln_msg as a table of its slices; raises when one lies elsewhere.
function M.table(m)
  local out = { kind = M.kinds[tonumber(ffi.cast("int", m.kind))], newlines = m.newlines, msg = m }
  local from, to = ffi.cast("uintptr_t", m.bytes.data), ffi.cast("uintptr_t", m.bytes.data) + m.bytes.len
  for _, slot in ipairs(M.slots) do
    local s = m[slot]
    if s.p ~= nil then
      local at = ffi.cast("uintptr_t", s.p)
      assert(at >= from and at + s.n <= to, slot .. " is not inside the message")
      out[slot] = ffi.string(s.p, s.n)
    else
      assert(s.n == 0, slot .. " is absent and has a length")
    end
  end
  return out
end

--- The text parsed (strict unless options.strict is false): its slices, with the message in .msg to
--- be released; or nil and { code, text, id, err }.
function M.parse(text, options)
  local block = lib.ln_bytes_copy(text, #text)
  local whole = ffi.new("struct ln_str", block.data, #text)
  local out, fault = ffi.new "struct ln_msg *[1]", ffi.new "struct ln_msg_fault"
  local rc = lib.ln_msg_parse(block, whole, M.limits(options), out, fault)
  lib.ln_bytes_unref(block)
  if rc ~= 0 then
    local id = fault.id_bytes ~= nil and ffi.string(fault.id_bytes.data, fault.id_bytes.len) or nil
    lib.ln_bytes_unref(fault.id_bytes)
    return nil, { err = J.err(rc), code = fault.code, text = ffi.string(fault.text), id = id }
  end
  assert(fault.id_bytes == nil)
  return M.table(out[0])
end

--- As parse, released at once.
function M.read(text, options)
  local m, fault = M.parse(text, options)
  if m then lib.ln_msg_unref(m.msg) end
  return m, fault
end

--- What is left of messages, blocks and buffers: nothing, at the end of each test.
function M.left()
  return tonumber(lib.ln_msg_live()) - live, J.release()
end

return M
