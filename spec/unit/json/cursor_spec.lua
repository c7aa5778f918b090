-- Walking proven text: items with their exact bytes, lookup by name, counting, and skipping that
-- gets past anything at any offset.
local J = require "spec.unit.json.support"
local lib = J.lib

-- Every text a spec walks must be one the scan takes.
local function proven(text)
  assert.are.equal("OK", (J.scan(text, { max_depth = 200000 })), text)
  return text
end

describe("cursors", function()
  after_each(function() assert.are.equal(0, J.release()) end)

  describe("ln_json_trim", function()
    it("takes the space off both ends and none inside", function()
      for text, inside in pairs {
        [" \t\r\n[1, 2]\n\r\t "] = "[1, 2]", ["1"] = "1", ['" a "'] = '" a "', [""] = "", [" \n "] = "",
        [(" "):rep(40) .. "x" .. ("\n"):rep(40)] = "x",
      } do
        assert.are.equal(inside, J.str(lib.ln_json_trim(J.text(text))))
      end
    end)
    it("leaves an absent text absent", function() assert.is_nil(J.str(lib.ln_json_trim(J.text(nil)))) end)
    it("takes no other character for space", function()
      assert.are.equal("\f1\v", J.str(lib.ln_json_trim(J.text "\f1\v")))
    end)
  end)

  describe("ln_json_type_of", function()
    it("goes by the first byte", function()
      for text, kind in pairs {
        ["null"] = "null", ["false"] = "false", ["true"] = "true", ["0"] = "number", ["9"] = "number",
        ["-1"] = "number", ['""'] = "string", ["[]"] = "array", ["{}"] = "object", [" \n{}"] = "object",
        [""] = "none", ["  "] = "none", ["}"] = "none", ["+1"] = "none",
      } do
        assert.are.equal(kind, J.type(lib.ln_json_type_of(J.text(text))), text)
      end
      assert.are.equal("none", J.type(lib.ln_json_type_of(J.text(nil))))
    end)
  end)

  describe("ln_json_next", function()
    it("gives members in order with their raw bytes", function()
      local text = proven ' { "a" : 1 , "b\\n":"x\\"y", "":[ 1, {"a":2} ],"d": { } ,"e":null,"f":true,"g":false,"h":-1.5e+3\n} '
      assert.are.same({
        { key = "a", value = "1", type = "number" },
        { key = "b\\n", value = '"x\\"y"', type = "string" },
        { key = "", value = '[ 1, {"a":2} ]', type = "array" },
        { key = "d", value = "{ }", type = "object" },
        { key = "e", value = "null", type = "null" },
        { key = "f", value = "true", type = "true" },
        { key = "g", value = "false", type = "false" },
        { key = "h", value = "-1.5e+3", type = "number" },
      }, J.items(text))
    end)

    it("gives elements without a key", function()
      assert.are.same({
        { value = '"a"', type = "string" },
        { value = '"b"', type = "string" },
        { value = '""', type = "string" },
        { value = "[]", type = "array" },
        { value = "1", type = "number" },
      }, J.items(proven '["a" , "b","",[],1]'))
    end)

    it("keeps the walk of a container to itself", function()
      local text = proven '[[1,2],3]'
      local inner = J.items(text)[1].value
      assert.are.same({ { value = "1", type = "number" }, { value = "2", type = "number" } }, J.items(inner))
    end)

    it("walks a value in place, without its surroundings", function()
      local ffi = J.ffi
      local item = ffi.new "struct ln_json_item"
      assert.is_true(lib.ln_json_get(J.text(proven '{"a":[1,2],"b":[3,4]}'), "a", item))
      local values = {}
      for i, each in ipairs(J.items(item.value)) do values[i] = each.value end
      assert.are.same({ "1", "2" }, values)
    end)

    it("ends at once in what is no container or is empty", function()
      for _, text in ipairs { "1", '"[1,2]"', "null", "[]", "{}", "[ ]", " {\n} ", "", "  " } do
        assert.are.same({}, J.items(text))
      end
      assert.are.same({}, J.items(J.text(nil)))
    end)

    it("stays at the end once it is there", function()
      local cur = lib.ln_json_enter(J.text "[1]")
      local item = J.ffi.new "struct ln_json_item"
      assert.is_true(lib.ln_json_next(cur, item))
      for _ = 1, 3 do assert.is_false(lib.ln_json_next(cur, item)) end
    end)

    -- Containers are skipped by blocks of 64 bytes: everything that could be mistaken for a
    -- bracket or a quote, at every offset in a block and across its edge.
    it("skips any container at any offset", function()
      local nasty = {
        "[]", "{}", '["]"]', '{"}":"{"}', '["\\""]', '["\\\\"]', '["\\\\\\"]"]', '[[[]],{"a":[{}]}]',
        '["' .. ("\\\\"):rep(40) .. '",[1]]', '["' .. ("\\\\"):rep(40) .. '\\"]"]', '["' .. ("["):rep(70) .. '"]',
        ("["):rep(130) .. ("]"):rep(130), ('{"k":['):rep(40) .. '"]}"' .. ("]}"):rep(40), '["\195\169\219\251]"]',
        '["\\u005d\\u0022",{"\\"}":"\\\\"}]', '[' .. ('"\\"",'):rep(50) .. "0]", "[" .. ("[],"):rep(60) .. "{}]",
      }
      for _, value in ipairs(nasty) do
        for pad = 0, 130 do
          local first = '"' .. ("x"):rep(pad) .. '"'
          local text = "[" .. first .. "," .. value .. ',"after"]'
          if pad == 0 then
            -- Bytes that are no UTF-8 are skipped too; only the scan minds them.
            if not value:find "\219" then proven(text) end
          end
          assert.are.same({
            { value = first, type = "string" },
            { value = value, type = value:sub(1, 1) == "[" and "array" or "object" },
            { value = '"after"', type = "string" },
          }, J.items(text))
        end
        assert.are.equal(0, J.release())
      end
    end)

    it("skips strings with an escape at any offset", function()
      for _, escape in ipairs { '\\"', "\\\\", "\\n", "\\u0022", '\\\\\\"' } do
        for before = 0, 40 do
          for after = 0, 20 do
            local value = '"' .. ("x"):rep(before) .. escape .. ("y"):rep(after) .. '"'
            local items = J.items("{" .. value .. ":" .. value .. "}")
            assert.are.same({ { key = value:sub(2, -2), value = value, type = "string" } }, items)
          end
        end
        assert.are.equal(0, J.release())
      end
    end)

    it("skips a hundred thousand levels", function()
      local deep = ("["):rep(100000) .. ("]"):rep(100000)
      local items = J.items(proven("[" .. deep .. ",2]"))
      assert.are.equal(2, #items)
      assert.is_true(items[1].value == deep)
      assert.are.equal("2", items[2].value)
    end)

    it("never leaves a text that is cut, proven or not", function()
      local text = '{"a":[1,{"b":"\\"x\\\\"}],"c":"\\u00e9","d":-1,"e":{"f":[[],[]]}}'
      for n = 0, #text do
        local whole = J.text(text:sub(1, n))
        local cur, item = lib.ln_json_enter(whole), J.ffi.new "struct ln_json_item"
        local last = whole.p
        while lib.ln_json_next(cur, item) do
          assert.is_true(item.value.p >= last and item.value.p + item.value.n <= whole.p + n)
          last = item.value.p
        end
      end
    end)
  end)

  describe("ln_json_get", function()
    it("finds a member by its plain name", function()
      local text = proven '{"a":1,"b" : "x" ,"caf\195\169":[2]}'
      assert.are.same({ key = "a", value = "1", type = "number" }, J.get(text, "a"))
      assert.are.same({ key = "b", value = '"x"', type = "string" }, J.get(text, "b"))
      assert.are.same({ key = "caf\195\169", value = "[2]", type = "array" }, J.get(text, "caf\195\169"))
    end)

    it("compares after unescaping", function()
      local text = proven [[{"\u0061b":1,"x\/y":2,"\ud83d\ude00":3,"\"\\":4}]]
      assert.are.same({ key = "\\u0061b", value = "1", type = "number" }, J.get(text, "ab"))
      assert.are.equal("2", J.get(text, "x/y").value)
      assert.are.equal("3", J.get(text, "\240\159\152\128").value)
      assert.are.equal("4", J.get(text, '"\\').value)
      assert.is_nil(J.get(text, "\\u0061b"))
      assert.is_nil(J.get(text, "x\\/y"))
    end)

    it("does not look deeper, nor at values", function()
      assert.is_nil(J.get(proven '{"a":{"b":1},"c":["b"],"d":"b"}', "b"))
    end)

    it("does not take a beginning for the whole", function()
      local text = proven '{"method":1,"methods":2,"":3}'
      assert.is_nil(J.get(text, "metho"))
      assert.are.equal("2", J.get(text, "methods").value)
      assert.are.equal("3", J.get(text, "").value)
      assert.is_nil(J.get(text, "methodss"))
    end)

    it("takes the last of twins", function()
      assert.are.equal("3", J.get(proven '{"a":1,"b":2,"a":3}', "a").value)
      assert.are.equal("3", J.get(proven '{"a":1,"b":2,"\\u0061":3,"c":4}', "a").value)
    end)

    it("leaves the item alone when there is nothing to find", function()
      local item = J.ffi.new "struct ln_json_item"
      item.value.n = 77
      for _, text in ipairs { "{}", '{"b":1}', '["a"]', '"a"', "1", "null", "" } do
        assert.is_false(lib.ln_json_get(J.text(text), "a", item))
      end
      assert.is_false(lib.ln_json_get(J.text(nil), "a", item))
      assert.are.equal(77, tonumber(item.value.n))
    end)
  end)

  it("ln_json_count counts what a container holds", function()
    for text, n in pairs {
      ["[]"] = 0, ["{}"] = 0, ["[1]"] = 1, ['{"a":1,"b":[1,2,3]}'] = 2, ["[[1,2],[3],{}]"] = 3, ["1"] = 0,
      ['"a,b"'] = 0, ["null"] = 0, [" [ 1 , 2 ] "] = 2, ['["a,b","]"]'] = 2,
    } do
      assert.are.equal(n, tonumber(lib.ln_json_count(J.text(proven(text)))))
    end
    assert.are.equal(5000, tonumber(lib.ln_json_count(J.text("[" .. ("0,"):rep(4999) .. "0]"))))
    assert.are.equal(0, tonumber(lib.ln_json_count(J.text(nil))))
  end)
end)
