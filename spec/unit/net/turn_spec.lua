-- Turns of the loop: how long they are, what made them so, and the end of one that never ends.
local driver = require "spec.unit.net.driver"

describe("net/turn", function()
  setup(function() driver.build "turn" end)
  teardown(driver.remove)

  it("tells of a long turn, with what it was spent on, and counts it", function()
    local r = driver.run "long_turn"
    assert.same({ "1", "1", "1" }, { r.long, r.more, r.total })
    local text = driver.stderr()
    assert.truthy(text:find "warn loop: nobody else was served for 0%.%d+ s, 0%.%d+ s of it by this: two: long\n", text)
    assert.equal(1, select(2, text:gsub("warn loop", "")))
  end)

  it("ends a process whose loop stands still, and says what it was at", function()
    local out = driver.shell "timeout 30 $D stuck 100 2>&1; echo code $?"
    assert.truthy(out:find("error watchdog: upstream bad: tools/call: has held everybody up for 2 s: ending the process", 1, true), out)
    assert.truthy(out:find "code 3\n$", out)
  end)

  it("does so after the time that it has, and never when there is none", function()
    local out = driver.shell "timeout 30 $D stuck 3500 2>&1; echo code $?; timeout 4 $D stuck 0 2>&1; echo code $?"
    assert.truthy(out:find "for 4 s: ending the process\ncode 3\ncode 124\n$", out)
  end)

  it("leaves a process alone that is halted, idle, busy for a while, or out of its loop", function()
    local r = driver.run "idle"
    assert.equal("0", r.errors)
    -- Halted in the middle of what takes a while.
    local out = driver.shell "$D idle >out 2>&1 & sleep 3; kill -STOP $!; sleep 4; kill -CONT $!; wait $!; cat out"
    assert.truthy(out:find "errors 0\n", out)
  end)
end)
