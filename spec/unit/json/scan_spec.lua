-- The validator: what is JSON, what is not and at which byte that shows, what it learns on its
-- way, its limits, and that hostile texts cost no more than others.
local J = require "spec.unit.json.support"

local function accepts(name, text, limits, learned)
  it("takes " .. name, function()
    for _, unique in ipairs { false, true } do
      limits = limits or {}
      limits.unique = unique
      local err, info = J.scan(text, limits)
      assert.are.equal("OK", err)
      for k, v in pairs(learned or {}) do assert.are.equal(v, info[k]) end
    end
  end)
end

local function refuses(name, text, at, err, limits)
  it("refuses " .. name, function()
    for _, unique in ipairs { false, true } do
      limits = limits or {}
      limits.unique = unique
      local got, info = J.scan(text, limits)
      assert.are.same({ err or "ESYNTAX", at }, { got, info.error_at })
    end
  end)
end

describe("ln_json_scan", function()
  after_each(function() assert.are.equal(0, J.release()) end)

  describe("structure", function()
    accepts("an empty object", "{}", nil, { type = "object" })
    accepts("an empty array", "[]", nil, { type = "array" })
    accepts("empty containers with space inside", "[{ }, [\t]]")
    accepts("null", "null", nil, { type = "null" })
    accepts("true", "true", nil, { type = "true" })
    accepts("false", "false", nil, { type = "false" })
    accepts("a lone string", '"x"', nil, { type = "string" })
    accepts("a lone number", "42", nil, { type = "number" })
    accepts("a lone negative number", "-1", nil, { type = "number" })
    accepts("an empty string", '""', nil, { type = "string" })
    accepts("an empty name", '{"":0}')
    accepts("space of all four kinds everywhere", " \t\r\n{ \"a\" \t:\r\n1 , \"b\"\n:[ 1\t,2 ] } \r\n")
    accepts("space for longer than a word", "[" .. (" "):rep(100) .. "1" .. ("\n" .. (" "):rep(37)):rep(3) .. "]")
    accepts("siblings of all kinds", '[null,true,false,1,"s",[],{}]')
    accepts("nested objects", '{"a":{"b":{"c":[{"d":null}]}}}')
    accepts("names that are prefixes of each other", '{"a":1,"aa":2,"aaa":3,"":4}')
    accepts("one name in different objects", '{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":3}}')

    refuses("nothing", "", 0)
    refuses("an absent text", nil, 0)
    refuses("space only", " \n ", 3)
    refuses("two values", "1 2", 2)
    refuses("two objects", "{}{}", 2)
    refuses("an object and a comma", "{},", 2)
    refuses("junk after an array", "[]x", 2)
    refuses("a closing bracket too many", "[1]]", 3)
    refuses("a closing bracket alone", "]", 0)
    refuses("a comma alone", ",", 0)
    refuses("a colon alone", ":", 0)
    refuses("an open array", "[", 1)
    refuses("an open object", "{", 1)
    refuses("an array cut after its value", "[1", 2)
    refuses("an array cut after a comma", "[1,", 3)
    refuses("an object cut after its name", '{"a"', 4)
    refuses("an object cut after a colon", '{"a":', 5)
    refuses("an object cut after a value", '{"a":1', 6)
    refuses("an object cut after a comma", '{"a":1,', 7)
    refuses("a mismatched bracket", "[1}", 2)
    refuses("a mismatched brace", '{"a":1]', 6)
    refuses("brackets that cross", '[{"a":[1}]]', 8)
    refuses("a trailing comma in an array", "[1,]", 3)
    refuses("a trailing comma in an object", '{"a":1,}', 7)
    refuses("a leading comma", "[,1]", 1)
    refuses("a comma in an empty array", "[,]", 1)
    refuses("a comma in an empty object", "{,}", 1)
    refuses("two commas", "[1,,2]", 3)
    refuses("two commas in an object", '{"a":1,,"b":2}', 7)
    refuses("values without a comma", '["a" "b"]', 5)
    refuses("members without a comma", '{"a":1 "b":2}', 7)
    refuses("a missing colon", '{"a" 1}', 5)
    refuses("a comma for a colon", '{"a",1}', 4)
    refuses("two colons", '{"a"::1}', 5)
    refuses("a colon in an array", '["a":1]', 4)
    refuses("a missing value", '{"a":}', 5)
    refuses("a missing name", "{:1}", 1)
    refuses("an unquoted name", "{a:1}", 1)
    refuses("a number for a name", "{1:1}", 1)
    refuses("null for a name", "{null:1}", 1)
    refuses("a container for a name", "{[]:1}", 1)
    refuses("single quotes", "{'a':1}", 1)
    refuses("a value in an object without a name", "{1}", 1)
    refuses("a block comment", "[1/*x*/]", 2)
    refuses("a line comment", "[1] // x", 4)
    refuses("a comment first", "/**/1", 0)
    refuses("a hash comment", "# x\n1", 0)
    refuses("a semicolon", "[1;2]", 2)
    refuses("parentheses", "(1)", 0)
    refuses("angle brackets", "<null>", 0)
    refuses("a form feed as space", "[\f1]", 1)
    refuses("a vertical tab as space", "[1\v]", 2)
    refuses("a no-break space", "[\194\1601]", 1)
    refuses("a NUL byte alone", "\0", 0)
    refuses("a NUL byte after the value", "1\0", 1)
    refuses("a NUL byte between tokens", "[1,\0 2]", 3)
    refuses("a delete character", "[\1271]", 1)
    refuses("a raw backslash", "[\\u0031]", 1)
  end)

  describe("literals", function()
    refuses("True", "True", 0)
    refuses("NULL", "NULL", 0)
    refuses("nul", "nul", 3)
    refuses("tru in an array", "[tru]", 4)
    refuses("fals3", "fals3", 4)
    refuses("nulll", "nulll", 4)
    refuses("truefalse", "truefalse", 4)
    refuses("NaN", "NaN", 0)
    refuses("nan", "nan", 1)
    refuses("Infinity", "Infinity", 0)
    refuses("-Infinity", "-Infinity", 1)
    refuses("undefined", "undefined", 0)
    refuses("a name without quotes", "abc", 0)
  end)

  describe("numbers", function()
    for _, n in ipairs {
      "0", "-0", "1", "-1", "10", "1234567890", "0.0", "-0.0", "0.5", "1.25", "10.01", "0e0", "0E0",
      "0e+1", "0e-1", "1e5", "1E5", "1e+5", "1E-5", "1e05", "1.5e10", "-1.5E+10", "-123.123e123",
      "0.1e1", "1e-0001", "9007199254740993", "18446744073709551616", "1e400", "-1e400", "1e-400",
      "123e100000000000000000000", "0.4e00669999999999999999999999999999999999999999999999999999999",
      ("9"):rep(1000), "0." .. ("3"):rep(1000), "-" .. ("1"):rep(100) .. "." .. ("2"):rep(100),
    } do
      accepts(#n > 40 and "a number of " .. #n .. " bytes" or n, n)
      accepts("in an array " .. (#n > 40 and "a number of " .. #n .. " bytes" or n), "[" .. n .. "]")
    end
    for n, at in pairs {
      ["-"] = 1, ["+1"] = 0, ["++1"] = 0, ["--1"] = 1, ["-+1"] = 1, ["- 1"] = 1, ["01"] = 1, ["-01"] = 2,
      ["00"] = 1, ["012"] = 1, ["0x1"] = 1, ["0b1"] = 1, ["0o1"] = 1, ["1_000"] = 1, ["1,000"] = 1,
      ["1 000"] = 2, [".5"] = 0, ["-.5"] = 1, ["5."] = 2, ["-5."] = 3, ["0."] = 2, ["1.e1"] = 2,
      [".e1"] = 0, ["1..2"] = 2, ["1.2.3"] = 3, ["1.-2"] = 2, ["1e"] = 2, ["1E"] = 2, ["1e+"] = 3,
      ["1e-"] = 3, ["1ee1"] = 2, ["1e1e1"] = 3, ["1e1.5"] = 3, ["1e+-1"] = 3, ["e1"] = 0, ["1a"] = 1,
      ["0a"] = 1, ["1.5f"] = 3, ["2n"] = 1, ["1-1"] = 1, ["1+2"] = 1, ["$1"] = 0, ["-a"] = 1,
      ["\239\188\145"] = 0, ["1\239\188\145"] = 1,
    } do
      refuses("the number " .. n, n, at)
    end
    refuses("a number cut in an array", "[-", 2)
    refuses("a number without digits in an object", '{"a":-}', 6)
  end)

  describe("strings", function()
    accepts("every short escape", [["\"\\\/\b\f\n\r\t"]])
    accepts("hexadecimal of both cases", [["\u00e9\u00E9\uABCD\uabcd\u0000\uFFFF"]])
    accepts("an escaped NUL", [["a\u0000b"]], nil, { lone_surrogates = false })
    accepts("what looks like a comment", '"/*x*/ // #"')
    accepts("brackets and commas", '"[]{},:"')
    accepts("a delete character", '"\127"')
    accepts("a backslash at the end", [["\\"]])
    accepts("an escaped quote at the end", [["\""]])
    accepts("a long run of backslashes", '"' .. ("\\\\"):rep(100) .. '"')
    accepts("a long string", '"' .. ("x"):rep(100000) .. '"')
    accepts("line separators of Unicode", '"\226\128\168\226\128\169"')

    refuses("a string cut", '"abc', 4)
    refuses("a quote alone", '"', 1)
    refuses("a quote that is escaped away", '"\\"', 3)
    refuses("a string cut in an escape", '"\\', 2)
    refuses("an escape of x", [["\x00"]], 2)
    refuses("an escape of a", [["\a"]], 2)
    refuses("an escape of v", [["\v"]], 2)
    refuses("an escape of a single quote", [["\'"]], 2)
    refuses("an escape of 0", [["\0"]], 2)
    refuses("an escape of U", [["\U0061"]], 2)
    refuses("an escape of a space", [["\ "]], 2)
    refuses("an escaped line break", '"\\\n"', 2)
    refuses("an escaped NUL byte", '"\\\0"', 2)
    refuses("an escaped byte that is not ASCII", '"\\\195\169"', 2)
    refuses("\\u without digits", [["\u"]], 3)
    refuses("\\u with one digit", [["\u1"]], 4)
    refuses("\\u with two digits", [["\u12"]], 5)
    refuses("\\u with three digits", [["\u123"]], 6)
    refuses("\\u with a sign", [["\u+123"]], 3)
    refuses("\\u with a space", [["\u 123"]], 3)
    refuses("\\u with a g", [["\u00g0"]], 5)
    refuses("\\u with a letter just before a", [["\u00`0"]], 5)
    refuses("\\u with an at sign", [["\u00@0"]], 5)
    refuses("\\u with a colon", [["\u000:"]], 6)
    refuses("\\u with a slash", [["\u/000"]], 3)
    refuses("\\u in braces", [["\u{61}"]], 3)
    refuses("\\u cut by the end", [["\u12]], 5)
    refuses("a bad second half of a pair", [["\ud83d\u12"]], 11)
    refuses("a pair cut by the end", [["\ud83d\u]], 9)
    for c = 0, 31 do refuses(("the raw control character %02x"):format(c), '"a' .. string.char(c) .. '"', 2) end
  end)

  describe("surrogates", function()
    local lone, paired = { lone_surrogates = true }, { lone_surrogates = false }
    accepts("a pair", [["\ud83d\ude00"]], nil, paired)
    accepts("pairs of every corner", [["\uD800\uDC00\uDBFF\uDFFF\ud800\udfff"]], nil, paired)
    accepts("no surrogates next to them", [["\ud7ff\ue000"]], nil, paired)
    accepts("a first half alone", [["\ud800"]], nil, lone)
    accepts("a second half alone", [["\udc00"]], nil, lone)
    accepts("halves in the wrong order", [["\ude00\ud83d"]], nil, lone)
    accepts("two first halves", [["\ud83d\ud83d"]], nil, lone)
    accepts("two first halves and a second", [["\ud83d\ud83d\ude00"]], nil, lone)
    accepts("a pair and a second half", [["\ud83d\ude00\ude00"]], nil, lone)
    accepts("a half before a short escape", [["\ud83d\n"]], nil, lone)
    accepts("a half before a backslash and u", [["\ud83d\\ude00"]], nil, lone)
    accepts("a half before other text", [["\ud83dabcdef"]], nil, lone)
    accepts("halves apart", [["\ud83d \ude00"]], nil, lone)
    accepts("a half in a name", [[{"\udead":1}]], nil, lone)
    accepts("a half deep inside", [[{"a":[{"b":"\udead"}]}]], nil, lone)
    accepts("surrogate escapes that are escaped", [["\\ud800"]], nil, paired)
  end)

  describe("encoding", function()
    accepts("two, three and four bytes", '"\195\169\226\130\172\240\159\152\128"')
    accepts("the first and last of each length",
      '"\127\194\128\223\191\224\160\128\237\159\191\238\128\128\239\191\191\240\144\128\128\244\143\191\191"')
    accepts("noncharacters", '"\239\191\190\239\183\144"')
    accepts("a byte order mark inside a string", '"\239\187\191"')
    accepts("a name that is not ASCII", '{"\208\175":1}')

    refuses("a byte order mark", "\239\187\191{}", 0)
    refuses("half a byte order mark", "\239\187{}", 0)
    refuses("UTF-16 little endian", "[\0\"\0\195\169\"\0]\0", 1)
    refuses("UTF-16 big endian", "\0[\0]", 0)
    refuses("UTF-16 with a mark", "\255\254[\0]\0", 0)
    refuses("UTF-32", "[\0\0\0]\0\0\0", 1)
    refuses("raw bytes outside a string", "[\195\169]", 1)

    local function bad(name, bytes, at)
      refuses(name, '"' .. bytes .. '"', 1 + (at or 0), "EUTF8")
      refuses(name .. ", after 16 bytes", '"0123456789abcdef' .. bytes .. '0123456789abcdef"', 17 + (at or 0), "EUTF8")
      refuses(name .. ", in a name", '{"' .. bytes .. '":1}', 2 + (at or 0), "EUTF8")
      refuses(name .. ", at the end", '"' .. bytes, 1 + (at or 0), "EUTF8")
    end
    bad("a continuation alone", "\128")
    bad("the last continuation alone", "\191")
    bad("a continuation too many", "\195\169\169", 2)
    bad("two bytes for an ASCII slash", "\192\175")
    bad("two bytes for U+007F", "\193\191")
    bad("three bytes for a slash", "\224\128\175")
    bad("three bytes for U+07FF", "\224\159\191")
    bad("four bytes for a slash", "\240\128\128\175")
    bad("four bytes for U+FFFF", "\240\143\191\191")
    bad("five bytes", "\248\136\128\128\128")
    bad("six bytes", "\252\132\128\128\128\128")
    bad("U+D800 raw", "\237\160\128")
    bad("U+DFFF raw", "\237\191\191")
    bad("a surrogate pair in six bytes", "\237\160\189\237\184\128")
    bad("U+110000", "\244\144\128\128")
    bad("U+13FFFF", "\244\191\191\191")
    bad("a lead byte F5", "\245\128\128\128")
    bad("byte FE", "\254")
    bad("byte FF", "\255")
    bad("Latin-1", "\233")
    bad("two bytes cut", "\195")
    bad("two bytes and no continuation", "\195A")
    bad("two bytes and a lead", "\195\195\169")
    bad("three bytes cut after one", "\226")
    bad("three bytes cut after two", "\226\130")
    bad("three bytes with a wrong second", "\226A\172")
    bad("three bytes with a wrong third", "\226\130A")
    bad("four bytes cut after three", "\240\159\152")
    bad("four bytes with a wrong second", "\240A\152\128")
    bad("four bytes with a wrong third", "\240\159A\128")
    bad("four bytes with a wrong fourth", "\240\159\152A")
    bad("a good one and a bad one", "\195\169\240\159\152\128\255", 6)
  end)

  describe("places of a byte", function()
    -- The inner loops take 16, 8 or 1 bytes: whatever matters must be seen at every offset and
    -- at every distance from the end.
    local specials = {
      { '"', "ESYNTAX", 1 }, { "\n", "ESYNTAX", 0 }, { "\31", "ESYNTAX", 0 }, { "\\q", "ESYNTAX", 1 },
      { "\128", "EUTF8", 0 }, { "\255", "EUTF8", 0 },
    }
    for _, special in ipairs(specials) do
      it(("sees byte %02x anywhere in a string"):format(special[1]:byte()), function()
        for before = 0, 40 do
          for after = 0, 40 do
            local text = '"' .. ("x"):rep(before) .. special[1] .. ("y"):rep(after) .. '"'
            local err, info = J.scan(text)
            local at = 1 + before + special[3]
            -- A quote ends the string: without anything after it the second quote is junk.
            assert.are.same({ special[2], at }, { err, info.error_at })
          end
          assert.are.equal(0, J.release())
        end
      end)
    end

    it("takes every other byte anywhere in a string", function()
      for c = 0x20, 0x7f do
        local ch = string.char(c)
        if ch ~= '"' and ch ~= "\\" then
          for n = 1, 34 do assert.are.equal("OK", (J.scan('"' .. ch:rep(n) .. '"'))) end
          J.release()
        end
      end
    end)

    it("ends an unfinished string at any length", function()
      for n = 0, 70 do
        local err, info = J.scan('"' .. ("x"):rep(n))
        assert.are.same({ "ESYNTAX", n + 1 }, { err, info.error_at })
      end
    end)

    it("refuses every proper prefix of a document", function()
      local text = [[{"a":[1,-2.5e+3,"\u00e9\ud83d\ude00]] .. "\226\130\172" .. [[x"],"b":{"c":null,"d":true,"e":false}}]]
      for n = 0, #text - 1 do
        local err, info = J.scan(text:sub(1, n), { unique = true })
        assert.are_not.equal("OK", err)
        assert.is_true(info.error_at <= n)
      end
      assert.are.equal("OK", (J.scan(text, { unique = true })))
    end)
  end)

  describe("what it learns", function()
    it("names the root's type also when the rest is wrong", function()
      for text, kind in pairs { ["{x"] = "object", [" [1"] = "array", ['"'] = "string", ["-"] = "number",
                                ["tru"] = "true", ["fx"] = "false", ["nul"] = "null", ["x"] = "none", [""] = "none" } do
        local err, info = J.scan(text)
        assert.are.same({ "ESYNTAX", kind }, { err, info.type })
      end
    end)

    it("reports line breaks between tokens only", function()
      for text, newlines in pairs {
        ["[1,2]"] = false, ["[1,\n2]"] = true, ["[1,\r2]"] = true, ["[\n]"] = true, ["{\r\n}"] = true,
        ['{"a"\n:1}'] = true, ['{"a":\n1}'] = true, ['{"a":1\n}'] = true, ["[1 ,\t2]"] = false,
        ["\n[1]"] = false, ["[1]\r\n"] = false, [" \n 1 \n "] = false, ['"\\n"'] = false, ["[1]\n\n"] = false,
        ['[ \t  \n1]'] = true,
      } do
        local err, info = J.scan(text)
        assert.are.same({ "OK", newlines }, { err, info.newlines }, text)
      end
    end)
  end)

  describe("limits", function()
    it("has a maximum of bytes", function()
      assert.are.equal("OK", (J.scan("[1,2]", { max_bytes = 5 })))
      local err, info = J.scan("[1,2]", { max_bytes = 4 })
      assert.are.same({ "ELIMIT", 4, "array" }, { err, info.error_at, info.type })
      assert.are.equal("ELIMIT", (J.scan("1", { max_bytes = 0 })))
    end)

    it("has a maximum of depth", function()
      assert.are.equal("OK", (J.scan("1", { max_depth = 0 })))
      local err, info = J.scan(" []", { max_depth = 0 })
      assert.are.same({ "EDEPTH", 1 }, { err, info.error_at })
      assert.are.equal("OK", (J.scan('[{"a":[]}]', { max_depth = 3 })))
      err, info = J.scan('[{"a":[]}]', { max_depth = 2 })
      assert.are.same({ "EDEPTH", 6 }, { err, info.error_at })
      assert.are.equal("OK", (J.scan("[[],[],{},[[]]]", { max_depth = 3 })))
    end)

    it("nests as deep as it is told", function()
      for _, depth in ipairs { 127, 128, 129, 255, 256, 257, 100000 } do
        for _, unique in ipairs { false, true } do
          local limits = { max_depth = depth, unique = unique }
          local arrays = ("["):rep(depth) .. ("]"):rep(depth)
          local objects = ('{"a":'):rep(depth) .. "1" .. ("}"):rep(depth)
          assert.are.equal("OK", (J.scan(arrays, limits)))
          assert.are.equal("OK", (J.scan(objects, limits)))
          limits.max_depth = depth - 1
          local err, info = J.scan(arrays, limits)
          assert.are.same({ "EDEPTH", depth - 1 }, { err, info.error_at })
          err, info = J.scan(objects, limits)
          assert.are.same({ "EDEPTH", 5 * (depth - 1) }, { err, info.error_at })
        end
      end
    end)

    it("stops at the limit in text that only opens", function()
      local err, info = J.scan(("["):rep(100000))
      assert.are.same({ "EDEPTH", 128 }, { err, info.error_at })
      err, info = J.scan(('[{"":'):rep(100000))
      assert.are.same({ "EDEPTH", 64 * 5 }, { err, info.error_at })
      err, info = J.scan(("["):rep(100000), { max_depth = 1000000 })
      assert.are.same({ "ESYNTAX", 100000 }, { err, info.error_at })
    end)

    it("tells kinds of brackets apart at every depth", function()
      local opens, closes = {}, {}
      for i = 1, 1000 do
        local array = (i * 7 % 3) == 0
        opens[i] = array and "[" or '{"k":'
        closes[1001 - i] = array and "]" or "}"
      end
      local text = table.concat(opens) .. "0" .. table.concat(closes)
      assert.are.equal("OK", (J.scan(text, { max_depth = 1000 })))
      local start = #table.concat(opens) + 1
      for i = 1, 1000 do
        local close = closes[i]
        closes[i] = close == "]" and "}" or "]"
        local err, info = J.scan(table.concat(opens) .. "0" .. table.concat(closes), { max_depth = 1000 })
        assert.are.same({ "ESYNTAX", start + i - 1 }, { err, info.error_at })
        closes[i] = close
        J.release()
      end
    end)

    it("has a maximum of members while names must be unique", function()
      local text = '{"a":1,"b":{"a":1,"b":2},"c":3}'
      assert.are.equal("OK", (J.scan(text, { unique = true, max_members = 3 })))
      local err, info = J.scan(text, { unique = true, max_members = 2 })
      assert.are.same({ "ELIMIT", 25 }, { err, info.error_at })
      assert.are.equal("OK", (J.scan(text, { max_members = 0 })))
      assert.are.equal("OK", (J.scan("[{},{}]", { unique = true, max_members = 0 })))
    end)
  end)

  describe("twin names", function()
    local function twin(name, text, at)
      it("finds " .. name, function()
        assert.are.equal("OK", (J.scan(text)))
        local err, info = J.scan(text, { unique = true })
        assert.are.same({ "EDUPLICATE", at }, { err, info.error_at })
      end)
    end
    local function no_twin(name, text)
      it("leaves " .. name, function() assert.are.equal("OK", (J.scan(text, { unique = true }))) end)
    end

    twin("neighbours", '{"a":1,"a":1}', 7)
    twin("names apart", '{"a":1,"b":{"c":[1,2]},"a":1}', 23)
    twin("empty names", '{"":1,"":2}', 6)
    twin("twins inside an array inside an object", '{"a":[{"b":1,"b":2}]}', 13)
    twin("twins after a nested object closed", '{"a":{"a":1},"a":2}', 13)
    twin("an escaped letter", '{"a":1,"\\u0061":2}', 7)
    twin("two different escapes", '{"\\u002f":1,"\\/":2}', 12)
    twin("hexadecimal of both cases", '{"\\u00e9":1,"\\u00E9":2}', 12)
    twin("an escape and its UTF-8", '{"\195\169":1,"\\u00e9":2}', 8)
    twin("a pair and its UTF-8", '{"\\ud83d\\ude00":1,"\240\159\152\128":2}', 18)
    twin("NUL escapes", '{"a\\u0000":1,"a\\u0000":2}', 13)
    twin("equal halves of pairs", '{"\\ud800":1,"\\uD800":2}', 12)
    no_twin("names that differ after NUL", '{"a\\u0000b":1,"a\\u0000c":2,"a":3}')
    no_twin("names of another case", '{"a":1,"A":2}')
    no_twin("names with another normal form", '{"\195\169":1,"e\204\129":2}')
    no_twin("different halves", '{"\\ud800":1,"\\ud801":2,"\\udc00":3}')
    no_twin("a name that looks escaped", '{"\\\\u0061":1,"a":2,"\\u005cu0061x":3}')
    no_twin("the same name as a value", '{"a":"a","b":"a"}')
    no_twin("strings in arrays", '["a","a",{"a":"a"}]')
    no_twin("siblings' names", '[{"a":1,"b":2},{"a":1,"b":2},{"b":1,"a":2}]')

    -- Up to some size names are compared one by one, past it by hash: every size around both.
    it("finds a twin of any member in an object of any size", function()
      for size = 1, 70 do
        local members = {}
        for i = 1, size do members[i] = ('"name%d":%d'):format(i, i) end
        local text = "{" .. table.concat(members, ",")
        assert.are.equal("OK", (J.scan(text .. "}", { unique = true })))
        for i = 1, size do
          local plain = ('{"name%d":0}'):format(i)
          local err, info = J.scan(text .. "," .. plain:sub(2), { unique = true })
          assert.are.same({ "EDUPLICATE", #text + 1 }, { err, info.error_at })
          local escaped = ('"n\\u0061me%d":0}'):format(i)
          err, info = J.scan(text .. "," .. escaped, { unique = true })
          assert.are.same({ "EDUPLICATE", #text + 1 }, { err, info.error_at })
        end
        J.release()
      end
    end)

    it("finds a plain twin of an escaped name in an object of any size", function()
      for size = 1, 70 do
        local members = {}
        for i = 1, size do members[i] = ('"\\u006eame%d":%d'):format(i, i) end
        local text = "{" .. table.concat(members, ",")
        assert.are.equal("OK", (J.scan(text .. "}", { unique = true })))
        local err, info = J.scan(text .. ',"name1":0}', { unique = true })
        assert.are.same({ "EDUPLICATE", #text + 1 }, { err, info.error_at })
        J.release()
      end
    end)

    -- Objects inside objects share one table: what a closed one held must be gone, what an open
    -- one holds must stay.
    it("keeps the names of nested objects apart", function()
      local function object(n, inner, at)
        local members = {}
        for i = 1, n do members[i] = ('"k%d":%s'):format(i, i == at and inner or "0") end
        return "{" .. table.concat(members, ",") .. "}"
      end
      local text = "0"
      for depth = 1, 40 do text = object(3 + depth * 7 % 60, text, 2) end
      assert.are.equal("OK", (J.scan(text, { unique = true })))
      for depth = 1, 40 do
        local inner, size = "0", 3 + depth * 7 % 60
        for d = 1, 40 do
          local n = 3 + d * 7 % 60
          inner = object(n, inner, 2)
          if d == depth then inner = inner:sub(1, -2) .. (',"k%d":1}'):format(size) end
        end
        assert.are.equal("EDUPLICATE", (J.scan(inner, { unique = true })))
        J.release()
      end
    end)

    it("compares long names to the last byte", function()
      local long = ("x"):rep(5000)
      local members = {}
      for i = 1, 40 do members[i] = ('"%s%02d":0'):format(long, i) end
      local text = "{" .. table.concat(members, ",")
      assert.are.equal("OK", (J.scan(text .. "}", { unique = true })))
      local err, info = J.scan(text .. (',"%s%02d":0}'):format(long, 40), { unique = true })
      assert.are.same({ "EDUPLICATE", #text + 1 }, { err, info.error_at })
      err, info = J.scan(text .. (',"\\u0078%s%02d":0}'):format(long:sub(2), 3), { unique = true })
      assert.are.same({ "EDUPLICATE", #text + 1 }, { err, info.error_at })
    end)
  end)

  describe("hostile texts", function()
    -- Two seconds are a thousand times what these take; quadratic work would take minutes.
    local function quick(name, make, limits, expected, at)
      it("is quick with " .. name, function()
        local text = make()
        local began = os.clock()
        limits.unique = true
        local err, info = J.scan(text, limits)
        assert.is_true(os.clock() - began < 2)
        assert.are.equal(expected or "OK", err)
        if at then assert.are.equal(at(text), info.error_at) end
      end)
    end
    local function object(n, format)
      local members = {}
      for i = 1, n do members[i] = format:format(i) end
      return "{" .. table.concat(members, ",") .. "}"
    end

    quick("half a million names", function() return object(500000, '"%x":0') end, { max_members = 1000000 })
    quick("half a million escaped names", function() return object(500000, '"\\u0061%x":0') end, { max_members = 1000000 })
    quick("a twin after half a million names", function() return object(500000, '"%x":0'):sub(1, -2) .. ',"1":0}' end,
      { max_members = 1000000 }, "EDUPLICATE", function(text) return #text - 6 end)
    quick("as many small objects", function() return "[" .. ('{"a":1,"b":2},'):rep(200000) .. "{}]" end, {})
    quick("as many objects just past the direct comparison",
      function() return "[" .. (object(17, '"k%d":0') .. ","):rep(20000) .. "{}]" end, {})
    quick("many names open at every level", function()
      local head = object(100, '"k%d":0'):sub(1, -2) .. ',"x":'
      return head:rep(2000) .. "0" .. ("}"):rep(2000)
    end, { max_depth = 2000 })
    quick("long names that share their beginning", function() return object(400, '"' .. ("y"):rep(10000) .. '%d":0') end, {})
    quick("long escaped names that share their beginning",
      function() return object(400, '"\\u0079' .. ("y"):rep(10000) .. '%d":0') end, {})
    quick("one long name of escapes", function() return '{"' .. ("\\u0061"):rep(500000) .. '":0}' end, {})
    quick("brackets a hundred thousand deep",
      function() return ("["):rep(100000) .. ("]"):rep(100000) end, { max_depth = 100000 })
    quick("space alone", function() return (" \n"):rep(2000000) end, {}, "ESYNTAX")
  end)
end)
