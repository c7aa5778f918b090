-- How the binary or library under test was built, out of CMake's cache beside it.
local M = {}

local function cached(path)
  local values, file = {}, io.open((path:gsub("[^/]*$", "")) .. "CMakeCache.txt")
  if not file then return values end
  for line in file:lines() do
    local name, value = line:match "^([%w_]+):%w+=(.*)"
    if name then values[name] = value end
  end
  file:close()
  return values
end

--- What makes it a development build (see CMakeLists.txt), or nil: "CMAKE_BUILD_TYPE=Debug", "LN_SANITIZE=ON".
--- One without a cache beside it is taken for installed, which a development build is not.
function M.development(path)
  local values = cached(path)
  if values.CMAKE_BUILD_TYPE == "Debug" then return "CMAKE_BUILD_TYPE=Debug" end
  local sanitize = (values.LN_SANITIZE or "OFF"):upper()
  if sanitize == "ON" or sanitize == "1" or sanitize == "TRUE" then return "LN_SANITIZE=ON" end
end

return M
