-- Watching files: what is told, when, and how often.
local driver = require "spec.unit.net.driver"

describe("net/watch", function()
  setup(function() driver.build("watch", "-luv") end)
  teardown(driver.remove)

  local n = 0
  -- Runs a scenario in a directory of its own.
  local function run(scenario)
    n = n + 1
    local dir = driver.directory() .. "/" .. n
    driver.shell("mkdir " .. dir)
    return driver.run(scenario, dir)
  end

  local function told(times, r)
    assert.same({ tostring(times), "1" }, { r.told, r.soon }, r.text)
  end

  it("tells of a file saved in place, replaced, moved away and written anew", function() told(3, run "saved") end)
  it("doesn't tell of neighbours, nor of reading", function() told(0, run "untouched") end)
  it("doesn't tell of a file written with what it has", function() told(0, run "rewritten") end)
  it("tells of a change that came before it was watched", function() told(1, run "late") end)
  it("tells when any link on the way leads elsewhere, and of the file behind it", function() told(4, run "links") end)
  it("survives links in a circle", function() told(1, run "circle") end)
  it("waits for what follows a truncation", function()
    local r = run "truncated"
    told(1, r)
    assert.equal("5", r.size)
  end)
  it("tells of a file that stays empty", function() told(1, run "emptied") end)
  it("tells of a change made while the last was being dealt with", function() told(2, run "meanwhile") end)
  it("tells so of a file that is new in the set", function() told(2, run "meanwhile_new") end)
  it("takes one cut short while the last change was dealt with for no whole one", function()
    local r = run "cut_meanwhile"
    told(2, r)
    assert.equal("5", r.size)
  end)
  it("tells so of one cut short before it was read", function()
    local r = run "cut_before_read"
    told(2, r)
    assert.equal("5", r.size)
  end)
  it("tells when it is asked to, once what is being written is whole", function()
    local r = run "asked"
    told(2, r)
    assert.equal("5", r.size)
  end)
  it("tells of a file that goes and comes back", function() told(2, run "gone") end)
  it("has one handle a directory, however often it is set", function()
    local r = run "again"
    told(1, r)
    assert.equal("2", r.watching)
  end)
  it("misses nothing in a crowd of changes", function()
    local r = run "storm"
    assert.same({ "1", "1" }, { r.last, r["then"] }, r.text)
  end)
end)
