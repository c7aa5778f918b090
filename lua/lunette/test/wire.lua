-- What played clients and servers have in common: JSON-RPC texts, and the errors that a spec gets.
local core = require "lunette.core"
local check = require "lunette.base.check"
local json = require "lunette.base.raw_json"

local M = {}

--- Seconds that an answer may take. A spec that waits for what never comes must end.
M.PATIENCE = 10

--- Ends the test, with the spec's own line in front.
function M.fail(format, ...)
  local text = select("#", ...) > 0 and format:format(...) or format
  local where = core.where()
  error(where == "?" and text or where .. ": " .. text, 0)
end

--- The options of either side, and some of one's own: for check.
function M.options(own)
  own.name, own.version, own.protocol_version = "string", "string", "string"
  own.capabilities, own.methods = "table", "table"
  return own
end

--- Raises unless the options are known ones of the right types. known: name → type, or several "a|b".
function M.check(what, options, known)
  if type(options) ~= "table" then M.fail("%s must be a table, not %s", what, check.describe(options)) end
  check.options(what, options, known)
  for name, wanted in pairs(known) do
    local value = options[name]
    if value ~= nil and wanted ~= "any" and not ("|" .. wanted .. "|"):find("|" .. type(value) .. "|", 1, true) then
      M.fail("%s: %s must be a %s, not %s", what, name, wanted:gsub("|", " or a "), check.describe(value))
    end
  end
end

-- Members that are arrays wherever MCP has them: an empty Lua table there is sent as [].
local lists = {}
for name in ([[content contents messages roots tools resources resourceTemplates prompts arguments required enum
  values]]):gmatch "%S+" do
  lists[name] = true
end

-- `arguments` is a list in a prompt's definition and an object in a call; capabilities are objects, `roots` too.
local function mark(value, depth, in_call)
  if type(value) ~= "table" or depth > 100 then return value end
  for key, member in pairs(value) do
    local is_list = lists[key] and not (in_call and key == "arguments")
    if is_list and type(member) == "table" and next(member) == nil then setmetatable(member, core.array_mt) end
    if key ~= "capabilities" then mark(member, depth + 1, in_call) end
  end
  return value
end

--- The text of a value.
function M.encode(what, value, in_call)
  local ok, text = pcall(core.encode, mark(value, 0, in_call), what)
  if not ok then M.fail("%s", (tostring(text):gsub("^[^\n]-:%d+: ", ""))) end
  return text
end

--- A message's text as { id = (raw text), method =, params =, result =, error = }.
function M.read(text)
  local message = core.decode(text)
  return {
    id = json.member(text, "id"),
    method = message.method,
    params = message.params,
    result = message.result,
    error = message.error,
  }
end

--- The texts of messages. id is raw text.
function M.request(id, method, params)
  local tail = params ~= nil and ',"params":' .. M.encode("params", params, true) or ""
  return ('{"jsonrpc":"2.0","id":%s,"method":%s%s}'):format(id, json.quote(method), tail)
end

function M.notification(method, params)
  local tail = params ~= nil and ',"params":' .. M.encode("params", params, true) or ""
  return ('{"jsonrpc":"2.0","method":%s%s}'):format(json.quote(method), tail)
end

function M.result(id, result)
  return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, M.encode("result", result))
end

function M.error(id, err)
  local value = { code = err.code or -32603, message = tostring(err.message), data = err.data }
  return ('{"jsonrpc":"2.0","id":%s,"error":%s}'):format(id, M.encode("error", value))
end

-- --- errors --------------------------------------------------------------------------------------

local rpc = { __name = "JSON-RPC error" }
rpc.__index = rpc
function rpc.__tostring(e)
  return ("%s%s answered with error %s: %s%s"):format(
    e.where and e.where .. ": " or "",
    e.method,
    tostring(e.code),
    tostring(e.message),
    e.message == "policy error" and " (the log, on stderr, says why)" or ""
  )
end

--- The error of an answer, as a spec gets it: { code =, message =, data = }, and a text.
function M.rpc_error(method, err)
  local where = core.where()
  local e = { code = err.code, message = err.message, data = err.data, method = method }
  e.where = where ~= "?" and where or nil
  return setmetatable(e, rpc)
end

--- True for what rpc_error made, and for { code =, message = } that a played server's function raised.
function M.is_rpc(value) return type(value) == "table" and type(rawget(value, "code")) == "number" end

--- The texts of a result's content, lines of their own.
function M.text(result)
  local out = {}
  if type(result) ~= "table" then M.fail("a result is a table, not %s", check.describe(result)) end
  local blocks = result.content or result.contents
  if result.messages then
    blocks = {}
    for i, message in ipairs(result.messages) do
      blocks[i] = message.content
    end
  end
  for _, block in ipairs(blocks or {}) do
    if type(block) == "table" and type(block.text) == "string" then out[#out + 1] = block.text end
  end
  return table.concat(out, "\n")
end

return M
