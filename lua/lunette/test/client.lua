-- A client played by a spec: it asks, waits, and answers what it is asked by what the spec wrote down.
local core = require "lunette.core"
local check = require "lunette.base.check"
local wire = require "lunette.test.wire"

local M = {}

local known = wire.options {
  transport = "string",
  headers = "table",
  elicit = "function|table",
  sample = "function|table",
  roots = "function|table",
}

local Client = {}
Client.__index = Client

-- What a handler of each is called in the options, and the capability that goes with it.
local asked = {
  ["elicitation/create"] = { option = "elicit", capability = "elicitation" },
  ["sampling/createMessage"] = { option = "sample", capability = "sampling" },
  ["roots/list"] = { option = "roots", capability = "roots" },
}

local function capabilities(options)
  local all = {}
  for key, value in pairs(options.capabilities or {}) do
    all[key] = value
  end
  for _, row in pairs(asked) do
    if options[row.option] ~= nil and all[row.capability] == nil then all[row.capability] = {} end
  end
  return all
end

-- --- what comes ---------------------------------------------------------------------------------------

function Client:_say(text)
  if not self.id then wire.fail "this client has been closed" end
  local ok, why = self.proxy.app:harness("say", self.id, text)
  if not ok then wire.fail("Lunette takes no such message: %s", why) end
end

-- What the spec wrote down for a request of a server's.
function Client:_answer_to(method, params)
  local row = asked[method]
  local value = (self.options.methods or {})[method]
  if value == nil and row then value = self.options[row.option] end
  if type(value) == "function" then
    value = value(params)
    if value == nil then wire.fail("the test's client: %s gave no result", method) end
  end
  if value == nil and method == "ping" then value = {} end
  if value == nil then error({ code = -32601, message = "Method not found" }, 0) end
  if method == "roots/list" and value.roots == nil then
    local roots = setmetatable({}, core.array_mt)
    for i, root in ipairs(value) do
      roots[i] = type(root) == "string" and { uri = root } or root
    end
    value = { roots = roots }
  end
  return value
end

