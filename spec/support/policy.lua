-- Policies under test: a client behind a policy text with one scripted server that echoes what it is sent. A
-- spec says what it needs in terms of what the client sees and what the server got.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local M = {}

local function one_line(text)
  return (text:gsub("\n%s*", ""))
end

--- What the server offers unless told otherwise; each is an array as raw JSON.
M.tools = one_line [=[
[{"name":"read","title":"Read","description":"Reads a file",
"inputSchema":{ "type":"object","$defs":{"p":{"type":"string","maxLength":4096}},
"properties":{"path":{"$ref":"#/$defs/p","description":"where"},"limit":{"type":"integer","minimum":1.0}},
"required":["path"],"dependentRequired":{"limit":["path"]},"additionalProperties":false},
"outputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]},
"annotations":{"readOnlyHint":true},"icons":[{"src":"data:,x"}],"_meta":{"v":1.0,"w":[]}},
{"name":"write","description":"Writes",
"inputSchema":{"type":"object","properties":{"path":{"type":"string"},"text":{"type":"string"}},"required":["path","text"]},
"annotations":{"destructiveHint":true}},
{"name":"delete","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true,"title":"Delete"}}]]=]
--- The same without an outputSchema, so that a policy may answer by a text.
M.plain = M.tools:gsub('"outputSchema":{.-}},"required":%["text"%]},', "")
M.resources = one_line [=[
[{"uri":"file:///a.txt","name":"a"},{"uri":"file:///b.txt","name":"b","title":"B","mimeType":"text/plain","size":12345678901234567890},
{"uri":"note://c","name":"c"}]]=]
M.templates = one_line [=[
[{"uriTemplate":"file:///{path}","name":"files"},{"uriTemplate":"note://{id}","name":"notes","title":"Notes"}]]=]
M.prompts = one_line [=[
[{"name":"review","title":"Review","description":"R","arguments":[{"name":"path","description":"P","required":true},
{"name":"tone","x":1.0}]},{"name":"plan"}]]=]

--- The server: named files; options: tools, resources, templates, prompts, capabilities.
function M.server(options)
  options = options or {}
  local up = upstream.new { name = "files", tools = options.tools or M.tools, resources = options.resources or M.resources,
    templates = options.templates or M.templates, prompts = options.prompts or M.prompts, capabilities = options.server }
  up:on("tools/call", function(req) req:reply('{"content":[],"got":' .. req.params .. "}") end)
  up:on("resources/read", function(req) req:reply('{"contents":[{"uri":' .. req:at "uri" .. ',"text":"body"}]}') end)
  up:on("prompts/get", function(req) req:reply('{"messages":[],"got":' .. req.params .. "}") end)
  return up
end

--- A client behind `policy`: client, server, host (HTTP). options: way, capabilities (of the client, raw), version,
-- env, flags, headers, and those of server().
function M.with(policy, options)
  options = options or {}
  local up = options.up or M.server(options)
  local client, _, host = lunette.between(options.way or { "stdio", "stdio" }, up,
    { policy = policy, env = options.env, flags = options.flags, extra = options.extra, headers = options.headers })
  client:initialize { capabilities = options.capabilities, version = options.version, info = options.info }
  return client, up, host
end

local kinds = {
  tools = { "tools/list", "tools", "name" },
  resources = { "resources/list", "resources", "uri" },
  resource_templates = { "resources/templates/list", "resourceTemplates", "uriTemplate" },
  prompts = { "prompts/list", "prompts", "name" },
}
M.kinds = kinds

--- The raw definitions that a client sees.
function M.items(client, kind)
  local k = kinds[kind or "tools"]
  return json.elements(json.at(client:result(k[1], "{}"), k[2]))
end

--- Their names (URIs).
function M.seen(client, kind)
  local names = {}
  for i, raw in ipairs(M.items(client, kind)) do names[i] = json.value(raw, kinds[kind or "tools"][3]) end
  return names
end

--- The raw definition of one, or nil.
function M.item(client, name, kind)
  for _, raw in ipairs(M.items(client, kind)) do
    if json.value(raw, kinds[kind or "tools"][3]) == name then return raw end
  end
end

--- A client of one tool t with that inputSchema, under a transform with these arguments (Lua text).
function M.tool(schema, arguments, more)
  local text = ('lunette.tools.transform("t", { arguments = %s %s })'):format(arguments, more or "")
  return M.with(text, { tools = '[{"name":"t","inputSchema":' .. schema .. "}]" })
end

--- The inputSchema of that tool as the client sees it; nil: it sees no such tool.
function M.schema_of(client)
  local raw = M.item(client, "t")
  return raw and json.at(raw, "inputSchema")
end

--- The raw arguments that the server got for a call with these (raw).
function M.call(client, name, arguments)
  local params = '{"name":' .. json.quote(name) .. (arguments and ',"arguments":' .. arguments or "") .. "}"
  return json.at(client:result("tools/call", params), "got", "arguments")
end

--- The first text of a result of a call.
function M.says(client, name, arguments)
  local params = '{"name":' .. json.quote(name) .. ',"arguments":' .. (arguments or "{}") .. "}"
  return json.value(client:result("tools/call", params), "content", 1, "text")
end

return M
