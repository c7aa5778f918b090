-- lunette.configure: the policy's settings. Times are in seconds.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local upstreams = require "lunette.config.upstreams"

local M = {}

local YEAR = 366 * 86400

-- kind: "time", "count", "limit" (a count, or 0: none), "flag", "file", or what a list has; bounds are inclusive.
local known = {
  start_timeout = { "time", 2, 0, YEAR },
  late_timeout = { "time", 30, 0, YEAR },
  request_timeout = { "time", 60, 0.001, YEAR },
  max_request_timeout = { "time", 3600, 0.001, YEAR },
  hook_timeout = { "time", 1, 0, YEAR },
  watchdog = { "time", 10, 0, YEAR },
  memory_limit = { "limit", 256 * 1024 * 1024, 8 * 1024 * 1024, 64 * 1024 ^ 3 },
  drain_timeout = { "time", 5, 0, YEAR },
  list_max_age = { "time", 10, 0, YEAR },
  session_timeout = { "time", 1800, 0.001, YEAR },
  session_key_file = { "file" }, -- none: in the user's state folder
  hosts = { "hosts" }, -- none: addresses and the machine's name
  origins = { "origins" }, -- none: on loopback, loopback's
  trusted_proxies = { "networks" }, -- none
  http_timeout = { "time", 30, 0.001, YEAR },
  max_http_timeout = { "time", 600, 0.001, 31 * 86400 },
  max_http_bytes = { "count", 16 * 1024 * 1024, 1024, 1024 * 1024 * 1024 },
  max_message_bytes = { "count", 4 * 1024 * 1024, 1024, 1024 * 1024 * 1024 },
  max_buffered_bytes = { "count", 256 * 1024 * 1024, 64 * 1024, 64 * 1024 ^ 3 },
  max_initialize_bytes = { "count", 64 * 1024, 1024, 1024 * 1024 * 1024 },
  max_uri_bytes = { "count", 8192, 64, 16384 },
  max_depth = { "count", 128, 4, 190 },
  max_sessions = { "count", 10000, 1, 10000000 },
  max_sessions_per_peer = { "count", 1000, 1, 10000000 },
  unused_session_timeout = { "time", 60, 0, YEAR },
  max_in_flight = { "count", 1024, 1, 1000000 },
  max_children = { "count", 256, 1, 100000 },
  max_connections = { "count", 10000, 1, 10000000 },
  max_templates = { "count", 1000, 1, 100000 },
  page_size = { "count", 1000, 0, 1000000 },
  show_stderr = { "flag", false },
  jit = { "flag", false },
}

for name, row in pairs(known) do
  state.settings[name] = row[2]
end

-- What is in a list, by its kind: how an entry is kept (nil: it is none), and what it must be.
local lists = {
  hosts = {
    what = "a host name or an IP address, without scheme, port and wildcards",
    read = function(host) -- as Host has it: an IPv6 address in brackets
      host = host:find ":.*:" and not host:find "^%[" and "[" .. host .. "]" or host
      return core.host(host) and host
    end,
  },
  origins = {
    what = 'an origin as "https://app.example.com", with a port where it has one and without a path, or "*" for all',
    read = function(origin) return (origin == "*" or origin == "null" or core.origin(origin)) and origin end,
  },
  networks = {
    what = "an IP address or a network such as 10.0.0.0/8, whose bits past its length are 0",
    may_be_empty = true,
    read = function(network) return core.network(network) and network end,
  },
}

local function check_list(what, list, of)
  local kept = {}
  if #check.list(what, list) == 0 and not of.may_be_empty then check.fail("%s must name at least one", what) end
  for i, entry in ipairs(list) do
    local which = ("%s[%d]"):format(what, i)
    check.type(which, entry, "string")
    kept[i] = of.read(entry) or check.fail("%s must be %s, not %q", which, of.what, entry)
  end
  return kept
end

local function check_value(name, value)
  local kind, least, most = known[name][1], known[name][3], known[name][4]
  local what = "lunette.configure: " .. name
  if kind == "flag" then return check.type(what, value, "boolean") end
  if kind == "file" then
    check.type(what, value, "string")
    if value == "" or value:find "%z" then check.fail("%s must be the name of a file", what) end
    return upstreams.expand_home(value)
  end
  if lists[kind] then return check_list(what, value, lists[kind]) end
  check.type(what, value, "number")
  if kind == "limit" and value == 0 then return value end
  if not (value >= least and value <= most) then
    local unit = kind == "time" and " seconds" or ""
    check.fail("%s must be from %s to %s%s, not %s", what, least, most, unit, value)
  end
  if (kind == "count" or kind == "limit") and value ~= math.floor(value) then
    check.fail("%s must be a whole number, not %s", what, value)
  end
  return value
end

function M.configure(options)
  check.loading "lunette.configure"
  check.type("lunette.configure's argument", options, "table")
  check.options("lunette.configure", options, known)
  for name, value in pairs(options) do
    state.settings[name] = check_value(name, value)
  end
end

return M
