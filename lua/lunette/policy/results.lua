-- What calls of tools give in the end, for policies that look at results. A call that its client wants as a task
-- is answered with the task alone; what it gives comes by tasks/result.
local errors = require "lunette.running.errors"
local hooks = require "lunette.running.hooks"

local KEPT = 1000 -- tasks a session

--- Declares handlers for the calls that `which` (a selector) chooses. begin(request, ctx) is asked at each: it gives
-- see, and see(result) gives the result that goes on to the client, or a denial; or nil and what the call is answered
-- with instead. always: the see of tasks that nothing is known of, as after a reload, where `which` is "*".
return function(which, begin, always)
  local mine = {} -- the key of this use of a policy in a session's state
  if which ~= "*" then always = nil end

  local function remember(ctx, id, see)
    local tasks = ctx.session.state[mine] or { see = {}, ids = {}, n = 0 }
    ctx.session.state[mine] = tasks
    local place = tasks.n % KEPT + 1
    if tasks.ids[place] then tasks.see[tasks.ids[place]] = nil end
    tasks.see[id], tasks.ids[place], tasks.n = see, id, tasks.n + 1
  end

  hooks.on("tools/call", which, function(request, forward, ctx)
    local see, instead = begin(request, ctx)
    if not see then return instead end
    local result = forward(request)
    local id = type(result.task) == "table" and result.task.taskId
    if not id then return see(result) end
    remember(ctx, id, see)
    return result
  end)

  hooks.on("tasks/result", function(request, forward, ctx)
    local tasks = ctx.session.state[mine]
    local see = tasks and tasks.see[request.params.taskId] or always
    if not see then return forward(request) end
    local result = forward(request)
    local seen = see(result)
    if not errors.is_denial(seen) then return seen end
    -- It is a call that is refused, for a model to read.
    local refusal = errors.text(seen.message)
    refusal.isError, refusal._meta = true, result._meta
    return refusal
  end)
end
