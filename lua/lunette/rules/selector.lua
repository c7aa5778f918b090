-- Selectors: which components a rule or handler is about. A glob on the presented name, a list of
-- them, or a table { name =, upstream =, where = }.
local core = require "lunette.core"
local check = require "lunette.base.check"

local M = {}

local known = { name = true, upstream = true, where = true }

--- Raises when a "[" begins a set that never ends.
function M.check_glob(what, glob)
  local at = 1
  while at <= #glob do
    local c = glob:sub(at, at)
    if c == "\\" then
      at = at + 1
    elseif c == "[" then
      local from = at
      at = glob:match("^[!^]?()", at + 1)
      repeat
        local char, after = glob:match("^(\\?.)()", at)
        if not char then
          check.fail('%s: the "[" at byte %d of %s is not closed; write "\\[" for the character', what, from, glob)
        end
        at = after
      until glob:sub(at, at) == "]"
    end
    at = at + 1
  end
  return glob
end

local function globs(what, value)
  if type(value) == "string" then return { M.check_glob(what, check.text(what, value)) } end
  if type(value) ~= "table" or #value == 0 then
    check.fail("%s must be a glob or a list of globs, not %s", what, check.describe(value))
  end
  local list = {}
  for i, glob in ipairs(value) do
    local which = ("%s[%d]"):format(what, i)
    list[i] = M.check_glob(which, check.text(which, glob))
  end
  return list
end

-- An upstream as lunette.upstream returned it counts as its name.
local function upstream_globs(what, value)
  if type(value) == "table" and type(value.name) == "string" then value = value.name end
  return globs(what, value)
end

--- Checks a selector and gives it one form:
-- { names = {glob…} or nil, upstreams = {glob…} or nil, where = function or nil, text = "…" }
function M.new(what, value)
  check.dotted(what, value)
  if type(value) == "string" then
    return { names = globs(what, value), text = value }
  end
  if type(value) ~= "table" then
    check.fail("%s must be a glob or a table { name =, upstream =, where = }, not %s", what, check.describe(value))
  end
  if #value > 0 then
    local names = globs(what, value)
    return { names = names, text = table.concat(names, " ") }
  end
  check.options(what, value, known)
  if next(value) == nil then check.fail("%s selects nothing: give name, upstream or where", what) end
  local s, words = {}, {}
  if value.name ~= nil then
    s.names = globs(what .. ".name", value.name)
    words[#words + 1] = table.concat(s.names, " ")
  end
  if value.upstream ~= nil then
    s.upstreams = upstream_globs(what .. ".upstream", value.upstream)
    words[#words + 1] = "upstream " .. table.concat(s.upstreams, " ")
  end
  if value.where ~= nil then
    s.where = check.callable(what .. ".where", value.where)
    s.takes_ctx = check.takes(s.where, 2)
    words[#words + 1] = "where …"
  end
  s.text = table.concat(words, ", ")
  return s
end

local web = { http = true, https = true, ws = true, wss = true, ftp = true }

--- A glob on URIs with its scheme and host in lower case, which they are in what it is compared with. loosely: the host
-- of any scheme; else of those where its case makes no difference.
function M.lower_case(glob, loosely)
  local scheme, rest = glob:match "^(%a[%w+.-]*)(:.*)$"
  if not scheme then return glob end
  scheme = scheme:lower()
  if loosely or web[scheme] then rest = rest:gsub("^://[^/]*", string.lower) end
  return scheme .. rest
end

--- True when one of the globs matches.
function M.any(list, text)
  for i = 1, #list do
    if core.glob(list[i], text) then return true end
  end
  return false
end

return M
