-- key=value words as arguments: strings where the schema says so, else JSON where it is JSON.
local arguments = require "lunette.cli.arguments"
local json = require "lunette.base.raw_json"

local function object(schema, ...)
  return arguments.object(assert(arguments.pairs { ... }), schema and json.decode(schema))
end

describe("cli.arguments", function()
  describe("without a schema", function()
    for word, wanted in pairs {
      ["a=x"] = '{"a":"x"}', ["a="] = '{"a":""}', ["a=x=y"] = '{"a":"x=y"}', ["a b=c d"] = '{"a b":"c d"}',
      ["a=5"] = '{"a":5}', ["a=-1.50"] = '{"a":-1.50}', ["a=12345678901234567890"] = '{"a":12345678901234567890}',
      ["a=true"] = '{"a":true}', ["a=null"] = '{"a":null}', ["a=True"] = '{"a":"True"}', ["a=007"] = '{"a":"007"}',
      ["a=[1, {}]"] = '{"a":[1, {}]}', ['a={"b":1}'] = '{"a":{"b":1}}', ["a=[1"] = '{"a":"[1"}',
      ['a="x"'] = '{"a":"\\"x\\""}', ["a=nan"] = '{"a":"nan"}', ["a=0x10"] = '{"a":"0x10"}',
      ["a:=5"] = '{"a":5}', ['a:="5"'] = '{"a":"5"}', ["a=:=b"] = '{"a":":=b"}', ["a:b=c"] = '{"a:b":"c"}',
    } do
      it(("%s is %s"):format(word, wanted), function() assert.equal(wanted, object(nil, word)) end)
    end
  end)

  describe("with a schema", function()
    for schema, wanted in pairs {
      ['{"type":"string"}'] = '"5"',
      ['{"type":["string","null"]}'] = '"5"',
      ['{"anyOf":[{"type":"string"},{"type":"null"}]}'] = '"5"',
      ['{"oneOf":[{"type":"null"},{"type":"string"}]}'] = '"5"',
      ['{"allOf":[{"minLength":1},{"type":"string"}]}'] = '"5"',
      ['{"enum":["4","5"]}'] = '"5"',
      ['{"const":"5"}'] = '"5"',
      ['{"$ref":"#/$defs/text"}'] = '"5"',
      ['{"$ref":"#/$defs/loop"}'] = "5",
      ['{"$ref":"#/$defs/none"}'] = "5",
      ['{"$ref":"http://x/y"}'] = "5",
      ['{"type":"integer"}'] = "5",
      ['{"type":["integer","null"]}'] = "5",
      ['{"anyOf":[{"type":"integer"},{"type":"null"}]}'] = "5",
      ['{"enum":[4,5]}'] = "5",
      ["{}"] = "5",
      ["true"] = "5",
      ["null"] = "5",
    } do
      it(("%s makes 5 %s"):format(schema, wanted), function()
        local whole = ('{"properties":{"a":%s},"$defs":{"text":{"type":"string"},"loop":{"$ref":"#/$defs/loop"}}}'):format(schema)
        assert.equal('{"a":' .. wanted .. "}", object(whole, "a=5"))
      end)
    end

    it("leaves members that it does not know as they are", function()
      assert.equal('{"b":5}', object('{"properties":{"a":{"type":"string"}}}', "b=5"))
      assert.equal('{"b":5}', object("true", "b=5"))
      assert.equal('{"b":5}', object('{"properties":null}', "b=5"))
    end)

    it("does not hold for :=", function()
      assert.equal('{"a":5}', object('{"properties":{"a":{"type":"string"}}}', "a:=5"))
    end)
  end)

  it("adds to --args without touching it", function()
    local list = assert(arguments.pairs { "b=2" })
    assert.equal('{"a":1.0,"b":2}', arguments.object(list, nil, '{ "a" : 1.0 }'))
    assert.equal('{"b":2}', arguments.object(list, nil, "{}"))
    assert.equal("{}", arguments.object({}, nil, nil))
  end)

  it("are all strings for prompts", function()
    assert.equal('{"a":"5","b":"true"}', arguments.strings(assert(arguments.pairs { "a=5", "b=true" })))
  end)

  for word, hint in pairs {
    ["x"] = "key=value", ["=x"] = "no name", [":=1"] = "no name", ["a:=x"] = "must be JSON", ["a:="] = "must be JSON",
    ["a=\255"] = "UTF-8",
  } do
    it(("%q is refused"):format(word), function()
      local list, why = arguments.pairs { word }
      assert.is_nil(list)
      assert.truthy(why:find(hint, 1, true), why)
    end)
  end

  it("may not be given twice", function()
    local list, why = arguments.pairs { "a=1", "a:=2" }
    assert.is_nil(list)
    assert.equal("a is given twice", why)
  end)
end)
