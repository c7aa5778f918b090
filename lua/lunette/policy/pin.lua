-- pin: tools are passed as they were when somebody approved of them. A tool that is new or was changed is
-- withheld: descriptions are read by models, and a server that changes them behind one's back can make a model do
-- things. Written first, it sees what the servers send.
--
-- The file has a line of JSON for each approval, the last one of a tool counts. FILE.pending has what
-- was withheld, in the same form, for `lunette pin FILE` to show and approve (a line without a definition: no
-- longer). They keep definitions rather than digests, so that a change can be shown.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local PENDING_MAX = 16 * 1024 * 1024 -- bytes: what a server that never says the same twice may fill

local function read(path)
  local definitions, file = {}, io.open(path, "r")
  for line in file and file:lines() or function() end do
    local ok, pin = pcall(lunette.json.decode, line)
    if not ok or type(pin.tool) ~= "string" then options.fail("%s: not a line of approval: %s", path, line) end
    definitions[pin.tool] = pin.definition and lunette.json.encode(pin.definition)
  end
  if file then file:close() end
  return definitions
end

-- Whole lines in one write each, for several processes may share the file.
local function append(path, name, definition, max)
  local file = assert(io.open(path, "a"))
  file:setvbuf "no"
  if not max or file:seek "end" < max then
    assert(file:write(lunette.json.encode { tool = name, definition = definition } .. "\n"))
  end
  file:close()
end

return options.policy("pin", {
  file = options.watched_path(options.REQUIRED),
  -- Approve of all that is there: LUNETTE_PIN=approve lunette list policy.lua
  approve = options.flag(lunette.env("LUNETTE_PIN", "") == "approve"),
}, function(o)
  local approved, pending = read(o.file), read(o.file .. ".pending")

  local function note(name, definition, text)
    if pending[name] == text then return end
    pending[name] = text
    -- Not to be able to note it is no reason to pass it.
    local ok, why = pcall(append, o.file .. ".pending", name, definition, PENDING_MAX)
    if not ok then lunette.log.error("pin: " .. why) end
  end

  lunette.tools.filter(function(tool)
    if not tool.upstream then return true end -- the policy's own
    -- Members are sorted, so equal definitions have equal texts.
    local name, text = ("%s/%s"):format(tool.upstream, tool.name), lunette.json.encode(tool)
    if o.approve and approved[name] ~= text then
      append(o.file, name, tool)
      approved[name] = text
    end
    if approved[name] == text then
      note(name, nil, nil)
      return true
    end
    lunette.log.warn(("pin: %s is withheld, it %s: lunette pin %s"):format(name,
      approved[name] and "was changed since it was approved" or "was never approved", o.file))
    note(name, tool, text)
    return false
  end)
end) --[[@as fun(options: lunette.policy.pin)]]
