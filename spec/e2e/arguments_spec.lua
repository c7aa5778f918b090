-- Transforms of a tool's and a prompt's arguments: what the presented schema says, and what the server then gets.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, item, call = policy.with, policy.item, policy.call
local tool, schema_of = policy.tool, policy.schema_of

local function refused(client, arguments)
  return client:failure("tools/call", '{"name":"t","arguments":' .. arguments .. "}")
end

describe("an argument", function()
  after_each(lunette.finish)

  local base = '{"type":"object","properties":{"a":{"type":"string","title":"A"},"b":{"type":"integer","minimum":1.0}},"required":["a"]}'

  -- { what is said of the arguments, schema after, call, what the server gets }
  -- @a and @b stand for the arguments of base as they are.
  local function schema(properties, required)
    properties = properties:gsub("@a", '"a":{"type":"string","title":"A"}', 1)
    properties = properties:gsub("@b", '"b":{"type":"integer","minimum":1.0}', 1)
    return '{"type":"object","properties":{' .. properties .. "}" .. (required and ',"required":' .. required or "") .. "}"
  end

  local rows = {
    { 'a = { name = "x" }', schema('"x":{"type":"string","title":"A"},@b', '["x"]'),
      '{ "x" : "1", "b": 2.0 }', '{ "a" : "1", "b": 2.0 }' },
    { 'a = { description = "D" }', schema('"a":{"type":"string","title":"A","description":"D"},@b', '["a"]'),
      '{"a":"1"}', '{"a":"1"}' },
    { 'a = { title = "T" }', schema('"a":{"type":"string","title":"T"},@b', '["a"]'),
      '{"a":"1"}', '{"a":"1"}' },
    { 'a = { title = false }', schema('"a":{"type":"string"},@b', '["a"]'),
      '{"a":"1"}', '{"a":"1"}' },
    { 'b = { schema = { type = "integer" } }', schema('@a,"b":{"type":"integer"}', '["a"]'),
      '{"a":"1"}', '{"a":"1"}' },
    { 'b = { schema = { enum = { 1, 2 } }, description = "D" }',
      schema('@a,"b":{"enum":[1,2],"description":"D"}', '["a"]'), '{"a":"1","b":1}', '{"a":"1","b":1}' },
    { 'a = { hide = true, default = "c" }', schema('@b'),
      '{"b":2}', '{"b":2,"a":"c"}' },
    { 'b = { hide = true }', schema('@a', '["a"]'),
      '{"a":"1"}', '{"a":"1"}' },
    { 'b = { hide = true, default = 3 }', schema('@a', '["a"]'),
      '{"a":"1"}', '{"a":"1","b":3}' },
    { 'a = { default = "c" }', schema('"a":{"type":"string","title":"A","default":"c"},@b'),
      "{}", '{"a":"c"}' },
    { 'a = { default = "c" }', nil, '{"a":"mine"}', '{"a":"mine"}' },
    { 'a = { default = "c", required = false }', nil, "{}", '{"a":"c"}' },
    { "b = { required = true }", schema('@a,@b', '["a","b"]'),
      '{"a":"1","b":2}', '{"a":"1","b":2}' },
    { "b = { examples = { 1, 2 } }", schema('@a,"b":{"type":"integer","minimum":1.0,"examples":[1,2]}', '["a"]'),
      '{"a":"1"}', '{"a":"1"}' },
    { "b = { examples = {} }", schema('@a,"b":{"type":"integer","minimum":1.0,"examples":[]}', '["a"]'),
      '{"a":"1"}', '{"a":"1"}' },
    { 'a = { name = "b" }, b = { name = "a" }', schema('"b":{"type":"string","title":"A"},"a":{"type":"integer","minimum":1.0}', '["b"]'),
      '{"b":"1","a":2}', '{"a":"1","b":2}' },
    { 'a = { name = "b" }, b = { hide = true, default = 9 }', schema('"b":{"type":"string","title":"A"}', '["b"]'),
      '{"b":"1"}', '{"a":"1","b":9}' },
    { 'a = { hide = true, default = function(ctx) return ctx.session.client.name end }', nil, "{}", '{"a":"spec"}' },
    { 'b = { hide = true, default = function() return nil end }', nil, '{"a":"1"}', '{"a":"1"}' },
    { 'b = { default = function() return 7 end }', schema('@a,@b', '["a"]'),
      '{"a":"1"}', '{"a":"1","b":7}' },
    { 'a = { name = "päth \\"x\\"" }', schema('"päth \\"x\\"":{"type":"string","title":"A"},@b', '["päth \\"x\\""]'),
      '{"p\\u00e4th \\"x\\"":"1"}', '{"a":"1"}' },
  }

  for _, row in ipairs(rows) do
    it(row[1] .. " called with " .. row[3], function()
      local client = tool(base, "{ " .. row[1] .. " }")
      if row[2] then assert.equal(row[2], schema_of(client)) end
      assert.equal(row[4], call(client, "t", row[3]))
    end)
  end

  describe("of any type takes each default:", function()
    for default, sent in pairs {
      ["lunette.null"] = "null",
      ["false"] = "false",
      ["{ x = lunette.array {} }"] = '{"x":[]}',
      ["{}"] = "{}",
      ["{}, type = 'array'"] = "[]",
      ["{}, schema = { type = 'array' }"] = "[]",
    } do
      it(default, function()
        local client = tool('{"type":"object","properties":{"a":{}}}', "{ a = { hide = true, default = " .. default .. " } }")
        assert.equal('{"a":' .. sent .. "}", call(client, "t", "{}"))
      end)
    end
  end)

  it("keeps big numbers and bytes on the way", function()
    local client = tool(base, '{ a = { name = "x" } }')
    assert.equal('{"n":12345678901234567890, "a":"\\u0041\\/","e":1e-7}', call(client, "t", '{"n":12345678901234567890, "x":"\\u0041\\/","e":1e-7}'))
  end)

  describe("renamed moves everywhere the schema names it:", function()
    -- { schema before, after } of { a = { name = "x" } }
    for name, pair in pairs {
      dependentRequired = {
        '{"type":"object","properties":{"a":{},"b":{}},"dependentRequired":{"a":["b"],"b":["a","c"]}}',
        '{"type":"object","properties":{"x":{},"b":{}},"dependentRequired":{"x":["b"],"b":["x","c"]}}' },
      dependentSchemas = {
        '{"type":"object","properties":{"a":{}},"dependentSchemas":{"a":{"required":["a"],"properties":{"a":{"minLength":1.0}}}}}',
        '{"type":"object","properties":{"x":{}},"dependentSchemas":{"x":{"required":["x"],"properties":{"x":{"minLength":1.0}}}}}' },
      dependencies = {
        '{"type":"object","properties":{"a":{}},"dependencies":{"a":["b"],"b":{"required":["a"]}}}',
        '{"type":"object","properties":{"x":{}},"dependencies":{"x":["b"],"b":{"required":["x"]}}}' },
      conditions = {
        '{"type":"object","properties":{"a":{}},"if":{"properties":{"a":{"const":1}}},"then":{"required":["a"]},"else":{"not":{"required":["a"]}}}',
        '{"type":"object","properties":{"x":{}},"if":{"properties":{"x":{"const":1}}},"then":{"required":["x"]},"else":{"not":{"required":["x"]}}}' },
      combinators = {
        '{"type":"object","properties":{"a":{},"b":{}},"oneOf":[{"required":["a"]},{"required":["b"]}],'
          .. '"anyOf":[true,{"properties":{"a":{"type":"string"}}}],"allOf":[{"required":["a"]}]}',
        '{"type":"object","properties":{"x":{},"b":{}},"oneOf":[{"required":["x"]},{"required":["b"]}],'
          .. '"anyOf":[true,{"properties":{"x":{"type":"string"}}}],"allOf":[{"required":["x"]}]}' },
      ["$ref into properties"] = {
        '{"type":"object","properties":{"a":{"type":"object","properties":{"a":{}}},"b":{"$ref":"#/properties/a"},'
          .. '"c":{"$ref":"#/properties/a/properties/a"}}}',
        '{"type":"object","properties":{"x":{"type":"object","properties":{"a":{}}},"b":{"$ref":"#/properties/x"},'
          .. '"c":{"$ref":"#/properties/x/properties/a"}}}' },
      ["$defs at the root"] = {
        '{"type":"object","$ref":"#/$defs/args","$defs":{"args":{"properties":{"a":{"type":"string"}},"required":["a"]},'
          .. '"other":{"properties":{"a":{}},"required":["a"]}},"properties":{"b":{"$ref":"#/$defs/other"}}}',
        '{"type":"object","$ref":"#/$defs/args","$defs":{"args":{"properties":{"x":{"type":"string"}},"required":["x"]},'
          .. '"other":{"properties":{"a":{}},"required":["a"]}},"properties":{"b":{"$ref":"#/$defs/other"}}}' },
      ["x-mcp-header"] = {
        '{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"Region"}}}',
        '{"type":"object","properties":{"x":{"type":"string","x-mcp-header":"Region"}}}' },
      propertyNames = {
        '{"type":"object","properties":{"a":{}},"propertyNames":{"enum":["a","b"]}}',
        '{"type":"object","properties":{"x":{}},"propertyNames":{"enum":["x","b"]}}' },
      ["propertyNames that aren't listed"] = {
        '{"type":"object","properties":{"a":{}},"propertyNames":{"maxLength":1},"anyOf":[{"propertyNames":{"not":{"const":"a"}}},'
          .. '{"propertyNames":{"pattern":"^[a-c]$"}}]}',
        '{"type":"object","properties":{"x":{}},"propertyNames":{"maxLength":1},"anyOf":[{"propertyNames":{"allOf":[{"not":{"enum":["x"]}},'
          .. '{"not":{"const":"a"}}]}},{"propertyNames":{"anyOf":[{"enum":["x"]},{"pattern":"^[a-c]$"}]}}]}' },
      ["patternProperties"] = {
        '{"type":"object","properties":{"a":{}},"patternProperties":{"^[ab]":{"$ref":"#/$defs/s"}},"$defs":{"s":{"type":"string"}}}',
        '{"type":"object","properties":{"x":{}},"patternProperties":{"^[ab]":{"$ref":"#/$defs/s"}},"$defs":{"s":{"type":"string"}},'
          .. '"allOf":[{"properties":{"x":{"$ref":"#/$defs/s"}}}]}' },
      ["patternProperties of a branch that closes it"] = {
        '{"type":"object","properties":{"a":{}},"oneOf":[{"patternProperties":{"^a$":{"const":1}},"additionalProperties":false}]}',
        '{"type":"object","properties":{"x":{}},"oneOf":[{"patternProperties":{"^a$":{"const":1}},"additionalProperties":false,'
          .. '"properties":{"x":true},"allOf":[{"properties":{"x":{"const":1}}}]}]}' },
      ["patternProperties that take the new name by chance"] = {
        '{"type":"object","properties":{"a":{}},"patternProperties":{"x|y":{"type":"string"}}}',
        '{"type":"object","properties":{"x":{}},"patternProperties":{"^(?!(?:x)$)[\\\\s\\\\S]*?(?:x|y)":{"type":"string"}}}' },
      ["and nowhere else"] = {
        '{"type":"object","a":"a","properties":{"a":{"enum":["a"],"required":["a"]},"b":{"type":"object","properties":{"a":{}},'
          .. '"required":["a"]}},"x-a":["a"],"minProperties":1,"big":12345678901234567890}',
        '{"type":"object","a":"a","properties":{"x":{"enum":["a"],"required":["a"]},"b":{"type":"object","properties":{"a":{}},'
          .. '"required":["a"]}},"x-a":["a"],"minProperties":1,"big":12345678901234567890}' },
    } do
      it(name, function() assert.equal(pair[2], schema_of((tool(pair[1], '{ a = { name = "x" } }')))) end)
    end
  end)

  describe("that always arrives is counted in, so that nothing fits that the server refuses:", function()
    for said, pair in pairs {
      ['{ a = { hide = true, default = "c" }, b = { default = 1 } }'] = {
        '{"type":"object","properties":{"a":{},"b":{},"c":{}},"minProperties":2,"maxProperties":3}',
        '{"type":"object","properties":{"b":{"default":1},"c":{}},"minProperties":1,"maxProperties":1}' },
      ['{ a = { default = "c" } }'] = {
        '{"type":"object","properties":{"a":{},"b":{}},"if":{"properties":{"a":{"const":"d"}}},"then":{"required":["b"]}}',
        '{"type":"object","properties":{"a":{"default":"c"},"b":{}},"if":{"properties":{"a":{"const":"d"}},"required":["a"]},'
          .. '"then":{"required":["b"]}}' },
      ['{ a = { hide = true, default = "c" } }'] = {
        '{"type":"object","properties":{"a":{}},"propertyNames":{"enum":["a"]},"anyOf":[{"properties":{"a":{"const":"d"}}},{"required":["a"]}]}',
        '{"type":"object","properties":{},"propertyNames":false,"anyOf":[false,{}]}' },
      ['{ a = { hide = true, default = "d" } }'] = {
        '{"type":"object","properties":{"a":{},"b":{}},"oneOf":[{"patternProperties":{"^a":{"maxLength":0}}},{"additionalProperties":{"type":"integer"}},'
          .. '{"propertyNames":{"enum":["b"]}},{"maxProperties":0},{"properties":{"a":{"$ref":"#/$defs/s"}}}],"$defs":{"s":{"pattern":"^[ef]"}}}',
        '{"type":"object","properties":{"b":{}},"oneOf":[false,false,false,false,false]}' },
      ['{ a = { default = "d" } }'] = {
        '{"type":"object","properties":{"a":{},"b":{}},"anyOf":[{"maxProperties":1},{"minProperties":2},{"patternProperties":{"a":{"maxLength":0}}}]}',
        '{"type":"object","properties":{"a":{"default":"d"},"b":{}},"anyOf":[{"allOf":[{"anyOf":[{"required":["a"],"maxProperties":1},'
          .. '{"required":[],"maxProperties":0}]}]},{"allOf":[{"anyOf":[{"minProperties":2},{"not":{"anyOf":[{"required":["a"]}]},"minProperties":1}]}]},'
          .. '{"patternProperties":{"a":{"maxLength":0}},"required":["a"]}]}' },
    } do
      it(said, function() assert.equal(pair[2], schema_of((tool(pair[1], said)))) end)
    end
  end)

  describe("that a client sends under a name that is not presented is refused:", function()
    for _, row in ipairs {
      { '{ a = { hide = true, default = "1" } }', '{"a":2}' },
      { '{ a = { hide = true, default = "1" } }', '{"\\u0061":2}' },
      { '{ a = { hide = true, default = "1" } }', '{"A":2}' },
      { "{ b = { hide = true } }", '{"a":"1","b":2}' },
      { '{ a = { name = "x" } }', '{"a":"1"}' },
      { '{ a = { name = "x" } }', '{"x":"1","a":"2"}' },
    } do
      it(row[1] .. " " .. row[2], function()
        local client, up = tool(base, row[1])
        local err = refused(client, row[2])
        assert.equal(-32602, err.code)
        assert.truthy(err.message:find("there is no argument", 1, true), err.message)
        assert.equal(0, up:count "tools/call")
      end)
    end
  end)

  describe("of which something is said that can't hold withholds the tool, with file and line:", function()
    for said, why in pairs {
      ["nonsense = { hide = true }"] = "it has no argument nonsense",
      ['aa = { name = "x" }'] = "it has no argument aa; did you mean a?",
      ['a = { name = "b" }'] = "two arguments would be called b",
      ["a = { hide = true }"] = "a is required and can't be hidden without a default",
      ["a = { required = false }"] = "can't be made optional without a default",
      ["a = { default = 5 }"] = "the default of a doesn't fit its schema: it must be of type string, not 5",
      ["a = { hide = true, default = lunette.null }"] = "the default of a doesn't fit its schema",
      ["b = { default = 0 }"] = "the default of b doesn't fit its schema",
      ['b = { name = "c", default = "1" }'] = "the default of b doesn't fit its schema",
      ["b = { default = {} }"] = "the default of b doesn't fit its schema",
    } do
      it(said, function()
        local client = tool(base, "{ " .. said .. " }")
        assert.is_nil(item(client, "t"))
        assert.equal(-32602, refused(client, "{}").code)
        local log = client.process.err:all()
        assert.truthy(log:find "policy%d+%.lua:2: ", log)
        assert.truthy(log:find(why, 1, true), log)
      end)
    end
  end)

  describe("that no call could bring past the rest of the schema withholds the tool, with file and line:", function()
    local b = '"type":"object","properties":{"a":{"type":"string"},"b":{}}'
    for _, row in ipairs {
      { "{" .. b .. ',"allOf":[{"properties":{"a":{"enum":["x"]}}}]}', '{ a = { hide = true, default = "y" } }', 'takes no a that is "y"' },
      { "{" .. b .. ',"propertyNames":{"pattern":"b"}}', '{ a = { hide = true, default = "y" } }', 'takes no a that is "y"' },
      { "{" .. b .. ',"maxProperties":1}', '{ a = { default = "y" }, b = { default = 1 } }', "2 arguments have defaults, and the server takes no more than 1" },
    } do
      it(row[1], function()
        local client = tool(row[1], row[2])
        assert.is_nil(item(client, "t"))
        local log = client.process.err:all()
        assert.truthy(log:find "policy%d+%.lua:2: ", log)
        assert.truthy(log:find(row[3], 1, true), log)
      end)
    end

    it("but a default that the transform's schema names is filled in, unless the argument is always sent", function()
      local client = tool("{" .. b .. "}", '{ a = { schema = { type = "string", default = "x" } } }')
      assert.equal('{"a":"x"}', call(client, "t", "{}"))
      assert.equal('{"a":"y"}', call(client, "t", '{"a":"y"}'))
      for _, more in ipairs { 'default = "x" }, required = true', 'default = lunette.null }' } do
        client = tool("{" .. b .. "}", "{ a = { schema = { " .. more .. " } }")
        assert.equal("{}", call(client, "t", "{}"))
      end
    end)

    it("but one that another schema of the transform's own takes is the policy's affair", function()
      local client = tool("{" .. b .. "}", '{ a = { default = 5, type = "integer" } }')
      assert.equal('{"a":5}', call(client, "t", "{}"))
    end)
  end)

  describe("is refused when the policy loads:", function()
    for said, why in pairs {
      ['{ a = { nam = "x" } }'] = "unknown option nam; did you mean name?",
      ["{ a = { hide = 1 } }"] = "a.hide must be a boolean",
      ["{ a = { hide = true, required = true } }"] = "can't be hidden and required",
      ['{ a = { name = "x" }, b = { name = "x" } }'] = "a and b can't both be called x",
      ["{ a = { default = function() end, schema = 5 } }"] = "a.schema must be a table",
      ["{ { name = 'x' } }"] = "must be a table by argument's name",
      ["{ a = { default = print, examples = { x = 1 } } }"] = "examples must be a list",
      ["{ a = { default = io.stdout } }"] = "a userdata can't be sent",
      ["{ a = { default = 1, required = true } }"] = "a: an argument that is required is always sent and can't have a default",
      ["{ a = { default = function() end, required = true } }"] = "can't have a default",
      ["{ a = { default = 'x', type = 'integer' } }"] = "a.default doesn't fit the argument's type: it must be of type integer",
      ["{ a = { hide = true, default = 'xyz', schema = { type = 'string', maxLength = 2 } } }"] = "a.default doesn't fit the argument's schema: ",
      ["{ a = { schema = { type = 'integer', default = 'x' } } }"] = "a.default doesn't fit the argument's schema: it must be of type integer",
      ["{ a = { default = {}, type = { 'string', 'null' } } }"] = "a.default doesn't fit the argument's type",
    } do
      it(said, function()
        local result = lunette.cli { "check", lunette.policy("\n\nlunette.tools.transform('t', { arguments = " .. said .. " })") }
        assert.equal(1, result.code)
        assert.truthy(result.stderr:find "policy%d+%.lua:3: ", result.stderr)
        assert.truthy(result.stderr:find(why, 1, true), result.stderr)
      end)
    end
  end)

  it("of a tool or prompt of the policy's own is refused when the policy loads, when it can't hold", function()
    for text, why in pairs {
      ["lunette.tools.rename { own = 'mine' }\nlunette.tools.transform('mine', { arguments = { b = { hide = true } } })"] =
        ":3: the transform of mine can't hold: it has no argument b; it has a",
      ["\nlunette.tools.transform('*', { arguments = { a = { default = 5 } } })"] = ":3: the transform of own can't hold: the default of a",
      ["\nlunette.prompts.transform('p', { arguments = { x = { hide = true } } })"] = ":3: the transform of p can't hold: x is required",
    } do
      local path = lunette.policy(([[lunette.tools.add { name = "own", handler = print,
        inputSchema = { type = "object", properties = { a = { type = "string" } }, required = { "a" } } }
        lunette.prompts.add { name = "p", arguments = { { name = "x", required = true } }, get = print }]])
        :gsub("\n%s*", " ") .. "\n" .. text)
      local result = lunette.cli { "check", path }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find(path .. why, 1, true), result.stderr)
    end
  end)

  it("of a tool of the policy's own is not tried where it is hidden, or behind a function", function()
    local result = lunette.cli { "check", lunette.policy [[
      lunette.tools.add { name = "own", handler = print }
      lunette.tools.add { name = "hidden", handler = print }
      lunette.tools.hide "hidden"
      lunette.tools.transform("hidden", { arguments = { b = { hide = true } } })
      lunette.tools.filter(function(tool) error "not at load" end)
      lunette.tools.transform("own", { arguments = { b = { hide = true } } })]] }
    assert.equal(0, result.code, result.stderr)
  end)

  describe("in a chain of transforms", function()
    it("is known by the name the one before gave it", function()
      local client = with([[
        lunette.tools.transform("t", { arguments = { a = { name = "x" } } })
        lunette.tools.transform("t", { arguments = { x = { name = "y" }, b = { hide = true, default = 5 } } })
        lunette.tools.transform("t", { name = "u", arguments = { y = { description = "Y" } } })]],
        { tools = '[{"name":"t","inputSchema":' .. base .. "}]" })
      assert.equal('{"type":"object","properties":{"y":{"type":"string","title":"A","description":"Y"}},"required":["y"]}',
        json.at(item(client, "u"), "inputSchema"))
      assert.equal('{"a":"1","b":5}', call(client, "u", '{"y":"1"}'))
    end)

    it("goes through each call function from the last written to the first", function()
      local client = with([[
        lunette.tools.transform("t", { arguments = { a = { name = "x" } }, call = function(args, forward)
          args.x = args.x .. "1"; return forward(args) end })
        lunette.tools.transform("t", { arguments = { x = { name = "y" } }, call = function(args, forward)
          args.y = args.y .. "2"; local r = forward(args); r.last = true; return r end })]],
        { tools = '[{"name":"t","inputSchema":' .. base .. "}]" })
      local result = client:result("tools/call", '{"name":"t","arguments":{"y":"0","n":1.0}}')
      assert.equal('{"a":"021","n":1.0}', json.at(result, "got", "arguments"))
      assert.is_true(json.value(result, "last"))
    end)

    it("after a function that changed the schema", function()
      local client = with([[
        lunette.tools.transform("t", function(t) t.inputSchema.properties.b = nil; return t end)
        lunette.tools.transform("t", { arguments = { a = { name = "x" } } })]], { tools = '[{"name":"t","inputSchema":' .. base .. "}]" })
      assert.equal('{"type":"object","properties":{"x":{"type":"string","title":"A"}},"required":["x"]}', schema_of(client))
      assert.equal('{"a":"1"}', call(client, "t", '{"x":"1"}'))
    end)
  end)

  describe("call", function()
    local function called(body)
      return with('lunette.tools.transform("read", { arguments = { path = { name = "file" } },'
        .. ' call = function(args, forward, ctx) ' .. body .. " end })", { tools = policy.plain })
    end

    for body, text in pairs {
      ['return "text"'] = "text",
      ['return { { type = "text", text = "list" } }'] = "list",
      ['return lunette.text "result"'] = "result",
      ['return { structuredContent = { a = 1 } }'] = '{"a":1}',
      ['return ctx.session.client.name .. ctx.native_name'] = "specread",
      ['local r = forward(args); return r.got.arguments.path'] = "p",
      ['return ctx:call_tool("delete").got.name'] = "delete",
      ['lunette.sleep(0.01); return args.file'] = "p",
      ['return lunette.deny "no"'] = "no",
    } do
      it(body, function() assert.equal(text, policy.says((called(body)), "read", '{"file":"p"}')) end)
    end

    it("that forwards an argument which the transform renames is told so in the log, and not its client", function()
      local client = called "return forward { file = args.file, path = 'q' }"
      local failure = client:failure("tools/call", '{"name":"read","arguments":{"file":"p"}}')
      assert.same({ -32603, "policy error" }, { failure.code, failure.message })
      assert.truthy(client.process.err:all():find("policy%d+%.lua:%d+: forward: there is no argument path"), client.process.err:all())
    end)

    -- { schema, transforms (a list of argument tables, outermost last), what is sent, what call sees }
    for _, row in ipairs {
      { '{"a":{},"b":{}}', { '{ a = { default = "c" } }' }, "{}", '{"a":"c"}' },
      { '{"a":{},"b":{}}', { '{ a = { default = "c" } }' }, '{"a":null}', '{"a":null}' },
      { '{"a":{},"b":{}}', { '{ a = { name = "x", default = "c" }, b = { hide = true, default = 1 } }' }, "{}", '{"x":"c"}' },
      { '{"a":{},"b":{}}', { '{ b = { name = "c", default = function() return 7 end } }' }, '{"a":1}', '{"a":1,"c":7}' },
      { '{"a":{},"b":{}}', { '{ b = { default = function() return nil end } }' }, '{"a":1}', '{"a":1}' },
      { '{"a":{},"b":{}}', { '{ a = { name = "x", default = 1 } }', '{ x = { name = "y" } }' }, "{}", '{"y":1}' },
      { '{"a":{},"b":{}}', { '{ a = { name = "x", default = 1 } }', '{ x = { default = 2 } }' }, "{}", '{"x":2}' },
      { '{"a":{},"b":{}}', { '{ a = { default = 1 } }', '{ a = { hide = true }, b = { name = "a", default = 2 } }' }, "{}", '{"a":2}' },
      { '{"a":{},"b":{}}', { '{ a = { default = 1 } }', "nil" }, "{}", '{"a":1}' },
      { '{"a":{"default":7.0},"b":{"default":null}}', { "nil" }, "{}", '{"a":7}' },
      { '{"a":{"default":[]},"b":{"default":{"x":[1]}}}', { "nil" }, '{"a":[2]}', '{"a":[2],"b":{"x":[1]}}' },
      { '{"a":{"default":7},"b":{"default":false}}', { '{ a = { name = "x", default = 8 } }' }, "{}", '{"b":false,"x":8}' },
      { '{"a":{"default":7},"b":{}}', { '{ a = { default = function() return 9 end } }' }, "{}", '{"a":9}' },
      { '{"a":{"default":7},"b":{}}', { '{ a = { hide = true } }' }, "{}", "{}" },
    } do
      it("sees defaults filled in: " .. table.concat(row[2], " ") .. " " .. row[3], function()
        local text = {}
        for i, arguments in ipairs(row[2]) do
          text[i] = ('lunette.tools.transform("t", { arguments = %s%s })'):format(arguments, i == #row[2] and [[,
            call = function(args, forward) forward(args) return lunette.json.encode(args) end]] or "")
        end
        local client = with(table.concat(text, "\n"), { tools = '[{"name":"t","inputSchema":{"type":"object","properties":' .. row[1] .. "}}]" })
        assert.equal(row[4], policy.says(client, "t", row[3]))
      end)
    end

    -- { what call does, what is sent, what the server gets }
    for _, row in ipairs {
      { "", "{}", '{}' },
      { "", '{"b": 1.0}', '{"b": 1.0}' },
      { "args.a = args.a + 1", "{}", '{"a":8}' },
      { "args.l[2] = 5", "{}", '{"l":[1,5]}' },
      { "args.a, args.l = nil, nil", "{}", '{}' },
      { "args = { a = args.a }", "{}", '{"a":7}' },
    } do
      it(("leaves to the server to fill in what is its own default: %s %s"):format(row[1], row[2]), function()
        local client = with(([[lunette.tools.transform("t", { call = function(args, forward) %s return forward(args) end })]]):format(row[1]),
          { tools = '[{"name":"t","inputSchema":{"type":"object","properties":{"a":{"default":7},"b":{},"l":{"default":[1]}}}}]' })
        assert.equal(row[3], call(client, "t", row[2]))
      end)
    end

    it("that forwards args unchanged leaves the result to the byte", function()
      local client, up = called "return forward(args)"
      up:on("tools/call", function(req) req:reply '{ "content":[], "big":12345678901234567890,"n":1.0}' end)
      assert.equal('{ "content":[], "big":12345678901234567890,"n":1.0}', client:result("tools/call", '{"name":"read","arguments":{"file": "x"}}'))
      assert.equal('{"path": "x"}', up:wait("tools/call"):at "arguments")
    end)

    it("may forward several times, raise errors and catch the server's", function()
      local client, up = called [[
        if args.file == "raise" then lunette.error(-32055, "mine") end
        local ok, err = pcall(forward, { file = "bad" })
        return (ok and "fine" or err.message) .. " " .. forward({ file = "good" }).got.arguments.path]]
      up:on("tools/call", function(req)
        if req:value("arguments", "path") == "bad" then return req:fail(-32000, "broken") end
        req:reply('{"content":[],"got":' .. req.params .. "}")
      end)
      assert.equal("broken good", policy.says(client, "read", '{"file":"x"}'))
      assert.equal(-32055, client:failure("tools/call", '{"name":"read","arguments":{"file":"raise"}}').code)
    end)

    it("that returns nothing is an error with file and line", function()
      local client = called "forward(args)"
      assert.equal(-32603, client:failure("tools/call", '{"name":"read","arguments":{"file":"x"}}').code)
      assert.truthy(client.process.err:all():find "policy%d+%.lua:2: .*returned nothing")
    end)
  end)

  describe("of a prompt", function()
    local function prompts(arguments) return with(('lunette.prompts.transform("review", { arguments = %s })'):format(arguments)) end

    for _, row in ipairs {
      { '{ path = { name = "file" } }', '[{"name":"file","description":"P","required":true},{"name":"tone",'
        .. '"x":1.0}]', '{"file":"f","tone":"t"}', '{"path":"f","tone":"t"}' },
      { '{ path = { description = "D", title = "T" } }', '[{"name":"path","description":"D","required":true,"title":"T"},{"name":"tone",'
        .. '"x":1.0}]', '{"path":"f"}', '{"path":"f"}' },
      { '{ path = { hide = true, default = "/srv" } }', '[{"name":"tone","x":1.0}]', '{"tone":"t"}', '{"tone":"t","path":"/srv"}' },
      { '{ path = { default = "/srv" } }', '[{"name":"path","description":"P"},{"name":"tone","x":1.0}]', "{}", '{"path":"/srv"}' },
      { '{ tone = { required = true } }', '[{"name":"path","description":"P","required":true},{"name":"tone",'
        .. '"x":1.0,"required":true}]', '{"path":"f","tone":"t"}', '{"path":"f","tone":"t"}' },
      { '{ tone = { hide = true, default = function(ctx) return ctx.session.client.name end } }',
      '[{"name":"path","description":"P","required":true}]', '{"path":"f"}', '{"path":"f","tone":"spec"}' },
    } do
      it(row[1], function()
        local client = prompts(row[1])
        assert.equal(row[2], json.at(item(client, "review", "prompts"), "arguments"))
        local got = client:result("prompts/get", '{"name":"review","arguments":' .. row[3] .. "}")
        assert.equal(row[4], json.at(got, "got", "arguments"))
      end)
    end

    it("that is hidden can't be sent, and what can't hold withholds the prompt", function()
      local client, up = prompts '{ path = { hide = true, default = "x" } }'
      assert.equal(-32602, client:failure("prompts/get", '{"name":"review","arguments":{"path":"y"}}').code)
      assert.equal(0, up:count "prompts/get")
      lunette.finish()
      for said, why in pairs { ["{ path = { hide = true } }"] = "path is required", ["{ x = { hide = true } }"] = "it has no argument x" } do
        client = prompts(said)
        assert.same({ "plan" }, policy.seen(client, "prompts"))
        assert.truthy(client.process.err:all():find(why, 1, true))
        lunette.finish()
      end
    end)

    it("that was renamed is completed under its new name", function()
      local client, up = with([[lunette.prompts.transform("review", { name = "check", arguments = {
        path = { name = "file" }, tone = { hide = true } } })]], { server = '{"tools":{},"prompts":{},"resources":{},"completions":{}}' })
      up:on("completion/complete", function(req) req:reply('{"completion":{"values":[]},"got":' .. req.params .. "}") end)
      local function complete(name)
        return '{"ref":{"type":"ref/prompt","name":"check"},"argument":{"name":"' .. name .. '","value":"x"},"context":{"arguments":{"file":"y"}}}'
      end
      local got = json.at(client:result("completion/complete", complete "file"), "got")
      assert.equal("review", json.value(got, "ref", "name"))
      assert.equal('{"name":"path","value":"x"}', json.at(got, "argument"))
      assert.equal('{"path":"y"}', json.at(got, "context", "arguments"))
      assert.equal(-32602, client:failure("completion/complete", complete "tone").code)
      assert.equal(-32602, client:failure("completion/complete", complete "path").code)
    end)
  end)
end)
