-- redact: takes secrets and personal data out of all that servers send, and on demand out of what clients send.
-- What it looks for is in patterns.lua, and in `patterns`.
--
-- Definitions are cleaned by rules, so that a tool or a resource that has a secret in its name is known by the cleaned
-- one and can still be used; all other messages by a handler. Most have nothing in them: that shows in their JSON,
-- which is searched for hints in one pass before anything of it is made a Lua value. What takes longer is done in
-- pieces, between which others have their turn.
local core = require "lunette.core"
local lunette = require "lunette"
local state = require "lunette.base.state"
local set = require "lunette.base.words"
local hooks = require "lunette.running.hooks"
local options = require "lunette.policy.options"
local known = require "lunette.policy.patterns"

local PIECE = 65536 -- bytes of a text that are searched at once …
local BEYOND = 16384 -- … and bytes after it, for what begins in it: a secret that is longer is looked at again
local TEXTS = 200 -- texts between two looks at the clock
local TURN = 0.01 -- seconds until others have theirs

local function pattern_check(what, value)
  local list = options.texts {}(what, value)
  for i, pattern in ipairs(list) do
    local ok, found = pcall(string.find, "", pattern)
    if not ok then options.fail("%s[%d] is no Lua pattern: %s", what, i, (found:gsub("^.-:%d+: ", ""))) end
    if found then options.fail("%s[%d] matches where nothing is", what, i) end
  end
  return list
end

-- Base64, which would only be broken.
local function is_binary(holder, key)
  return (key == "blob" and holder.uri) or (key == "data" and (holder.type == "image" or holder.type == "audio"))
end

-- What only its maker understands, and gets back: at the top of a message, in its _meta and its task.
local opaque = set "nextCursor progressToken requestId taskId elicitationId"

-- As gsub, for a long text: what begins in a piece is looked for in it and a bit more.
local function replace_long(text, pattern, with, pause)
  local out, from, at = {}, 1, 1 -- from: the first byte that is not in out
  while at <= #text do
    local stop, last = at + PIECE, math.min(#text, at + PIECE + BEYOND - 1)
    -- With a byte before it, for frontiers.
    local shift = at > 1 and at - 2 or 0
    local window, init = text:sub(shift + 1, last), at - shift
    while true do
      local s, e = window:find(pattern, init)
      if not s or s + shift >= stop then break end
      if e == #window and last < #text then
        last = math.min(#text, last + #window)
        window = text:sub(shift + 1, last)
      else
        out[#out + 1], out[#out + 2] = text:sub(from, s + shift - 1), with
        from, init = e + shift + 1, e + 1
      end
    end
    at = math.max(stop, from)
    pause()
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out)
end

local function never() end

-- A function that lets others have their turn when this one has taken long enough.
local function pauses()
  local till = lunette.now() + TURN
  return function()
    if lunette.now() < till then return end
    lunette.sleep(0)
    till = lunette.now() + TURN
  end
end

-- scrub(text, pause) -> the text without what the patterns match; and the hints, of which each such text has one.
local function scrubber(patterns, with)
  local escaped, hints = with:gsub("%%", "%%%%"), {}
  for _, pattern in ipairs(patterns) do
    hints[#hints + 1] = pattern.hints
  end
  local all = #hints == #patterns and table.concat(hints, "\n") or nil
  return function(text, pause)
    if all and not core.holds(text, all) then return text end
    for _, pattern in ipairs(patterns) do
      if not pattern.hints or core.holds(text, pattern.hints) then
        local long = #text > PIECE and not pattern[1]:find "^%^"
        text = long and replace_long(text, pattern[1], with, pause) or text:gsub(pattern[1], escaped)
      end
    end
    return text
  end, all
end

return options.policy("redact", {
  secrets = options.flag(true),
  personal = options.flag(false),
  patterns = pattern_check,
  with = options.text "[redacted]",
  results = options.flag(true),
  arguments = options.flag(false),
}, function(o)
  local patterns = {}
  for _, list in ipairs { o.secrets and known.secrets or {}, o.personal and known.personal or {} } do
    for _, pattern in ipairs(list) do
      patterns[#patterns + 1] = pattern
    end
  end
  for _, pattern in ipairs(o.patterns) do
    patterns[#patterns + 1] = known.own(pattern)
  end
  local scrub, hints = scrubber(patterns, o.with)
  hints = hints and hints .. "\n\\u" -- in JSON one may stand behind an escape
  local texts = 0

  local function clean(value, pause, depth)
    if type(value) == "string" then
      texts = texts + 1
      if texts % TEXTS == 0 then pause() end
      return scrub(value, pause)
    end
    if type(value) ~= "table" or depth > 200 then return value end
    local renamed = {}
    for key, member in pairs(value) do
      local plain = type(key) == "string" and scrub(key, pause) or key
      if plain ~= key then
        renamed[key] = plain
      elseif not is_binary(value, key) and not (depth < 2 and opaque[key]) then
        local cleaned = clean(member, pause, depth + 1)
        if cleaned ~= member then value[key] = cleaned end
      end
    end
    for key, plain in pairs(renamed) do
      value[plain], value[key] = clean(value[key], pause, depth + 1), nil
    end
    return value
  end

  local function is_dirty(value, depth)
    if type(value) == "string" then return scrub(value, never) ~= value end
    if type(value) ~= "table" or depth > 200 then return false end
    for key, member in pairs(value) do
      if is_dirty(key, depth) or is_dirty(member, depth + 1) then return true end
    end
    return false
  end

  for _, verb in ipairs(o.results and { "tools", "resources", "resource_templates", "prompts" } or {}) do
    lunette[verb].transform(
      { where = function(item) return is_dirty(item, 0) end },
      function(item) return clean(item, never, 2) end
    )
    local rules = state.rules[verb]
    local chosen = rules[#rules].selector
    chosen.hints, chosen.hit = hints, true -- that it chooses nothing is fine
  end

  -- What a client sends is a request by name: only what it gives to that is cleaned, but all of what nobody knows.
  local function clean_request(request, pause)
    local params = request.params
    if not hooks.methods[request.method] then return clean(params, pause, 0) end
    for _, name in ipairs { "arguments", "argument", "context" } do
      params[name] = clean(params[name], pause, 0)
    end
  end

  local untouched = core.untouched()
  hooks.handle("*", nil, function(request, forward, ctx)
    local from_server, pause = ctx.from == "server", pauses()
    if from_server and o.results then
      clean(request.params, pause, 0)
    elseif not from_server and o.arguments then
      clean_request(request, pause)
    end
    local answers = o.results
    if from_server then answers = o.arguments end
    if not answers then return forward(request) end
    local ok, result = pcall(forward, request)
    if ok and result == untouched then return result end
    result = clean(result, pause, 0)
    if not ok then error(result, 0) end
    return result
  end, nil, hints)
end) --[[@as fun(options?: lunette.policy.redact)]]
