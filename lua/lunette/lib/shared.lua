-- lunette.shared: values that outlive a reload, in memory, for all sessions.
local core = require "lunette.core"
local check = require "lunette.base.check"

local M = {}

local function check_key(what, key)
  return check.type(("lunette.shared.%s: key"):format(what), key, "string")
end

local function check_ttl(what, ttl)
  if ttl == nil then return nil end
  check.type(("lunette.shared.%s: ttl"):format(what), ttl, "number")
  if ttl <= 0 or ttl ~= ttl then check.fail("lunette.shared.%s: ttl must be more than 0 seconds, not %s", what, ttl) end
  return ttl
end

--- The value, or nil when there is none or its time is over.
function M.get(key) return core.shared_get(check_key("get", key)) end

--- Keeps a boolean, number, string or table (as JSON) under key, for ttl seconds when given.
function M.set(key, value, ttl) core.shared_set(check_key("set", key), value, check_ttl("set", ttl)) end

--- Adds by (1) to a number that starts at initial (0), gives the sum. ttl counts from the first.
function M.incr(key, by, initial, ttl)
  check_key("incr", key)
  check.type("lunette.shared.incr: by", by, "number", true)
  check.type("lunette.shared.incr: initial", initial, "number", true)
  local sum = core.shared_incr(key, by or 1, initial or 0, check_ttl("incr", ttl))
  if sum == nil then check.fail("lunette.shared.incr: %q holds no number", key) end
  return sum
end

function M.delete(key) core.shared_set(check_key("delete", key), nil) end

--- All keys, sorted; with a glob only those that match.
function M.keys(glob)
  check.type("lunette.shared.keys: glob", glob, "string", true)
  local keys = {}
  for _, key in ipairs(core.shared_keys()) do
    if not glob or core.glob(glob, key) then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

return M
