-- The official client, over connections that break.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

describe("the official client", function()
  after_each(lunette.finish)
  local uv = loop.uv

  -- A relay of bytes in front of a port, that ends a connection with a reset once `cut(text)` of what
  -- came back on it is true.
  local function cutter(port, cut)
    local listener, relay = uv.new_tcp(), { cuts = 0 }
    assert(listener:bind("127.0.0.1", 0))
    relay.port = listener:getsockname().port
    listener:listen(16, loop.guard(function()
      local near, far, back = uv.new_tcp(), uv.new_tcp(), ""
      listener:accept(near)
      local function finish()
        loop.close(near)
        loop.close(far)
      end
      far:connect("127.0.0.1", port, loop.guard(function()
        if near:is_closing() then return finish() end
        near:read_start(loop.guard(function(_, chunk)
          if not chunk then return finish() end
          if not far:is_closing() then far:write(chunk) end
        end))
        far:read_start(loop.guard(function(_, chunk)
          if not chunk then return finish() end
          back = back .. chunk
          if not cut(back) then
            near:write(chunk)
            return
          end
          relay.cuts = relay.cuts + 1
          if not near:is_closing() then near:close_reset() end
          finish()
        end))
      end))
      loop.cleanup(finish)
    end))
    loop.cleanup(function() loop.close(listener) end)
    return relay
  end

  local function run(port, ...)
    local result = process.run { command = "node", timeout = 40000 * loop.slow,
      args = { lunette.root .. "/spec/support/peers/resume.mjs", ("http://127.0.0.1:%d/mcp"):format(port), ... } }
    assert.equal(0, result.code, result.stderr)
    return json.decode(result.stdout)
  end

  local function everything()
    return lunette.http { policy = peers.patience .. ('lunette.upstream("everything", %s)'):format(peers.lua(peers.command "everything")) }
  end

  local text = "Long running operation completed. Duration: 1.6 seconds, Steps: 8."

  it("has its result and every step, each once, however often the stream breaks", function()
    local host = everything()
    local relay = cutter(host.port, function(back)
      -- Every stream that brought two events breaks with the third.
      local _, events = back:gsub("notifications/progress", "")
      return events > 2
    end)
    local said = run(relay.port)
    assert.equal(text, said.result.content[1].text)
    assert.is_true(relay.cuts >= 2, relay.cuts .. " cuts")
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, said.progress)
  end)

  it("fetches the result of a call that another began, by session and event id", function()
    local said = run(everything().port, "--anew")
    assert.equal(text, said.result.content[1].text)
    assert.is_true(said.token)
  end)
end)
