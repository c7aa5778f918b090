-- lunette prompt: gets a prompt and prints its messages.
local json = require "lunette.base.raw_json"
local arguments = require "lunette.cli.arguments"
local call = require "lunette.cli.call"
local content = require "lunette.cli.content"
local core = require "lunette.cli.core"
local shared = require "lunette.cli.options"
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"
local text = require "lunette.cli.text"

local M = {}

function M.describe(parser, record)
  parser:usage(
    "Usage: lunette prompt TARGET… NAME [key=value…] [--policy FILE]… [--json]\n"
      .. "                    [--log-level LEVEL] [--log-format text|json]"
  )
  parser:description "Gets a prompt and prints its messages, each with its role."
  shared.targets(parser, record)
  parser:flag("--json", "Print the result as the JSON it is")
  shared.log(parser, "warn")
  parser:epilog(shared.about_targets .. [[


Example
  lunette prompt policy.lua review path=src/main.c]])
end

local PROMPTS = session.KINDS[4]

local function write_messages(raw, tty)
  for _, message in ipairs(json.elements(json.member(raw, "messages"))) do
    local role, block = json.member(message, "role"), json.member(message, "content")
    role, block = role and json.decode(role), block and json.decode(block)
    content.write(output.out, ("%s: %s"):format(type(role) == "string" and role or "?", content.block(block)), tty)
  end
end

function M.run(options, words, command)
  local list, name, pairs_ = call.divide(words, command)
  if not text.is_utf8(name) then session.usage "a name must be UTF-8" end
  return session.with(options, list, command, function(client)
    local params = ('{"name":%s,"arguments":%s}'):format(json.quote(name), arguments.strings(pairs_))
    local result, err = client:request("prompts/get", params)
    if not result then
      session.fail("%s%s", session.describe_error(name, err), call.hint(client, PROMPTS, name))
    end
    if options.json then
      output.out(result, "\n")
    else
      write_messages(result, core.isatty(1))
    end
    return 0
  end)
end

return M
