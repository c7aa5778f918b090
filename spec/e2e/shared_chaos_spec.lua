-- Clients that share a session with a server, and that come, go, set levels, subscribe and unsubscribe as dice have it,
-- while the server refuses, takes its time, and is started again in the middle. In the end it knows what is right for
-- all that are left, and each of them hears what is its own: what Lunette told each of its requests is held against
-- that. LUNETTE_SHARED_CHAOS=N adds N seeds.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'
local levels = { "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency" }
local rank = {}
for i, name in ipairs(levels) do rank[name] = i end

local function dice_of(seed)
  return function(n)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return math.floor(seed / 65536) % n + 1
  end
end

-- What a session was told stands in its .level and .uris, unless it refused. calm: it neither refuses nor waits.
local function server(kind, dice)
  local up = upstream.new { name = "up", tools = tools, resources = '[{"uri":"x://1","name":"1"}]' }
  local function answer(req, result)
    if up.calm or dice(3) > 1 then return req:reply(result) end
    loop.after(dice(15), function() if not req.session.gone then req:reply(result) end end)
  end
  local function on(method, fn)
    up:on(method, function(req)
      if not up.calm and dice(12) == 1 then return req:fail(-32000, "not now") and nil end
      req.session.uris = req.session.uris or {}
      fn(req, req.session)
      answer(req, "{}")
    end)
  end
  on("logging/setLevel", function(req, session) session.level = req:value "level" end)
  on("resources/subscribe", function(req, session) session.uris[req:value "uri"] = true end)
  on("resources/unsubscribe", function(req, session) session.uris[req:value "uri"] = nil end)
  up:on("tools/call", function(req) answer(req, '{"content":[]}') end)
  return kind == "http" and up:http() or up
end

local function run(kind, seed)
  local dice = dice_of(seed)
  local up = server(kind, dice)
  local host = lunette.http { policy = ("lunette.upstream('up', %s)"):format(up:lua "session = 'shared'") }
  local clients = {}

  local function come()
    local c = host.client()
    if not pcall(c.initialize, c) then return end -- the server may be on its way
    c:listen()
    c.uris = {}
    clients[#clients + 1] = c
  end

  -- One request of a client at a time, so that what is right is known: `took` when it was answered by a result.
  local function ask(c, method, params, took)
    c.asking = { call = c:start(method, params), took = took or function() end }
  end

  local function settle()
    local left = 0
    for _, c in ipairs(clients) do
      local raw = c.asking and c.asking.call.raw
      if raw and json.at(raw, "result") then c.asking.took() end
      if raw then c.asking = nil end
      if c.asking then left = left + 1 end
    end
    return left == 0
  end

  local function restart()
    local session = up.sessions[#up.sessions]
    if kind == "http" then up:forget() elseif not session.gone then session:exit(dice(2) - 1) end
    return session
  end

  local acts = {
    function(c)
      local level = levels[dice(8)]
      ask(c, "logging/setLevel", ('{"level":%q}'):format(level), function() c.level = level end)
    end,
    function(c)
      local uri = "x://" .. dice(4)
      ask(c, "resources/subscribe", ('{"uri":%q}'):format(uri), function() c.uris[uri] = true end)
    end,
    function(c)
      local uri = "x://" .. dice(4)
      ask(c, "resources/unsubscribe", ('{"uri":%q}'):format(uri), function() c.uris[uri] = nil end)
    end,
    function(c) ask(c, "tools/call", '{"name":"work"}') end,
    function(_, i) if #clients > 3 then table.remove(clients, i):close() end end,
    function() if #clients < 12 then come() end end,
    restart,
    function()
      local session = up.sessions[#up.sessions]
      if session.gone then return end
      session:notify("notifications/message", ('{"level":%q,"data":1}'):format(levels[dice(8)]))
      session:notify("notifications/resources/updated", ('{"uri":"x://%d"}'):format(dice(4)))
    end,
  }
  local weights = { 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6, 8, 8, 1, 2, 2, 3, 4, 7 }

  for _ = 1, 6 do come() end
  for _ = 1, 250 do
    local i = dice(#clients)
    local c = clients[i]
    if not c.asking then acts[weights[dice(#weights)]](c, i) end
    if dice(3) == 1 then loop.sleep(dice(4)) end
    settle()
  end
  loop.wait(settle, "all answers", 20000)

  -- Once more, for a server that does as it is told.
  up.calm = true
  local n, last = #up.sessions, restart()
  if kind == "stdio" then loop.wait(function() return last.gone end, "the end of the last server") end
  loop.wait(function()
    return json.at(clients[1]:request("tools/call", '{"name":"work"}'), "result") and #up.sessions > n
  end, "the server to be back")
  local level, uris = nil, {}
  for _, c in ipairs(clients) do
    if c.level and (not level or rank[c.level] < rank[level]) then level = c.level end
    for uri in pairs(c.uris) do uris[uri] = true end
  end
  local session = up.sessions[#up.sessions]
  loop.wait(function()
    for uri in pairs(uris) do if not (session.uris or {})[uri] then return false end end
    return session.level == level
  end, "the server to know all")
  assert.same(uris, session.uris or {})
  if kind == "http" then loop.wait(function() return session.get end, "the GET stream upstream") end
  for _, c in ipairs(clients) do c.inbox = {} end
  for _, name in ipairs { "warning", "emergency" } do
    session:notify("notifications/message", ('{"level":%q,"data":%q}'):format(name, name))
  end
  for i = 1, 4 do session:notify("notifications/resources/updated", ('{"uri":"x://%d"}'):format(i)) end
  for i, c in ipairs(clients) do
    local expected, n_expected, got = {}, 0, {}
    for uri in pairs(c.uris) do expected[uri] = 1 end
    -- The log may be of the one client's call that this session has served, and is for nobody else.
    if i == 1 then expected.emergency = 1 end
    if i == 1 and (not c.level or rank[c.level] <= rank.warning) then expected.warning = 1 end
    for _ in pairs(expected) do n_expected = n_expected + 1 end
    local function count()
      got = {}
      local sum = 0
      for _, message in ipairs(c.inbox) do
        local log = message.method == "notifications/message"
        local what = (log or message.method == "notifications/resources/updated")
          and json.value(message.params, log and "data" or "uri")
        if what then got[what], sum = (got[what] or 0) + 1, sum + 1 end
      end
      return sum >= n_expected
    end
    loop.wait(count, "what client " .. i .. " is to hear")
    c:result "ping"
    count()
    assert.same(expected, got, ("client %d, level %s"):format(i, tostring(c.level)))
  end
end

describe("a crowd that shares a server", function()
  after_each(lunette.finish)

  for _, kind in ipairs { "stdio", "http" } do
    for seed = 1, 2 + (tonumber(os.getenv "LUNETTE_SHARED_CHAOS") or 0) do
      it(("is served each its own over %s, with seed %d"):format(kind, seed), function() run(kind, seed) end)
    end
  end
end)
