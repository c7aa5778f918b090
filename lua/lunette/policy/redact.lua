-- redact: takes secrets and personal data out of what servers answer and tell, and on demand out of what
-- clients send. What it looks for is in patterns.lua, and in `patterns`.
local lunette = require "lunette"
local options = require "lunette.policy.options"
local known = require "lunette.policy.patterns"

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

return options.policy("redact", {
  secrets = options.flag(true),
  personal = options.flag(false),
  patterns = pattern_check,
  with = options.text "[redacted]",
  results = options.flag(true),
  arguments = options.flag(false),
}, function(o)
  local patterns, with = {}, o.with:gsub("%%", "%%%%")
  for _, list in ipairs { o.secrets and known.secrets or {}, o.personal and known.personal or {}, o.patterns } do
    for _, pattern in ipairs(list) do
      patterns[#patterns + 1] = pattern
    end
  end

  local function clean(value, depth)
    if type(value) == "string" then
      for _, pattern in ipairs(patterns) do
        value = value:gsub(pattern, with)
      end
    elseif type(value) == "table" and depth < 200 then
      local renamed = {}
      for key, member in pairs(value) do
        local plain = type(key) == "string" and clean(key, depth) or key
        if plain ~= key then
          renamed[key] = plain
        elseif not is_binary(value, key) then
          value[key] = clean(member, depth + 1)
        end
      end
      for key, plain in pairs(renamed) do
        value[plain], value[key] = clean(value[key], depth + 1), nil
      end
    end
    return value
  end

  for _, method in ipairs { "tools/call", "resources/read", "prompts/get", "completion/complete", "tasks/result" } do
    lunette.on(method, function(request, forward)
      if o.arguments then clean(request.params.arguments or {}, 0) end
      if not o.results then return forward(request) end
      local ok, result = pcall(forward, request)
      if not ok then error(clean(result, 0), 0) end
      return clean(result, 0)
    end)
  end
  -- What servers ask of clients. By a glob that begins with no method's name, since a handler of sampling or
  -- elicitation would offer them for clients that have none.
  lunette.on("*/create*", function(request, forward)
    if o.results then clean(request.params, 0) end
    local answer = forward(request)
    return o.arguments and clean(answer, 0) or answer
  end)
  for _, method in ipairs(o.results and { "notifications/message", "notifications/progress" } or {}) do
    lunette.on(method, function(notification, forward)
      clean(notification.params, 0)
      forward(notification)
    end)
  end
end) --[[@as fun(options?: lunette.policy.redact)]]
