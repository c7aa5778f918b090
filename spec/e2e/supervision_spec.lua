-- Servers that misbehave, each in one way: whoever called them hears what happened, with the end of what they
-- said on stderr where they died of it; no other server and no other client notices anything; and the next
-- call finds them again.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'
local limit = 200000

local function server(name, fields)
  fields = fields or {}
  fields.name, fields.tools = name, fields.tools or tools
  local up = upstream.new(fields)
  up:on("tools/call", function() return '{"content":[]}' end)
  return up
end

local function words(session) session:stderr "first words\nlast words\n" end

-- What the server does with a call, and what its caller then hears (nil: its result, all the same).
-- tail: stderr's end is in it. again: the same process serves the next call.
local in_a_call = {
  { "exits", function(req) req.session:exit(7) end, "exited with status 7", tail = true },
  { "exits well", function(req) req.session:exit(0) end, "exited with status 0", tail = true },
  { "is killed", function(req) loop.after(50, function() loop.uv.kill(req.session.pid, "sigkill") end) end, "killed by signal 9", tail = true },
  { "closes its stdout but lives", function(req) req.session:close_stdout() end, "closed its stdout", tail = true },
  { "writes half a line and exits", function(req)
    req.session:raw('{"jsonrpc":"2.0","id":' .. req.id .. ',"result":{"cont')
    req.session:exit(3)
  end, "exited with status 3", tail = true },
  { "writes half a line and hangs", function(req) req.session:raw '{"jsonrpc":"2.0","id":' end, "no answer to the request in time",
    again = true, mend = "\n" },
  { "hangs", function() end, "no answer to the request in time", again = true },
  { "answers under another id", function(req)
    req.session:send '{"jsonrpc":"2.0","id":4711,"result":{"content":[]}}'
    req.session:send('{"jsonrpc":"2.0","id":"' .. req.id .. '","result":{"content":[]}}')
    req.session:send '{"jsonrpc":"2.0","id":null,"result":{"content":[]}}'
    req.session:send '{"jsonrpc":"2.0","result":{"content":[]}}'
  end, "no answer to the request in time", again = true },
  { "answers with no message", function(req) req:answer '{"jsonrpc":"2.0","id":%ID%,"result":{"content":[}}' end, "no message",
    again = true },
  { "answers under no integer", function(req) req.session:send('{"jsonrpc":"2.0","id":' .. req.id .. '.0,"result":{}}') end,
    "no message", again = true },
  { "answers without saying what", function(req) req:answer '{"jsonrpc":"2.0","id":%ID%}' end, "no message", again = true },
  { "answers with more than the limit", function(req) req:reply('{"content":["' .. ("x"):rep(limit) .. '"]}') end,
    ("more than %d bytes"):format(limit), again = true },
  { "begins an answer that never ends", function(req) req.session:raw('{"jsonrpc":"2.0","id":1,"result":"' .. ("x"):rep(limit)) end,
    ("more than %d bytes"):format(limit), again = true, mend = "\n" },
  { "answers twice", function(req)
    req:reply '{"content":[]}'
    req:reply '{"content":[],"second":true}'
  end, nil, again = true },
  { "writes rubbish first", function(req)
    req.session:raw(("rubbish \255\0 {\n"):rep(2000) .. "[\n{}\n[]\n1\nnull\n\"x\"\n\n\r\n" .. ("["):rep(5000) .. "\n")
    req:reply '{"content":[]}'
  end, nil, again = true },
  { "floods the log", function(req)
    for _ = 1, 200 do req.session:stderr(("flood "):rep(200) .. "\n") end
    req:reply '{"content":[]}'
  end, nil, again = true },
  { "floods its client", function(req)
    for i = 1, 2000 do req:notify("notifications/message", ('{"level":"info","data":%d}'):format(i)) end
    req:reply '{"content":[]}'
  end, nil, again = true },
  { "exits when it has answered", function(req)
    req:reply '{"content":[]}'
    req.session:exit(1)
  end },
}

