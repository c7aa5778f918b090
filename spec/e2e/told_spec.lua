-- What servers say of arguments when they refuse a call: in the names that the client knows, and nothing of what it
-- doesn't. Only what is surely about an argument is changed.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local SCHEMA = '{"type":"object","properties":{"path":{},"text":{},"limit":{},"root":{},"token":{}}}'
local TOOLS = '[{"name":"t","inputSchema":' .. SCHEMA .. '},{"name":"other","inputSchema":' .. SCHEMA .. "}]"
local RULE = [[lunette.tools.transform("t", { arguments = { path = { name = "file" }, text = { name = "body" },
  root = { hide = true, default = "/srv/secret" }, token = { hide = true, default = function() return "sk-0123456789abcdef" end } } })]]

-- { what the server says, what the client is told (nil: the same) }
local texts = {
  -- pydantic, as FastMCP has it
  { "1 validation error for call[t]\npath\n  Missing required argument [type=missing_argument, input_value={'q': 1}, input_type=dict]",
    "1 validation error for call[t]\nfile\n  Missing required argument [type=missing_argument, input_value={'q': 1}, input_type=dict]" },
  { "2 validation errors for call[t]\npath.0\n  Input should be\ntext\n  Field required",
    "2 validation errors for call[t]\nfile.0\n  Input should be\nbody\n  Field required" },
  { "1 validation error\nlimit.path\n  Field required" },
  { "call() missing 2 required positional arguments: 'path' and 'text'", "call() missing 2 required positional arguments: 'file' and 'body'" },
  { "call() got an unexpected keyword argument 'path'", "call() got an unexpected keyword argument 'file'" },
  -- jsonschema of Python, as its SDK has it
  { "Input validation error: 'path' is a required property", "Input validation error: 'file' is a required property" },
  { "Input validation error: Additional properties are not allowed ('path', 'text' were unexpected)",
    "Input validation error: Additional properties are not allowed ('file', 'body' were unexpected)" },
  { "Input validation error: 'text' is not of type 'integer'" },
  { "Input validation error: 'path' is not one of ['text', 'root']" },
  { "'path' is a dependency of 'text'", "'file' is a dependency of 'text'" },
  -- zod, as the TypeScript SDK has it
  { 'Invalid arguments for tool t: [\n  {\n    "code": "invalid_type",\n    "path": [\n      "path"\n    ],\n    "message": "Required"\n  }\n]',
    'Invalid arguments for tool t: [\n  {\n    "code": "invalid_type",\n    "path": [\n      "file"\n    ],\n    "message": "Required"\n  }\n]' },
  { '[{"code":"unrecognized_keys","keys":["path","text"],"path":[],"message":"Unrecognized keys: \\"path\\""}]',
    '[{"code":"unrecognized_keys","keys":["file","body"],"path":[],"message":"Unrecognized keys: \\"path\\""}]' },
  { '[{"path":["limit",0,"path"],"message":"Required"}]' },
  { 'Validation error: Required at "path"; Expected number at "text[0]"', 'Validation error: Required at "file"; Expected number at "body[0]"' },
  { "✖ Invalid input: expected string\n  → at path", "✖ Invalid input: expected string\n  → at file" },
  { "Unrecognized key(s) in object: 'path'", "Unrecognized key(s) in object: 'file'" },
  { '{"fieldErrors":{"path":["Required"]}}', '{"fieldErrors":{"file":["Required"]}}' },
  -- ajv
  { "data must have required property 'path'", "data must have required property 'file'" },
  { "data/path must be string, data/limit must be number", "data/file must be string, data/limit must be number" },
  { '{"instancePath":"/path","schemaPath":"#/properties/path/type"}', '{"instancePath":"/file","schemaPath":"#/properties/file/type"}' },
  { "data/limit/0 must have required property 'path'" },
  -- by hand
  { "path is required", "file is required" },
  { "Error: path must not be empty", "Error: file must not be empty" },
  { "Missing required parameter: path", "Missing required parameter: file" },
  { "Missing arguments: path, limit and text", "Missing arguments: file, limit and body" },
  { "path: Required\ntext: Expected string", "file: Required\nbody: Expected string" },
  { "Invalid value for 'path'", "Invalid value for 'file'" },
  { "arguments.path should be a string", "arguments.file should be a string" },
  { "The argument `path` is bad", "The argument `file` is bad" },
  -- that isn't about an argument, or none of this tool's
  { "ENOENT: no such file or directory, open '/path/text'" },
  { "no text in /data/path/x" },
  { "the path of the text was found" },
  { "expected 'text', got 'path'" },
  { "filepath is required, a.path too" },
  { "Error: limit is required" },
  -- what is hidden
  { "can't open '/srv/secret': no", "can't open '(hidden)': no" },
  { "can't open /srv/secret/x" },
  { "path\n  Bad [type=x, input_value={'token': 'sk-01...bcdef', 'q': 1}, input_type=dict]", "file\n  Bad [type=x, input_value=(hidden), input_type=dict]" },
  { '{"token":"sk-0123456789abcdef"}', '{"token":"(hidden)"}' },
}

