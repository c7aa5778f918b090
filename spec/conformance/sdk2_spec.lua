-- The official SDK's second version in front, as a client in its default mode (revisions before 2026-07-28), with the
-- fixture by either version behind: what the client sees must be equal with and without Lunette in between.
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local suite = require "spec.conformance.suite"

-- What the client complains of by itself at times: progress that the response has overtaken inside it.
local harmless = "unknown token"

local function transcript(target, ...)
  local command = suite.command "transcript.mjs"
  local args = { unpack(command, 2) }
  for _, option in ipairs { ... } do args[#args + 1] = option end
  args[#args + 1] = target.url and "--url" or "--"
  for _, word in ipairs(target.url and { target.url } or target.command) do args[#args + 1] = word end
  local result = process.run { command = command[1], args = args, timeout = 120000, name = "the SDK's client" }
  if result.code ~= 0 or not result.stdout:find '"several"' then
    error(("the client failed (exit %d, signal %d):\n%s%s"):format(result.code, result.signal, result.stdout, result.stderr), 2)
  end
  local complaints = {}
  for line in result.stderr:gmatch "client error: [^\n]*" do
    if not line:find(harmless, 1, true) then complaints[#complaints + 1] = line end
  end
  return result.stdout, table.concat(complaints, "\n")
end

local servers = {
  { name = "the first version over stdio", options = {} },
  { name = "the second version over stdio", options = { "--sdk2" } },
  { name = "the first version over HTTP", options = { "--http" } },
  { name = "the second version over HTTP", options = { "--http", "--sdk2" } },
  { name = "the second version over HTTP, a server for each request", options = { "--http", "--sdk2", "--stateless" }, bare = "--bare" },
}

describe("the official SDK's second version in front of", function()
  after_each(lunette.finish)

  for _, server in ipairs(servers) do
    it(server.name .. " sees the same, over stdio and over HTTP", function()
      local target = { command = suite.command("fixture/main.mjs", unpack(server.options)) }
      if server.options[1] == "--http" then
        local fixture = process.spawn { command = target.command[1], args = { unpack(target.command, 2) }, name = "fixture" }
        target = { url = fixture:line(60000) }
      end
      local direct = transcript(target, server.bare)
      assert.truthy(direct:find('"version": "2025-11-25"', 1, true))
      local policy = lunette.policy(peers.patience .. (target.url and ('lunette.upstream("fixture", { url = %q })'):format(target.url)
        or ('lunette.upstream("fixture", %s)'):format(peers.lua(target.command))))
      for _, front in ipairs { { command = { lunette.binary, "run", policy } },
        { url = lunette.http({ targets = { policy } }).url } } do
        local through, complaints = transcript(front, server.bare)
        local difference = peers.difference(direct, through, complaints)
        assert.is_nil(difference, difference)
      end
    end)
  end

  it("a server that knows no newer revision finds that out the same way", function()
    local command = suite.command "fixture/main.mjs"
    local direct = transcript({ command = command }, "--auto")
    local policy = lunette.policy(peers.patience .. ('lunette.upstream("fixture", %s)'):format(peers.lua(command)))
    for _, front in ipairs { { command = { lunette.binary, "run", policy } }, { url = lunette.http({ targets = { policy } }).url } } do
      local through, complaints = transcript(front, "--auto")
      local difference = peers.difference(direct, through, complaints)
      assert.is_nil(difference, difference)
    end
  end)
end)

describe("the official SDK's second version", function()
  after_each(lunette.finish)

  it("goes on after restarts in the middle of its work, and knows of nothing", function()
    local host = lunette.http { policy = peers.survivable }
    peers.survive(host.url, function(signal)
      host.process:wait_stderr "at work"
      host.process.expect_failure = signal == "sigkill"
      host.process:kill(signal)
      host.process:wait_exit()
      host = lunette.http { policy = peers.survivable, port = host.port }
    end, suite.command "survive.mjs")
  end)
end)
