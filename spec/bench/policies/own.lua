-- No server at all: what a start costs Lunette itself.
local lunette = require "lunette"

lunette.tools.add {
  name = "now", description = "The time", inputSchema = { type = "object" },
  handler = function() return os.date "!%FT%TZ" end }