describe("what a server says of a call's arguments", function()
  after_each(lunette.finish)

  local client, up
  local function behind(rule)
    client, up = policy.with(rule, { tools = TOOLS })
  end
  local function result(text, name)
    up:on("tools/call", function(req) req:reply('{ "content":[{"type":"text","text":' .. json.quote(text) .. ',"x":1.0}],"isError":true}') end)
    return client:result("tools/call", '{"name":"' .. (name or "t") .. '","arguments":{}}')
  end

  it("in a result with isError is in the client's names", function()
    behind(RULE)
    for _, row in ipairs(texts) do
      local raw = result(row[1])
      assert.equal(row[2] or row[1], json.value(raw, "content", 1, "text"))
      assert.equal("1.0", json.at(raw, "content", 1, "x"))
      if not row[2] then
        assert.equal('{ "content":[{"type":"text","text":' .. json.quote(row[1]) .. ',"x":1.0}],"isError":true}', raw)
      end
    end
  end)

  it("in an error is in the client's names, in its data, too", function()
    behind(RULE)
    local function failure(message, data)
      up:on("tools/call", function(req) req:fail(-32602, message, data) end)
      return client:failure("tools/call", '{"name":"t","arguments":{}}')
    end
    assert.equal("file is required", failure("path is required").message)
    local data = failure("bad", '{"issues":[{"path":["path",0,"text"]},{"loc":["body","text"]},{"param":"path","value":"path"}],"n":1.0,'
      .. '"errors":{"path":["text is required"]},"token":"sk-0123456789abcdef","why":"got \'sk-0123456789abcdef\'"}').data
    assert.same({ issues = { { path = { "file", 0, "text" } }, { loc = { "body", "body" } }, { param = "file", value = "path" } }, n = 1,
      errors = { file = { "body is required" } }, token = "(hidden)", why = "got '(hidden)'" }, data)
  end)

  it("is left alone in a result that is fine, and of a tool without a transform", function()
    behind(RULE)
    assert.equal("path is required", json.value(result("path is required", "other"), "content", 1, "text"))
    up:on("tools/call", function(req) req:reply '{"content":[{"type":"text","text":"path is required"}]}' end)
    assert.equal('{"content":[{"type":"text","text":"path is required"}]}', client:result("tools/call", '{"name":"t"}'))
  end)

  it("goes through a chain of transforms, and call functions see their own names", function()
    behind [[
      lunette.tools.transform("t", { arguments = { path = { name = "file" }, text = { name = "path" } } })
      lunette.tools.transform("t", { call = function(args, forward)
        local result = forward(args)
        result.seen = result.content[1].text
        return result end })
      lunette.tools.transform("t", { arguments = { file = { name = "where" }, root = { name = "file" } } })
      lunette.tools.transform("t", { arguments = { path = { hide = true } } })]]
    local raw = result "path is required\ntext is required\nroot is required\nlimit is required"
    assert.equal("file is required\npath is required\nroot is required\nlimit is required", json.value(raw, "seen"))
    assert.equal("where is required\npath is required\nfile is required\nlimit is required", json.value(raw, "content", 1, "text"))
    up:on("tools/call", function(req) req:fail(-32602, "path is required") end)
    assert.equal("where is required", client:failure("tools/call", '{"name":"t","arguments":{}}').message)
  end)

  it("of a hidden argument is not taken for one that has its name now", function()
    behind [[lunette.tools.transform("t", { arguments = { path = { hide = true }, text = { name = "path" } } })]]
    assert.equal("(hidden) is required, path is required", json.value(result "path is required, text is required", "content", 1, "text"))
  end)

  it("is what Lunette says itself where it refuses", function()
    behind(RULE)
    assert.equal("Invalid arguments: there is no argument path", client:failure("tools/call", '{"name":"t","arguments":{"path":1}}').message)
  end)

  it("of a prompt is in the client's names", function()
    client, up = policy.with [[lunette.prompts.transform("review", { arguments = { path = { name = "file" } } })]]
    up:on("prompts/get", function(req) req:fail(-32602, "Missing required argument: path") end)
    assert.equal("Missing required argument: file", client:failure("prompts/get", '{"name":"review","arguments":{}}').message)
  end)

  it("costs no more for being long", function()
    behind(RULE)
    local long = ("path is required\n"):rep(10000)
    local told = json.value(result(long), "content", 1, "text")
    assert.equal(("file is required\n"):rep(400), told:sub(1, 17 * 400))
    assert.equal(#long, #told)
    up:on("tools/call", function(req)
      req:reply('{"isError":true,"content":[' .. ('{"type":"text","text":"path is required"},'):rep(5000) .. "{}]}")
    end)
    local many = client:result("tools/call", '{"name":"t","arguments":{}}')
    assert.equal("file is required", json.value(many, "content", 1, "text"))
    assert.truthy(many:find('"path is required"},{}]}', 1, true))
    up:on("tools/call", function(req)
      req:reply('{"isError":true,"content":[' .. ('{"type":"text","text":"path is required"},'):rep(50000) .. "{}]}")
    end)
    assert.equal("path is required", json.value(client:result("tools/call", '{"name":"t","arguments":{}}'), "content", 1, "text"))
  end)
end)
