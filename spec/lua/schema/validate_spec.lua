-- JSON Schemas applied to values. A row a case: the schema, a value, and what is wrong with it (nil: nothing).
-- Both are raw JSON, read by the codec that messages are read by.
local json = require "spec.support.json"
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

local cases = {
  type = {
    { '{"type":"string"}', '"x"' },
    { '{"type":"string"}', "5", 'v must be of type string, not 5' },
    { '{"type":"integer"}', "5.0" },
    { '{"type":"integer"}', "5.5", "v must be of type integer, not 5.5" },
    { '{"type":"number"}', "5.5" },
    { '{"type":"boolean"}', "false" },
    { '{"type":"null"}', "null" },
    { '{"type":"null"}', "false", "v must be of type null, not false" },
    { '{"type":"array"}', "[]" },
    { '{"type":"array"}', "{}", "v must be of type array, not an object" },
    { '{"type":"object"}', "{}" },
    { '{"type":"object"}', "[]", "v must be of type object, not an array" },
    { '{"type":["string","null"]}', "null" },
    { '{"type":["string","null"]}', "1", "v must be of type string or null, not 1" },
    { '{"type":"string"}', '["a long one"]', "v must be of type string, not an array" },
    { "true", "1" },
    { "false", "1", "v must not be there" },
    { "{}", "null" },
  },
  values = {
    { '{"enum":["a",1,null,[1],{"a":[]}]}', '{"a":[]}' },
    { '{"enum":["a",1,null]}', "1.0" },
    { '{"enum":["a",1,null]}', '"b"', 'v must be one of "a", 1, null' },
    { '{"const":{"a":[1,{}]}}', '{"a":[1.0,{}]}' },
    { '{"const":{"a":[]}}', '{"a":{}}', "v must be an object" },
    { '{"const":false}', "0", "v must be false" },
  },
  numbers = {
    { '{"minimum":1,"maximum":3}', "1" },
    { '{"minimum":1,"maximum":3}', "0.9", "v must be at least 1" },
    { '{"minimum":1,"maximum":3}', "3.1", "v must be at most 3" },
    { '{"exclusiveMinimum":1,"exclusiveMaximum":3}', "1", "v must be more than 1" },
    { '{"exclusiveMinimum":1,"exclusiveMaximum":3}', "3", "v must be less than 3" },
    { '{"multipleOf":0.1}', "0.3" },
    { '{"multipleOf":0.01}', "19.99" },
    { '{"multipleOf":5}', "12", "v must be a multiple of 5" },
    { '{"multipleOf":1e-300}', "1e300", "v must be a multiple of 1e-300" },
    { '{"minimum":1}', '"0"' },
  },
  strings = {
    { '{"minLength":2,"maxLength":3}', '"月é"' },
    { '{"minLength":2}', '"🌙"', "v must have at least 2 characters" },
    { '{"maxLength":3}', '"abcd"', "v must have at most 3 characters" },
    { '{"pattern":"^\\\\d+$"}', '"12"' },
    { '{"pattern":"^\\\\d+$"}', '"1a"', "v must match the pattern ^\\d+$" },
    { '{"pattern":"^\\\\p{L}$"}', '"1"' },
    { '{"format":"email"}', '"none"' },
  },
  arrays = {
    { '{"items":{"type":"integer"}}', "[1,2]" },
    { '{"items":{"type":"integer"}}', '[1,"2"]', 'v[1] must be of type integer, not "2"' },
    { '{"minItems":1,"maxItems":2}', "[]", "v must have at least 1 items" },
    { '{"minItems":1,"maxItems":2}', "[1,2,3]", "v must have at most 2 items" },
    { '{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}', '["a",1]' },
    { '{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}', '[1,"a"]',
      'v[0] must be of type string, not 1; v[1] must be of type integer, not "a"', sorted = true },
    { '{"items":[{"type":"string"}],"additionalItems":false}', '["a",1]', "v[1] must not be there" },
    { '{"contains":{"const":1}}', "[2,1]" },
    { '{"contains":{"const":1}}', "[2]", "v has 0 items of the kind that it must contain" },
    { '{"contains":{"const":1},"minContains":2,"maxContains":3}', "[1]", "v has 1 items of the kind that it must contain" },
    { '{"contains":{"const":1},"minContains":0}', "[]" },
    { '{"uniqueItems":true}', '[1,"1",true,{"a":1},{"a":2},[],{}]' },
    { '{"uniqueItems":true}', "[1,2,1.0]", "v must not have an item twice: [0] and [2]" },
    { '{"uniqueItems":true}', '[{"a":[1]},{"a":[1]}]', "v must not have an item twice: [0] and [1]" },
  },
  objects = {
    { '{"properties":{"a":{"type":"string"}},"required":["a"]}', '{"a":"","b":1}' },
    { '{"properties":{"a":{"type":"string"}},"required":["a","b"]}', "{}", "v lacks a; v lacks b" },
    { '{"properties":{"a":{"properties":{"b c":{"type":"string"}}}}}', '{"a":{"b c":1}}', 'v.a["b c"] must be of type string, not 1' },
    { '{"properties":{"a":false}}', '{"a":1}', "v.a must not be there" },
    { '{"properties":{"a":true},"additionalProperties":false}', '{"a":1,"b":2}', "v has no member b" },
    { '{"additionalProperties":{"type":"string"}}', '{"b":2}', "v.b must be of type string, not 2" },
    { '{"patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}', '{"x-a":"1"}' },
    { '{"patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}', '{"x-a":1,"y":2}',
      "v has no member y; v.x-a must be of type string, not 1", sorted = true },
    { '{"propertyNames":{"maxLength":1}}', '{"ab":1}', "v must not have a member called ab" },
    { '{"minProperties":1,"maxProperties":1}', "{}", "v must have at least 1 members" },
    { '{"minProperties":1,"maxProperties":1}', '{"a":1,"b":2}', "v must have at most 1 members" },
    { '{"dependentRequired":{"a":["b"]}}', '{"a":1}', "v lacks b" },
    { '{"dependentSchemas":{"a":{"required":["b"]}}}', '{"a":1}', "v lacks b" },
    { '{"dependencies":{"a":["b"],"c":{"required":["d"]}}}', '{"a":1,"c":1}', "v lacks b; v lacks d" },
    { '{"required":["a"]}', '{"a":null}' },
  },
  combinations = {
    { '{"allOf":[{"minimum":1},{"maximum":2}]}', "3", "v must be at most 2" },
    { '{"anyOf":[{"type":"string"},{"minimum":2}]}', "2" },
    { '{"anyOf":[{"type":"string"},{"minimum":2}]}', "1", "v fits none of the schemas of anyOf" },
    { '{"anyOf":[{"type":"string"}]}', "1", "v must be of type string, not 1" },
    { '{"oneOf":[{"minimum":1},{"minimum":2}]}', "1" },
    { '{"oneOf":[{"minimum":1},{"minimum":2}]}', "2", "v must fit one of the schemas of oneOf, not 2" },
    { '{"oneOf":[{"minimum":1},{"minimum":2}]}', "0", "v must fit one of the schemas of oneOf, not none" },
    { '{"not":{"type":"string"}}', '"a"', "v fits what it must not (not)" },
    { '{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}', '{"a":1}', "v lacks b" },
    { '{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}', "{}", "v lacks c" },
    { '{"then":false}', "1" },
  },
  unevaluated = {
    { '{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}', '{"a":1}' },
    { '{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}', '{"a":1,"b":2}', "v has no member b" },
    { '{"anyOf":[{"properties":{"a":{"const":1}},"required":["a"]},{"properties":{"b":true}}],"unevaluatedProperties":false}',
      '{"a":2}', "v has no member a" },
    { '{"prefixItems":[true],"unevaluatedItems":{"type":"string"}}', '[1,"a"]' },
    { '{"prefixItems":[true],"unevaluatedItems":{"type":"string"}}', "[1,2]", "v[1] must be of type string, not 2" },
    { '{"contains":{"const":1},"unevaluatedItems":false}', "[1,2]", "v[1] must not be there" },
  },
  references = {
    { '{"$ref":"#/$defs/a b~1%25","$defs":{"a b/%":{"type":"string"}}}', '"x"' },
    { '{"$ref":"#/$defs/n","$defs":{"n":{"type":"string"}},"minLength":2}', '"x"', "v must have at least 2 characters" },
    { '{"$ref":"#x","$defs":{"n":{"$anchor":"x","type":"string"}}}', "1", "v must be of type string, not 1" },
    { '{"$id":"http://h.test/a/b","$ref":"c","$defs":{"n":{"$id":"c","type":"string"}}}', "1", "v must be of type string, not 1" },
    { '{"properties":{"child":{"$ref":"#"},"n":{"type":"integer"}},"additionalProperties":false}', '{"child":{"child":{"n":"1"}}}',
      'v.child.child.n must be of type integer, not "1"' },
    { '{"$ref":"https://h.test/s"}', "1", nil, unusable = "it refers to https://h.test/s, which is not in it, and nothing is fetched" },
    { '{"$ref":"#/nowhere"}', "1", nil, unusable = "it refers to #/nowhere, which is not in it, and nothing is fetched" },
    { '{"$ref":"#"}', "1", nil, unusable = "it goes round in a circle, or too deep" },
    { '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}', "1", nil,
      unusable = "it goes round in a circle, or too deep" },
    { '{"properties":{"$ref":{"type":"string"}}}', '{"$ref":1}', 'v["$ref"] must be of type string, not 1' },
    { '{"enum":[{"$id":"#x","$ref":"https://h.test/"}]}', "1", "v must be one of an object" },
  },
  dialects = {
    { '{"$schema":"https://json-schema.org/draft/2020-12/schema#","type":"string"}', '"x"' },
    { '{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/n","definitions":{"n":{}},"type":"string"}', "1" },
    { '{"$schema":"http://json-schema.org/draft-04/schema#"}', "1", nil,
      unusable = "its dialect http://json-schema.org/draft-04/schema# is not supported" },
    { '{"$schema":5}', "1", nil, unusable = "its dialect 5 is not supported" },
  },
  ["what is no schema"] = {
    { "5", "1", nil, unusable = "it has 5 where a schema belongs" },
    { '{"properties":{"a":"string"}}', '{"a":1}', nil, unusable = 'it has "string" where a schema belongs' },
    { '{"properties":{"a":"string"}}', "{}" },
    { '{"allOf":5}', "1", nil, unusable = "it is not a schema: " },
    { '{"patternProperties":{"\\\\p{L}":true}}', '{"a":1}', nil,
      unusable = "its pattern \\p{L} for names has what is not supported: \\p{…}: classes of Unicode" },
    { '{"pattern":"^(a+)+$"}', '"' .. ("a"):rep(50) .. '!"', nil, unusable = "its pattern ^(a+)+$ can't be tried: it takes too long to match" },
    { '{"items":{"anyOf":[' .. ("{},"):rep(50) .. '{"type":"null"}]},"allOf":[' .. ('{"items":{"not":{"enum":[1]}}},'):rep(200) .. "{}]}",
      "[" .. ("2,"):rep(1000) .. "2]", nil, unusable = "it takes too long to check" },
  },
  ["many errors"] = {
    { '{"items":{"type":"string"}}', "[1,2,3,4,5,6,7,8]", "v[0] must be of type string, not 1; v[1] must be of type string, not 2; "
      .. "v[2] must be of type string, not 3; v[3] must be of type string, not 4; v[4] must be of type string, not 5; and 3 more" },
  },
}

