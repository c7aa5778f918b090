-- lunette.test: policies tried against servers and clients that a spec plays. The host and its
-- policy are the real ones, in this process; only the pipes are not there. What each function takes is in
-- types.lua and lua/README.md. Run by `lunette test` (see cli/test.lua).
local core = require "lunette.core"
local check = require "lunette.base.check"
local json = require "lunette.lib.json"
local proxies = require "lunette.test.proxy"
local servers = require "lunette.test.server"
local wire = require "lunette.test.wire"

---@type lunette.test
local test = { server = servers.new, run = proxies.run, text = wire.text }

test.json, test.array, test.null = json.json, json.array, json.null

--- A proxy and its first client: the client, whose `proxy` it is.
function test.connect(options)
  check.type("test.connect", options, "table")
  local rest = {}
  for key, value in pairs(options) do
    if key ~= "client" then rest[key] = value end
  end
  return proxies.run(rest):client(options.client)
end

local function step_all(seconds)
  local any = false
  for _, proxy in ipairs(proxies.open) do
    any = proxy:_step(any and 0 or seconds / #proxies.open) or any
  end
end

--- Goes on until fn gives something true, which it returns.
function test.wait(fn, what, seconds)
  check.callable("test.wait's argument", fn)
  local deadline = core.now() + (seconds or wire.PATIENCE)
  while true do
    local value = fn()
    if value then return value end
    if core.now() >= deadline then
      wire.fail("%s did not come within %g seconds", what or "what is waited for", seconds or wire.PATIENCE)
    end
    step_all(0.01)
  end
end

--- Lets time pass.
function test.sleep(seconds)
  check.type("test.sleep: seconds", seconds, "number")
  local deadline = core.now() + seconds
  while core.now() < deadline do
    step_all(math.min(0.01, math.max(0, deadline - core.now())))
  end
end

check.closed("lunette.test", test)

return test
