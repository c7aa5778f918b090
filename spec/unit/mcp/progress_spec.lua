-- Rule 17: progress increases with each notification of it.
local S = require "spec.unit.mcp.support"
local R, lib, ffi = S.R, S.lib, S.ffi

-- Whether each of these values, one after the other, is more than what came before.
local function increases(...)
  local last, out = ffi.new("double[1]", -1), {}
  for i, value in ipairs { ... } do
    local m = assert(R.parse(('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1%s}}'):format(value),
      { strict = false }))
    out[i] = lib.ln_progress_increases(last, m.msg)
    lib.ln_msg_unref(m.msg)
  end
  return out, last[0]
end

describe("mcp/progress", function()
  after_each(function()
    local messages, blocks = R.left()
    assert.equal(0, messages)
    assert.equal(0, blocks)
  end)

  it("17: is more than the last, or is not passed on", function()
    local seen, last = increases(',"progress":0', ',"progress":1', ',"progress":1', ',"progress":0.5', ',"progress":1.5', ',"progress":15e-1')
    assert.same({ true, true, false, false, true, false }, seen)
    assert.equal(1.5, last)
  end)
  it("17: is let pass where there is no number to compare", function()
    local seen, last = increases(',"progress":2', "", ',"progress":"3"', ',"progress":null', ',"progress":2')
    assert.same({ true, true, true, true, false }, seen)
    assert.equal(2, last)
  end)
end)
