-- Objects and arrays edited as text: what an edit doesn't concern keeps its bytes.
local core = require "lunette.core"

local M = {}

local quote = core.encode

--- Text with its members (elements) as visit says: visit(name, value, index) gives nil (as it is), false (taken
-- away), or a new value's text and a new name. Those of `added` ({ name, value }, or a text) go to the end.
function M.edit_items(text, visit, added)
  local out, at, kept, pending, last = {}, 1, nil, nil, nil
  local function copy_to(to)
    out[#out + 1] = text:sub(at, to)
    at = to + 1
  end
  for i, span in ipairs(core.spans(text)) do
    last = span.to
    local value, name = visit(span.name, text:sub(span.at, span.to), i)
    if value == false then
      -- With a neighbour before it, its comma goes along; else the one behind it does.
      if kept then
        copy_to(kept)
        at = span.to + 1
        kept = span.to
      else
        pending = pending or span.from
      end
    else
      if pending then
        copy_to(pending - 1)
        at, pending = span.from, nil
      end
      if name and name ~= span.name then
        copy_to(span.from - 1)
        out[#out + 1] = quote(name)
        -- Up to the value there is the old name, the colon and white space.
        at = span.from
        local _, stop = text:find('^"[^"\\]*', at)
        while text:sub(stop + 1, stop + 1) == "\\" do
          _, stop = text:find('^[^"\\]*', stop + 3)
        end
        at = stop + 2
      end
      if value and value ~= text:sub(span.at, span.to) then
        copy_to(span.at - 1)
        out[#out + 1] = value
        at = span.to + 1
      end
      kept = span.to
    end
  end
  local any = kept ~= nil
  if pending then
    -- Nothing is left of what there was.
    copy_to(pending - 1)
    at = last + 1
  elseif kept then
    copy_to(math.max(kept, at - 1))
  else
    copy_to(1)
  end
  for _, item in ipairs(added or {}) do
    if any then out[#out + 1] = "," end
    any = true
    out[#out + 1] = type(item) == "table" and quote(item[1]) .. ":" .. item[2] or item
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end
function M.is_object(text) return text:find "^%s*{" ~= nil end
function M.is_array(text) return text:find "^%s*%[" ~= nil end

function M.is_list(value) return getmetatable(value) == core.array_mt end
function M.is_map(value) return type(value) == "table" and not M.is_list(value) end

-- The raw value of a member; of twins the last.
function M.member(text, name)
  local found
  for _, span in ipairs(core.spans(text)) do
    if span.name == name then found = text:sub(span.at, span.to) end
  end
  return found
end

--- Text with one member set (its value's text) or, with false, taken away.
function M.set_member(text, name, value)
  local there = M.member(text, name) ~= nil
  if not there and not value then return text end
  return M.edit_items(text, function(key)
    if key == name then return value end
  end, not there and { { name, value } } or nil)
end

return M
