-- String values as texts of their own.
local J = require "spec.unit.json.support"
local lib, ffi = J.lib, J.ffi

local function text(value)
  local block = lib.ln_json_text(J.text(value))
  if block == nil then return nil end
  local s = ffi.string(block.data, block.len)
  lib.ln_bytes_unref(block)
  return s
end

describe("ln_json_text", function()
  after_each(function() assert.are.equal(0, J.release()) end)

  it("unescapes a string value", function()
    assert.are.equal("abc", text '"abc"')
    assert.are.equal('a"b\n\195\169', text [["a\"b\n\u00e9"]])
    assert.are.equal("a\0b", text [["a\u0000b"]])
    assert.are.equal("x", text ' "x" ')
  end)
  it("gives an empty block for an empty string", function() assert.are.equal("", text '""') end)
  it("replaces half a surrogate pair", function() assert.are.equal("a\239\191\189", text [["a\ud800"]]) end)
  it("has room for whatever its value becomes", function()
    for _, raw in ipairs { [[\ud800]], [[\u00e9]], "\240\159\152\128", [[\n]], "x" } do
      for n = 1, 300, 13 do assert.is_truthy(text('"' .. raw:rep(n) .. '"')) end
    end
  end)
  it("gives nothing for what is no string", function()
    for _, value in ipairs { "1", "null", "{}", '["a"]', "", '"' } do assert.is_nil(text(value)) end
    assert.is_nil(text(nil))
  end)
end)
