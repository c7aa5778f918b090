-- Which files of Lua require which, wherever in a file it is written. A name that is put together can be followed as
-- far as its beginning: `require("lunette.cli." .. name)` is an arrow to the folder. See scripts/arrows.lua.
local M = {}

-- Where a long bracket that opens here ends, and what is in it.
local function long_bracket(text, at)
  local level, from = text:match("^%[(=*)%[()", at)
  if not level then return nil end
  local stop = text:find("]" .. level .. "]", from, true) or #text + 1
  return stop + #level + 2, text:sub(from, stop - 1)
end

local function after_comment(text, at)
  if text:sub(at, at + 1) ~= "--" then return nil end
  return long_bracket(text, at + 2) or text:find("\n", at, true) or #text + 1
end

local function token_at(text, at)
  local stop, inside = long_bracket(text, at)
  if stop then return { kind = "string", text = inside }, stop end
  local quote = text:match("^[\"']", at)
  if quote then
    stop = at + 1
    while stop <= #text and text:sub(stop, stop) ~= quote do stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1) end
    return { kind = "string", text = text:sub(at + 1, stop - 1) }, stop + 1
  end
  local name = text:match("^[%a_][%w_]*", at)
  local found = name or text:match("^%d[%w.]*", at) or text:match("^%.%.+", at) or text:sub(at, at)
  return { kind = name and "name" or "sign", text = found }, at + #found
end

local function lex(text)
  local tokens, at, line = {}, 1, 1
  while at <= #text do
    local stop = text:match("^%s+()", at) or after_comment(text, at)
    if not stop then
      local token
      token, stop = token_at(text, at)
      token.line = line
      tokens[#tokens + 1] = token
    end
    line, at = line + select(2, text:sub(at, stop - 1):gsub("\n", "")), stop
  end
  return tokens
end

local function is_sign(token, text) return token ~= nil and token.kind == "sign" and token.text == text end

-- What the `require` at tokens[i] (or pcall(require, …)) names, and whether that is only how the name begins; nil when
-- it can't be read.
local function required(tokens, i)
  local inside = is_sign(tokens[i + 1], "(") or is_sign(tokens[i + 1], ",")
  local word = tokens[inside and i + 2 or i + 1]
  if not word or word.kind ~= "string" then return nil end
  return word.text, inside and is_sign(tokens[i + 3], "..")
end

local function requires(file, modules, tell)
  local tokens = lex(file.text)
  for i, token in ipairs(tokens) do
    local before = tokens[i - 1]
    if token.kind == "name" and token.text == "require" and not is_sign(before, ".") and not is_sign(before, ":") then
      local name, begins = required(tokens, i)
      if not name or (begins and name:sub(-1) ~= ".") then
        tell.complain("%s:%d: which module this requires can't be read", file.path, token.line)
      elseif begins then
        local room = name:sub(1, -2):gsub("%.", "/")
        tell.uses(file, { room = room, path = "lua/" .. room }, token.line, "require", name)
      elseif modules[name] then
        tell.uses(file, modules[name], token.line, "require", name)
      else
        tell.includes(file, token.line, name)
      end
    end
  end
end

-- Tells what the files use, as c.lua does; gives the files by their modules.
function M.read(files, tell)
  local modules = {}
  for _, file in ipairs(files) do
    modules[(file.name:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))] = file
  end
  for _, file in ipairs(files) do requires(file, modules, tell) end
  return modules
end

return M
