-- The table of errors: dense, named, and total.
local B = require "spec.unit.base.support"
local lib, ffi = B.lib, B.ffi

local rows = {
  { "ENOMEM", -32603 }, { "ELIMIT", -32600 }, { "ESYNTAX", -32700 }, { "EUTF8", -32700 }, { "EDEPTH", -32600 },
  { "EDUPLICATE", -32600 }, { "EINVALID", -32600 }, { "EPARAMS", -32602 }, { "ENOTFOUND", -32602 },
  { "EMETHOD", -32601 }, { "EREFUSED", -32600 }, { "ECLOSED", -32603 }, { "ETIMEOUT", -32603 },
  { "ECANCELLED", -32603 }, { "ECONNECT", -32603 }, { "EPROTOCOL", -32603 }, { "ESYSTEM", -32603 },
  { "EBUSY", -32603 }, { "ESCRIPT", -32603 }, { "EAGAIN", -32603 }, { "EFULL", -32603 },
}

describe("the error table", function()
  it("has a name, a number, a sentence and a code in every row", function()
    local seen = {}
    for i, row in ipairs(rows) do
      assert.are.equal(row[1], B.err(-i))
      assert.are.equal(-i, tonumber(ffi.cast("int", ffi.new("enum ln_err", "LN_" .. row[1]))))
      assert.are.equal(row[2], lib.ln_err_rpc_code(-i))
      local text = ffi.string(lib.ln_err_text(-i))
      assert.is_true(#text > 5)
      assert.is_nil(seen[text])
      seen[text] = true
    end
  end)

  it("calls 0 no error", function()
    assert.are.equal("OK", B.err(0))
    assert.are.equal("no error", ffi.string(lib.ln_err_text(0)))
  end)

  it("knows what to say about any other number", function()
    for _, rc in ipairs { 1, -(#rows + 1), 77, -77, 2147483647, -2147483648, -2147483647 } do
      assert.are.equal("EUNKNOWN", B.err(rc))
      assert.are.equal("an unknown error", ffi.string(lib.ln_err_text(rc)))
      assert.are.equal(-32603, lib.ln_err_rpc_code(rc))
    end
  end)
end)
