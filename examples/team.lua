-- One endpoint in front of a team's servers: who sees and calls what is written down in one place, and nobody calls
-- without limits or unseen.
--   lunette run examples/team.lua --http :8080       with the header X-Role: reader, writer or admin
--   lunette list examples/team.lua --explain         as somebody without a role
-- The header has to be set by what stands in front and knows who asks; clients may write into it what they like.
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local self = lunette.env("LUNETTE", "/proc/self/exe")

-- With several servers, tools and prompts get the server's name in front: notes_wipe, press_headline. A server that is
-- down takes only its own tools with it; an optional one doesn't even make /readyz say no.
lunette.upstream("notes", {
  command = self,
  args = { "run", here .. "notes.lua", "--log-level", "warn" },
  session = "shared",
})
lunette.upstream("press", {
  command = self,
  args = { "run", here .. "sampling_server.lua", "--log-level", "warn" },
  optional = true,
})

-- By role, globs on the names that clients see. What a role lacks does not exist for it.
local roles = {
  none = { "press_*" },
  reader = { "notes_search_*", "press_*" },
  writer = { "notes_search_*", "notes_add_*", "press_*" },
  admin = { "*" },
}

local function may(ctx, name)
  for _, glob in ipairs(roles[ctx.headers["x-role"] or "none"] or {}) do
    if lunette.match(glob, name) then return true end
  end
  return false
end

-- These take ctx, so they are asked for each client, and again for each request with another role: the role is good for
-- that request alone. What they hide can't be called either.
lunette.tools.filter(function(tool, ctx) return may(ctx, tool.name) end)
lunette.prompts.filter(function(prompt, ctx) return may(ctx, prompt.name) end)

-- Whoever may not search has no business with the notes' texts.
lunette.resources.filter(function(resource, ctx) return may(ctx, "notes_search_notes") end)
lunette.resource_templates.filter(function(template, ctx) return may(ctx, "notes_search_notes") end)

-- A line for each use, then limits: one for a session, one for all together.
require "lunette.policy.audit" { file = lunette.env("AUDIT", nil), arguments = false }
require "lunette.policy.rate_limit" { calls = 60, per = 60, by = "session" }
require "lunette.policy.concurrency" { calls = 20, by = "all" }

-- What destroys is asked about, whoever asks.
require "lunette.policy.approve" { tools = { "notes_delete_*", "notes_wipe" } }
