-- Streams on descriptors: pipes, sockets, terminals, files, and the standard ones shared with others.
local driver = require "spec.unit.net.driver"

describe("net/stream on a descriptor", function()
  setup(function()
    driver.build "open"
    driver.shell "head -c 3000000 /dev/urandom >big; printf 'one\\ntwo\\n' >small"
  end)
  teardown(driver.remove)

  local function copied(text, bytes)
    local r = driver.parse(text)
    assert.equal(tostring(bytes), r.total)
    assert.same({ "1", "0", "2", "1" }, { r.ends, r.err_ends, r.closed, r.taken })
    assert.equal("0", r.handles)
    assert.equal("1", r.freed)
    assert.equal("0", r.live)
  end

  it("copies between pipes, however slow the reader", function()
    local text = driver.shell "{ cat big | $D open_copy | (sleep 0.2; cat) | cmp - big && echo same; } 2>&1"
    assert.truthy(text:find("same\n", 1, true), text)
    copied(text, 3000000)
  end)

  it("copies between regular files", function()
    local text = driver.shell "$D open_copy <big 2>&1 >copy; cmp copy big && echo same"
    assert.truthy(text:find("same\n", 1, true), text)
    copied(text, 3000000)
  end)

  it("meets the end of /dev/null at once, and writes to it", function()
    copied(driver.shell "$D open_copy </dev/null 2>&1 >/dev/null", 0)
    copied(driver.shell "$D open_copy <small 2>&1 >/dev/null", 8)
  end)

  it("works on a terminal and leaves it as it was", function()
    local text = driver.shell [[(printf 'hi there\n\004'; sleep 0.5) |
      script -qec "stty -echo; sleep 0.2; $D open_copy; $D open_flags; stty -a | tr ' ' '\n' | grep -x icanon" /dev/null |
      tr -d '\r']]
    copied(text, 9)
    assert.equal("1 1", driver.parse(text).block)
    assert.truthy(text:find("\nicanon\n", 1, true))
  end)

  it("leaves pipes that others share blocking, closed or not", function()
    assert.equal("block 1 1\n", driver.shell "(true | ($D open_copy 2>/dev/null; $D open_flags) | cat) 2>&1")
    assert.equal("block 1 1\n", driver.shell "(true | ($D open_die; $D open_flags) | cat) 2>&1")
  end)

  it("ends its stdout for the reader when the stream closes", function()
    assert.equal("last\neof\nexit now\n", driver.shell [[
      { exec $D open_end_of_stdout 2>>log; } | { cat >>log; echo eof >>log; }; cat log]])
  end)

  it("waits for a thread that reads before it is gone", function()
    local r = driver.run("open_file_close", driver.directory() .. "/big")
    assert.equal("0", r.reads)
    assert.equal("1", r.closed)
  end)

  it("refuses what is no stream and leaves it to the caller", function()
    local r = driver.run "open_bad"
    assert.same({ "1", "1", "1" }, { r.closed_fd, r.udp, r.still_ours })
  end)

  it("tells that a pipe broke, at once or when it shows", function()
    local r = driver.run "open_broken_pipe"
    assert.same({ "ECLOSED", "ECLOSED" }, { r.at_once, r.again })
    assert.same({ "OK", "1" }, { r.queued, r.took })
    assert.equal("1", r.err_ends)
    assert.equal("2", r.closed)
  end)

  it("ends its side and lives on", function()
    local r = driver.run "open_shutdown"
    assert.same({ "1", "1", "10", "2" }, { r.pipe, r.socket, r.heard, r.closed })
  end)
end)
