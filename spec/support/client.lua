-- MCP clients of raw bytes, over stdio and Streamable HTTP, with one face:
--
--   client:initialize()                        client:notify(method, params)
--   client:request(method, params[, id]) → raw response     (start + wait)
--   client:start(method, params[, id])   → call; call:wait(ms) → raw response
--   client:expect(method) → the next message from the server with that method
--   client:answer(message, result)             client:send(raw)
--
-- Everything is raw JSON. What comes from the server is kept in order in client.inbox with the
-- stream it came on ("stdio", "get", or the call's id for a POST stream).
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"

local M = {}

M.versions = { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25" }

local Client = {}

-- Sorts one message from the server: to the call that waits for it, or to the inbox.
function Client:take(raw, stream)
  local ok, message = pcall(json.decode, raw)
  if not ok then error("not JSON from the server: " .. raw, 0) end
  assert(message.jsonrpc == "2.0", "not JSON-RPC from the server: " .. raw)
  local id, method = json.at(raw, "id"), message.method
  self.traffic[#self.traffic + 1] = raw
  if not method and id and self.calls[id] then
    local call = self.calls[id]
    assert(not call.raw, "a second response for id " .. id .. ": " .. raw)
    call.raw = raw
    return
  end
  table.insert(self.inbox, { raw = raw, id = id, method = method, params = json.at(raw, "params"),
    stream = stream })
end

local Call = {}
Call.__index = Call

-- A process that has ended answers no more: say so at once instead of waiting.
local function check_alive(client)
  local p = client.process
  if p and p.code and p.out.ended then
    error(("the process ended with exit %d, signal %d\n%s"):format(p.code, p.signal, loop.notes()), 0)
  end
end

--- The raw response.
function Call:wait(ms)
  return loop.wait(function()
    if not self.raw then check_alive(self.client) end
    if self.refused then
      error(("HTTP %d for %s: %s"):format(self.refused.status, self.request, self.refused.body or ""), 0)
    end
    return self.raw
  end, "the response to " .. self.request, ms or 10000)
end

function Call:done(ms)
  return loop.within(ms or 1, function() return self.raw end)
end

function Client:start(method, params, id)
  if not id then
    id = tostring(self.next_id)
    self.next_id = self.next_id + 1
  end
  local raw = ('{"jsonrpc":"2.0","id":%s,"method":%s%s}'):format(id, json.quote(method),
    params and ',"params":' .. params or "")
  return self:start_raw(raw, id)
end

--- Sends a request that stands as raw bytes and has that raw id.
function Client:start_raw(raw, id)
  id = id or json.at(raw, "id")
  local call = setmetatable({ id = id, request = raw, client = self }, Call)
  self.calls[id] = call
  self:send(raw, call)
  return call
end

function Client:request(method, params, id)
  return self:start(method, params, id):wait()
end

--- As request, but returns the raw result and raises on an error.
function Client:result(method, params)
  local raw = self:request(method, params)
  return json.at(raw, "result") or error("an error response: " .. raw, 2)
end

--- As request, but returns the decoded error object and raises on a result.
function Client:failure(method, params)
  local raw = self:request(method, params)
  return json.value(raw, "error") or error("no error response: " .. raw, 2)
end

function Client:notify(method, params)
  return self:send(('{"jsonrpc":"2.0","method":%s%s}'):format(json.quote(method), params and ',"params":' .. params or ""))
end

local function remove_matching(client, method)
  for i, message in ipairs(client.inbox) do
    if message.method == method then return table.remove(client.inbox, i) end
  end
end

--- The next message with that method, taken out of the inbox.
function Client:expect(method, ms)
  return loop.wait(function()
    local message = remove_matching(self, method)
    if not message then check_alive(self) end
    return message
  end, method .. " at the client", ms)
end

--- The same if it comes within `ms`.
function Client:maybe(method, ms)
  return loop.within(ms, function() return remove_matching(self, method) end)
end

--- Answers a server's request.
function Client:answer(message, result)
  return self:send(('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(message.id, result))
end

function Client:refuse(message, code, text)
  return self:send(('{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}'):format(
    message.id, code, json.quote(text)))
end

--- The whole handshake; returns the raw result. options: version, capabilities (raw), info (raw),
--- id, silent (no notifications/initialized).
function Client:initialize(options)
  options = options or {}
  local raw = self:request("initialize", ('{"protocolVersion":%s,"capabilities":%s,"clientInfo":%s}'):format(
    json.quote(options.version or "2025-11-25"), options.capabilities or "{}",
    options.info or '{"name":"spec","version":"1"}'), options.id)
  self.initialized = json.at(raw, "result") or error("initialize failed: " .. raw, 2)
  self.version = json.value(self.initialized, "protocolVersion")
  if not options.silent then self:notify "notifications/initialized" end
  return self.initialized
end

local function base(fields)
  fields.inbox, fields.calls, fields.traffic, fields.next_id = {}, {}, {}, 1
  return setmetatable(fields, { __index = function(_, k) return fields.class[k] or Client[k] end })
end

-- --- stdio -----------------------------------------------------------------------------------------

local Stdio = {}

--- A client on a process of spec.support.process. `step`: bytes per write.
function M.stdio(process, options)
  local self = base { class = Stdio, process = process, step = options and options.step }
  local function drain()
    while true do
      local line = process.out:take_until "\n"
      if not line then return end
      self:take(line, "stdio")
    end
  end
  -- The process's own collector goes on filling its buffer; this empties it whenever somebody
  -- waits.
  self.drain = drain
  local pump = loop.uv.new_prepare()
  pump:start(loop.guard(drain))
  local check = loop.uv.new_check()
  check:start(loop.guard(drain))
  loop.cleanup(function()
    loop.close(pump)
    loop.close(check)
  end)
  return self
end

function Stdio:send(raw)
  self.process:write(raw .. "\n", self.step)
  return self
end

--- Ends the session as the specification says: stdin is closed, the process ends.
function Stdio:close(ms)
  self.process:close_stdin()
  return self.process:wait_exit(ms or 10000)
end

-- --- Streamable HTTP --------------------------------------------------------------------------------

local Http = {}

--- A client of http://127.0.0.1:port/mcp. options: path, headers (list of lines for every request),
--- step, from (the address it comes from).
function M.http(port, options)
  options = options or {}
  return base { class = Http, port = port, path = options.path or "/mcp", extra = options.headers or {}, from = options.from,
    step = options.step, idle = {} }
end

--- The header lines a proper client sends.
function Http:headers(method)
  local lines = { "Host: 127.0.0.1:" .. self.port }
  if method == "POST" then
    lines[#lines + 1] = "Content-Type: application/json"
    lines[#lines + 1] = "Accept: application/json, text/event-stream"
  elseif method == "GET" then
    lines[#lines + 1] = "Accept: text/event-stream"
  end
  if self.session then lines[#lines + 1] = "Mcp-Session-Id: " .. self.session end
  if self.version then lines[#lines + 1] = "MCP-Protocol-Version: " .. self.version end
  for _, line in ipairs(self.extra) do lines[#lines + 1] = line end
  return lines
end

-- Reads the response to a POST in the background: JSON as one message, SSE as they come. The
-- connection is used again when the response has ended.
local function read_post(self, conn, call)
  local state, head, read_body, parser = "head", nil, nil, nil
  local function finish()
    conn.on_data = nil
    if not conn.bytes.ended then table.insert(self.idle, conn) end
    state = "done"
    if call then call.finished = true end
  end
  local function pump()
    if state == "head" then
      local at = conn.bytes.data:find("\r\n\r\n", 1, true)
      if not at then
        if conn.bytes.ended then
          state = "done"
          if call then call.refused = { status = 0, body = "connection closed" } end
        end
        return
      end
      head = conn:head()
      if call then call.head = head end
      if head.status ~= 200 then
        state = "refused"
      elseif head.headers["content-type"]:find "^text/event%-stream" then
        state = "sse"
        read_body = conn:events(head)
        parser = read_body.parser
        local inner = conn.on_data
        conn.on_data = function()
          inner()
          pump()
        end
        if call then call.sse = true end
      else
        state = "json"
      end
      if self.session == nil and head.headers["mcp-session-id"] then self.session = head.headers["mcp-session-id"] end
    end
    if state == "sse" then
      while true do
        local event = parser.take()
        if not event then break end
        if call then
          call.events = call.events or {}
          table.insert(call.events, event)
        end
        if event.data and event.data ~= "" then self:take(event.data, call and call.id or "post") end
      end
      if parser.ended() then finish() end
    elseif state == "json" or state == "refused" then
      local length = tonumber(head.headers["content-length"] or "0")
      local body = conn.bytes:take(length)
      if not body then return end
      head.body = body
      if state == "json" then
        self:take(body, call and call.id or "post")
      elseif call then
        call.refused = head
      else
        self.last_status = head.status
      end
      finish()
    end
  end
  conn.on_data = loop.guard(pump)
end

--- A connection that is free, or a new one.
function Http:connection()
  while #self.idle > 0 do
    local conn = table.remove(self.idle)
    if not conn.bytes.ended then return conn end
  end
  return http.connect(self.port, self.from and { from = self.from })
end

function Http:send(raw, call)
  local conn = self:connection()
  self.last_status = nil
  read_post(self, conn, call)
  if call then call.conn = conn end
  conn:send(http.format { method = "POST", path = self.path, headers = self:headers "POST", body = raw }, self.step)
  if not call then
    -- A notification or response: its 202 is part of sending it.
    local status = loop.wait(function() return self.last_status end, "the status for " .. raw)
    assert(status == 202, "status " .. status .. " for " .. raw)
  end
  return self
end

--- Opens the GET stream; its messages go to the inbox. Returns the head.
function Http:listen()
  local conn = http.connect(self.port, self.from and { from = self.from })
  conn:send(http.format { method = "GET", path = self.path, headers = self:headers "GET" })
  local head = conn:head()
  if head.status ~= 200 then return head end
  local stream = conn:events(head)
  local inner = conn.on_data
  conn.on_data = loop.guard(function()
    inner()
    while true do
      local event = stream.parser.take()
      if not event then break end
      self.get_events = self.get_events or {}
      table.insert(self.get_events, event)
      if event.data and event.data ~= "" then self:take(event.data, "get") end
    end
  end)
  conn.on_data()
  self.get = conn
  return head
end

--- Ends the session: DELETE. Returns the status.
function Http:close()
  local response = http.request { port = self.port, method = "DELETE", path = self.path, headers = self:headers "DELETE" }
  if self.get then self.get:close() end
  for _, conn in ipairs(self.idle) do conn:close() end
  return response.status
end

--- One POST with exactly these header lines; returns the whole response. The body of an SSE response
--- is read to its end.
function Http:post(raw, headers)
  return http.request { port = self.port, method = "POST", path = self.path,
    headers = headers or self:headers "POST", body = raw }
end

return M
