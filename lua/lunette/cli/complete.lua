-- What may come next on a command line: the one engine behind all shells' completion (completion.lua). It is
-- given the words after the program's name, the last of which is being written, and gives candidates; what
-- only a shell can tell (files, commands) it asks the shell to.
local targets = require "lunette.config.words"

local M = {}

-- --- a command's options, as its `describe` gives them to argparse ------------------------------------

local element = {}
element.__index = function() return function(self) return self end end

local Recorder = {}
Recorder.__index = function() return function(self) return self end end

local function record(self, name, what, takes)
  local option = { name = name, what = what or "", takes = takes, many = false, value = false, list = false }
  setmetatable(option, element)
  rawset(option, "argname", function(e, text)
    e.value = text
    return e
  end)
  rawset(option, "choices", function(e, list)
    e.list = list
    return e
  end)
  rawset(option, "count", function(e)
    e.many = true
    return e
  end)
  self.found[#self.found + 1] = option
  return option
end

--- The options of a command, in the order described: { name =, what =, takes =, value =, list =, many = }.
function M.options_of(module)
  local recorder = setmetatable({ found = {} }, Recorder)
  rawset(recorder, "option", function(self, name, what) return record(self, name, what, true) end)
  rawset(recorder, "flag", function(self, name, what) return record(self, name, what, false) end)
  rawset(recorder, "argument", function() return setmetatable({}, element) end)
  module.describe(recorder, function() return function() end end)
  return recorder.found
end

-- --- candidates ------------------------------------------------------------------------------------------

local List = {}
List.__index = List

function List:add(text, note)
  if type(text) ~= "string" or text:find "[%c]" or text:sub(1, #self.current) ~= self.current then return end
  self[#self + 1] = { text = text, note = note and note:gsub("%s+", " ") or "" }
end

--- Asks the shell: "files EXT…", "commands".
function List:ask(what) self[#self + 1] = { ask = what } end

local POLICIES, TARGETS = "files lua", "files lua json jsonc"

-- The value of an option.
local function add_values(list, option)
  if option.list then
    for _, value in ipairs(option.list) do
      list:add(value)
    end
  elseif option.value == "FILE" then
    list:ask(POLICIES)
  end
end

local function add_options(list, options, given)
  for _, option in ipairs(options) do
    if option.many or not given[option.name] then list:add(option.name, option.what) end
  end
  list:add("--help", "Show help")
end

-- --- what the servers have --------------------------------------------------------------------------------

-- Servers that take their time are given up, children and all: see README.md.
local SECONDS = 2

local function give_up_after(seconds)
  local ffi = require "ffi"
  ffi.cdef "unsigned int alarm(unsigned int seconds);"
  ffi.C.alarm(seconds)
end

-- fn(client, session) with a session to the targets; nothing when there is none to be had.
local function with_client(words, policies, command, fn)
  local all = {}
  for _, word in ipairs(words) do
    all[#all + 1] = { text = word }
  end
  for _, path in ipairs(policies) do
    all[#all + 1] = { text = path, policy = true }
  end
  give_up_after(SECONDS)
  local session = require "lunette.cli.session"
  pcall(session.with, { log_level = "none" }, all, command, function(client) fn(client, session) end)
end

local function items_of(client, session, kind)
  local json, items = require "lunette.base.raw_json", {}
  for i, raw in ipairs(client:items(session.KINDS[kind]) or {}) do
    items[i] = json.decode(raw)
  end
  return items
end

local function add_names(list, kind)
  return function(client, session)
    local key = session.KINDS[kind].key
    for _, item in ipairs(items_of(client, session, kind)) do
      list:add(item[key], type(item.description) == "string" and item.description or item.title)
    end
  end
end

local function find(items, name)
  for _, item in ipairs(items) do
    if item.name == name then return item end
  end
end

-- "key=" of the arguments that are not given yet; of one that is being given the values its schema lists.
local function add_argument(list, name, schema, given)
  local key = list.current:match "^(.-)="
  if key == name then
    local values = type(schema) == "table" and (schema.enum or schema.type == "boolean" and { "true", "false" })
    for _, value in ipairs(type(values) == "table" and values or {}) do
      list:add(("%s=%s"):format(name, tostring(value)))
    end
  elseif not key and not given[name] then
    list:add(name .. "=", type(schema) == "table" and type(schema.description) == "string" and schema.description or "")
  end
end

local function add_arguments(list, kind, name, pairs_)
  local given = {}
  for _, pair in ipairs(pairs_) do
    given[pair:match "^(.-):?=" or ""] = true
  end
  return function(client, session)
    local item = find(items_of(client, session, kind), name) or {}
    if kind == 4 then
      for _, argument in ipairs(type(item.arguments) == "table" and item.arguments or {}) do
        add_argument(list, argument.name, argument, given)
      end
      return
    end
    local properties = type(item.inputSchema) == "table" and item.inputSchema.properties
    for _, key in ipairs(require("lunette.base.check").sorted(type(properties) == "table" and properties or {})) do
      add_argument(list, key, properties[key], given)
    end
  end
end

-- call, read, prompt: targets, then a name, then (not for read) its arguments.
local function names_of(kind)
  return function(list, words, policies, command)
    local n = #words
    for i, word in ipairs(words) do
      if not targets.kind(word) then
        n = i - 1
        break
      end
    end
    local targeted = { unpack(words, 1, n) }
    local named = words[n + 1]
    if n == 0 and not command then
      if not named then list:ask(TARGETS) end
    elseif not named then
      with_client(targeted, policies, command, add_names(list, kind))
      if #list == 0 then list:ask(TARGETS) end
    elseif kind ~= 2 then
      with_client(targeted, policies, command, add_arguments(list, kind, named, { unpack(words, n + 2) }))
    end
  end
end

local function files(what)
  return function(list) list:ask(what) end
end

local function words_of(fn)
  return function(list, words)
    if #words > 0 then return end
    for _, word in ipairs(fn()) do
      list:add(unpack(word))
    end
  end
end

-- By command: what its positional words may be.
local positional = {
  run = files(TARGETS),
  list = files(TARGETS),
  check = files(TARGETS),
  test = files(POLICIES),
  pin = files "files jsonl",
  call = names_of(1),
  read = names_of(2),
  prompt = names_of(4),
  completion = words_of(function() return { { "bash" }, { "zsh" }, { "fish" } } end),
}

-- Divides the words before the one being written: options that were given, positional words, policies; and the
-- option whose value the current word is.
local function divide(options, words)
  local by_name, given, plain, policies, awaits = {}, {}, {}, {}, nil
  for _, option in ipairs(options) do
    by_name[option.name] = option
  end
  for _, word in ipairs(words) do
    if awaits then
      if awaits.name == "--policy" then policies[#policies + 1] = word end
      awaits = nil
    elseif word:sub(1, 1) == "-" then
      local name, value = word:match "^(%-%-[%w-]+)=(.*)$"
      local option = by_name[name or word]
      given[name or word] = true
      if option and option.name == "--policy" and value then policies[#policies + 1] = value end
      awaits = option and option.takes and not value and option or nil
    else
      plain[#plain + 1] = word
    end
  end
  return { by_name = by_name, given = given, plain = plain, policies = policies, awaits = awaits }
end

-- "--option=": the candidates are whole words all the same.
local function add_after_equals(list, state)
  local name, value = list.current:match "^(%-%-[%w-]+)=(.*)$"
  local option = name and state.by_name[name]
  if not option then return false end
  local values = setmetatable({ current = value }, List)
  add_values(values, option)
  for _, candidate in ipairs(values) do
    if candidate.text then list:add(name .. "=" .. candidate.text) end
  end
  return true
end

--- The candidates for the last of the words: { { text =, note = } or { ask = } … }. commands: { name =, what = } of
-- all; load(name): a command's module, or nil.
function M.candidates(words, commands, load)
  local before, after = targets.split { unpack(words, 1, #words - 1) }
  local list = setmetatable({ current = words[#words] or "" }, List)
  if after then
    list:ask(#after == 0 and "commands" or "files")
    return list
  end
  if #before == 0 then
    for _, command in ipairs(commands) do
      list:add(command.name, command.what)
    end
    return list
  end
  local name = before[1]
  if name == "help" then
    positional.help = words_of(function()
      local all = {}
      for i, command in ipairs(commands) do
        all[i] = { command.name, command.what }
      end
      return all
    end)
  end
  local module = load(name)
  local options = module and M.options_of(module) or {}
  local state = divide(options, { unpack(before, 2) })
  if state.awaits then
    add_values(list, state.awaits)
  elseif list.current:sub(1, 1) == "-" then
    if not add_after_equals(list, state) then add_options(list, options, state.given) end
  elseif positional[name] then
    -- A command after "--" can't be there yet: it would be after the current word.
    positional[name](list, state.plain, state.policies, nil)
  end
  return list
end

return M
