-- The loop: timers, tasks, signals, and the count of what is open.
local driver = require "spec.unit.net.driver"

describe("net/loop", function()
  setup(function() driver.build "timer" end)
  teardown(driver.remove)

  it("fires timers in order, never early, little late", function()
    local r = driver.run "precision"
    assert.equal("300", r.fired)
    assert.equal("0", r.early)
    assert.equal("0", r.disorder)
    assert.is_true(tonumber(r.late_ms) <= 30 * driver.slow, r.late_ms)
  end)

  it("counts from now, not from the beginning of a long callback", function()
    local r = driver.run "stale_clock"
    assert.equal("1", r.fired)
    assert.equal("0", r.early)
    assert.is_true(tonumber(r.late_ms) <= 30 * driver.slow, r.late_ms)
  end)

  it("lets callbacks start, restart and stop timers, those due now too", function()
    local r = driver.run "from_inside"
    assert.equal("aaac", r.order)
    assert.equal("1", r.short)
  end)

  it("sleeps while nothing is due, whatever was started and stopped", function()
    assert.is_true(tonumber(driver.run "no_wakeups".sleeps) <= 3)
  end)

  it("holds deadlines from seconds to the end of time", function()
    assert.equal("64", driver.run "far".running)
  end)

  it("runs tasks once, those posted from a task one turn later", function()
    local r = driver.run "tasks"
    assert.equal("111t2", r.order)
    assert.equal("1", r.short)
  end)

  it("tells of signals without staying alive for them, and ignores SIGPIPE", function()
    local r = driver.run "signals"
    assert.truthy(r.text:find("signal 2\nsignal 15\nsignal 1\n", 1, true))
    assert.equal("1", r.sigpipe_ignored)
  end)

  it("refuses to be freed while something is open", function()
    local r = driver.run "busy"
    assert.equal("1", r.open)
    assert.equal("1", r.refused)
  end)
end)
