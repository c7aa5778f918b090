-- Connecting and listening over TCP: what is refused, takes too long, or is given up.
local driver = require "spec.unit.net.driver"

describe("net/connect", function()
  setup(function() driver.build "connect echo" end)
  teardown(driver.remove)

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

  it("stops accepting without descriptors, and goes on by itself", function()
    local r = driver.run "exhaustion"
    assert.equal("5", r.got)
    assert.equal("1", r.waited)
    assert.equal("1", r.accepted)
    local _, warnings = driver.stderr():gsub("too many open files", "")
    assert.equal(1, warnings)
  end)

  it("says why it can't listen", function()
    local r = driver.run "listen_fails"
    assert.same({ "ESYSTEM", ": address already in use" }, { r.taken, r.taken_why })
    assert.same({ "EPARAMS", "can't listen on nowhere: it is not an IP address" }, { r.name, r.name_why })
    assert.same({ "ESYSTEM", "can't listen on 192.0.2.1:1: address not available" }, { r.foreign, r.foreign_why })
  end)
end)
