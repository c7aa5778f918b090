-- stdout is the protocol's, or the command's own output, and stdin the client's: whatever a policy does at load and
-- later, by itself or by programs that it starts.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

-- Each writes a word of its own.
local WRITE = [[
  os.execute "echo by-execute"
  io.popen("echo by-popen >&1; cat >&2", "w"):close()
  local pipe = io.popen("cat", "w") pipe:write "by-pipe\n" pipe:close()
  io.write "by-write\n" io.stdout:write "by-stdout\n" io.output():write "by-output\n" print "by-print"
  local ffi = require "ffi"
  pcall(ffi.cdef, "int puts(const char *); long write(int, const char *, size_t);")
  ffi.C.puts "by-puts" ffi.C.write(1, "by-fd\n", 6)]]
local WORDS = { "by-execute", "by-popen", "by-pipe", "by-write", "by-stdout", "by-output", "by-print", "by-puts", "by-fd" }

local READ = [[
  local pipe = io.popen "cat" local got = pipe:read "*a" pipe:close()
  if got ~= "" then error("took from stdin: " .. got) end]]

local function missing(text)
  local list = {}
  for _, word in ipairs(WORDS) do
    if not text:find(word, 1, true) then list[#list + 1] = word end
  end
  return table.concat(list, " ")
end

local AT_LOAD = WRITE .. READ
local IN_HANDLER = 'lunette.on("tools/call", function(request, forward)\n' .. WRITE .. READ .. "\nreturn forward(request) end)"
local IN_RULE = "lunette.tools.filter(function(tool, ctx)\n" .. WRITE .. "\nreturn true end)"
local OWN = '\nlunette.tools.add { name = "fine", handler = function() return "fine" end }'

describe("what a policy writes to stdout", function()
  after_each(lunette.finish)

  for name, text in pairs { ["at load"] = AT_LOAD, ["in a handler"] = IN_HANDLER, ["in a rule"] = IN_RULE } do
    it(name .. " is on stderr when a client is served over stdio, which loses nothing", function()
      local client = policy.with(text)
      assert.same({ "read", "write", "delete" }, policy.seen(client))
      policy.call(client, "read", '{"path":"x"}')
      client:send('{"jsonrpc":"2.0","id":77,"method":"ping"}')
      lunette.finish()
      assert.equal("", missing(client.process.err:all()))
    end)

    it(name .. " is on stderr when clients are served over HTTP", function()
      local client, _, host = policy.with(text, { way = { "http", "stdio" } })
      policy.seen(client)
      policy.call(client, "read", '{"path":"x"}')
      lunette.finish()
      assert.equal("", host.process.out:all())
      assert.equal("", missing(host.process.err:all()))
    end)

    it(name .. " is on stderr when a command prints what it found", function()
      local file = lunette.policy(text .. OWN)
      for _, words in ipairs { { "list", file, "--json" }, { "call", file, "fine", "--json" } } do
        local result = lunette.cli(words)
        assert.equal(0, result.code, result.stderr)
        assert.equal("table", type(json.decode(result.stdout)))
        assert.is_nil(result.stdout:find("by-", 1, true), result.stdout)
        -- What print says is logged, and commands log less.
        if words[1] == "list" and name ~= "in a handler" then assert.equal("by-print", missing(result.stderr)) end
      end
    end)
  end

  it("at load is not among what check says", function()
    local result = lunette.cli { "check", lunette.policy(AT_LOAD) }
    assert.equal(0, result.code, result.stderr)
    assert.is_nil(result.stdout:find("by-", 1, true), result.stdout)
    assert.equal("by-print", missing(result.stderr))
  end)
end)
