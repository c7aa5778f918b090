-- Sessions are counted by peer: who takes all that it may have is refused, and gives way to others; nobody else does.
local flood = require "spec.support.flood"
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local loop = require "spec.support.loop"
local upstream = require "spec.support.upstream"

local function start(settings)
  local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
  up:on("tools/call", function() return '{"content":[]}' end)
  return lunette.http { policy = ("lunette.upstream('up', %s)\nlunette.configure { %s }"):format(
    up:lua "session = 'shared'", settings or "") }
end

local function client(host, from)
  local c = host.client { from = from }
  c:initialize()
  return c
end

local function status_of(c)
  local ok, err = pcall(c.result, c, "tools/list", "{}")
  return ok and 200 or tonumber(tostring(err):match "HTTP (%d+)") or err
end

local function told(host, words)
  return select(2, host.process.err:all():gsub(words, ""))
end

describe("sessions of a peer", function()
  after_each(lunette.finish)

  it("are no more than max_sessions_per_peer, so that others have theirs", function()
    local host = start()
    local neighbour = client(host, flood.NEIGHBOUR)
    local heads = flood.posts(host.port, 1500, flood.initialize())
    assert.same({ [200] = 1000, [503] = 500 }, flood.tally(heads))
    host.process:wait_stderr "refused 127.0.0.1 with 503: Too many sessions (max_sessions_per_peer"
    local refused = heads[1500]
    assert.truthy(tonumber(refused.headers["retry-after"]))
    assert.equal(-32603, json.value(refused.body, "error", "code"))
    local worst = flood.longest(neighbour, "work")
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
    assert.equal(200, status_of(client(host, flood.NEIGHBOUR)))
  end)

  it("that have asked nothing are replaced by others of their peer once they are old", function()
    local host = start "max_sessions_per_peer = 2, unused_session_timeout = 0.2"
    local used, unused = client(host), client(host)
    used:result("tools/list", "{}")
    unused:result("ping", "{}")
    local refused = flood.posts(host.port, 1, flood.initialize())[1]
    assert.equal(503, refused.status)
    loop.sleep(300)
    assert.equal(200, status_of(client(host)))
    assert.same({ 200, 404 }, { status_of(used), status_of(unused) })
    assert.equal(1, told(host, "ending one of 127%.0%.0%.1, which has asked nothing, to make room"))
    -- All are in use now.
    loop.sleep(300)
    assert.equal(503, flood.posts(host.port, 1, flood.initialize())[1].status)
  end)

  it("give way to another peer's when there are max_sessions: unused ones, then the longest unused", function()
    local host = start "max_sessions = 5"
    local neighbour = client(host, flood.NEIGHBOUR)
    neighbour:result("tools/list", "{}")
    local old, recent, third, unused = client(host), client(host), client(host), client(host)
    for _, c in ipairs { recent, old, third, recent } do c:result("tools/list", "{}") end
    local second = client(host, flood.NEIGHBOUR)
    assert.same({ 200, 404 }, { status_of(second), status_of(unused) })
    client(host, "127.0.0.3")
    assert.same({ 404, 200, 200, 200, 200 },
      { status_of(old), status_of(third), status_of(recent), status_of(second), status_of(neighbour) })
    -- Nobody gets room from who would then hold less.
    for _, from in ipairs { "127.0.0.1", flood.NEIGHBOUR, "127.0.0.3" } do
      assert.equal(503, flood.posts(host.port, 1, flood.initialize(), { from = from })[1].status)
    end
  end)

  it("are counted for HTTP+SSE, too", function()
    local host = start "max_sessions_per_peer = 1"
    local function open()
      local conn = http.connect(host.port)
      conn:send "GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
      return conn:head().status, conn
    end
    local status, first = open()
    assert.same({ 200, 503 }, { status, (open()) })
    first:close()
    assert.truthy(loop.within(3000, function() return open() == 200 end))
  end)

  it("are those of whom a trusted proxy names", function()
    local host = start 'max_sessions_per_peer = 1, trusted_proxies = { "127.0.0.1", "10.0.0.0/8" }'
    local function init(line, from)
      return flood.posts(host.port, 1, flood.initialize(), { lines = line and { line }, from = from })[1].status
    end
    assert.same({ 200, 503 }, { init "X-Forwarded-For: 203.0.113.1", init "X-Forwarded-For: 203.0.113.1" })
    assert.same({ 200, 503 },
      { init "X-Forwarded-For: 203.0.113.2", init "X-Forwarded-For: 9.9.9.9, 203.0.113.2, 10.1.2.3" })
    assert.same({ 200, 503 }, { init "Forwarded: for=203.0.113.3;proto=https",
      init 'Forwarded: for=1.1.1.1, by=x; For="203.0.113.3:99"' })
    assert.same({ 200, 503 }, { init 'Forwarded: for="[2001:db8::1]:80"', init "X-Forwarded-For: 2001:db8::2" })
    -- Its own word is worth nothing where nobody trusts it.
    assert.same({ 200, 503 }, { init("X-Forwarded-For: 203.0.113.4", "127.0.0.3"),
      init("X-Forwarded-For: 203.0.113.5", "127.0.0.3") })
  end)

  it("need proxies that are addresses or networks", function()
    for value, wrong in pairs { ['{ "10.0.0.1/8" }'] = "trusted_proxies[1]",
      ['{ "10.0.0.0/8", "example.com" }'] = "trusted_proxies[2]", ['{ "::/129" }'] = "trusted_proxies[1]",
      ['{ "10.0.0.0/" }'] = "trusted_proxies[1]" } do
      local result = lunette.cli { "check", lunette.policy("lunette.configure { trusted_proxies = " .. value .. " }") }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find(wrong .. " must be an IP address or a network", 1, true), result.stderr)
    end
  end)
end)
