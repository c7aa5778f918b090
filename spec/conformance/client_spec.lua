-- The suites' client scenarios with lunette's own commands as the client (client.mjs): a test for each check.
local lunette = require "spec.support.lunette"
local suite = require "spec.conformance.suite"

-- Scenarios that ask for what a client may lack, by how their names begin.
local lacking = { ["auth/"] = "Lunette is no OAuth client: what a server wants to see is configured as its headers" }

local function reason_not_to(scenario)
  for prefix, reason in pairs(lacking) do
    if scenario:sub(1, #prefix) == prefix then return reason end
  end
end

-- The older suite minds how late a stream is taken up again, which on a busy machine says nothing of Lunette; that it is
-- not too early, both do.
local function is_late(verdict)
  return verdict.key == "client-sse-retry-timing" and verdict.why:find(" late ", 1, true)
end

-- All at the same time; { suite, scenario, results, said }, and what was left out by its reason.
local function run_all()
  local runs, left_out = {}, {}
  local command = "LUNETTE_BIN='" .. lunette.binary .. "' " .. table.concat(suite.command "client.mjs", " ")
  for _, s in ipairs(suite.suites) do
    for _, scenario in ipairs(suite.client_scenarios(s)) do
      local reason = reason_not_to(scenario)
      if reason then
        left_out[reason] = left_out[reason] or {}
        table.insert(left_out[reason], s.name .. " " .. scenario)
      else
        runs[#runs + 1] = { suite = s, scenario = scenario, wait = suite.client(s, scenario, command) }
      end
    end
  end
  for _, run in ipairs(runs) do
    local results
    results, run.said = run.wait()
    run.checks = results[run.scenario]
  end
  return runs, left_out
end

describe("the conformance suites' client scenarios", function()
  local ok, runs, left_out = xpcall(run_all, debug.traceback)
  teardown(lunette.finish)
  it("can be run", function()
    if not ok then error(runs, 0) end
    assert.is_true(#runs > 0)
  end)
  for _, run in ipairs(ok and runs or {}) do
    local name = run.suite.name .. ", " .. run.scenario .. ": "
    local verdicts = suite.verdicts(run.checks)
    it(name .. "checks something", function() assert.is_true(#verdicts > 0, run.said) end)
    for _, verdict in ipairs(verdicts) do
      it(name .. verdict.key, function()
        if not is_late(verdict) then assert.equal("SUCCESS", verdict.status, verdict.why .. "\n" .. run.said) end
      end)
    end
  end
  for reason, scenarios in pairs(ok and left_out or {}) do
    it(("%d more: %s"):format(#scenarios, table.concat(scenarios, ", ")), function() pending(reason) end)
  end
end)
