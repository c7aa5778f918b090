-- Lunette over HTTP that ends and starts anew, and clients that go on with the session ids they have.
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"

local M = {}

--- Tells who it thinks is calling, and how often it was greeted.
M.who = [[
lunette.on("initialize", function(request, forward, ctx)
  local result = forward(request)
  ctx.session.state.greeted = (ctx.session.state.greeted or 0) + 1
  return result end)
lunette.tools.add { name = "who", inputSchema = { type = "object" }, handler = function(args, ctx)
  local s = ctx.session
  return lunette.json.encode { s.id, s.client.name, s.capabilities, s.protocol_version, s.transport, s.state.greeted or 0 } end }
]]

function M.start(policy, options)
  options = options or {}
  return lunette.http { policy = policy, port = options.port, env = options.env, flags = options.flags }
end

--- Ends it, by a signal that gives it time or by one that doesn't, and starts it anew on the same port.
function M.restart(host, policy, signal, options)
  options = options or {}
  host.process.expect_failure = signal == "sigkill"
  host.process:kill(signal or "sigterm")
  host.process:wait_exit()
  return M.start(policy, { port = host.port, env = options.env, flags = options.flags })
end

function M.call(client, name, arguments)
  local raw = client:result("tools/call", ('{"name":%q,"arguments":%s}'):format(name, arguments or "{}"))
  return json.value(raw, "content", 1, "text")
end

--- The answer to a request on a connection of its own, with these header lines more (nil: none) and another id.
function M.send(client, method, body, id, more)
  local session, version = client.session, client.version
  client.session = id or session
  local headers = client:headers(method)
  client.session, client.version = session, version
  for _, line in ipairs(more or {}) do headers[#headers + 1] = line end
  return http.request { port = client.port, method = method, path = "/mcp", headers = headers, body = body }
end

function M.line(id, method, params)
  return ('{"jsonrpc":"2.0",%s"method":"%s"%s}'):format(id and ('"id":%s,'):format(id) or "", method, params and ',"params":' .. params or "")
end

M.ping = M.line(1, "ping")
M.gone = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"There is no such session"}}'

function M.assert_gone(client, id)
  for _, method in ipairs { "POST", "GET", "DELETE" } do
    local answer = M.send(client, method, method == "POST" and M.ping or nil, id)
    assert(answer.status == 404, answer.status)
    assert(answer.body == M.gone, answer.body)
  end
  assert(M.send(client, "POST", M.line(nil, "notifications/initialized"), id).status == 404)
  assert(M.send(client, "POST", '{"jsonrpc":"2.0","id":5,"result":{}}', id).status == 404)
end

--- A client with its session.
function M.open(host, options)
  local client = host.client()
  client:initialize(options)
  return client
end

return M
