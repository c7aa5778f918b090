-- audit: a line of JSON for every use of a tool, resource or prompt, to a file or Lunette's log. Two lines,
-- in fact: one before, so that what a client cancels (which ends the handler) is on record too, and one with
-- the outcome; `call` is the same in both. What can't be written is not done.
local lunette = require "lunette"
local options = require "lunette.policy.options"

-- Opened for each line, so that the file can be rotated; unbuffered, so that a line is one write and processes
-- that share the file don't mix theirs.
local function append(path, text)
  local file, why = io.open(path, "a")
  if not file then return nil, why end
  file:setvbuf "no"
  local ok
  ok, why = file:write(text)
  file:close()
  return ok, why
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
    local ok, why = append(o.file, line .. "\n")
    if not ok then error("audit: " .. why, 0) end
  end

  if o.file then
    local ok, why = append(o.file, "")
    if not ok then options.fail("%s: %s", what, why) end
  end
  for _, method in ipairs(o.methods) do
    lunette.on(method, function(request, forward, ctx)
      calls = calls + 1
      local call, params, session = ("%x-%d"):format(started * 1000, calls), request.params, ctx.session
      write {
        event = "request", call = call, method = request.method, name = params.name or params.uri, task = params.taskId,
        arguments = o.arguments and params.arguments or nil, upstream = ctx.upstream, id = ctx.request_id,
        session = session.id, transport = session.transport, client = session.client.name,
        principal = ctx.principal.subject,
      }
      local began = lunette.now()
      local ok, result = pcall(forward, request)
      local record = outcome(ok, result)
      record.event, record.call, record.ms = "response", call, math.floor((lunette.now() - began) * 1000 + 0.5)
      write(record)
      if not ok then error(result, 0) end
      return result
    end)
  end
end) --[[@as fun(options?: lunette.policy.audit)]]
