-- Whoever asks much at once, over many connections, has a part of the loop's time and no more: others are served in
-- between. Told by how much of the flood was served before a neighbour's question that came last, not by a clock.
local flood = require "spec.support.flood"
local http = require "spec.support.http"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local CONNECTIONS, EACH = 150, 200
local PING = '{"jsonrpc":"2.0","id":%d,"method":"ping"}'

local function start(settings)
  local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
  up:on("tools/call", function(req) req:reply '{"content":[]}' end)
  return lunette.http { policy = ("lunette.upstream('up', %s)\nlunette.configure { %s }"):format(up:lua(), settings or "") }
end

local function connect(host, n)
  local all = {}
  for i = 1, n do all[i] = http.connect(host.port) end
  return all
end

-- What one connection says: first, then EACH pings.
local function said(client, first)
  local lines = { "Mcp-Session-Id: " .. client.session, "MCP-Protocol-Version: 2025-11-25" }
  local text = { first and flood.post(first, lines) }
  for i = 1, EACH do text[#text + 1] = flood.post(PING:format(i), lines) end
  return table.concat(text)
end

local function served(page)
  return tonumber(page.body:match "\nlunette_requests_total (%d+)")
end

-- What was served of the flood when the neighbour's question, which was the last to come, had its answer.
local function before_neighbour(host, all, text)
  local neighbour = http.connect(host.port, { from = flood.NEIGHBOUR })
  local before = served(http.request { port = host.port, path = "/metrics" })
  host.process:kill "sigstop"
  for i, conn in ipairs(all) do conn:send(type(text) == "function" and text(i) or text) end
  neighbour:send(http.format { path = "/metrics", port = host.port })
  host.process:kill "sigcont"
  return served(neighbour:response()) - before
end

local function answers(conn)
  conn:shutdown():wait_end()
  return select(2, conn.bytes.data:gsub("HTTP/1%.1 200", ""))
end

describe("a turn of the loop", function()
  after_each(lunette.finish)

  it("is not one peer's, over however many connections it asks", function()
    local host = start()
    local client = host.client()
    client:initialize()
    local all = connect(host, CONNECTIONS)
    assert.is_true(before_neighbour(host, all, said(client)) < CONNECTIONS * EACH / 5)
    for _, conn in ipairs(all) do assert.equal(EACH, answers(conn)) end
  end)

  it("is shared by what waited behind a call, too", function()
    local host = start()
    local client = host.client()
    client:initialize()
    local all = connect(host, CONNECTIONS)
    local served_first = before_neighbour(host, all, function(i)
      return said(client, ('{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"work"}}'):format(1000 + i))
    end)
    assert.is_true(served_first < CONNECTIONS * EACH / 5)
    for _, conn in ipairs(all) do
      for _ = 1, EACH + 1 do assert.equal(200, conn:response().status) end
      conn:close()
    end
  end)
end)
