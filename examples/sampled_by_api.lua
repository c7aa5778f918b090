-- A server that asks the client's model for help, and a model behind an HTTP API that answers for clients without one.
--   MODEL=llama3.2 lunette call examples/sampled_by_api.lua headline text="The lamp at the door needs a bulb."
-- MODEL_URL says where it is asked, in the manner of OpenAI's chat completions (a local Ollama unless given), MODEL
-- which one, MODEL_KEY with what key.
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

lunette.upstream("editor", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "sampling_server.lua", "--log-level", "warn" },
})

-- A server that may sample spends somebody's money: some calls a minute are enough for a person.
require "lunette.policy.rate_limit" { calls = 10, per = 60, by = "all" }

-- And what goes to the model is worth a line in the log.
lunette.on("sampling/createMessage", function(request, forward, ctx)
  lunette.log.info(("%s samples up to %d tokens"):format(ctx.upstream, request.params.maxTokens))
  local result = forward(request)
  lunette.log.info(("%s was answered by %s"):format(ctx.upstream, result.model))
  return result
end)

require "lunette.policy.sample_with" {
  api = "openai",
  url = lunette.env("MODEL_URL", "http://127.0.0.1:11434/v1/chat/completions"),
  model = lunette.env("MODEL", "llama3.2"),
  key = lunette.env("MODEL_KEY", nil),
  max_tokens = 500,
  timeout = 60,
}
