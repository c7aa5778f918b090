-- Text for people: what servers say is made harmless, cut, aligned and coloured here, as far as the
-- stream it goes to is a terminal.
local M = {}

-- --- harmless -----------------------------------------------------------------------------------

-- The length of the UTF-8 sequence at `at`, nil when there is none.
local function sequence(text, at)
  local a, b = text:byte(at, at + 1)
  if a < 0x80 then return 1 end
  local n = a >= 0xC2 and a < 0xE0 and 2 or a >= 0xE0 and a < 0xF0 and 3 or a >= 0xF0 and a < 0xF5 and 4
  if not n or not text:find("^" .. ("[\128-\191]"):rep(n - 1), at + 1) then return nil end
  if a == 0xE0 and b < 0xA0 or a == 0xED and b > 0x9F or a == 0xF0 and b < 0x90 or a == 0xF4 and b > 0x8F then
    return nil
  end
  return n
end

--- Whether it is UTF-8.
function M.is_utf8(text)
  local at = text:find "[\128-\255]"
  while at and at <= #text do
    local n = sequence(text, at)
    if not n then return false end
    at = text:find("[\128-\255]", at + n)
  end
  return true
end

--- The text without what would move a terminal's cursor or change its state: control characters
-- but for line breaks and tabs are shown as \xNN, what is no UTF-8 too.
function M.clean(text)
  local function show(c) return ("\\x%02x"):format(c:byte()) end
  text = text:gsub("\r\n", "\n"):gsub("[%z\1-\8\11-\31\127]", show)
  if not text:find "[\128-\255]" then return text end
  local out, at = {}, 1
  while at <= #text do
    local n = sequence(text, at)
    local c = text:sub(at, at + (n or 1) - 1)
    -- C1 controls: some terminals obey them in UTF-8 too.
    local harmless = n and not c:find "^\194[\128-\159]"
    out[#out + 1] = harmless and c or c:gsub(".", show)
    at = at + (n or 1)
  end
  return table.concat(out)
end

--- The first line that says something, on one line, harmless. "" when there is none.
function M.one_line(text)
  local line = M.clean(text):match "[^\n]*%S[^\n]*" or ""
  return (line:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

-- --- width --------------------------------------------------------------------------------------

local function code_point(c)
  local a, b, d, e = c:byte(1, 4)
  if not b then return a end
  if not d then return (a - 0xC0) * 64 + b - 0x80 end
  if not e then return (a - 0xE0) * 4096 + (b - 0x80) * 64 + d - 0x80 end
  return (a - 0xF0) * 262144 + (b - 0x80) * 4096 + (d - 0x80) * 64 + e - 0x80
end

M.code_point = code_point

-- What stands over the character before it, and what takes two columns.
local marks = { { 0x300, 0x36F }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F } }
local wide = {
  { 0x1100, 0x115F }, { 0x2E80, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF }, { 0xFE30, 0xFE6F },
  { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F900, 0x1F9FF },
  { 0x20000, 0x3FFFD },
}

local function within(ranges, code)
  for _, range in ipairs(ranges) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end

local function columns(c)
  local code = code_point(c)
  if code < 0x300 then return 1 end
  return within(marks, code) and 0 or within(wide, code) and 2 or 1
end

local CHARACTER = "[%z\1-\127\192-\255][\128-\191]*"

--- How many columns it takes on a terminal.
function M.width(text)
  if not text:find "[\128-\255]" then return #text end
  local n = 0
  for c in text:gmatch(CHARACTER) do
    n = n + columns(c)
  end
  return n
end

--- The text in at most `width` columns, with "…" where it was cut.
function M.cut(text, width)
  if not width or M.width(text) <= width then return text end
  local out, n = {}, 0
  for c in text:gmatch(CHARACTER) do
    n = n + columns(c)
    if n > width - 1 then break end
    out[#out + 1] = c
  end
  return (table.concat(out):gsub("%s+$", "")) .. "…"
end

function M.pad(text, width) return text .. (" "):rep(width - M.width(text)) end

-- --- terminals ----------------------------------------------------------------------------------

local function window_columns(fd)
  local ok, n = pcall(function()
    local ffi = require "ffi"
    ffi.cdef "int ioctl(int fd, unsigned long request, ...)"
    local size = ffi.new "unsigned short[4]"
    local TIOCGWINSZ = 0x5413
    return ffi.C.ioctl(fd, TIOCGWINSZ, size) == 0 and tonumber(size[1]) or nil
  end)
  return ok and n and n > 0 and n or nil
end

-- Lines in a file or pipe.
local FILE_WIDTH = 120

--- What there is to know about a stream (fd 1 or 2): { tty =, width = in columns, bold(s), dim(s) }.
function M.stream(core, fd)
  local tty = core.isatty(fd)
  local no_colour = os.getenv "NO_COLOR"
  local coloured = tty and os.getenv "TERM" ~= "dumb" and (no_colour == nil or no_colour == "")
  local function style(code)
    return function(text) return coloured and ("\27[%dm%s\27[0m"):format(code, text) or text end
  end
  return {
    tty = tty,
    width = tty and (window_columns(fd) or tonumber(os.getenv "COLUMNS" or "") or 80) or FILE_WIDTH,
    bold = style(1),
    dim = style(2),
  }
end

-- --- words --------------------------------------------------------------------------------------

--- "1 tool", "2 tools".
function M.count(n, thing) return ("%d %s%s"):format(n, thing, n == 1 and "" or "s") end

return M
