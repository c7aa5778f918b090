-- lunette.on and the like: functions that messages pass through.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local presented = require "lunette.rules.present"
local selector = require "lunette.rules.selector"

-- The protocol's methods, to tell a typing error from a method of a server's own.
local methods = {}
local M = { methods = methods }

for name in ([[
  initialize ping server/discover tools/list tools/call resources/list resources/read
  resources/templates/list resources/subscribe resources/unsubscribe prompts/list prompts/get
  completion/complete logging/setLevel subscriptions/listen sampling/createMessage elicitation/create roots/list
  tasks/get tasks/result tasks/list tasks/cancel tasks/update
  notifications/initialized notifications/cancelled notifications/progress notifications/message
  notifications/tools/list_changed notifications/resources/list_changed
  notifications/prompts/list_changed notifications/resources/updated
  notifications/roots/list_changed notifications/elicitation/complete notifications/tasks/status
]]):gmatch "%S+" do
  methods[name] = true
end

-- Those of them that name no component, and those that don't come from or go to one server.
local nameless, serverless = {}, {}
for name in ([[
  sampling/createMessage elicitation/create roots/list tasks/get tasks/result tasks/list tasks/cancel tasks/update
  notifications/cancelled notifications/progress notifications/message notifications/tools/list_changed
  notifications/resources/list_changed notifications/prompts/list_changed
  notifications/elicitation/complete notifications/tasks/status
]]):gmatch "%S+" do
  nameless[name] = true
end
for name in ([[
  initialize ping server/discover tools/list resources/list resources/templates/list prompts/list
  logging/setLevel subscriptions/listen notifications/initialized notifications/roots/list_changed
]]):gmatch "%S+" do
  nameless[name], serverless[name] = true, true
end

-- A handler that could never run is a mistake.
local function check_selectable(method, s)
  if s.names and nameless[method] then
    check.fail("lunette.on: %s names no component, so the handler would never run; leave out the selector%s", method,
      serverless[method] and "" or " or select by upstream")
  end
  if s.upstreams and serverless[method] then
    check.fail("lunette.on: %s is of no one server, so the handler would never run; leave out the selector", method)
  end
end

-- The part before the slash, of all methods.
local families = {}
for name in pairs(methods) do
  families[name:match "^[^/]+"] = true
end

-- What may have been meant by a method that MCP has not: one of the same family, or of a family called like it.
local function meant_by(method)
  local family, rest = method:match "^([%w_]+)/(.*)$"
  if not families[family or ""] then return check.suggest(method, check.sorted(methods)) end
  local rests = {}
  for name in pairs(methods) do
    rests[#rests + 1] = name:match("^" .. family .. "/(.*)$")
  end
  table.sort(rests)
  return (check.suggest(rest, rests):gsub("mean ", "mean " .. family .. "/"))
end

-- Servers may have methods of their own: of globs only those are told that look misspelt.
local function check_method(method)
  selector.check_glob("lunette.on: method", check.text("lunette.on: method", method))
  local meant
  if method:find "[%*%?%[\\]" then
    local family, rest = method:match "^([%w_]+)(/.*)$"
    meant = family and not families[family] and check.suggest(family, check.sorted(families)):gsub("%?$", rest .. "?")
    if not meant or meant == "" then return end
  elseif methods[method] then
    return
  end
  local text = "lunette.on: %s is no method of MCP%s (a server may have methods of its own)"
  check.warn(core.where(), text:format(method, meant or meant_by(method)))
end

-- Names and servers are matched before Lua is entered; a function is asked here. It sees what the rules
-- written before the handler make of the item; of what no list shows, the name.
local function test_of(s, position)
  local where = s.where
  if not where then return nil end
  return function(request, ctx)
    local verb, text, name = core.run_item()
    local also = { upstream = ctx.upstream, uri = request.params.uri }
    local item = verb and presented.at(verb, position, { text = text, name = name, upstream = ctx.upstream }, ctx)
    item = item or { name = request.params.name or (request.params.ref or {}).name }
    return where(setmetatable(item, { __index = also }), ctx) and true or false
  end
end

-- Lists go to C as they are, a glob a line: only there are the names known that a component had before it
-- was renamed.
local function lines(globs)
  return globs and #globs > 0 and table.concat(globs, "\n") or nil
end

-- A handler for a URI is meant for each of its spellings: C compares with the normal form, too, and with others that
-- some server might take for it.
local function with_normal(globs, method)
  if not globs or not core.glob(method, "resources/read") and not method:find "^resources/" then return globs end
  local all = {}
  for _, glob in ipairs(globs) do
    all[#all + 1] = glob
    local normal = not glob:find "[*?%[]" and core.uri(glob)
    if normal and normal ~= glob then all[#all + 1] = normal end
    local lower = selector.lower_case(glob, true)
    if lower ~= glob then all[#all + 1] = lower end
  end
  return all
end

--- lunette.on(method, [selector,] fn)
function M.on(method, which, fn)
  return M.handle(method, which, fn)
end

--- The same for a ready policy, behind all handlers and transforms wherever it is written: what it sees is what the
-- server gets, but for the name.
function M.on_last(method, which, fn)
  return M.handle(method, which, fn, nil, nil, true)
end

--- As M.on, with the capability that servers are offered for it (JSON), where it is one of the client's. hints: the
-- handler's forward gives core.untouched() for a result whose JSON has none of these, as core.holds has them.
function M.handle(method, which, fn, offer, hints, last)
  check.loading "lunette.on"
  if fn == nil then
    which, fn = nil, which
  end
  check_method(method)
  check.callable("lunette.on: the handler", fn)
  local s = which ~= nil and selector.new("lunette.on: selector", which) or {}
  check_selectable(method, s)
  local position = state.next_position()
  state.hooks[#state.hooks + 1] = {
    where = core.where(),
    method = method,
    name = lines(with_normal(s.names, method)),
    upstream = lines(s.upstreams),
    position = position,
    offer = offer,
    hints = hints,
    last = last,
    fn = fn,
    test = test_of(s, position),
    selector = s,
    ready = state.ready,
  }
end

local function by_name(what, method)
  return function(fn, capability)
    check.callable(("lunette.%s's argument"):format(what), fn)
    check.type(("lunette.%s's second argument"):format(what), capability, "table", true)
    M.handle(method, nil, fn, capability and core.encode(capability, "capability"))
  end
end

M.sampling = by_name("sampling", "sampling/createMessage")
M.elicitation = by_name("elicitation", "elicitation/create")
M.roots = by_name("roots", "roots/list")

--- lunette.every(seconds, fn): fn runs in a coroutine of its own, again and again.
function M.every(seconds, fn)
  check.loading "lunette.every"
  check.type("lunette.every: seconds", seconds, "number")
  if not (seconds >= 0.01 and seconds <= 1e7) then
    check.fail("lunette.every: seconds must be at least 0.01, not %s", seconds)
  end
  check.callable("lunette.every's second argument", fn)
  state.timers[#state.timers + 1] = { seconds = seconds, fn = fn, where = core.where() }
end

return M
