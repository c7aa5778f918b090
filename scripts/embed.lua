-- Writes a C file that holds Lua modules as arrays of bytes: embed.lua ROOT OUT FILE…
-- FILE is relative to ROOT; lunette/init.lua becomes the module "lunette".
local root, out, first = arg[1], arg[2], 3

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function module_name(path)
  return (path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

local file = assert(io.open(out, "w"))
file:write '#include "script/modules.h"\n'
local rows = {}
for i = first, #arg do
  local text = slurp(root .. "/" .. arg[i])
  file:write(("static const unsigned char m%d[] = {"):format(i))
  local bytes = {}
  for j = 1, #text do bytes[j] = text:byte(j) .. (j % 24 == 0 and ",\n" or ",") end
  file:write(table.concat(bytes), "0};\n")
  rows[#rows + 1] = ('    {"%s", (const char *)m%d, %d, "%s"},\n'):format(
    module_name(arg[i]), i, #text, arg[i])
end
file:write("const struct ln_lua_module ln_lua_modules[] = {\n", table.concat(rows),
  "    {0, 0, 0, 0},\n};\n")
assert(file:close())
