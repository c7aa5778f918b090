-- What servers say of a call's arguments when they refuse it, in the names that its client has for them: the text of
-- results with isError, the message and data of JSON-RPC errors. Only of arguments that a transform of this tool
-- renamed, and only where the words around say that an argument is meant; anything else that has the same letters
-- stays. Values that were filled in for hidden arguments are taken out where a server quotes them.
local core = require "lunette.core"
local json_text = require "lunette.base.json_text"
local set = require "lunette.base.words"

local M = {}

local MOST = 256 * 1024 -- bytes of an answer that is looked at at all: it becomes a table
local MOST_TEXT = 64 * 1024 -- bytes of an answer's texts that are looked at
local MOST_NAMES = 500 -- places in them
local AROUND = 240 -- bytes of it that are looked at on either side
local SECRET = 6 -- bytes of a value that is long enough to be one, and not any word
local HIDDEN = "(hidden)"

-- All in lower case. Words behind which an argument is named; the same when it stands in quotes.
local about = set [[argument arguments parameter parameters param params field fields property properties option
  options key keys keyword keywords attribute attributes]]
local about_quoted = set [[missing required unknown unrecognized unexpected at for object allowed]]
for word in pairs(about) do
  about_quoted[word] = true
end
-- What the arguments as a whole are called.
local roots = set "arguments args params parameters input data body kwargs instance"
-- Members of reports whose value is an argument's name, or a way that begins with it.
local labels = set [[path loc param parameter argument field property keys missingproperty additionalproperty
  instancepath datapath pointer missing required fields]]
local ways = set "path loc"
local pointers = set "instancepath datapath pointer"
-- Members whose members are called after arguments.
local by_name = set "fielderrors errors fields properties"

-- What is said of an argument, behind its name; and of one in quotes, where it could be a value as well.
local verdicts = { "^ is required", "^ is missing", "^ is a required", "^ is a dependency", "^ is unknown",
  "^ is not allowed", "^ was unexpected", "^ were unexpected", "^ must ", "^ should ", "^ cannot ", "^ has to " }
local verdicts_bare = { "^ is not ", "^ is invalid", "^ is too ", "^ is empty", "^ can't ", "^ may not ", "^ needs " }

local function any(patterns, text)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

-- The text before a list's last element: before its first.
local function before_list(text)
  local left, n
  repeat
    left, n = text:gsub("[\"'`]?[%w_%-]+[\"'`]?,%s*$", "")
    if n == 0 then
      left, n = text:gsub("[\"'`]?[%w_%-]+[\"'`]?,? and%s+$", "")
    end
    text = left
  until n == 0
  return text
end

local function only_roots(elements)
  for element in elements:gmatch "[%w_%-]+" do
    if not roots[element] then return false end
  end
  return true
end

-- before and after: what stands around a name, in lower case. In quotes: around these.
local function is_meant_in_quotes(before, after)
  if after:find "^[\"'`]%s*:" then
    local member = before:match "(%a+)[\"']?%s*[:=]%s*{[^{}]*[\"']$"
    return by_name[member] or false
  end
  before, after = before:sub(1, -2), after:sub(2)
  local member, elements = before:match "(%a+)[\"']?%s*[:=]%s*[%[(]([^%[%]()]*)$"
  if member then return ways[member] and only_roots(elements) or (labels[member] and not ways[member]) or false end
  if labels[before:match "(%a+)[\"']?%s*[:=]%s*$"] then return true end
  if before:find "%f[%w]data[/.]%w[^\n]*$" then return false end -- of something within an argument
  return about_quoted[before_list(before):match "(%a+)%(?s?%)?[:=]?%s*%(?$"] or any(verdicts, after)
end

local function is_meant(before, after)
  local quote = before:match "[\"'`]$"
  if quote and after:find("^[" .. quote .. ".%[]") then return is_meant_in_quotes(before, after) end
  if before:find "%f[%w]data[/.]%w[^\n]*$" then return false end
  local root = before:match "(%a+)[./]$"
  local ends = after == "" or after:find "^[%s:,;)\"'`%[]" or after:find "^[./]%d"
  if root then return root == "properties" or (ends and roots[root]) or false end
  if before:find "[#\"']/$" then
    local member = before:match "(%a+)[\"']?%s*[:=]%s*[\"']#?/$"
    return ends and (before:find "#/$" or pointers[member]) and true or false
  end
  if about[before_list(before):match "(%a+)[:=]?%s+$"] then return true end
  local begins = before == "" or before:find "\n%s*[-*]?%s*$"
  if begins and (after:find "^:%s" or after:find "^[%w_.%[%]]*\n  %S") then return true end -- the latter is pydantic's
  if before:find "→ at $" then return true end
  return (begins or before:find "[:;,(]%s*$") and (any(verdicts, after) or any(verdicts_bare, after)) or false
end

