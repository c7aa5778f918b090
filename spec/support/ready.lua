-- What the specs of the ready policies share: a client of raw messages behind a policy that uses one of them, and
-- the scripted server behind that.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local M = {}

M.tools = '[{"name":"read","description":"Reads a file","inputSchema":{"type":"object","properties":'
  .. '{"path":{"type":"string"},"user":{"type":"string"}},"required":["user","path"]},"annotations":{"readOnlyHint":true}},'
  .. '{"name":"write","description":"Writes a file","inputSchema":{"type":"object","properties":{"path":{"type":"string"}}},'
  .. '"annotations":{"readOnlyHint":false,"destructiveHint":true}},'
  .. '{"name":"put","description":"Puts","inputSchema":{"type":"object"},"annotations":{"idempotentHint":true}},'
  .. '{"name":"quiet","inputSchema":{"type":"object"}}]'
local resources = '[{"uri":"file:///a.txt","name":"a"},{"uri":"note://c","name":"c"}]'
local prompts = '[{"name":"review"},{"name":"plan"}]'

--- A client behind a server whose calls are echoed (the result's `got` is the params), or answered by
-- options.reply.
function M.with(policy, options)
  options = options or {}
  local up = upstream.new { name = "files", tools = options.tools or M.tools, resources = resources, prompts = prompts }
  up:on("tools/call", options.reply or function(req) req:reply('{"content":[],"got":' .. req.params .. "}") end)
  up:on("resources/read", function(req)
    req:reply('{"contents":[{"uri":' .. req:at "uri" .. ',"text":"secret ghp_0123456789abcdefghijABCDEF"}]}')
  end)
  up:on("prompts/get", function(req) req:reply '{"messages":[]}' end)
  local way = options.way or { "stdio", "stdio" }
  -- On the same line, for the sake of line numbers; short, for specs that leave calls without an answer.
  policy = "lunette.configure { drain_timeout = 0.2 } " .. policy
  local client, _, host = lunette.between(way, up, { policy = policy, env = options.env })
  client:initialize { capabilities = options.capabilities }
  return client, up, host
end

function M.seen(client, method, array, member)
  return json.names(json.at(client:result(method or "tools/list", "{}"), array or "tools"), member)
end

function M.call(client, name, arguments)
  return json.decode(client:result("tools/call", ('{"name":"%s","arguments":%s}'):format(name, arguments or "{}")))
end

function M.text(result)
  return result.content[1] and result.content[1].text
end

function M.refused(client, name, arguments)
  local result = M.call(client, name, arguments)
  assert(result.isError == true, json.encode(result))
  return M.text(result)
end

return M
