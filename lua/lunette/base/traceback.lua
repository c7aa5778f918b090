-- Errors of policies as people read them: their message, and the way by which the policy came to them without
-- Lunette's own frames, which say nothing to who reads it.
local core = require "lunette.core"

local M = {}

--- The message of any error that a policy raised: of a table without a __tostring its member `message`, or what is
-- in it.
function M.message(err)
  local mt = debug.getmetatable(err)
  if type(err) ~= "table" or (type(mt) == "table" and mt.__tostring) then
    local ok, text = pcall(tostring, err)
    if ok and type(text) == "string" then return text end
    if ok then return "an error whose __tostring gives a " .. type(text) end
    return "an error whose __tostring fails: " .. (type(text) == "string" and text or "with a " .. type(text))
  end
  local said, code = rawget(err, "message"), rawget(err, "code")
  if type(said) == "string" then return code == nil and said or ("%s (code %s)"):format(said, tostring(code)) end
  local ok, text = pcall(core.encode, err, "error")
  return "an error without a message: " .. (ok and text:sub(1, 500) or "a table")
end

--- A message without the place in front of it, where that is said already.
function M.without_place(message, place)
  place = place .. ": "
  return message:sub(1, #place) == place and message:sub(#place + 1) or message
end

--- For the log, where an entry is a line: "MESSAGE ← FRAME ← FRAME", with those frames of a traceback that the message
-- doesn't name already, the innermost first. message: may be the head of the traceback itself.
function M.line(message, traceback)
  local head, frames = traceback:match "^(.-)\n?stack traceback:\n(.*)$"
  message = message or head or traceback
  local parts, last = { message }, nil
  for place, rest in (frames or ""):gmatch "%s*([^\n]-:%d+): ([^\n]*)" do
    if not place:find "^lunette/" then
      local known = place == last or (not last and message:find(place .. ":", 1, true))
      if not known then parts[#parts + 1] = place .. ": " .. rest end
      last = place
    end
  end
  return table.concat(parts, " ← ")
end

--- A load error in one line, as M.line gives it: the way to the fault is told when it is inside a function, or a
-- module, that the policy's file called.
function M.of_load(why)
  local message, traceback = why:match "^(.-)\n(stack traceback:\n.*)$"
  return message and M.line(message, traceback) or why
end

return M
