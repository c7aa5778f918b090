-- Results of calls, for policies that check or change them. A call that its client wants as a task is answered with
-- the task alone; its result comes by tasks/result.
local errors = require "lunette.running.errors"
local hooks = require "lunette.running.hooks"

local KEPT = 1000 -- tasks a session

--- Declares handlers for the calls that `which` (a selector) chooses. begin(request, ctx) is called for each and
-- returns a function review(result), which returns the result that the client gets, or denies it; or nil and what the
-- call is answered with instead. always: the review of tasks whose call is not known, as after a reload, where `which`
-- is "*".
return function(which, begin, always)
  local mine = {} -- the key of this use of a policy in a session's state
  if which ~= "*" then always = nil end

  local function remember(ctx, id, review)
    local tasks = ctx.session.state[mine] or { review = {}, ids = {}, n = 0 }
    ctx.session.state[mine] = tasks
    local place = tasks.n % KEPT + 1
    if tasks.ids[place] then tasks.review[tasks.ids[place]] = nil end
    tasks.review[id], tasks.ids[place], tasks.n = review, id, tasks.n + 1
  end

  hooks.on("tools/call", which, function(request, forward, ctx)
    local review, instead = begin(request, ctx)
    if not review then return instead end
    local result = forward(request)
    local id = type(result.task) == "table" and result.task.taskId
    if not id then return review(result) end
    remember(ctx, id, review)
    return result
  end)

  hooks.on("tasks/result", function(request, forward, ctx)
    local tasks = ctx.session.state[mine]
    local review = tasks and tasks.review[request.params.taskId] or always
    if not review then return forward(request) end
    local result = forward(request)
    local ok, seen = pcall(review, result)
    if not errors.is_denial(seen) then
      if not ok then error(seen, 0) end
      return seen
    end
    -- It is a call that is refused, for a model to read.
    local refusal = errors.text(seen.message)
    refusal.isError, refusal._meta = true, result._meta
    return refusal
  end)
end
