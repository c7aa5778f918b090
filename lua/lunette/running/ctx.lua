-- ctx: what a handler or rule may know of the exchange it is in, and ask of it. Facts are fetched when
-- they are first looked at; a ctx is good until its handler ends.
local core = require "lunette.core"
local check = require "lunette.base.check"
local reads = require "lunette.base.reads"
local presented = require "lunette.rules.present"

local rawget = reads.rawget

local M = {}

-- Per session: what the policy keeps in ctx.session.state.
local states = {}

-- Key of the exchange (C's handle of it); a table, so that policies don't meet it as a field.
local EXCHANGE = {}

function M.session_end(key) states[key] = nil end

-- A copy of a value with what JSON can hold; nil for what it can't. A table that has names is an object, another a
-- list up to its first gap. inside: the tables around it.
local function plain(value, inside)
  local kind = type(value)
  if kind == "number" then return value == value and math.abs(value) < math.huge and value or nil end
  if kind == "string" or kind == "boolean" or value == core.null then return value end
  if kind ~= "table" or inside[value] then return nil end
  inside[value] = true
  local object, list = {}, {}
  for key, member in pairs(value) do
    if type(key) == "string" then object[key] = plain(member, inside) end
  end
  for i, member in ipairs(next(object) == nil and value or {}) do
    list[i] = plain(member, inside)
    if list[i] == nil then break end
  end
  inside[value] = nil
  if next(list) ~= nil or getmetatable(value) == core.array_mt then return setmetatable(list, core.array_mt) end
  return object
end

local moving -- the session whose state was given last by next_state

--- Called by C at a reload, again and again: the key of a session that has a state, and the state as JSON, for the
-- policy that takes over. Nothing at the end.
function M.next_state()
  local key, state = next(states, moving)
  moving = key
  if not key then return end
  local ok, text = pcall(function() return core.encode(plain(state, {}), "ctx.session.state") end)
  if ok then return key, text end
  core.log("warn", "policy", ("ctx.session.state of a client is lost with this reload: %s"):format(tostring(text)))
  return key, "{}"
end

--- Called by C: the state that a session had under the policy before.
function M.set_state(key, text) states[key] = core.decode(text) end

local session_facts = {}
for _, name in ipairs { "id", "transport", "era", "protocol_version" } do
  session_facts[name] = function(exchange) return core.fact(exchange, name) end
end
function session_facts.client(exchange) return core.fact(exchange, "client") or {} end
function session_facts.capabilities(exchange) return core.fact(exchange, "capabilities") or {} end
function session_facts.state(exchange)
  local key = core.session_key(exchange)
  if not key then return {} end
  local state = states[key]
  if not state then
    state = {}
    states[key] = state
  end
  return state
end

local function lazy(facts)
  return function(self, name)
    local fact = facts[name]
    if not fact then return nil end
    local value = fact(rawget(self, EXCHANGE))
    rawset(self, name, value)
    return value
  end
end

local session_mt = {
  __name = "session",
  __index = lazy(session_facts),
  __newindex = function(_, name)
    check.fail("ctx.session is read-only; keep %s in ctx.session.state", tostring(name))
  end,
}

local facts = {}
for _, name in ipairs { "upstream", "native_name", "request_id", "from" } do
  facts[name] = function(exchange) return core.fact(exchange, name) end
end

--- What the client sees of the component that the message is about. Known until the handler first waits.
function facts.definition(exchange)
  local fine, verb, text, name = pcall(core.run_item)
  if not fine or not verb then return nil end
  local item = { text = text, name = name, upstream = core.fact(exchange, "upstream") }
  return presented.at(verb, math.huge, item, M.new(exchange))
end

function facts.headers(exchange) return core.fact(exchange, "headers") or {} end
function facts.session(exchange) return setmetatable({ [EXCHANGE] = exchange }, session_mt) end
function facts.principal() return { scopes = setmetatable({}, core.array_mt), claims = {} } end
--- The moment, in lunette.now()'s time, by which the answer has to be there.
function facts.deadline(exchange)
  local left = tonumber(core.fact(exchange, "deadline"))
  return left and core.now() + left / 1000
end

local methods = {}
local look_up = lazy(facts)

-- These change when a handler forwards another name.
local changing = { upstream = true, native_name = true }

local ctx_mt = {
  __name = "ctx",
  __index = function(self, name)
    local method = methods[name]
    if method then return method end
    if changing[name] then return facts[name](rawget(self, EXCHANGE)) end
    return look_up(self, name)
  end,
}

function M.new(exchange) return setmetatable({ [EXCHANGE] = exchange }, ctx_mt) end

--- The ctx of rules, while a list is made: what they read of the request is noted.
-- (Whatever else of a request is to decide about lists, such as its principal, is to be noted there, too.)
function M.of_list(exchange)
  local headers = reads.begin(function() return facts.headers(exchange) end)
  return setmetatable({ [EXCHANGE] = exchange, headers = headers }, ctx_mt)
end

--- Waits until the handler that has this ctx has ended, if it hasn't.
function M.follow(ctx) core.follow(rawget(ctx, EXCHANGE)) end

--- A text that no other session's ctx gives; nil when it is of none.
function M.session_key(ctx)
  local key = core.session_key(rawget(ctx, EXCHANGE))
  return key and ("%d"):format(key)
end

function M.is_ctx(value) return type(value) == "table" and getmetatable(value) == ctx_mt end

--- Raises unless ctx is that of the handler that runs: what waits for an answer speaks for that one.
function M.own(ctx, what) core.own(rawget(ctx, EXCHANGE), what) end

local function exchange_of(self, method)
  if not M.is_ctx(self) then check.fail("call it with a colon: ctx:%s(…)", method) end
  M.own(self, "ctx:" .. method)
  return rawget(self, EXCHANGE)
end

local levels = {}
for i, name in ipairs { "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency" } do
  levels[name] = i
end

--- Sends the client a log message; data is any JSON value.
function methods.log(self, level, data, logger)
  local exchange = rawget(M.is_ctx(self) and self or check.fail "call it with a colon: ctx:log(…)", EXCHANGE)
  if not levels[level] then
    check.fail(
      "ctx:log: level must be debug, info, notice, warning, error, critical, alert or emergency, not %s%s",
      check.describe(level),
      type(level) == "string" and check.suggest(level, check.sorted(levels)) or ""
    )
  end
  if data == nil then data = core.null end
  core.notify(exchange, "notifications/message", { level = level, data = data, logger = logger })
end

--- Tells the client how far the request is; nothing happens when it did not ask to know.
function methods.progress(self, done, total, message)
  local exchange = exchange_of(self, "progress")
  check.type("ctx:progress: done", done, "number")
  check.type("ctx:progress: total", total, "number", true)
  check.type("ctx:progress: message", message, "string", true)
  local params = core.progress_params()
  if not params then return end
  params.progress, params.total, params.message = done, total, message
  core.notify(exchange, "notifications/progress", params)
end

--- As the client would ask: rules and handlers apply. Waits; raises the error of the answer.
function M.request(method, params)
  core.request(method, params)
  return core.take()
end

local function ask(method, params)
  core.ask(method, params)
  return core.take()
end

function methods.call_tool(self, name, args)
  exchange_of(self, "call_tool")
  check.text("ctx:call_tool: name", name)
  check.type("ctx:call_tool: args", args, "table", true)
  return M.request("tools/call", { name = name, arguments = args or {} })
end

function methods.read_resource(self, uri)
  exchange_of(self, "read_resource")
  check.text("ctx:read_resource: uri", uri)
  return M.request("resources/read", { uri = uri })
end

function methods.get_prompt(self, name, args)
  exchange_of(self, "get_prompt")
  check.text("ctx:get_prompt: name", name)
  check.type("ctx:get_prompt: args", args, "table", true)
  return M.request("prompts/get", { name = name, arguments = args or {} })
end

--- Asks the client's model; params as sampling/createMessage has them.
function methods.sample(self, params)
  exchange_of(self, "sample")
  check.type("ctx:sample: its argument", params, "table")
  return ask("sampling/createMessage", params)
end

--- Asks the person at the client; params as elicitation/create has them.
function methods.elicit(self, params)
  exchange_of(self, "elicit")
  check.type("ctx:elicit: its argument", params, "table")
  if check.type("ctx:elicit: message", params.message, "string") == "" then
    check.fail "ctx:elicit: message must not be empty"
  end
  return ask("elicitation/create", params)
end

--- The client's roots: a result with an array `roots`.
function methods.list_roots(self)
  exchange_of(self, "list_roots")
  return ask "roots/list"
end

return M
