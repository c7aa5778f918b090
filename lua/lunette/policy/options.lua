-- What the ready policies share: how they take their options, and whom a limit counts for. A module of
-- theirs is
--
--   return options.policy("name", { option = options.count(10), … }, function(o) … end)
--
-- and what comes out is the function that `require "lunette.policy.name" { … }` calls. Each option has a
-- check, which gets what was written (nil when nothing was) and gives what to use. Complaints carry the
-- file and line of who wrote the options.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local upstreams = require "lunette.config.upstreams"
local contexts = require "lunette.running.ctx"
local selector = require "lunette.rules.selector"

local M = { fail = check.fail }

--- known: the checks by option. known.list names the option that a plain text or list stands for:
-- deny "write_*" is then deny { tools = { "write_*" } }.
function M.policy(name, known, declare)
  local what, short = "lunette.policy." .. name, known.list
  known.list = nil
  state.unused[what] = check.where()
  return function(given)
    state.unused[what] = nil
    check.loading(what)
    if given == nil then given = {} end
    if short and type(given) == "string" then given = { given } end
    check.type(what .. "'s argument", given, "table")
    local options, listed = {}, {}
    for key, value in pairs(given) do
      if short and type(key) == "number" then
        listed[key] = value
      else
        options[key] = value
      end
    end
    check.options(what, options, known)
    if next(listed) then
      if options[short] ~= nil then check.fail("%s: give either a list or %s, not both", what, short) end
      options[short] = listed
    end
    local taken = {}
    for _, key in ipairs(check.sorted(known)) do
      taken[key] = known[key](what .. ": " .. key, options[key])
    end
    local outer = state.ready
    state.ready = true
    local result = declare(taken, what)
    state.ready = outer
    return result
  end
end

-- --- checks ------------------------------------------------------------------------------------

local REQUIRED = {}
M.REQUIRED = REQUIRED

-- A check that gives the default for nothing; REQUIRED as the default: nothing won't do.
local function with_default(default, test)
  return function(what, value)
    if value ~= nil then return test(what, value) end
    if default == REQUIRED then check.fail("%s must be given", what) end
    return default
  end
end

function M.any(default)
  return with_default(default, function(_, value) return value end)
end

function M.flag(default)
  return with_default(default, function(what, value) return check.type(what, value, "boolean") end)
end

function M.text(default)
  return with_default(default, check.text)
end

function M.callable(default)
  return with_default(default, check.callable)
end

--- A number from least on; seconds are numbers.
function M.number(default, least)
  return with_default(default, function(what, value)
    check.type(what, value, "number")
    if not (value >= (least or 0) and value < math.huge) then
      check.fail("%s must be at least %s, not %s", what, least or 0, value)
    end
    return value
  end)
end

--- A whole number from least (1) on.
function M.count(default, least)
  local number = M.number(default, least or 1)
  return function(what, value)
    if type(value) == "number" and value ~= math.floor(value) then
      check.fail("%s must be a whole number, not %s", what, value)
    end
    return number(what, value)
  end
end

function M.choice(default, choices)
  return with_default(default, function(what, value)
    for _, choice in ipairs(choices) do
      if value == choice then return value end
    end
    local hint = type(value) == "string" and check.suggest(value, choices) or ""
    check.fail("%s must be %s, not %s%s", what, table.concat(choices, " or "), check.describe(value), hint)
  end)
end

--- A list of texts, or one text for a list of one.
function M.texts(default)
  return with_default(default, function(what, value)
    if type(value) == "string" then value = { value } end
    if type(value) ~= "table" or #value == 0 then
      check.fail("%s must be a list of texts, not %s", what, check.describe(value))
    end
    for i, text in ipairs(value) do
      check.text(("%s[%d]"):format(what, i), text)
    end
    return value
  end)
end

--- A table of names; each value goes through test(what, value, name).
function M.map(default, test)
  return with_default(default, function(what, value)
    check.type(what, value, "table")
    if next(value) == nil then check.fail("%s must not be empty", what) end
    local taken = {}
    for _, key in ipairs(check.sorted(value)) do
      if type(key) ~= "string" then check.fail("%s: [%s] is no name", what, tostring(key)) end
      taken[key] = test(what .. "." .. key, value[key], key)
    end
    return taken
  end)
end

--- What lunette.on and the verbs take as a selector.
function M.selector(default)
  return with_default(default, function(what, value)
    selector.new(what, value)
    return value
  end)
end

--- A file: ~ is the home directory, a relative path starts at the policy's folder.
function M.path(default)
  return with_default(default, function(what, value)
    value = upstreams.expand_home(check.text(what, value))
    if value:sub(1, 1) == "/" then return value end
    return (check.where():match "^(.*/)[^/]*$" or "") .. value
  end)
end

--- Such a file, and a change of it reloads the policy.
function M.watched_path(default)
  local path = M.path(default)
  return function(what, value)
    value = path(what, value)
    core.note_file(value)
    return value
  end
end

-- --- selectors ---------------------------------------------------------------------------------

--- A selector for what another one chooses and `where(item, ctx)` agrees to. nothing: what is said when it never does.
function M.narrow(which, where, nothing)
  local narrowed = {}
  if type(which) == "string" or #which > 0 then
    narrowed.name = which
  else
    narrowed.name, narrowed.upstream = which.name, which.upstream
    local own = which.where
    if own then
      narrowed.where = function(item, ctx) return own(item, ctx) and where(item, ctx) end
      return narrowed
    end
  end
  narrowed.where = where
  state.expected[where] = nothing
  return narrowed
end

-- --- whom a limit counts for -------------------------------------------------------------------

local namers = {
  all = function() return "" end,
  session = function(ctx) return ctx.session.id or "" end,
  principal = function(ctx) return ctx.principal.subject or ctx.session.id or "" end,
  client = function(ctx) return tostring(ctx.session.client.name) end,
}

-- The same where somebody taken for another would see what is not theirs: session ids are short, and may be missing.
local strict_namers = {
  all = namers.all,
  session = function(ctx) return "session " .. contexts.session_key(ctx) end,
  principal = function(ctx)
    return ctx.principal.subject and "principal " .. ctx.principal.subject or "session " .. contexts.session_key(ctx)
  end,
  client = namers.client,
}

--- "all", "session", "principal" or "client", or a function(ctx) that gives a text. The option is a
-- function(ctx) then. strict: nobody may be taken for another.
function M.by(default, strict)
  local choice = M.choice(default, check.sorted(namers))
  return function(what, value)
    if type(value) ~= "function" then return (strict and strict_namers or namers)[choice(what, value)] end
    return function(ctx)
      local key = value(ctx)
      if type(key) ~= "string" then error(("%s gave %s, not a text"):format(what, check.describe(key)), 0) end
      return key
    end
  end
end

local numbers = {}

--- A prefix for the keys of one use of a policy in lunette.shared: the same after a reload, as long as the
-- policy is used as often as before.
function M.space(name)
  numbers[name] = (numbers[name] or 0) + 1
  return ("policy.%s.%d:"):format(name, numbers[name])
end

return M
