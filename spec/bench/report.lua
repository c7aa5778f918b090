-- Reads the runs of scripts/bench (a JSON line each) and prints what they say: report.lua FILE
-- [--assert]. With --assert a target that is missed, or couldn't be measured, ends it with 1.
local json = require "cjson"

local WIDTHS = { 1, 8, 64 }
local HTTP = {
  { "direct", "direct" }, { "nginx", "nginx" }, { "lunette", "lunette, no rule" },
  { "lists", "lunette, a rule on lists" }, { "handler", "lunette, a handler" },
  { "child", "lunette to stdio, a child each" }, { "shared", "lunette to stdio, one child" },
}
local STDIO = {
  { "direct", "direct" }, { "lunette", "lunette, no rule" },
  { "lists", "lunette, a rule on lists" }, { "handler", "lunette, a handler" },
}

local function median(values)
  if #values == 0 then return nil end
  table.sort(values)
  local middle = math.floor(#values / 2)
  if #values % 2 == 1 then return values[middle + 1] end
  return (values[middle] + values[middle + 1]) / 2
end

-- runs["http/nginx/64"][round] = what bench_load said
local function read(path)
  local runs, memory, start, about = {}, {}, {}, {}
  for line in io.lines(path) do
    local row = json.decode(line)
    if row.group then
      local key = table.concat({ row.group, row.case, row.width }, "/")
      runs[key] = runs[key] or {}
      runs[key][row.round] = row.run
    elseif row.memory then
      memory[row.memory] = memory[row.memory] or {}
      memory[row.memory][row.sessions] = row
    elseif row.start then
      start[row.start] = row.run
    else
      about = row
    end
  end
  return { runs = runs, memory = memory, start = start, about = about }
end

-- The median over the rounds of one field of a case.
local function middle(data, group, case, width, field)
  local values = {}
  for _, run in pairs(data.runs[group .. "/" .. case .. "/" .. width] or {}) do
    values[#values + 1] = run[field]
  end
  return median(values)
end

-- The median, least and greatest ratio of two cases; only runs of the same round are compared.
local function ratio(data, group, over, under, width, field)
  local values = {}
  local others = data.runs[group .. "/" .. under .. "/" .. width] or {}
  for round, run in pairs(data.runs[group .. "/" .. over .. "/" .. width] or {}) do
    local other = others[round]
    if other and other[field] > 0 then values[#values + 1] = run[field] / other[field] end
  end
  local m = median(values)
  return m and { median = m, least = values[1], greatest = values[#values] }
end

local function row(name, cells)
  local out = { ("  %-32s"):format(name) }
  for i, cell in ipairs(cells) do out[i + 1] = ("%20s"):format(cell) end
  print(table.concat(out))
end

local function each_width(fn)
  local cells = {}
  for i, width in ipairs(WIDTHS) do cells[i] = fn(width) end
  return cells
end

local function show(format, value) return value and format:format(value) or "-" end

local function show_ratio(r)
  return r and ("%.2f (%.2f-%.2f)"):format(r.median, r.least, r.greatest) or "-"
end

local function title(text, unit)
  print("\n" .. text)
  row("(" .. unit .. ")", WIDTHS)
end

local function has(data, group, case)
  for _, width in ipairs(WIDTHS) do
    if data.runs[group .. "/" .. case .. "/" .. width] then return true end
  end
end

local function print_fields(data, group, cases, unit)
  local fields = {
    { "requests a second", "per_second", "%.0f" }, { "latency p50, us", "p50_us", "%.0f" },
    { "latency p99, us", "p99_us", "%.0f" },
    { "CPU of the proxy (direct: of the server), us a request", "cpu_us", "%.1f" },
  }
  for _, field in ipairs(fields) do
    title(group .. ": " .. field[1], unit)
    for _, case in ipairs(cases) do
      if has(data, group, case[1]) then
        row(case[2], each_width(function(width)
          return show(field[3], middle(data, group, case[1], width, field[2]))
        end))
      end
    end
  end
end

local function print_ratios(data, group, pairs_of, unit)
  if not has(data, group, "lunette") and group == "stdio" then return end
  title(group .. ": ratios, median (least-greatest) of the rounds", unit)
  for _, p in ipairs(pairs_of) do
    if has(data, group, p[2]) and has(data, group, p[3]) then
      row(p[1], each_width(function(width)
        return show_ratio(ratio(data, group, p[2], p[3], width, p[4] or "per_second"))
      end))
    end
  end
end

local function print_memory(data)
  print("\nmemory with open sessions that do nothing, MB: Rss / Pss / private")
  local counts = { 0, 1, 1000 }
  row("", { "none", "1", "1000" })
  for _, case in ipairs { { "nginx", "nginx (connections)" }, { "memory", "lunette" } } do
    local by = data.memory[case[1]]
    if by then
      local cells = {}
      for i, count in ipairs(counts) do
        local m = by[count]
        cells[i] = m and ("%.1f / %.1f / %.1f"):format(m.rss / 1024, m.pss / 1024, m.private / 1024) or "-"
      end
      row(case[2], cells)
    end
  end
end

local function print_start(data)
  if not next(data.start) then return end
  print("\nstart, ms: median (least-greatest) of 20")
  for _, case in ipairs {
    { "version", "lunette version" }, { "own", "to the first answer, a policy only" },
    { "child", "to the first answer, a stdio child" } } do
    local s = data.start[case[1]]
    row(case[2], { s and ("%.1f (%.1f-%.1f)"):format(s.median_ms, s.min_ms, s.max_ms) or "-" })
  end
end

-- Each: what, the value or nil, how it is shown, whether it holds.
local function targets(data)
  local function throughput(over, under)
    local r = ratio(data, "http", over, under, 64, "per_second")
    return r and r.median
  end
  local m = data.memory.memory or {}
  local grown = m[0] and m[1000] and (m[1000].rss - m[0].rss) / 1024
  return {
    { "HTTP to HTTP, 64 connections, at least 0.4 of nginx", throughput("lunette", "nginx"), "%.2f",
      function(v) return v >= 0.4 end },
    { "a handler leaves more than 2/3 of that", throughput("handler", "lunette"), "%.2f",
      function(v) return v > 2 / 3 end },
    { "1,000 idle sessions take less than 30 MB", grown, "%.1f MB", function(v) return v < 30 end },
    { "lunette version in less than 10 ms", data.start.version and data.start.version.median_ms,
      "%.1f ms", function(v) return v < 10 end },
  }
end

local function print_targets(data)
  local missed = 0
  print("\ntargets")
  for _, target in ipairs(targets(data)) do
    local name, value, format, holds = target[1], target[2], target[3], target[4]
    local verdict = "not measured"
    if value then verdict = holds(value) and "met" or "MISSED" end
    if verdict ~= "met" then missed = missed + 1 end
    print(("  %-52s%12s  %s"):format(name, show(format, value), verdict))
  end
  return missed
end

local path, assert_targets = arg[1], arg[2] == "--assert"
local data = read(path)
local about = data.about
print(("%d rounds of %s s a run, %d cores%s, load before: %s, nginx %s"):format(about.rounds,
  tostring(about.seconds), about.cores, about.pinned == 1 and " (pinned)" or "",
  tostring(about.busy), about.nginx))
if about.busy > 0.5 then print "This machine was busy with other things: distrust these numbers." end

print_fields(data, "http", HTTP, "connections")
print_ratios(data, "http", {
  { "nginx / direct", "nginx", "direct" },
  { "lunette / direct", "lunette", "direct" },
  { "lunette / nginx", "lunette", "nginx" },
  { "with a rule on lists / nginx", "lists", "nginx" },
  { "with a handler / nginx", "handler", "nginx" },
  { "with a rule on lists / no rule", "lists", "lunette" },
  { "with a handler / no rule", "handler", "lunette" },
  { "to stdio, a child each / nginx", "child", "nginx" },
  { "to stdio, one child / nginx", "shared", "nginx" },
  { "CPU: lunette / nginx", "lunette", "nginx", "cpu_us" },
  { "CPU: with a handler / no rule", "handler", "lunette", "cpu_us" },
}, "connections")
print_fields(data, "stdio", STDIO, "in flight")
print_ratios(data, "stdio", {
  { "lunette / direct", "lunette", "direct" },
  { "with a rule on lists / direct", "lists", "direct" },
  { "with a handler / direct", "handler", "direct" },
  { "with a handler / no rule", "handler", "lunette" },
}, "in flight")
print_memory(data)
print_start(data)
if has(data, "http", "lunette") or assert_targets then
  local missed = print_targets(data)
  if assert_targets and missed > 0 then os.exit(1) end
end
