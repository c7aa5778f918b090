-- The suites' server scenarios against the fixture, alone and behind Lunette: a test for each check, which must
-- end behind Lunette as it ends alone. All runs go on at the same time, before the first test.
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local suite = require "spec.conformance.suite"

-- A child has no streams that it could close, so these two can't be had from it. Lunette closes none of its own
-- accord, and what makes it need not tell when to come back (2025-11-25, basic/transports, "Sending Messages").
local of_streams = { ["server-sse-retry-field"] = true, ["server-sse-disconnect-resume"] = true }

local function over_stdio(...)
  return ('lunette.upstream("fixture", %s)'):format(peers.lua(suite.command("fixture/main.mjs", ...)))
end

local function over_http(url)
  return ('lunette.upstream("fixture", { url = %q })'):format(url)
end

-- policy: its text, given the URLs of the fixture with either version of the SDK. newest: only the newest suite.
local ways = {
  { name = "over stdio", policy = function() return over_stdio() end, lacks = of_streams },
  { name = "over HTTP", policy = function(url) return over_http(url) end },
  { name = "over HTTP, with a handler for every message", newest = true, policy = function(url)
    return over_http(url) .. '\nlunette.on("*", function(message, forward) return forward(message) end)'
  end },
  { name = "over stdio, with the SDK's second version", newest = true, policy = function() return over_stdio "--sdk2" end,
    lacks = of_streams },
  { name = "over HTTP, with the SDK's second version", newest = true, policy = function(_, url2) return over_http(url2) end },
}

local function serve_http(...)
  local command = suite.command("fixture/main.mjs", "--http", ...)
  return process.spawn { command = command[1], args = { unpack(command, 2) }, name = "fixture" }
end

-- { suite = name, way = name (nil: alone), results, said }
local function run_all()
  local one, two = serve_http(), serve_http "--sdk2"
  local url, url2 = one:line(60000), two:line(60000)
  local runs = {}
  local function begin(target, way)
    for i, s in ipairs(suite.suites) do
      if i == #suite.suites or not (way and way.newest) then
        runs[#runs + 1] = { suite = s, way = way, wait = suite.server(s, target) }
      end
    end
  end
  begin(url)
  for _, way in ipairs(ways) do
    begin(lunette.http({ policy = peers.patience .. way.policy(url, url2) }).url, way)
  end
  for _, run in ipairs(runs) do run.results, run.said = run.wait() end
  return runs
end

local function direct_of(runs, run)
  for _, other in ipairs(runs) do
    if other.suite == run.suite and not other.way then return other end
  end
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function find(list, key)
  for _, verdict in ipairs(list) do
    if verdict.key == key then return verdict end
  end
  return { status = "nothing", why = "no such check" }
end

-- The fixture alone: were it less than the suite asks for, its checks would be missing on both sides.
local function alone(run)
  it("the fixture is all that the scenarios ask for", function()
    local succeeded, others = 0, {}
    for scenario, checks in pairs(run.results) do
      for _, verdict in ipairs(suite.verdicts(checks)) do
        if verdict.status == "SUCCESS" then
          succeeded = succeeded + 1
        elseif verdict.status ~= "SKIPPED" and scenario ~= "server-sse-polling" then
          others[#others + 1] = scenario .. ": " .. verdict.key .. " " .. verdict.status .. ": " .. verdict.why
        end
      end
    end
    assert.same({}, others, run.said)
    assert.equal(run.suite.succeed, succeeded, run.said)
  end)
end

local function through(run, direct)
  it("runs the same scenarios", function()
    assert.same(sorted_keys(direct.results), sorted_keys(run.results), run.said)
  end)
  for _, scenario in ipairs(sorted_keys(direct.results)) do
    local mine = suite.verdicts(run.results[scenario])
    local theirs = suite.verdicts(direct.results[scenario])
    for _, verdict in ipairs(theirs) do
      if verdict.status == "SUCCESS" and not (run.way.lacks and run.way.lacks[verdict.key]) then
        it(scenario .. ": " .. verdict.key, function()
          local got = find(mine, verdict.key)
          assert.equal("SUCCESS", got.status, got.why)
        end)
      end
    end
    it(scenario .. ": fails nowhere else", function()
      for _, verdict in ipairs(mine) do
        if verdict.status == "FAILURE" then
          assert.equal(find(theirs, verdict.key).status, verdict.status, verdict.key .. ": " .. verdict.why)
        end
      end
    end)
  end
end

describe("the conformance suites' server scenarios", function()
  local ok, runs = xpcall(run_all, debug.traceback)
  teardown(lunette.finish)
  if not ok then
    it("can be run", function() error(runs, 0) end)
    return
  end
  for _, run in ipairs(runs) do
    describe(("%s, %s:"):format(run.suite.name, run.way and "behind Lunette, the fixture " .. run.way.name or "alone"), function()
      if run.way then
        through(run, direct_of(runs, run))
      else
        alone(run)
      end
    end)
  end
end)