describe("a schema's", function()
  local f

  lazy_setup(function()
    f = assert(support.load [[
      local validate = require "lunette.schema.validate"
      lunette.configure { hook_timeout = 60 } -- what takes too long is counted in steps
      lunette.tools.add { name = "t", handler = function(args)
        local check, why = validate.new(lunette.json.decode(args.schema))
        local wrong
        if check then wrong, why = check(lunette.json.decode(args.value), "v") end
        return lunette.json.encode { wrong = wrong, unusable = not wrong and why or nil } end }]])
  end)
  lazy_teardown(function() f:free() end)

  local n = 0
  local function verdict(schema, value)
    n = n + 1
    f:component(('{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"t","arguments":{"schema":%s,"value":%s}}}'):format(
      json.quote(schema), json.quote(value)))
    f:run()
    local result = assert(f:account():match '"result":(.*)}\n$', schema)
    return json.decode(json.value(result, "content", 1, "text"))
  end

  for name, rows in pairs(cases) do
    it(name, function()
      for _, row in ipairs(rows) do
        local got = verdict(row[1], row[2])
        local what = row[1] .. " of " .. row[2]:sub(1, 200)
        if row.unusable then
          assert.equal(row.unusable, (got.unusable or ""):sub(1, #row.unusable), what)
        else
          assert.is_nil(got.unusable, what)
          if row.sorted then table.sort(got.wrong) end
          assert.equal(row[3], got.wrong and table.concat(got.wrong, "; "), what)
        end
      end
    end)
  end
end)
