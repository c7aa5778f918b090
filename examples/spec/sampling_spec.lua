-- sampling.lua, with a server that asks for the client's model and with clients that have one or none.
local test = require "lunette.test"

describe("sampling.lua", function()
  -- The function of a tool may ask the client, as a server does within a call.
  local function headline(args, call)
    local answer = call:sample {
      messages = { { role = "user", content = { type = "text", text = args.text } } },
      maxTokens = 50,
    }
    return answer.content.text
  end

  local function connect(options)
    local editor = { tools = { { name = "headline", handler = headline } } }
    return test.connect { policy = "../sampling.lua", servers = { editor = editor }, client = options }
  end

  it("answers where the client has no model", function()
    local client = connect()
    assert.equal("The moon is half!", test.text(client:call("headline", { text = "the moon is half. So?" })))
    assert.same({}, client.received)
  end)

  it("asks the client that has one", function()
    local client = connect {
      sample = function(params)
        local text = params.messages[1].content.text:upper()
        return { role = "assistant", model = "mine", content = { type = "text", text = text } }
      end,
    }
    assert.equal("HALF", test.text(client:call("headline", { text = "half" })))
    assert.equal(50, client:got("sampling/createMessage")[1].params.maxTokens)
  end)
end)
