-- What a child finds in its environment: which of Lunette's variables it inherits, and a warning of those that its
-- command line wants and will not get.
local check = require "lunette.base.check"
local core = require "lunette.core"
local selector = require "lunette.rules.selector"
local shell = require "lunette.config.shell"

local M = {}

-- What the official SDKs pass on to servers, and what tells programs of language, time and room for files.
local always = { "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_*", "TMPDIR", "TZ" }

local function check_glob(what, glob)
  if type(glob) ~= "string" then check.fail("%s must be a string, not %s", what, check.describe(glob)) end
  if glob == "" or glob:find "[%c=]" then
    check.fail("%s: %s can match no variable's name", what, check.describe(glob))
  end
  return selector.check_glob(what, glob)
end

--- Globs on the names of the variables that are inherited, a line each. value: an upstream's inherit_env.
function M.inherited(what, value)
  if value == true then return "*" end
  value = value or {}
  if type(value) ~= "table" or (next(value) ~= nil and #value == 0) then
    local given = check.describe(value)
    check.fail('%s: inherit_env must be true, false or a list of globs as { "AWS_*" }, not %s', what, given)
  end
  local globs = { unpack(always) }
  for i, glob in ipairs(value) do
    globs[#globs + 1] = check_glob(("%s: inherit_env[%d]"):format(what, i), glob)
  end
  return table.concat(globs, "\n")
end

-- --- what is wanted ------------------------------------------------------------------------------------

-- After these an argument is a program in itself, whose $ are its own.
local code = { ["-e"] = true, ["-p"] = true, ["-c"] = true, ["--eval"] = true, ["--print"] = true }

-- Names in an argument that is no script: only what can hardly mean anything else.
local function in_word(text)
  local list = {}
  for name in text:gmatch "%${([%u_][%u%d_]+)}" do
    list[#list + 1] = name
  end
  list[#list + 1] = text:match "^%$([%u_][%u%d_]+)$" or text:match "[=: ]%$([%u_][%u%d_]+)$"
  return list
end

-- Programs that hand on, as `-e NAME` or `--env NAME`, what they find in their own environment.
local hands_on = { docker = true, podman = true, nerdctl = true }
local name_alone = "^[%a_][%w_]*$"

local function handed_on(args, i)
  local before = args[i - 1]
  local name = (before == "-e" or before == "--env") and args[i] or args[i]:match "^%-%-env=(.*)$"
  return { name and name:match(name_alone) }
end

-- Values may be secrets: of them only one is read that is nothing but a name.
local function in_value(text)
  local name = text:match "^%$([%u_][%u%d_]+)$" or text:match "^%${([%u_][%u%d_]+)}$"
  return { name }
end

--- Warns, at u.where, of variables that a server's command line or environment names and that it won't get.
-- u: as declared, its env as "NAME=value".
function M.warn(what, u)
  local told = {}
  local function tell(key, names)
    for _, name in ipairs(names) do
      if not told[name] and not core.glob(u.inherit, name) then
        local text = "%s: %s wants $%s, which the server won't get: it inherits few variables; "
          .. "add it to env or inherit_env"
        check.warn(u.where, text:format(what, key, name))
      end
      told[name] = true
    end
  end
  local args, env = u.args or {}, u.env or {}
  for _, line in ipairs(env) do
    told[line:match "^[^=]+"] = true
  end
  local program = u.command:match "[^/]*$"
  for i, arg in ipairs(args) do
    local key = ("args[%d]"):format(i)
    if shell.is_script(u.command, args, i) then
      tell(key, shell.wanted(arg))
    elseif hands_on[program] then
      tell(key, handed_on(args, i))
      tell(key, in_word(arg))
    elseif not code[args[i - 1]] then
      tell(key, in_word(arg))
    end
    -- What env(1) is told.
    if program == "env" and arg:find "^[%a_][%w_]*=" then told[arg:match "^[^=]+"] = true end
  end
  for _, line in ipairs(env) do
    local name, value = line:match "^([^=]+)=(.*)$"
    tell("env." .. name, in_value(value))
  end
end

return M
