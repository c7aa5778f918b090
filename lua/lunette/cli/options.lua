-- Options that several commands share.
local M = {}

local levels = { "debug", "info", "warn", "error", "none" }

--- What is logged, and how. level: the default, for the help.
function M.log(parser, level)
  local what = "debug, info, warn, error or none; default: " .. level
  parser:option("--log-level", what):argname("LEVEL"):choices(levels)
  parser:option("--log-format", "text (default) or json"):argname("FORMAT"):choices { "text", "json" }
end

--- Positional words, recorded in the order they are written. The usage line explains them.
function M.words(parser, record) parser:argument("words"):args("*"):convert(record(false)):hidden(true) end

--- Targets (with what may follow them) and --policy.
function M.targets(parser, record)
  M.words(parser, record)
  parser
    :option("--policy", "A policy to apply as well; may be given several times")
    :argname("FILE")
    :count("*")
    :convert(record(true))
end

--- The end of most commands' help.
M.about_targets = [[
A TARGET is one of
  POLICY.lua       a policy, which declares its servers itself
  CONFIG.json      servers as Claude Desktop, Cursor and VS Code keep them
  http(s)://…      a server's URL
  -- COMMAND ARGS  a server's command line; all that follows -- is its
Several targets and policies are combined in the order written.
COMMAND inherits few variables; -- env NAME="$NAME" COMMAND gives it one more.]]

return M
