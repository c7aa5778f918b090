-- The server behind sampling.lua: its one tool needs a model and asks the client for it.
local lunette = require "lunette"

lunette.tools.add {
  name = "headline",
  description = "A headline for a text, by the client's own model.",
  inputSchema = { type = "object", properties = { text = { type = "string" } }, required = { "text" } },
  handler = function(args, ctx)
    if not ctx.session.capabilities.sampling then return lunette.deny "this needs a client that offers sampling" end
    -- Waits for the answer; other calls go on meanwhile.
    local reply = ctx:sample {
      messages = { { role = "user", content = { type = "text", text = args.text } } },
      systemPrompt = "Answer with a headline of at most eight words.",
      maxTokens = 50,
    }
    return reply.content.text
  end,
}
