-- The inside of a handler's coroutine, and what becomes of its errors. C enters here: see
-- src/script/run.c (main, failed) and present.c (present, may_hide, hides, hides_all, may_rename).
local core = require "lunette.core"
local check = require "lunette.base.check"
local reads = require "lunette.base.reads"
local state = require "lunette.base.state"
local traceback = require "lunette.base.traceback"
local globals = require "lunette.loading.globals"
local unmatched = require "lunette.loading.unmatched"
local presented = require "lunette.rules.present"
local template = require "lunette.rules.template"
local calls = require "lunette.running.calls"
local contexts = require "lunette.running.ctx"
local errors = require "lunette.running.errors"
local structured = require "lunette.running.structured"
local told = require "lunette.running.told"

local rawget = reads.rawget

local M = {
  may_hide = presented.may_hide,
  hides = presented.hides,
  hides_all = presented.hides_all,
  may_rename = presented.may_rename,
  loaded = globals.scan,
  unmatched = unmatched.warnings,
}

--- Called by C for a list: see src/script/present.c. complete: all that there is of the kind. trial: without a client.
-- Returns which headers the rules read: see base/reads.lua.
function M.present(verb, items, exchange, explain, complete, trial)
  local all = presented.present(verb, items, contexts.of_list(exchange), explain, trial)
  if complete and all then unmatched.check(verb, items, explain) end
  return reads.finish()
end

-- --- what handlers return ----------------------------------------------------------------------

-- Members of results that are arrays: an empty Lua table there is sent as [].
local lists = { "content", "contents", "messages", "roots", "tools", "resources", "resourceTemplates", "prompts" }

local function mark_lists(result)
  for _, name in ipairs(lists) do
    local value = rawget(result, name)
    if type(value) == "table" and next(value) == nil then setmetatable(value, core.array_mt) end
  end
  return result
end

local function is_list(value)
  return type(value) == "table" and (value[1] ~= nil or getmetatable(value) == core.array_mt)
end

-- result_of puts the handler's place in front.
local function invalid(format, ...) error({ invalid = format:format(...) }, 0) end

local function content_list(list)
  local out = {}
  for i, block in ipairs(list) do
    if type(block) == "string" then block = { type = "text", text = block } end
    if type(block) ~= "table" then invalid("content[%d] is a %s, not a string or a content block", i, type(block)) end
    out[i] = block
  end
  return setmetatable(out, core.array_mt)
end

-- By method: makes a result of what a handler may return for short.
local shorthands = {}

shorthands["tools/call"] = function(value)
  if type(value) == "string" or type(value) == "number" then return errors.text(value) end
  if is_list(value) then return { content = content_list(value) } end
  if type(value) ~= "table" then return value end
  if value.content ~= nil then
    return type(value.content) == "table" and value or invalid("content is a %s, not a list", type(value.content))
  end
  if value.structuredContent ~= nil then
    value.content = content_list { core.encode(value.structuredContent, "result.structuredContent") }
  elseif type(value.type) == "string" then
    return { content = content_list { value } }
  end
  return value
end

local function contents_of(value, params, definition)
  local one = { uri = params.uri, mimeType = definition and definition.mimeType }
  if type(value) == "string" then
    one.text = value
    return one
  end
  for key, member in pairs(value) do
    one[key] = member
  end
  return one
end

shorthands["resources/read"] = function(value, params, definition)
  if type(value) == "string" or (type(value) == "table" and (value.text or value.blob) and not value.contents) then
    return { contents = setmetatable({ contents_of(value, params, definition) }, core.array_mt) }
  end
  if is_list(value) then
    local contents = setmetatable({}, core.array_mt)
    for i, part in ipairs(value) do
      contents[i] = contents_of(part, params, definition)
    end
    return { contents = contents }
  end
  return value
end

-- A text for a message, or for its content. What is whole already stays the table it is.
local function message_of(value)
  if type(value) == "string" then value = { role = "user", content = value } end
  if type(value) == "table" and type(value.content) == "string" then
    value.role, value.content = value.role or "user", { type = "text", text = value.content }
  end
  return value
end

shorthands["prompts/get"] = function(value)
  if type(value) == "string" or (type(value) == "table" and value.content) then value = { value } end
  if is_list(value) then value = { messages = value } end
  if type(value) == "table" and is_list(value.messages) then
    for i, message in ipairs(value.messages) do
      local whole = message_of(message)
      if whole ~= message then value.messages[i] = whole end
    end
  end
  return value
end

