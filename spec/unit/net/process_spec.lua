-- Children: their pipes, how they start, how they end, and that none outlives Lunette.
local driver = require "spec.unit.net.driver"

describe("net/process", function()
  setup(function() driver.build "process" end)
  teardown(driver.remove)

  -- The child's end: exit status, signal, nothing left of its group.
  local function ended(r, status, signal)
    assert.same({ "1", tostring(status), tostring(signal), "1" }, { r.exits, r.status, r.signal, r.group_gone })
  end
  local function took(r, from, to)
    local ms = tonumber(r.took_ms)
    assert.is_true(ms >= from and ms <= to + 250 * driver.slow, r.took_ms .. " ms")
  end

  describe("a child", function()
    it("gets what is written, and its end, and answers", function()
      local r = driver.run "process_echo"
      assert.equal("ECLOSED", r.late)
      assert.truthy(r.text:find("out one\ntwo\n", 1, true))
      assert.equal("1", r.out_ends)
      ended(r, 0, 0)
    end)

    it("is read to the end though it has exited", function()
      local r = driver.run("process_run", "head -c 3000000 /dev/zero; echo oops >&2; exit 4")
      assert.equal("3000000", r.total)
      assert.equal("oops", r.err)
      ended(r, 4, 0)
    end)

    it("has three descriptors, no signal blocked or ignored, a session and a group of its own", function()
      local r = driver.run("process_run", [[
        echo $(ls /proc/self/fd); grep -E 'Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f5,6 /proc/$$/stat; echo $$ $$]])
      -- 3 is the directory that ls reads.
      local ignored, group, pid = r.text:match("out 0 1 2 3\nSigBlk:\t0+\nSigIgn:\t(%x+)\n(%d+ %d+)\n(%d+ %d+)\n")
      assert.is_not_nil(pid, r.text)
      -- Of the standard signals; libc has two for itself above them.
      assert.equal("0000000", ignored:sub(-7))
      assert.equal(pid, group)
      ended(r, 0, 0)
    end)

    it("gains no privileges, whatever it starts, and takes none from us", function()
      local r = driver.run("process_run", "grep NoNewPrivs /proc/self/status /proc/$PPID/status")
      local own = driver.shell "grep NoNewPrivs /proc/self/status"
      assert.truthy(r.text:find("out /proc/self/status:NoNewPrivs:\t1\n/proc/%d+/status:" .. own), r.text)
      ended(r, 0, 0)
    end)

    it("has pipes, which /dev/stdin can open", function()
      local r = driver.run("process_run", "head -c 0 /dev/stdin && stat -Lc %F /dev/fd/0 /dev/fd/1 /dev/fd/2")
      assert.truthy(r.text:find("out fifo\nfifo\nfifo\n", 1, true), r.text)
    end)

    it("that doesn't read is written to within limits, and gets all in the end", function()
      local r = driver.run "process_slow"
      assert.same({ "1", "1", "1000000" }, { r.full, r.queued, r.counted })
      ended(r, 0, 0)
      r = driver.run "process_drain"
      assert.same({ "1", "1", "1000000" }, { r.drains, r.queued_at_drain, r.counted })
      ended(r, 0, 0)
    end)

    it("is kept until its owner, who paused, has read it all", function()
      local r = driver.run "process_pause"
      assert.same({ "0", "0", "60000" }, { r.early_exits, r.early_bytes, r.total })
      ended(r, 5, 0)
    end)

    it("is not waited for by an owner who paused and ended it", function()
      local r = driver.run "process_pause_end"
      assert.same({ "1", "0" }, { r.short, r.total })
      ended(r, 5, 0)
    end)

    it("is started and reaped when Lunette was started with SIGCHLD ignored", function()
      local r = driver.check(driver.parse(driver.shell "trap '' CHLD; exec $D process_run 'echo hi; exit 4'; echo rc $?"
        .. "rc 0\n"))
      assert.equal("hi", r.out)
      ended(r, 4, 0)
    end)

    it("of many is lost no more than one of one", function()
      local r = driver.run "process_many"
      assert.same({ "40", "20", "20" }, { r.exits, r.sevens, r.his })
    end)

    it("ends once and wholly, whatever is done to it at whatever time", function()
      for seed = 1, 3 do
        local r = driver.run("process_storm", seed)
        assert.same({ "60", "0" }, { r.exits, r.left })
      end
    end)
  end)

  describe("ending", function()
    it("needs no signal for a child that heeds the end of its stdin", function()
      local r = driver.run("process_end", "echo; cat >/dev/null; exit 6")
      ended(r, 6, 0)
      took(r, 0, 100)
    end)

    it("sends TERM to one that doesn't", function()
      local r = driver.run("process_end", "trap 'exit 3' TERM; echo; while :; do sleep 0.02; done")
      ended(r, 3, 0)
      took(r, 150, 200)
    end)

    it("wakes one that is stopped, for its TERM", function()
      local r = driver.run("process_end", "trap 'exit 3' TERM; echo; kill -STOP $$; sleep 1000")
      ended(r, 3, 0)
      took(r, 150, 200)
    end)

    it("sends KILL to one that ignores that too", function()
      local r = driver.run("process_end", "trap '' TERM; echo; while :; do sleep 1000; done")
      ended(r, 137, 9)
      took(r, 300, 350)
    end)

    it("kills at once when asked to", function()
      ended(driver.run "process_kill", 137, 9)
    end)

    it("ends grandchildren that the child left, when it was ended", function()
      ended(driver.run("process_end", "sleep 1000 & sleep 1000 & echo; exec cat"), 0, 0)
    end)

    it("ends grandchildren when the child went by itself", function()
      local r = driver.run("process_run", "sleep 1000 & sleep 1000 & exit 9")
      ended(r, 9, 0)
    end)

    it("gives them time, and then no more", function()
      local r = driver.run("process_run", "(trap 'sleep 0.1; echo bye; exit' TERM; while :; do sleep 0.01; done) & sleep 0.1; exit 9")
      assert.equal("bye", r.out)
      ended(r, 9, 0)
      r = driver.run("process_run", "(trap '' TERM; sleep 1000) & sleep 0.1; exit 9")
      ended(r, 9, 0)
      took(r, 500, 700)
    end)

    it("doesn't wait for one that left the group with the pipes", function()
      local r = driver.run("process_run", "setsid sleep 3 & echo out; exit 9")
      assert.equal("out", r.out)
      ended(r, 9, 0)
      took(r, 400, 600)
    end)
  end)

  describe("a command", function()
    setup(function()
      driver.shell [[
        mkdir bin; printf '#!/no/such/interpreter\n' >bin/bad; printf '#!/bin/sh\necho hello $PATH\n' >bin/hello
        echo x >bin/data; chmod +x bin/bad bin/hello]]
    end)

    local function run(command, cwd, path)
      local dir = driver.directory()
      local function at(s) return (s or ""):gsub("$T", dir) end
      local r = driver.run("process_fails", (at(command)), (at(cwd)), (at(path)))
      if r.why then r.why = r.why:gsub(dir:gsub("%p", "%%%0"), "$T") end
      return r
    end
    local function fails(why, ...)
      local r = run(...)
      assert.equal("ESYSTEM", r.err)
      assert.equal(why, r.why)
    end

    it("that can't be started is told of in words", function()
      fails("no-such: no such file or directory (looked for in PATH)", "no-such")
      fails("./no-such: no such file or directory", "./no-such")
      fails("$T/bin/data: permission denied (is it executable?)", "$T/bin/data")
      fails("data: permission denied (is it executable?)", "data", "", "/bin:$T/bin")
      fails("$T/bin: is a directory", "$T/bin")
      fails("$T/bin/data/x: not a directory", "$T/bin/data/x")
      fails("ls: can't enter the working directory /no/such: no such file or directory", "ls", "/no/such")
      fails("$T/bin/bad: no such file or directory (the interpreter in its first line?)", "$T/bin/bad")
      fails("no command: it is empty", "")
    end)

    it("that can't be started without privileges isn't started", function()
      local r = driver.run "process_threadless"
      assert.same({ "ESYSTEM", "true: resource temporarily unavailable" }, { r.err, r.why })
    end)

    it("is looked for where its own environment says", function()
      assert.equal("hello /x:" .. driver.directory() .. "/bin", run("hello", "/", "/x:$T/bin").out)
      assert.equal("hello /usr/bin:", run("hello", "$T/bin", "/usr/bin:").out)
      fails("hello: no such file or directory (looked for in PATH)", "hello", "/", "/usr/bin:")
    end)

    it("with a slash is relative to the working directory", function()
      assert.truthy(run("./hello", "$T/bin").out:find "^hello /")
      assert.truthy(run("bin/hello", "$T").out:find "^hello /")
    end)
  end)

  describe("the guard", function()
    -- Guards are forked from the driver: they have its arguments, among them a word of ours.
    local function guards(word)
      local found = {}
      for pid in driver.output_of("grep -l '^lunette-guard' /proc/[0-9]*/comm 2>/dev/null"):gmatch "/proc/(%d+)/" do
        local file = io.open("/proc/" .. pid .. "/cmdline")
        if file then
          if file:read "*a":find(word, 1, true) and driver.runs(pid) then found[#found + 1] = pid end
          file:close()
        end
      end
      return found
    end

    -- Starts a scenario that stays; its input is a pipe of ours.
    local function start(scenario, word)
      driver.shell("mkfifo in." .. word)
      local dir = driver.directory()
      os.execute(("exec %s %s %s <%s/in.%s >%s/out.%s 2>&1 &"):format(driver.command(), scenario, word, dir, word, dir, word))
      local input = assert(io.open(dir .. "/in." .. word, "w"))
      local function pids(name)
        local line
        assert.is_true(driver.wait(function()
          line = driver.parse(driver.shell("cat out." .. word .. " 2>/dev/null"))[name]
          return line
        end, 10))
        local list = {}
        for pid in line:gmatch "%d+" do list[#list + 1] = pid end
        return list
      end
      return pids, input
    end

    local function all_gone(list)
      return driver.wait(function()
        for _, pid in ipairs(list) do
          if driver.runs(pid) then return false end
        end
        return true
      end, 6)
    end

    it("ends children and grandchildren when Lunette is killed, and goes too", function()
      local word = "orphans-" .. os.time() .. math.random(1e9)
      local pids, input = start("process_orphans", word)
      local list = pids "pids"
      assert.equal(5, #list) -- the driver, two children, two grandchildren
      for _, pid in ipairs(list) do assert.is_true(driver.runs(pid)) end
      local guard = guards(word)
      assert.equal(1, #guard)
      os.execute("kill -9 " .. list[1])
      assert.is_true(all_gone(list), "a child outlives Lunette")
      assert.is_true(all_gone(guard), "the guard stays")
      input:close()
    end)

    it("holds nothing but its line to Lunette, heeds no polite signal, and is no child of it", function()
      local word = "holds-" .. os.time() .. math.random(1e9)
      local pids, input = start("process_orphans", word)
      local list = pids "pids"
      local guard = guards(word)[1]
      assert.truthy(driver.shell("ls -l /proc/" .. guard .. "/fd"):find "^total 0\n%S+ [^\n]* 0 %-> socket:%[%d+%]\n$")
      assert.equal("/\n", driver.shell("readlink /proc/" .. guard .. "/cwd"))
      assert.not_equal(list[1], driver.shell("cut -d' ' -f4 /proc/" .. guard .. "/stat"):match "%d+")
      assert.equal(driver.shell("cut -d' ' -f6 /proc/" .. guard .. "/stat"):match "%d+", guard)
      os.execute("kill -TERM " .. guard .. "; kill -INT " .. guard .. "; kill -HUP " .. guard)
      driver.sleep(0.1)
      assert.is_true(driver.runs(guard))
      os.execute("kill -9 " .. list[1])
      assert.is_true(all_gone(list))
      assert.is_true(all_gone { guard })
      input:close()
    end)

    it("is gone when Lunette has ended, without a moment's wait", function()
      local word = "bye-" .. os.time() .. math.random(1e9)
      local r = driver.run("process_run", "exit 0", word)
      ended(r, 0, 0)
      assert.same({}, guards(word))
    end)

    it("is replaced when it was killed, and the new one knows all children", function()
      local word = "new-" .. os.time() .. math.random(1e9)
      local pids, input = start("process_new_guard", word)
      local driver_pid = pids "ready"[1]
      local old = guards(word)
      assert.equal(1, #old)
      os.execute("kill -9 " .. old[1])
      assert.is_true(all_gone(old))
      input:write "go\n"
      input:flush()
      local list = pids "pids"
      assert.equal(3, #list)
      local new = guards(word)
      assert.equal(1, #new)
      os.execute("kill -9 " .. driver_pid)
      assert.is_true(all_gone(list), "a child outlives Lunette")
      assert.is_true(all_gone(new), "the guard stays")
      input:close()
    end)
  end)
end)
