-- Streams that outlive their connections: ids, prime events, replay, and what is over (Streamable HTTP,
-- "Resumability and Redelivery"). Numbers at the front of names are those of the protocol checklist.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'
local work = '{"name":"work","_meta":{"progressToken":"t"}}'

describe("a stream", function()
  local host, up, held

  setup(function()
    up = upstream.new { tools = tools }
    up:on("tools/call", function(req) up.call(req) end)
    host = lunette.http { policy = lunette.bare(up) }
  end)
  teardown(lunette.finish)
  before_each(function()
    held = nil
    up.call = function(req) held = req end
  end)

  local function session(options)
    local c = host.client()
    c:initialize(options)
    return c
  end

  -- Sends a call on a connection of its own and reads nothing; the scripted server then holds it.
  local function call(c, id, params)
    local before = held
    local conn = http.connect(host.port)
    conn:send(http.format { method = "POST", path = "/mcp", headers = c:headers "POST",
      body = ('{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":%s}'):format(id, params or work) })
    loop.wait(function() return held ~= before end, "the call")
    return conn, held
  end

  local function stream_of(conn)
    local head = conn:head()
    assert.equal(200, head.status)
    assert.equal("text/event-stream", head.headers["content-type"]:match "^[^;]*")
    return conn:events(head)
  end

  -- The answer to a GET: a stream, or the head when it is none.
  local function get(c, last_id)
    local headers = c:headers "GET"
    if last_id then headers[#headers + 1] = "Last-Event-ID: " .. last_id end
    local conn = http.connect(host.port)
    conn:send(http.format { method = "GET", path = "/mcp", headers = headers })
    local head = conn:head()
    if head.status ~= 200 then
      conn:close()
      return head
    end
    return conn:events(head)
  end

  local function status(c, last_id)
    local answer = get(c, last_id)
    if answer.conn and answer.head then answer.conn:close() end
    return answer.status or 200
  end

  -- What is said in an event: the progress, the method, or "response".
  local function word(event)
    if not event then return "end" end
    if event.data == "" then return "prime" end
    return json.at(event.data, "params", "progress") or json.value(event.data, "method") or "response"
  end

  -- All that a stream brings to its end, in words; the last event.
  local function rest(stream)
    local words, last = {}, nil
    while true do
      local event = stream:event()
      if not event then break end
      words[#words + 1], last = word(event), event
    end
    assert.is_true(stream.complete(), "a stream cut short")
    return words, last
  end

  it("66: is never buffered on the way", function()
    local listening = get(session())
    assert.equal("no", listening.head.headers["x-accel-buffering"])
    listening.conn:close()
  end)

  it("38: begins with an id and nothing else, for clients that know such an event", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local stream = stream_of(conn)
    local prime = stream:event()
    assert.equal("", prime.data)
    assert.truthy(prime.id:match "^[\33-\126]+$")
    local first = stream:event()
    assert.equal("1", word(first))
    assert.truthy(first.id)
    assert.not_equal(prime.id, first.id)
    req:reply '{"content":[]}'
    assert.same({ "response" }, (rest(stream)))
    local listening = get(c)
    assert.equal("prime", word(listening:event()))
  end)

  it("38: has ids, but nothing empty, for older clients", function()
    for _, version in ipairs { "2025-03-26", "2025-06-18" } do
      local c = session { version = version }
      local conn, req = call(c, 5)
      req:progress '"progress":1'
      local stream = stream_of(conn)
      local first = stream:event()
      assert.equal("1", word(first))
      assert.truthy(first.id)
      stream.conn:close()
      req:reply '{"content":[]}'
      assert.same({ "response" }, (rest(get(c, first.id))))
      local listening = get(c)
      assert.is_nil(listening:maybe(30))
    end
  end)

  it("is not begun for an answer that comes first", function()
    local c = session()
    local conn, req = call(c, 5)
    req:reply '{"content":[]}'
    local response = conn:response()
    assert.equal("application/json", response.headers["content-type"])
    assert.equal('{"jsonrpc":"2.0","id":5,"result":{"content":[]}}', response.body)
  end)

  it("36, 40: goes on after its connection broke, from the event that was heard last", function()
    local c = session()
    local conn, req = call(c, 5)
    for i = 1, 3 do req:progress('"progress":' .. i) end
    local stream = stream_of(conn)
    local ids = {}
    for i = 1, 4 do ids[i] = stream:event().id end
    conn:reset()
    for i = 4, 5 do req:progress('"progress":' .. i) end
    loop.sleep(60)
    assert.equal(0, up:count "notifications/cancelled")
    -- Two and three are sent again, four and five for the first time, and then it is live.
    local again = get(c, ids[2])
    assert.same({ "2", "3", "4", "5" }, { word(again:event()), word(again:event()), word(again:event()), word(again:event()) })
    assert.is_nil(again:maybe(20))
    req:progress '"progress":6'
    assert.equal("6", word(again:event()))
    req:reply '{"content":[],"n": 1.0}'
    local words, last = rest(again)
    assert.same({ "response" }, words)
    assert.equal('{"jsonrpc":"2.0","id":5,"result":{"content":[],"n": 1.0}}', last.data)
  end)

  it("36: gives a second time the same bytes under the same ids", function()
    local c = session()
    local conn, req = call(c, '"é"', '{"name":"work","_meta":{"progressToken":"\\u0074"}}')
    req:progress '"progress":1'
    req:notify("notifications/message", '{"level":"info","data":{ "a":[1.0,  "\\u00fc"]}}')
    req:reply '{"content":[{"type":"text","text":"ü\\n"}]}'
    local stream = stream_of(conn)
    local first = {}
    while true do
      local event = stream:event()
      if not event then break end
      first[#first + 1] = event.raw
    end
    assert.equal(4, #first)
    local again = get(c, first[1]:match "id: (%S+)")
    for i = 2, 4 do assert.equal(first[i], again:event().raw) end
    assert.is_nil(again:event())
  end)

  it("36: lost before anything was said is primed, and can be taken up", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local prime = stream_of(conn):event()
    conn:close()
    req:reply '{"content":[]}'
    assert.same({ "1", "response" }, (rest(get(c, prime.id))))
  end)

  it("40: never brings what belongs to another", function()
    local c = session()
    local one, first = call(c, 1)
    local two, second = call(c, 2)
    local listening = get(c)
    listening:event()
    first:progress '"progress":11'
    second:progress '"progress":21'
    local id_one, id_two = stream_of(one):event().id, stream_of(two):event().id
    one:close()
    two:close()
    first:progress '"progress":12'
    second:progress '"progress":22'
    first:reply '{"content":[],"of":1}'
    second:reply '{"content":[],"of":2}'
    local words, last = rest(get(c, id_two))
    assert.same({ "21", "22", "response" }, words)
    assert.equal("2", json.at(last.data, "result", "of"))
    words, last = rest(get(c, id_one))
    assert.same({ "11", "12", "response" }, words)
    assert.equal("1", json.at(last.data, "result", "of"))
    assert.is_nil(listening:maybe(20))
  end)

  it("40: of one session is nobody else's", function()
    local a, b = session(), session()
    local conn, req = call(a, 1)
    req:progress '"progress":1'
    local id = stream_of(conn):event().id
    conn:close()
    assert.equal(400, status(b, id))
    -- Also when b has a stream of that number.
    local other, theirs = call(b, 1)
    theirs:notify("notifications/message", '{"level":"info","data":"of b"}')
    stream_of(other):event()
    other:close()
    theirs:reply '{"content":[],"of":"b"}'
    local words, last = rest(get(b, id))
    assert.same({ "notifications/message", "response" }, words)
    assert.equal('"b"', json.at(last.data, "result", "of"))
    req:reply '{"content":[],"of":"a"}'
    words, last = rest(get(a, id))
    assert.same({ "1", "response" }, words)
    assert.equal('"a"', json.at(last.data, "result", "of"))
  end)

  it("keeps a question for the client that comes back", function()
    local c = session { capabilities = '{"roots":{}}' }
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local id = stream_of(conn):event().id
    conn:close()
    loop.sleep(30)
    req:ask("roots/list", nil, function(answer) req:reply('{"content":[],"roots":' .. answer.result .. "}") end)
    local again = get(c, id)
    assert.equal("1", word(again:event()))
    local question = again:event()
    assert.equal("roots/list", word(question))
    c:send(('{"jsonrpc":"2.0","id":%s,"result":{"roots":[]}}'):format(json.at(question.data, "id")))
    local _, last = rest(again)
    assert.equal('{"roots":[]}', json.at(last.data, "result", "roots"))
  end)

  it("follows the client to a new connection while the old one still stands", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local old = stream_of(conn)
    old:event()
    local id = old:event().id
    local new = get(c, id)
    assert.same({}, (rest(old)))
    req:progress '"progress":2'
    assert.equal("2", word(new:event()))
    local newer = get(c, id)
    assert.equal("2", word(newer:event()))
    assert.same({}, (rest(new)))
    req:reply '{"content":[]}'
    assert.same({ "response" }, (rest(newer)))
  end)

  it("41: that is over and was heard is 405, again and again", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    req:reply '{"content":[]}'
    local stream = stream_of(conn)
    stream:event()
    local middle, last = stream:event().id, stream:event().id
    assert.is_nil(stream:event())
    for _ = 1, 3 do assert.equal(405, status(c, last)) end
    for _ = 1, 2 do assert.same({ "response" }, (rest(get(c, middle)))) end
    assert.equal(405, status(c, last))
  end)

  it("41: that ended without a response because the call was cancelled is 405", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local stream = stream_of(conn)
    stream:event()
    local id = stream:event().id
    c:notify("notifications/cancelled", '{"requestId":5}')
    assert.same({}, (rest(stream)))
    assert.equal(405, status(c, id))
  end)

  it("that was cancelled while nobody listened has what was said before, then is over", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local id = stream_of(conn):event().id
    conn:close()
    loop.sleep(30)
    c:notify("notifications/cancelled", '{"requestId":5}')
    local words, last = rest(get(c, id))
    assert.same({ "1" }, words)
    assert.equal(405, status(c, last.id))
  end)

  it("of which no such event was sent is 400", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local id = stream_of(conn):event().id
    local epoch, number, request = id:match "^(%x+)%-(%x+)%-%x+%-(%x+)$"
    assert.equal("1 5", number .. " " .. request)
    for _, bad in ipairs { "x", "1", "--", epoch .. "-1", epoch .. "-1-", epoch .. "-1-0-", epoch .. "-01-0", epoch:upper() .. "-1-A",
      epoch .. "-1-2", epoch .. "-2-0", epoch .. "-1-99999999999999999", epoch .. "-fffffffff-0", " " .. epoch .. "-1- 0", ("9"):rep(900) } do
      assert.equal(400, status(c, bad), bad)
    end
    -- Of a process that is gone: nothing is left of it, but the listening stream can be had anew.
    local other = ("%08x"):format(tonumber(epoch, 16) == 1 and 2 or 1)
    assert.equal(405, status(c, other .. "-1-0"))
    assert.equal(200, status(c, other .. "-0-7"))
    req:reply '{"content":[]}'
    assert.same({ "1", "response" }, (rest(get(c, id))))
  end)

  it("of a session that is over is 404", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":1'
    local id = stream_of(conn):event().id
    conn:close()
    c:close()
    assert.equal(404, status(c, id))
  end)

  it("keeps the answer and the latest of what was said, however much it was", function()
    local c = session()
    local conn, req = call(c, 5)
    req:progress '"progress":0'
    local id = stream_of(conn):event().id
    conn:close()
    local rss = process.rss(host.process.pid)
    for i = 1, 3000 do req:notify("notifications/message", ('{"level":"info","data":"%d %s"}'):format(i, ("x"):rep(3000))) end
    req:reply('{"content":[],"text":"' .. ("y"):rep(2000000) .. '"}')
    loop.wait(function()
      return http.request({ port = host.port, path = "/metrics" }).body:find "lunette_requests_in_flight 0\n"
    end, "the answer to be here", 15000)
    -- An answer of 2 MB leaves no room for anything else: 1 MB is kept of a stream.
    local words, last = rest(get(c, id))
    assert.same({ "response" }, words)
    local response = last.data
    assert.equal(2000000, #json.value(response, "result", "text"))
    if not lunette.sanitized then assert.is_true(process.rss(host.process.pid) < rss + 12000, process.rss(host.process.pid) .. " kB") end
  end)

  it("drops the oldest of what was said when room is short, never a question or an answer", function()
    local c = session { capabilities = '{"roots":{}}' }
    local conn, req = call(c, 5)
    req:progress '"progress":0'
    local id = stream_of(conn):event().id
    conn:close()
    local answered
    req:ask("roots/list", nil, function() answered = true end)
    for i = 1, 600 do req:notify("notifications/message", ('{"level":"info","data":%d}'):format(i)) end
    loop.sleep(300)
    local again = get(c, id)
    local question = again:event()
    assert.equal("roots/list", word(question))
    local numbers = {}
    while true do
      local event = again:maybe(100)
      if not event then break end
      numbers[#numbers + 1] = json.value(event.data, "params", "data")
    end
    assert.equal(255, #numbers)
    for i, n in ipairs(numbers) do assert.equal(345 + i, n) end
    c:send(('{"jsonrpc":"2.0","id":%s,"result":{"roots":[]}}'):format(json.at(question.data, "id")))
    loop.wait(function() return answered end, "the answer")
    req:reply '{"content":[]}'
    assert.same({ "response" }, (rest(again)))
  end)

  it("that listens goes on with what was lost, and what came meanwhile, in order", function()
    local c = session()
    up.call = function(req)
      held = req
      req:reply '{"content":[]}'
    end
    c:request("tools/call", work)
    local function say(n) held.session:notify("notifications/message", '{"level":"info","data":' .. n .. "}") end
    local function data(event) return json.value(event.data, "params", "data") end
    local stream = get(c)
    stream:event()
    say(1)
    say(2)
    local one = stream:event()
    assert.equal(1, data(one))
    assert.equal(2, data(stream:event()))
    stream.conn:reset()
    loop.sleep(60)
    say(3)
    loop.sleep(30)
    local again = get(c, one.id)
    local seen = { data(again:event()), data(again:event()) }
    say(4)
    seen[3] = data(again:event())
    assert.same({ 2, 3, 4 }, seen)
    -- One that doesn't say where it was gets what comes from now on.
    again.conn:close()
    loop.sleep(60)
    local fresh = get(c)
    local prime = fresh:event()
    assert.equal("prime", word(prime))
    say(5)
    assert.equal(5, data(fresh:event()))
    fresh.conn:close()
    loop.sleep(60)
    local after = get(c, prime.id)
    assert.equal(5, data(after:event()))
    assert.is_nil(after:maybe(30))
  end)

  it("33: that listens is one: a second is 409, but one that comes back takes it over", function()
    local c = session()
    local stream = get(c)
    local id = stream:event().id
    assert.equal(409, status(c))
    local again = get(c, id)
    assert.same({}, (rest(stream)))
    assert.equal(409, status(c))
    again.conn:close()
  end)

  it("begins for an answer that is long in coming, so that it can be taken up", function()
    local other = lunette.http { policy = lunette.bare(up) .. "\nlunette.configure { session_timeout = 0.4 }" }
    local c = other.client()
    c:initialize()
    local old = other.client()
    old:initialize { version = "2025-06-18" }
    local long = c:start("tools/call", work)
    local plain = old:start("tools/call", '{"name":"work","arguments":{"old":true}}')
    local calls = {}
    up.call = function(req) calls[#calls + 1] = req end
    loop.wait(function() return long.sse end, "a stream", 3000)
    loop.sleep(300)
    assert.is_nil(plain.sse)
    for _, session_of in ipairs(up.sessions) do
      for _, message in ipairs(session_of.messages) do
        if message.method == "tools/call" and not message.answered then message:reply '{"content":[]}' end
      end
    end
    long:wait()
    plain:wait()
    assert.equal("", long.events[1].data)
    assert.truthy(long.events[1].id)
    assert.equal(2, #long.events)
  end)

  it("costs nothing once its session is gone, however it went", function()
    local function round(n)
      for _ = 1, n do
        local c = session()
        local conn, req = call(c, 5)
        req:progress('"progress":1,"message":"' .. ("z"):rep(20000) .. '"')
        stream_of(conn):event()
        conn:close()
        if n % 2 == 0 then req:reply '{"content":[]}' end
        c:close()
      end
    end
    local function sessions()
      return http.request({ port = host.port, path = "/metrics" }).body:match "lunette_sessions (%d+)"
    end
    local before = sessions()
    round(10)
    loop.wait(function() return sessions() == before end, "the sessions' ends")
    local descriptors, rss = process.descriptors(host.process.pid), process.rss(host.process.pid)
    round(40)
    loop.wait(function() return sessions() == before end, "the sessions' ends")
    loop.wait(function() return process.descriptors(host.process.pid) <= descriptors + 4 end, "their descriptors")
    if not lunette.sanitized then assert.is_true(process.rss(host.process.pid) < rss + 3000) end
  end)
end)
