-- lunette list: the components that clients see; with --raw what servers offer; with --explain the way
-- from one to the other, and which rules and handlers chose nothing.
local json = require "lunette.base.raw_json"
local core = require "lunette.cli.core"
local shared = require "lunette.cli.options"
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"
local text = require "lunette.cli.text"

local M = {}

function M.describe(parser, record)
  parser:usage(
    "Usage: lunette list TARGET… [--policy FILE]… [--raw | --explain] [--json]\n"
      .. "                    [--log-level LEVEL] [--log-format text|json]"
  )
  parser:description "Shows the tools, resources, resource templates and prompts that clients see."
  shared.targets(parser, record)
  parser:mutex(
    parser:flag("--raw", "Show what the servers offer, before any rule"),
    parser:flag(
      "--explain",
      "Show for every component the way it took, each rule with its file and line, and which rules do nothing"
    )
  )
  parser:flag("--json", "Print one JSON object, with the components as the servers and policies wrote them")
  shared.log(parser, "warn")
  parser:epilog(shared.about_targets .. [[


Exits with 1 when a server that is not optional can't be had, or a list of it, after printing the rest.]])
end

-- --- what there is ------------------------------------------------------------------------------

-- Sections are { kind =, rows = … }; what could not be had is reported and left out. That a server is down is said
-- once, at the end, not for each kind.
local function report(client, kind, why, state)
  state.failed = true
  for _, server in ipairs(client.app:servers()) do
    if server.state == "down" and server.error and why:find(server.error, 1, true) then return end
  end
  output.err("lunette: ", text.clean(("%s: %s"):format(kind.list, why)), "\n")
end

local function presented(client, state)
  local sections = {}
  for _, kind in ipairs(session.KINDS) do
    local items, err = client:items(kind)
    if not items then report(client, kind, ("%s (%s)"):format(err.message, tostring(err.code)), state) end
    sections[#sections + 1] = { kind = kind, rows = items or {} }
  end
  return sections
end

local function explained(client, state)
  local sections = {}
  for _, kind in ipairs(session.KINDS) do
    local entries, why = client.app:explain(kind.id)
    if not entries then report(client, kind, why, state) end
    sections[#sections + 1] = { kind = kind, rows = entries or {} }
  end
  return sections
end

-- Of all that is known only the servers' own definitions.
local function raw(client, state)
  local sections = explained(client, state)
  for _, section in ipairs(sections) do
    local rows = {}
    for _, entry in ipairs(section.rows) do
      if entry.upstream then rows[#rows + 1] = entry.raw end
    end
    section.rows = rows
  end
  return sections
end

-- --- for people -----------------------------------------------------------------------------------

local function description(item)
  for _, name in ipairs { "description", "title" } do
    if type(item[name]) == "string" and item[name]:find "%S" then return item[name] end
  end
  return type(item.name) == "string" and item.name or ""
end

local MAX_NAME = 48

local function print_items(section, out)
  local names, notes, width = {}, {}, 0
  for i, row in ipairs(section.rows) do
    local item = json.decode(row)
    local name = type(item) == "table" and item[section.kind.key]
    names[i] = text.one_line(type(name) == "string" and name or "?")
    notes[i] = type(item) == "table" and text.one_line(description(item)) or ""
    if notes[i] == names[i] then notes[i] = "" end
    width = math.max(width, text.width(names[i]))
  end
  width = math.min(width, MAX_NAME)
  for i, name in ipairs(names) do
    local note = notes[i]
    if note ~= "" then note = "  " .. out.dim(text.cut(note, math.max(20, out.width - width - 4))) end
    output.out("  ", note == "" and name or text.pad(name, width), note, "\n")
  end
end

-- "FILE:LINE verb detail" lines to { { at =, what = } … }.
local function steps_of(entry)
  local steps = {}
  for line in (entry.why or ""):gmatch "[^\n]+" do
    local at, what = line:match "^(.-:%d+):? (.*)$"
    steps[#steps + 1] = { at = at or "", what = what or line }
  end
  return steps
end

local ARROW = " → "

local function seen(entry) return not (entry.hidden or entry.shadowed or entry.withheld) end

-- Why it is not shown under its name; the last step hid it.
local function ending(entry, hider)
  if entry.hidden then
    return hider and ("hidden by %s (%s)"):format(hider.at, hider.what) or "hidden"
  elseif entry.shadowed then
    return ("not shown: the %s of %s comes first"):format(entry.key, entry.first)
  elseif entry.withheld then
    return ("withheld: names that begin with %s_ are those of the server with that prefix"):format(entry.withheld)
  elseif entry.apart then
    return ("%s (another server has that URI too)"):format(entry.key)
  end
  return entry.key
end

-- A component's way on one line, so that it can be searched for.
local function way(entry, out)
  local parts = { text.one_line(entry.native) }
  if not entry.upstream then parts[2] = text.one_line(entry.owner .. " add") end
  if entry.before and entry.before ~= entry.native then parts[#parts + 1] = text.one_line(entry.before) end
  local steps = steps_of(entry)
  local hider = entry.hidden and table.remove(steps)
  for _, step in ipairs(steps) do
    parts[#parts + 1] = text.one_line(("%s %s"):format(step.at, step.what))
  end
  local last = text.one_line(ending(entry, hider))
  if parts[#parts] ~= last then parts[#parts + 1] = last end
  parts[#parts] = seen(entry) and out.bold(last) or out.dim(last)
  return table.concat(parts, ARROW)
end

-- Rules and handlers that chose nothing: { { at =, what = } … }, in the order of the file.
local function unmatched(client)
  local list = {}
  for line in (client.app:unmatched() or ""):gmatch "[^\n]+" do
    local at, what = line:match "^(.-)\t(.*)$"
    list[#list + 1] = { at = at, what = what }
  end
  return list
end

local function print_unmatched(client, out)
  local list = unmatched(client)
  if #list == 0 then return end
  output.out("\n", out.bold "Rules and handlers that do nothing here", "\n")
  for _, row in ipairs(list) do
    output.out("  ", text.one_line(("%s %s"):format(row.at, row.what)), "\n")
  end
end

local function print_ways(section, out)
  local width = 0
  local function server(entry) return entry.upstream or "(policy)" end
  for _, entry in ipairs(section.rows) do
    width = math.max(width, text.width(server(entry)))
  end
  for _, entry in ipairs(section.rows) do
    output.out("  ", out.dim(text.pad(server(entry), width)), "  ", way(entry, out), "\n")
  end
end

local function print_all(sections, print_one)
  local out, first = text.stream(core, 1), true
  for _, section in ipairs(sections) do
    if #section.rows > 0 then
      output.out(first and "" or "\n", out.bold(section.kind.title), "\n")
      print_one(section, out)
      first = false
    end
  end
  if first then output.out "nothing: no tools, resources, resource templates or prompts\n" end
  return out
end

-- --- for programs -----------------------------------------------------------------------------------

local function explained_json(entry)
  local rules = {}
  local function add(at, did) rules[#rules + 1] = ('{"at":%s,"did":%s}'):format(json.quote(at), json.quote(did)) end
  if not entry.upstream then add(entry.owner, "add") end
  for _, step in ipairs(steps_of(entry)) do
    add(step.at, step.what)
  end
  local members = {
    '"upstream":' .. (entry.upstream and json.quote(entry.upstream) or "null"),
    '"native":' .. json.quote(entry.native),
    '"before":' .. json.quote(entry.before or entry.native),
    '"rules":[' .. table.concat(rules, ",") .. "]",
    '"presented":' .. (seen(entry) and json.quote(entry.key) or "null"),
    '"hidden":' .. tostring(entry.hidden),
    '"shadowed":' .. tostring(entry.shadowed),
    '"shadowed_by":' .. (entry.shadowed and json.quote(entry.first) or "null"),
    '"withheld":' .. (entry.withheld and json.quote(entry.withheld) or "null"),
    '"item":' .. entry.json,
  }
  return "{" .. table.concat(members, ",") .. "}"
end

local function print_json(sections, of, more)
  local members = {}
  for i, section in ipairs(sections) do
    local rows = {}
    for k, row in ipairs(section.rows) do
      rows[k] = of and of(row) or row
    end
    members[i] = ('"%s":[%s]'):format(section.kind.array, table.concat(rows, ","))
  end
  output.out("{", table.concat(members, ","), more or "", "}\n")
end

local function unmatched_json(client)
  local rows = {}
  for i, row in ipairs(unmatched(client)) do
    rows[i] = ('{"at":%s,"what":%s}'):format(json.quote(row.at), json.quote(row.what))
  end
  return ',"unmatched":[' .. table.concat(rows, ",") .. "]"
end

function M.run(options, words, command)
  return session.with(options, words, command, function(client)
    local state = { failed = false }
    local sections = (options.explain and explained or options.raw and raw or presented)(client, state)
    if options.json then
      print_json(sections, options.explain and explained_json, options.explain and unmatched_json(client))
    else
      local out = print_all(sections, options.explain and print_ways or print_items)
      if options.explain then print_unmatched(client, out) end
    end
    output.flush()
    local dead = client:report_servers()
    return (dead or state.failed) and 1 or 0
  end)
end

return M
