-- A scripted server that lists to each of its sessions what that session made: a tool, a resource, a template and a
-- prompt called by a marker, which the client's call says. Its instructions are addressed to who the client says it is.
local json = require "spec.support.json"
local upstream = require "spec.support.upstream"

local M = {}

local kinds = { tools = "tools/list", resources = "resources/list", resourceTemplates = "resources/templates/list", prompts = "prompts/list" }

local function item(kind, name)
  if kind == "tools" then return ('{"name":"%s","inputSchema":{"type":"object"}}'):format(name) end
  if kind == "resources" then return ('{"uri":"x://%s","name":"%s"}'):format(name, name) end
  if kind == "resourceTemplates" then return ('{"uriTemplate":"x://%s/{y}","name":"%s"}'):format(name, name) end
  return ('{"name":"%s"}'):format(name)
end

--- options: as upstream.new has them, and quiet: it announces no changes; numbered(session): a name that is listed
--- besides; greeting(session, name): its instructions.
function M.new(options)
  options = options or {}
  local listed = options.quiet and "{}" or '{"listChanged":true}'
  options.capabilities = options.capabilities
    or ('{"tools":%s,"resources":%s,"prompts":%s,"completions":{}}'):format(listed, listed, listed)
  local up = upstream.new(options)
  up:on("initialize", function(req)
    local name = req:value("clientInfo", "name")
    local greeting = options.greeting and options.greeting(req.session, name) or "for " .. name
    req:reply(('{"protocolVersion":%s,"capabilities":%s,"serverInfo":%s,"instructions":%s}'):format(
      req:at "protocolVersion", up.options.capabilities, up.options.info or '{"name":"workshop","version":"1"}', json.quote(greeting)))
  end)
  for kind, method in pairs(kinds) do
    up:on(method, function(req)
      local items = { item(kind, "make") }
      if options.numbered then items[#items + 1] = item(kind, options.numbered(req.session)) end
      for _, name in ipairs(req.session.made or {}) do items[#items + 1] = item(kind, name) end
      for _, name in ipairs(up.all or {}) do items[#items + 1] = item(kind, name) end
      req:reply(('{"%s":[%s]}'):format(kind, table.concat(items, ",")))
    end)
  end
  up:on("tools/call", function(req)
    local session, name = req.session, req:value "name"
    if name == "make" then
      session.made = session.made or {}
      table.insert(session.made, (req:value("arguments", "marker")))
      if not options.quiet then
        for _, kind in ipairs { "tools", "resources", "prompts" } do session:notify("notifications/" .. kind .. "/list_changed", nil, req) end
      end
      return '{"content":[{"type":"text","text":"made"}]}'
    end
    for _, made in ipairs(session.made or {}) do
      if made == name then return ('{"content":[{"type":"text","text":"used %s"}]}'):format(name) end
    end
    req:fail(-32602, "no tool " .. name)
  end)
  return up
end

--- All that a client sees listed, as one text.
function M.seen(client)
  local all = {}
  for _, method in ipairs { "tools/list", "resources/list", "resources/templates/list", "prompts/list" } do
    all[#all + 1] = client:result(method)
  end
  return table.concat(all, "\n")
end

function M.make(client, marker, tool)
  return client:result("tools/call", ('{"name":"%s","arguments":{"marker":"%s"}}'):format(tool or "make", marker))
end

return M
