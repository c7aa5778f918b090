-- lunette read: prints a resource. Not on a terminal, so in a file or pipe, its bytes are what they are.
local json = require "lunette.base.raw_json"
local content = require "lunette.cli.content"
local core = require "lunette.cli.core"
local shared = require "lunette.cli.options"
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"
local text = require "lunette.cli.text"

local M = {}

function M.describe(parser, record)
  parser:usage(
    "Usage: lunette read TARGET… URI [--policy FILE]… [--json]\n"
      .. "                    [--log-level LEVEL] [--log-format text|json]"
  )
  parser:description "Reads a resource and prints it. In a file or pipe its bytes are what they are, binary ones too."
  shared.targets(parser, record)
  parser:flag("--json", "Print the result as the JSON it is")
  shared.log(parser, "warn")
  parser:epilog(shared.about_targets .. [[


Examples
  lunette read policy.lua note://index
  lunette read policy.lua file:///srv/moon.png >moon.png]])
end

-- The last word that is no policy's is the URI.
local function divide(words)
  local list, uri = {}, nil
  for i = #words, 1, -1 do
    if not uri and not words[i].policy then
      uri = words[i].text
    else
      table.insert(list, 1, words[i])
    end
  end
  return list, uri
end

-- One entry of `contents`. more: others follow, so that each gets a line of its own.
local function write_one(raw, tty, more)
  local one = json.decode(raw)
  if type(one) ~= "table" then return "the result holds what is no content" end
  if type(one.text) == "string" then
    if tty or more then
      content.write(output.out, one.text, tty)
    else
      output.out(one.text)
    end
    return nil
  end
  if type(one.blob) ~= "string" then return "the result holds neither text nor blob" end
  local bytes = content.base64(one.blob)
  if not bytes then return "the blob of the result is not base64" end
  if not tty then
    output.out(bytes)
    return nil
  end
  local kind = type(one.mimeType) == "string" and one.mimeType or "binary"
  output.out(("[%s, %s: not shown on a terminal, write it to a file with >]\n"):format(
    text.one_line(kind), text.count(#bytes, "byte")))
end

function M.run(options, words, command)
  local list, uri = divide(words)
  if not uri then session.usage "which one? Give its URI after the targets" end
  if #list == 0 and not command then session.usage("%s: give a target before the URI", uri) end
  if not text.is_utf8(uri) then session.usage "a URI must be UTF-8" end
  return session.with(options, list, command, function(client)
    local result, err = client:request("resources/read", ('{"uri":%s}'):format(json.quote(uri)))
    if not result then session.fail("%s", session.describe_error(uri, err)) end
    if options.json then
      output.out(result, "\n")
      return 0
    end
    local tty = core.isatty(1)
    local contents = json.elements(json.member(result, "contents"))
    if #contents == 0 then output.err "lunette: the resource is empty\n" end
    for i, raw in ipairs(contents) do
      local why = write_one(raw, tty, i < #contents)
      if why then session.fail("%s: %s", uri, why) end
    end
    return 0
  end)
end

return M
