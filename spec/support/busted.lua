-- Runs busted under LuaJIT: `luajit spec/support/busted.lua [busted's options] FILES`.
--
-- Differs from busted's own command in three things: modules are found from the repository's root,
-- results are reported by report.lua, and the process leaves without closing the Lua state, since
-- luv's handles may not be collected after its loop.
local root = arg[0]:match "^(.*)/spec/support/busted%.lua$" or "."
package.path = root .. "/?.lua;" .. root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;" .. package.path

-- busted forgets the modules that a spec file loaded when the file ends; C modules stay.
pcall(require, "luv")
require "cjson"

local exit = os.exit
os.exit = function(code) -- luacheck: ignore 122
  io.stdout:flush()
  io.stderr:flush()
  exit(code)
end

table.insert(arg, 1, "--output=" .. root .. "/spec/support/report.lua")
-- It leaves by an error without a message when a test failed.
local ok, err = pcall(require "busted.runner", { standalone = false })
if err then io.stderr:write(tostring(err), "\n") end
os.exit(ok and 0 or 1)
