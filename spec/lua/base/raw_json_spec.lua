-- JSON as the command line cuts it: what is one and what is not, and the bytes of its parts.
local json = require "lunette.base.raw_json"

describe("base.raw_json", function()
  describe("type", function()
    for text, kind in pairs {
      ["1"] = "number", ["-0"] = "number", ["1.0"] = "number", ["-12.50e+3"] = "number", ["12345678901234567890"] = "number",
      ["true"] = "boolean", ["false"] = "boolean", ["null"] = "null",
      ['""'] = "string", ['"a\\u00e9\\n"'] = "string", ['"月"'] = "string",
      ["[]"] = "array", ["[1, [2], {}]"] = "array", ["{}"] = "object", ['{"a":{"b":[null]}}'] = "object",
      [" \n\t5\r "] = "number",
    } do
      it(("of %q is %s"):format(text, kind), function() assert.equal(kind, (json.type(text))) end)
    end

    for _, text in ipairs {
      "", " ", "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x10", "nan", "NaN", "Infinity", "-Infinity", "1a", "1.2.3",
      "tru", "truex", "nul", "True", '"a', '"a\\"', '"\\x"', '"\\u12g4"', '"a\nb"', '"a\0b"', "'a'",
      "[", "[1", "[1,]", "[,1]", "[1 2]", "{", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", '{"a":1', '{"a" 1}', "]",
      "{} x", "1 2", '"a" "b"',
    } do
      it(("of %q is none"):format(text), function()
        local kind, why = json.type(text)
        assert.is_nil(kind)
        assert.equal("string", type(why))
      end)
    end

    it("refuses what is nested without an end, and takes 200 levels", function()
      assert.equal("array", (json.type(("["):rep(200) .. ("]"):rep(200))))
      assert.is_nil((json.type(("["):rep(100000))))
    end)
  end)

  describe("parts", function()
    local text = '{ "a" : [1.0, "x\\u0041" ,{"b":null}], "\\u0062": { "c" : 1e2 }, "d":"}" , "a":2}'

    it("are the bytes as they stand", function()
      assert.equal('[1.0, "x\\u0041" ,{"b":null}]', json.member(text, "a"))
      assert.equal("1e2", json.member(text, "b", "c"))
      assert.equal('"}"', json.member(text, "d"))
      assert.is_nil(json.member(text, "e"))
      assert.is_nil(json.member(text, "a", "b"))
      assert.is_nil(json.member("[1]", "a"))
      assert.same({ "1.0", '"x\\u0041"', '{"b":null}' }, json.elements(json.member(text, "a")))
    end)

    it("come in the order written, with names decoded", function()
      local names = {}
      for i, member in ipairs(json.members(text)) do names[i] = member.name .. "=" .. member.value end
      assert.same({ 'a=[1.0, "x\\u0041" ,{"b":null}]', 'b={ "c" : 1e2 }', 'd="}"', "a=2" }, names)
    end)

    it("of anything else are none", function()
      for _, other in ipairs { "1", "[]", "{}", '"{}"', "null" } do
        assert.same({}, json.members(other))
        assert.same({}, json.elements(other))
      end
      assert.same({}, json.members(nil))
      assert.same({}, json.elements(nil))
      assert.is_nil(json.member(nil, "a"))
    end)
  end)

  it("quotes what JSON wants quoted, and nothing else", function()
    assert.equal('"a\\"b\\\\c/d月"', json.quote 'a"b\\c/d月')
    assert.equal('"\\n\\t\\r\\u0000\\u001b"', json.quote "\n\t\r\0\27")
    for i = 0, 127 do
      local c = string.char(i)
      assert.equal("string", (json.type(json.quote(c))))
      assert.equal(c, json.decode(json.quote(c)))
    end
  end)

  it("decodes any value", function()
    assert.equal("x", json.decode '"x"')
    assert.equal(1.5, json.decode "1.5")
    assert.equal(json.null, json.decode "null")
    assert.equal(2, json.decode('[1,{"a":2}]')[2].a)
  end)
end)
