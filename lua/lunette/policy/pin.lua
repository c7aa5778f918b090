-- pin: tools are passed as they were when somebody approved of them. A tool that is new or was changed is
-- withheld, and the log says what is different: descriptions are read by models, and a server that changes them
-- behind one's back can make a model do things. Written first, it sees what the servers send.
--
-- The file has a line of JSON for each approval, the last one of a tool counts. It keeps definitions
-- rather than digests, so that a change can be shown and the file be reviewed.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local function read(path)
  local approved, file = {}, io.open(path, "r")
  for line in file and file:lines() or function() end do
    local ok, pin = pcall(lunette.json.decode, line)
    if not ok or type(pin.tool) ~= "string" then options.fail("%s: not a line of approval: %s", path, line) end
    approved[pin.tool] = pin.definition
  end
  if file then file:close() end
  return approved
end

local function keys_of(...)
  local keys, seen = {}, {}
  for _, object in ipairs { ... } do
    for key in pairs(object) do
      if not seen[key] then keys[#keys + 1], seen[key] = key, true end
    end
  end
  table.sort(keys)
  return keys
end

local function text_of(value) return value == nil and "nothing" or lunette.json.encode(value) end

local function differences(old, new)
  local lines = {}
  for _, key in ipairs(keys_of(old, new)) do
    local was, is = text_of(old[key]), text_of(rawget(new, key))
    if was ~= is then lines[#lines + 1] = ("\n  %s was %s\n  %s is  %s"):format(key, was, key, is) end
  end
  return table.concat(lines)
end

return options.policy("pin", {
  file = options.path(options.REQUIRED),
  -- Approve of all that is there: LUNETTE_PIN=approve lunette list policy.lua
  approve = options.flag(lunette.env("LUNETTE_PIN", "") == "approve"),
}, function(o)
  local approved = read(o.file)
  lunette.tools.filter(function(tool)
    if not tool.upstream then return true end -- the policy's own
    local name = ("%s/%s"):format(tool.upstream, tool.name)
    local pinned = approved[name]
    -- Members are sorted, so equal definitions have equal texts.
    if pinned and text_of(pinned) == text_of(tool) then return true end
    if not o.approve then
      local what = pinned and "was changed since it was approved:" .. differences(pinned, tool) or "was never approved"
      lunette.log.warn(("pin: %s is withheld, it %s"):format(name, what))
      return false
    end
    local file = assert(io.open(o.file, "a"))
    assert(file:write(lunette.json.encode { tool = name, definition = tool }, "\n"))
    assert(file:close())
    approved[name] = lunette.json.decode(text_of(tool)) -- a copy: later rules may edit theirs
    return true
  end)
end)
