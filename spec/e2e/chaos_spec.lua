-- Everything at once: clients that call, cancel, answer, go silent, hang up, half-close, send rubbish;
-- servers of all kinds that answer late, never, twice or not at all, ask, flood, crash and forget; and a
-- policy that waits, clears and is reloaded, while children are killed. Nothing is asserted of any single call but that
-- nobody ever gets what is another's: not in answers, nor in lists that a call of somebody's made longer. In the end
-- nothing may be left: no request in flight, no session, no child, no complaint (the sanitizers' build runs this too).
--
-- The dice are loaded: LUNETTE_CHAOS=SEED replays a run's choices (not its timing), LUNETTE_CHAOS_STEPS makes
-- it longer.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local steps = tonumber(os.getenv "LUNETTE_CHAOS_STEPS" or "1500")

-- xorshift, so that no other user of math.random shifts the dice.
local state
local function dice(n)
  state = bit.bxor(state, bit.lshift(state, 13))
  state = bit.bxor(state, bit.rshift(state, 17))
  state = bit.bxor(state, bit.lshift(state, 5))
  return bit.band(state, 0x7fffffff) % n + 1
end

local function one_of(list) return list[dice(#list)] end

local wrong = {}
local function suspect(...)
  if #wrong < 5 then wrong[#wrong + 1] = (...):format(select(2, ...)) end
end

-- --- servers -----------------------------------------------------------------------------------------------

local tools = '[{"name":"work","inputSchema":{"type":"object"}},{"name":"hidden","inputSchema":{"type":"object"}}]'

-- What a server does with a call. `token` says whose it is; whatever is told to the client carries it.
local acts = {
  answer = function(req, token) req:reply(('{"content":[{"type":"text","text":%s}]}'):format(json.quote(token))) end,
  late = function(req, token, act)
    loop.after(dice(60), function() act.answer(req, token) end)
  end,
  never = function() end,
  twice = function(req, token, act)
    act.answer(req, token)
    if req.session.stdio then act.answer(req, token) end
  end,
  fail = function(req) req:fail(-32000, "no") end,
  talk = function(req, token, act)
    for i = 1, dice(5) do
      if req:at("_meta", "progressToken") then req:progress(('"progress":%d,"message":%s'):format(i, json.quote(token))) end
      req:notify("notifications/message", ('{"level":"info","data":%s}'):format(json.quote(token)))
    end
    act.answer(req, token)
  end,
  flood = function(req, token, act)
    for _ = 1, 100 do req:notify("notifications/message", ('{"level":"info","data":%s}'):format(json.quote(token))) end
    act.answer(req, token)
  end,
  ask = function(req, token, act)
    local method = one_of { "elicitation/create", "sampling/createMessage", "roots/list", "ping" }
    req:ask(method, ('{"message":%s,"messages":[],"maxTokens":1,"requestedSchema":{}}'):format(json.quote(token)), function()
      if not req.answered then act.answer(req, token) end
    end)
  end,
  ask_and_forget = function(req, token, act)
    req:ask("elicitation/create", ('{"message":%s,"requestedSchema":{}}'):format(json.quote(token)))
    act.answer(req, token)
  end,
  ask_and_cancel = function(req, token, act)
    req:ask("elicitation/create", ('{"message":%s,"requestedSchema":{}}'):format(json.quote(token)), nil, '"q"')
    req:notify("notifications/cancelled", '{"requestId":"q"}')
    act.answer(req, token)
  end,
  change = function(req, token, act)
    req.session:notify "notifications/tools/list_changed"
    req.session:notify "notifications/resources/list_changed"
    act.answer(req, token)
  end,
  -- From now on this session lists something that is only its client's.
  grow = function(req, token, act)
    req.session.grown = token
    req.session:notify "notifications/tools/list_changed"
    req.session:notify "notifications/prompts/list_changed"
    act.answer(req, token)
  end,
  updated = function(req, token, act)
    req.session:notify("notifications/resources/updated", '{"uri":"x://1"}')
    act.answer(req, token)
  end,
  rubbish = function(req, token, act)
    req.session:send('{"jsonrpc":"2.0","id":99999,"result":{}}', req)
    req.session:send("[]", req)
    if req.session.stdio then req.session:send('{"jsonrpc":') end
    act.answer(req, token)
  end,
  die = function(req)
    if req.session.stdio then
      req.session:exit(dice(3) - 1)
    else
      req.via.conn:reset()
    end
  end,
  half = function(req)
    if req.session.stdio then
      req.session:close_stdout()
    else
      req:notify("notifications/message", '{"level":"info","data":"half"}')
      req.via.conn:close()
    end
  end,
  forget = function(req, token, act)
    if req.session.http then req.session.upstream:forget() end
    act.answer(req, token)
  end,
}
local names = {}
for name in pairs(acts) do names[#names + 1] = name end
table.sort(names)

local function server(name)
  local up = upstream.new { name = name, tools = tools, resources = '[{"uri":"x://1","name":"1"}]', prompts = '[{"name":"p"}]' }
  up:on("tools/call", function(req)
    local token, act = req:value("arguments", "token") or "?", req:value("arguments", "act")
    acts[acts[act] and act or "answer"](req, token, acts)
  end)
  -- Of a server that all clients share a list is everybody's.
  local function grown(req, more) return name ~= "pool" and req.session.grown and more:format(req.session.grown) or "" end
  up:on("tools/list", function(req)
    return ('{"tools":%s%s]}'):format(tools:sub(1, -2), grown(req, ',{"name":"grown-%s","inputSchema":{"type":"object"}}'))
  end)
  up:on("prompts/list", function(req) return ('{"prompts":[{"name":"p"}%s]}'):format(grown(req, ',{"name":"grown-%s"}')) end)
  up:on("resources/read", function() return '{"contents":[]}' end)
  up:on("prompts/get", function() return '{"messages":[]}' end)
  up:on("completion/complete", function() return '{"completion":{"values":[]}}' end)
  return up
end

-- --- clients -----------------------------------------------------------------------------------------------

local Client = {}
Client.__index = Client

local function new_client(host, number)
  return setmetatable({ host = host, name = ("client-%d-"):format(number), calls = 0, conns = {}, sessions = {}, unheard = 0 },
    Client)
end

-- Whatever a client hears must be its own.
function Client:hear(raw)
  local ok, message = pcall(json.decode, raw)
  if not ok then return suspect("%s heard what is no JSON: %s", self.name, raw:sub(1, 200)) end
  if message[1] ~= nil then return end
  local text = message.method == "notifications/message" and message.params.data
    or message.method == "elicitation/create" and message.params.message
    or message.method == "notifications/progress" and message.params.message
    or message.result and type(message.result) == "table" and message.result.content and message.result.content[1]
      and message.result.content[1].text
  if type(text) == "string" and text:find "^client%-" and text:sub(1, #self.name) ~= self.name then
    suspect("%s heard what is another's: %s", self.name, raw:sub(1, 200))
  end
  for whose in raw:gmatch "grown%-(client%-%d+%-)" do
    if whose ~= self.name then suspect("%s saw what a call of %s made: %s", self.name, whose, raw:sub(1, 400)) end
    self.grown = true
  end
  if not message.method and type(message.id) == "string" and message.id:sub(1, #self.name) ~= self.name then
    suspect("%s got an answer to another's request: %s", self.name, raw:sub(1, 200))
  end
  if message.method and message.id then self.asked = json.at(raw, "id") end
end

-- A request on a connection of its own; what comes back is looked at as far as it can be read. options: path,
-- headers (a list), on_head.
function Client:send(method, body, options)
  options = options or {}
  local conn = http.connect(self.host.port)
  self.conns[#self.conns + 1] = conn
  local lines = { "Host: 127.0.0.1", "Content-Type: application/json", "Accept: application/json, text/event-stream" }
  if self.session and not options.path then lines[#lines + 1] = "Mcp-Session-Id: " .. self.session end
  for _, line in ipairs(options.headers or {}) do lines[#lines + 1] = line end
  local seen = 1
  conn.on_data = loop.guard(function()
    local data = conn.bytes.data
    if not conn.answer then
      local at = data:find("\r\n\r\n", 1, true)
      if not at then return end
      conn.answer = data:sub(1, at)
      if options.on_head then options.on_head(conn.answer) end
      if not conn.answer:find "text/event%-stream" then
        local text = data:sub(at + 4)
        if text:sub(1, 1) == "{" and tonumber(conn.answer:match "Content%-Length: (%d+)") == #text then self:hear(text) end
      end
    end
    if conn.answer:find "text/event%-stream" then
      while true do
        local from, to, event = data:find("data: (%b{})\n\n", seen)
        if not from then break end
        seen = to + 1
        self:hear(event)
      end
      if options.on_event then options.on_event(data) end
      self.event = data:match ".*\nid: ([^\n]+)\n" or self.event
    end
  end)
  conn:send(http.format { method = method, path = options.path or "/mcp", port = self.host.port, headers = lines, body = body })
  return conn
end

function Client:initialize()
  self.session = nil
  self.unheard = self.unheard + 1
  local capabilities = one_of { "{}", '{"elicitation":{},"sampling":{},"roots":{}}', '{"roots":{"listChanged":true}}' }
  self:send("POST", ('{"jsonrpc":"2.0","id":"%s0","method":"initialize","params":{"protocolVersion":"%s","capabilities":%s,'
    .. '"clientInfo":{"name":"chaos","version":"1"}}}'):format(self.name, one_of { "2025-11-25", "2025-03-26" }, capabilities),
    { on_head = function(head)
      self.unheard = self.unheard - 1
      self.session = head:match "[Mm]cp%-[Ss]ession%-[Ii]d: (%S+)"
      if not self.session then return end
      self.sessions[#self.sessions + 1] = self.session
      self:send("POST", '{"jsonrpc":"2.0","method":"notifications/initialized"}')
    end })
end

function Client:request(method, params)
  self.calls = self.calls + 1
  self.last = self.name .. self.calls
  return ('{"jsonrpc":"2.0","id":"%s","method":"%s","params":%s}'):format(self.last, method, params)
end

function Client:call()
  local target = one_of { "kid", "net", "pool", "once" }
  local token = self.name .. (self.calls + 1)
  local meta = dice(2) == 1 and (',"_meta":{"progressToken":"%s"}'):format(token) or ""
  return self:request("tools/call", ('{"name":"%s_work","arguments":{"token":"%s","act":"%s"}%s}'):format(target, token,
    one_of(names), meta))
end

local deeds = {}
function deeds.call(c) c:send("POST", c:call()) end
deeds.call2, deeds.call3, deeds.call4 = deeds.call, deeds.call, deeds.call
function deeds.call_and_cancel(c)
  c:send("POST", c:call())
  c:send("POST", ('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"%s"}}'):format(c.last))
end
function deeds.call_and_hang_up(c)
  local conn = c:send("POST", c:call())
  loop.after(dice(30), function() if dice(2) == 1 then conn:close() else conn:reset() end end)
end
function deeds.call_and_half_close(c)
  local conn = c:send("POST", c:call())
  loop.after(dice(10), function() if not conn.tcp:is_closing() then conn:shutdown() end end)
end
function deeds.call_and_not_read(c) c:send("POST", c:call()).tcp:read_stop() end
function deeds.cancel(c)
  if c.last then c:send("POST", ('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"%s"}}'):format(c.last)) end
end
function deeds.listen(c) c:send("GET") end
function deeds.listen_and_hang_up(c)
  local conn = c:send("GET")
  loop.after(dice(50), function() conn:close() end)
end
function deeds.listen_and_not_read(c) c:send("GET").tcp:read_stop() end
function deeds.resume(c)
  if c.event then c:send("GET", nil, { headers = { "Last-Event-ID: " .. c.event } }) end
end
function deeds.older_transport(c)
  local endpoint, conn
  conn = c:send("GET", nil, { path = "/sse", on_event = function(data)
    if endpoint then return end
    endpoint = data:match "data: (/[^\r\n]+)"
    if not endpoint then return end
    c:send("POST", ('{"jsonrpc":"2.0","id":"%s0","method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},'
      .. '"clientInfo":{"name":"chaos","version":"1"}}}'):format(c.name), { path = endpoint })
    c:send("POST", '{"jsonrpc":"2.0","method":"notifications/initialized"}', { path = endpoint })
    for _ = 1, dice(3) do c:send("POST", c:call(), { path = endpoint }) end
  end })
  loop.after(dice(200), function() if dice(2) == 1 then conn:close() else conn:reset() end end)
end
function deeds.list(c) c:send("POST", c:request(one_of { "tools/list", "resources/list", "prompts/list", "resources/templates/list" }, "{}")) end
function deeds.other(c)
  local what = one_of { { "resources/read", '{"uri":"x://1"}' }, { "prompts/get", '{"name":"kid_p"}' }, { "ping", "{}" },
    { "logging/setLevel", '{"level":"debug"}' }, { "resources/subscribe", '{"uri":"x://1"}' }, { "tools/call", '{"name":"kid_hidden"}' },
    { "completion/complete", '{"ref":{"type":"ref/prompt","name":"net_p"},"argument":{"name":"a","value":""}}' } }
  c:send("POST", c:request(what[1], what[2]))
end
function deeds.answer(c)
  if not c.asked then return end
  c:send("POST", ('{"jsonrpc":"2.0","id":%s,%s}'):format(c.asked, one_of { '"result":{"action":"cancel"}', '"result":{"roots":[]}',
    '"error":{"code":-1,"message":"no"}' }))
  c.asked = nil
end
function deeds.batch(c)
  local list = {}
  for i = 1, dice(4) do list[i] = c:call() end
  c:send("POST", "[" .. table.concat(list, ",") .. "]")
end
function deeds.rubbish(c)
  c:send("POST", one_of { "{", "[]", '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', "", '{"jsonrpc":"2.0","result":{}}', ("["):rep(500),
    '{"jsonrpc":"2.0","id":7,"result":{}}', '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}' })
end
function deeds.half_a_request(c)
  local conn = http.connect(c.host.port)
  c.conns[#c.conns + 1] = conn
  conn:send "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"jsonr"
  if dice(2) == 1 then conn:close() end
end
function deeds.leave(c)
  c:send("DELETE")
  c.session, c.asked = nil, nil
end
function deeds.hang_up_all(c)
  for _, conn in ipairs(c.conns) do conn:close() end
  c.conns = {}
end

local deed_names = {}
for name in pairs(deeds) do deed_names[#deed_names + 1] = name end
table.sort(deed_names)

local function step(c)
  if not c.session then
    c:initialize()
    loop.within(200, function() return c.session end)
  else
    deeds[one_of(deed_names)](c)
  end
end

-- --- the policy --------------------------------------------------------------------------------------------

local rules = [[
lunette.configure { request_timeout = 2, start_timeout = 1, drain_timeout = 3, max_in_flight = 200 }
lunette.tools.hide "*_hidden"
local n = 0
lunette.on("tools/call", function(request, forward, ctx)
  n = n + 1
  if n % 5 == 0 then lunette.sleep(0.01) end
  if n % 7 == 0 then ctx:progress(1, 2, "on the way") end
  if n % 97 == 0 then kid:clear() end
  if n % 31 == 0 then pcall(function() ctx:call_tool(request.params.name, { token = request.params.arguments.token, act = "answer" }) end) end
  if n % 41 == 0 then return lunette.deny "not now" end
  return forward(request)
end)
lunette.on("notifications/message", function(notification, forward)
  n = n + 1
  if n % 3 == 0 then lunette.sleep(0.005) end
  forward(notification)
end)
lunette.on("elicitation/create", function(request, forward)
  n = n + 1
  if n % 4 == 0 then lunette.sleep(0.01) end
  if n % 29 == 0 then kid:clear() end
  return forward(request)
end)
lunette.sampling(function() return { role = "assistant", model = "m", content = { type = "text", text = "t" } } end)
]]

describe("chaos", function()
  -- Peers hang up while we write to them.
  local sigpipe
  setup(function()
    sigpipe = loop.uv.new_signal()
    sigpipe:start("sigpipe", function() end)
    sigpipe:unref()
  end)
  teardown(function() loop.close(sigpipe) end)
  after_each(lunette.finish)

  local function metric(host, name)
    local body = http.request { port = host.port, path = "/metrics", headers = { "Host: 127.0.0.1:" .. host.port } }.body
    return tonumber(body:match("\n" .. name .. " (%d+)"))
  end

  local function run(seed)
    state, wrong = seed, {}
    local reloads, kills = 0, 0
    local kid, net, pool, once = server "kid", server "net", server "pool", server "once"
    net:http()
    local text = ("kid = lunette.upstream('kid', %s)\nlunette.upstream('net', %s)\n"
      .. "lunette.upstream('pool', %s)\nlunette.upstream('once', %s)\n"):format(kid:lua(), net:lua(), pool:lua "session = 'shared'",
      once:lua "session = 'request'") .. rules
    local path = lunette.policy(text)
    local host = lunette.http { targets = { path }, flags = { "--no-watch" } }
    local clients = {}
    for i = 1, 8 do clients[i] = new_client(host, i) end
    for i = 1, steps do
      step(one_of(clients))
      if i % 10 == 0 then loop.sleep(dice(20)) end
      -- Every other policy hides a server's tools, so that lists change.
      if dice(40) == 1 then
        reloads = reloads + 1
        lunette.policy(text .. (reloads % 2 == 1 and "\nlunette.tools.hide 'pool_*'" or ""), path)
        host.process:kill "sighup"
      end
      if dice(60) == 1 then
        local children = process.children(host.process.pid)
        if #children > 0 then
          kills = kills + 1
          loop.uv.kill(children[dice(#children)], "sigkill")
        end
      end
      if host.process.code then break end
    end
    assert.is_nil(host.process.code, host.process.err:all())
    -- What no server answers runs into its time limit.
    local left
    loop.wait(function()
      loop.sleep(50)
      left = metric(host, "lunette_requests_in_flight")
      return left == 0
    end, "nothing to be in flight", 15000)
    -- What a session's call made is there for that session, whatever has been.
    local one = new_client(host, 9)
    clients[9] = one
    one:initialize()
    loop.wait(function() return one.session end, "a session")
    one:send("POST", one:request("tools/call", '{"name":"net_work","arguments":{"token":"client-9-","act":"grow"}}'))
    loop.wait(function()
      loop.sleep(50)
      deeds.list(one)
      return one.grown
    end, "the client to see what its call made", 10000)
    -- Clients that heard the name of their session end it now; the others' would time out.
    local unheard = 0
    for _, c in ipairs(clients) do
      deeds.hang_up_all(c)
      unheard = unheard + c.unheard
      for _, id in ipairs(c.sessions) do
        c.session = id
        c:send("DELETE")
      end
    end
    loop.wait(function()
      loop.sleep(50)
      return metric(host, "lunette_sessions") <= unheard
    end, "the sessions to end", 10000)
    if unheard == 0 then
      -- Left are the one that watches over the children, the shared server, and what is just ending.
      loop.wait(function()
        loop.sleep(50)
        return #process.children(host.process.pid) <= 2
      end, "the servers to end", 10000)
    end
    assert.same({}, wrong)
    assert.is_true(reloads > 0 and kills > 0, ("%d reloads, %d kills"):format(reloads, kills))
    host.process:kill "sigterm"
    host.process:wait_exit(15000)
    assert.equal(0, host.process.code, host.process.err:all())
    assert.equal(0, #process.marked(), "processes left")
  end

  local seed = tonumber(os.getenv "LUNETTE_CHAOS")
  for _, one in ipairs(seed and { seed } or { 20240229, 777 }) do
    it(("leaves nothing behind, with seed %d"):format(one), function() run(one) end)
  end
end)
