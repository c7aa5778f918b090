-- Calls that take long: given up in time, kept alive by progress, and no longer than the hard maximum. Numbers at the
-- front of names are those of the protocol checklist.
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local options = {
  tools = '[{"name":"work","inputSchema":{"type":"object"}}]',
  resources = '[{"uri":"test://a","name":"a"},{"uri":"test://b","name":"b"}]',
  prompts = '[{"name":"p"}]',
}

describe("relaying", function()
  after_each(lunette.finish)

  it("69: a call that takes too long is given up, and the server is told", function()
    local client, up = lunette.between({ "stdio", "stdio" }, options, { extra = "timeout = 0.3" })
    client:initialize()
    up:on("tools/call", function() end)
    local err = client:failure("tools/call", '{"name":"work"}')
    assert.truthy(err.message:lower():find "time")
    up:wait "notifications/cancelled"
  end)

  it("69: progress keeps a call alive", function()
    local client, up = lunette.between({ "stdio", "stdio" }, options, { extra = "timeout = 0.4" })
    client:initialize()
    up:on("tools/call", function(req)
      local n = 0
      local function step()
        n = n + 1
        if n > 6 then
          req:reply '{"content":[]}'
        else
          req:progress('"progress":' .. n)
          loop.after(150, step)
        end
      end
      step()
    end)
    client:result("tools/call", '{"name":"work","_meta":{"progressToken":1}}')
  end)

  it("69: progress keeps a call alive no longer than the hard maximum", function()
    local client, up = lunette.between({ "stdio", "stdio" }, options, { extra = "timeout = 0.4",
      policy = "lunette.configure { max_request_timeout = 0.8 }" })
    client:initialize()
    local ended
    up:on("tools/call", function(req)
      local n = 0
      local function step()
        n = n + 1
        if not ended then
          req:progress('"progress":' .. n)
          loop.after(50, step)
        end
      end
      step()
    end)
    local err = client:failure("tools/call", '{"name":"work","_meta":{"progressToken":1}}')
    ended = true
    assert.truthy(err.message:lower():find "time")
    up:wait "notifications/cancelled"
    assert.is_true(#client.inbox > 8, "progress came for longer than the timeout")
  end)

  it("69: what waits for a task's result waits as long as the hard maximum lets it", function()
    local client, up = lunette.between({ "stdio", "stdio" }, options, { extra = "timeout = 0.2",
      policy = "lunette.configure { max_request_timeout = 1.5 }" })
    client:initialize()
    up:on("tasks/result", function(req) loop.after(500, function() req:reply '{"content":[]}' end) end)
    assert.equal('{"content":[]}', client:result("tasks/result", '{"taskId":"t"}'))
    up:on("tasks/result", function() end)
    assert.truthy(client:failure("tasks/result", '{"taskId":"t"}').message:lower():find "time")
  end)

end)
