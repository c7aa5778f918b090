-- HTTP/1.1 as bytes. A client that sends exactly what it is told, in pieces as small as wanted,
-- and reads heads, bodies and SSE events one after the other; and a listener whose connections
-- do the same from the other side. Nothing is added, nothing is corrected.
local loop = require "spec.support.loop"

local uv = loop.uv
local M = {}

-- --- one connection, either side --------------------------------------------------------------

local Conn = {}
Conn.__index = Conn

local function wrap(tcp)
  local self = setmetatable({ tcp = tcp }, Conn)
  tcp:nodelay(true)
  self.bytes = loop.collect(tcp, function() if self.on_data then self.on_data() end end)
  loop.cleanup(function() loop.close(tcp) end)
  return self
end

--- Connects to 127.0.0.1:port (or options.host); options.from: the address it comes from (127.0.0.2 and so on are
--- others' for who counts by address).
function M.connect(port, options)
  local tcp, done, failed = uv.new_tcp(), false, nil
  if options and options.from then assert(tcp:bind(options.from, 0)) end
  tcp:connect(options and options.host or "127.0.0.1", port, loop.guard(function(err) done, failed = true, err end))
  loop.wait(function() return done end, "a connection to port " .. port)
  if failed then
    loop.close(tcp)
    error("can't connect to port " .. port .. ": " .. failed, 2)
  end
  return wrap(tcp)
end

--- True when something accepts on that port.
function M.accepts(port)
  local tcp, done, failed = uv.new_tcp(), false, nil
  tcp:connect("127.0.0.1", port, loop.guard(function(err) done, failed = true, err end))
  loop.wait(function() return done end, "an answer from port " .. port)
  loop.close(tcp)
  return not failed
end

-- Below those that the system gives to whoever asks for any, and for each process from another place on: of files that
-- run at once none gets a port that another was told is free and has not taken yet.
local FIRST, PORTS = 10000, 20000
local tried = uv.os_getpid() * 7919

--- A port that was free a moment ago.
function M.free_port()
  for _ = 1, PORTS do
    tried = tried + 1
    local port = FIRST + tried % PORTS
    local tcp = uv.new_tcp()
    local free = tcp:bind("127.0.0.1", port) and tcp:listen(1, function() end)
    loop.close(tcp)
    if free then return port end
  end
  error "no port is free"
end

--- Sends bytes; with `step`, that many at a time, each in a write that is done before the next.
function Conn:send(data, step)
  if not step then
    if not self.tcp:is_closing() then self.tcp:write(data) end
    return self
  end
  for i = 1, #data, step do
    local done = false
    self.tcp:write(data:sub(i, i + step - 1), loop.guard(function() done = true end))
    loop.wait(function() return done end, "a write")
  end
  return self
end

--- Ends our side of the connection only.
function Conn:shutdown()
  self.tcp:shutdown()
  return self
end

function Conn:close()
  loop.close(self.tcp)
end

--- Ends it with a reset instead of a proper close.
function Conn:reset()
  if self.tcp.close_reset then self.tcp:close_reset() else loop.close(self.tcp) end
end

function Conn:wait_end(ms)
  loop.wait(function() return self.bytes.ended end, "the end of a connection", ms)
end

-- A head's lines as a table: raw text, start line, list of {name, value}, map by lower-case name
-- (several of one name are joined with ", ").
local function parse_head(raw)
  local head = { raw = raw, list = {}, headers = {} }
  for line in (raw .. "\r\n"):gmatch "(.-)\r\n" do
    if not head.start then
      head.start = line
    else
      local name, value = line:match "^([^:]*):[ \t]*(.-)[ \t]*$"
      if not name then error("not a header line: " .. line) end
      head.list[#head.list + 1] = { name, value }
      name = name:lower()
      head.headers[name] = head.headers[name] and head.headers[name] .. ", " .. value or value
    end
  end
  return head
end

-- Takes what has arrived of a body; sets head.body when it is whole. For SSE the text is handed
-- on piece by piece by the caller, through head.take.
local function body_reader(bytes, head, default_until_end)
  local headers, parts = head.headers, {}
  if (headers["transfer-encoding"] or ""):lower():find "chunked" then
    local left
    return function()
      while true do
        if not left then
          local line = bytes:take_until "\r\n"
          if not line then return false end
          left = assert(tonumber(line:match "^%x+", 16), "bad chunk size: " .. line)
          if left == 0 then
            -- Trailers are not expected; the empty line that closes the body is.
            head.last_chunk = true
          end
        end
        if head.last_chunk then
          local line = bytes:take_until "\r\n"
          if not line then return false end
          return true, table.concat(parts)
        end
        local data = bytes:take(left + 2)
        if not data then return false end
        assert(data:sub(-2) == "\r\n", "a chunk without its end")
        parts[#parts + 1] = data:sub(1, -3)
        if head.sink then head.sink(data:sub(1, -3)) end
        left = nil
      end
    end
  end
  local length = tonumber(headers["content-length"])
  if length or not default_until_end then
    length = length or 0
    return function()
      local data = bytes:take(length)
      if not data then return false end
      if head.sink then head.sink(data) end
      return true, data
    end
  end
  return function()
    local data = bytes:take(#bytes.data)
    parts[#parts + 1] = data
    if head.sink and data ~= "" then head.sink(data) end
    if not bytes.ended then return false end
    return true, table.concat(parts)
  end
end

--- The next response's head: status, reason, headers… Interim (1xx) heads are skipped and kept
--- in `.interim`.
function Conn:head(ms)
  local interim = {}
  while true do
    local raw = loop.wait(function()
      local text = self.bytes:take_until "\r\n\r\n"
      if not text and self.bytes.ended then
        error("the connection ended before a response; got: " .. self.bytes.data, 0)
      end
      return text
    end, "a response head", ms)
    local head = parse_head(raw)
    local status, reason = head.start:match "^HTTP/1%.1 (%d%d%d) ?(.*)$"
    if not status then error("not a status line: " .. head.start) end
    head.status, head.reason, head.interim, head.conn = tonumber(status), reason, interim, self
    if head.status >= 200 then return head end
    interim[#interim + 1] = head
  end
end

--- A whole response, body included. `method` matters for HEAD only.
function Conn:response(ms, method)
  local head = self:head(ms)
  if head.status == 204 or head.status == 304 or method == "HEAD" then
    head.body = ""
    return head
  end
  local read, body = body_reader(self.bytes, head, true), nil
  loop.wait(function()
    local done
    done, body = read()
    if not done and self.bytes.ended and not head.headers["content-length"] then error("a body cut short", 0) end
    return done
  end, "a response body", ms)
  head.body = body
  return head
end

-- --- SSE ------------------------------------------------------------------------------------

--- A parser by the letter of the HTML standard, to check what a server writes: feed() text,
--- take() events { id, event, data, retry, raw, comments }. An event with neither data nor id is
--- not dispatched by a browser but is here, so that specs see it.
function M.sse_parser()
  local text, events, ended = "", {}, false
  local parser = {}
  local function event_of(block)
    local event = { raw = block, comments = {} }
    for line in (block .. "\n"):gmatch "(.-)\r?\n" do
      if line:sub(1, 1) == ":" then
        event.comments[#event.comments + 1] = line:sub(2)
      elseif line ~= "" then
        local field, value = line:match "^([^:]*):? ?(.*)$"
        if field == "data" then
          event.data = event.data and event.data .. "\n" .. value or value
        else
          event[field] = value
        end
      end
    end
    return event
  end
  function parser.feed(chunk)
    text = text .. chunk
    while true do
      local from, to = text:find "\r?\n\r?\n"
      if not from then return end
      local event = event_of(text:sub(1, from - 1))
      text = text:sub(to + 1)
      if event.data or event.id or event.retry or event.event then
        events[#events + 1] = event
      else
        parser.keep_alives = (parser.keep_alives or 0) + 1
      end
    end
  end
  function parser.take() return table.remove(events, 1) end
  function parser.finish() ended = true end
  function parser.ended() return ended and #events == 0 end
  function parser.rest() return text end
  return parser
end

--- After head(): reads the body as SSE from now on. Returns a stream with event(ms) (nil at the
--- end), maybe(ms), and head, parser.
function Conn:events(head)
  local parser = M.sse_parser()
  head.sink = parser.feed
  local read = body_reader(self.bytes, head, true)
  local finished = false
  local function pump()
    if finished then return end
    local ok, done = pcall(read)
    if not ok then error(done, 0) end
    if done or self.bytes.ended then
      finished = true
      parser.finish()
    end
  end
  self.on_data = pump
  pump()
  local stream = { head = head, parser = parser, conn = self }
  function stream.event(_, ms)
    return loop.wait(function()
      local event = parser.take()
      if event then return { event } end
      return parser.ended() and {}
    end, "an SSE event", ms)[1]
  end
  function stream.maybe(_, ms)
    return loop.within(ms, function() return parser.take() end)
  end
  --- True when the body came to its proper end (the last chunk), not just the connection.
  function stream.complete() return head.last_chunk == true end
  return stream
end

--- One request on one connection of its own: { method, path, headers = list of lines or map, body }.
--- Content-Length and Host are added unless given (or set to false).
function M.format(options)
  local lines = { ("%s %s HTTP/1.1"):format(options.method or "GET", options.path or "/") }
  local seen = {}
  for k, v in pairs(options.headers or {}) do
    if type(k) == "number" then
      lines[#lines + 1] = v
      seen[v:match("^[^:]*"):lower()] = true
    else
      seen[k:lower()] = true
      if v then lines[#lines + 1] = k .. ": " .. v end
    end
  end
  if not seen.host then lines[#lines + 1] = "Host: 127.0.0.1:" .. (options.port or 80) end
  if options.body and not seen["content-length"] and not seen["transfer-encoding"] then
    lines[#lines + 1] = "Content-Length: " .. #options.body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

function M.request(options)
  local conn = M.connect(options.port, options)
  conn:send(M.format(options), options.step)
  local response = conn:response(options.timeout, options.method)
  if not options.keep then conn:close() end
  return response
end

-- --- listening ---------------------------------------------------------------------------------

--- Listens on loopback and calls on_request(request, conn) for every whole request: { start,
--- method, path, raw (head), headers, list, body }. Returns { port, url, close(), connections }.
function M.listen(on_request, port)
  local tcp = uv.new_tcp()
  assert(tcp:bind("127.0.0.1", port or 0))
  local server = { connections = {}, port = tcp:getsockname().port }
  server.url = "http://127.0.0.1:" .. server.port
  assert(tcp:listen(128, loop.guard(function(err)
    assert(not err, err)
    local client = uv.new_tcp()
    tcp:accept(client)
    local conn = wrap(client)
    server.connections[#server.connections + 1] = conn
    local head, read
    conn.on_data = loop.guard(function()
      while true do
        if not head then
          local raw = conn.bytes:take_until "\r\n\r\n"
          if not raw then break end
          head = parse_head(raw)
          head.method, head.path = head.start:match "^(%S+) (%S+) HTTP/1%.1$"
          read = body_reader(conn.bytes, head, false)
        end
        local done, body = read()
        if not done then break end
        local request = head
        request.body, request.conn, head = body, conn, nil
        on_request(request, conn)
      end
      if conn.bytes.ended then
        conn.gone = true
        if conn.on_gone then conn.on_gone() end
        loop.close(client)
      end
    end)
    conn.on_data()
  end)))
  function server.close() loop.close(tcp) end
  loop.cleanup(server.close)
  return server
end

return M
