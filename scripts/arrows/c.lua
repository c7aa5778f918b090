-- What files of C use of each other. Not a compiler: it follows braces and parentheses, and looks each name up among
-- those that our files define. A name is an arrow to the file that defines it:
--
--   a function or a variable   wherever it is named, be it called or put into a table: the header that declares it says
--                              nothing of where it belongs. A function is declared in its own room only: who declares
--                              it for himself gets past a row that allows one header
--   a macro, constant or type  where the definition can be seen through the includes: who only hands on pointers to a
--                              struct needs its name and nothing of it
--
-- Files are as scripts/arrows.lua made them: { path, name, room, node, extension, text }.
local M = {}

local function newlines(text) return select(2, text:gsub("\n", "")) end

local function after_comment(text, at)
  if text:sub(at, at + 1) == "//" then return text:find("\n", at, true) or #text + 1 end
  if text:sub(at, at + 1) == "/*" then return (select(2, text:find("*/", at + 2, true)) or #text) + 1 end
end

-- Where the quoted text that opens here ends.
local function after_quoted(text, at)
  local quote, stop = text:sub(at, at), at + 1
  while stop <= #text and text:sub(stop, stop) ~= quote do
    stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
  end
  return stop + 1
end

-- Where the line ends that opens here, and those that it goes on in.
local function after_directive(text, at)
  local stop
  repeat
    stop = text:find("\n", stop and stop + 1 or at, true) or #text + 1
  until text:sub(stop - 1, stop - 1) ~= "\\"
  return stop
end

local function token_at(text, at)
  if text:find("^[\"']", at) then
    local stop = after_quoted(text, at)
    return { kind = "string", text = text:sub(at + 1, stop - 2) }, stop
  end
  local name = text:match("^[%a_][%w_]*", at)
  local found = name or text:match("^%d[%w_.]*", at) or text:match("^%->", at) or text:sub(at, at)
  return { kind = name and "name" or "sign", text = found }, at + #found
end

-- Tokens without comments: names, strings and signs with their lines. Directives go to on_directive(text, line).
local function lex(text, line, on_directive)
  local tokens, at, fresh = {}, 1, true
  while at <= #text do
    local stop = text:match("^%s+()", at) or after_comment(text, at)
    if stop then
      fresh = fresh or text:sub(at, stop - 1):find "\n" ~= nil
    elseif fresh and on_directive and text:sub(at, at) == "#" then
      stop = after_directive(text, at)
      on_directive(text:sub(at + 1, stop - 1), line)
    else
      local token
      token, stop = token_at(text, at)
      token.line, fresh = line, false
      tokens[#tokens + 1] = token
    end
    line, at = line + newlines(text:sub(at, stop - 1)), stop
  end
  return tokens
end

local tag_words = { struct = true, union = true, enum = true }

local function is_sign(token, text) return token ~= nil and token.kind == "sign" and token.text == text end

local opening, closing = { ["("] = 1, ["["] = 1, ["{"] = 1 }, { [")"] = 1, ["]"] = 1, ["}"] = 1 }

-- How much deeper a token leads into brackets.
local function deeper(token)
  return token.kind == "sign" and (opening[token.text] or 0) - (closing[token.text] or 0) or 0
end

-- A definition, by its name ("struct x" for any tag). What is static in a .c file is that file's own.
local function definer(globals)
  return function(file, name, kind, static)
    if static and file.extension == "c" then
      file.own[name] = true
      return
    end
    local there = globals[name] or { kind = kind }
    globals[name] = there
    if there[#there] ~= file then there[#there + 1] = file end
  end
end

local function constants(file, at, define)
  local tokens, depth = file.tokens, 0
  repeat
    local token, before = tokens[at], tokens[at - 1]
    if token.kind == "name" and depth == 1 and (is_sign(before, "{") or is_sign(before, ","))
      and not is_sign(tokens[at + 1], "(") then
      define(file, token.text, "constant", true)
      token.declares = true
    end
    depth, at = depth + deeper(token), at + 1
  until depth == 0 or not tokens[at]
end

-- Tags and constants, which may be defined at any depth.
local function tags(file, define)
  local tokens = file.tokens
  for i, token in ipairs(tokens) do
    if token.kind == "name" and tag_words[token.text] then
      local tag = tokens[i + 1] and tokens[i + 1].kind == "name" and tokens[i + 1]
      local open = tag and i + 2 or i + 1
      if is_sign(tokens[open], "{") then
        if tag then define(file, "struct " .. tag.text, "type") end
        if token.text == "enum" then constants(file, open, define) end
      end
    end
  end
end

-- The token of the name that a typedef or a variable's declaration declares; nil: it is a prototype, or no name.
local function declared(chunk)
  local depth, last = 0, nil
  for i, token in ipairs(chunk) do
    if depth == 0 and is_sign(token, "=") then return last end
    if depth == 0 and is_sign(token, "(") then
      if chunk[1].text ~= "typedef" then return nil end
      return is_sign(chunk[i + 1], "*") and chunk[i + 2] or last
    end
    depth = depth + deeper(token)
    if depth == 0 and token.kind == "name" then
      last = not tag_words[chunk[i - 1] and chunk[i - 1].text] and token or nil
    elseif is_sign(token, "}") then
      last = nil
    end
  end
  return last
end

local function has(chunk, word)
  for _, token in ipairs(chunk) do
    if token.kind == "name" and token.text == word then return true end
  end
  return false
end

local function declaration(file, chunk, define)
  local name = chunk[1] and declared(chunk)
  if not name then return end
  name.declares = true
  if has(chunk, "typedef") then
    define(file, name.text, "type", true)
  elseif not has(chunk, "extern") then
    define(file, name.text, "variable", has(chunk, "static"))
  end
end

-- The name before the parentheses that end at a token.
local function name_before(tokens, at)
  local depth = 0
  repeat
    depth, at = depth + deeper(tokens[at]), at - 1
  until depth == 0
  return tokens[at]
end

-- The top of a file, declaration by declaration: what it defines, and which tokens declare a name instead of using it.
local function top_level(file, define)
  local tokens, chunk, braces, parens, body = file.tokens, {}, 0, 0, false
  for i, token in ipairs(tokens) do
    if braces == 0 then
      -- Nothing is called here: what has parentheses is declared, or is a macro.
      token.at_top = parens == 0 and token.kind == "name" and is_sign(tokens[i + 1], "(")
      if is_sign(token, "(") or is_sign(token, ")") then parens = parens + deeper(token) end
      if parens == 0 and is_sign(token, ";") then
        declaration(file, chunk, define)
        chunk = {}
      elseif is_sign(token, "{") and is_sign(tokens[i - 1], ")") then
        define(file, name_before(tokens, i - 1).text, "function", has(chunk, "static"))
        body = true
      else
        chunk[#chunk + 1] = token
      end
    end
    if is_sign(token, "{") or is_sign(token, "}") then braces = braces + deeper(token) end
    if braces == 0 and is_sign(token, "}") then
      if body then chunk, body = {}, false else chunk[#chunk + 1] = token end
    end
  end
  return braces == 0
end

local function read(file, define, complain)
  file.own, file.includes, file.bodies = {}, {}, {}
  file.tokens = lex(file.text, 1, function(text, line)
    local word, rest = text:match "^%s*(%a*)%s*(.*)"
    if word == "include" then
      table.insert(file.includes, { line = line, ours = rest:match '^"([^"]+)"', theirs = rest:match "^<([^>]+)>" })
    elseif word == "define" then
      local name, body = rest:match "^([%w_]+)(.*)"
      define(file, name, "macro", true)
      for _, token in ipairs(lex(body:gsub("\\\n", " \n"), line)) do table.insert(file.bodies, token) end
    end
  end)
  tags(file, define)
  if not top_level(file, define) then complain("%s: its braces can't be followed", file.path) end
end

-- All that a file includes, and what that includes.
local function see(file, seen)
  seen[file] = true
  for _, include in ipairs(file.includes) do
    if include.file and not seen[include.file] then see(include.file, seen) end
  end
  return seen
end

local by_sight = { macro = true, constant = true, type = true }

-- The other file that a name means here; nil: it is this one's own, or no name of ours.
local function meant(file, there)
  local found
  for _, other in ipairs(there) do
    if other.node == file.node then return nil end
    if not by_sight[there.kind] or file.sees[other] then found = found or other end
  end
  return found
end

local function names(file, tokens, globals, tell)
  for i, token in ipairs(tokens) do
    local before = tokens[i - 1]
    if token.kind == "name" and not token.declares and not is_sign(before, ".") and not is_sign(before, "->") then
      local name = before and tag_words[before.text] and "struct " .. token.text or token.text
      local there = not file.own[name] and globals[name]
      local to = there and meant(file, there)
      if to and token.at_top and there.kind == "function" then
        if to.room ~= file.room then
          tell.complain("%s:%d: declares %s, which %s defines", file.path, token.line, name, to.path)
        end
      elseif to then
        tell.uses(file, to, token.line, there.kind, name)
      end
    elseif token.kind == "string" and i > 4 and tokens[i - 4].text == "ln_require" then
      tell.enters(file, token.line, token.text)
    end
  end
end

-- Tells what the files use: tell.uses(from, to, line, kind, name), tell.includes(from, line, name) what is not ours,
-- tell.enters(from, line, module) which module of Lua is required, tell.complain(format, …).
function M.read(files, tell)
  local globals, by_name = {}, {}
  local define = definer(globals)
  for _, file in ipairs(files) do
    by_name[file.name] = file
    read(file, define, tell.complain)
  end
  for name, there in pairs(globals) do
    if there.kind == "function" and there[2] then
      tell.complain("%s: %s is defined in %s too", there[1].path, name, there[2].path)
    end
  end
  for _, file in ipairs(files) do
    for _, include in ipairs(file.includes) do
      local name = include.ours or include.theirs
      include.file = by_name[name] or include.ours and by_name[file.room .. "/" .. name]
      if include.file then
        tell.uses(file, include.file, include.line, "include", name)
      elseif include.ours then
        tell.complain("%s:%d: includes %s, which is not there", file.path, include.line, include.ours)
      else
        tell.includes(file, include.line, include.theirs)
      end
    end
  end
  for _, file in ipairs(files) do
    file.sees = see(file, {})
    names(file, file.tokens, globals, tell)
    names(file, file.bodies, globals, tell)
  end
end

return M
