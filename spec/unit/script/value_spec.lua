-- JSON to Lua values, back, and back over a source. Expressions run inside a policy, on the real codec.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

local function eval(text)
  local result, why = support.eval("local core, json = require 'lunette.core', lunette.json; " .. text)
  return result or error(why, 2)
end

local function fails(text)
  local result, why = support.eval("local core, json = require 'lunette.core', lunette.json; " .. text)
  assert.is_nil(result)
  return why
end

describe("a decoded value", function()
  local cases = {
    ["a number is a double"] = { "return tostring(json.decode '12345678901234567890' == 12345678901234567890)", "true" },
    ["numbers of every form"] = {
      "local t = json.decode '[0,-0,1.0,1e2,-1.5E-3,0.1,123456789.125,1E+2]' return table.concat(t, ' ')",
      "0 -0 1 100 -0.0015 0.1 123456789.125 100",
    },
    ["a number of a thousand digits"] = {
      ("return tostring(json.decode '1%s' == 1e1000 and json.decode '0.%s1' == 0)"):format(("0"):rep(1000), ("0"):rep(1000)),
      "true",
    },
    ["an exponent beyond all"] = {
      "return tostring(json.decode '1e99999999999' == math.huge and json.decode '1e-99999999999' == 0)", "true" },
    ["strings unescaped"] = { [[return json.decode '"\\u0061\\n\\/\\"\\\\\\ud83d\\ude00é"']], 'a\n/"\\😀é' },
    ["half a surrogate pair as U+FFFD"] = { [[return json.decode '"\\ud800x"']], "\239\191\189x" },
    ["a NUL inside a string"] = { [[return tostring(#json.decode '"a\\u0000b"')]], "3" },
    ["null as lunette.null"] = { "return tostring(json.decode '{\"a\":null}'.a == lunette.null)", "true" },
    ["true and false"] = { "local t = json.decode '[true,false]' return tostring(t[1]) .. tostring(t[2])", "truefalse" },
    ["arrays marked"] = {
      "return tostring(getmetatable(json.decode '[]') == core.array_mt and getmetatable(json.decode '{}') == nil)", "true" },
    ["the last of twins"] = { [[return json.decode '{"a":1,"\\u0061":2}'.a .. ""]], "2" },
    ["white space around"] = { "return #json.decode ' \\n[ 1 , 2 ]\\t' .. ''", "2" },
  }
  for what, case in pairs(cases) do
    it(what, function() assert.equal(case[2], eval(case[1])) end)
  end

  it("of a hundred levels, but not of a thousand", function()
    assert.equal("ok", eval "json.decode(('['):rep(150) .. (']'):rep(150)) return 'ok'")
    assert.truthy(fails("json.decode(('['):rep(1000) .. (']'):rep(1000))"):find("nested too deeply", 1, true))
  end)

  it("not of what is no JSON, and says where", function()
    for text, place in pairs { ["[1,]"] = 4, ["{a:1}"] = 2, [""] = 1, ["[1] x"] = 5, ["nul"] = 4 } do
      local why = fails(("return tostring(json.decode(%q))"):format(text))
      assert.truthy(why:find("policy.lua:1: ", 1, true), why)
      assert.truthy(why:find("at byte " .. place, 1, true), text .. ": " .. why)
    end
  end)
end)

describe("an encoded value", function()
  local cases = {
    ["members sorted"] = { "return json.encode { b = 1, a = 2, [''] = 3, aa = 4 }", '{"":3,"a":2,"aa":4,"b":1}' },
    ["arrays and objects"] = { "return json.encode { { 1, 2 }, {}, lunette.array {}, { x = {} } }", '[[1,2],{},[],{"x":{}}]' },
    ["null, booleans"] = { "return json.encode { lunette.null, true, false }", "[null,true,false]" },
    ["numbers the shortest way"] = {
      "return json.encode { 1, -0.5, 0.1, 1e21, 9007199254740991, 1/3 }",
      "[1,-0.5,0.1,1e21,9007199254740991,0.3333333333333333]",
    },
    ["strings escaped only where needed"] = { [[return json.encode "a/\"\\\n\t\1\127é"]], [["a/\"\\\n\t\u0001]] .. '\127é"' },
    ["broken UTF-8 as U+FFFD"] = { [[return json.encode "é\195"]], '"é\239\191\189"' },
    ["a scalar alone"] = { "return json.encode(5)", "5" },
    ["one table twice"] = { "local t = { 1 } return json.encode { t, t }", "[[1],[1]]" },
  }
  for what, case in pairs(cases) do
    it(what, function() assert.equal(case[2], eval(case[1])) end)
  end

  local refused = {
    { "{ a = { b = 0/0 } }", "value.a.b: not a number (NaN) can't be sent" },
    { "{ a = { 1, { c = 1/0 } } }", "value.a[2].c: an infinite number can't be sent" },
    { "{ f = print }", "value.f: a function can't be sent" },
    { "{ [1] = 1, x = 2 }", "neither an array nor an object" },
    { "{ a = { 1, 2, k = 3 } }", 'value.a: an array can\'t have a member "k"' },
    { "{ x = 2, [1.5] = 1 }", "neither an array nor an object" },
    { "{ a = { [true] = 1 } }", "value.a: a boolean can't be a member's name" },
    { "{ a = { 1, nil, 3 } }", "value.a: an array of 2 elements with gaps up to 3" },
    { "{ a = lunette.array { x = 1 } }", "value.a" },
    { "coroutine.create(print)", "value: a thread can't be sent" },
    { "io.stderr", "value: a userdata can't be sent" },
  }
  for _, case in ipairs(refused) do
    it("not of " .. case[1], function()
      local why = fails("return (json.encode(" .. case[1] .. "))")
      assert.truthy(why:find(case[2], 1, true), why)
      assert.truthy(why:find("policy.lua:1: ", 1, true), why)
    end)
  end

  it("not of a table that contains itself", function()
    local why = fails "local t = {} t.me = { t } return (json.encode(t))"
    assert.truthy(why:find("value.me[1].me[1]", 1, true), why)
    assert.truthy(why:find("contains itself", 1, true), why)
  end)

  it("not without end", function()
    local why = fails "local t = { 'x' } for _ = 1, 40 do t = { t, t } end return (json.encode(t))"
    assert.truthy(why:find("bytes", 1, true), why)
  end)
end)

describe("an edited value over its source", function()
  -- source, edit of v, outcome
  local cases = {
    ["nothing"] = { [[{ "b":1.0 , "a":[ ],"\u0061b":"\/"} ]], "", [[{ "b":1.0 , "a":[ ],"\u0061b":"\/"} ]] },
    ["the same put again"] = { '{"a":1.0,"b":[1,{}]}', "v.a = 1 v.b = { 1, {} }", '{"a":1.0,"b":[1,{}]}' },
    ["a member changed"] = { '{ "a" : 1.0 , "b" : 2 }', "v.b = 3", '{ "a" : 1.0 , "b" : 3 }' },
    ["a member of another type"] = { '{"a":1,"b":{"c":2}}', "v.b = 'x' v.a = { 1 }", '{"a":[1],"b":"x"}' },
    ["deep inside"] = { '{"a":[{"x":1.0},{"y": [1e1 ,2]}]}', "v.a[2].y[2] = 7", '{"a":[{"x":1.0},{"y": [1e1 ,7]}]}' },
    ["the first removed"] = { '{ "a":1, "b":2, "c":3 }', "v.a = nil", '{ "b":2, "c":3 }' },
    ["the middle removed"] = { '{ "a":1, "b":2, "c":3 }', "v.b = nil", '{ "a":1, "c":3 }' },
    ["the last removed"] = { '{ "a":1, "b":2, "c":3 }', "v.c = nil", '{ "a":1, "b":2 }' },
    ["two neighbours removed"] = { '{"a":1,"b":2,"c":3,"d":4}', "v.b = nil v.c = nil", '{"a":1,"d":4}' },
    ["the first two removed"] = { '{"a":1,"b":2,"c":3}', "v.a = nil v.b = nil", '{"c":3}' },
    ["all removed"] = { '{ "a":1, "b":2 }', "v.a = nil v.b = nil", "{  }" },
    ["all removed, one added"] = { '{ "a":1, "b":2 }', "v.a = nil v.b = nil v.c = 3", '{ "c":3 }' },
    ["added at the end, sorted"] = { '{"z":1 }', "v.b = 2 v.a = {}", '{"z":1,"a":{},"b":2 }' },
    ["added to nothing"] = { "{ }", "v.b = 2 v.a = 1", '{"a":1,"b":2 }' },
    ["last removed and one added"] = { '{"a":1,"b":2}', "v.b = nil v.c = 3", '{"a":1,"c":3}' },
    ["changed, removed and added"] = { '{"a":1,"b":2,"c":3}', "v.a = 0 v.b = nil v.d = 4", '{"a":0,"c":3,"d":4}' },
    ["an escaped name"] = { [[{"\u0061":1,"b":2}]], "v.a = 5", [[{"\u0061":5,"b":2}]] },
    ["a new name that needs escapes"] = { "{}", [[v['"\n'] = 1]], [[{"\"\n":1}]] },
    ["twenty digits stay"] = { '{"n":12345678901234567890,"a":1}', "v.a = 2", '{"n":12345678901234567890,"a":2}' },
    ["numbers equal by value stay"] = { '{"n":1e2,"m":-0,"a":1}', "v.n = 100 v.m = 0 v.a = 2", '{"n":1e2,"m":-0,"a":2}' },
    ["an infinite number that nobody touched stays"] = { '{"n":1e400,"a":1}', "v.a = 2", '{"n":1e400,"a":2}' },
    ["half a surrogate pair stays"] = { [[{"s":"\ud800","a":1}]], "v.a = 2", [[{"s":"\ud800","a":2}]] },
    ["true to false"] = { '{"a":true}', "v.a = false", '{"a":false}' },
    ["null to a value and back"] = { '{"a":null,"b":1}', "v.a = 1 v.b = lunette.null", '{"a":1,"b":null}' },
    ["\"1\" is not 1"] = { '{"a":"1","b":1}', "v.a = 1 v.b = '1'", '{"a":1,"b":"1"}' },
    ["an empty table where an array was is an array"] = { '{"a":[1, 2],"b":[]}', "v.a = {} v.b = {}", '{"a":[],"b":[]}' },
    ["an empty table where an object was is an object"] = { '{"a":{"x":1},"b":{}}', "v.a = {} v.b = {}", '{"a":{},"b":{}}' },
    ["an empty table elsewhere is an object"] = { '{"a":1}', "v.a = {} v.b = {}", '{"a":{},"b":{}}' },
    ["an empty array where an object was"] = { '{"a":{"x":1},"b":{}}', "v.a = lunette.array {} v.b = lunette.array {}", '{"a":[],"b":[]}' },
    ["an array emptied element by element"] = { '{"a":[1,2]}', "table.remove(v.a) table.remove(v.a)", '{"a":[]}' },
    ["an object in an array's place"] = { '{"a":[1]}', "v.a = { x = 1 }", '{"a":{"x":1}}' },
    ["an element changed"] = { "[ 1.0, 2 , 3.0 ]", "v[2] = 9", "[ 1.0, 9 , 3.0 ]" },
    ["an element appended"] = { "[1.0, 2 ]", "v[3] = 3 v[4] = {}", "[1.0, 2,3,{} ]" },
    ["appended to nothing"] = { "[ ]", "v[1] = 1 v[2] = 2", "[1,2 ]" },
    ["the last element removed"] = { "[1.0, 2 ]", "v[2] = nil", "[1.0 ]" },
    ["the first element removed, the others to the byte"] = { "[1, 2.0, 3e0]", "table.remove(v, 1)", "[2.0, 3e0]" },
    ["one of the middle removed"] = { '[{"a":1.0}, {"a":2.0}, {"a":3.0}]', "table.remove(v, 2)", '[{"a":1.0}, {"a":3.0}]' },
    ["every other removed"] = { "[1.0,2.0,3.0,4.0,5.0]", "for i = 4, 2, -2 do table.remove(v, i) end", "[1.0,3.0,5.0]" },
    ["put in front"] = { "[1.0, 2.0]", "table.insert(v, 1, 'x')", '["x",1.0, 2.0]' },
    ["put in the middle"] = { "[1.0, 2.0]", "table.insert(v, 2, 'x')", '[1.0, "x",2.0]' },
    ["removed and another changed"] = { "[1.0,2.0,3.0]", "table.remove(v, 1) v[2] = 'x'", '[2.0,"x"]' },
    ["a scalar root"] = { ' "a" ', "v = 'b'", ' "b" ' },
    ["twins, not edited"] = { '{"a":1,"b":2,"a":1}', "", '{"a":1,"b":2,"a":1}' },
    ["twins of one number, spelt otherwise"] = { '{"a":1.0,"a":1,"b":2.50,"b":2.5}', "", '{"a":1.0,"a":1,"b":2.50,"b":2.5}' },
    ["twins, edited elsewhere"] = { '{"a":1,"b":2,"a":3}', "v.b = 4", '{"b":4,"a":3}' },
    ["twins, themselves edited"] = { '{"a":1,"b":2,"a":3}', "v.a = 4", '{"b":2,"a":4}' },
    ["twins, removed"] = { '{"a":1,"b":2,"a":3}', "v.a = nil", '{"b":2}' },
    ["twins, added to"] = { '{"a":1,"a":3}', "v.c = 4", '{"a":3,"c":4}' },
    ["twins, edited inside"] = { '{"a":{"x":1},"b":2,"a":{"x":2},"c":{"y":1.0}}', "v.c.y = 2", '{"b":2,"a":{"x":2},"c":{"y":2}}' },
    ["twins inside another member"] = { '{"a":{"x":1,"x":2},"b":2}', "v.b = 3", '{"a":{"x":1,"x":2},"b":3}' },
    ["taken out before one that differs by {} and [] alone"] = {
      '[{"a":1.0,"b":[]}, {"a":1.0,"b":{}}, {"a":2.0}]', "table.remove(v, 1)", '[{"a":1.0,"b":{}}, {"a":2.0}]' },
    ["swapped, each with its own bytes"] = {
      '[{"id":9007199254740993,"n":"a","m":[]},{"id":9007199254740992,"n":"b","m":{}}]', "v[1], v[2] = v[2], v[1]",
      '[{"id":9007199254740992,"n":"b","m":{}},{"id":9007199254740993,"n":"a","m":[]}]' },
    ["sorted backwards"] = {
      '[ {"n":1.0}, { "n":2e0 }, [3.0] ]', "v[1], v[3] = v[3], v[1]", '[ [3.0],{ "n":2e0 },{"n":1.0} ]' },
    ["the last put first"] = { '[{"n":1.0},[2.0],{"n":3.0}]', "table.insert(v, 1, table.remove(v))", '[{"n":3.0},{"n":1.0},[2.0]]' },
    ["moved and edited"] = {
      '[{"n":1.0,"z":[1.0,{"y":2.0}],"x":3.0},{"n":2.0}]', "v[1], v[2] = v[2], v[1] v[2].x = nil v[2].z[2].y = 7 v[2].w = {}",
      '[{"n":2.0},{"n":1.0,"z":[1.0,{"y":7}],"w":{}}]' },
    ["moved inside what was moved"] = {
      '[{"a":[{"n":1.0},{"n":2.0}]},{"b":1.0}]', "v[1], v[2] = v[2], v[1] v[2].a[1], v[2].a[2] = v[2].a[2], v[2].a[1]",
      '[{"b":1.0},{"a":[{"n":2.0},{"n":1.0}]}]' },
    ["one element twice"] = { '[{"n":1.0},{"n":2.0}]', "v[3] = v[1] v[4] = v[2]", '[{"n":1.0},{"n":2.0},{"n":1.0},{"n":2.0}]' },
    ["moved, and a new one in its place"] = {
      '[{"n":1.0},{"n":2.0},{"n":3.0}]', "v[1], v[3] = { n = 1 }, v[1]", '[{"n":1},{"n":2.0},{"n":1.0}]' },
    ["moved among texts"] = { '["x",{"n":1.0},"y",{"n":2.0},"z"]', "v[2], v[4] = v[4], v[2]", '["x",{"n":2.0},"y",{"n":1.0},"z"]' },
    ["filtered into another list"] = {
      '{"c":[{"n":1.0,"v":[]}, {"n":2.0,"v":{}}, {"n":3,"v":[]}]}',
      "local k = {} for _, x in ipairs(v.c) do if x.n > 1 then k[#k + 1] = x end end v.c = k",
      '{"c":[{"n":2.0,"v":{}}, {"n":3,"v":[]}]}' },
    ["another text's elements"] = {
      '[{"n":1.0},{"n":2.0}]', [[v = json.decode '[{"n":2e0},{"n":1e0}]']], '[{"n":2e0},{"n":1e0}]' },
    ["a copy without metatables"] = {
      '{"a":[{"n":1.0,"v":[]},{"n":2.0,"v":{}},[]],"b":[]}',
      "local function copy(t) if type(t) ~= 'table' then return t end local r = {} for k, x in pairs(t) do r[k] = copy(x) end return r end "
        .. "v = copy(v) v.a[2].n = 5", '{"a":[{"n":1.0,"v":[]},{"n":5,"v":{}},[]],"b":[]}' },
    ["an object where an array was, both empty"] = { '{"a":[],"b":{}}', "v.a = v.b", '{"a":{},"b":{}}' },
    ["a decoded empty object that becomes an array"] = { '{"b":{}}', "v.b[1] = 1", '{"b":[1]}' },
    ["an object emptied in its array"] = { '[{"n":1},[1]]', "v[1].n = nil v[1], v[2] = v[2], v[1]", '[[1],{}]' },
    ["a copied member"] = { '{"a":{"n":[1.0,[]]}}', "v.b = v.a", '{"a":{"n":[1.0,[]]},"b":{"n":[1.0,[]]}}' },
    ["moved to another member"] = {
      '{"a":{"i":12345678901234567890,"f":1.0,"e":1E2,"z":-0,"d":0.10,"n":5,"x":-7},"b":2}', "v.b, v.a = v.a, nil",
      '{"b":{"d":0.10,"e":1E2,"f":1.0,"i":12345678901234567890,"n":5,"x":-7,"z":-0}}' },
    ["swapped, of one double"] = {
      '{"a":{"i":12345678901234567890},"b":{"i":12345678901234567891}}', "v.a, v.b = v.b, v.a",
      '{"a":{"i":12345678901234567891},"b":{"i":12345678901234567890}}' },
    ["moved, and its numbers changed"] = {
      '{"a":{"f":1.0,"g":2.0,"l":[1.0,2.0]}}', "v.b, v.a = v.a, nil v.b.f = 3 v.b.l[2] = 4", '{"b":{"f":3,"g":2.0,"l":[1,4]}}' },
    ["a moved array that lost an element"] = {
      '{"a":[12345678901234567890,12345678901234567891,1.0]}', "v.b, v.a = v.a, nil table.remove(v.b, 1) v.b[3] = 2",
      '{"b":[12345678901234567000,1,2]}' },
    ["another text's member"] = { '{"a":1}', [[v.b = json.decode '{"n":1.0,"l":[2.50]}']], '{"a":1,"b":{"l":[2.50],"n":1.0}}' },
  }
  for what, case in pairs(cases) do
    it(what, function()
      local text = ("local v = json.decode(%q) %s return (core.merge(%q, v))"):format(case[1], case[2], case[1])
      assert.equal(case[3], eval(text))
    end)
  end

  it("no edit at all when nothing differs", function()
    assert.equal("0", eval [[local s = '{"a":[1.0,{"b":"\\u0061"}],"a":[1.0,{"b":"a"}]}' local _, n = core.merge(s, json.decode(s)) return n .. ""]])
  end)

  it("many members, with twins", function()
    assert.equal("same", eval [[
      local parts, expected = {}, {}
      for i = 1, 300 do
        parts[i] = ('"k%d":%d.0'):format(i % 200, i)
        -- 0 to 99 come again later, and 50 is gone
        if (i > 199 or i % 200 > 100) and i % 200 ~= 50 then expected[#expected + 1] = parts[i] end
      end
      local s = "{" .. table.concat(parts, ",") .. "}"
      local v = json.decode(s)
      v.k50, v.new = nil, true
      local merged = core.merge(s, v)
      return merged == "{" .. table.concat(expected, ",") .. ',"new":true}' and "same" or merged]])
  end)

  it("a long list with some taken out, quickly", function()
    assert.equal("same", eval [[
      local parts, kept = {}, {}
      for i = 1, 3000 do
        parts[i] = ('{"name":"tool%d","n":%d.0}'):format(i, i)
        if i % 7 ~= 0 then kept[#kept + 1] = parts[i] end
      end
      local s = "[" .. table.concat(parts, ",") .. "]"
      local v = json.decode(s)
      for i = 2996, 1, -1 do if i % 7 == 0 then table.remove(v, i) end end
      return core.merge(s, v) == "[" .. table.concat(kept, ",") .. "]" and "same" or "not the same"]])
  end)

  it("every second of a long list of numbers, each as it was written", function()
    assert.equal("same", eval [[
      local parts, kept = {}, {}
      for i = 1, 50000 do
        parts[i] = i .. ".0"
        if i % 2 == 0 then kept[#kept + 1] = parts[i] end
      end
      local s = "[" .. table.concat(parts, ",") .. "]"
      local v = json.decode(s)
      for i = 1, #v do v[i] = v[2 * i] end
      return core.merge(s, v) == "[" .. table.concat(kept, ",") .. "]" and "same" or "not the same"]])
  end)

  -- The work of a merge for a list of n and one of 2n, as the codec counts it: the elements, and what is done to v.
  local kinds = {
    ["few numbers"] = "return i % 3",
    equals = "return 1",
    strings = [[return '"' .. i .. '"']],
    objects = [[return '{"n":' .. i .. ',"m":[1,2]}']],
    arrays = [=[return '[' .. i .. ',[' .. i % 5 .. '],[]]']=],
  }
  local copied = "local function copy(t) if type(t) ~= 'table' then return t end local c = {} "
    .. "for k, x in pairs(t) do c[k] = copy(x) end return setmetatable(c, getmetatable(t)) end "
  local long_lists = {
    ["every second kept"] = "for i = 1, #v do v[i] = v[2 * i] end",
    ["every second kept, copied"] = copied .. "for i = 1, #v do v[i] = copy(v[2 * i]) end",
    ["the second half kept, copied"] = copied .. "local h = #v / 2 for i = 1, #v do v[i] = copy(v[h + i]) end",
    ["every second kept and all else put instead"] = "for i = 1, #v do v[i] = v[2 * i] and 'other' .. i % 100 end",
    ["every third put in anew"] = "local n = #v for i = 1, n do v[n + i] = v[i] end "
      .. "for i = 1, n do v[i * 3 / 2 - i * 3 / 2 % 1] = i end",
    ["every one twice"] = "for i = #v, 1, -1 do v[2 * i], v[2 * i - 1] = v[i], v[i] end",
    ["every one twice, copied"] = copied .. "for i = #v, 1, -1 do v[2 * i], v[2 * i - 1] = copy(v[i]), copy(v[i]) end",
    ["reversed"] = "for i = 1, #v / 2 do v[i], v[#v + 1 - i] = v[#v + 1 - i], v[i] end",
    ["reversed and halved"] = "local n = #v for i = 1, n / 2 do v[i] = v[n + 1 - i] end for i = n, n / 2, -1 do v[i] = nil end",
    ["shuffled"] = "local r = 1 for i = #v, 2, -1 do r = r * 16807 % 2147483647 v[i], v[r % i + 1] = v[r % i + 1], v[i] end",
    ["shuffled and halved"] = "local r, n = 1, #v for i = n, 2, -1 do r = r * 16807 % 2147483647 "
      .. "v[i], v[r % i + 1] = v[r % i + 1], v[i] end for i = n, n / 2, -1 do v[i] = nil end",
    ["sorted"] = "local p = {} for i, x in ipairs(v) do p[i] = { json.encode(x), x } end "
      .. "table.sort(p, function(a, b) return a[1] < b[1] end) for i, x in ipairs(p) do v[i] = x[2] end",
    ["many put in front"] = "local n, k = #v, #v / 4 for i = n, 1, -1 do v[i + k] = v[i] end for i = 1, k do v[i] = 'new' .. i end",
    ["one put in front and all changed"] = "for i = #v, 1, -1 do v[i + 1] = { i } end v[1] = true",
    ["one everywhere"] = "for i = 1, #v do v[i] = v[1] end",
    ["one everywhere and longer"] = "for i = 1, 2 * #v do v[i] = v[1] end",
    ["inner ones put outside"] = "for i = 1, #v, 2 do v[i] = type(v[i]) == 'table' and (v[i].m or v[i][2]) or v[i + 1] end",
    ["another list"] = "for i = 1, #v - 5 do v[i] = -i end for _ = 1, 5 do v[#v] = nil end",
  }

  local function work(source, change, n)
    return tonumber(eval(([[
      local n, element = %d, function(i) %s end
      local parts = {}
      for i = 1, n do parts[i] = element(i) end
      local s = "[" .. table.concat(parts, ",") .. "]"
      local v = json.decode(s)
      do %s end
      local merged, _, steps = core.merge(s, v)
      assert(json.encode(json.decode(merged)) == json.encode(v), "another value")
      return steps .. ""]]):format(n, source, change)))
  end

  local function no_more_than(factor, once, twice, what)
    assert(twice <= factor * once, ("%s: %d steps, then %d"):format(what, once, twice))
  end

  for what, change in pairs(long_lists) do
    it(("a long list, %s: twice as long is at most two and a half times the work"):format(what), function()
      for kind, source in pairs(kinds) do
        no_more_than(2.5, work(source, change, 15000), work(source, change, 30000), kind)
      end
    end)
  end

  it("a large element put into a list many times, emptied, costs no more than what is sent", function()
    local function emptied(n)
      return work(([[if i > 1 then return 0 end
        local members = {}
        for m = 1, %d do members[m] = '"m' .. m .. '":0' end
        return "{" .. table.concat(members, ",") .. "}"]]):format(n),
        "for k in pairs(v[1]) do v[1][k] = nil end for i = 1, n do v[i] = v[1] end", n)
    end
    no_more_than(2.5, emptied(2000), emptied(4000), "emptied")
  end)

  it("objects deep in each other with a member added to each are no more work than one with so many", function()
    local function deep(levels)
      return tonumber(eval(([[
        local levels = %d
        local s = ('{"a":'):rep(levels) .. "[" .. ("1,"):rep(5000) .. "1]" .. ("}"):rep(levels)
        local v = json.decode(s)
        local t = v
        for _ = 1, levels do t, t.new = t.a, true end
        local merged, _, steps = core.merge(s, v)
        assert(merged == ('{"a":'):rep(levels) .. "[" .. ("1,"):rep(5000) .. "1]" .. (',"new":true}'):rep(levels))
        return steps .. ""]]):format(levels)))
    end
    no_more_than(2.5, deep(1), deep(100), "deep")
  end)

  it("errors name the member", function()
    local why = fails [[local s = '{"a":{"b":[1]}}' local v = json.decode(s) v.a.b[1] = print return core.merge(s, v)]]
    assert.truthy(why:find("a.b[1]: a function can't be sent", 1, true), why)
    why = fails [[local s = '{"a":{"b":1}}' local v = json.decode(s) v.a.b = { { x = 0/0 } } return core.merge(s, v)]]
    assert.truthy(why:find("a.b[1].x: not a number", 1, true), why)
    why = fails [[local s = '{"a":{"b":1}}' local v = json.decode(s) v.a[3] = 1 return core.merge(s, v)]]
    assert.truthy(why:find("a: ", 1, true), why)
  end)

  it("leaves out an empty optional member that the source lacks", function()
    assert.equal('{"a":1}', eval [[return (core.merge('{"a":1}', { a = 1, o = {} }, "o"))]])
    assert.equal('{"o":null}', eval [[return (core.merge('{"o":null}', { o = {} }, "o"))]])
    assert.equal('{"a":1,"o":{"x":1}}', eval [[return (core.merge('{"a":1}', { a = 1, o = { x = 1 } }, "o"))]])
    assert.equal('{"a":{"b":1,"o":{}}}', eval [[return (core.merge('{"a":{"b":1}}', { a = { b = 1, o = {} } }, "o"))]])
  end)
end)
