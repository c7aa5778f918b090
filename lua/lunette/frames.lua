-- Tracebacks for the log, where an entry is a line: the way by which a policy came to its error, without
-- Lunette's own frames, which say nothing to who reads it.

local M = {}

--- "MESSAGE ← FRAME ← FRAME": of a traceback those frames that the message doesn't name already, the innermost first.
-- message: may be the head of the traceback itself.
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

return M
