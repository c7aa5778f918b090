-- What luacheck needs to know about the Lua here.
std = "luajit"
max_line_length = 130
exclude_files = { "spec/node_modules", "build*" }

files["spec"] = { std = "+busted" }
-- In policies an unused argument says what a handler is given.
files["examples"] = { ignore = { "212" } }
files["lua/lunette/policy"] = { ignore = { "212/ctx" } }
