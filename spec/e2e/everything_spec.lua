-- The official SDK's client with server-everything, alone and behind a bare policy: the transcripts
-- must be equal, over every pair of transports, for a client that can be asked things and for one
-- that can't.
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"

local everything = peers.command "everything"

describe("server-everything and the official client", function()
  local port, alone = nil, {}

  -- What the server alone gives, once for each kind of client.
  local function direct(kind, bare)
    local key = kind .. tostring(bare)
    alone[key] = alone[key]
      or peers.transcript("everything", kind == "stdio" and { command = everything }
        or { url = ("http://127.0.0.1:%d/mcp"):format(port) }, { bare = bare })
    return alone[key]
  end

  setup(function() port = peers.everything_http() end)
  teardown(lunette.finish)

  local function policy(kind)
    return lunette.policy(peers.patience .. (kind == "stdio" and ('lunette.upstream("everything", %s)'):format(peers.lua(everything))
      or ('lunette.upstream("everything", { url = "http://127.0.0.1:%d/mcp" })'):format(port)))
  end

  for _, way in ipairs(lunette.ways) do
    for _, bare in ipairs { false, true } do
      it(("say the same through Lunette, %s%s"):format(lunette.way_name(way), bare and ", to a client without capabilities" or ""),
        function()
          local target
          if way[1] == "stdio" then
            target = { command = { lunette.binary, "run", policy(way[2]) } }
          else
            target = { url = lunette.http({ targets = { policy(way[2]) } }).url }
          end
          local through, complaints = peers.transcript("everything", target, { bare = bare })
          local difference = peers.difference(direct(way[2], bare), through, complaints)
          assert.is_nil(difference, difference)
        end)
    end
  end

  it("say the same through four Lunettes in a row", function()
    local url = lunette.http({ targets = { policy "stdio" } }).url
    local patient = { "--policy", lunette.policy(peers.patience) }
    for _ = 1, 2 do url = lunette.http({ targets = { url }, flags = patient }).url end
    local through, complaints = peers.transcript("everything", { command = { lunette.binary, "run", url, unpack(patient) } })
    local difference = peers.difference(direct("stdio", false), through, complaints)
    assert.is_nil(difference, difference)
  end)

  it("say the same through a handler that changes nothing", function()
    local path = lunette.policy(peers.patience .. ('lunette.upstream("everything", %s)\n'):format(peers.lua(everything))
      .. 'lunette.on("*", function(message, forward) return forward(message) end)')
    local through, complaints = peers.transcript("everything", { command = { lunette.binary, "run", path } })
    local difference = peers.difference(direct("stdio", false), through, complaints)
    assert.is_nil(difference, difference)
  end)

  it("say the same for a command given on the command line", function()
    local command = { lunette.binary, "run", "--policy", lunette.policy(peers.patience), "--", unpack(everything) }
    local through, complaints = peers.transcript("everything", { command = command }, { bare = true })
    local difference = peers.difference(direct("stdio", true), through, complaints)
    assert.is_nil(difference, difference)
  end)

  describe("with tasks", function()
    local function steps(text) return text:sub((assert(text:find('"steps"', 1, true)))) end

    local function alone_too(through)
      alone.tasks = alone.tasks or steps(peers.transcript("tasks", { command = everything }))
      local difference = peers.difference(alone.tasks, through)
      assert.is_nil(difference, difference)
    end

    it("say the same through Lunette", function()
      alone_too(steps(peers.transcript("tasks", { url = lunette.http({ targets = { policy "http" } }).url })))
    end)

    it("say the same through Lunette when there is another server", function()
      local path = lunette.policy(peers.patience .. ('lunette.upstream("one", %s)\nlunette.upstream("two", %s)'):format(
        peers.lua(everything), peers.lua(everything)))
      local through = steps(peers.transcript("tasks", { command = { lunette.binary, "run", path } }, { set = { prefix = "two_" } }))
      alone_too((through:gsub("two_", "")))
    end)
  end)

  it("get along over the older HTTP+SSE transport, on either side", function()
    local reason = lunette.lacks 'lunette.upstream("old", { url = "http://127.0.0.1:1/sse", transport = "sse" })'
    if reason then pending(reason) end
    local sse = peers.everything_http "sse"
    local host = lunette.http { policy = ('lunette.upstream("old", { url = "http://127.0.0.1:%d/sse", transport = "sse" })'):format(sse) }
    local through, complaints = peers.transcript("everything", { sse = ("http://127.0.0.1:%d/sse"):format(host.port) })
    local difference = peers.difference(peers.transcript("everything", { sse = ("http://127.0.0.1:%d/sse"):format(sse) }), through, complaints)
    assert.is_nil(difference, difference)
  end)
end)
