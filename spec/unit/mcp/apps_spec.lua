-- MCP Apps: tools whose results a resource shows.
local S = require "spec.unit.mcp.support"

local function has_ui(tool) return S.lib.ln_apps_has_ui(S.J.text(tool)) end

describe("mcp/apps", function()
  after_each(function() assert.equal(0, S.J.release()) end)

  it("finds the resource that shows a tool, in both places", function()
    assert.is_true(has_ui '{"name":"t","_meta":{"ui":{"resourceUri":"ui://t"}}}')
    assert.is_true(has_ui '{"name":"t","_meta":{"x":1,"ui/resourceUri":"ui://t"}}')
    assert.is_true(has_ui [[{"_meta":{"\u0075i\/resourceUri":"ui://t"}}]])
  end)
  it("finds none anywhere else", function()
    for _, tool in ipairs { "{}", '{"ui":{"resourceUri":"ui://t"}}', '{"_meta":{}}', '{"_meta":{"other":{"ui":{}}}}',
      '{"_meta":["ui"]}', '{"_meta":"ui"}' } do
      assert.is_false(has_ui(tool), tool)
    end
  end)
end)
