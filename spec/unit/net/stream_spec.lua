-- Streams over TCP: connecting, listening, reading, writing, marks, ends.
local driver = require "spec.unit.net.driver"

describe("net/stream", function()
  setup(function() driver.build "stream" end)
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

  it("says what was refused", function()
    local r = driver.run("connect_to", "127.0.0.1", 1, 0)
    assert.same({ "1", "ECONNECT", "0", "1" }, { r.connects, r.err, r.ends, r.closed })
    assert.equal("could not connect to 127.0.0.1:1: connection refused", r.why)
  end)

  it("tries a name's addresses in turn and says what came of the last", function()
    local r = driver.run("connect_to", "localhost", 1, 0)
    assert.same({ "1", "ECONNECT", "1" }, { r.connects, r.err, r.closed })
    assert.equal("could not connect to localhost:1: connection refused", r.why)
  end)

  it("says when a host is not known", function()
    local r = driver.run("connect_to", "no-such-host.invalid", 80, 20000)
    assert.same({ "1", "ECONNECT", "1" }, { r.connects, r.err, r.closed })
    assert.equal("no address for the host no-such-host.invalid: ", r.why:match "^(.-: )")
  end)

  it("gives up connecting in time", function()
    local r = driver.run "connect_timeout"
    assert.same({ "1", "ETIMEOUT", "1", "1" }, { r.connects, r.err, r.in_time, r.closed })
    assert.truthy(r.why:find "^connecting to 127%.0%.0%.1:%d+ took longer than 0%.3 s$")
  end)

  it("can be closed at any time while it connects", function()
    local r = driver.run "cancel"
    assert.equal("6", r.closed)
    assert.equal("0", r.early_connects)
    assert.equal("2", r.late_connects)
  end)

  it("tells of a reset", function()
    local r = driver.run "peer_reset"
    assert.same({ "1", "ECLOSED", "1" }, { r.ends, r.end_err, r.closed })
  end)

  it("gets its last words through to a peer that is still writing", function()
    local r = driver.run "last_words"
    assert.same({ "413 too large", "1", "1" }, { r.heard, r.clean, r.closed })
  end)

  it("stops accepting without descriptors, and goes on by itself", function()
    local r = driver.run "exhaustion"
    assert.equal("5", r.got)
    assert.equal("1", r.waited)
    assert.equal("1", r.accepted)
    local _, warnings = driver.stderr():gsub("too many open files", "")
    assert.equal(1, warnings)
  end)

  it("closes each of many once, whatever is done to them at whatever time", function()
    for seed = 1, 3 do
      local r = driver.run("storm", seed)
      assert.same({ "300", "1", "1" }, { r.once, r.server, r.block_refs })
    end
  end)

  it("says why it can't listen", function()
    local r = driver.run "listen_fails"
    assert.same({ "ESYSTEM", ": address already in use" }, { r.taken, r.taken_why })
    assert.same({ "EPARAMS", "can't listen on nowhere: it is not an IP address" }, { r.name, r.name_why })
    assert.same({ "ESYSTEM", "can't listen on 192.0.2.1:1: address not available" }, { r.foreign, r.foreign_why })
  end)
end)
