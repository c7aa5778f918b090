-- What must not reach a model doesn't: keys, tokens and personal data are taken out of all that servers send, and a
-- note that contains them is not written in the first place.
--   lunette call examples/redaction.lua add_note name=mail text="ann@example.org has the key"
--   lunette call examples/redaction.lua search_notes query=key
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

lunette.upstream("notes", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "notes.lua", "--log-level", "warn" },
  session = "shared",
})

-- Results, errors, log messages, progress, and what servers ask the client's model. `patterns` are Lua patterns of
-- your own: here the numbers of some company's badges.
require "lunette.policy.redact" {
  secrets = true,
  personal = true,
  patterns = { "%f[%w]BADGE%-%d+" },
  with = "[removed]",
}

-- The other way: what clients send is not changed but refused, so that the model knows why. A handler sees the
-- arguments as the client sent them.
local never = { "%f[%w]BADGE%-%d+", "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY" }

lunette.on("tools/call", "add_note", function(request, forward)
  for _, pattern in ipairs(never) do
    if tostring(request.params.arguments.text):find(pattern) then
      return lunette.deny "badge numbers and private keys are not to be written down"
    end
  end
  return forward(request)
end)
