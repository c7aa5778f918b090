-- audit: a line of JSON for every use of a tool, resource or prompt, to a file or Lunette's log. Two lines,
-- in fact: one before, so that what a client cancels (which ends the handler) is on record too, and one with
-- the outcome; `call` is the same in both. What can't be written is not done.
local core = require "lunette.core"
local check = require "lunette.base.check"
local lunette = require "lunette"
local options = require "lunette.policy.options"

local SHORT = 200 -- bytes of a request's id, which a client may make as long as it likes

local function shortened(id)
  if type(id) ~= "string" or #id <= SHORT then return id end
  return ("%s… (%d bytes)"):format(id:sub(1, SHORT):gsub("[\192-\255]?[\128-\191]*$", ""), #id)
end

local function outcome(ok, result)
  if not ok and type(result) ~= "table" then return { outcome = "error", message = tostring(result) } end
  if not ok then return { outcome = "error", code = result.code, message = result.message } end
  local task = type(result.task) == "table" and result.task.taskId or nil
  return { outcome = result.isError and "failed" or "ok", task = task }
end

local started, calls = lunette.now(), 0

return options.policy("audit", {
  file = options.path(), -- the log without one
  methods = options.texts { "tools/call", "resources/read", "prompts/get", "tasks/result" },
  arguments = options.flag(true),
}, function(o, what)
  local function write(record)
    record.time = os.date "!%Y-%m-%dT%H:%M:%SZ"
    local line = lunette.json.encode(record)
    if not o.file then return lunette.log.info(line) end
    -- The file is opened for each line, so that it can be rotated.
    local ok, why = core.append(o.file, line .. "\n")
    if not ok then error("audit: " .. why, 0) end
  end

  if o.file then
    local mode, why = core.append(o.file, "")
    if not mode then options.fail("%s: %s", what, why) end
    if mode % 64 ~= 0 then
      local text = "%s: others may use %s, where clients' words are (its mode is %o); chmod 600 keeps it private"
      check.warn(check.where(), text:format(what, o.file, mode))
    end
  end
  for _, method in ipairs(o.methods) do
    lunette.on(method, function(request, forward, ctx)
      calls = calls + 1
      local call, params, session = ("%x-%d"):format(started * 1000, calls), request.params, ctx.session
      write {
        event = "request", call = call, method = request.method, name = params.name or params.uri, task = params.taskId,
        arguments = o.arguments and params.arguments or nil, upstream = ctx.upstream, id = shortened(ctx.request_id),
        session = session.id, transport = session.transport, client = session.client.name,
        principal = ctx.principal.subject,
      }
      local began, upstream, native = lunette.now(), ctx.upstream, params.name and ctx.native_name
      local ok, result = pcall(forward, request)
      local record = outcome(ok, result)
      -- A handler further in may have sent it elsewhere.
      local went = params.name and ctx.native_name
      if went ~= native or ctx.upstream ~= upstream then record.upstream, record.native_name = ctx.upstream, went end
      record.event, record.call, record.ms = "response", call, math.floor((lunette.now() - began) * 1000 + 0.5)
      write(record)
      if not ok then error(result, 0) end
      return result
    end)
  end
end) --[[@as fun(options?: lunette.policy.audit)]]
