-- Memory runs out, at any allocation that a request takes: that request is answered all the same, with an error
-- if need be (over HTTP its connection may break instead), and the next one as ever.
--
-- A library that is loaded before Lunette's own has one allocation after another fail (spec/support/starve.c).
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local MOST = 400 -- allocations of one request
local ENOUGH = '{"_meta":{"n":"starve:-1"}}' -- from now on all succeed

local TOOLS = '[{"name":"t","inputSchema":{"type":"object"}},{"name":"u","inputSchema":{"type":"object"}}]'
local HANDLERS = [[
lunette.on("tools/call", "up_t", function(request, forward, ctx)
  ctx:log("info", "x")
  ctx:progress(1, 2)
  local other = ctx:call_tool("up_u", { from = "t" })
  local result = forward(request)
  result.other = other.isError
  return result
end)
lunette.tools.transform("up_u", { arguments = { a = { default = 1 } } })
lunette.tools.add { name = "own", inputSchema = { type = "object" }, handler = function() return "fine" end }
]]

local requests = {
  ping = { "ping", "{%s}" },
  list = { "tools/list", "{%s}" },
  call = { "tools/call", '{"name":"up_t","arguments":{"a":1},%s}' },
  own = { "tools/call", '{"name":"own","arguments":{},%s}' },
  read = { "resources/read", '{"uri":"file:///x",%s}' },
  unknown = { "no/such", "{%s}" },
  initialize = { "initialize", '{"protocolVersion":"2025-11-25","capabilities":{},%s}' },
}

describe("when memory runs out", function()
  local library
  setup(function()
    library = os.tmpname() -- loop's folders go with each test
    assert(os.execute(("${CC:-cc} -std=gnu11 -D_GNU_SOURCE -shared -fPIC -O1 -Wall -Wextra -Werror %s/spec/support/starve.c -o %s")
      :format(lunette.root, library)) == 0)
  end)
  teardown(function() os.remove(library) end)
  after_each(lunette.finish)

  local function server(name)
    local up = upstream.new { name = name, tools = TOOLS, resources = '[{"uri":"file:///x","name":"x"}]' }
    up:on("tools/call", function(req)
      req:progress '"progress":3'
      req:reply '{"content":[{"type":"text","text":"fine"}]}'
    end)
    up:on("resources/read", function(req) req:reply '{"contents":[{"uri":"file:///x","text":"fine"}]}' end)
    return up
  end

  local function policy_of(handlers, over_http)
    local text = {}
    for i, name in ipairs { "up", "b" } do
      local up = server(name)
      if over_http then up:http() end
      text[i] = ("lunette.upstream(%q, %s)"):format(name, up:lua())
    end
    return table.concat(text, "\n") .. "\n" .. (handlers or "")
  end

  local function each(request, span, fn)
    for n = 0, MOST do fn(request[1], request[2]:format(('"_meta":{"progressToken":"p","n":"starve:%d+%d"}'):format(n, span))) end
  end

  for name, request in pairs(requests) do
    for kind, handlers in pairs { plainly = false, ["through handlers"] = HANDLERS } do
      for words, span in pairs { ["once"] = 0, ["for a while"] = 3 } do
        local title = ("%s, %s, %s"):format(name, kind, words)
        it(title .. ", is answered on stdio", function()
          if lunette.sanitized then return end -- it has an allocator of its own
          local client
          local function start()
            client = lunette.stdio { policy = policy_of(handlers or ""), env = { LD_PRELOAD = library } }
            if name ~= "initialize" then client:initialize() end
          end
          start()
          each(request, span, function(method, params)
            for _, call in ipairs { client:start(method, params), name ~= "initialize" and client:start("ping", ENOUGH) or nil } do
              loop.wait(function() return call.raw or client.process.code end, title, 5000)
            end
            -- What can't be told is told by the end of it.
            if client.process.code then
              assert.equal(0, client.process.signal, client.process.err:all())
              assert.truthy(client.process.err:all():find("the client can't be", 1, true), client.process.err:all())
              start()
            end
          end)
        end)

        it(title .. ", is answered over HTTP", function()
          if lunette.sanitized then return end
          local host = lunette.http { policy = policy_of(handlers or "", true), env = { LD_PRELOAD = library } }
          local client = host.client()
          client:initialize()
          each(request, span, function(method, params)
            local other = name == "initialize" and host.client() or client
            local body = ('{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}'):format(method, params)
            local ok, response = pcall(other.post, other, body)
            assert.falsy(not ok and tostring(response):find "timed out", params .. tostring(response))
            assert.is_nil(host.process.code)
            client:result("ping", ENOUGH)
          end)
        end)
      end
    end
  end

  -- The deadline of what could not even be noted as sent.
  it("leaves nothing behind of a server's session that could not begin", function()
    if lunette.sanitized then return end
    local policy = ("lunette.upstream('up', %s)"):format(server("up"):http():lua "session = 'request', timeout = 1")
    local client
    for n = 0, 60 do
      if not client or client.process.code then
        client = lunette.stdio { policy = policy, env = { LD_PRELOAD = library } }
        client:initialize()
      end
      -- It may be ending since the last one's answer.
      local ok, why = pcall(function()
        local call = client:start("tools/call", ('{"name":"t","_meta":{"progressToken":"p","n":"starve:%d"}}'):format(n))
        loop.wait(function() return call.raw or client.process.code end, "an answer", 5000)
      end)
      if not ok then assert(loop.within(5000, function() return client.process.code end), why) end
    end
    loop.within(1500, function() return client.process.code end)
    if client.process.code then assert.equal(0, client.process.code) else client:result("ping", ENOUGH) end
  end)

  -- The policy's text is read as messages are: it says which allocation of its reload fails.
  it("in a reload, a new server is offered what the client can do, as those before were", function()
    if lunette.sanitized then return end
    local up, b = server("up"):http(), server("b"):http()
    local path = loop.tempdir() .. "/policy.lua"
    local function policy(n)
      return lunette.policy(("%s\nlunette.upstream('b', %s)\nlunette.roots(function(r, forward) return forward(r) end)\n-- starve:%d")
        :format(lunette.bare(up), b:lua(("headers = { n = '%d' }"):format(n)), n), path)
    end
    local host = lunette.http { targets = { policy(-1) }, flags = { "--no-watch" }, env = { LD_PRELOAD = library } }
    host.client():initialize { capabilities = '{"sampling":{}}' }
    local failed = 0
    for n = 0, 80 do
      local said, before = #host.process.err:all() + 1, #b.sessions
      policy(n)
      host.process:kill "sighup"
      local log
      loop.wait(function()
        log = host.process.err:all():sub(said)
        return log:find("policy is in force", 1, true) or log:find("policy stays in force", 1, true)
      end, "a reload", 10000)
      if log:find("new servers are offered what the old were", 1, true) then
        failed = failed + 1
        local params = b:session(before + 1):wait("initialize").params
        assert.truthy(params:find('"sampling"', 1, true), params)
      end
    end
    assert.is_true(failed > 0)
  end)
end)
