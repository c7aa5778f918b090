-- The targets of the command line that are no Lua: an mcpServers file, a URL, a command.
local set = require "lunette.base.words"
local config_file = require "lunette.config.file"
local upstreams = require "lunette.config.upstreams"

local M = {}

function M.json(path) config_file.read(path) end

--- The server's name is its host.
function M.url(url)
  local host = url:match "^%w+://([^/?#]*)" or url
  upstreams.upstream(upstreams.free_name((host:gsub("^.*@", ""))), { url = url })
end

-- Programs that run another one: the server is called after what they run.
local runners = set [[npx bunx pnpx npm pnpm yarn uvx pipx node bun deno python python2 python3 ruby uv docker podman
  env sh bash dash zsh]]

-- What stands between them and that, and their options that have a value behind them.
local between = set "run dlx exec x tool start"
local valued = {
  docker = set [[-e --env --env-file -v --volume --mount -p --publish --name --network --net -w --workdir -u --user
    --entrypoint -l --label --platform --pull -h --hostname --add-host -m --memory --cpus]],
  npx = set "-p --package",
  uvx = set "--from --with -p --python --index --index-url --extra-index-url",
  uv = set "--from --with --directory --project -p --python --index --index-url --extra-index-url",
  python = set "-X -W",
  node = set "-r --require --import --loader",
  env = set "-u -C",
}
valued.podman = valued.docker
valued.python2, valued.python3 = valued.python, valued.python
valued.bunx, valued.pnpx, valued.npm = valued.npx, valued.npx, valued.npx

-- Options behind which stands a program's text, which names nothing.
local texts = set "-c -ec -lc -lic -e --eval -p --print"

local function base_name(path) return (path:gsub("/+$", ""):gsub("^.*/", ""):gsub("(.)%.[%w]+$", "%1")) end

-- What a command line is called after: its program, or what that runs. from: its first word.
local function called(words, from)
  local name = base_name((words[from]:gsub("(.)@[^@/]*$", "%1")))
  if not runners[name] then return name end
  local at = from + 1
  while words[at] do
    local word = words[at]
    if valued[name] and valued[name][word] then
      at = at + 1
    elseif texts[word] then
      return name
    elseif not word:find "^%-" and not word:find "^[%a_][%w_]*=" and not between[word] then
      return called(words, at) -- (NAME=value is env's, and may be a secret)
    end
    at = at + 1
  end
  return name
end

function M.command(command, args)
  upstreams.upstream(upstreams.free_name(called({ command, unpack(args) }, 1)), { command = command, args = args })
end

return M
