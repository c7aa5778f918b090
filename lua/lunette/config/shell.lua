-- Which variables a script for a shell takes from its environment, as far as its text tells. In doubt: none.
local set = require "lunette.base.words"

local M = {}

local shells = set "sh bash dash ash zsh ksh mksh fish"

-- What shells set by themselves.
local own = set [[PWD OLDPWD IFS PPID OPTARG OPTIND OPTERR REPLY RANDOM SRANDOM SECONDS LINENO UID EUID GROUPS HOSTNAME
  HOSTTYPE MACHTYPE OSTYPE SHLVL SHELLOPTS PIPESTATUS FUNCNAME DIRSTACK COLUMNS LINES PS1 PS2 PS4]]

-- After these stand names that the script gives values to.
local setters = set "for read select getopts mapfile readarray printf declare typeset local set"

-- These bring values from elsewhere.
local readers = set ". source eval"

local function program(command) return (command or ""):match "[^/]*$" end

--- Whether args[i] is a script for the shell that the command line starts.
function M.is_script(command, args, i)
  if not (args[i - 1] or ""):find "^%-%a*c$" then return false end
  return shells[program(command)] or program(command) == "env" and shells[program(args[i - 2])] or false
end

-- The script without what the shell leaves alone: quoted by ', escaped, comments; and without double quotes.
local function expanded(script)
  local out, at, double = {}, 1, false
  while at <= #script do
    local c = script:sub(at, at)
    if c == "\\" then
      at = at + 1
    elseif c == '"' then
      double = not double
    elseif c == "'" and not double then
      at = script:find("'", at + 1, true) or #script
    elseif c == "#" and not double and (at == 1 or script:find("^%s", at - 1)) then
      at = (script:find("\n", at, true) or #script + 1) - 1
    else
      out[#out + 1] = c
    end
    at = at + 1
  end
  return table.concat(out)
end

-- The names that one command gives values to; false when it reads them from elsewhere.
local function note_set(command, names)
  local sets, first = false, true
  for word in command:gmatch "%S+" do
    if first and readers[word] then return false end
    local name, value = word:match "^([%a_][%w_]*)%+?=(.*)$"
    -- NAME=$NAME still wants what was there before.
    if name and not value:find("%$" .. name .. "%f[^%w_]") then names[name] = true end
    if sets then names[word] = true end
    sets = sets or setters[word]
    first = false
  end
  return true
end

--- The names in a script that nothing in it gives a value or a default to, in their order.
function M.wanted(text)
  local script = expanded(text)
  local names = {}
  for name in script:gmatch "%${([%a_][%w_]*):?=" do
    names[name] = true
  end
  local without_defaults = script:gsub("%${[%a_][%w_]*:?[-+=]", "{")
  for command in without_defaults:gsub("%${", "$"):gmatch "[^;&|(){}\n]+" do
    if not note_set(command, names) then return {} end
  end
  local list = {}
  for name in without_defaults:gmatch "%${?([%a_][%w_]*)" do
    if not names[name] and not own[name] and not name:find "^BASH" then list[#list + 1] = name end
  end
  return list
end

return M
