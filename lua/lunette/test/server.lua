-- A server played by a spec: lists, results that are written down or made by functions, and what the server
-- itself says. One may be used by several proxies; each session that Lunette opens with it is an MCP session of
-- its own.
local core = require "lunette.core"
local check = require "lunette.base.check"
local schema_lists = require "lunette.schema.lists"
local wire = require "lunette.test.wire"

local M = {}

local known = wire.options {
  instructions = "string",
  page_size = "number",
  down = "string",
  tools = "table",
  resources = "table",
  resource_templates = "table",
  prompts = "table",
  complete = "function|table",
}

-- Lunette's own words in a definition: what a call gives.
local own = { result = true, handler = true, read = true, get = true, text = true }

-- --- what results may be written as -----------------------------------------------------------------

local function is_list(value)
  return type(value) == "table" and (value[1] ~= nil or getmetatable(value) == core.array_mt)
end

local function array(list) return setmetatable(list, core.array_mt) end

local shorthands = {
  ["tools/call"] = function(value)
    if type(value) == "string" then value = { { type = "text", text = value } } end
    if is_list(value) then return { content = array(value) } end
    return value
  end,
  ["resources/read"] = function(value, params, item)
    if type(value) == "string" then value = { { uri = params.uri, mimeType = item.mimeType, text = value } } end
    if is_list(value) then return { contents = array(value) } end
    return value
  end,
  ["prompts/get"] = function(value)
    if type(value) == "string" then value = { { role = "user", content = { type = "text", text = value } } } end
    if is_list(value) then return { messages = array(value) } end
    return value
  end,
}

-- --- a call under way ---------------------------------------------------------------------------------

local Call = {}
Call.__index = Call

function Call:request(method, params) return self.session:request(method, params) end
function Call:elicit(params) return self.session:request("elicitation/create", params) end
function Call:sample(params) return self.session:request("sampling/createMessage", params) end
function Call:list_roots() return self.session:request("roots/list") end
function Call:notify(method, params) self.session:notify(method, params) end
function Call:log(level, data) self.session:notify("notifications/message", { level = level, data = data }) end

function Call:progress(done, total, message)
  local token = type(self.params._meta) == "table" and self.params._meta.progressToken
  if not token then return end
  self.session:notify("notifications/progress", {
    progressToken = token,
    progress = done,
    total = total,
    message = message,
  })
end

-- Never returns.
function Call:fail(code, message, data) -- luacheck: no self
  error({ code = code, message = message, data = data }, 0)
end

-- --- a session ------------------------------------------------------------------------------------------

local Session = {}
Session.__index = Session

function Session:_say(text) self.proxy.app:harness("reply", self.id, text) end

function Session:notify(method, params) self:_say(wire.notification(method, params)) end

--- Asks the client and waits. Raises the error when the answer is one.
function Session:request(method, params)
  self.last_id = self.last_id + 1
  local id = tostring(self.last_id)
  self:_say(wire.request(id, method, params))
  local answer = self.proxy:_wait_for(function() return self.answers[id] end, "the answer to " .. method)
  self.answers[id] = nil
  if answer.error then error(wire.rpc_error(method, answer.error), 0) end
  return answer.result
end