describe("a server that, in a call,", function()
  local bad, good, host, caller, other

  setup(function()
    bad, good = server("bad", { args = { "--ignore-eof" } }), server "good"
    host = lunette.http { policy = ("lunette.configure { max_message_bytes = %d }\nlunette.upstream('bad', %s)\n"):format(limit,
      bad:lua "timeout = 0.4") .. lunette.bare(good) }
    caller, other = host.client(), host.client()
    for _, client in ipairs { caller, other } do client:initialize() end
    caller:listen()
    -- Whose process is whose.
    for _, client in ipairs { caller, other } do client:result("tools/call", '{"name":"bad_work"}') end
  end)
  teardown(lunette.finish)

  for _, case in ipairs(in_a_call) do
    it(case[1], function()
      local sessions, misbehaving = #bad.sessions, nil
      bad:on("tools/call", function(req)
        if req:at("arguments", "well") then return '{"content":[],"well":true}' end
        misbehaving = req.session
        words(req.session)
        case[2](req)
      end)
      local waiting = other:start("tools/call", '{"name":"good_work"}')
      local call = caller:start("tools/call", '{"name":"bad_work"}')
      assert.equal('{"content":[],"well":true}', other:result("tools/call", '{"name":"bad_work","arguments":{"well":1}}'))
      assert.equal('{"content":[]}', caller:result("tools/call", '{"name":"good_work"}'))
      waiting:wait()
      local raw = call:wait()
      if case[3] then
        local err = json.value(raw, "error") or error(raw)
        assert.equal(-32603, err.code)
        assert.truthy(err.message:find('Server "bad": ', 1, true), err.message)
        assert.truthy(err.message:find(case[3], 1, true), err.message)
        if case.tail then assert.truthy(err.message:find("first words\nlast words", 1, true), err.message) end
      else
        assert.equal('{"content":[]}', json.at(raw, "result"), raw)
      end
      -- The next call is served: by the same process when it lives, else by another.
      if case.mend then misbehaving:raw(case.mend) end
      if case[1]:find "has answered" then loop.wait(function() return misbehaving.gone end, "its end") end
      assert.equal('{"content":[],"well":true}', caller:result("tools/call", '{"name":"bad_work","arguments":{"well":1}}'))
      assert.equal(case.again and sessions or sessions + 1, #bad.sessions)
      caller.inbox = {}
    end)
  end
end)

describe("lunette list", function()
  after_each(lunette.finish)

  local function listed(bad)
    local good = server "good"
    local result = lunette.cli { "list", lunette.policy(("lunette.upstream('bad', %s)\n"):format(bad:lua()) .. lunette.bare(good)) }
    assert.equal(1, result.code)
    assert.truthy(result.stdout:find("good_work", 1, true))
    return result.stderr
  end

  it("tries a dead server once, and tells of it once in the log and once at the end", function()
    local bad = server "bad"
    bad.on_session = function(session)
      words(session)
      session:exit(4)
    end
    local stderr = listed(bad)
    assert.equal(1, #bad.sessions)
    local _, times = stderr:gsub("exited with status 4", "")
    assert.equal(2, times, stderr)
  end)

  it("shows what a server said when it refused, not its escapes", function()
    local bad = server "bad"
    bad:on("initialize", function(req) req:answer [[{"jsonrpc":"2.0","id":%ID%,"error":{"code":-1,"message":"say \"please\" \u00e9\/\ud83c\udf19"}}]] end)
    assert.truthy(listed(bad):find('refused initialize: say "please" é/🌙\n', 1, true))
    assert.equal(1, bad:count "initialize")
  end)

  it("shows the end of what a server said when it died, however much it was", function()
    local bad = server "bad"
    bad.on_session = function(session)
      session:stderr(("é"):rep(400) .. "\n" .. ("one of many lines\n"):rep(500) .. ("word "):rep(190) .. "the very last words\n")
      session:exit(4)
    end
    assert.truthy(listed(bad):find("the end of its stderr:\none of many lines\n.*word the very last words\n"))
  end)
end)