function Client:_take(message)
  if not message.method then
    self.answers[message.id] = message
    return
  end
  self.received[#self.received + 1] = { method = message.method, params = message.params }
  if not message.id then return end
  local ok, result = pcall(self._answer_to, self, message.method, message.params or {})
  if not ok and not wire.is_rpc(result) then error(result, 0) end
  self:_say(ok and wire.result(message.id, result) or wire.error(message.id, result))
end

-- --- what goes ------------------------------------------------------------------------------------------

local Pending = {}
Pending.__index = Pending

function Pending:is_done() return self.client.answers[self.id] ~= nil end

--- Waits; the result, or nil and the error.
function Pending:outcome()
  if not self.answer then
    local client = self.client
    self.answer = client.proxy:_wait_for(function() return client.answers[self.id] end, "the answer to " .. self.method)
    client.answers[self.id] = nil
  end
  if self.answer.error then return nil, wire.rpc_error(self.method, self.answer.error) end
  return self.answer.result
end

--- Waits; the result. Raises the error when the answer is one.
function Pending:result()
  local result, err = self:outcome()
  if err then error(err, 0) end
  return result
end

--- Says that the answer is not wanted any more.
function Pending:cancel(reason)
  self.client:notify("notifications/cancelled", { requestId = tonumber(self.id), reason = reason })
end

--- Sends a request and doesn't wait.
function Client:send(method, params)
  check.text("client:send: method", method)
  self.last_id = self.last_id + 1
  local id = tostring(self.last_id)
  self:_say(wire.request(id, method, params))
  return setmetatable({ client = self, method = method, id = id }, Pending)
end

--- A request's result. Raises the error when the answer is one.
function Client:request(method, params) return self:send(method, params):result() end

--- A request's result, or nil and the error { code =, message =, data = }.
function Client:try(method, params) return self:send(method, params):outcome() end

function Client:notify(method, params) self:_say(wire.notification(method, params)) end

local function named(name, arguments) return { name = name, arguments = arguments or {} } end

function Client:call(name, arguments) return self:request("tools/call", named(name, arguments)) end
function Client:read(uri) return self:request("resources/read", { uri = uri }) end
function Client:get(name, arguments) return self:request("prompts/get", named(name, arguments)) end

--- Calls a tool that must refuse: why it did, be it an error or a result with isError.
function Client:refused(name, arguments)
  local result, err = self:try("tools/call", named(name, arguments))
  if err then return err.message, err.code end
  if result.isError ~= true then wire.fail("%s was not refused, but answered: %s", name, wire.text(result)) end
  return wire.text(result)
end

local lists = {
  tools = { "tools/list", "tools", "name" },
  resources = { "resources/list", "resources", "uri" },
  resource_templates = { "resources/templates/list", "resourceTemplates", "uriTemplate" },
  prompts = { "prompts/list", "prompts", "name" },
}

local function list(client, kind)
  local all, cursor = {}, nil
  repeat
    local page = client:request(lists[kind][1], cursor and { cursor = cursor } or nil)
    for _, item in ipairs(page[lists[kind][2]] or {}) do
      all[#all + 1] = item
    end
    cursor = page.nextCursor
  until cursor == nil
  return all
end

--- client:tools() and so on: the definitions, all pages of them. With a name (URI, template) that one's, or nil.
for kind, row in pairs(lists) do
  Client[kind] = function(self, name)
    local all = list(self, kind)
    if name == nil then return all end
    for _, item in ipairs(all) do
      if item[row[3]] == name then return item end
    end
  end
end

--- The names (URIs, templates) of a kind, in the order listed.
function Client:names(kind)
  if not lists[kind] then
    wire.fail("client:names: there is no list of %s%s", tostring(kind),
      check.suggest(tostring(kind), check.sorted(lists)))
  end
  local names = {}
  for i, item in ipairs(list(self, kind)) do
    names[i] = item[lists[kind][3]]
  end
  return names
end

--- What came of a method, in order, once there is as much (1 unless given): requests and notifications.
function Client:got(method, count)
  local found
  self.proxy:_wait_for(function()
    found = {}
    for _, message in ipairs(self.received) do
      if message.method == method then found[#found + 1] = message end
    end
    return #found >= (count or 1)
  end, ("%d of %s"):format(count or 1, method))
  return found
end

--- Leaves.
function Client:close()
  if not self.id then return end
  self.proxy.app:harness("part", self.id)
  self.proxy.clients[self.id] = nil
  self.id = nil
end

-- As C takes them; see test_harness.h.
local function header_bytes(headers)
  local out = {}
  for _, name in ipairs(check.sorted(headers or {})) do
    local value = headers[name]
    if type(name) ~= "string" or type(value) ~= "string" or (name .. value):find "%z" then
      wire.fail("a client's options: headers must be texts by name")
    end
    out[#out + 1] = name:lower() .. "\0" .. value .. "\0"
  end
  return table.concat(out)
end

--- The HTTP headers that what it says comes with from now on. Returns the client.
function Client:set_headers(headers)
  if not self.id then wire.fail "this client has been closed" end
  self.proxy.app:harness("headers", self.id, header_bytes(headers))
  return self
end

--- A client of a proxy, initialized.
function M.new(proxy, options)
  options = options or {}
  wire.check("a client's options", options, known)
  local transport = options.transport or options.headers and "http" or "stdio"
  local id, why = proxy.app:harness("join", transport, header_bytes(options.headers))
  if not id then wire.fail("no client can join: %s", why) end
  local client = setmetatable({
    proxy = proxy,
    id = id,
    options = options,
    received = {},
    answers = {},
    last_id = 0,
  }, Client)
  proxy.clients[id] = client
  client.hello = client:request("initialize", {
    protocolVersion = options.protocol_version or "2025-11-25",
    capabilities = capabilities(options),
    clientInfo = { name = options.name or "test", version = options.version or "1" },
  })
  client:notify "notifications/initialized"
  return client
end

return M