function Session:_take(message)
  if not message.method then
    self.answers[message.id] = message
    return
  end
  local server = self.server
  local got = { method = message.method, params = message.params, session = self }
  server.received[#server.received + 1] = got
  if not message.id then return end
  local call = setmetatable({
    method = message.method,
    params = message.params or {},
    session = self,
    server = server,
    client = self.hello,
  }, Call)
  local ok, result = pcall(server._answer, server, message.method, call.params, call)
  if not ok and not wire.is_rpc(result) then error(result, 0) end
  self:_say(ok and wire.result(message.id, result) or wire.error(message.id, result))
end

-- --- the server -------------------------------------------------------------------------------------------

local Server = {}
Server.__index = Server

local rows = {
  tools = { list = "tools/list", array = "tools", key = "name", thing = "tool", changed = "tools" },
  resources = { list = "resources/list", array = "resources", key = "uri", thing = "resource", changed = "resources" },
  resource_templates = {
    list = "resources/templates/list",
    array = "resourceTemplates",
    key = "uriTemplate",
    thing = "resource template",
    changed = "resources",
  },
  prompts = { list = "prompts/list", array = "prompts", key = "name", thing = "prompt", changed = "prompts" },
}

local function definition(kind, item)
  local out = {}
  for key, value in pairs(item) do
    if not own[key] then out[key] = value end
  end
  if kind == "tools" then out.inputSchema = schema_lists.mark(out.inputSchema or { type = "object" }) end
  if kind == "tools" and out.outputSchema then schema_lists.mark(out.outputSchema) end
  return out
end

function Server:_page(kind, params)
  local row, items = rows[kind], self[kind] or {}
  local size = self.page_size or math.max(1, #items)
  local from = tonumber(params.cursor) or 0
  local page = array {}
  for i = from + 1, math.min(from + size, #items) do
    page[#page + 1] = definition(kind, items[i])
  end
  return { [row.array] = page, nextCursor = from + size < #items and tostring(from + size) or nil }
end

-- What is only there to be listed gives nothing.
local function give(method, what, item, fn, call, ...)
  local value = item.result or item.text or array {}
  if fn then value = fn(...) end
  if value == nil then wire.fail("the test's server: %s gave no result", what) end
  return shorthands[method](value, call.params, item)
end

local function find(items, key, name)
  for _, item in ipairs(items or {}) do
    if item[key] == name then return item end
  end
end

-- A template is there for what begins as it does.
local function find_template(items, uri)
  for _, item in ipairs(items or {}) do
    local head = item.uriTemplate:match "^[^{]*"
    if uri:sub(1, #head) == head then return item end
  end
end

local answers = {}

function answers.initialize(server, params, call)
  call.session.hello = params
  return {
    protocolVersion = server.protocol_version or params.protocolVersion,
    capabilities = server:_offers(),
    serverInfo = { name = server.name or "test", version = server.version or "1" },
    instructions = server.instructions,
  }
end

answers["ping"] = function() return {} end
answers["logging/setLevel"] = answers.ping
answers["resources/subscribe"] = answers.ping
answers["resources/unsubscribe"] = answers.ping

for kind, row in pairs(rows) do
  answers[row.list] = function(server, params) return server:_page(kind, params) end
end

answers["tools/call"] = function(server, params, call)
  local tool = find(server.tools, "name", params.name)
  if not tool then call:fail(-32602, "Unknown tool: " .. tostring(params.name)) end
  return give(call.method, params.name, tool, tool.handler, call, params.arguments or {}, call)
end

answers["resources/read"] = function(server, params, call)
  local uri = tostring(params.uri)
  local item = find(server.resources, "uri", uri) or find_template(server.resource_templates, uri)
  if not item then call:fail(-32002, "Resource not found", { uri = uri }) end
  return give(call.method, uri, item, item.read, call, uri, call)
end

answers["prompts/get"] = function(server, params, call)
  local prompt = find(server.prompts, "name", params.name)
  if not prompt then call:fail(-32602, "Unknown prompt: " .. tostring(params.name)) end
  return give(call.method, params.name, prompt, prompt.get, call, params.arguments or {}, call)
end

answers["completion/complete"] = function(server, params, call)
  local value = server.complete
  if type(value) == "function" then value = value(params, call) end
  if is_list(value) or value == nil then value = { completion = { values = array(value or {}) } } end
  return value
end

function Server:_answer(method, params, call)
  local methods = self.methods or {}
  if methods[method] ~= nil then
    local value = methods[method]
    if type(value) == "function" then value = value(params, call) end
    if value == nil then wire.fail("the test's server: %s gave no result", method) end
    return value
  end
  if not answers[method] then call:fail(-32601, "Method not found") end
  return answers[method](self, params, call)
end

function Server:_offers()
  if self.capabilities then return self.capabilities end
  local function listed(there) return there and { listChanged = true } or nil end
  local resources = self.resources or self.resource_templates
  return {
    tools = listed(self.tools),
    prompts = listed(self.prompts),
    resources = resources and { listChanged = true, subscribe = true } or nil,
    completions = self.complete and {} or nil,
    logging = {},
  }
end

-- For a session that a proxy opens.
function Server:_open(proxy, id)
  local session = setmetatable({ server = self, proxy = proxy, id = id, last_id = 0, answers = {} }, Session)
  self.sessions[#self.sessions + 1] = session
  return session
end

function Server:_closed(session)
  for i, other in ipairs(self.sessions) do
    if other == session then return table.remove(self.sessions, i) end
  end
end

--- What it got of a method, in order: { method =, params =, session = }.
function Server:got(method)
  local list = {}
  for _, message in ipairs(self.received) do
    if message.method == method then list[#list + 1] = message end
  end
  return list
end

--- The arguments of the calls it got, of one tool or of all, in order.
function Server:calls(name)
  local list = {}
  for _, message in ipairs(self:got "tools/call") do
    if name == nil or message.params.name == name then list[#list + 1] = message.params.arguments or {} end
  end
  return list
end

--- Forgets what it got.
function Server:forget() self.received = {} end

--- Says something to every client.
function Server:notify(method, params)
  for _, session in ipairs(self.sessions) do
    session:notify(method, params)
  end
end

--- Says that a list changed. kind: "tools", "resources" or "prompts".
function Server:list_changed(kind)
  if not rows[kind] then
    wire.fail("there is no list of %s%s", tostring(kind), check.suggest(tostring(kind), check.sorted(rows)))
  end
  self:notify(("notifications/%s/list_changed"):format(rows[kind].changed))
end

--- Breaks every session off, as a server does that dies.
function Server:hang_up(why)
  for _, session in ipairs { unpack(self.sessions) } do
    local proxy = session.proxy
    proxy.app:harness("hang_up", session.id, why or "the server ended")
    proxy:_wait_for(function() return not proxy.sessions[session.id] end, "the end of a session")
  end
end

--- test.server(fields)
function M.new(fields)
  wire.check("test.server", fields, known)
  local server = setmetatable({ received = {}, sessions = {} }, Server)
  for key, value in pairs(fields) do
    server[key] = value
  end
  for kind, row in pairs(rows) do
    for i, item in ipairs(server[kind] or {}) do
      if type(item) ~= "table" or type(item[row.key]) ~= "string" then
        wire.fail("test.server: %s[%d] must be a table with a %s", kind, i, row.key)
      end
    end
  end
  return server
end

function M.is(value) return type(value) == "table" and getmetatable(value) == Server end

return M
