-- What an mcpServers file says of a server's tools: FastMCP's `tools` (other names, descriptions and arguments by the
-- tool's own name), `include_tags` and `exclude_tags`, and what editors have for whole tools, `includeTools`,
-- `excludeTools` and `disabledTools`. Each becomes a rule like a policy's, at the place in the file. An unknown key is
-- warned of; a value of the wrong type is an error, since a rule that is not applied could show what it was to hide.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local rules = require "lunette.rules.declare"

local M = {}

local tool_keys = {
  name = "string",
  title = "string",
  description = "string",
  version = "string",
  tags = "table",
  meta = "table",
  enabled = "boolean",
  arguments = "table",
}

local argument_keys = {
  name = "string",
  title = "string",
  description = "string",
  default = true,
  hide = "boolean",
  required = "boolean",
  type = "string",
  examples = true,
}

-- The members of an object that are known and not null, and where each is.
local function read(what, part, known)
  local values, where = {}, {}
  if part.text:sub(1, 1) ~= "{" then check.fail("%s must be an object", what) end
  for _, member in ipairs(part:members()) do
    local value = member.part:value()
    if known and not known[member.name] then
      local text = ("%s: unknown key %s%s"):format(what, member.name, check.suggest(member.name, check.sorted(known)))
      check.warn(member.where, text)
    elseif value ~= core.null then
      if known and known[member.name] ~= true then
        check.type(what .. "." .. member.name, value, known[member.name])
      end
      values[member.name], where[member.name] = value, member
    end
  end
  return values, where
end

local function texts(what, value)
  for i, text in ipairs(check.list(what, value)) do
    check.type(("%s[%d]"):format(what, i), text, "string")
  end
  return value
end

local function read_arguments(what, part)
  local all = {}
  for _, member in ipairs(part:members()) do
    local argument = read(what .. "." .. member.name, member.part, argument_keys)
    local list = argument.examples
    if list ~= nil and not (type(list) == "table" and getmetatable(list) == core.array_mt) then
      argument.examples = setmetatable({ list }, core.array_mt)
    end
    all[member.name] = argument
  end
  return next(all) and all or nil
end

local function read_tool(what, server, member)
  local how, where = read(what, member.part, tool_keys)
  if how.tags then texts(what .. ".tags", how.tags) end
  local changes = { title = how.title, description = how.description, _meta = how.meta }
  if how.enabled == false then changes.enabled = false end
  changes.arguments = how.arguments and read_arguments(what .. ".arguments", where.arguments.part)
  if not next(changes) and not how.name and not how.tags then return end
  rules.transform_native {
    what = what,
    where = member.where,
    upstream = server,
    native = member.name,
    name = how.name,
    tags = how.tags,
    changes = changes,
  }
end

-- --- some of them ------------------------------------------------------------------------------------------------

-- A component's tags are in its _meta, under FastMCP's name.
local function any_tag(item, wanted)
  local meta = type(item._meta) == "table" and item._meta or {}
  for _, key in ipairs { "fastmcp", "_fastmcp" } do
    local own = meta[key]
    for _, tag in ipairs(type(own) == "table" and type(own.tags) == "table" and own.tags or {}) do
      if wanted[tag] then return true end
    end
  end
  return false
end

local function own_name(item, wanted) return wanted[item.native_name] == true end

-- What only lets some through, or some not: which components it is about, and by what.
local filters = {
  include_tags = { has = any_tag, include = true },
  exclude_tags = { has = any_tag, include = false },
  includeTools = { tools_only = true, has = own_name, include = true },
  excludeTools = { tools_only = true, has = own_name, include = false },
  disabledTools = { tools_only = true, has = own_name, include = false },
}

local function filter_by(what, server, member, how)
  local list, wanted = texts(what, member.part:value()), {}
  for _, text in ipairs(list) do
    wanted[text] = true
  end
  for _, kind in ipairs(state.KINDS) do
    if kind.verb == "tools" or not how.tools_only then
      rules.filter_as(kind, {
        where = member.where,
        text = ("%s %s"):format(member.name, table.concat(list, " ")),
        fn = function(item) return item.upstream ~= server or how.has(item, wanted) == how.include end,
      })
    end
  end
end

--- Makes rules of what a server's entry says. what: the entry, for complaints; server: its name; members: the entry's.
function M.declare(what, server, members)
  local by_name = {}
  for _, member in ipairs(members) do
    if member.part:value() ~= core.null then by_name[member.name] = member end
  end
  if by_name.tools then
    local path = what .. ".tools"
    if by_name.tools.part.text:sub(1, 1) ~= "{" then check.fail("%s must be an object of tools by name", path) end
    for _, member in ipairs(by_name.tools.part:members()) do
      read_tool(("%s.%s"):format(path, member.name), server, member)
    end
  end
  -- Last: the tags are those that the tools have by now.
  for _, key in ipairs(check.sorted(filters)) do
    if by_name[key] then filter_by(what .. "." .. key, server, by_name[key], filters[key]) end
  end
end

return M
