-- Policies that ask by lunette.http: a tool that makes the request its arguments describe, and servers of bytes.
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"

local M = {}

--- A tool that makes the request its arguments describe, and tells what came of it.
M.fetch_tool = [[
lunette.tools.add { name = "fetch", handler = function(o)
  local ok, response = pcall(lunette.http, o.url and o or o.request)
  if not ok then return lunette.deny(response) end
  return lunette.json.encode { status = response.status, headers = response.headers, body = response.body,
    url = response.url }
end }
]]

function M.client_of(policy, options)
  options = options or {}
  local client = lunette.stdio { policy = policy or M.fetch_tool, env = options.env }
  client:initialize()
  return client
end

function M.start(client, name, arguments)
  return client:start("tools/call", ('{"name":"%s","arguments":%s}'):format(name, arguments or "{}"))
end

function M.text_of(call)
  local result = json.decode(json.at(call:wait(), "result"))
  return result.content[1] and result.content[1].text, result.isError
end

function M.call(client, name, arguments) return M.text_of(M.start(client, name, arguments)) end

--- The response that the tool saw.
function M.fetch(client, o)
  local text, failed = M.call(client, "fetch", type(o) == "string" and o or json.encode(o))
  assert(failed == nil, text)
  return json.decode(text)
end

--- Why there was none, without the policy's place, which is checked.
function M.refused(client, o)
  local text, failed = M.call(client, "fetch", type(o) == "string" and o or json.encode(o))
  assert(failed == true, text)
  return (assert(text:match "^/.+/policy%d+%.lua:%d+: lunette%.http: (.*)$", text))
end

--- A server that keeps the requests and answers each with these bytes, or as the function does.
function M.server(answer)
  local requests = {}
  local s = http.listen(function(request, conn)
    requests[#requests + 1] = request
    if type(answer) == "function" then answer(request, conn) else conn:send(answer) end
  end)
  s.requests = requests
  return s
end

M.ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

return M
