-- The targets of the command line that are no Lua: an mcpServers file, a URL, a command.
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
local runners = {}
local names = "npx bunx pnpx uvx pipx node bun deno python python2 python3 ruby uv docker podman env sh bash"
for name in names:gmatch "%S+" do
  runners[name] = true
end

local function base_name(path) return (path:gsub("/+$", ""):gsub("^.*/", ""):gsub("(.)%.[%w]+$", "%1")) end

function M.command(command, args)
  local name = base_name(command)
  if runners[name] then
    for _, arg in ipairs(args) do
      -- NAME=value is env's, and may be a secret.
      local other = arg:find "^%-" or arg:find "^[%a_][%w_]*="
      if not other and arg ~= "run" and arg ~= "dlx" and arg ~= "exec" then
        name = base_name((arg:gsub("(.)@[^@/]*$", "%1")))
        break
      end
    end
  end
  upstreams.upstream(upstreams.free_name(name), { command = command, args = args })
end

return M