--- A text with the names in it that are meant replaced.
local function in_text(text, told)
  local out, done = {}, 1
  if told.text_left <= 0 then return text end
  local looked_at = text:sub(1, told.text_left)
  told.text_left = told.text_left - #looked_at
  for from, name, to in looked_at:gmatch "()([%w_$\128-\255-]+)()" do
    local new = told.names[name]
    if new and told.names_left > 0 then
      told.names_left = told.names_left - 1
      local before, after = text:sub(math.max(1, from - AROUND), from - 1):lower(), text:sub(to, to + AROUND):lower()
      if is_meant(before, after) then
        out[#out + 1] = text:sub(done, from - 1)
        out[#out + 1] = new
        done = to
      end
    end
  end
  return done == 1 and text or table.concat(out) .. text:sub(done)
end

-- A text without the hidden values that it quotes. pydantic cuts what it shows in the middle.
local function without_values(text, values)
  if #values == 0 then return text end
  text = text:gsub("input_value=[^\n]-%.%.%.[^\n]-, input_type=", "input_value=" .. HIDDEN .. ", input_type=")
  for _, value in ipairs(values) do
    for _, shown in ipairs { value, core.encode(value):sub(2, -2) } do
      local pattern = shown:gsub("%p", "%%%0")
      text = text:gsub("([\"'`])" .. pattern .. "%1", "%1" .. HIDDEN .. "%1")
    end
  end
  return text
end

local function say(text, told) return in_text(without_values(text, told.values), told) end

-- A report (any JSON) in place. label: the member that it is, or is an element of.
local function in_report(value, told, label, depth)
  if type(value) == "string" then
    for _, secret in ipairs(told.values) do
      if value == secret then return HIDDEN end
    end
    return labels[label] and told.names[value] or say(value, told)
  end
  if type(value) ~= "table" or depth > 20 then return value end
  if json_text.is_list(value) then
    local inside = false -- an argument: what follows names what is in it
    for i, element in ipairs(value) do
      local is_step = ways[label] and (type(element) ~= "string" or element:find "^%S*$" ~= nil)
      if not (is_step and inside) then value[i] = in_report(element, told, label, depth + 1) end
      inside = inside or (is_step and not roots[element])
    end
    return value
  end
  local renamed = {}
  for key, member in pairs(value) do
    value[key] = in_report(member, told, key:lower(), depth + 1)
    if by_name[label] and told.names[key] then renamed[key] = told.names[key] end
  end
  local moved = {}
  for key, new in pairs(renamed) do
    moved[new], value[key] = value[key], nil
  end
  for new, member in pairs(moved) do
    value[new] = member
  end
  return value
end

-- The values among them (JSON) that are long enough to be secrets.
local function secrets_of(values)
  local secrets = {}
  for _, text in ipairs(values or {}) do
    local value = core.decode(text)
    if type(value) == "string" and #value >= SECRET then secrets[#secrets + 1] = value end
  end
  return secrets
end

--- What is to be told otherwise of a call that went through the layers of a chain above `bottom` and up to `top`: the
-- names and the hidden values. nil: nothing. values: texts (JSON) that were filled in for hidden arguments.
function M.of(chain, bottom, top, values)
  local lowest_of -- by a name that the layer presents, the one that the lowest found; nil: no layer has any yet
  local hidden, names = {}, {}
  local function lowest(name) return lowest_of and lowest_of[name] or name end
  for i = bottom + 1, top do
    local layer, next_of = chain[i], {}
    for presented in pairs(layer.presented or {}) do
      next_of[presented] = lowest(layer.native[presented] or presented)
    end
    for name in pairs(layer.found or {}) do
      hidden[lowest(name)] = true
    end
    lowest_of = layer.presented and next_of or lowest_of
  end
  for presented, name in pairs(lowest_of or {}) do
    if presented ~= name then names[name] = presented end
    hidden[name] = nil
  end
  -- Under a name that the client has for another, that one would seem to be meant.
  for name in pairs(hidden) do
    if lowest_of[name] then names[name] = HIDDEN end
  end
  local secrets = secrets_of(values)
  if not next(names) and #secrets == 0 then return nil end
  return { names = names, values = secrets, text_left = MOST_TEXT, names_left = MOST_NAMES }
end

--- An error that was raised, or a result as a table, told otherwise in place.
function M.error(err, told)
  if type(err.message) == "string" then err.message = say(err.message, told) end
  if err.data ~= nil then err.data = in_report(err.data, told, nil, 0) end
  return err
end

function M.result(result, told)
  for _, block in ipairs(type(result.content) == "table" and result.content or {}) do
    if type(block) == "table" and type(block.text) == "string" then block.text = say(block.text, told) end
  end
  return result
end

--- The answer that came to what went through these layers, when it is an error or a result with isError: as a table
-- told otherwise, and whether it is an error. nil: it is none, or there is nothing to tell otherwise. See M.of.
function M.answer(chain, bottom, top, values)
  local text, failed = core.refused()
  local told = text and #text <= MOST and M.of(chain, bottom, top, values)
  if not told then return nil end
  local value = core.decode(text)
  return (failed and M.error or M.result)(value, told), failed
end

return M
