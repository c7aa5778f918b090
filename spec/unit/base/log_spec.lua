-- Log lines: one write each, and nothing a peer says can forge a second line or talk to a
-- terminal.
local B = require "spec.unit.base.support"
local lib, ffi = B.include "base/log.h", B.ffi
local cjson = require "cjson"

ffi.cdef [[
  int pipe(int fds[2]);
  int close(int fd);
  long read(int fd, void *p, size_t n);
  int fcntl(int fd, int cmd, ...);
]]

local F_SETFL, O_NONBLOCK = 4, 2048
local DEBUG, INFO, WARN, ERROR, NONE = 0, 1, 2, 3, 4

describe("ln_log", function()
  local log, fds

  before_each(function()
    fds = ffi.new "int[2]"
    assert.are.equal(0, ffi.C.pipe(fds))
    ffi.C.fcntl(fds[0], F_SETFL, ffi.cast("int", O_NONBLOCK))
    log = ffi.new "struct ln_log"
    ffi.fill(log, ffi.sizeof(log), 0xff)
    lib.ln_log_init(log, fds[1])
  end)
  after_each(function()
    ffi.C.close(fds[0])
    ffi.C.close(fds[1])
  end)

  local function written()
    local buffer = ffi.new "char[65536]"
    local n = ffi.C.read(fds[0], buffer, 65536)
    return n > 0 and ffi.string(buffer, n) or ""
  end

  -- What follows the time stamp, which is checked too.
  local function line(level, topic, text)
    lib.ln_log_write_always(log, level, topic, "%s", text)
    local got = written()
    local rest = got:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ (.*)\n$"
    assert.is_truthy(rest, got)
    return rest
  end

  local function json(topic, text)
    log.json = true
    lib.ln_log_write_always(log, INFO, topic, "%s", text)
    local got = written()
    assert.are.equal(#got, (got:find "\n"))
    return cjson.decode(got), got
  end

  it("starts at info, as text, without colour where there is no terminal", function()
    assert.are.equal(INFO, tonumber(log.level))
    assert.is_false(log.json)
    assert.is_false(log.colour)
    assert.are.equal(0, tonumber(log.errors))
  end)

  it("knows its levels by name", function()
    for i, name in ipairs { "debug", "info", "warn", "error", "none" } do
      assert.are.equal(i - 1, lib.ln_log_level_parse(name))
    end
    for _, name in ipairs { "", "Info", "infos", "warning", "off" } do
      assert.are.equal(-1, lib.ln_log_level_parse(name))
    end
  end)

  it("writes level, topic and message", function()
    assert.are.equal("info upstream files: started", line(INFO, "upstream files", "started"))
    assert.are.equal("error t: m", line(ERROR, "t", "m"))
    assert.are.equal("warn : ", line(WARN, "", ""))
  end)

  it("formats like printf", function()
    lib.ln_log_write(log, INFO, "t", "%d of %s", ffi.cast("int", 3), "x")
    assert.is_truthy(written():find " info t: 3 of x\n$")
  end)

  it("leaves out what is below its level", function()
    lib.ln_log_write(log, DEBUG, "t", "m")
    assert.are.equal("", written())
    log.level = NONE
    for level = DEBUG, NONE do lib.ln_log_write(log, level, "t", "m") end
    assert.are.equal("", written())
    assert.are.equal(0, tonumber(log.errors))
    log.level = DEBUG
    lib.ln_log_write(log, NONE, "t", "m")
    assert.are.equal("", written())
    assert.are.equal("debug t: m", line(DEBUG, "t", "m"))
  end)

  it("counts errors", function()
    line(WARN, "t", "m")
    assert.are.equal(0, tonumber(log.errors))
    line(ERROR, "t", "m")
    line(ERROR, "t", "m")
    assert.are.equal(2, tonumber(log.errors))
  end)

  it("lets no line break through, in topic or message", function()
    assert.are.equal("info a\\nb: c\\r\\nd", line(INFO, "a\nb", "c\r\nd"))
    local forged = "x\n2030-01-01T00:00:00.000Z error fake: entry"
    assert.are.equal("info t: x\\n2030-01-01T00:00:00.000Z error fake: entry", line(INFO, "t", forged))
  end)

  it("lets no control character through", function()
    assert.are.equal("info t: \\u001b[31mred\\u001b[0m", line(INFO, "t", "\27[31mred\27[0m"))
    for c = 1, 255 do
      for _, s in ipairs { string.char(c), "a" .. string.char(c) .. "b" } do
        local got = line(INFO, s, s)
        assert.is_nil(got:find "[%z\1-\8\10-\31\127]")
      end
    end
    assert.are.equal("info t: \t \\u007f \\u0000", line(INFO, "t", "\t \127 \\u0000"))
  end)

  it("lets no control character of Latin-1 through, raw or as UTF-8", function()
    assert.are.equal("info t: \\u009b31m", line(INFO, "t", "\194\15531m"))
    assert.are.equal("info t: \\u0080\\u009f\194\160", line(INFO, "t", "\194\128\194\159\194\160"))
    assert.are.equal("info t: \239\191\18931m", line(INFO, "t", "\15531m"))
  end)

  it("keeps UTF-8 and replaces what is not", function()
    local good = "caf\195\169 \226\130\172 \240\159\152\128 \226\128\168"
    assert.are.equal("info t: " .. good, line(INFO, "t", good))
    local r = "\239\191\189"
    assert.are.equal("info t: a" .. r .. "b", line(INFO, "t", "a\255b"))
    assert.are.equal("info t: " .. r .. r .. "A", line(INFO, "t", "\226\130A"))
    assert.are.equal("info t: " .. r .. r .. r, line(INFO, "t", "\237\160\128"))
  end)

  it("cuts long lines, keeps their end, and writes each at once", function()
    for _, c in ipairs { "x", "\n", "\1", "\195\169", "\255", '"' } do
      for _, is_json in ipairs { false, true } do
        for _, n in ipairs { 100, 500, 3000, 4000, 5000, 100000 } do
          log.json = is_json
          log.colour = true
          lib.ln_log_write(log, ERROR, c:rep(n), "%s", c:rep(n))
          local got = written()
          assert.is_true(#got <= 4096)
          assert.are.equal(#got, (got:find "\n"))
          if is_json then
            local object = cjson.decode(got)
            assert.are.equal("error", object.level)
            assert.is_true(#object.topic > 0 and #object.message > 0)
          else
            assert.are.equal("\27[0m\n", got:sub(-5))
          end
        end
      end
    end
  end)

  it("writes JSON objects", function()
    local object, raw = json("upstream files", "started")
    assert.are.same({ "info", "upstream files", "started" }, { object.level, object.topic, object.message })
    assert.is_truthy(object.time:find "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$")
    assert.is_truthy(raw:find '^{"time":"[^"]*","level":"info","topic":"upstream files","message":"started"}\n$')
  end)

  it("escapes so that JSON reads back what was said", function()
    local said = '"\\/\b\f\n\r\t\1\31\127 caf\195\169 \240\159\152\128'
    local object, raw = json(said, said)
    assert.are.same({ said, said }, { object.topic, object.message })
    assert.is_nil(raw:sub(1, -2):find "[%z\1-\31\127]")
    assert.are.equal("a\239\191\189b", json("t", "a\255b").topic and json("t", "a\255b").message)
  end)

  it("colours by level when told to, and puts it back", function()
    log.colour = true
    lib.ln_log_write(log, WARN, "t", "m")
    local got = written()
    assert.is_truthy(got:find "^\27%[33m%d" and got:find ": m\27%[0m\n$")
    lib.ln_log_write(log, INFO, "t", "m")
    assert.is_nil(written():find "\27")
  end)

  it("writes the first lines of a kind, and then how many there were", function()
    for _ = 1, 50 do lib.ln_log_write(log, WARN, "a", "kind %d", ffi.cast("int", 7)) end
    for _ = 1, 3 do lib.ln_log_write(log, WARN, "b", "kind %d", ffi.cast("int", 8)) end
    local _, a = written():gsub("warn a: kind 7", "")
    assert.are.equal(lib.LN_LOG_FIRST, a)
    assert.is_true(lib.ln_log_tick(log, false))
    assert.are.equal("", written())
    assert.is_false(lib.ln_log_tick(log, true))
    assert.is_truthy(written():find "^%S+ warn a: 30 more lines like this were left out in 0 s: kind 7\n$")
    lib.ln_log_finish(log)
    assert.are.equal("", written())
  end)

  it("has a limit for one text from many, and forgets no count", function()
    for i = 1, 1000 do lib.ln_log_write(log, WARN, "session " .. i, "said %d", ffi.cast("int", i)) end
    local first = written()
    local _, n = first:gsub("said", "")
    assert.are.equal(lib.LN_LOG_FIRST_ALL, n)
    lib.ln_log_finish(log)
    local left = 0
    for more in written():gmatch "(%d+) more lines like this" do left = left + tonumber(more) end
    assert.are.equal(1000 - n, left)
  end)

  it("has all lines of level debug, and those that are always written", function()
    log.level = DEBUG
    for _ = 1, 100 do
      lib.ln_log_write(log, DEBUG, "a", "x")
      lib.ln_log_write_always(log, WARN, "a", "x")
    end
    assert.are.equal(200, select(2, written():gsub("\n", "")))
    assert.is_false(lib.ln_log_tick(log, true))
  end)

  it("never waits for who reads: lines wait, and then are lost and counted", function()
    local text = ("x"):rep(1000)
    for _ = 1, 1000 do lib.ln_log_write_always(log, WARN, "a", "%s", text) end
    local lines, lost = 0, nil
    repeat
      local more = lib.ln_log_tick(log, true)
      local got = written()
      lines = lines + select(2, got:gsub(text, ""))
      lost = lost or tonumber(got:match "warn log: (%d+) lines were lost")
    until got == "" and not more
    assert.are.equal(1000, lines + lost)
    assert.is_true(lines > 250)
    lib.ln_log_finish(log)
  end)

  it("gives a peer its ration of lines a second, and tells what it left out", function()
    local ration = ffi.new "struct ln_log_ration"
    local function take(now)
      return lib.ln_log_ration_take(log, ration, now, "peer")
    end
    for _, second in ipairs { 5000, 6000 } do
      for i = 1, 200 do assert.is_true(take(second + i)) end
      for _ = 1, 3 do assert.is_false(take(second + 999)) end
    end
    assert.is_truthy(written():find "^%S+ warn peer: 3 lines more were left out\n$")
    assert.is_true(take(99000))
    assert.is_truthy(written():find "^%S+ warn peer: 3 lines more were left out\n$")
  end)
end)
