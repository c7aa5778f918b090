-- How many instructions a call of a tool takes Lunette, counted by callgrind: in user space, without the kernel's.
-- The same binary is run twice with one session on one connection, for few calls and for many: what starting, opening
-- and ending takes is in both, so that the slope between the two is one call's. Unlike times this depends on nothing
-- else that the machine does, so that a change of a hundredth shows. Several binaries stand side by side, as parts of
-- the first; with --functions there follow the functions whose own instructions differ most (of one binary: those with
-- the most), with --inclusive counting what they call too.
--
--     luajit spec/bench/instructions.lua [--functions N [--inclusive]] [--case NAME] BINARY...
--
-- Needs valgrind and luv (scripts/setup --test --bench); builds the benchmark's programs in build/bench.
package.path = "./?.lua;" .. package.path

local loop = require "spec.support.loop"
local process = require "spec.support.process"

local FEW, MANY = 500, 4500
local PATIENCE_MS = 60000
local LOAD, UPSTREAM = "build/bench/bench_load", "build/bench/bench_upstream"
local CASES = {
  { "http", "tools/call, HTTP to HTTP" },
  { "lists", "the same, with a rule on lists", policy = "lists" },
  { "headers", "the same, with a rule that reads a header", policy = "headers" },
  { "handler", "the same, with a handler", policy = "handler", expect = "edited" },
  { "stdio", "tools/call, stdio to stdio", stdio = true },
}

local function run(command, args)
  local done = process.run { command = command, args = args, timeout = PATIENCE_MS }
  if done.code ~= 0 then
    error(("%s %s ended with %d\n%s%s"):format(command, table.concat(args, " "), done.code, done.stdout, done.stderr), 0)
  end
  return done.stdout
end

local function append(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
  return list
end

-- The arguments of valgrind for a Lunette with these of its own.
local function counted(out, binary, args)
  return append({ "--quiet", "--tool=callgrind", "--callgrind-out-file=" .. out, binary, "run", "--log-level", "warn" },
    args)
end

local function load_args(case, calls)
  return { case.stdio and "stdio" or "http", "--calls", tostring(calls), "--expect", case.expect or "as the client wrote" }
end

local function over_stdio(case, binary, calls, out)
  run(LOAD, append(append(load_args(case, calls), { "--", "valgrind" }),
    counted(out, binary, { "--stdio", "--", UPSTREAM, "--stdio" })))
end

local function over_http(case, binary, calls, out, server)
  local port = run(LOAD, { "port" }):match "%d+"
  local args = { "--http", "127.0.0.1:" .. port }
  if case.policy then append(args, { "--policy", ("spec/bench/policies/%s.lua"):format(case.policy) }) end
  local lunette = process.spawn { command = "valgrind", args = counted(out, binary, append(args, { server })) }
  local url = ("http://127.0.0.1:%s/mcp"):format(port)
  run(LOAD, { "ready", "--url", url, "--seconds", "30" })
  run(LOAD, append(load_args(case, calls), { "--url", url }))
  lunette:kill "sigterm"
  local code = lunette:wait_exit(PATIENCE_MS)
  if code ~= 0 then error(("%s ended with %d\n%s"):format(binary, code, lunette.err:all()), 0) end
end

-- Instructions of each function and of all of them, "total", out of what callgrind wrote.
local function read(path, inclusive)
  local counts = {}
  local text = run("callgrind_annotate", { "--threshold=100", "--show-percs=no",
    "--inclusive=" .. (inclusive and "yes" or "no"), path })
  for line in text:gmatch "[^\n]+" do
    local count, what = line:match "^%s*([%d,]+)%s+(.*)"
    count = count and tonumber((count:gsub(",", "")))
    if what and what:find "^PROGRAM TOTALS" then
      counts.total = count
    elseif what and what:find ":" then
      -- FILE:FUNCTION [OBJECT]; what the compiler made of one function is that function.
      local name = what:gsub(" %[[^]]*%]$", ""):match ":([^:]*)$":gsub("'%d+$", ""):gsub("%.[a-z]+%.%d+", "")
      counts[name] = (counts[name] or 0) + count
    end
  end
  return counts
end

-- Instructions a call: of each function, and "total".
local function measure(case, binary, server, inclusive)
  local counts = {}
  for i, calls in ipairs { FEW, MANY } do
    local out = loop.tempdir() .. "/out"
    if case.stdio then over_stdio(case, binary, calls, out) else over_http(case, binary, calls, out, server) end
    counts[i] = read(out, inclusive)
  end
  local slopes = {}
  for name, count in pairs(counts[2]) do slopes[name] = (count - (counts[1][name] or 0)) / (MANY - FEW) end
  return slopes
end

local function row(name, slopes)
  local cells = { ("%-34s"):format(name) }
  for i, slope in ipairs(slopes) do
    cells[#cells + 1] = ("%12.0f"):format(slope)
    if i > 1 then cells[#cells + 1] = slopes[1] == 0 and "        " or (" (%.3f)"):format(slope / slopes[1]) end
  end
  print(table.concat(cells))
  io.stdout:flush()
end

-- The functions that weigh most, or of several binaries those whose weight changed most from the first to the last.
local function print_functions(n, measured)
  local first, last, names = measured[1], measured[#measured], {}
  local function weight(name)
    if #measured == 1 then return first[name] end
    return math.abs((last[name] or 0) - (first[name] or 0))
  end
  local seen = { total = true }
  for _, slopes in ipairs(measured) do
    for name in pairs(slopes) do
      if not seen[name] then names[#names + 1], seen[name] = name, true end
    end
  end
  table.sort(names, function(a, b)
    local x, y = weight(a), weight(b)
    if x == y then return a < b end
    return x > y
  end)
  for i = 1, math.min(n, #names) do
    local slopes = {}
    for j, of in ipairs(measured) do slopes[j] = of[names[i]] or 0 end
    row("  " .. names[i], slopes)
  end
end

local function options(args)
  local given, i = { binaries = {}, functions = 0 }, 1
  while args[i] do
    if args[i] == "--functions" or args[i] == "--case" then
      given[args[i]:sub(3)] = args[i + 1]
      i = i + 1
    elseif args[i] == "--inclusive" then
      given.inclusive = true
    elseif args[i]:find "^%-" then
      return nil
    else
      append(given.binaries, { args[i] })
    end
    i = i + 1
  end
  given.functions = tonumber(given.functions)
  return given.functions and given.binaries[1] and given
end

local function main(given)
  run("cmake", { "-S", "spec/bench", "-B", "build/bench", "-DCMAKE_BUILD_TYPE=Release" })
  run("cmake", { "--build", "build/bench" })
  local upstream = process.spawn { command = UPSTREAM, args = { "--http", "0" } }
  local server = ("http://127.0.0.1:%s/mcp"):format(upstream:line())
  for _, case in ipairs(CASES) do
    if not given.case or given.case == case[1] then
      local measured, totals = {}, {}
      for i, binary in ipairs(given.binaries) do
        measured[i] = measure(case, binary, server, given.inclusive)
        totals[i] = measured[i].total
      end
      row(case[2], totals)
      print_functions(given.functions, measured)
    end
  end
end

local given = options(arg)
if not given then
  io.stderr:write "usage: instructions.lua [--functions N [--inclusive]] [--case http|lists|handler|stdio] BINARY...\n"
  os.exit(2)
end
local ok, why = pcall(main, given)
if not ok then io.stderr:write("instructions: ", why, "\n") end
loop.finish()
-- luv's handles may not be collected after its loop: leave without closing the Lua state.
io.stdout:flush()
os.exit(ok and 0 or 1)
