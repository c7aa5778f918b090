-- A client of raw bytes over HTTP+SSE, the transport of 2024-11-05.
local http = require "spec.support.http"
local json = require "spec.support.json"

local M = {}

local Client = {}
Client.__index = Client

--- Opens the stream and takes its first event. options: path, headers (lines).
function M.open(port, options)
  options = options or {}
  local conn = http.connect(port)
  local headers = { "Accept: text/event-stream", unpack(options.headers or {}) }
  conn:send(http.format { port = port, path = options.path or "/sse", headers = headers })
  local head = conn:head()
  assert(head.status == 200, head.start)
  local self = setmetatable({ port = port, conn = conn, head = head, stream = conn:events(head), last = 0,
    headers = options.headers }, Client)
  self.endpoint = self.stream:event()
  return self
end

--- One POST of raw bytes to the endpoint; the whole response.
function Client:post(raw, headers, path)
  return http.request { port = self.port, method = "POST", path = path or self.endpoint.data, body = raw,
    headers = headers or { "Content-Type: application/json", unpack(self.headers or {}) } }
end

function Client:send(raw)
  local response = self:post(raw)
  assert(response.status == 202, response.start .. " for " .. raw .. ": " .. response.body)
  return self
end

function Client:notify(method, params)
  return self:send(('{"jsonrpc":"2.0","method":"%s"%s}'):format(method, params and ',"params":' .. params or ""))
end

function Client:start(method, params)
  self.last = self.last + 1
  self:send(('{"jsonrpc":"2.0","id":%d,"method":"%s"%s}'):format(self.last, method, params and ',"params":' .. params or ""))
  return self.last
end

--- The next message on the stream.
function Client:next(ms)
  local event = self.stream:event(ms)
  assert(event, "the stream ended")
  assert(event.event == "message", event.event)
  assert(event.id == nil)
  return event.data
end

--- The raw result.
function Client:result(method, params)
  local id = self:start(method, params)
  local raw = self:next(10000)
  assert(json.at(raw, "id") == tostring(id), raw)
  return json.at(raw, "result") or error("an error response: " .. raw, 2)
end

function Client:initialize(options)
  options = options or {}
  self.initialized = self:result("initialize", ('{"protocolVersion":"%s","capabilities":%s,"clientInfo":{"name":"spec","version":"1"}}')
    :format(options.version or "2024-11-05", options.capabilities or "{}"))
  self:notify "notifications/initialized"
  return self
end

return M
