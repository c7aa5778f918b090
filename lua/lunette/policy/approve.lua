-- approve: asks the person at the client before a tool is called. Written last among the handlers, it shows what
-- is really sent. A client that can't be asked, an error and an answer other than "accept" all mean no.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local LONGEST = 4000 -- bytes of arguments that are shown

local function question(name, ctx, arguments)
  local text = lunette.json.encode(arguments)
  if #text > LONGEST then
    -- What can't be shown can't be approved of.
    return nil, "the arguments are too long to be shown to the person who has to approve"
  end
  return ("Allow %s%s with %s?"):format(name, ctx.upstream and " of " .. ctx.upstream or "", text)
end

-- A client before 2025-11-25 says {}, which means forms.
local function can_be_asked(ctx)
  local elicitation = ctx.session.capabilities.elicitation
  return type(elicitation) == "table" and (next(elicitation) == nil or elicitation.form ~= nil)
end

return options.policy("approve", {
  list = "tools",
  -- Unless told which: all that don't say of themselves that they only read.
  tools = options.selector { where = function(tool) return (tool.annotations or {}).readOnlyHint ~= true end },
  remember = options.flag(false), -- offer not to ask again for this tool in this session
  message = options.callable(question), -- function(name, ctx, arguments): the question, or nil and why not
}, function(o)
  local schema = { type = "object", properties = {} }
  if o.remember then
    schema.properties.remember = { type = "boolean", title = "Don't ask again for this tool", default = false }
  end
  lunette.on("tools/call", o.tools, function(request, forward, ctx)
    local name, approved = request.params.name, ctx.session.state["lunette.policy.approve"] or {}
    local known = lunette.json.encode { ctx.upstream or lunette.null, ctx.native_name or name }
    if o.remember and approved[known] then return forward(request) end
    if not can_be_asked(ctx) then
      return lunette.deny(name .. " needs a person's approval, and this client can't ask for it")
    end
    local text, why = o.message(name, ctx, request.params.arguments)
    if not text then return lunette.deny(("%s is not approved: %s"):format(name, why or "it can't be asked for")) end
    local ok, answer = pcall(ctx.elicit, ctx, { message = text, requestedSchema = schema })
    if not ok then return lunette.deny(("%s is not approved: asking failed"):format(name)) end
    if answer.action ~= "accept" then return lunette.deny(("%s is not approved"):format(name)) end
    if o.remember and type(answer.content) == "table" and answer.content.remember == true then
      approved[known] = true
      ctx.session.state["lunette.policy.approve"] = approved
    end
    return forward(request)
  end)
end) --[[@as fun(options?: lunette.policy.approve|string)]]
