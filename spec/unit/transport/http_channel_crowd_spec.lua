-- Many calls at once against a server of every temper: each call ends exactly once, whatever
-- happens, and nothing is left.
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_channel_support"

local accepted, chunk, id, json, last_chunk, ping, reply, result, sse_head = support.accepted, support.chunk,
  support.id, support.json, support.last_chunk, support.ping, support.reply, support.result, support.sse_head

local CALLS, SESSIONS = 400, 3

local tempers = {
  function(n, conn) conn:send(json(result(n))) end,
  function(n, conn) conn:send(sse_head() .. chunk("data: " .. result(n) .. "\n\n") .. last_chunk) end,
  function(n, conn)
    conn:send(sse_head() .. chunk "data: {\"note\":1}\n\n")
    loop.after(math.random(1, 30), function() conn:send(chunk("data: " .. result(n) .. "\n\n") .. last_chunk) end)
  end,
  function(n, conn)
    local bytes = json(result(n))
    local cut = math.random(1, #bytes - 1)
    conn:send(bytes:sub(1, cut))
    loop.after(math.random(1, 20), function() conn:send(bytes:sub(cut + 1)) end)
  end,
  function(n, conn) loop.after(math.random(1, 30), function() conn:send(json(result(n), "Connection: close")) end) end,
  function(n, conn) conn:send(json(result(n))); loop.after(math.random(0, 3), function() conn:close() end) end,
  function(_, conn) conn:close() end,
  function(_, conn) conn:reset() end,
  function(_, conn) conn:send(sse_head() .. chunk "data: {\"note\":1}\n\n" .. last_chunk) end,
  function(_, conn) conn:send(sse_head() .. chunk "retry: 5\nid: e\ndata:\n\n"); conn:close() end,
  function(_, conn) conn:send(sse_head() .. chunk "data: x"); loop.after(math.random(1, 9), function() conn:reset() end) end,
  function(_, conn) conn:send(reply(math.random(400, 599), "text/plain", "no")) end,
  function(_, conn) conn:send "junk\r\n\r\n" end,
  function(_, conn) conn:send "HTTP/1.1 500 X\r\nContent-Length: 100000\r\n\r\nno" end,
  function(_, conn) conn:send(reply(307, nil, "", "Location: /again")) end,
  function() end, -- no answer at all: for those who give up
}

local function crowd_server()
  return support.listen(function(request, conn)
    if request.method == "GET" then
      -- A resumed stream may bring the response of nobody: the driver takes any for its own.
      conn:send(math.random(2) == 1 and reply(405) or sse_head() .. chunk "data: {\"result\":0}\n\n" .. last_chunk)
    elseif request.method == "DELETE" then
      conn:send(reply(200))
    elseif request.body:find "initialize" then
      conn:send(json(result(1), "Mcp-Session-Id: s"))
    elseif not id(request.body) then
      conn:send(accepted())
    elseif request.path == "/again" then
      conn:send(json(result(id(request.body))))
    else
      tempers[math.random(#tempers)](id(request.body), conn)
    end
  end)
end

describe("a crowd of HTTP calls", function()
  setup(support.build)
  teardown(support.remove)
  after_each(loop.finish)

  -- What is under way: in order, and by "session/tag".
  local order, under_way, ends

  local function take(line)
    if line:find "^failed %d 0 " or line:find "^drain" or line:find "^send %d EFULL" or line:find "^message %d 0 " then
      return
    end
    local k, tag, text = line:match "^message (%d) (%d+) (.*)$"
    if k and not text:find '"result"' then return end
    if not k then k, tag = line:match "^failed (%d) (%d+) " end
    assert(k, line)
    local key = k .. "/" .. tag
    -- One that was given up may have ended before that was heard.
    assert(under_way[key] or (under_way[key] == false), "ended twice: " .. line)
    under_way[key] = nil
    ends = ends + 1
  end

  local function take_all(driver)
    support.turn()
    while true do
      local line = driver.process.out:take_until "\n"
      if not line then return end
      take(line)
    end
  end

  local function give_up_oldest(driver)
    while order[1] do
      local key = table.remove(order, 1)
      if under_way[key] then
        driver:tell("abandon " .. key:gsub("/", " "))
        under_way[key] = false
        return
      end
    end
  end

  local function count()
    local n = 0
    for _, waiting in pairs(under_way) do n = n + (waiting and 1 or 0) end
    return n
  end

  for _, seed in ipairs { 1, 2 } do
    it("ends one by one, with seed " .. seed, function()
      math.randomseed(seed)
      order, under_way, ends = {}, {}, 0
      local server = crowd_server()
      local driver = support.start { url = server.url .. "/mcp", max_open = 8 }
      for k = 0, SESSIONS - 1 do
        if k > 0 then
          driver:tell "open"
          driver:until_line("ready " .. k)
        end
        driver:tell(('send %d i1 {"id":1,"method":"initialize"}'):format(k))
        driver:until_line(("message %d 1 %s"):format(k, result(1)))
        driver:tell(("initialized %d 1 2025-06-18\nsend %d n {}"):format(k, k))
      end
      for n = 1, CALLS do
        local k, tag = math.random(0, SESSIONS - 1), 100 + n
        local key = k .. "/" .. tag
        order[#order + 1], under_way[key] = key, true
        driver:tell(("send %d r%d %s"):format(k, tag, ping(tag)))
        if math.random(10) == 1 then driver:tell(("send %d n {\"x\":1}"):format(k)) end
        if math.random(20) == 1 then driver:tell("pause " .. k) end
        if math.random(5) == 1 then driver:tell("resume " .. k) end
        take_all(driver)
        local patience = loop.uv.now() + 20
        while count() >= 20 do
          if loop.uv.now() > patience then give_up_oldest(driver) end
          support.turn()
          take_all(driver)
        end
      end
      for k = SESSIONS - 1, 0, -1 do driver:tell("close " .. k) end
      driver:tell "pool"
      local closed = 0
      while true do
        local line = driver:line(10000)
        if line == "pool closed" then break end
        if line:find "^closed" then closed = closed + 1 else take(line) end
      end
      assert.equal(SESSIONS, closed)
      assert.truthy(ends > CALLS / 4, ends .. " ended")
      driver:ended()
    end)
  end
end)
