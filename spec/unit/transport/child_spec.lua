-- The child transport: messages as lines, stderr in the log and in the reason of the end.
local driver = require "spec.unit.net.driver"

describe("transport/child", function()
  setup(function() driver.build "child" end)
  teardown(driver.remove)

  local function run(script, greeting, close_after)
    return driver.run("child_run", script, greeting or "", close_after or 0)
  end
  local function counts(r, ready, messages, failed, drain)
    assert.equal(("%d ready, %d messages, %d failed, %d drain, 1 closed"):format(ready, messages, failed or 0, drain or 0),
      r.counts)
  end

  it("sends and receives a message a line, drops half a message", function()
    local r = run([[read l; echo "got $l"; echo; printf 'two\r\nthree\nhalf']], '{"hello":1}')
    assert.equal("OK", r.send)
    assert.equal('got {"hello":1}|two|three|', r.text:match "text ([^\n]*)")
    assert.equal("ECLOSED the server exited with status 0", r.closed)
    counts(r, 1, 3)
  end)

  it("gives the child the configured environment and nothing of ours", function()
    local r = run 'exec env'
    assert.equal("CHILD_EXTRA=one two|HOME=/nowhere|", (r.text:match "text ([^\n]*)":gsub("PWD=[^|]*|", ""):gsub("_=[^|]*|", "")
      :gsub("SHLVL=[^|]*|", "")))
  end)

  it("tells of nothing but the end after it was closed", function()
    local r = run("echo one; echo two; echo three; exec cat", nil, 1)
    assert.equal("one|", r.text:match "text ([^\n]*)")
    assert.equal("OK the server was ended", r.closed)
    counts(r, 1, 1)
  end)

  it("says how a child ended that ended by itself", function()
    assert.equal("ECLOSED the server exited with status 3", run "exit 3".closed)
    assert.equal("ECLOSED the server was killed by signal 11 (Segmentation fault)", run "kill -SEGV $$".closed)
    assert.equal("ECLOSED the server was killed by signal 15 (Terminated)", run "kill -TERM $$".closed)
  end)

  it("ends a child that closed its stdout, and says so", function()
    local r = run "echo hi; exec 1>&-; sleep 1000"
    assert.equal("ECLOSED the server closed its stdout and was ended", r.closed)
    counts(r, 1, 1)
  end)

  it("can't send to a child that closed its stdin", function()
    local r = driver.run("child_deaf", "exec 0<&-; echo hi; exec sleep 1000")
    assert.equal("ECLOSED", r.send)
    assert.equal("OK the server was ended", r.closed)
    counts(r, 1, 1)
  end)

  it("ends a child that closed its stdin while something waited for it", function()
    local r = driver.run("child_full", "sleep 0.2; exec 0<&-; exec sleep 1000")
    assert.equal("EFULL", r.result)
    assert.equal("ECLOSED the server closed its stdin and was ended", r.closed)
    counts(r, 1, 0)
  end)

  it("drops a message that is too long and goes on", function()
    local r = run [[head -c 1001 /dev/zero | tr '\0' x; echo; head -c 1000 /dev/zero | tr '\0' y; echo; echo z]]
    assert.equal("ELIMIT the server sent a message of more than 1000 bytes (max_message_bytes); it was dropped", r.failed)
    assert.equal(("y"):rep(1000) .. "|z|", r.text:match "text ([^\n]*)")
    counts(r, 1, 2, 1)
  end)

  it("logs stderr by lines, made harmless, and keeps the end of it", function()
    local r = run [[printf 'oops\n\033[31mred\033[0m\001 \377 \303\251\r\n\n\nlast words' >&2; exit 3]]
    assert.equal("ECLOSED the server exited with status 3; the end of its stderr:", r.closed)
    assert.truthy(r.text:find("stderr:\noops\nred ? é\nlast words\ntext \n", 1, true), r.text)
    local logged = {}
    for line in driver.stderr():gmatch "[^\n]+" do
      logged[#logged + 1] = line:match "^%d+%-%d+%-%d+T[%d:.]+Z (.*)$"
    end
    assert.same({ "info upstream files: oops", "info upstream files: red ? é", "info upstream files: last words" },
      logged)
  end)

  it("keeps twenty lines of it at most", function()
    local r = run "for i in $(seq 30); do echo line $i >&2; done"
    local expected = {}
    for i = 11, 30 do expected[#expected + 1] = "line " .. i end
    assert.truthy(r.text:find("stderr:\n" .. table.concat(expected, "\n") .. "\ntext \n", 1, true), r.text)
  end)

  it("says why a command can't be started", function()
    local r = driver.run("child_fails", "no-such-command")
    assert.equal("0", r.made)
    assert.equal("no-such-command: no such file or directory (looked for in PATH)", r.why)
  end)

  it("tells when too much is queued, and when it has drained", function()
    local r = driver.run("child_full", "sleep 0.2; wc -lc")
    assert.equal("EFULL", r.result)
    counts(r, 1, 0, 0, 1)
  end)

  it("stops reading and starts again", function()
    local r = driver.run("child_pause", "echo 1; echo 2; echo 3; exit 1")
    assert.equal("0", r.early)
    assert.equal("1|2|3|", r.text:match "text ([^\n]*)")
    assert.equal("ECLOSED the server exited with status 1", r.closed)
  end)
end)
