-- Random schemas under random transforms: what the presented schema lets through is, when it arrives at the server,
-- something that the server's own schema lets through. LUNETTE_SPEC_SEED=n asks for others, LUNETTE_SPEC_ROUNDS for
-- more.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"
local process = require "spec.support.process"
local schemas = require "spec.support.schemas"

local TOOLS, TRIES = 40, 8

-- For each { schema = raw, values = { raw… } } a list of booleans, or an error's text.
local function validate(cases)
  local lines = {}
  for i, case in ipairs(cases) do lines[i] = "[" .. table.concat({ case.schema, unpack(case.values) }, ",") .. "]\n" end
  local result = process.run { command = "node", args = { lunette.root .. "/spec/support/peers/validate.mjs" }, stdin = table.concat(lines),
    timeout = 60000 }
  assert.equal(0, result.code, result.stderr)
  local answers = {}
  for line in result.stdout:gmatch "[^\n]+" do
    local answer = json.decode(line)
    answers[#answers + 1] = answer.error or answer
  end
  return answers
end

describe("random transforms of random schemas", function()
  after_each(lunette.finish)

  local function round(seed)
    local r = schemas.random(seed)
    local tools, rules, made = {}, {}, {}
    for i = 1, TOOLS do
      local schema, names = schemas.schema(r)
      local raw = schemas.encode(schema)
      tools[i] = ('{"name":"t%d","inputSchema":%s}'):format(i, raw)
      made["t" .. i] = { schema = raw, said = {} }
      for _ = 1, r:int(2) do
        -- A second layer speaks of what it finds, under whatever name: not all of it can hold.
        local said = schemas.lua(schemas.transform(r, schema, names))
        if said ~= "{  }" then
          table.insert(made["t" .. i].said, said)
          -- What can't hold whatever the schema is refused when it is written.
          rules[#rules + 1] = ('pcall(lunette.tools.transform, "t%d", { arguments = %s })'):format(i, said)
        end
      end
    end
    return "[" .. table.concat(tools, ",") .. "]", table.concat(rules, "\n"), made, r
  end

  local first = tonumber(os.getenv "LUNETTE_SPEC_SEED") or 1
  for seed = first, first + (tonumber(os.getenv "LUNETTE_SPEC_ROUNDS") or 3) - 1 do
    it("let through only what the server takes, seed " .. seed, function()
      local tools, rules, made, r = round(seed)
      local client = policy.with(rules, { tools = tools })
      local cases, shown = {}, {}
      for i, raw in ipairs(policy.items(client)) do
        local schema = json.at(raw, "inputSchema")
        shown[i] = json.value(raw, "name")
        assert.same({}, schemas.dangling(json.decode(schema)),
          ("%s\nunder %s\nis presented as %s"):format(made[shown[i]].schema, table.concat(made[shown[i]].said, "\nand "), schema))
        cases[i] = { schema = schema, values = {} }
        for k = 1, TRIES do cases[i].values[k] = schemas.encode(schemas.arguments(r, json.decode(schema))) end
      end
      assert.is_true(#shown > TOOLS / 4, "too few can hold: " .. #shown)

      local arrived, which, n = {}, {}, 0
      for i, fits in ipairs(validate(cases)) do
        assert.equal("table", type(fits), shown[i] .. "'s schema is broken: " .. cases[i].schema .. " " .. tostring(fits))
        local one = { schema = made[shown[i]].schema, values = {} }
        for k, value in ipairs(cases[i].values) do
          if fits[k] then
            n = n + 1
            one.values[#one.values + 1] = policy.call(client, shown[i], value)
          end
        end
        if #one.values > 0 then
          arrived[#arrived + 1] = one
          which[#which + 1] = i
        end
      end
      assert.is_true(n > TOOLS, "too few arguments fit: " .. n)

      for k, fits in ipairs(validate(arrived)) do
        local i = which[k]
        for v, ok in ipairs(fits) do
          assert.is_true(ok, ("the server of %s\nunder %s\npresented as %s\nwas sent %s"):format(arrived[k].schema,
            table.concat(made[shown[i]].said, "\nand "), cases[i].schema, arrived[k].values[v]))
        end
      end
    end)
  end
end)
