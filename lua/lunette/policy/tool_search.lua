-- tool_search: many tools behind two, one that finds and one that calls, so that a long catalogue costs the model
-- no context. This is no lock: a tool that is not listed can still be called by who knows its name. What other
-- rules hide is neither found nor called.
local lunette = require "lunette"
local options = require "lunette.policy.options"

-- Asks the handler of tools/list below for all. A time, since a search that is cancelled just ends.
local SEARCHING = "lunette.policy.tool_search"

local function score(tool, words)
  local name, rest, sum = tool.name:lower(), ((tool.title or "") .. " " .. (tool.description or "")):lower(), 0
  for _, word in ipairs(words) do
    sum = sum + (name:find(word, 1, true) and 3 or 0) + (rest:find(word, 1, true) and 1 or 0)
  end
  return sum
end

local function words_of(text)
  local words = {}
  for word in tostring(text):lower():gmatch "[%w\128-\255]+" do
    words[#words + 1] = word
  end
  return words
end

return options.policy("tool_search", {
  keep = options.texts {}, -- globs on tools that stay in the list
  results = options.count(8),
  search = options.text "search_tools",
  call = options.text "call_tool",
}, function(o)
  local listed = { [o.search] = true, [o.call] = true }
  local function stays(name)
    for _, glob in ipairs(o.keep) do
      if lunette.match(glob, name) then return true end
    end
    return listed[name]
  end

  lunette.on("tools/list", function(request, forward, ctx)
    local result = forward(request)
    if (ctx.session.state[SEARCHING] or 0) > lunette.now() then return result end
    local shown = lunette.array()
    for _, tool in ipairs(result.tools) do
      if stays(tool.name) then shown[#shown + 1] = tool end
    end
    result.tools = shown
    return result
  end)

  lunette.tools.add {
    name = o.search,
    description = "Find tools by what they do. Gives their names, descriptions and input schemas; call them with "
      .. o.call .. ".",
    inputSchema = { type = "object", properties = { query = { type = "string", description = "A few words" } },
      required = { "query" } },
    annotations = { readOnlyHint = true },
    handler = function(args, ctx)
      local found, words, state = {}, words_of(args.query or ""), ctx.session.state
      state[SEARCHING] = lunette.now() + 10
      local all = lunette.tools.list(ctx)
      state[SEARCHING] = nil
      for i, tool in ipairs(all) do
        local points = not listed[tool.name] and score(tool, words) or 0
        if points > 0 then found[#found + 1] = { tool = tool, points = points, place = i } end
      end
      table.sort(found, function(a, b) return a.points > b.points or (a.points == b.points and a.place < b.place) end)
      local tools = lunette.array()
      for i = 1, math.min(#found, o.results) do
        local tool = found[i].tool
        tools[i] = { name = tool.name, description = tool.description, inputSchema = tool.inputSchema }
      end
      return #tools > 0 and lunette.json.encode(tools) or "no tool fits; try other words"
    end,
  }
  lunette.tools.add {
    name = o.call,
    description = "Call a tool that " .. o.search .. " found.",
    inputSchema = { type = "object", properties = { name = { type = "string" }, arguments = { type = "object" } },
      required = { "name" } },
    handler = function(args, ctx)
      if type(args.name) ~= "string" or listed[args.name] then return lunette.deny "name must be a found tool's" end
      return ctx:call_tool(args.name, type(args.arguments) == "table" and args.arguments or {})
    end,
  }
end) --[[@as fun(options?: lunette.policy.tool_search)]]
