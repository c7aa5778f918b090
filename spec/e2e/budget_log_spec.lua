-- Whatever somebody makes Lunette say again and again is said a few times, and then counted; and a log that nobody
-- reads holds up nobody.
local flood = require "spec.support.flood"
local lunette = require "spec.support.lunette"
local loop = require "spec.support.loop"
local upstream = require "spec.support.upstream"

local TOOLS = '[{"name":"work","inputSchema":{"type":"object"}}]'
local PATIENCE = 20000 -- what is left out is told after ten seconds

local function server()
  local up = upstream.new { name = "good", tools = TOOLS }
  up:on("tools/call", function() return '{"content":[]}' end)
  return up
end

local function wait(host, words)
  loop.wait(function() return host.process.err:all():find(words) end, words, PATIENCE)
end

local function count(text, words) return select(2, text:gsub(words, "")) end

describe("the log", function()
  after_each(lunette.finish)

  it("has the first of many refusals, and how many followed", function()
    local host = lunette.http { policy = lunette.bare(server()) }
    local neighbour = host.client { from = flood.NEIGHBOUR }
    neighbour:initialize()
    for _ = 1, 5 do flood.posts(host.port, 1000, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}') end
    local worst = flood.longest(neighbour, "work")
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
    assert.equal(20, count(host.process.err:all(), "refused with 400: An Mcp%-Session%-Id header is needed"))
    wait(host, "warn http: 4980 more lines like this were left out in 1%d s: refused with 400")
    assert.is_true(#host.process.err:all() < 10000, #host.process.err:all() .. " bytes")
  end)

  it("tells what was left out at the end, too, and in its own format", function()
    local host = lunette.http { policy = lunette.bare(server()), flags = { "--log-format", "json" } }
    flood.posts(host.port, 100, "{}")
    flood.posts(host.port, 100, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
    host.process:kill "sigterm"
    host.process:wait_exit(10000)
    local text = host.process.err:all()
    assert.truthy(text:find '"level":"warn","topic":"http","message":"80 more lines like this were left out in %d+ s: refused a message')
    assert.truthy(text:find '"level":"warn","topic":"http","message":"80 more lines like this were left out in %d+ s: refused with 400')
  end)

  it("counts what a server floods it with", function()
    local host = lunette.http { policy = "lunette.upstream('bad', { command = 'sh', args = { '-c', [[exec yes '"
      .. '{"jsonrpc":"2.0","id":1,"method":"ping"}' .. "']] } })\nlunette.configure { start_timeout = 0.2 }\n" .. lunette.bare(server()) }
    local client = host.client { from = flood.NEIGHBOUR }
    client:initialize()
    local worst = flood.longest(client, "good_work", 100)
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
    wait(host, "more lines like this were left out in 1%d s: a response was lost")
    assert.is_true(#host.process.err:all() < 20000, #host.process.err:all() .. " bytes")
  end)

  it("has all that the policy itself says", function()
    local host = lunette.http { policy = lunette.bare(server())
      .. "\nlunette.on('tools/call', function(request, forward) lunette.log.warn 'called' return forward(request) end)" }
    local client = host.client()
    client:initialize()
    for _ = 1, 150 do client:result("tools/call", '{"name":"work"}') end
    assert.equal(150, count(host.process.err:all(), "called"))
  end)

  it("holds up nobody when it is not read, and says later what is lost", function()
    local host = lunette.http { policy = lunette.bare(server())
      .. "\nlunette.on('tools/call', function(request, forward) lunette.log.warn(('x'):rep(3000)) return forward(request) end)" }
    local client = host.client()
    client:initialize()
    host.process:deaf()
    for _ = 1, 400 do client:result("tools/call", '{"name":"work"}') end
    host.process:hear()
    wait(host, "warn log: %d+ lines were lost: nobody read the log")
    assert.is_true(count(host.process.err:all(), "xxx\n") < 399)
    client:result("tools/call", '{"name":"work"}')
  end)
end)
