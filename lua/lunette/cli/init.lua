-- The command line: finds the command, reads its options, runs it. src/bind/program.c calls main with what
-- it was given and exits with what main returns: 0 fine, 1 the work failed, 2 wrong usage.
--
-- Nothing is loaded before it is needed: `lunette version` takes a millisecond or two.
local core = require "lunette.cli.core"

local M = {}

-- In the order that help shows. Each is a module of this folder:
--   describe(parser)          adds its options to an argparse parser that has its name
--   run(options, words, command, cli)  does the work and returns the exit code. words: the positional words and
--                             --policy's in the order written; command: what stands after "--", or nil; cli: this
--                             module, for the command that is about the others
local commands = {
  { name = "run", what = "serve clients, over stdio or HTTP" },
  { name = "check", what = "load policies and say what is wrong with them" },
  { name = "list", what = "show what clients see, or what rules did to it" },
  { name = "call", what = "call a tool" },
  { name = "read", what = "read a resource" },
  { name = "prompt", what = "get a prompt" },
  { name = "pin", what = "review and approve tools that the ready policy pin withheld" },
  { name = "test", what = "run policies' specs with busted" },
  { name = "completion", what = "print what makes a shell complete command lines" },
  { name = "version", what = "print the version" },
  { name = "help", what = "explain a command" },
}

local function find(name)
  for _, command in ipairs(commands) do
    if command.name == name then return command end
  end
end

M.commands = commands

-- Those without a module take next to nothing.
local simple = {}

--- A command's module; nil when it has none.
function M.module(name) return find(name) and not simple[name] and require("lunette.cli." .. name) or nil end

local function short_help()
  local lines = {
    "Usage: lunette COMMAND …",
    "",
    "A proxy between MCP clients and MCP servers; policies written in Lua decide what passes.",
    "",
  }
  for _, command in ipairs(commands) do
    lines[#lines + 1] = ("  %-11s %s"):format(command.name, command.what)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "`lunette help COMMAND` explains one. To begin with: lunette list -- COMMAND ARGS"
  lines[#lines + 1] = "with the command line of an MCP server shows what it offers."
  return table.concat(lines, "\n") .. "\n"
end

-- Wrong usage: what is wrong and where to read on.
local function usage(name, message)
  local text = require "lunette.cli.text"
  local who = name and "lunette " .. name or "lunette"
  io.stderr:write(("%s: %s\nTry: lunette help%s\n"):format(who, text.clean(message), name and " " .. name or ""))
  return 2
end

local function unknown(name)
  local names = {}
  for i, command in ipairs(commands) do
    names[i] = command.name
  end
  return usage(nil, ("there is no command %q%s"):format(name, require("lunette.base.check").suggest(name, names)))
end

local function parser_for(command, words)
  local found, argparse = pcall(require, "argparse")
  if not found then error({ failure = "the Lua module argparse is missing (Debian: lua-argparse)" }, 0) end
  local parser = argparse("lunette " .. command.name)
  parser:help_max_width(84):help_description_margin(24)
  require("lunette.cli." .. command.name).describe(parser, function(policy)
    return function(text)
      words[#words + 1] = { text = text, policy = policy }
      return text
    end
  end)
  return parser
end

local function print(...)
  local output = require "lunette.cli.output"
  output.out(...)
  output.flush()
  return 0
end

local function version() return print("lunette ", core.version, "\n") end

local function help(name)
  if not name then return print(short_help()) end
  local command = find(name)
  if not command then return unknown(name) end
  if name == "version" or name == "help" then
    return print(("Usage: lunette %s\n\nTo %s.\n"):format(name == "help" and "help [COMMAND]" or name, command.what))
  end
  return print(parser_for(command, {}):get_help(), "\n")
end

function simple.version(words)
  if #words > 0 then return usage("version", "takes no arguments") end
  return version()
end

function simple.help(words)
  if #words > 1 then return usage("help", "takes one command at most") end
  return help(words[1])
end

local function asks_help(words)
  for _, word in ipairs(words) do
    if word == "-h" or word == "--help" then return true end
  end
  return false
end

local function dispatch(argv)
  local name = argv[1]
  if not name then
    io.stderr:write(short_help())
    return 2
  end
  if name == "-h" or name == "--help" then return help() end
  if name == "-V" or name == "--version" then return version() end
  if name:find "^%-" then return usage(nil, ("a command comes first, as in: lunette run %s"):format(name)) end
  local command = find(name)
  if not command then return unknown(name) end
  local words, after = require("lunette.config.words").split { unpack(argv, 2) }
  if asks_help(words) then return help(name) end
  if simple[name] then return simple[name](words) end
  local seen = {}
  local ok, options = parser_for(command, seen):pparse(words)
  if not ok then return usage(name, options) end
  local code = require("lunette.cli." .. name).run(options, seen, after, M)
  require("lunette.cli.output").flush()
  return code
end

--- Runs a command line; argv as main gets it, without the program's own name. Returns the exit code.
function M.main(argv)
  local ok, code = xpcall(dispatch, require("lunette.cli.output").ending, argv)
  if not ok then
    local e = code
    if e.usage then
      code = usage(argv[1], e.usage)
    elseif e.quiet then
      code = 1
    elseif e.failure then
      io.stderr:write("lunette: ", require("lunette.cli.text").clean(e.failure), "\n")
      code = 1
    else
      io.stderr:write("lunette: this is a fault of Lunette's own, please report it:\n", tostring(e.fault), "\n")
      code = 1
    end
  end
  return code
end

return M
