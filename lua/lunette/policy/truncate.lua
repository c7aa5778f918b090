-- truncate: shortens results that would fill the model's context. All texts of a result together get so many
-- bytes; the rest is cut at a whole character and the model is told. structuredContent stays: what is cut out of
-- it would break its schema.
local lunette = require "lunette"
local options = require "lunette.policy.options"
local on_results = require "lunette.policy.results"

-- The longest prefix of at most n bytes that ends between two characters.
local function prefix(text, n)
  while n > 0 and n < #text and text:byte(n + 1) >= 0x80 and text:byte(n + 1) < 0xC0 do
    n = n - 1
  end
  return text:sub(1, n)
end

-- Shortens the texts of the list; blocks: where a text is in each.
local function shorten(list, bytes)
  local left = bytes
  for _, block in ipairs(type(list) == "table" and list or {}) do
    local holder = type(block.resource) == "table" and block.resource or block
    local text = holder.text
    if type(text) == "string" and #text <= left then
      left = left - #text
    elseif type(text) == "string" then
      local kept = prefix(text, left)
      holder.text = ("%s\n[… %d more bytes left out]"):format(kept, #text - #kept)
      left = 0
    end
  end
end

return options.policy("truncate", {
  tools = options.selector "*",
  bytes = options.count(20000),
  resources = options.flag(false), -- resources that are read, too
}, function(o)
  local function see(result)
    shorten(result.content, o.bytes)
    return result
  end
  on_results(o.tools, function() return see end, see)
  if not o.resources then return end
  lunette.on("resources/read", function(request, forward)
    local result = forward(request)
    shorten(result.contents, o.bytes)
    return result
  end)
end) --[[@as fun(options?: lunette.policy.truncate)]]
