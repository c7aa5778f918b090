-- Lunette under a policy that changes: what the specs of reload share.
--
-- Where noticing files isn't the subject, policies are reloaded with SIGHUP and --no-watch, so that there
-- is one reload for each. "Nobody is told" is shown by a later reload that tells everybody: messages to
-- one client keep their order, so what didn't come before that one didn't come.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local M = {}

M.done_text, M.kept_text = "a new policy is in force", "the old policy stays in force"
M.changed = { tools = "notifications/tools/list_changed", resources = "notifications/resources/list_changed",
  prompts = "notifications/prompts/list_changed" }

local function count(text, what)
  local n, at = 0, 1
  while true do
    local _, to = text:find(what, at, true)
    if not to then return n end
    n, at = n + 1, to + 1
  end
end

function M.server(name, tools)
  local up = upstream.new { name = name, tools = tools or '[{"name":"work","inputSchema":{"type":"object"}}]' }
  up:on("tools/call", function(req) req:reply(('{"content":[],"by":%s}'):format(json.quote(name))) end)
  return up
end

--- What a policy says of itself: a tool whose description, and so the list, and whose answer is `word`.
function M.says(word)
  return ("lunette.tools.add { name = 'version', description = %q, inputSchema = { type = 'object' }, "
    .. "handler = function() return %q end }\n"):format(word, word)
end

function M.version(client)
  return json.value(client:result("tools/call", '{"name":"version"}'), "content", 1, "text")
end

function M.tool_names(client)
  return json.names(json.at(client:result("tools/list", "{}"), "tools"))
end

--- Puts a file in another's place, as editors do.
function M.replace(path, text)
  loop.write_file(path .. ".new", text)
  assert(loop.uv.fs_rename(path .. ".new", path))
end

local Host = {}
Host.__index = Host

--- Lunette on HTTP with a policy that can be changed. options: watch (else SIGHUP is the only way), path,
-- targets, stdio (a client on stdio instead: host.stdio).
function M.start(text, options)
  options = options or {}
  local self = setmetatable({ path = options.path or loop.tempdir() .. "/policy.lua" }, Host)
  if text then lunette.policy(text, self.path) end
  local settings = { targets = options.targets or { self.path }, flags = not options.watch and { "--no-watch" } or nil }
  if options.stdio then
    self.stdio = lunette.stdio(settings)
    self.process = self.stdio.process
  else
    local host = lunette.http(settings)
    self.process, self.new_client, self.port = host.process, host.client, host.port
  end
  return self
end

-- A client that listens and has listed its tools (options: those of initialize, headers, unlisted: it hasn't).
function Host:client(options)
  options = options or {}
  local client = self.new_client { headers = options.headers }
  client:initialize(options)
  client:listen()
  if not options.unlisted then M.tool_names(client) end
  return client
end

function Host:reloads(what)
  return count(self.process.err:all(), what or M.done_text)
end

-- Does `act` and waits for the reload that it brings: one that worked, or `what`.
function Host:after(act, what)
  local before = self:reloads(what)
  act()
  loop.wait(function() return self:reloads(what) > before end, what or M.done_text, 10000)
end

function Host:hup(what)
  self:after(function() self.process:kill "sighup" end, what)
end

function Host:reload(text, what)
  lunette.policy(text, self.path)
  self:hup(what)
end

-- The line of the log that says why the last reload failed.
function Host:complaint()
  local last
  for line in self.process.err:all():gmatch "[^\n]+" do
    if line:find(M.kept_text, 1, true) then last = line end
  end
  return last
end

return M
