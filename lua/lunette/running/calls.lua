-- A call on its way through the transforms of its tool: from the last layer of its chain to the first, each of
-- which maps the arguments from the names it presents to those it found (rules/transform.lua). They stay text all the
-- way: names are put in other places, values are not touched.
local core = require "lunette.core"
local check = require "lunette.base.check"
local json_text = require "lunette.base.json_text"
local transform = require "lunette.rules.transform"
local contexts = require "lunette.running.ctx"
local errors = require "lunette.running.errors"
local structured = require "lunette.running.structured"
local told = require "lunette.running.told"

local M = {}

local function refuse(format, ...) errors.error(-32602, format:format(...)) end

local function check_sent(layer, name)
  if layer.presented[name] then return end
  if layer.refused[transform.folded(name)] then refuse("Invalid arguments: there is no argument %s", name) end
end

local function filled(layer, fill, ctx)
  if fill.text then return fill.text end
  local value = fill.compute(ctx)
  if value == nil then return nil end
  local ok, text = pcall(core.encode, value, "the default of " .. fill.name)
  if not ok then error(("%s: %s"):format(layer.rule.where, tostring(text)), 0) end
  return text
end

-- Arguments (text) as the layer found them, of arguments as it presents them. hidden: a list to which the values go
-- that the client knows nothing of.
local function map(layer, text, ctx, hidden)
  if not layer.maps then return text end
  local there, added = {}, {}
  for _, span in ipairs(core.spans(text)) do
    check_sent(layer, span.name)
    there[layer.native[span.name] or span.name] = true
  end
  for _, fill in ipairs(layer.fill) do
    if not there[fill.name] then
      local value = filled(layer, fill, ctx)
      if value then
        added[#added + 1] = fill.key .. ":" .. value
        if fill.hide then hidden[#hidden + 1] = value end
      elseif fill.required then
        local why = "%s: the default of %s gave nothing, and the server requires it"
        error(why:format(layer.rule.where, fill.name), 0)
      end
    end
  end
  return json_text.edit_items(text, function(name) return nil, layer.native[name] end, added)
end

local function arguments_text()
  local text = core.arguments()
  if not text or text == "null" then return nil end
  if text:sub(1, 1) ~= "{" then refuse "Invalid arguments: they must be an object" end
  return text
end

local function check_args(args)
  if type(args) ~= "table" then
    error(("%s: forward wants the arguments, not %s"):format(core.where(), check.describe(args)), 0)
  end
  return args
end

-- The function's own mistake, not its client's: what that sent was looked at before.
local function check_forwarded(layer, args)
  if not layer.maps then return end
  for name in pairs(args) do
    if type(name) == "string" and not layer.presented[name] and layer.refused[transform.folded(name)] then
      local why = "%s: forward: there is no argument %s, which the transform itself hides or renames"
      error(why:format(core.where(), name), 0)
    end
  end
end

-- An argument's name as the server has it; refuses those that are not there for the client.
local function native_name(chain, name)
  for i = #chain, 1, -1 do
    local layer = chain[i]
    if layer.maps then
      check_sent(layer, name)
      name = layer.native[name] or name
    end
  end
  return name
end

--- A completion's params with the server's names for the prompt's arguments.
function M.completion(chain, params)
  local asked, context = params.argument, params.context
  if type(asked) == "table" and type(asked.name) == "string" then
    asked.name = native_name(chain, asked.name)
  end
  if type(context) == "table" and type(context.arguments) == "table" then
    local arguments = {}
    for name, value in pairs(context.arguments) do
      arguments[native_name(chain, name)] = value
    end
    context.arguments = arguments
  end
  return params
end

--- What is to be told otherwise of what the `call` function that a run with `left` layers comes to gives or raises.
function M.told_above(chain, left)
  local _, at = M.calling(chain, left)
  return told.of(chain, at, left)
end

--- The first layer with a `call` function among the lowest `left`, and its place in the chain; nil and 0 without one.
function M.calling(chain, left)
  while left > 0 and not chain[left].rule.call do
    left = left - 1
  end
  return chain[left], left
end

-- The names that a layer found, each with what it is called at the top; those that are hidden are left out. shown: the
-- same of the layer above it, by the names that this one presents; nil: they are the top's own.
local function names_below(layer, shown)
  local names = {}
  for presented in pairs(layer.presented) do
    local name = presented
    if shown then name = shown[presented] end
    names[layer.native[presented] or presented] = name
  end
  return names
end

-- The arguments (text) as the layer at `top` presents them, with what functions of its own and of those beneath fill in
-- for the ones that its client has.
local function with_computed(chain, top, text, ctx)
  local there, added, shown = {}, {}, nil
  for _, span in ipairs(core.spans(text)) do
    there[span.name] = true
  end
  for i = top, 1, -1 do
    local layer = chain[i]
    if layer.presented then shown = names_below(layer, shown) end
    for _, fill in ipairs(layer.fill or {}) do
      local name = shown[fill.name]
      local value = name and fill.compute and not there[name] and filled(layer, fill, ctx)
      if value then added[#added + 1] = { name, value } end
      if name then there[name] = true end -- the outermost default holds
    end
  end
  return #added > 0 and json_text.edit_items(text, function() end, added) or text
end

-- Arguments for a `call` function, with the defaults that its client was shown for those that are left out; and these.
local function with_defaults(layer, text)
  local args, left_out = core.decode(text), {}
  for name, default in pairs(layer.defaults) do
    if args[name] == nil then
      args[name], left_out[name] = core.decode(default), default
    end
  end
  return args, left_out
end

-- Without those that were left out and are still what the function was shown: that is the server's, or a layer's, to
-- fill in.
local function without_defaults(args, left_out)
  if next(left_out) == nil then return args end
  local rest = setmetatable({}, getmetatable(args))
  for name, value in pairs(args) do
    local ok, text = pcall(core.encode, value)
    if not (ok and text == left_out[name]) then rest[name] = value end
  end
  return rest
end

--- One step of a call through a chain, of which `left` layers are still to be passed: down to the first `call`
-- function. Gives what that is to be called with: its layer, args, forward. nil when there is none, and the values
-- that the client knows nothing of: then the call is forwarded, and the answer has come. Each such function has a run
-- of its own, as handlers have.
function M.step(chain, left, ctx)
  local given, hidden = arguments_text(), {}
  local function descend(text, from)
    local layer, at = M.calling(chain, from)
    for i = from, at + 1, -1 do
      text = map(chain[i], text, ctx, hidden)
    end
    return text, at, layer
  end
  -- What was not there and needs nothing is left out.
  local function send(text, rest, seconds)
    core.forward_arguments((given or text ~= "{}") and text or nil, seconds, rest)
  end
  local text, at, layer = descend(given or "{}", left)
  if not layer then
    send(text, 0)
    return nil, hidden
  end
  -- What may not be sent is refused before the function sees it.
  for _, span in ipairs(core.spans(text)) do
    if layer.maps then check_sent(layer, span.name) end
  end
  text = with_computed(chain, at, text, ctx)
  local args, left_out = with_defaults(layer, text)
  local forwarded = {}
  local function forward(changed, how)
    contexts.own(ctx, "forward")
    local seconds = check.forward_options(how)
    local new = check_args(changed or args)
    check_forwarded(layer, new)
    if new == args then new = without_defaults(args, left_out) end
    local mapped, rest = descend(map(layer, core.merge(text, new), ctx, hidden), at - 1)
    send(mapped, rest, seconds)
    local value, failed = told.answer(chain, rest, at, hidden)
    if not value then return structured.note(forwarded, core.answer(1)) end
    core.keep()
    if failed then error(setmetatable(value, core.error_mt), 0) end
    return value
  end
  return layer, args, forward, forwarded
end

return M
