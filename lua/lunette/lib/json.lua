-- lunette.json, lunette.array, lunette.null. The calls are lua-cjson's; the work is done by
-- Lunette's own codec, because cjson as packaged turns [] into {}, cuts numbers at 14 digits and has no
-- order of members.
local core = require "lunette.core"
local check = require "lunette.base.check"
local reads = require "lunette.base.reads"

local M = { json = { null = core.null }, null = core.null }

--- Text of a value, members sorted by name.
function M.json.encode(value)
  check.dotted("lunette.json.encode", value)
  if value == nil then check.fail "lunette.json.encode: nothing to encode (use lunette.null for null)" end
  return core.encode(reads.whole(value), "value")
end

--- Value of a text. Arrays keep being arrays, also empty ones.
function M.json.decode(text)
  check.type("lunette.json.decode: text", text, "string")
  return core.decode(text)
end

--- lunette.array{…}: the table marked as an array, so that {} is sent as [].
function M.array(list)
  if list == nil then list = {} end
  check.type("lunette.array: list", list, "table")
  return setmetatable(list, core.array_mt)
end

return M
