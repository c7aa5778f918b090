-- What tools, resources and prompts give, for people: text as text, everything else in a line that says what
-- it is. On a terminal nothing is printed that the terminal would obey.
local json = require "lunette.base.raw_json"
local text = require "lunette.cli.text"

local M = {}

local alphabet = {}
for i, c in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):gmatch "()(.)" do
  alphabet[c] = i - 1
end
alphabet["-"], alphabet["_"] = 62, 63

--- The bytes of a base64 text; nil when it is none. White space and missing padding don't matter.
function M.base64(encoded)
  encoded = encoded:gsub("%s+", ""):gsub("=+$", "")
  if encoded:find "[^%w+/_-]" or #encoded % 4 == 1 then return nil end
  local rest = #encoded % 4
  if rest > 0 then encoded = encoded .. ("A"):rep(4 - rest) end
  local bytes = encoded:gsub("(.)(.)(.)(.)", function(a, b, c, d)
    local n = alphabet[a] * 262144 + alphabet[b] * 4096 + alphabet[c] * 64 + alphabet[d]
    return string.char(math.floor(n / 65536), math.floor(n / 256) % 256, n % 256)
  end)
  return rest > 0 and bytes:sub(1, rest - 5) or bytes
end

local function size(encoded)
  encoded = encoded:gsub("[%s=]+", "")
  return text.count(math.floor(#encoded * 3 / 4), "byte")
end

local function field(block, name) return type(block[name]) == "string" and block[name] or nil end

local function describe(words) return "[" .. text.one_line(table.concat(words, " ")) .. "]" end

local describers = {}

function describers.image(block)
  return { block.type, field(block, "mimeType") or "", size(field(block, "data") or "") }
end

describers.audio = describers.image

function describers.resource_link(block)
  return { "link", field(block, "uri") or "", field(block, "title") or field(block, "name") or "" }
end

function describers.resource(block)
  local inner = type(block.resource) == "table" and block.resource or {}
  local words = { "resource", field(inner, "uri") or "" }
  if inner.blob then
    words[3], words[4] = field(inner, "mimeType") or "", size(field(inner, "blob") or "")
  end
  return words
end

--- A content block in lines: its text, or "[image image/png 67 bytes]".
function M.block(block)
  if type(block) ~= "table" then return describe { "content that is none" } end
  if block.type == "text" and field(block, "text") then return block.text end
  local describer = describers[block.type]
  local line = describe(describer and describer(block) or { "content of type", tostring(block.type) })
  if block.type == "resource" and type(block.resource) == "table" and field(block.resource, "text") then
    return line .. "\n" .. block.resource.text
  end
  return line
end

--- Writes a text with a line break at its end. write: output.out or .err; tty: whether to make it harmless.
function M.write(write, body, tty)
  if tty then body = text.clean(body) end
  write(body, body:find "\n$" and "" or "\n")
end

--- The blocks of a raw array, one after the other. Returns how many there were.
function M.write_blocks(write, raw, tty)
  local blocks = raw and json.decode(raw)
  if type(blocks) ~= "table" then return 0 end
  for _, block in ipairs(blocks) do
    M.write(write, M.block(block), tty)
  end
  return #blocks
end

return M
