-- The timer wheel through simulated months.
local driver = require "spec.unit.net.driver"

describe("net/timer", function()
  setup(function() driver.build("wheel", "-luv") end)
  teardown(driver.remove)

  it("runs every timer in its tick, and wakes for little else", function()
    local r = driver.parse(driver.shell "$D wheel 2>&1")
    assert.same({ "1", "0", "0", "0", "1" }, { r.fired, r.early, r.late, r.lost, r.freed }, r.text)
    assert.is_true(tonumber(r.days) > 30, r.text)
    assert.is_true(tonumber(r.idle_percent) < 10, r.text)
  end)
end)
