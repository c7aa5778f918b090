-- What the command line says about servers and policies: the words before `--`, and the command after it.
local M = {}

--- Divides argv at the first "--": the words before it, and the command's (nil when there is no "--").
function M.split(argv)
  local before, command = {}, nil
  for _, word in ipairs(argv) do
    if command then
      command[#command + 1] = word
    elseif word == "--" then
      command = {}
    else
      before[#before + 1] = word
    end
  end
  return before, command
end

local function is_file(path)
  local file = io.open(path, "rb")
  if not file then return false end
  file:close()
  return true
end

--- What kind of target a word looks like ("lua", "json", "url"), nil when it looks like none. A file
-- of another name counts when it is given with a folder, so that no tool is taken for a file.
function M.kind(word)
  if word:find "^[hH][tT][tT][pP][sS]?://" then return "url" end
  if word:find "%.lua$" then return "lua" end
  if word:find "%.json$" or word:find "%.jsonc$" then return "json" end
  if word:find "/" and not word:find "^%a[%w+.-]*://" and is_file(word) then return "json" end
  return nil
end

local hint = "a target is a policy (*.lua), an mcpServers file (*.json), an http(s) URL, or -- COMMAND ARGS"

--- A word that must be a target: { kind =, text = }, or nil and what would be right.
function M.target(word)
  local kind = M.kind(word)
  if kind then return { kind = kind, text = word } end
  if is_file(word) then return { kind = "json", text = word } end
  local scheme = word:match "^(%a[%w+.-]*)://"
  if scheme then return nil, ("%s: no server can be reached over %s; %s"):format(word, scheme, hint) end
  return nil, ("%s is no target: %s"):format(word, hint)
end

local function policy(path)
  if M.kind(path) ~= "lua" then return nil, ("--policy %s: a policy is a *.lua file"):format(path) end
  return { kind = "lua", text = path }
end

--- The targets of a command line, in the order written, the command last.
-- words: array of { text =, policy = true for --policy's }, command: from split.
function M.collect(words, command)
  local list = {}
  for _, word in ipairs(words) do
    local target, why
    if word.policy then
      target, why = policy(word.text)
    else
      target, why = M.target(word.text)
    end
    if not target then return nil, why end
    list[#list + 1] = target
  end
  if command then
    if (command[1] or "") == "" then return nil, "-- wants a command after it, as in: -- npx -y some-server" end
    list[#list + 1] = { kind = "command", text = command[1], args = { unpack(command, 2) } }
  end
  if #list == 0 then return nil, "nothing to connect to: " .. hint end
  return list
end

--- Divides the words of `call` and `prompt`: targets first, then the name, then key=value pairs. Returns
-- how many of the words are targets; the name is the next one. nil and why when there is no name.
function M.name_at(words, has_command)
  local count = #words
  while count > 0 and not M.kind(words[count]) and words[count]:find("=", 1, true) do
    count = count - 1
  end
  for i = 1, count do
    if not M.kind(words[i]) then return i - 1 end
  end
  -- Even the last looks like a target: it is the name when something else can be the target.
  if count > 1 or (has_command and count == 1) then return count - 1 end
  return nil
end

return M
