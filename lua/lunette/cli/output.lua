-- stdout and stderr for commands, and how commands end. What can't be written to stdout ends the command:
-- half an output must not look like a whole one.
local M = {}

local function fail(why)
  why = tostring(why)
  -- Who reads us has had enough, as in `lunette list … | head`: nothing to tell anybody.
  if why:find "[Bb]roken pipe" then error({ quiet = true }, 0) end
  error({ failure = "can't write the output: " .. why }, 0)
end

--- Writes to stdout.
function M.out(...)
  local ok, why = io.stdout:write(...)
  if not ok then fail(why) end
end

--- Hands over to the system what was written to stdout.
function M.flush()
  local ok, why = io.stdout:flush()
  if not ok then fail(why) end
end

--- Writes to stderr.
function M.err(...) io.stderr:write(...) end

--- For xpcall: a command ends by raising a table with `usage` (exit code 2), `failure` (1) or `quiet` (1);
-- anything else that is raised is a fault of Lunette's own.
function M.ending(err)
  local ours = type(err) == "table" and (err.usage or err.failure or err.quiet or err.fault)
  if ours then return err end
  return { fault = debug.traceback(tostring(err), 2) }
end

return M
