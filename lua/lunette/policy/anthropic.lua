-- sampling/createMessage as Anthropic's messages API, and its answer as MCP has it.
local lunette = require "lunette"

local M = { url = "https://api.anthropic.com/v1/messages" }

function M.headers(key) return { ["x-api-key"] = key, ["anthropic-version"] = "2023-06-01" } end

local blocks

local kinds = {
  text = function(block) return { type = "text", text = block.text } end,
  image = function(block)
    return { type = "image", source = { type = "base64", media_type = block.mimeType, data = block.data } }
  end,
  tool_use = function(block) return { type = "tool_use", id = block.id, name = block.name, input = block.input } end,
  tool_result = function(block)
    return { type = "tool_result", tool_use_id = block.toolUseId, content = blocks(block.content or {}),
      is_error = block.isError }
  end,
}

function blocks(list)
  local out = lunette.array {}
  for i, block in ipairs(list) do
    local kind = kinds[block.type]
    if not kind then lunette.error(-32602, "The model can't be given content of type " .. tostring(block.type)) end
    out[i] = kind(block)
  end
  return out
end

local choices = { auto = "auto", required = "any", none = "none" }

--- p: the params, each message's content a list.
function M.request(p, model)
  local messages, tools = lunette.array {}, nil
  for i, message in ipairs(p.messages) do
    messages[i] = { role = message.role, content = blocks(message.content) }
  end
  for _, tool in ipairs(p.tools or {}) do
    tools = tools or lunette.array {}
    tools[#tools + 1] = { name = tool.name, description = tool.description, input_schema = tool.inputSchema }
  end
  local body = { model = model, max_tokens = p.maxTokens, system = p.systemPrompt, messages = messages,
    temperature = p.temperature, stop_sequences = p.stopSequences, tools = tools }
  if tools and p.toolChoice then body.tool_choice = { type = choices[p.toolChoice.mode] or "auto" } end
  return body
end

local reasons = { end_turn = "endTurn", max_tokens = "maxTokens", stop_sequence = "stopSequence", tool_use = "toolUse" }

--- The blocks, why it stopped and the model.
function M.answer(body)
  local out = {}
  for _, block in ipairs(body.content) do
    if block.type == "text" or block.type == "tool_use" then out[#out + 1] = kinds[block.type](block) end
  end
  return out, reasons[body.stop_reason] or body.stop_reason, body.model
end

return M
