-- The toolkit against itself: a raw client speaks to a scripted server with nothing in between,
-- so that a failing spec elsewhere tells about Lunette and not about the toolkit.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"echo","inputSchema":{"type":"object"}}]'

describe("the toolkit", function()
  after_each(lunette.finish)

  for _, transport in ipairs { "stdio", "http" } do
    local function server(options)
      local up = upstream.new(options)
      return transport == "http" and up:http() or up
    end

    it("carries a session over " .. transport .. " byte for byte", function()
      local up = server { tools = tools }
      up:on("tools/call", function(req) req:answer '{ "jsonrpc":"2.0","id":%ID% , "result":{"n":1.0,"e":1e2} }' end)
      local c = lunette.direct(up)
      c:initialize()
      assert.equal("2025-11-25", c.version)
      assert.equal(tools, json.at(c:result "tools/list", "tools"))
      local params = '{"name":"echo","arguments":{"x": 1.0,"big":12345678901234567890}}'
      local raw = c:request("tools/call", params, '"1"')
      assert.equal('{ "jsonrpc":"2.0","id":"1" , "result":{"n":1.0,"e":1e2} }', raw)
      assert.equal(params, up:wait("tools/call").params)
      assert.equal(-32601, c:failure("no/such").code)
      assert.equal(1, #up.sessions)
    end)

    it("relays questions and progress over " .. transport, function()
      local up = server { tools = tools }
      up:on("tools/call", function(req)
        req:progress '"progress":1'
        req:ask("roots/list", nil, function(answer) req:reply('{"content":[],"roots":' .. answer.result .. "}") end)
      end)
      local c = lunette.direct(up)
      c:initialize { capabilities = '{"roots":{}}' }
      local call = c:start("tools/call", '{"name":"echo","_meta":{"progressToken":"p"}}')
      assert.equal('{"progressToken":"p","progress":1}', c:expect("notifications/progress").params)
      c:answer(c:expect "roots/list", '{"roots":[]}')
      assert.equal('{"roots":[]}', json.at(call:wait(), "result", "roots"))
    end)
  end

  it("reads the GET stream of a session", function()
    local up = upstream.new({ tools = tools }):http()
    local c = lunette.direct(up)
    c:initialize()
    up.sessions[1]:notify "notifications/tools/list_changed"
    assert.equal(200, c:listen().status)
    assert.equal("get", c:expect("notifications/tools/list_changed").stream)
    assert.equal(200, c:close())
    assert.equal(404, c:post('{"jsonrpc":"2.0","id":1,"method":"ping"}').status)
  end)

  it("sees what a child is told and what becomes of it", function()
    local up = upstream.new { args = { "--grandchild" } }
    local c = lunette.direct(up)
    c:initialize()
    local session = up:session()
    assert.truthy(process.alive(session.hello.grandchild))
    session:stderr "some words\n"
    c.process:wait_stderr "some words"
    session:close_stdout()
    loop.wait(function() return c.process.out.ended end, "the end of its stdout")
    assert.is_nil(c.process.code)
    session:exit(3)
    assert.equal(3, (c.process:wait_exit()))
    loop.uv.kill(session.hello.grandchild, "sigkill")
  end)

  it("notices a process left behind", function()
    process.spawn { command = "sh", args = { "-c", "sleep 100 & exit 0" } }:wait_exit()
    assert.has_error(function() process.assert_none_left(50) end)
    process.assert_none_left(50)
  end)

  it("raises when what is waited for does not come", function()
    local ok, err = pcall(loop.wait, function() return false end, "the moon", 20)
    assert.is_false(ok)
    assert.truthy(err:find("timed out after .* waiting for the moon"))
  end)

  it("parses SSE by the letter", function()
    local parser = http.sse_parser()
    for c in (": hi\n\nid: 1\ndata:\n\nevent: message\ndata: a\ndata:b\n\nretry: 5\n\n"):gmatch "." do parser.feed(c) end
    assert.same({ "1", "" }, { parser.take().id, "" })
    local event = parser.take()
    assert.same({ "message", "a\nb" }, { event.event, event.data })
    assert.equal("5", parser.take().retry)
    assert.equal(1, parser.keep_alives)
    assert.is_nil(parser.take())
  end)

  it("finds raw values", function()
    local raw = '{"a" : [1.0, {"b\\"c":"}"} ,[]],"d":{ } , "e":"x"}'
    assert.equal("1.0", json.at(raw, "a", 1))
    assert.equal('{"b\\"c":"}"}', json.at(raw, "a", 2))
    assert.equal("{ }", json.at(raw, "d"))
    assert.equal("x", json.value(raw, "e"))
    assert.is_nil(json.at(raw, "f"))
  end)
end)
