-- Streams over TCP: reading, writing, marks, ends.
local driver = require "spec.unit.net.driver"

describe("net/stream", function()
  setup(function() driver.build "stream echo" end)
  teardown(driver.remove)

  for _, host in ipairs { "127.0.0.1", "localhost" } do
    it("echoes through " .. host, function()
      local r = driver.run("echo", host)
      assert.same({ "1", "OK", "9", "1", "1", "OK", "1" },
        { r.connects, r.err, r.got, r.same, r.ends, r.end_err, r.closed })
      assert.equal("1", r.accepted)
      assert.equal("1", r.server_closed)
    end)
  end

  it("bounds what is queued for a slow reader, and tells when to go on", function()
    local r = driver.run "slow_reader"
    assert.equal("1", r.client_full)
    assert.equal("1", r.got_all)
    assert.equal("1", r.same)
    assert.equal("1", r.client_drains)
    assert.equal("1", r.server_full)
    assert.equal("1", r.server_drained_as_often)
    assert.equal("1", r.server_bounded)
    assert.equal("1", r.block_refs)
  end)

  it("writes many parts whole and in order, and takes nothing of what is too much", function()
    local r = driver.run "huge"
    assert.equal("ELIMIT", r.too_much)
    assert.equal("1", r.nothing_taken)
    assert.equal("ECLOSED", r.after_shutdown)
    assert.equal("1", r.got_all)
    assert.equal("1", r.same)
    assert.equal("1", r.drains)
    assert.equal("0", r.end_err)
    assert.equal("0", r.server_end_errors)
    assert.equal("1", r.block_refs)
  end)

  it("ends one side and still hears the other", function()
    local r = driver.run "half_close"
    assert.equal("question", r.heard)
    assert.equal("answer after your end", r.answer)
    assert.same({ "1", "OK", "1", "OK", "1" }, { r.connects, r.err, r.ends, r.end_err, r.closed })
  end)

  it("tells of a reset", function()
    local r = driver.run "peer_reset"
    assert.same({ "1", "ECLOSED", "1" }, { r.ends, r.end_err, r.closed })
  end)

  it("gets its last words through to a peer that is still writing", function()
    local r = driver.run "last_words"
    assert.same({ "413 too large", "1", "1" }, { r.heard, r.clean, r.closed })
  end)

  it("closes each of many once, whatever is done to them at whatever time", function()
    for seed = 1, 3 do
      local r = driver.run("storm", seed)
      assert.same({ "300", "1", "1" }, { r.once, r.server, r.block_refs })
    end
  end)

end)
