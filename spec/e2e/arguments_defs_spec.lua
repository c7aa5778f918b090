-- Transforms of arguments, and the definitions ($defs) of a tool's schema: those that a new schema brings along, and those
-- that go with what is hidden.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local item = policy.item
local tool, schema_of = policy.tool, policy.schema_of

describe("an argument", function()
  after_each(lunette.finish)

  describe("whose schema is replaced", function()
    local with_defs = '"type":"object","properties":{"a":{"$ref":"#/$defs/A"},"b":{"$ref":"#/$defs/B"}},"$defs":{"A":{"type":"string"},'
      .. '"B":{"items":{"$ref":"#/$defs/C"}},"C":{"type":"array"},"D":{"$ref":"#/$defs/A"},"E":true}'

    -- { what it does, what is said of a, a as it is shown (under the name a or x), $defs as shown }
    local rest = '"A":{"type":"string"},"B":{"items":{"$ref":"#/$defs/C"}},"C":{"type":"array"},"D":{"$ref":"#/$defs/A"},"E":true'
    for _, row in ipairs {
      { "has its definitions hoisted", 'schema = { ["$ref"] = "#/$defs/Q", ["$defs"] = { Q = { type = "integer" } } }',
        '{"$ref":"#/$defs/Q"}', "{" .. rest .. ',"Q":{"type":"integer"}}' },
      { "has those renamed whose names are taken", 'schema = { ["$ref"] = "#/$defs/B", ["$defs"] = { B = { minimum = 1 } } }',
        '{"$ref":"#/$defs/B_2"}', "{" .. rest .. ',"B_2":{"minimum":1}}' },
      { "has definitions hoisted", 'schema = { items = { ["$ref"] = "#/definitions/Q" }, definitions = { Q = { ["$ref"] = "#/definitions/Q" } } }',
        '{"items":{"$ref":"#/$defs/Q"}}', "{" .. rest .. ',"Q":{"$ref":"#/$defs/Q"}}' },
      { "may refer to itself", 'name = "x", schema = { items = { ["$ref"] = "#" } }', '{"items":{"$ref":"#/properties/x"}}', "{" .. rest .. "}" },
      { "may refer to its inside", 'schema = { prefixItems = { { type = "null" }, { ["$ref"] = "#/prefixItems/0" } } }',
        '{"prefixItems":[{"type":"null"},{"$ref":"#/properties/a/prefixItems/0"}]}', "{" .. rest .. "}" },
      { "may refer by anchors", 'schema = { ["$ref"] = "#q", ["$defs"] = { Q = { ["$anchor"] = "q" } } }',
        '{"$ref":"#/$defs/Q"}', "{" .. rest .. ',"Q":{}}' },
      { "may refer dynamically", 'schema = { ["$dynamicRef"] = "#q", ["$defs"] = { Q = { ["$dynamicAnchor"] = "q" } } }',
        '{"$ref":"#/$defs/Q"}', "{" .. rest .. ',"Q":{}}' },
      { "may refer to the tool's definitions", 'schema = { ["$ref"] = "#/$defs/C" }', '{"$ref":"#/$defs/C"}', "{" .. rest .. "}" },
      { "may refer to the tool's arguments", 'schema = { ["$ref"] = "#/properties/b" }', '{"$ref":"#/properties/b"}', "{" .. rest .. "}" },
      { "loses its $schema", 'schema = { ["$schema"] = "http://json-schema.org/draft-07/schema#", type = "null" }', '{"type":"null"}', "{" .. rest .. "}" },
      { "stays a document when it has an $id", 'schema = { ["$id"] = "urn:q", items = { ["$ref"] = "#" } }',
        '{"$id":"urn:q","items":{"$ref":"#"}}', "{" .. rest .. "}" },
      { "may have $defs in its middle", 'schema = { items = { ["$defs"] = { Q = true }, ["$ref"] = "#/items/$defs/Q" } }',
        '{"items":{"$defs":{"Q":true},"$ref":"#/properties/a/items/$defs/Q"}}', "{" .. rest .. "}" },
    } do
      it(row[1], function()
        local shown = schema_of((tool("{" .. with_defs .. "}", "{ a = { " .. row[2] .. " } }")))
        local a = json.at(shown, "properties", "a") or json.at(shown, "properties", "x")
        assert.same(json.decode(row[3]), json.decode(a))
        assert.same(json.decode(row[4]), json.decode(json.at(shown, "$defs")))
      end)
    end

    it("withholds the tool when it refers to what is nowhere", function()
      local client = tool("{" .. with_defs .. "}", '{ a = { schema = { ["$ref"] = "#/$defs/Nowhere" } } }')
      assert.is_nil(item(client, "t"))
      assert.truthy(client.process.err:all():find("the schema of a refers to #/$defs/Nowhere, which is neither in it nor in the tool's", 1, true))
    end)
  end)

  describe("that is hidden takes along definitions that only it used:", function()
    -- { schema besides type and properties b, properties, what is left of it }
    for _, row in ipairs {
      { '"a":{"$ref":"#/$defs/A"}', '"$defs":{"A":{}}', nil },
      { '"a":{"$ref":"#/definitions/A"}', '"definitions":{"A":{},"B":{}}', '"definitions":{"B":{}}' },
      { '"a":{"$ref":"#/$defs/A"},"c":{"$ref":"#/$defs/A"}', '"$defs":{"A":{}}', '"$defs":{"A":{}}' },
      { '"a":{"$ref":"#/$defs/A"},"c":{"$ref":"#/$defs/C"}', '"$defs":{"A":{"items":{"$ref":"#/$defs/B"}},"B":{"not":{"$ref":"#/$defs/A"}},"C":{}}',
        '"$defs":{"C":{}}' },
      { '"a":{"$ref":"#/$defs/A"},"c":{"$ref":"#/$defs/C/items"}', '"$defs":{"A":{},"C":{"items":{"$ref":"#/$defs/A"}}}',
        '"$defs":{"A":{},"C":{"items":{"$ref":"#/$defs/A"}}}' },
      { '"a":{"$ref":"#x"},"c":{"$ref":"#y"}', '"$defs":{"A":{"$anchor":"x"},"C":{"$anchor":"y"}}', '"$defs":{"C":{"$anchor":"y"}}' },
      { '"a":{"$ref":"#x"},"c":{"$ref":"#y"}', '"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"A":{"$id":"#x"},"C":{"$id":"#y"}}',
        '"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"C":{"$id":"#y"}}' },
      { '"a":{"$dynamicRef":"#x"}', '"$defs":{"A":{"$dynamicAnchor":"x"},"B":{"$ref":"#/$defs/A"}}',
        '"$defs":{"A":{"$dynamicAnchor":"x"},"B":{"$ref":"#/$defs/A"}}' },
      { '"a":{"items":{"$ref":"urn:t#/$defs/A"}}', '"$id":"urn:t","$defs":{"A":{},"B":{}}', '"$id":"urn:t","$defs":{"B":{}}' },
      { '"a":{},"c":{"$ref":"other"}', '"$defs":{"A":{"$id":"other"},"B":{}}', '"$defs":{"A":{"$id":"other"},"B":{}}' },
      { '"a":{"properties":{"q":{"$ref":"#/$defs/A"}}},"c":{"$ref":"#/properties/a/properties/q"}', '"$defs":{"A":{}}',
        '"$defs":{"A":{},"q_original":{"$ref":"#/$defs/A"}}' },
      { '"a":{"$ref":"#/$defs/A"},"c":{"const":{"$ref":"#/$defs/A"}}', '"$defs":{"A":{}}', '"$defs":{"A":{}}' },
    } do
      it(row[1] .. " " .. row[2], function()
        local shown = schema_of((tool('{"type":"object","properties":{' .. row[1] .. "}," .. row[2] .. "}", "{ a = { hide = true } }")))
        local properties = json.at(shown, "properties")
        assert.equal('{"type":"object","properties":' .. properties .. (row[3] and "," .. row[3] or "") .. "}", shown)
        assert.is_nil(json.at(properties, "a"))
      end)
    end
  end)
end)
