-- A client's session with the targets, inside this process: what list, call, read and prompt are made of.
local json = require "lunette.base.raw_json"
local traceback = require "lunette.base.traceback"
local core = require "lunette.cli.core"
local output = require "lunette.cli.output"
local targets = require "lunette.config.words"

local M = {}

--- The four kinds of component in the order of the C side's enum.
-- key: what an item is known by; needs: the capability that goes with it.
M.KINDS = {
  {
    id = 0,
    title = "Tools",
    thing = "tool",
    list = "tools/list",
    array = "tools",
    key = "name",
    needs = "tools",
  },
  {
    id = 1,
    title = "Resources",
    thing = "resource",
    list = "resources/list",
    array = "resources",
    key = "uri",
    needs = "resources",
  },
  {
    id = 2,
    title = "Resource templates",
    thing = "resource template",
    list = "resources/templates/list",
    array = "resourceTemplates",
    key = "uriTemplate",
    needs = "resources",
  },
  {
    id = 3,
    title = "Prompts",
    thing = "prompt",
    list = "prompts/list",
    array = "prompts",
    key = "name",
    needs = "prompts",
  },
}

--- Ends the command with exit code 2.
function M.usage(format, ...) error({ usage = select("#", ...) > 0 and format:format(...) or format }, 0) end

--- Ends the command with exit code 1.
function M.fail(format, ...) error({ failure = select("#", ...) > 0 and format:format(...) or format }, 0) end

--- An app with the targets loaded. level: the log's, unless the options say.
function M.load(options, words, command, level)
  local list, why = targets.collect(words, command)
  if not list then M.usage("%s", why) end
  local app = core.new { log_level = options.log_level or level, log_format = options.log_format or "text" }
  local ok
  ok, why = app:load(list)
  if not ok then
    app:close()
    M.fail("%s", traceback.of_load(why))
  end
  return app
end

local Session = {}
Session.__index = Session

--- fn(session) with a session open; it is closed whatever happens. Returns what fn returns.
function M.with(options, words, command, fn)
  local app = M.load(options, words, command, "warn")
  local ok, result = xpcall(function()
    local hello, why = app:connect()
    if not hello then M.fail("%s", why) end
    return fn(setmetatable({ app = app, hello = hello }, Session))
  end, output.ending)
  app:close()
  if not ok then error(result, 0) end
  return result
end

--- The raw result, or nil and an error { code =, message =, raw = }.
function Session:request(method, params)
  local result, err = self.app:request(method, params)
  if result then return result end
  local ok, decoded = pcall(json.decode, err or "")
  if not ok or type(decoded) ~= "table" then return nil, { message = tostring(err), raw = "null" } end
  return nil, { code = decoded.code, message = tostring(decoded.message), raw = err }
end

local METHOD_NOT_FOUND = -32601

--- The raw items of a kind, all pages of them; nil and an error. None where the servers promise none.
function Session:items(kind)
  local items, cursor, seen = {}, nil, {}
  if not json.member(self.hello, "capabilities", kind.needs) then return items end
  repeat
    local page, err = self:request(kind.list, cursor and ('{"cursor":%s}'):format(cursor))
    if not page then
      if err.code == METHOD_NOT_FOUND and not cursor then return items end
      return nil, err
    end
    for _, item in ipairs(json.elements(json.member(page, kind.array))) do
      items[#items + 1] = item
    end
    cursor = json.member(page, "nextCursor")
    local again = cursor ~= nil and cursor ~= "null" and not seen[cursor]
    if cursor then seen[cursor] = true end
  until not again
  return items
end

--- The raw item of that name (URI, template) among items, or nil.
function M.named(kind, items, name)
  for _, item in ipairs(items) do
    local key = json.member(item, kind.key)
    if key and json.decode(key) == name then return item end
  end
end

--- What is said about an error in the answer to a request for `what`.
function M.describe_error(what, err)
  local code = err.code and (" (%s)"):format(tostring(err.code)) or ""
  if err.message:find(what, 1, true) then return err.message .. code end
  return ("%s: %s%s"):format(what, err.message, code)
end

--- Says on stderr which servers could not be had; true when one of them must be there, or had to list more (of
-- which the log tells).
function Session:report_servers()
  local text = require "lunette.cli.text"
  local bad = false
  for _, server in ipairs(self.app:servers()) do
    if server.state == "down" then
      local note = server.optional and " (it is optional)" or ""
      output.err(text.clean(("lunette: server %s: %s%s\n"):format(server.name, server.error or "is down", note)))
    end
    bad = bad or (server.state == "down" or server.unlisted) and not server.optional
  end
  return bad
end

return M
