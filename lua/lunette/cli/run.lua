-- lunette run: serves clients until it is told to end.
local traceback = require "lunette.base.traceback"
local address = require "lunette.cli.address"
local shared = require "lunette.cli.options"
local session = require "lunette.cli.session"

local M = {}

function M.describe(parser, record)
  parser:usage(
    "Usage: lunette run TARGET… [--stdio | --http ADDR:PORT] [--policy FILE]… [--no-watch]\n"
      .. "                   [--log-level LEVEL] [--log-format text|json]"
  )
  parser:description(
    "Serves clients what the targets offer, as the policies say, until SIGTERM or SIGINT. "
      .. "stdout carries MCP and nothing else; logs go to stderr."
  )
  shared.targets(parser, record)
  parser:mutex(
    parser:flag("--stdio", "Serve one client over stdin and stdout (default)"),
    parser
      :option("--http", "Serve any number of clients over HTTP at /mcp. Without ADDR on loopback; port 0 is any")
      :argname("ADDR:PORT")
      :convert(address.parse)
  )
  parser:flag("--no-watch", "Don't reload when a policy's files change")
  shared.log(parser, "info")
  parser:epilog(shared.about_targets .. [[


Examples
  lunette run policy.lua
  lunette run policy.lua --http :8080
  lunette run --policy readonly.lua -- npx -y some-server /srv]])
end

function M.run(options, words, command)
  local app = session.load(options, words, command, "info")
  local http = options.http
  local how = http and { host = http.host, port = http.port } or { stdio = true }
  how.watch = not options.no_watch
  how.in_a_line = traceback.line
  local code = app:serve(how)
  app:close()
  return code
end

return M