-- The member that a component's result must have, by method, and what its function may return to get it.
local needed = {
  ["tools/call"] = { "content", "a text, a list of content or a result with content or structuredContent" },
  ["resources/read"] = { "contents", "a text, { text = } or { blob = }, a list of them, or a result with contents" },
  ["prompts/get"] = { "messages", "a text, a list of messages or a result with messages" },
}

local function check_component(value, who, method)
  local row = needed[method]
  if next(value) == nil then value[row[1]] = setmetatable({}, core.array_mt) end
  if value[row[1]] == nil and value.task == nil and value.resultType == nil then
    error(("%s: what %s returned has no %s; return %s"):format(who.where, who.key, row[1], row[2]), 0)
  end
end

-- The result that what a handler returned stands for.
local function result_of(value, who, method, params, forwarded, definition)
  if value == nil then
    local hint = forwarded and "return %s's result" or "return a result, lunette.deny(…) or %s's result"
    local text = "%s: the handler of %s returned nothing; " .. hint
    error(text:format(who.where, method, who.call and "forward(args)" or "forward(request)"), 0)
  end
  local shorthand, ok = shorthands[method], true
  if shorthand then
    ok, value = pcall(shorthand, value, params, definition)
  end
  if not ok then
    local why = type(value) == "table" and value.invalid or tostring(value)
    error(("%s: what the handler of %s returned can't be sent: %s"):format(who.where, method, why), 0)
  end
  if type(value) ~= "table" or is_list(value) then
    local got = type(value) == "table" and "list" or type(value)
    error(("%s: the handler of %s returned a %s, not a result"):format(who.where, method, got), 0)
  end
  return mark_lists(value)
end

-- Ends the run with what the handler returned. Errors raised here get the handler's place in front. forwarded: what
-- servers answered (structured.note); nil: nothing was forwarded.
local function finish(value, who, method, params, forwarded, definition)
  if errors.is_denial(value) then return errors.finish_denial(value, method) end
  value = result_of(value, who, method, params, forwarded, definition)
  if definition then check_component(value, who, method) end
  local of_tool = method == "tools/call"
  if of_tool then structured.check(value, who, core.exchange(), forwarded) end
  local ok, why = pcall(core.finish, value)
  if not ok then
    error(("%s: what the handler of %s returned can't be sent: %s"):format(who.where, method, tostring(why)), 0)
  end
  if of_tool and forwarded then structured.warn(value, who) end
end

-- --- bodies ------------------------------------------------------------------------------------

local function message()
  local method, params = core.message()
  if method == "tools/call" and type(params.arguments) ~= "table" then params.arguments = {} end
  return method, params
end

local function check_request(request, method)
  if type(request) ~= "table" then
    error(("%s: forward wants the request, not %s"):format(core.where(), type(request)), 0)
  end
  if request.method == nil then
    error(core.where() .. ": forward wants the whole request, not a table without its method", 0)
  end
  if request.method ~= method then
    error(
      ("%s: a handler can't turn %s into %s; use ctx:call_tool and the like"):format(
        core.where(),
        method,
        tostring(request.method)
      ),
      0
    )
  end
  return request.params or {}
end

-- The first frame of its coroutine: core.answer counts on it.
local untouched = core.untouched()
local function run_hook(index, wants)
  local hook = state.hooks[index]
  local method, params = message()
  local request = { method = method, params = params }
  local ctx = contexts.new(core.exchange())
  if hook.test and not hook.test(request, ctx) then
    core.forward()
    core.keep()
    return core.finish_reply()
  end
  local forwarded
  local function forward(changed, options)
    contexts.own(ctx, "forward")
    core.forward(check_request(changed or request, method), check.forward_options(options))
    forwarded = forwarded or {}
    if wants then return structured.note(forwarded, core.answer(1, hook.hints)) end
  end
  local value = hook.fn(request, forward, ctx)
  if not wants or value == untouched then return core.finish_reply() end
  if value == request then
    local text = "%s: the handler of %s returned the request; return forward(request)'s result"
    error(text:format(hook.where, method), 0)
  end
  finish(value, hook, method, params, forwarded)
end

-- A prompt's function gets all arguments that its definition requires.
local function check_required(definition, arguments)
  for _, argument in ipairs(definition.arguments or {}) do
    local value = arguments[argument.name]
    if argument.required and (value == nil or value == core.null) then
      errors.error(-32602, "Missing required argument: " .. argument.name)
    end
  end
end

