-- What luacheck needs to know about the Lua here.
std = "luajit"
max_line_length = 120
exclude_files = { "spec/node_modules", "build*" }

-- Raw messages stand in the specs as they are.
files["spec"] = { std = "+busted", max_line_length = 160 }
-- In policies an unused argument says what a handler is given.
files["examples"] = { ignore = { "212" } }
files["examples/spec"] = { std = "+busted" }
files["lua/lunette/policy"] = { ignore = { "212/ctx" } }
