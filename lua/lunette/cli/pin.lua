-- lunette pin: shows what the ready policy pin withheld, as what is different from what was approved, and approves
-- it. It reads and writes the two files of that policy and connects to nothing: what is approved is what was shown.
local json = require "lunette.base.raw_json"
local core = require "lunette.cli.core"
local definition = require "lunette.cli.definition"
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"
local text = require "lunette.cli.text"

local M = {}

local CONTEXT = 3 -- lines around what is different

function M.describe(parser)
  parser:usage "Usage: lunette pin FILE [--approve] [TOOL…]"
  parser:description(
    "Shows tools that the ready policy pin withheld because they are new or were changed since somebody approved of "
      .. "them; FILE is the policy's. On a terminal it asks for each whether to approve. A policy that runs takes "
      .. "approvals up by itself. Exits with 1 when something is left."
  )
  parser:argument("words"):args("*"):hidden(true)
  parser:flag("--approve", "Approve without asking: of each TOOL (SERVER/NAME, as shown), of all without one")
end

-- The lines of a file by tool, the last one counts; and the tools in their order.
local function read(path)
  local file, why = io.open(path, "r")
  local found, order = {}, {}
  if not file then
    if why:find "No such file" then return nil end
    session.fail("%s", why)
  end
  for line in file:lines() do
    local name = json.type(line) == "object" and json.member(line, "tool")
    if not name or json.type(name) ~= "string" then session.fail("%s: not a line of approval: %s", path, line) end
    name = json.decode(name)
    if not found[name] then order[#order + 1] = name end
    found[name] = { line = line, definition = json.member(line, "definition") }
  end
  file:close()
  return found, order
end

local function append(path, line)
  local file, why = io.open(path, "a")
  local ok = file
  if file then ok, why = file:write(line, "\n") end
  if file and ok then ok, why = file:close() end
  if not ok then session.fail("%s", why) end
end

local function show(style, name, old, new)
  output.out(style.bold(text.clean(name)), old and " was changed\n" or " is new\n")
  local marked = definition.compare(old and definition.lines(old) or {}, definition.lines(new))
  for _, row in ipairs(definition.shorten(marked, CONTEXT)) do
    local line = ("  %s %s\n"):format(row.mark, row.line)
    output.out(row.mark == " " and style.dim(line) or line)
  end
end

local function ask(name)
  output.out(("Approve of %s? [y/N] "):format(text.clean(name)))
  output.flush()
  local answer = io.read "*l"
  return answer ~= nil and answer:lower():find "^%s*ye?s?%s*$" ~= nil
end

-- What awaits approval, in the order it was withheld.
local function waiting(approved, pending, order)
  local list = {}
  for _, name in ipairs(order) do
    local old, new = approved[name], pending[name].definition
    if new and not (old and old.definition == new) then
      list[#list + 1] = { name = name, old = old and old.definition, new = new, line = pending[name].line }
    end
  end
  return list
end

local function chosen(list, names)
  if #names == 0 then return list end
  local out = {}
  for _, name in ipairs(names) do
    local before = #out
    for _, one in ipairs(list) do
      if one.name == name then out[#out + 1] = one end
    end
    if #out == before then session.fail("%s is not among what awaits approval", name) end
  end
  return out
end

local function left_over(n)
  if n == 0 then return "nothing awaits approval" end
  return text.count(n, "tool") .. (n == 1 and " awaits" or " await") .. " approval"
end

function M.run(options)
  local path = table.remove(options.words, 1)
  if not path then session.usage "which file? Give the one that the policy pin has" end
  local approved = read(path)
  local pending, order = read(path .. ".pending")
  if not approved and not pending then session.fail("%s: there is no such file, nor %s.pending", path, path) end
  local all = waiting(approved or {}, pending or {}, order or {})
  local list, left = chosen(all, options.words), #all
  local style = text.stream(core, 1)
  local asks = not options.approve and style.tty and core.isatty(0)
  for i, one in ipairs(list) do
    if i > 1 then output.out "\n" end
    show(style, one.name, one.old, one.new)
    if options.approve or asks and ask(one.name) then
      append(path, one.line)
      append(path .. ".pending", ('{"tool":%s}'):format(json.quote(one.name)))
      left = left - 1
    end
  end
  if left == 0 then os.remove(path .. ".pending") end
  local space = #list > 0 and "\n" or ""
  if #all > left then output.out(space, text.count(#all - left, "tool"), " approved\n") end
  if #all == left or left > 0 then output.out(#all == left and space or "", left_over(left), "\n") end
  return left == 0 and 0 or 1
end

return M
