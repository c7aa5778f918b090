-- Going over a list while it changes. The loops are macros, so list_driver.c runs them.
local ffi = require "ffi"

ffi.cdef [[
  const char *list_each(const char *text, const char *removed);
  const char *list_left(void);
  const char *list_restart(const char *text, char at, const char *removed);
  const char *list_drain(const char *text, char at, const char *removed, const char *added);
  const char *list_move(const char *to, const char *from);
]]

describe("ln_list", function()
  local driver
  setup(function() driver = require("spec.support.ffi").driver "unit/base/list_driver.c" end)

  local function each(...) return ffi.string(driver.list_each(...)), ffi.string(driver.list_left()) end
  local function restart(text, at, removed) return ffi.string(driver.list_restart(text, at:byte(), removed)) end
  local function drain(text, at, ...) return ffi.string(driver.list_drain(text, at:byte(), ...)) end
  local function moved(...) return ffi.string(driver.list_move(...)) end

  it("LN_LIST_EACH meets every node, also where it removes what it has met", function()
    assert.same({ "", "|" }, { each("", "") })
    assert.same({ "123", "123|321" }, { each("123", "") })
    assert.same({ "123", "13|31" }, { each("123", "2") })
    assert.same({ "123", "|" }, { each("123", "123") })
  end)
  it("LN_LIST_RESTART goes on with the first that is left", function()
    assert.equal("1214", restart("1234", "2", "3"))
    assert.equal("12134", restart("1234", "2", ""))
    assert.equal("12", restart("1234", "2", "134"))
    assert.equal("1234123", restart("1234", "4", ""))
    assert.equal("1", restart("1", "1", ""))
  end)
  it("LN_LIST_DRAIN leaves nothing, whatever its body removes or adds", function()
    assert.equal("", drain("", "1", "", ""))
    assert.equal("123", drain("123", "9", "", ""))
    assert.equal("13", drain("123", "1", "2", ""))
    assert.equal("1", drain("123", "1", "23", ""))
    assert.equal("12345", drain("123", "3", "", "45"))
    assert.equal("1234", drain("123", "3", "", "4"))
    assert.equal("|", ffi.string(driver.list_left()))
  end)
  it("ln_list_move keeps the order", function()
    assert.equal("1234|4321", moved("12", "34"))
    assert.equal("12|21", moved("12", ""))
    assert.equal("34|43", moved("", "34"))
    assert.equal("|", moved("", ""))
    assert.equal("123|321", moved("12", "3"))
  end)
end)
