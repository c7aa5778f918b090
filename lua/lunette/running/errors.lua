-- The ways for a handler to end a request other than with a result.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"

local M = {}

-- JSON-RPC errors are tables {code=, message=, data=}; the ones that arrive as an answer have the same
-- metatable (set in C).
local rpc = core.error_mt
rpc.__name = "JSON-RPC error"
rpc.__tostring = function(e) return ("JSON-RPC error %s: %s"):format(tostring(e.code), tostring(e.message)) end

local denial = { __name = "denial" }
denial.__tostring = function(d) return "denied: " .. tostring(d.message) end

function M.is_rpc(value) return type(value) == "table" and getmetatable(value) == rpc end

function M.is_denial(value) return type(value) == "table" and getmetatable(value) == denial end

--- lunette.error(code, message[, data]): raises a JSON-RPC error.
function M.error(code, message, data)
  check.dotted("lunette.error", code)
  if type(code) ~= "number" or code ~= math.floor(code) or math.abs(code) > 2 ^ 31 then
    check.fail("lunette.error: code must be an integer, not %s", check.describe(code))
  end
  check.type("lunette.error: message", message, "string")
  if not state.closed then
    check.fail("%s (lunette.error answers a request: while a policy loads use error)", message)
  end
  error(setmetatable({ code = code, message = message, data = data }, rpc), 0)
end

--- lunette.deny(message): raises a refusal; what a pcall caught may be returned or raised again.
function M.deny(message)
  if message == nil then message = "refused by policy" end
  check.type("lunette.deny: message", message, "string")
  if not state.closed then check.fail "lunette.deny refuses a message: it only works in a handler" end
  error(setmetatable({ message = message }, denial), 0)
end

--- lunette.text(s): a tool's result with one text.
function M.text(text)
  if type(text) == "number" then text = tostring(text) end
  check.type("lunette.text: s", text, "string")
  return { content = setmetatable({ { type = "text", text = text } }, core.array_mt) }
end

-- A refusal in the words of the method: a failed result for a tool call, so that the model can read
-- it; for sampling the specification's "user rejected" (-1); -32600 elsewhere, as for all that
-- Lunette itself refuses.
local codes = { ["sampling/createMessage"] = -1 }

--- Ends the run with a denial.
function M.finish_denial(d, method)
  if method == "tools/call" then
    local result = M.text(d.message)
    result.isError = true
    return core.finish(result)
  end
  core.finish_error { code = codes[method] or -32600, message = d.message }
end

return M
