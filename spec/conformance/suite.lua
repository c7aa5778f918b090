-- The official conformance suites as processes: runs of them against a URL or a client, and what their checks
-- came to. Verdicts are read from the files a run leaves: its totals and exit code pass a scenario that checked
-- nothing.
local json = require "cjson"

local loop = require "spec.support.loop"
local process = require "spec.support.process"

local uv = loop.uv
local M = {}

local here = (os.getenv "LUNETTE_ROOT" or uv.cwd()) .. "/spec/conformance/"

--- The node that package.json brings for this machine, else the one in the PATH.
M.node = "node"
for _, machine in ipairs { "x64", "arm64" } do
  local path = here .. "node_modules/node-linux-" .. machine .. "/bin/node"
  if uv.fs_stat(path) then M.node = path end
end

--- The two suites: what chooses all scenarios of 2025-11-25, and how many checks succeed against the fixture.
M.suites = {
  { name = "0.1", all = { "--suite", "all" }, one = {}, succeed = 44 },
  { name = "0.2", all = { "--requirements", "2025-11-25" }, one = { "--spec-version", "2025-11-25" }, succeed = 84 },
}

local function program(suite)
  return here .. "node_modules/conformance-" .. suite.name .. "/dist/index.js"
end

--- The command line of a file beside this one.
function M.command(path, ...)
  return { M.node, here .. path, ... }
end

local function names(dir)
  local found, iterator = {}, uv.fs_scandir(dir)
  while iterator do
    local name = uv.fs_scandir_next(iterator)
    if not name then break end
    found[#found + 1] = name
  end
  return found
end

local function slurp(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

-- { scenario = list of checks }: each left its checks in a folder named after it and the time.
local function results(dir)
  local found = {}
  for _, name in ipairs(names(dir)) do
    local scenario = name:match "^server%-(.-)%-%d+%-%d+%-%d+T" or name:match "^(.-)%-%d+%-%d+%-%d+T"
    local text = scenario and slurp(dir .. "/" .. name .. "/checks.json")
    if text then found[scenario] = json.decode(text) end
  end
  return found
end

-- Begins a run; the function it returns waits for its end and gives its results.
local function begin(suite, args)
  local dir = loop.tempdir() .. "/" .. tostring(uv.hrtime())
  uv.fs_mkdir(dir, 493)
  local all = { program(suite), unpack(args) }
  all[#all + 1] = "--output-dir"
  all[#all + 1] = dir
  local run = process.spawn { command = M.node, args = all, name = "conformance " .. suite.name }
  run.stdin:close()
  return function()
    run:wait_exit(300000)
    return results(dir), run.out:all() .. run.err:all()
  end
end

--- Begins the server scenarios against a URL.
function M.server(suite, url)
  return begin(suite, { "server", "--url", url, unpack(suite.all) })
end

--- Begins one client scenario: `command` is run by a shell, with the URL of the scenario's server after it.
function M.client(suite, scenario, command)
  return begin(suite, { "client", "--command", command, "--scenario", scenario, unpack(suite.one) })
end

--- The names of a suite's client scenarios for 2025-11-25.
function M.client_scenarios(suite)
  local text = process.run { command = M.node, args = { program(suite), "list", "--client", unpack(suite.one) },
    timeout = 120000 }.stdout
  local found = {}
  for name, versions in text:match("Client scenarios.-\n(.*)"):gmatch "  %- (%S+) %[([^%]]*)%]" do
    if versions:find("2025-11-25", 1, true) then found[#found + 1] = name end
  end
  return found
end

--- A scenario's checks as { key, status, why }, the same id's counted: "id", "id 2"… Notes of what went over the
--- wire (INFO) are left out.
function M.verdicts(checks)
  local list, seen = {}, {}
  for _, check in ipairs(checks or {}) do
    if check.status ~= "INFO" then
      seen[check.id] = (seen[check.id] or 0) + 1
      list[#list + 1] = {
        key = check.id .. (seen[check.id] > 1 and " " .. seen[check.id] or ""),
        status = check.status,
        why = check.errorMessage or check.description,
      }
    end
  end
  return list
end

return M
