-- busted's results, told shortly: a line for each file, each failure in full where it happens, and
-- one line of sums, which also goes to the file named by LUNETTE_REPORT for scripts/test to add up.
-- The sums: passed, failed, pending.
local io, os = io, os

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base" ()
  local current

  local function clock()
    local ok, uv = pcall(require, "luv")
    return ok and uv.hrtime() / 1e9 or os.clock()
  end

  local function text_of(message)
    if type(message) == "string" then return message end
    if message == nil then return "no message" end
    return require("pl.pretty").write(message)
  end

  local function tell(kind, entry)
    local trace = entry.element and entry.element.trace or entry.trace or {}
    io.write(("\n  %s: %s\n    %s:%s\n    %s\n"):format(kind, entry.name, trace.short_src or "?",
      trace.currentline or "?", (text_of(entry.message):gsub("\n", "\n    "))))
    if options.verbose and entry.trace and entry.trace.traceback then io.write(entry.trace.traceback, "\n") end
    io.flush()
  end

  local function counts()
    return handler.successesCount, handler.failuresCount + handler.errorsCount, handler.pendingsCount
  end

  local told = { failures = 0, errors = 0, pendings = 0 }
  local function tell_new()
    for kind, word in pairs { failures = "FAILED", errors = "ERROR", pendings = "pending" } do
      while told[kind] < #handler[kind] do
        told[kind] = told[kind] + 1
        tell(word, handler[kind][told[kind]])
      end
    end
  end

  function handler.file_start(file)
    local passed, failed = counts()
    current = { name = file.name, passed = passed, failed = failed, started = clock() }
    return nil, true
  end

  function handler.file_end()
    tell_new()
    local passed, failed = counts()
    io.write(("%-48s %4d passed %3d failed %7.2f s\n"):format(current.name, passed - current.passed,
      failed - current.failed, clock() - current.started))
    io.flush()
    return nil, true
  end

  function handler.test_end()
    tell_new()
    return nil, true
  end

  function handler.suite_end()
    tell_new()
    local passed, failed, pending = counts()
    io.write(("%d passed, %d failed, %d pending\n"):format(passed, failed, pending))
    local path = os.getenv "LUNETTE_REPORT"
    if path then
      local file = assert(io.open(path, "w"))
      file:write(("%d %d %d\n"):format(passed, failed, pending))
      file:close()
    end
    return nil, true
  end

  busted.subscribe({ "file", "start" }, handler.file_start)
  busted.subscribe({ "file", "end" }, handler.file_end)
  busted.subscribe({ "test", "end" }, handler.test_end, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, handler.suite_end)
  return handler
end
