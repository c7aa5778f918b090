-- lunette check: loads each policy by itself and says what it declares, or what is wrong with it.
local traceback = require "lunette.base.traceback"
local core = require "lunette.cli.core"
local shared = require "lunette.cli.options"
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"
local text = require "lunette.cli.text"
local targets = require "lunette.config.words"

local M = {}

function M.describe(parser, record)
  parser:usage "Usage: lunette check POLICY… [--log-level LEVEL] [--log-format text|json]"
  parser:description(
    "Loads each POLICY (*.lua, or an mcpServers *.json) by itself and validates it; connects to nothing. "
      .. "Says what it declares, and warns of rules and handlers that can't do anything. "
      .. "Exits with 1 when one is wrong, not for warnings."
  )
  shared.words(parser, record)
  shared.log(parser, "warn")
end

local function summary(d)
  local parts = { text.count(#d.upstreams, "server") }
  local function add(n, thing)
    if n and n > 0 then parts[#parts + 1] = text.count(n, thing) end
  end
  add(d.rules, "rule")
  add(d.hooks, "handler")
  add(d.components.tools, "tool")
  add(d.components.resources, "resource")
  add(d.components.templates, "resource template")
  add(d.components.prompts, "prompt")
  local warned = d.warnings > 0 and "; " .. text.count(d.warnings, "warning") or ""
  return table.concat(parts, ", ") .. warned
end

local function check(options, target)
  local app = core.new { log_level = options.log_level or "warn", log_format = options.log_format or "text" }
  local ok, why = app:load { target }
  if ok then
    output.out(("%s: ok (%s)\n"):format(text.clean(target.text), summary(app:declarations())))
  else
    output.err(text.clean(traceback.of_load(why)), "\n")
  end
  app:close()
  return ok
end

function M.run(options, words, command)
  if command then session.usage "takes files, not a command after --" end
  if #words == 0 then session.usage "which policy? Give one or more *.lua files" end
  local list = {}
  for i, word in ipairs(words) do
    local target, why = targets.target(word.text)
    if not target then session.usage("%s", why) end
    if target.kind == "url" then session.usage("%s is a URL; only files can be checked", word.text) end
    list[i] = target
  end
  local code = 0
  for _, target in ipairs(list) do
    if not check(options, target) then code = 1 end
  end
  return code
end

return M
