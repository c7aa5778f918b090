-- The HTTP that a policy asks for (lunette.http), answered by a spec's function: what it is given, and what of what
-- it gives becomes a response. Requests come and responses go as HTTP writes them, through the real parser.
local json = require "lunette.lib.json"
local wire = require "lunette.test.wire"

local M = {}

local known = { status = "number", headers = "table", body = "string", json = "any", fails = "string" }

local request_mt = {
  __index = {
    --- The body as a value.
    json = function(self) return json.json.decode(self.body) end,
  },
}

--- A request's text as { method =, url =, headers = (by name in lower case), body = "" without one }.
function M.read(text)
  local head, body = text:match "^(.-\r\n)\r\n(.*)$"
  local method, url = head:match "^(%S+) (%S+)"
  local headers = {}
  for name, value in head:gmatch "\n([^:\r\n]+): ?([^\r\n]*)" do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return setmetatable({ method = method, url = url, headers = headers, body = body }, request_mt)
end

--- The response's text; nil and why when there is to be none.
function M.write(request, response)
  local what = ("test.run: http gave for %s %s"):format(request.method, request.url)
  if response == nil then wire.fail("%s nothing", what) end
  if type(response) == "string" then response = { body = response } end
  wire.check(what, response, known)
  if response.fails then return nil, response.fails end
  local body, lines = response.body or "", {}
  if response.json ~= nil then
    body = wire.encode(what .. ": json", response.json)
    lines[1] = "content-type: application/json"
  end
  for name, value in pairs(response.headers or {}) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = ("%s: %s"):format(name, tostring(one))
    end
  end
  local status = response.status or 200
  local bare = request.method == "HEAD" or status == 204 or status == 304
  lines[#lines + 1] = ("content-length: %d\r\n\r\n%s"):format(bare and 0 or #body, bare and "" or body)
  return ("HTTP/1.1 %d x\r\n%s"):format(status, table.concat(lines, "\r\n"))
end

--- Answers a request of an app's policy by fn.
function M.answer(app, id, text, fn)
  local request = M.read(text)
  local ok, response = pcall(fn, request)
  if not ok then
    app:harness("answer", id, nil, "the test's http failed")
    error(response, 0)
  end
  app:harness("answer", id, M.write(request, response))
end

return M
