-- MCP servers that a spec scripts: what they answer is given as raw JSON, what they were sent is
-- kept as raw bytes, and they speak stdio, Streamable HTTP or HTTP+SSE with the same script.
--
--   local up = upstream.new { tools = '[{"name":"echo","inputSchema":{"type":"object"}}]' }
--   up:on("tools/call", function(req) req:reply '{"content":[]}' end)
--   up:lua()          -- fields of lunette.upstream(…) that start it as a child
--   up:http():lua()   -- the same over HTTP
--   up.sessions[1].received  -- raw messages, in order
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"

local uv = loop.uv
local M = {}

-- --- what both transports share ----------------------------------------------------------------

local Upstream, Session, Request = {}, {}, {}
Upstream.__index, Session.__index, Request.__index = Upstream, Session, Request

--- Fields, all raw JSON: tools, resources, templates, prompts (arrays), capabilities, info,
--- instructions, extra (members of the initialize result); version (a string: always answered),
--- args (flags for child.lua), sse (answer every HTTP request by SSE), no_get (405), session = false
--- (HTTP without session ids).
function M.new(options)
  options = options or {}
  local self = setmetatable({ options = options, handlers = {}, sessions = {}, requests = {}, name = options.name },
    Upstream)
  loop.note(function()
    local lines = {}
    for i, session in ipairs(self.sessions) do
      lines[#lines + 1] = ("--- scripted server, session %d was sent:"):format(i)
      for _, raw in ipairs(session.received) do lines[#lines + 1] = "  " .. raw:sub(1, 400) end
    end
    return table.concat(lines, "\n")
  end)
  return self
end

--- Handler for requests or notifications of one method: fn(request). Returning a string replies
--- with it as the raw result.
function Upstream:on(method, fn)
  self.handlers[method] = fn
  return self
end

local function capabilities(options)
  if options.capabilities then return options.capabilities end
  local list = {}
  if options.tools then list[#list + 1] = '"tools":{"listChanged":true}' end
  if options.resources or options.templates then list[#list + 1] = '"resources":{"subscribe":true,"listChanged":true}' end
  if options.prompts then list[#list + 1] = '"prompts":{"listChanged":true}' end
  list[#list + 1] = '"logging":{}'
  list[#list + 1] = '"completions":{}'
  return "{" .. table.concat(list, ",") .. "}"
end

local defaults = {
  ["initialize"] = function(req)
    local options = req.session.upstream.options
    local version = options.version or json.value(req.params, "protocolVersion")
    req:reply(('{"protocolVersion":%s,"capabilities":%s,"serverInfo":%s%s%s}'):format(
      json.quote(version), capabilities(options), options.info or '{"name":"scripted","version":"1.0.0"}',
      options.instructions and ',"instructions":' .. options.instructions or "",
      options.extra and "," .. options.extra or ""))
  end,
  ["ping"] = function(req) req:reply "{}" end,
  ["logging/setLevel"] = function(req) req:reply "{}" end,
  ["resources/subscribe"] = function(req) req:reply "{}" end,
  ["resources/unsubscribe"] = function(req) req:reply "{}" end,
  ["tools/list"] = function(req) req:reply(('{"tools":%s}'):format(req.session.upstream.options.tools or "[]")) end,
  ["resources/list"] = function(req)
    req:reply(('{"resources":%s}'):format(req.session.upstream.options.resources or "[]"))
  end,
  ["resources/templates/list"] = function(req)
    req:reply(('{"resourceTemplates":%s}'):format(req.session.upstream.options.templates or "[]"))
  end,
  ["prompts/list"] = function(req) req:reply(('{"prompts":%s}'):format(req.session.upstream.options.prompts or "[]")) end,
}

-- Keeps one message and acts on it.
local function take(session, raw, via)
  session.received[#session.received + 1] = raw
  local ok, members = pcall(json.members, raw)
  if not ok then
    session.garbage = raw
    return
  end
  local req = setmetatable({ raw = raw, session = session, via = via }, Request)
  for _, member in ipairs(members) do
    if member.key == "id" then req.id = member.value end
    if member.key == "method" then req.method = json.text(member.value) end
    if member.key == "params" then req.params = member.value end
    if member.key == "result" or member.key == "error" then req[member.key] = member.value end
  end
  session.messages[#session.messages + 1] = req
  if not req.method then
    local asked = session.asked[req.id or ""]
    if asked then
      session.asked[req.id] = nil
      asked(req)
    end
    return
  end
  local handler = session.upstream.handlers[req.method] or session.upstream.handlers["*"] or defaults[req.method]
  if handler then
    local result = handler(req)
    if type(result) == "string" then req:reply(result) end
  elseif req.id then
    req:fail(-32601, "Method not found")
  end
end

local function new_session(upstream, fields)
  fields.upstream, fields.received, fields.messages, fields.asked, fields.last_id = upstream, {}, {}, {}, 0
  local session = setmetatable(fields, Session)
  upstream.sessions[#upstream.sessions + 1] = session
  session.number = #upstream.sessions
  return session
end

--- Sends a raw message as it stands. With `req` it belongs to that request (HTTP: its stream).
function Session:send(raw, req)
  self.write(raw, req)
  return self
end

function Session:notify(method, params, req)
  return self:send(('{"jsonrpc":"2.0","method":%s%s}'):format(json.quote(method),
    params and ',"params":' .. params or ""), req)
end

--- A request to the client; fn(response) with raw .result or .error. `id` is raw.
function Session:ask(method, params, fn, req, id)
  if not id then
    id = tostring(self.last_id)
    self.last_id = self.last_id + 1
  end
  self.asked[id] = fn or function() end
  return self:send(('{"jsonrpc":"2.0","id":%s,"method":%s%s}'):format(id, json.quote(method),
    params and ',"params":' .. params or ""), req)
end

--- The nth message (1) of this method, waited for.
function Session:wait(method, nth, ms)
  return loop.wait(function()
    local seen = 0
    for _, message in ipairs(self.messages) do
      if message.method == method then
        seen = seen + 1
        if seen == (nth or 1) then return message end
      end
    end
  end, method .. " at the scripted server", ms)
end

--- How many messages of a method came (of all, without one).
function Session:count(method)
  local n = 0
  for _, message in ipairs(self.messages) do
    if not method or message.method == method then n = n + 1 end
  end
  return n
end

--- The nth session (1), waited for.
function Upstream:session(nth, ms)
  return loop.wait(function() return self.sessions[nth or 1] end, "a session at the scripted server", ms)
end

--- The nth message of a method in any session, waited for.
function Upstream:wait(method, nth, ms)
  return loop.wait(function()
    local seen = 0
    for _, session in ipairs(self.sessions) do
      for _, message in ipairs(session.messages) do
        if message.method == method then
          seen = seen + 1
          if seen == (nth or 1) then return message end
        end
      end
    end
  end, method .. " at the scripted server", ms)
end

function Upstream:count(method)
  local n = 0
  for _, session in ipairs(self.sessions) do n = n + session:count(method) end
  return n
end

--- Answers with a raw result.
function Request:reply(result)
  return self:answer(('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(self.id, result))
end

function Request:fail(code, message, data)
  return self:answer(('{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s%s}}'):format(
    self.id, code, json.quote(message), data and ',"data":' .. data or ""))
end

--- Answers with raw bytes that are the whole message (`%ID%` stands for the request's id).
function Request:answer(raw)
  raw = raw:gsub("%%ID%%", function() return self.id end)
  self.answered = true
  self.session.write(raw, self, true)
  return self
end

--- A message that belongs to this request.
function Request:notify(method, params) return self.session:notify(method, params, self) end
function Request:ask(method, params, fn, id) return self.session:ask(method, params, fn, self, id) end
function Request:progress(rest)
  return self:notify("notifications/progress", ('{"progressToken":%s%s}'):format(
    json.at(self.params, "_meta", "progressToken"), rest and "," .. rest or ""))
end
--- A raw value inside params; a decoded one.
function Request:at(...) return self.params and json.at(self.params, ...) end
function Request:value(...) return self.params and json.value(self.params, ...) end

-- --- stdio ---------------------------------------------------------------------------------------

local function child_script()
  return (os.getenv "LUNETTE_ROOT" or uv.cwd()) .. "/spec/support/child.lua"
end

local function serve_child(upstream, pipe)
  local session, rest, line_rest
  local function frame(kind, data)
    if not pipe:is_closing() then pipe:write(("%s%08x%s"):format(kind, #data, data)) end
  end
  local acts = {
    h = function(data)
      local hello = json.decode(data)
      session = new_session(upstream, { stdio = true, pid = hello.pid, hello = hello })
      line_rest = {}
      session.write = function(raw) frame("d", raw .. "\n") end
      --- Bytes for stdout as they stand; for stderr; the end of stdout; of the process; of all at once.
      function session.raw(_, bytes) frame("d", bytes) end
      function session.stderr(_, text) frame("e", text) end
      function session.close_stdout() frame("c", "") end
      --- It reads no more of its stdin, and doesn't see its end.
      function session.stop_reading() frame("s", "") end
      function session.exit(_, code) frame("x", tostring(code or 0)) end
      if upstream.on_session then upstream.on_session(session) end
    end,
    d = function(data)
      -- Only what is new is looked at, so that a long line costs no more than its length.
      local at = 1
      while true do
        local stop = data:find("\n", at, true)
        if not stop then break end
        line_rest[#line_rest + 1] = data:sub(at, stop - 1)
        local line = table.concat(line_rest)
        line_rest, at = {}, stop + 1
        take(session, line)
      end
      line_rest[#line_rest + 1] = data:sub(at)
    end,
    z = function() session.eof = true end,
    t = function() session.term = true end,
  }
  rest = ""
  pipe:read_start(loop.guard(function(_, chunk)
    if not chunk then
      if session then session.gone = true end
      loop.close(pipe)
      return
    end
    rest = rest .. chunk
    while #rest >= 9 do
      local size = tonumber(rest:sub(2, 9), 16)
      if #rest < 9 + size then break end
      local kind, data = rest:sub(1, 1), rest:sub(10, 9 + size)
      rest = rest:sub(10 + size)
      acts[kind](data)
    end
  end))
  loop.cleanup(function() loop.close(pipe) end)
end

--- Makes it startable as a child process; returns the command line as a list.
function Upstream:command()
  if not self.command_line then
    local path = loop.tempdir() .. "/socket"
    local listener = uv.new_pipe()
    assert(listener:bind(path))
    listener:listen(16, loop.guard(function()
      local pipe = uv.new_pipe()
      listener:accept(pipe)
      serve_child(self, pipe)
    end))
    loop.cleanup(function() loop.close(listener) end)
    self.command_line = { "luajit", child_script(), path }
    for _, flag in ipairs(self.options.args or {}) do table.insert(self.command_line, flag) end
  end
  return self.command_line
end

-- --- Streamable HTTP -------------------------------------------------------------------------------

local function chunk(conn, data)
  conn:send(("%x\r\n%s\r\n"):format(#data, data))
end

local sse_head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
  .. "Transfer-Encoding: chunked\r\n%s\r\n"

local function event(raw)
  return "event: message\ndata: " .. raw .. "\n\n"
end

local function plain(conn, status, body, extra)
  conn:send(("HTTP/1.1 %s\r\n%s%sContent-Length: %d\r\n\r\n%s"):format(status,
    body and "Content-Type: application/json\r\n" or "", extra or "", #(body or ""), body or ""))
end

-- How messages of an HTTP session leave: the answer as JSON or, once the request has a stream, as
-- its last event; what belongs to a request on its stream; the rest on the GET stream, or in a queue
-- until there is one.
local function http_write(session)
  return function(raw, req, is_answer)
    local via = req and req.via
    if via and not via.finished then
      local header = via.session_header or ""
      if is_answer and not via.streaming and not session.upstream.options.sse then
        via.finished = true
        plain(via.conn, "200 OK", raw, header)
        return
      end
      if not via.streaming then
        via.streaming = true
        via.conn:send(sse_head:format(header))
      end
      chunk(via.conn, event(raw))
      if is_answer then
        via.finished = true
        via.conn:send "0\r\n\r\n"
      end
      return
    end
    if session.get then chunk(session.get, event(raw)) else table.insert(session.queue, raw) end
  end
end

local function serve_post(upstream, request, conn)
  local method = request.body:match '"method"%s*:%s*"([^"]*)"'
  local id = request.headers["mcp-session-id"]
  local session = upstream.by_id[id or ""]
  local via = { conn = conn, request = request }
  if method == "initialize" and not session then
    session = new_session(upstream, { http = true, queue = {} })
    session.write = http_write(session)
    session.id = ("session-%d-%d"):format(session.number, uv.hrtime() % 1000000)
    if upstream.options.session == false then
      session.id = ""
    else
      via.session_header = "Mcp-Session-Id: " .. session.id .. "\r\n"
    end
    upstream.by_id[session.id] = session
    if upstream.on_session then upstream.on_session(session) end
  end
  if not session then
    plain(conn, id and "404 Not Found" or "400 Bad Request",
      '{"jsonrpc":"2.0","error":{"code":-32000,"message":"No valid session ID provided"}}')
    return
  end
  request.session = session
  local is_request = json.at(request.body, "id") and method
  take(session, request.body, via)
  if not is_request and not via.finished then plain(conn, "202 Accepted") end
end

local function serve_http(upstream, request, conn)
  upstream.requests[#upstream.requests + 1] = request
  if upstream.on_request and upstream.on_request(request, conn) then return end
  local session = upstream.by_id[request.headers["mcp-session-id"] or ""]
  if request.method == "POST" then
    serve_post(upstream, request, conn)
  elseif request.method == "GET" then
    if upstream.options.no_get or not session then
      plain(conn, "405 Method Not Allowed")
      return
    end
    session.get = conn
    conn.on_gone = function() if session.get == conn then session.get = nil end end
    conn:send(sse_head:format "")
    for _, raw in ipairs(session.queue) do chunk(conn, event(raw)) end
    session.queue = {}
  elseif request.method == "DELETE" then
    if session then
      session.deleted = true
      upstream.by_id[session.id] = nil
    end
    plain(conn, session and "200 OK" or "404 Not Found")
  else
    plain(conn, "405 Method Not Allowed")
  end
end

--- Makes it listen; afterwards lua() names its URL. upstream.on_request(request, conn) may take
--- any request over by returning true; .requests holds them all with their raw heads.
function Upstream:http(port)
  self.by_id = {}
  self.server = http.listen(function(request, conn) serve_http(self, request, conn) end, port)
  self.url = self.server.url .. "/mcp"
  return self
end

-- --- HTTP+SSE ------------------------------------------------------------------------------------------

local function serve_sse_stream(upstream, conn)
  local session = new_session(upstream, { sse = true, get = conn })
  session.id = ("sse-%d-%d"):format(session.number, uv.hrtime() % 1000000)
  session.write = function(raw) chunk(conn, event(raw)) end
  upstream.by_id[session.id] = session
  conn.on_gone = function()
    session.gone = true
    upstream.by_id[session.id] = nil
  end
  conn:send(sse_head:format "")
  local endpoint = (upstream.options.endpoint or "/post?sid=%s"):gsub("%%s", function() return session.id end)
  if endpoint ~= "" then chunk(conn, "event: endpoint\ndata: " .. endpoint .. "\n\n") end
  if upstream.on_session then upstream.on_session(session) end
end

local function serve_sse(upstream, request, conn)
  upstream.requests[#upstream.requests + 1] = request
  if upstream.on_request and upstream.on_request(request, conn) then return end
  local path, query = request.path:match "^([^?]*)%??(.*)$"
  local session = upstream.by_id[query:match "sid=([^&]*)" or ""]
  if path == "/sse" and request.method == "GET" then
    serve_sse_stream(upstream, conn)
  elseif path == "/sse" then
    plain(conn, upstream.options.refusal or "404 Not Found", upstream.options.refusal_body)
  elseif request.method ~= "POST" or not session then
    plain(conn, "404 Not Found")
  else
    request.session = session
    plain(conn, "202 Accepted")
    take(session, request.body)
  end
end

--- Makes it listen and speak HTTP+SSE, the transport of 2024-11-05, at /sse. Fields: endpoint (the data
--- of that event; %s stands for the session's id; "" for no such event), refusal and refusal_body
--- (of a POST to /sse).
function Upstream:sse(port)
  self.by_id = {}
  self.server = http.listen(function(request, conn) serve_sse(self, request, conn) end, port)
  self.url = self.server.url .. "/sse"
  return self
end

--- Forgets all sessions, as a server does that was restarted.
function Upstream:forget()
  self.by_id = {}
end

M.plain, M.chunk, M.sse_head, M.event = plain, chunk, sse_head, event

-- --- in a policy ---------------------------------------------------------------------------------

--- The fields for lunette.upstream: url or command and args. `extra` is Lua text.
function Upstream:lua(extra)
  if self.url then return ("{ url = %q%s }"):format(self.url, extra and ", " .. extra or "") end
  local command, quoted = self:command(), {}
  for i = 2, #command do quoted[#quoted + 1] = ("%q"):format(command[i]) end
  return ("{ command = %q, args = { %s }%s }"):format(command[1], table.concat(quoted, ", "),
    extra and ", " .. extra or "")
end

return M
