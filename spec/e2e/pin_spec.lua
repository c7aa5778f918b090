-- Reviewing what the ready policy pin withheld: from what a server changed, to `lunette pin`, to the policy that
-- takes the approval up.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local function tool(name, description, more)
  return ('{"name":"%s","description":%s,"inputSchema":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},'
    .. '"c":{"enum":[]}}}%s}'):format(name, json.quote(description), more or "")
end

describe("lunette pin", function()
  local path, pending

  after_each(function()
    lunette.finish()
    os.remove(path)
    os.remove(pending)
  end)

  before_each(function()
    path = os.tmpname()
    os.remove(path)
    pending = path .. ".pending"
  end)

  local function serve(...)
    local up = upstream.new { name = "files", tools = "[" .. table.concat({ ... }, ",") .. "]" }
    local client = lunette.between({ "stdio", "stdio" }, up, { policy = ('require "lunette.policy.pin" { file = %q }'):format(path) })
    client:initialize()
    return client, up
  end

  local function names(client) return json.names(json.at(client:result("tools/list", "{}"), "tools")) end

  -- A client has looked at such a server, and has gone.
  local function looked_at(...)
    local seen = names((serve(...)))
    lunette.finish()
    return seen
  end

  local function pin(...)
    local result = lunette.cli { "pin", path, ... }
    assert.equal("", result.stderr)
    return result.stdout, result.code
  end

  it("shows what is new, and a policy that runs takes the approval up", function()
    local client = serve(tool("read", "Reads"), tool("write", "Writes"))
    assert.same({}, names(client))
    local shown, code = pin()
    assert.equal(1, code)
    assert.equal([[
files/read is new
  + description: "Reads"
  + inputSchema:
  +   properties:
  +     a:
  +       type: "string"
  +     b:
  +       type: "integer"
  +     c:
  +       enum: []
  +   type: "object"
  + name: "read"

files/write is new
  + description: "Writes"
  + inputSchema:
  +   properties:
  +     a:
  +       type: "string"
  +     b:
  +       type: "integer"
  +     c:
  +       enum: []
  +   type: "object"
  + name: "write"

2 tools await approval
]], shown)
    shown, code = pin("--approve", "files/write")
    assert.equal(1, code)
    assert.truthy(shown:find("\n\n1 tool approved\n1 tool awaits approval\n", 1, true), shown)
    client:expect("notifications/tools/list_changed", 10000)
    assert.same({ "write" }, names(client))
    shown, code = pin "--approve"
    assert.equal(0, code)
    assert.truthy(shown:find("files/read is new", 1, true), shown)
    assert.is_nil(shown:find("files/write", 1, true), shown)
    client:expect("notifications/tools/list_changed", 10000)
    assert.same({ "read", "write" }, names(client))
    assert.same({ "nothing awaits approval\n", 0 }, { pin() })
    assert.is_nil(io.open(pending))
  end)

  it("shows what was changed, and what can't be seen", function()
    looked_at(tool("read", "Reads\nfiles"))
    pin "--approve"
    local hidden = "Reads\nall files\226\128\139\27[2J\243\160\129\129 caf\195\169"
    local client = serve((tool("read", hidden, ',"annotations":{"readOnlyHint":true}'):gsub('"integer"', '"string"')))
    assert.same({}, names(client))
    assert.truthy(client.process.err:all():find(": pin: files/read is withheld, it was changed since it was approved: lunette pin " .. path, 1, true))
    lunette.finish()
    local shown, code = pin()
    assert.equal(1, code)
    assert.equal([[
files/read was changed
  + annotations:
  +   readOnlyHint: true
    description: |
      Reads
  -   files
  +   all files\u{200b}\x1b[2J\u{e0041} café
    inputSchema:
      properties:
        a:
          type: "string"
        b:
  -       type: "integer"
  +       type: "string"
        c:
          enum: []
      type: "object"
    …

1 tool awaits approval
]], shown)
  end)

  it("approves what was shown, not what the server has come up with since", function()
    looked_at(tool("read", "Reads"))
    looked_at(tool("read", "Reads more"))
    assert.truthy(pin("--approve"):find('description: "Reads more"', 1, true))
    assert.same({}, looked_at(tool("read", "Reads all")))
    local shown = pin()
    assert.truthy(shown:find('- description: "Reads more"\n  + description: "Reads all"\n', 1, true), shown)
    -- It thinks better of it: nothing is left to approve.
    assert.same({ "read" }, looked_at(tool("read", "Reads more")))
    assert.same({ "nothing awaits approval\n", 0 }, { pin() })
  end)

  it("asks on a terminal", function()
    looked_at(tool("read", "Reads"), tool("write", "Writes"))
    local result = process.run { command = "script", stdin = "y\nno\n",
      args = { "-qec", ("'%s' pin '%s'"):format(lunette.binary, path), "/dev/null" } }
    assert.equal(1, result.code, result.stdout)
    assert.truthy(result.stdout:find("Approve of files/read? [y/N]", 1, true), result.stdout)
    assert.truthy(result.stdout:find("1 tool approved\r\n1 tool awaits approval", 1, true), result.stdout)
    assert.same({ "read" }, looked_at(tool("read", "Reads"), tool("write", "Writes")))
  end)

  it("notes each thing once, and no more than so much", function()
    local client, up = serve(tool("read", "Reads"))
    for _ = 1, 3 do names(client) end
    assert.equal(1, select(2, loop.read_file(pending):gsub("\n", "")))
    for i = 1, 3 do
      up.options.tools = "[" .. tool("read", "Reads " .. i % 2) .. "]"
      up.sessions[1]:notify "notifications/tools/list_changed"
      loop.wait(function()
        names(client)
        return loop.read_file(pending):find("Reads " .. i % 2 .. '"[^\n]*\n$')
      end, "it to be noted")
    end
    assert.equal(4, select(2, loop.read_file(pending):gsub("\n", "")))
  end)

  it("says what is wrong", function()
    local result = lunette.cli { "pin" }
    assert.equal(2, result.code)
    assert.truthy(result.stderr:find("which file?", 1, true))
    result = lunette.cli { "pin", path }
    assert.same({ 1, ("lunette: %s: there is no such file, nor %s\n"):format(path, pending) }, { result.code, result.stderr })
    loop.write_file(path, "junk\n")
    result = lunette.cli { "pin", path }
    assert.same({ 1, ("lunette: %s: not a line of approval: junk\n"):format(path) }, { result.code, result.stderr })
    loop.write_file(path, "")
    result = lunette.cli { "pin", path, "files/x" }
    assert.same({ 1, "lunette: files/x is not among what awaits approval\n" }, { result.code, result.stderr })
  end)
end)
