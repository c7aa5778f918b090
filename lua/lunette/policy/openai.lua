-- sampling/createMessage as OpenAI's chat completions, which many others speak too, and their answer as MCP has it.
local lunette = require "lunette"

local M = { url = "https://api.openai.com/v1/chat/completions" }

function M.headers(key) return key and { Authorization = "Bearer " .. key } or {} end

local parts = {
  text = function(block) return { type = "text", text = block.text } end,
  image = function(block)
    return { type = "image_url", image_url = { url = ("data:%s;base64,%s"):format(block.mimeType, block.data) } }
  end,
  audio = function(block)
    local format = block.mimeType:match "^audio/(.*)$"
    return { type = "input_audio", input_audio = { data = block.data, format = format == "mpeg" and "mp3" or format } }
  end,
}

-- Of a tool's result the API takes text.
local function text_of(result)
  local texts = {}
  for _, block in ipairs(result.content or {}) do
    texts[#texts + 1] = block.type == "text" and block.text or lunette.json.encode(block)
  end
  return table.concat(texts, "\n")
end

-- One message of MCP's is one of theirs, but that each tool result is a message.
local function add(messages, message)
  local content, calls = lunette.array {}, lunette.array {}
  for _, block in ipairs(message.content) do
    if block.type == "tool_result" then
      messages[#messages + 1] = { role = "tool", tool_call_id = block.toolUseId, content = text_of(block) }
    elseif block.type == "tool_use" then
      local call = { name = block.name, arguments = lunette.json.encode(block.input) }
      calls[#calls + 1] = { id = block.id, type = "function", ["function"] = call }
    elseif parts[block.type] then
      content[#content + 1] = parts[block.type](block)
    else
      lunette.error(-32602, "Unknown content: " .. tostring(block.type))
    end
  end
  if #content == 0 and #calls == 0 then return end
  local out = { role = message.role, tool_calls = #calls > 0 and calls or nil }
  if #content > 0 then out.content = content end
  -- A lone text goes as a text: all who speak this take that.
  if #content == 1 and content[1].type == "text" then out.content = content[1].text end
  messages[#messages + 1] = out
end

--- p: the params, each message's content a list.
function M.request(p, model, url)
  local messages, tools = lunette.array {}, nil
  if p.systemPrompt then messages[1] = { role = "system", content = p.systemPrompt } end
  for _, message in ipairs(p.messages) do
    add(messages, message)
  end
  for _, tool in ipairs(p.tools or {}) do
    tools = tools or lunette.array {}
    local about = { name = tool.name, description = tool.description, parameters = tool.inputSchema }
    tools[#tools + 1] = { type = "function", ["function"] = about }
  end
  local body = { model = model, messages = messages, tools = tools, temperature = p.temperature,
    stop = p.stopSequences }
  if tools and p.toolChoice then body.tool_choice = p.toolChoice.mode end
  -- OpenAI itself has given the limit another name.
  body[url:find "^https://api%.openai%.com/" and "max_completion_tokens" or "max_tokens"] = p.maxTokens
  return body
end

local reasons = { stop = "endTurn", length = "maxTokens", tool_calls = "toolUse" }

--- The blocks, why it stopped and the model.
function M.answer(body)
  local choice, blocks = body.choices[1], {}
  local message = choice.message
  local text = type(message.content) == "string" and message.content or message.refusal
  if type(text) == "string" and text ~= "" then blocks[1] = { type = "text", text = text } end
  for _, call in ipairs(type(message.tool_calls) == "table" and message.tool_calls or {}) do
    local about = call["function"]
    local input = about.arguments ~= "" and lunette.json.decode(about.arguments) or {}
    blocks[#blocks + 1] = { type = "tool_use", id = call.id, name = about.name, input = input }
  end
  return blocks, reasons[choice.finish_reason] or choice.finish_reason, body.model
end

return M
