-- A server written in Lua: tools, a resource, a resource template and a prompt, and no other server
-- behind it. Try it:
--   lunette list examples/notes.lua
--   lunette call examples/notes.lua search_notes query=moon
--   lunette read examples/notes.lua note://moon
--   lunette prompt examples/notes.lua summarize topic=moon
local lunette = require "lunette"

-- lunette.shared outlives a reload of this file and is seen by all clients. A local table would begin anew
-- with every reload.
local function key(name) return "note:" .. name end

local function names()
  local list = {}
  for i, k in ipairs(lunette.shared.keys "note:*") do list[i] = k:sub(#"note:" + 1) end
  return list
end

-- What the client sent is handed over as it is. A refusal is a failed result that the model can read
-- and act upon.
local function text_in(args, name)
  if type(args[name]) ~= "string" or args[name] == "" then lunette.deny(name .. " must be a text that is not empty") end
  return args[name]
end

if not lunette.shared.get "started" then
  lunette.shared.set("started", true)
  lunette.shared.set(key "moon", "The moon is 384,400 km away.")
  lunette.shared.set(key "groceries", "Bread, olives, a lamp.")
  lunette.shared.set(key "lamp", "The lamp at the door needs a bulb; by the moon alone one sees little.")
end

-- A tool is a table as MCP defines it, plus a handler. What the handler returns becomes the result: a
-- string is a text, a list is content, a table with `content` or `structuredContent` is taken as it is.
lunette.tools.add {
  name = "search_notes",
  description = "Find the notes whose name or text has a word in it.",
  inputSchema = {
    type = "object",
    properties = {
      query = { type = "string", description = "The word" },
      limit = { type = "integer", minimum = 1, description = "How many at most (10)" },
    },
    required = { "query" },
  },
  annotations = { readOnlyHint = true },
  handler = function(args)
    local found, query = {}, text_in(args, "query"):lower()
    local limit = tonumber(args.limit) or 10
    for _, name in ipairs(names()) do
      local text = lunette.shared.get(key(name))
      if #found < limit and (name .. "\n" .. text):lower():find(query, 1, true) then
        found[#found + 1] = ("%s: %s"):format(name, text)
      end
    end
    return #found > 0 and table.concat(found, "\n") or "no note has that word"
  end,
}

lunette.tools.add {
  name = "add_note",
  description = "Write a note, or write over the one of that name.",
  inputSchema = {
    type = "object",
    properties = { name = { type = "string" }, text = { type = "string" } },
    required = { "name", "text" },
  },
  handler = function(args)
    local name, text = text_in(args, "name"), text_in(args, "text")
    lunette.shared.set(key(name), text)
    return ("wrote %s (%d bytes)"):format(name, #text)
  end,
}

lunette.tools.add {
  name = "delete_note",
  description = "Delete a note.",
  inputSchema = { type = "object", properties = { name = { type = "string" } }, required = { "name" } },
  annotations = { destructiveHint = true },
  handler = function(args)
    local name = text_in(args, "name")
    if not lunette.shared.get(key(name)) then return lunette.deny("there is no note " .. name) end
    lunette.shared.delete(key(name))
    return "deleted " .. name
  end,
}

lunette.tools.add {
  name = "wipe",
  description = "Delete all notes at once.",
  inputSchema = { type = "object" },
  handler = function()
    local all = names()
    for _, name in ipairs(all) do lunette.shared.delete(key(name)) end
    return ("deleted %d notes"):format(#all)
  end,
}

-- A resource is read by its URI.
lunette.resources.add {
  uri = "note://index",
  name = "index",
  description = "The names of all notes, one a line.",
  mimeType = "text/plain",
  read = function() return table.concat(names(), "\n") .. "\n" end,
}

-- A template stands for many of them; params are the parts of the URI in braces.
lunette.resource_templates.add {
  uriTemplate = "note://{name}",
  name = "note",
  description = "A note by its name.",
  mimeType = "text/plain",
  read = function(uri, ctx, params)
    local text = lunette.shared.get(key(params.name))
    -- A JSON-RPC error of our own; -32002 is MCP's "resource not found".
    if not text then lunette.error(-32002, "there is no such note", { uri = uri }) end
    return text
  end,
}

lunette.prompts.add {
  name = "summarize",
  description = "Ask for a summary of what the notes say about a topic.",
  arguments = { { name = "topic", description = "What it is about", required = true } },
  get = function(args, ctx)
    -- A handler may call tools, read resources and get prompts as the client would.
    local topic = text_in(args, "topic")
    local found = ctx:call_tool("search_notes", { query = topic })
    return ("Summarize in two sentences what these notes say about %s:\n\n%s"):format(topic, found.content[1].text)
  end,
}
