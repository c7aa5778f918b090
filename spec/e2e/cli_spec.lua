-- The command line: what it prints, on which stream, and with which exit code.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"read","description":"Reads","inputSchema":{"type":"object","properties":{"path":{"type":"string"},"n":{"type":"integer"},'
  .. '"deep":{"type":"boolean"}},"required":["path"]}},{"name":"write","inputSchema":{"type":"object"}}]'
local resources = '[{"uri":"test://a","name":"a","mimeType":"text/plain"}]'
local prompts = '[{"name":"review","arguments":[{"name":"path","required":true}]}]'

local function server(fields)
  fields = fields or {}
  fields.tools, fields.resources, fields.prompts, fields.name = fields.tools or tools, resources, prompts, fields.name or "files"
  local up = upstream.new(fields)
  up:on("tools/call", function(req) req:reply('{"content":[{"type":"text","text":"called"}],"got":' .. req.params .. "}") end)
  up:on("resources/read", function(req) req:reply('{"contents":[{"uri":"test://a","text":"the text"}]}') end)
  up:on("prompts/get", function(req)
    req:reply('{"messages":[{"role":"user","content":{"type":"text","text":"look at ' .. req:value("arguments", "path") .. '"}}]}')
  end)
  return up
end

describe("lunette", function()
  after_each(lunette.finish)

  describe("version and help", function()
    it("print to stdout and exit 0", function()
      local version = lunette.cli { "version" }
      assert.equal(0, version.code)
      assert.truthy(version.stdout:match "^lunette %d+%.%d+%.%d+")
      assert.equal("", version.stderr)
      assert.equal(version.stdout:match "%d+%.%d+%.%d+", lunette.cli({ "--version" }).stdout:match "%d+%.%d+%.%d+")
      for _, args in ipairs { { "help" }, { "--help" }, { "-h" } } do
        local help = lunette.cli(args)
        assert.equal(0, help.code)
        for _, command in ipairs { "run", "check", "list", "call", "read", "prompt", "pin", "test", "completion", "version" } do
          assert.truthy(help.stdout:find(command, 1, true), command)
        end
      end
      local run = lunette.cli { "help", "run" }
      assert.equal(0, run.code)
      assert.truthy(run.stdout:find("--http", 1, true))
    end)
  end)

  describe("wrong usage", function()
    for name, args in pairs {
      ["no command"] = {},
      ["an unknown command"] = { "frobnicate" },
      ["an unknown option"] = { "run", "--frobnicate" },
      ["run without a target"] = { "run" },
      ["call without a name"] = { "call", "http://127.0.0.1:1/mcp" },
      ["a bad address"] = { "run", "x.lua", "--http", "nonsense" },
      ["both transports"] = { "run", "x.lua", "--stdio", "--http", "127.0.0.1:1" },
      ["an unknown log level"] = { "run", "x.lua", "--log-level", "loud" },
      ["nothing after --"] = { "run", "--" },
      ["help for nothing"] = { "help", "frobnicate" },
    } do
      it(name .. ": exit 2, a word on stderr, nothing on stdout", function()
        local result = lunette.cli(args)
        assert.equal(2, result.code, result.stderr)
        assert.equal("", result.stdout)
        assert.is_true(#result.stderr > 10)
      end)
    end
  end)

  describe("check", function()
    it("is content with a good policy and connects to nothing", function()
      local up = server()
      local result = lunette.cli { "check", lunette.policy(lunette.bare(up)) }
      assert.equal(0, result.code, result.stderr)
      assert.equal(0, #up.sessions)
    end)

    it("tells the way to an error in one line, each position once", function()
      local path = lunette.policy "local function f() local x = nil + 1 end\nlocal function g() f() return 1 end\ng()"
      local expected = ("P:1: attempt to perform arithmetic on a nil value ← P:2: in function 'g' ← P:3: in main chunk\n"):gsub("P", path)
      assert.equal(expected, lunette.cli({ "check", path }).stderr)
      assert.equal("lunette: " .. expected, lunette.cli({ "list", path }).stderr)
    end)

    for name, case in pairs {
      ["a syntax error"] = { "\n\nthis is not Lua", 3 },
      ["an error when it runs"] = { "\nlocal x = nil\nx.y = 1", 3 },
      ["an unknown function"] = { "\nlunette.tools.frobnicate()", 2 },
      ["an unknown field of an upstream"] = { '\n\n\nlunette.upstream("a", { comand = "x" })', 4 },
      ["an upstream with neither command nor url"] = { '\nlunette.upstream("a", {})', 2 },
      ["two upstreams of one name"] = { '\nlunette.upstream("a", { command = "x" })\nlunette.upstream("a", { command = "y" })', 3 },
      ["a tool without a handler"] = { '\nlunette.tools.add { name = "x" }', 2 },
      ["an unknown session mode"] = { '\nlunette.upstream("a", { command = "x", session = "mine" })', 2 },
      ["a selector of the wrong type"] = { "\nlunette.tools.hide(7)", 2 },
      ["an unknown option of configure"] = { "\nlunette.configure { frobnicate = 1 }", 2 },
      ["an unknown field of a transform"] = { '\nlunette.tools.transform("x", { descripton = "y" })', 2 },
      ["a missing module"] = { '\n\nrequire "no.such.module"', 3 },
      ["a missing environment variable"] = { '\nlunette.env "SPEC_NOT_SET"', 2 },
    } do
      it("names file and line of " .. name, function()
        local path = lunette.policy(case[1])
        local result = lunette.cli { "check", path }
        assert.equal(1, result.code)
        assert.equal("", result.stdout)
        assert.truthy(result.stderr:find(path:match "[^/]+$" .. ":" .. case[2], 1, true), result.stderr)
      end)
    end

    -- { what a transform of an argument says, the name that is meant, or false }
    for _, row in ipairs { { "nme", "name" }, { "descripton", "description" }, { "desc", "description" }, { "hdie", "hide" },
      { "titel", "title" }, { "x", false }, { "nam_of", false }, { "resource", false } } do
      it("asks whether another was meant only when it is near: " .. row[1], function()
        local result = lunette.cli { "check", lunette.policy(('lunette.tools.transform("t", { arguments = { a = { %s = 1 } } })'):format(row[1])) }
        assert.equal(1, result.code)
        assert.equal(row[2] or nil, result.stderr:match "did you mean (.-)%?")
      end)
    end

    -- { command, more options, what would be right }
    for _, row in ipairs { { "npx -y server", "", 'command = "npx", args = { "-y", "server" }' },
      { "npx -y", ', args = { "server" }', 'command = "npx", args = { "-y", … }' }, { "./run.sh --all", "", 'args = { "--all" }' } } do
      it("says where the arguments in a command go: " .. row[1], function()
        local path = lunette.policy(('\nlunette.upstream("a", { command = %q%s })'):format(row[1], row[2]))
        local result = lunette.cli { "check", path }
        assert.equal(0, result.code)
        assert.truthy(result.stderr:find(path .. ':2: upstream "a": command is a program', 1, true), result.stderr)
        assert.truthy(result.stderr:find(row[3], 1, true), result.stderr)
      end)
    end

    it("lets a program have blanks in its name", function()
      local path = loop.write_file(loop.tempdir() .. "/a program", "#!/bin/sh\n")
      local result = lunette.cli { "check", lunette.policy(('lunette.upstream("a", { command = %q })'):format(path)) }
      assert.equal("", result.stderr)
    end)

    it("counts what is declared, and warns of what can't do anything, with exit 0", function()
      local path = lunette.policy [[lunette.upstream("a", { command = "x" })
        lunette.tools.hide("x_*")
        lunette.tools.transform("x_y", { title = "y" })
        lunette.on("tools/cal", print)
        lunette.prompts.add { name = "p", get = print } ]]
      local result = lunette.cli { "check", path }
      assert.equal(0, result.code)
      assert.equal(path .. ": ok (1 server, 2 rules, 1 handler, 1 prompt; 2 warnings)\n", result.stdout)
      assert.truthy(result.stderr:find(path .. ':3: lunette.tools.transform: "x_y" can match no tool: hidden at ' .. path
        .. ":2\n", 1, true), result.stderr)
      assert.truthy(result.stderr:find(path .. ":4: lunette.on: tools/cal is no method of MCP; did you mean tools/call?", 1,
        true), result.stderr)
    end)

    it("names a file that is not there", function()
      local result = lunette.cli { "check", "/no/such/policy.lua" }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find("/no/such/policy.lua", 1, true))
    end)

    it("checks several, and fails when one does", function()
      assert.equal(1, lunette.cli({ "check", lunette.policy "", lunette.policy "error 'x'" }).code)
      assert.equal(0, lunette.cli({ "check", lunette.policy "", lunette.policy "" }).code)
    end)
  end)

  describe("a server of the command line is called after what it runs:", function()
    for words, name in pairs {
      ["sh|-c|exit 3"] = "sh", ["bash|-lc|cd /srv/secret && exit 4"] = "bash", ["env|A=b|sh|-c|exit 3"] = "sh",
      ["python3|-c|raise SystemExit(2)"] = "python3", ["sh|/nowhere/my-server.sh"] = "my-server", ["false"] = "false",
      ["env|-u|HOME|false"] = "false",
    } do
      it(words, function()
        local args = { "list", "--" }
        for word in words:gmatch "[^|]+" do args[#args + 1] = word end
        local result = lunette.cli(args)
        assert.equal(1, result.code)
        assert.equal(name, result.stderr:match 'Server "([^"]*)"', result.stderr)
      end)
    end
  end)

  describe("list", function()
    it("shows what a client sees", function()
      local up = server()
      local result = lunette.cli { "list", lunette.policy(lunette.bare(up) .. '\nlunette.tools.hide("write")\nlunette.tools.rename { read = "load" }') }
      assert.equal(0, result.code, result.stderr)
      for _, word in ipairs { "load", "Reads", "test://a", "review" } do assert.truthy(result.stdout:find(word, 1, true), word) end
      assert.is_nil(result.stdout:find("write", 1, true))
    end)

    it("--raw shows what the servers offer", function()
      local up = server()
      local path = lunette.policy(lunette.bare(up) .. '\nlunette.tools.hide("write")\nlunette.tools.rename { read = "load" }')
      local result = lunette.cli { "list", path, "--raw" }
      assert.equal(0, result.code)
      for _, word in ipairs { "read", "write", "test://a", "review" } do assert.truthy(result.stdout:find(word, 1, true), word) end
      assert.is_nil(result.stdout:find("load", 1, true))
    end)

    it("--json is JSON, items to the byte", function()
      local result = lunette.cli { "list", "--json", lunette.policy(lunette.bare(server())) }
      assert.equal(0, result.code)
      local value = json.decode(result.stdout)
      assert.equal(2, #value.tools)
      assert.equal("read", value.tools[1].name)
      assert.equal("test://a", value.resources[1].uri)
      assert.equal("review", value.prompts[1].name)
    end)

    it("--explain says which rule did what, with file and line", function()
      local path = lunette.policy(lunette.bare(server()) .. '\nlunette.tools.hide("write")\nlunette.tools.rename { read = "load" }')
      local file = path:match "[^/]+$"
      local result = lunette.cli { "list", "--explain", path }
      assert.equal(0, result.code)
      local text = result.stdout
      assert.truthy(text:find("hidden by [^\n]*" .. file:gsub("%.", "%%.") .. ":2"), text)
      assert.truthy(text:find("read[^\n]*\n?[^\n]*" .. file:gsub("%.", "%%.") .. ":3"), text)
      assert.truthy(text:find("load", 1, true))
    end)

    it("--explain asks rules with ctx on behalf of the same client as without", function()
      local path = lunette.policy(lunette.bare(server())
        .. "\nlunette.tools.filter(function(tool, ctx) return ctx.session.client.name:sub(1, 3) == 'lun' end)")
      local result = lunette.cli { "list", "--explain", path }
      assert.equal("", result.stderr)
      assert.truthy(result.stdout:find("read\n", 1, true), result.stdout)
      assert.falsy(result.stdout:find("hidden", 1, true), result.stdout)
    end)

    it("says once of a server that it is down, explained or not", function()
      local path = lunette.policy('local lunette = require "lunette"\nlunette.upstream("dead", { command = "/no/such/program" })')
      for _, more in ipairs { "--json", "--explain", "--raw" } do
        local result = lunette.cli { "list", more, path }
        assert.equal(1, result.code)
        assert.equal(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
        assert.truthy(result.stderr:find("/no/such/program: no such file or directory", 1, true), result.stderr)
      end
      assert.truthy(lunette.cli({ "list", "--log-level", "debug", path }).stderr:find("debug upstream dead: /no/such", 1, true))
    end)

    it("--explain tells the whole way of everything", function()
      local policy = lunette.bare(server { name = "a" }, server { name = "b" }) .. "\n" .. [[
lunette.tools.add { name = "now", handler = print }
lunette.tools.rename { a_read = "load" }
lunette.tools.transform("load", { description = "Loads", arguments = { path = { name = "file" } } })
lunette.tools.transform("a_write", { arguments = { path = { hide = true } } })
lunette.tools.filter(function(tool) if tool.name == "b_write" then error "no idea" end return true end)
lunette.tools.rename(function(name) if name == "b_read" then return "now" end end)
lunette.resources.transform("test://a", function(item) item.title = print return item end)
lunette.prompts.only("a_*")
lunette.tools.hide "nothing"
lunette.on("tools/call", "lod", print)]]
      local path = lunette.policy(policy)
      local result = lunette.cli({ "list", "--explain", "--log-level", "none", path })
      assert.equal(0, result.code, result.stderr)
      local text = result.stdout:gsub(path:gsub("%p", "%%%0"), "P")
      assert.equal([[
Tools
  (policy)  now → P:3 add → now
  a         read → a_read → P:4 rename a_read -> load → P:5 transform arguments, description → load
  a         write → a_write → hidden by P:6 (transform can't hold: it has no argument path; it has none at all)
  b         read → b_read → P:8 rename b_read -> now → not shown: the now of P:3 comes first
  b         write → b_write → hidden by P:7 (filter failed: no idea)

Resources
  a  test://a → P:9 transform → hidden by P:9 (can't be sent: item.title: a function can't be sent)
  b  test://a → P:9 transform → hidden by P:9 (can't be sent: item.title: a function can't be sent)

Prompts
  a  review → a_review
  b  review → b_review → hidden by P:10 (only a_*)

Rules and handlers that do nothing here
  P:11 lunette.tools.hide: "nothing" matches no tool
  P:12 lunette.on: "lod" matches no tool; did you mean load?
]], text)
      local json_text = lunette.cli({ "list", "--explain", "--json", "--log-level", "none", path }).stdout
      local value = json.decode(json_text)
      assert.same({ { at = path .. ":3", did = "add" } }, value.tools[1].rules)
      assert.equal(path .. ":3", value.tools[4].shadowed_by)
      assert.equal("a", value.tools[2].upstream)
      assert.equal("load", value.tools[2].presented)
      assert.same({ { at = path .. ":11", what = 'lunette.tools.hide: "nothing" matches no tool' },
        { at = path .. ":12", what = 'lunette.on: "lod" matches no tool; did you mean load?' } }, value.unmatched)
    end)

    it("--explain tells why a URI has its server's name in front", function()
      local path = lunette.policy(lunette.bare(server { name = "a" }, server { name = "b" }))
      local text = lunette.cli({ "list", "--explain", path }).stdout
      assert.truthy(text:find("  b  test://a → b+test://a (another server has that URI too)\n", 1, true), text)
    end)

    it("warns of a rule that matches nothing, once, when every server's list is known", function()
      local rule = '\nlunette.tools.hide "wriet"'
      local path = lunette.policy(lunette.bare(server()) .. rule)
      local result = lunette.cli { "list", path }
      assert.equal(0, result.code)
      local found = path .. ':2: lunette.tools.hide: "wriet" matches no tool; did you mean write?'
      local _, count = result.stderr:gsub(found:gsub("%p", "%%%0"), "")
      assert.equal(1, count, result.stderr)
      path = lunette.policy(lunette.bare(server()) .. '\nlunette.upstream("dead", { command = "/no/such/program" })' .. rule)
      result = lunette.cli { "list", path }
      assert.is_nil(result.stderr:find("matches no tool", 1, true), result.stderr)
    end)

    it("takes URLs, commands and mcpServers files", function()
      local up = server()
      local command = up:command()
      local result = lunette.cli { "list", "--json", "--", unpack(command) }
      assert.equal(0, result.code, result.stderr)
      assert.equal(2, #json.decode(result.stdout).tools)
      local web = server():http()
      result = lunette.cli { "list", "--json", web.url }
      assert.equal(0, result.code, result.stderr)
      assert.equal(2, #json.decode(result.stdout).tools)
      local path = loop.write_file(loop.tempdir() .. "/servers.json", ('{"mcpServers":{"web":{"url":%s}}}'):format(json.quote(web.url)))
      result = lunette.cli { "list", "--json", path }
      assert.equal(0, result.code, result.stderr)
      assert.equal(2, #json.decode(result.stdout).tools)
    end)

    it("applies --policy to a target that is not Lua", function()
      local result = lunette.cli { "list", "--json", server():http().url, "--policy", lunette.policy 'lunette.tools.hide("write")' }
      assert.equal(0, result.code, result.stderr)
      assert.equal(1, #json.decode(result.stdout).tools)
    end)

    it("prints the rest and exits 1 when a server is dead", function()
      local result = lunette.cli { "list", lunette.policy(lunette.bare(server()) .. '\nlunette.upstream("dead", { command = "/no/such/program" })') }
      assert.equal(1, result.code)
      assert.truthy(result.stdout:find("read", 1, true))
      assert.truthy(result.stderr:find("dead", 1, true))
      assert.truthy(result.stderr:find("/no/such/program", 1, true))
    end)

    it("does so when a server is there and does not list, unless it is optional", function()
      local policy = lunette.bare(server()) .. "\nlunette.upstream(%q, %s)"
      for _, case in ipairs { { "odd", 1 }, { "spare", 0, "optional = true" } } do
        local odd = upstream.new { name = case[1], tools = "[]" }
        odd:on("tools/list", function(req) req:fail(-32000, "no database") end)
        local result = lunette.cli { "list", lunette.policy(policy:format(case[1], odd:lua(case[3]))) }
        assert.equal(case[2], result.code, result.stderr)
        assert.truthy(result.stdout:find("read", 1, true))
        assert.truthy(result.stderr:find("no database", 1, true))
      end
    end)
  end)

  describe("call", function()
    it("takes arguments as key=value, by the types of the schema", function()
      local up = server()
      local result = lunette.cli { "call", lunette.policy(lunette.bare(up)), "read", "path=7", "n=7", "deep=true" }
      assert.equal(0, result.code, result.stderr)
      assert.truthy(result.stdout:find("called", 1, true))
      local arguments = up:wait("tools/call"):at "arguments"
      assert.equal('"7"', json.at(arguments, "path"))
      assert.equal("7", json.at(arguments, "n"))
      assert.equal("true", json.at(arguments, "deep"))
    end)

    it("takes them as JSON, and prints the result as JSON", function()
      local up = server()
      local result = lunette.cli { "call", lunette.policy(lunette.bare(up)), "read", "--args", '{"path":"a b","x":[]}', "--json" }
      assert.equal(0, result.code, result.stderr)
      assert.equal("called", json.decode(result.stdout).content[1].text)
      assert.equal('[]', json.at(up:wait("tools/call"):at "arguments", "x"))
    end)

    it("exits 1 on an error and on an isError result, with the message on stderr", function()
      local up = server()
      up:on("tools/call", function(req) req:fail(-32000, "it broke") end)
      local policy = lunette.policy(lunette.bare(up))
      local result = lunette.cli { "call", policy, "read", "path=x" }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find("it broke", 1, true))
      up:on("tools/call", function(req) req:reply '{"content":[{"type":"text","text":"went wrong"}],"isError":true}' end)
      result = lunette.cli { "call", policy, "read", "path=x" }
      assert.equal(1, result.code)
      assert.truthy((result.stderr .. result.stdout):find("went wrong", 1, true))
      result = lunette.cli { "call", policy, "no_such_tool_here" }
      assert.equal(1, result.code)
    end)

    it("refuses arguments that are none", function()
      local policy = lunette.policy(lunette.bare(server()))
      assert.equal(2, lunette.cli({ "call", policy, "read", "--args", "{not json" }).code)
      assert.equal(2, lunette.cli({ "call", policy, "read", "no-equals-sign" }).code)
    end)
  end)

  it("read prints a resource", function()
    local policy = lunette.policy(lunette.bare(server()))
    local result = lunette.cli { "read", policy, "test://a" }
    assert.equal(0, result.code, result.stderr)
    assert.equal("the text", (result.stdout:gsub("\n$", "")))
  end)

  it("read writes a blob as its bytes", function()
    local up = server()
    up:on("resources/read", function(req) req:reply '{"contents":[{"uri":"test://a","blob":"AAEC/w=="}]}' end)
    local result = lunette.cli { "read", lunette.policy(lunette.bare(up)), "test://a" }
    assert.equal(0, result.code, result.stderr)
    assert.equal("\0\1\2\255", result.stdout)
  end)

  it("prompt prints a prompt", function()
    local result = lunette.cli { "prompt", lunette.policy(lunette.bare(server())), "review", "path=x.c" }
    assert.equal(0, result.code, result.stderr)
    assert.truthy(result.stdout:find("look at x.c", 1, true))
  end)

  it("completion prints something for each shell that the shell takes", function()
    for _, shell in ipairs { "bash", "zsh", "fish" } do
      local result = lunette.cli { "completion", shell }
      assert.equal(0, result.code, result.stderr)
      assert.truthy(result.stdout:find("lunette", 1, true))
      assert.truthy(result.stdout:find("check", 1, true))
    end
    local script = loop.write_file(loop.tempdir() .. "/completion.bash", lunette.cli({ "completion", "bash" }).stdout)
    assert.equal(0, os.execute("bash -n " .. script))
  end)

  it("test runs policy specs", function()
    local dir = loop.tempdir()
    loop.write_file(dir .. "/good_spec.lua", 'describe("x", function() it("y", function() assert.equal(1, 1) end) end)')
    loop.write_file(dir .. "/bad_spec.lua", 'describe("x", function() it("y", function() assert.equal(1, 2) end) end)')
    assert.equal(0, lunette.cli({ "test", dir .. "/good_spec.lua" }).code)
    assert.equal(1, lunette.cli({ "test", dir .. "/bad_spec.lua" }).code)
  end)

  describe("run", function()
    it("speaks only MCP on stdout, whatever the log level", function()
      local up = server()
      local client = lunette.stdio { policy = lunette.bare(up) .. '\nlunette.log.info "from the policy"\nprint "printed"',
        flags = { "--log-level", "debug" } }
      client:initialize()
      up:session():stderr "from the server\n"
      client:result("tools/call", '{"name":"read"}')
      assert.equal(0, (client:close()))
      assert.equal("", client.process.out.data)
      assert.equal(#client.traffic, select(2, client.process.out:all():gsub("\n", "")))
      assert.truthy(client.process.err:all():find("from the policy", 1, true))
    end)

    it("logs JSON when asked, a line each", function()
      local up = server()
      local client = lunette.stdio { policy = lunette.bare(up), flags = { "--log-format", "json", "--log-level", "debug" } }
      client:initialize()
      up:session():stderr 'words "with" quotes\n'
      client.process:wait_stderr "quotes"
      client:close()
      for line in client.process.err:all():gmatch "[^\n]+" do
        local entry = json.decode(line)
        assert.truthy(entry.level, line)
      end
    end)

    it("tells once of two that have one name, however many clients see it", function()
      local up = server()
      local host = lunette.http { policy = lunette.bare(up) .. [[

        lunette.tools.rename { read = "write" }
        lunette.tools.filter(function(tool, ctx) return ctx.session.id end)]] }
      for _ = 1, 3 do
        local client = host.client()
        client:initialize()
        client:result("tools/list", "{}")
      end
      local _, count = host.process.err:all():gsub('two of its tools are called "write": its "read" is shown, its "write" is not', "")
      assert.equal(1, count, host.process.err:all())
    end)

    it("says where it listens", function()
      local host = lunette.http { policy = "" }
      -- What it writes and that it accepts reach us in any order.
      require("spec.support.loop").wait(function() return host.process.err:all():find(tostring(host.port), 1, true) end,
        "the address in the log")
    end)

    it("takes a free port for 0, and says which", function()
      local p = lunette.spawn { "run", lunette.policy "", "--http", "127.0.0.1:0" }
      local port = loop.wait(function() return p.err:all():match "127%.0%.0%.1:(%d+)" end, "the port in the log")
      assert.is_true(tonumber(port) > 0)
      assert.is_true(http.accepts(tonumber(port)))
    end)

    it("exits 1 with file and line when the policy is bad", function()
      local path = lunette.policy "\nerror 'broken'"
      local result = lunette.cli { "run", path }
      assert.equal(1, result.code)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find(path:match "[^/]+$" .. ":2", 1, true), result.stderr)
      assert.truthy(result.stderr:find("broken", 1, true))
    end)

    it("starts in milliseconds", function()
      if lunette.sanitized then return end
      local best = 1e9
      for _ = 1, 5 do best = math.min(best, lunette.cli({ "version" }).ms) end
      assert.is_true(best < 100, best .. " ms")
    end)
  end)
end)
