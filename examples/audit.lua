-- Who called what, when, and what came of it: a line of JSON before and after each use of a tool, resource or prompt,
-- in a file that other programs read, and numbers in Lunette's own log.
--   AUDIT=/tmp/audit.jsonl lunette call examples/audit.lua search_notes query=moon; cat /tmp/audit.jsonl
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

lunette.upstream("notes", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "notes.lua", "--log-level", "warn" },
  session = "shared",
})

-- Written first, it is outermost: it sees what clients sent and what they got, also what the handlers below refuse.
-- What can't be written is not done. Without a file the lines go to the log.
require "lunette.policy.audit" { file = lunette.env("AUDIT", nil) }

-- What servers ask of clients is worth knowing, too.
lunette.on("*/create*", function(request, forward, ctx)
  lunette.log.info(("%s asks %s: %s"):format(ctx.upstream, ctx.session.client.name or "a client", request.method))
  return forward(request)
end)

-- Counted for all clients together; lunette.shared outlives a reload.
lunette.on("tools/call", function(request, forward)
  local began = lunette.now()
  local result = forward(request)
  local name = request.params.name
  lunette.shared.incr("calls:" .. name)
  lunette.shared.incr("seconds:" .. name, lunette.now() - began)
  if result.isError then lunette.shared.incr("failed:" .. name) end
  return result
end)

lunette.every(60, function()
  for _, key in ipairs(lunette.shared.keys "calls:*") do
    local name = key:sub(#"calls:" + 1)
    local calls, seconds = lunette.shared.get(key), lunette.shared.get("seconds:" .. name) or 0
    lunette.log.info(("%s: %d calls, %d failed, %.0f ms each"):format(name, calls,
      lunette.shared.get("failed:" .. name) or 0, seconds / calls * 1000))
  end
end)
