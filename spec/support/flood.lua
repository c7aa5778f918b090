-- Who takes more than its share, and an honest neighbour beside it, on a stopwatch. They come from addresses of
-- their own: 127.0.0.1 floods, the neighbour has 127.0.0.2.
local http = require "spec.support.http"
local loop = require "spec.support.loop"

local M = {}

--- What an honest neighbour waits at most (ms); a slow machine's time is longer.
M.PATIENCE = 250 * loop.slow

M.NEIGHBOUR = "127.0.0.2"

--- The text of an initialize request.
function M.initialize(capabilities, more)
  return ('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":%s,'
    .. '"clientInfo":{"name":"flood","version":"1"}%s}}'):format(capabilities or "{}", more or "")
end

--- A POST as bytes; lines: more header lines.
function M.post(body, lines)
  local head = { "POST /mcp HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
    "Accept: application/json, text/event-stream", "Content-Length: " .. #body }
  for _, line in ipairs(lines or {}) do head[#head + 1] = line end
  return table.concat(head, "\r\n") .. "\r\n\r\n" .. body
end

--- The responses to n such requests over one connection: all are sent at once.
function M.posts(port, n, body, options)
  options = options or {}
  local conn, heads = http.connect(port, options), {}
  for i = 1, n do conn:send(M.post(type(body) == "function" and body(i) or body, options.lines)) end
  for i = 1, n do heads[i] = conn:response() end
  conn:close()
  return heads
end

--- How many have each status.
function M.tally(heads)
  local n = {}
  for _, head in ipairs(heads) do n[head.status] = (n[head.status] or 0) + 1 end
  return n
end

--- The longest of n calls of that tool by a client, in ms.
function M.longest(client, name, n)
  local worst = 0
  for _ = 1, n or 10 do
    local began = loop.uv.hrtime()
    client:result("tools/call", ('{"name":"%s"}'):format(name))
    worst = math.max(worst, (loop.uv.hrtime() - began) / 1e6)
  end
  return worst
end

return M
