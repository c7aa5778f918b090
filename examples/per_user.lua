-- One server for many users who don't see each other's notes: an argument that the policy fills in, from who asks.
-- Behind a gateway that has checked who that is and says so in a header:
--   lunette run examples/per_user.lua --http :8080
-- By hand, for a user called me:
--   USER_NAME=me lunette call examples/per_user.lua add text=hello topic=greeting
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

lunette.upstream("notes", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "notes.lua", "--log-level", "warn" },
  session = "shared",
})

-- Who asks: the header of the HTTP request, or, at one's own machine, a variable. Nobody in particular is refused.
-- Whatever takes a ctx can call it.
local nobody = lunette.env("USER_NAME", nil)

local function user(ctx)
  local name = ctx.headers["x-user"] or nobody
  if type(name) ~= "string" or not name:find "^[%w_-]+$" then lunette.error(-32602, "who are you? (header X-User)") end
  return name
end

-- All that is not per user is not there.
lunette.tools.only("add_note", "search_notes")
lunette.resources.hide "*"
lunette.resource_templates.hide "*"
lunette.prompts.hide "*"

-- `call` is around each call, with arguments as the client named them. The name that the server knows a note by is the
-- user's and the topic's together.
lunette.tools.transform("add_note", {
  name = "add",
  arguments = { name = { name = "topic", description = "What it is about" } },
  call = function(args, forward, ctx)
    args.topic = user(ctx) .. "." .. tostring(args.topic)
    forward(args)
    return "noted"
  end,
})

-- A default that is a function is asked at each call. Hidden, it is not the client's to choose: one that sends it all
-- the same is refused.
lunette.tools.transform("search_notes", {
  name = "mine",
  description = "All that I noted.",
  arguments = {
    query = { hide = true, default = function(ctx) return user(ctx) .. "." end },
    limit = { hide = true, default = 50 },
  },
  call = function(args, forward, ctx)
    local result = forward(args)
    local own, prefix = {}, user(ctx) .. "."
    for line in result.content[1].text:gmatch "[^\n]+" do
      if line:sub(1, #prefix) == prefix then own[#own + 1] = line:sub(#prefix + 1) end
    end
    return #own > 0 and table.concat(own, "\n") or "nothing yet"
  end,
})
