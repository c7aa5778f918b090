-- What counts as JSON in a message, from a client over either transport: what the grammar allows arrives to the
-- byte, what it forbids is refused and harms nothing that follows, and what it leaves open is decided once (the
-- decisions are in src/json/README.md). The scanner alone is in unit/json/scan_spec.lua.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local function deep(n) return ("["):rep(n) .. ("]"):rep(n) end

local allowed = {
  -- structure and white space
  "{}", "[]", "[ ]", "{ }", '[[[],{}],{"":[]}]', " \t[1,\t2 ] ", '{"":0}', '{"a":{"a":{"a":1}}}', "[[],[[]],[]]", deep(60),
  "true", "false", "null", "[true,false,null]", '[{"a":null},null]',
  -- numbers
  "0", "-0", "7", "-7", "10", "1234567890", "0.0", "-0.5", "3.25", "1e5", "1E5", "1e+5", "1e-5", "1.5E+10", "-0e-1", "0e1", "100000e0",
  "0.000000000000000000000000000000000000001", "-12.75e+02",
  -- strings
  '""', '" "', '"a"', [["\"\\\/\b\f\n\r\t"]], [["\u0000"]], [["\u001F\u007f\u00e9\uD83C\udf19"]], '"\127"', '"ü \226\130\172 \240\159\140\153"',
  '"\239\191\190 \239\191\191 \244\143\191\191"', '"\226\128\168\226\128\169"', [["\\u0061"]], [["http:\/\/x"]], '"/* no comment */ // nor this"',
  '"[{]}"', [["\uDBFF\uDFFF"]],
  -- names
  [[{"\u0061":1,"b":2}]], [[{"a\nb":1,"\"":2,"{":3}]], '{"a":1,"A":2,"á":3}', [[{"\uD83C\uDF19":1}]],
}

local forbidden = {
  -- structure
  "", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1]]", "[[1]", "[1}", "{1]", '{"a"}', '{"a":}', '{"a":1,}',
  '{,"a":1}', '{"a":1,,"b":2}', '{"a" 1}', '{"a"::1}', '{"a":1 "b":2}', "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{[]:1}", '{"a":1}}', "[:1]",
  "1 2", '"a" "b"', "[1]x", "<x>", "[]\0", "(1)", "a", "[*]",
  -- comments, white space that is none
  "[1]//", "/**/1", "[1,/* x */2]", "#", "[1,\v2]", "[\f1]", "[\194\1601]", "[\226\128\1681]", "\239\187\191[]", "[\0]",
  -- literals
  "True", "nul", "nulll", "tru", "TRUE", "undefined", "NaN", "Infinity", "-Infinity", "nan", "[truefalse]",
  -- numbers
  "01", "-01", "00", "+1", "-", "--1", "1.", ".5", "-.5", "1.e3", "1e", "1e+", "1E-", "1e1.5", "0x1F", "1_000", "1,5x", "0b1", "1f", "1 .5", "- 1",
  "\239\188\145", "1.2.3", "1e2e3", "0.e1", "2.", "1ee2",
  -- strings
  '"', '"a', 'a"', "'a'", '"\\"', [["\x41"]], [["\a"]], [["\'"]], [["\u"]], [["\u12"]], [["\u12G4"]], [["\U0041"]], [["\0"]], '"\t"', '"\1"', '"\0"',
  '"\31"', "`a`", [[\u0022a\u0022]],
  -- text that is no UTF-8
  '"\255"', '"\192\175"', '"\224\128\175"', '"\237\160\128"', '"\244\144\128\128"', '"\128"', '"\195"', '"\226\130"', '"\240\159\140"', "\255\254[\0]\0",
  "\254\255\0[\0]", "[\0]\0",
}

-- Valid, and refused all the same: what two readers take differently (rules 78 and 80), and what has no end (12).
local unwanted = { '{"a":1,"a":2}', [[{"a":1,"\u0061":2}]], '[{"x":{"b":[],"b":[]}}]', deep(600) }

-- Left open by the grammar: taken, and passed on as they came.
local open = { "1e400", "-1e400", "1e-400", "123456789012345678901234567890", "-0.0", "0.1000000000000000055511151231257827",
  [["\uD800"]], [["\uDC00\uD800"]], [["\uD83C x"]], [[{"\uDEAD":1}]] }

for _, transport in ipairs { "stdio", "http" } do
  describe("JSON over " .. transport, function()
    local client, up

    setup(function()
      client, up = lunette.between({ transport, "stdio" }, { tools = '[{"name":"t","inputSchema":{"type":"object"}}]' },
        { flags = { "--log-level", "none" } })
      up:on("tools/call", function() return '{"content":[]}' end)
      client:initialize()
    end)
    teardown(lunette.finish)

    local function params(value) return '{"name":"t","arguments":{"v":' .. value .. ',"z":1}}' end

    -- The error that a whole text is answered with: for whom, is said where it can be told, and never null (rule 4).
    local function refusal(raw)
      if transport == "http" then
        local response = client:post(raw)
        assert.equal(400, response.status, raw)
        assert.falsy(response.body:find('"id":null', 1, true), response.body)
        return json.value(response.body, "error", "code")
      end
      client:send(raw)
      local answer = loop.wait(function() return table.remove(client.inbox, 1) end, "an answer to " .. raw)
      assert.falsy(answer.raw:find('"id":null', 1, true), answer.raw)
      return json.value(answer.raw, "error", "code")
    end

    for name, list in pairs { ["the grammar allows"] = allowed, ["the grammar leaves open"] = open } do
      it("5, 6, 10: that " .. name .. " arrives to the byte", function()
        for _, value in ipairs(list) do
          local before = up:count "tools/call"
          client:result("tools/call", params(value))
          assert.equal(params(value), up:wait("tools/call", before + 1).params)
        end
      end)
    end

    it("4, 10, 82: that the grammar forbids is refused, as an argument and as a whole, and the next message is heard", function()
      local before = up:count "tools/call"
      for i, value in ipairs(forbidden) do
        assert.equal(-32700, refusal(('{"jsonrpc":"2.0","id":"x%d","method":"tools/call","params":%s}'):format(i, params(value))), value)
        -- A line with nothing on it is no message, and no mistake either.
        if transport == "http" or value ~= "" then assert.equal(-32700, refusal(value), value) end
        client:result "ping"
      end
      assert.equal(before, up:count "tools/call")
    end)

    it("12, 78: that is valid but nobody can rely on is refused as no request of ours", function()
      local before = up:count "tools/call"
      for i, value in ipairs(unwanted) do
        assert.equal(-32600, refusal(('{"jsonrpc":"2.0","id":"x%d","method":"tools/call","params":%s}'):format(i, params(value))), value)
        client:result "ping"
      end
      assert.equal(before, up:count "tools/call")
    end)
  end)
end
