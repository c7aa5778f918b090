-- Definitions (raw JSON) as lines for people, and what is different between two of them. A person decides by what is
-- shown here, so all that is there is shown: characters that have no look, or turn text around, as \u{…}.
local json = require "lunette.base.raw_json"
local text = require "lunette.cli.text"

local M = {}

-- Lines that are compared one by one; beyond, everything counts as different.
local MOST = 1500

local unseen = { { 0xAD, 0xAD }, { 0x34F, 0x34F }, { 0x61C, 0x61C }, { 0x115F, 0x1160 }, { 0x17B4, 0x17B5 },
  { 0x180B, 0x180F }, { 0x200B, 0x200F }, { 0x2028, 0x202E }, { 0x2060, 0x206F }, { 0x3164, 0x3164 },
  { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF }, { 0xFFA0, 0xFFA0 }, { 0xFFF9, 0xFFFB }, { 0xE0000, 0xE0FFF } }

local function show(character)
  local code = text.code_point(character)
  for _, range in ipairs(unseen) do
    if code >= range[1] and code <= range[2] then return ("\\u{%x}"):format(code) end
  end
end

local function visible(s)
  return (text.clean(s):gsub("\t", "\\t"):gsub("[\194-\244][\128-\191]+", show))
end

local function add(lines, indent, line) lines[#lines + 1] = ("  "):rep(indent) .. line end

local render

local function render_text(lines, indent, label, raw)
  local value = json.decode(raw)
  if not value:find "\n" then return add(lines, indent, label .. '"' .. visible(value) .. '"') end
  add(lines, indent, label .. "|")
  for line in (value .. "\n"):gmatch "(.-)\n" do
    add(lines, indent + 1, visible(line))
  end
end

function render(lines, indent, label, raw)
  local kind = json.type(raw)
  if kind == "string" then return render_text(lines, indent, label, raw) end
  local members, elements = json.members(raw), json.elements(raw)
  if #members == 0 and #elements == 0 then return add(lines, indent, label .. visible(raw)) end
  if label ~= "" then
    add(lines, indent, (label:gsub(" $", "")))
    indent = indent + 1
  end
  for _, member in ipairs(members) do
    render(lines, indent, visible(member.name) .. ": ", member.value)
  end
  for i, element in ipairs(elements) do
    render(lines, indent, ("[%d]: "):format(i - 1), element)
  end
end

--- The lines of a definition.
function M.lines(raw)
  local lines = {}
  render(lines, 0, "", raw)
  return lines
end

-- lengths[i][j]: of the longest list of lines that old from i and new from j have in common.
local function common(old, new)
  local lengths = {}
  for i = #old + 1, 1, -1 do
    local row, below = {}, lengths[i + 1]
    lengths[i] = row
    for j = #new + 1, 1, -1 do
      if i > #old or j > #new then
        row[j] = 0
      elseif old[i] == new[j] then
        row[j] = below[j + 1] + 1
      else
        row[j] = math.max(below[j], row[j + 1])
      end
    end
  end
  return lengths
end

--- What makes `new` of `old` (lists of lines): { { mark = " ", "-" or "+", line = }, … }.
function M.compare(old, new)
  local out, i, j = {}, 1, 1
  local function take(mark, line) out[#out + 1] = { mark = mark, line = line } end
  local lengths = #old <= MOST and #new <= MOST and common(old, new)
  while i <= #old or j <= #new do
    if i <= #old and j <= #new and old[i] == new[j] and lengths then
      take(" ", old[i])
      i, j = i + 1, j + 1
    elseif i <= #old and (j > #new or not lengths or lengths[i + 1][j] >= lengths[i][j + 1]) then
      take("-", old[i])
      i = i + 1
    else
      take("+", new[j])
      j = j + 1
    end
  end
  return out
end

--- Without the lines that are the same and further than `context` from one that isn't; one "…" for each run.
function M.shorten(marked, context)
  local near = {}
  for i, row in ipairs(marked) do
    for k = i - context, i + context do
      near[k] = near[k] or row.mark ~= " "
    end
  end
  local out = {}
  for i, row in ipairs(marked) do
    if near[i] then
      out[#out + 1] = row
    elseif i == 1 or near[i - 1] then
      out[#out + 1] = { mark = " ", line = "…" }
    end
  end
  return out
end

return M
