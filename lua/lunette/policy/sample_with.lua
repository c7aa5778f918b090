-- sample_with: servers' requests for sampling are answered by a model behind an HTTP API, so that clients without a
-- model of their own can use servers that need one. What the two APIs make of a request is in openai.lua and
-- anthropic.lua; here is whom to ask, and what every answer has to be.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local apis = { openai = require "lunette.policy.openai", anthropic = require "lunette.policy.anthropic" }

-- The first of the models that a hint of the server's names a part of; else the first.
local function choose(models, preferences)
  for _, hint in ipairs((preferences or {}).hints or {}) do
    for _, model in ipairs(models) do
      if hint.name and model:lower():find(hint.name:lower(), 1, true) then return model end
    end
  end
  return models[1]
end

-- Content as a list. Every use of a tool has its result in the message after it, alone with others.
local function checked(messages)
  local due = {}
  for _, message in ipairs(messages) do
    if message.content.type then message.content = lunette.array { message.content } end
    local results, uses = 0, {}
    for _, block in ipairs(message.content) do
      if block.type == "tool_result" then results, due[block.toolUseId] = results + 1, nil end
      if block.type == "tool_use" then uses[block.id] = true end
    end
    if results > 0 and results < #message.content then
      lunette.error(-32602, "Tool results mixed with other content")
    end
    if next(due) then lunette.error(-32602, "Tool result missing in request") end
    due = uses
  end
  if next(due) then lunette.error(-32602, "Tool result missing in request") end
end

return options.policy("sample_with", {
  api = options.choice(options.REQUIRED, { "openai", "anthropic" }),
  model = options.texts(options.REQUIRED), -- several: a server's hint chooses
  key = options.text(),
  url = options.text(), -- of another who speaks the API
  always = options.flag(false), -- also for clients that have a model themselves
  max_tokens = options.count(4096), -- at most, whatever a server asks for
  timeout = options.number(120, 0.001),
  body = options.any {}, -- members that go over those of the request
}, function(o, what)
  local api = apis[o.api]
  local url = o.url or api.url
  lunette.sampling(function(request, forward, ctx)
    local p = request.params
    if ctx.session.capabilities.sampling and not o.always then return forward(request) end
    checked(p.messages)
    p.maxTokens = math.min(p.maxTokens or o.max_tokens, o.max_tokens)
    local body = api.request(p, choose(o.model, p.modelPreferences), url)
    for name, value in pairs(o.body) do
      body[name] = value
    end
    local ask = { url = url, headers = api.headers(o.key), json = body, timeout = o.timeout }
    local ok, response = pcall(lunette.http, ask)
    if not ok or response.status ~= 200 then
      -- The log gets it all; a server need not know whom the policy asks with which key.
      local why = not ok and response
        or ("%s answered %d: %s"):format(url:match "^[^?]*", response.status, response.body:sub(1, 500))
      lunette.log.error(("%s: %s"):format(what, why))
      lunette.error(-32603, "The model can't be asked" .. (ok and ": status " .. response.status or ""))
    end
    local blocks, reason, model = api.answer(response:json())
    if #blocks == 0 then blocks[1] = { type = "text", text = "" } end
    local content = #blocks == 1 and blocks[1] or lunette.array(blocks)
    return { role = "assistant", content = content, model = model, stopReason = reason }
  end, { tools = {} })
end) --[[@as fun(options: lunette.policy.sample_with)]]
