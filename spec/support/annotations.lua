-- The annotations of a types.lua, read as far as they can be held against what is there: classes with their
-- parents, fields and functions, and each function's parameters.
local M = {}

local function params_of(text)
  local list = {}
  for name in text:gmatch "[%w_.]+" do list[#list + 1] = name end
  return list
end

--- { [class] = { parents = {…}, fields = { [name] = type text }, functions = { [name] = { params = {…} (as it
--- stands), told = {…} (by ---@param), method = whether it has a colon } } } }
function M.read(path)
  local classes, by_variable, class, told = {}, {}, nil, {}
  for line in io.lines(path) do
    local name, rest = line:match "^%-%-%-@class ([%w_.]+)(.*)$"
    local field, field_type = line:match "^%-%-%-@field ([%w_]+)%??%s+(.*)$"
    local variable = line:match "^local (%w+) = {}$"
    local owner, colon, fn, params = line:match "^function (%w+)([.:])([%w_]+)%((.-)%) end$"
    if name then
      class = { name = name, parents = params_of(rest:match ":%s*(.*)" or ""), fields = {}, functions = {} }
      classes[name] = class
    elseif field then
      class.fields[field] = field_type
    elseif variable then
      by_variable[variable] = class
    elseif line:match "^%-%-%-@param " then
      told[#told + 1] = line:match "^%-%-%-@param ([%w_.]+)"
    elseif fn then
      local it = { params = params_of(params), told = told, method = colon == ":" }
      local whose = by_variable[owner]
      whose.functions[fn] = it
      told = {}
    elseif line == "" then
      told = {}
    end
  end
  return classes
end

--- All functions of a class, its parents' too.
function M.functions(classes, name, into)
  into = into or {}
  local class = assert(classes[name], "no class " .. name)
  for _, parent in ipairs(class.parents) do M.functions(classes, parent, into) end
  for fn, it in pairs(class.functions) do into[fn] = it end
  for field, text in pairs(class.fields) do
    if text:find "^fun%(" then into[field] = { params = {}, told = {}, inline = true } end
  end
  return into
end

--- All fields, likewise.
function M.fields(classes, name, into)
  into = into or {}
  for _, parent in ipairs(classes[name].parents) do M.fields(classes, parent, into) end
  for field, text in pairs(classes[name].fields) do into[field] = text end
  return into
end

--- What is wrong between what is told of a class and what is there: lines. there: name → { params = number or nil
--- when it takes any number } of each function, methods without self.
function M.differences(classes, name, there)
  local told, wrong = M.functions(classes, name), {}
  for fn, it in pairs(told) do
    if not there[fn] then wrong[#wrong + 1] = ("%s.%s is annotated but not there"):format(name, fn) end
    if table.concat(it.params, " ") ~= table.concat(it.told, " ") then
      wrong[#wrong + 1] = ("%s.%s has parameters (%s) but tells of (%s)"):format(name, fn, table.concat(it.params, ", "),
        table.concat(it.told, ", "))
    end
    local n = there[fn] and there[fn].params
    if n and not it.inline and n ~= #it.params then
      wrong[#wrong + 1] = ("%s.%s takes %d parameters but is annotated with %d"):format(name, fn, n, #it.params)
    end
  end
  for fn in pairs(there) do
    if not told[fn] then wrong[#wrong + 1] = ("%s.%s is there but not annotated"):format(name, fn) end
  end
  table.sort(wrong)
  return wrong
end

--- The functions of a table for M.differences; names that begin with "_" are its own affair.
function M.functions_of(t, is_method)
  local list = {}
  for name, value in pairs(t) do
    if type(value) == "function" and not name:find "^_" then
      local info = debug.getinfo(value, "u")
      list[name] = { params = not info.isvararg and info.nparams - (is_method and 1 or 0) or nil }
    end
  end
  return list
end

return M
