-- What a child finds in its environment: which of Lunette's variables it inherits.
local check = require "lunette.base.check"
local selector = require "lunette.rules.selector"

local M = {}

-- What the official SDKs pass on to servers, and what tells programs of language, time and room for files.
local always = { "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_*", "TMPDIR", "TZ" }

local function check_glob(what, glob)
  if type(glob) ~= "string" then check.fail("%s must be a string, not %s", what, check.describe(glob)) end
  if glob == "" or glob:find "[%c=]" then
    check.fail("%s: %s can match no variable's name", what, check.describe(glob))
  end
  return selector.check_glob(what, glob)
end

--- Globs on the names of the variables that are inherited, a line each. value: an upstream's inherit_env.
function M.inherited(what, value)
  if value == true then return "*" end
  value = value or {}
  if type(value) ~= "table" or (next(value) ~= nil and #value == 0) then
    local given = check.describe(value)
    check.fail('%s: inherit_env must be true, false or a list of globs as { "AWS_*" }, not %s', what, given)
  end
  local globs = { unpack(always) }
  for i, glob in ipairs(value) do
    globs[#globs + 1] = check_glob(("%s: inherit_env[%d]"):format(what, i), glob)
  end
  return table.concat(globs, "\n")
end

return M
