-- What the processes that Lunette and policies start get of it.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"look","inputSchema":{"type":"object"}}]'
-- What a shell has open, and whether it may gain privileges.
local LOOK = "ls -l /proc/$$/fd; grep NoNewPrivs /proc/$$/status"

-- { ["0"] = "pipe", … }, and the word of NoNewPrivs.
local function seen(text)
  local open = {}
  for fd, target in text:gmatch " (%d+) %-> ([^\n]*)" do open[fd] = target:gsub(":%[%d+%]$", "") end
  return open, text:match "NoNewPrivs:%s*(%d)"
end

local function server(options)
  local up = upstream.new(options)
  up:on("tools/call", function(req) req:reply '{"content":[]}' end)
  return up
end

describe("of Lunette's descriptors and rights", function()
  after_each(lunette.finish)

  local own = loop.read_file("/proc/self/status"):match "NoNewPrivs:%s*(%d)"

  -- What any program that is started here has open: standard streams, and what whoever runs the specs left open.
  local function handed_on()
    return (seen(process.run { command = "sh", args = { "-c", LOOK } }.stdout))
  end

  it("a server gets three pipes, and no way to more", function()
    local web, child = server({ name = "web", tools = tools }):http(), server { name = "child", tools = tools }
    local report = loop.tempdir() .. "/report"
    local command = child:command()
    local words = {}
    for i, word in ipairs(command) do words[i] = ("%q"):format(word) end
    -- The policy holds a file, a client and a server are connected: all that could be handed on.
    local host = lunette.http { policy = ([[
      local held = assert(io.open("/proc/self/status"))
      lunette.every(3600, function() held:read() end)
      lunette.upstream("web", %s)
      lunette.upstream("child", { command = "sh", args = { "-c", %q, "sh", %s } })]]):format(web:lua(),
      ("(%s) >%s; exec \"$@\""):format(LOOK, report), table.concat(words, ", ")) }
    local client = host.client()
    client:initialize()
    client:result("tools/call", '{"name":"web_look"}')
    client:result("tools/call", '{"name":"child_look"}')
    local open, privileges = seen(loop.read_file(report))
    assert.same({ ["0"] = "pipe", ["1"] = "pipe", ["2"] = "pipe" }, open)
    assert.equal("1", privileges)
  end)

  for _, way in ipairs { "stdio", "http" } do
    it("what a policy starts gets none of them, and keeps its owner's rights, over " .. way, function()
      local client = lunette.between({ way, "http" }, server { tools = tools }, { policy = ([[
        local held = assert(io.open("/proc/self/status", "rb"))
        lunette.on("tools/call", function(request, forward)
          local result = forward(request)
          assert(#held:read(1) == 1)
          local pipe = io.popen %q
          result.content[1] = { type = "text", text = pipe:read "*a" }
          pipe:close()
          return result
        end)]]):format(LOOK) })
      client:initialize()
      local text = json.text(json.at(client:result("tools/call", '{"name":"look"}'), "content", 1, "text"))
      local open, privileges = seen(text)
      for fd in pairs(handed_on()) do open[fd] = nil end
      assert.same({}, open)
      assert.equal(own, privileges)
    end)
  end
end)