local function run_component(index)
  local component = state.components[index]
  local method, params = message()
  local ctx = contexts.new(core.exchange())
  local value
  if component.verb == "tools" then
    value = component.fn(params.arguments, ctx)
  elseif component.verb == "prompts" then
    local arguments = type(params.arguments) == "table" and params.arguments or {}
    check_required(component.definition, arguments)
    value = component.fn(arguments, ctx)
  elseif component.verb == "resources" then
    value = component.fn(params.uri, ctx)
  else
    local variables = template.variables(core.run_shown(), tostring(params.uri))
    if not variables then
      errors.error(-32602, "Unknown resource: " .. tostring(params.uri), { uri = params.uri })
    end
    value = component.fn(params.uri, ctx, variables)
  end
  finish(value, component, method, params, false, component.definition)
end

-- Ends with the answer that came, in the names that the client knows.
local function finish_told(chain, left, hidden)
  local value, failed = told.answer(chain, 0, left, hidden)
  if not value then return core.finish_reply() end
  if failed then return core.finish_error(value) end
  core.finish(value)
end

-- What a `call` function gives or raises, beneath layers that have other names for arguments.
local function told_by(otherwise, call, ...)
  local ok, value = pcall(call, ...)
  if not ok then error(errors.is_rpc(value) and told.error(value, otherwise) or value, 0) end
  return type(value) == "table" and value.isError and told.result(value, otherwise) or value
end

-- `left`: how many layers of the chain the call still has to pass. This too is the first frame of its coroutine.
local function run_transform(left)
  local chain = core.chain()
  local method, params = core.message()
  if method == "completion/complete" then
    core.forward(calls.completion(chain, params))
    core.keep()
    return core.finish_reply()
  end
  local ctx = contexts.new(core.exchange())
  local layer, args, forward, forwarded = calls.step(chain, left, ctx)
  if not layer then
    core.keep()
    return finish_told(chain, left, args)
  end
  local above = calls.told_above(chain, left)
  if above then
    return finish(told_by(above, layer.rule.call, args, forward, ctx), layer.rule, method, nil, forwarded)
  end
  local value = layer.rule.call(args, forward, ctx)
  if value == untouched then return core.finish_reply() end
  finish(value, layer.rule, method, nil, forwarded)
end

function M.main()
  local kind, index, wants = core.run()
  if kind == "hook" then return run_hook(index, wants) end
  if kind == "component" then return run_component(index) end
  if kind == "transform" then return run_transform(index) end
  state.timers[index].fn()
  core.finish_reply()
end

-- --- errors ------------------------------------------------------------------------------------

-- The handler of a run, and where it stands.
local function describe(kind, index)
  if kind == "timer" then return ("lunette.every at %s"):format(state.timers[index].where) end
  if kind == "hook" then
    local hook = state.hooks[index]
    local method = core.message()
    local what = method == hook.method and method or ("%s (%s)"):format(hook.method, method)
    return ("handler of %s at %s"):format(what, hook.where)
  end
  if kind == "transform" then
    local chain = core.chain()
    return ("transform of a call at %s"):format((calls.calling(chain, index) or chain[index]).rule.where)
  end
  local component = state.components[index]
  return ("%s at %s"):format(component.key, component.where)
end

local LOGGED = 750 -- bytes of an error's message, from either end: the reason may stand behind many places

local function explain(err)
  local text = traceback.message(err)
  if #text > 2 * LOGGED then
    text = ("%s … (%d bytes in all) … %s"):format(text:sub(1, LOGGED), #text, text:sub(-LOGGED))
  end
  if text:find "not enough memory$" then
    return ("%s (lunette.configure { memory_limit = … } is %g MB)"):format(text, state.settings.memory_limit / 1e6)
  end
  if text:find("attempt to yield across C-call boundary", 1, true) then
    text = text
      .. " (nothing that waits, such as forward or lunette.sleep, can be called inside table.sort, string.gsub, "
      .. "require or the like)"
  end
  return text
end

--- Called by C, outside the coroutine, with the error that left it: ends the run.
function M.failed(err, stack)
  local kind, index, wants = core.run()
  if errors.is_denial(err) and kind ~= "timer" then -- a notification that is refused is not forwarded, that's all
    if not wants then return core.finish_reply() end
    return errors.finish_denial(err, (core.message()))
  end
  if wants and errors.is_rpc(err) and type(err.code) == "number" and type(err.message) == "string" then
    local ok, why = pcall(core.finish_error, err)
    if ok then return end
    err = why
  end
  local who, what = describe(kind, index), explain(err)
  what = traceback.without_place(what, who:match " at (.*)$")
  core.log("error", "policy", traceback.line(("%s: %s"):format(who, what), stack))
  if not wants then return core.finish_reply() end
  core.finish_error { code = -32603, message = "policy error" }
end

return M
