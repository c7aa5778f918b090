-- sampled_by_api.lua, with a server that samples and a model's API that the spec answers for.
local test = require "lunette.test"

describe("sampled_by_api.lua", function()
  local asked

  local function headline(args, call)
    local answer = call:sample {
      messages = { { role = "user", content = { type = "text", text = args.text } } },
      maxTokens = 9000,
    }
    return answer.content.text
  end

  local function connect(answer)
    local editor = { tools = { { name = "headline", handler = headline } } }
    return test.connect {
      policy = "../sampled_by_api.lua",
      servers = { editor = editor },
      env = { MODEL_URL = "https://models.example/v1/chat/completions", MODEL = "small", MODEL_KEY = "k" },
      log_level = "none",
      http = function(request)
        asked = request
        return answer
      end,
    }
  end

  it("asks the model, with the key and no more tokens than are paid for", function()
    local choice = { message = { role = "assistant", content = "A bulb!" }, finish_reason = "stop" }
    local client = connect { json = { model = "small-1", choices = { choice } } }
    assert.equal("A bulb!", test.text(client:call("headline", { text = "The lamp needs a bulb." })))
    assert.equal("https://models.example/v1/chat/completions", asked.url)
    assert.equal("Bearer k", asked.headers.authorization)
    local body = asked:json()
    assert.equal("The lamp needs a bulb.", body.messages[1].content)
    assert.equal(500, body.max_completion_tokens or body.max_tokens)
  end)

  it("tells the server only that the model can't be asked when the API fails", function()
    local client = connect { status = 500, body = "secret" }
    local _, err = client:try("tools/call", { name = "headline", arguments = { text = "x" } })
    assert.is_nil(err.message:find "secret")
  end)
end)
