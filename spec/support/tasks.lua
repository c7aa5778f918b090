-- A scripted server with tasks, and what requests about tasks look like.
local json = require "spec.support.json"
local upstream = require "spec.support.upstream"

local M = {}

M.can = '{"tools":{"listChanged":true},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}'
M.both = '{"sampling":{},"elicitation":{},"tasks":{"list":{},"cancel":{},"requests":{"sampling":{"createMessage":{}},'
  .. '"elicitation":{"create":{}}}}}'

function M.task(id, status, rest)
  return ('{"taskId":%s,"status":"%s","createdAt":"2025-11-25T10:30:00Z","lastUpdatedAt":"2025-11-25T10:40:00Z","ttl": 60000%s}')
    :format(json.quote(id), status or "working", rest or "")
end
function M.related(id) return '{"io.modelcontextprotocol/related-task":{"taskId":' .. json.quote(id) .. "}}" end

--- A server whose tasks are called t1, t2 … or as it is told.
function M.server(name, fields)
  fields = fields or {}
  fields.name = name
  fields.tools = fields.tools
    or '[{"name":"slow","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]'
  fields.capabilities = fields.capabilities or M.can
  local up, made = upstream.new(fields), 0
  up.made = {}
  up:on("tools/call", function(req)
    if not req:at "task" then return ('{"content":[],"by":%s}'):format(json.quote(name or "up")) end
    made = made + 1
    local id = fields.id or "t" .. made
    up.made[#up.made + 1] = req
    req:reply('{"task":' .. M.task(id) .. "}")
  end)
  up:on("tasks/get", function(req) req:reply(M.task(req:value "taskId")) end)
  up:on("tasks/cancel", function(req) req:reply(M.task(req:value "taskId", "cancelled")) end)
  up:on("tasks/result", function(req)
    req:reply(('{"content":[],"of":%s,"_meta":%s}'):format(json.quote(name or "up"), M.related(req:value "taskId")))
  end)
  up:on("tasks/list", function(req) req:reply('{"tasks":[' .. M.task(fields.id or "t1") .. "]}") end)
  return up
end

function M.call(tool, rest) return ('{"name":%q,"arguments":{},"task":{"ttl": 1e5}%s}'):format(tool, rest or "") end
function M.about(id) return '{"taskId":' .. json.quote(id) .. "}" end

return M
