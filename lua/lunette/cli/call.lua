-- lunette call: calls a tool and prints what it gives.
local json = require "lunette.base.raw_json"
local arguments = require "lunette.cli.arguments"
local content = require "lunette.cli.content"
local core = require "lunette.cli.core"
local shared = require "lunette.cli.options"
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"
local text = require "lunette.cli.text"
local targets = require "lunette.config.words"

local M = {}

function M.describe(parser, record)
  parser:usage(
    "Usage: lunette call TARGET… NAME [key=value…] [--args JSON] [--policy FILE]… [--json]\n"
      .. "                    [--log-level LEVEL] [--log-format text|json]"
  )
  parser:description "Calls a tool and prints its result. Exits with 1 when the tool reports an error."
  shared.targets(parser, record)
  parser:option("--args", "The arguments as a JSON object; key=value adds to them"):argname "JSON"
  parser:flag("--json", "Print the result as the JSON it is")
  shared.log(parser, "warn")
  parser:epilog(shared.about_targets .. [[


A value that is JSON (5, true, null, [1], {"a":1}) is sent as that, unless the
tool's schema wants a string there; anything else is a string. key:=JSON is always
JSON.

Examples
  lunette call policy.lua search query=moon limit=5
  lunette call search query=moon -- npx -y some-server]])
end

local TOOLS = session.KINDS[1]

-- Divides the words into targets, the name and pairs.
local function divide(words, command)
  local texts = {}
  for _, word in ipairs(words) do
    if not word.policy then texts[#texts + 1] = word.text end
  end
  local n = targets.name_at(texts, command ~= nil)
  if not n then session.usage "which one? Give its NAME after the targets" end
  local list, seen = {}, 0
  for _, word in ipairs(words) do
    if not word.policy then seen = seen + 1 end
    if word.policy or seen <= n then list[#list + 1] = word end
  end
  if #list == 0 and not command then session.usage("%s", select(2, targets.target(texts[1]))) end
  local pairs_, why = arguments.pairs { unpack(texts, n + 2) }
  if not pairs_ then session.usage("%s", why) end
  return list, texts[n + 1], pairs_
end
M.divide = divide

local function check_args(base, list)
  if not base then return end
  local kind, why = json.type(base)
  if not kind then session.usage("--args is not JSON: %s", why) end
  if kind ~= "object" then session.usage("--args must be a JSON object, not %s", kind) end
  for _, member in ipairs(json.members(base)) do
    for _, pair in ipairs(list) do
      if pair.key == member.name then session.usage("%s is given twice, once in --args", pair.key) end
    end
  end
end

--- What may have been meant by a name that there is not: "; did you mean …?", or "". One that only lacks
-- its server's prefix is near as well.
function M.hint(client, kind, name)
  local names = {}
  for _, item in ipairs(client:items(kind) or {}) do
    local other = json.decode(json.member(item, kind.key) or "null")
    if other == name then return "" end
    if type(other) == "string" then names[#names + 1] = other end
  end
  for _, other in ipairs(names) do
    if #name > 2 and other:sub(-#name) == name then return ("; did you mean %s?"):format(other) end
  end
  return require("lunette.base.check").suggest(name, names)
end

-- The content; where that has no text, the structured result.
local function write_result(write, raw, tty)
  local content_raw = json.member(raw, "content")
  local structured = json.member(raw, "structuredContent")
  local has_text = false
  for _, block in ipairs(json.elements(content_raw)) do
    has_text = has_text or json.member(block, "type") == '"text"'
  end
  local n = content.write_blocks(write, content_raw, tty)
  if structured and not has_text then
    content.write(write, structured, tty)
  elseif n == 0 and not structured then
    output.err "lunette: the result is empty\n"
  end
end

function M.run(options, words, command)
  local list, name, pairs_ = divide(words, command)
  check_args(options.args, pairs_)
  if not text.is_utf8(name .. (options.args or "")) then session.usage "names and arguments must be UTF-8" end
  return session.with(options, list, command, function(client)
    -- The schema tells strings from numbers; without arguments nobody needs it.
    local items = #pairs_ > 0 and client:items(TOOLS) or {}
    local tool = session.named(TOOLS, items, name)
    local schema = tool and json.member(tool, "inputSchema")
    local object = arguments.object(pairs_, schema and json.decode(schema), options.args)
    local result, err = client:request("tools/call", ('{"name":%s,"arguments":%s}'):format(json.quote(name), object))
    if not result then session.fail("%s%s", session.describe_error(name, err), M.hint(client, TOOLS, name)) end
    local failed = json.member(result, "isError") == "true"
    if options.json then
      output.out(result, "\n")
    elseif failed then
      write_result(output.err, result, core.isatty(2))
    else
      write_result(output.out, result, core.isatty(1))
    end
    return failed and 1 or 0
  end)
end

return M
