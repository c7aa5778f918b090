-- Every example loads, and those that need nothing else do what they say.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local folder = lunette.root .. "/examples"

local function examples()
  local list, dir = {}, assert(loop.uv.fs_scandir(folder))
  while true do
    local name = loop.uv.fs_scandir_next(dir)
    if not name then break end
    if name:match "%.lua$" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

describe("the example", function()
  after_each(lunette.finish)

  for _, name in ipairs(examples()) do
    it(name .. " is a good policy", function()
      local result = lunette.cli { "check", folder .. "/" .. name }
      assert.equal(0, result.code, result.stderr)
    end)
  end

  it("quickstart.lua hides what it says it hides, from anywhere", function()
    local function names(...)
      local result = lunette.cli({ "list", folder .. "/quickstart.lua", "--json", ... }, { cwd = "/tmp" })
      assert.equal(0, result.code, result.stderr)
      local list = {}
      for _, tool in ipairs(json.decode(result.stdout).tools) do list[tool.name] = true end
      return list
    end
    local raw, seen = names "--raw", names()
    assert.is_true(raw.wipe and raw.search_notes)
    assert.is_nil(seen.wipe)
    assert.is_nil(seen.search_notes)
    assert.is_true(seen.search)
  end)

  it("sampled_by_api.lua has a model's API answer for the client", function()
    local requests = {}
    local s = http.listen(function(request, conn)
      requests[#requests + 1] = request
      local body = '{"model":"stand-in","choices":[{"finish_reason":"stop","message":{"content":"Lamp Needs Bulb!"}}]}'
      conn:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    end)
    local result = lunette.cli({ "call", folder .. "/sampled_by_api.lua", "headline", "text=The lamp needs a bulb." },
      { cwd = "/tmp", env = { MODEL_URL = s.url .. "/v1/chat/completions", MODEL = "m", MODEL_KEY = "k" } })
    assert.equal("Lamp Needs Bulb!\n", result.stdout, result.stderr)
    assert.equal("Bearer k", requests[1].headers.authorization)
    assert.equal('{"max_tokens":50,"messages":[{"content":"Answer with a headline of at most eight words.","role":"system"},'
      .. '{"content":"The lamp needs a bulb.","role":"user"}],"model":"m"}', requests[1].body)
  end)

  it("quickstart.lua serves", function()
    local host = lunette.http { targets = { folder .. "/quickstart.lua" } }
    local client = host.client()
    client:initialize()
    client:result("tools/call", '{"name":"add_note","arguments":{"name":"moon","text":"half"}}')
    local found = client:result("tools/call", '{"name":"search","arguments":{"query":"half"}}')
    assert.truthy(found:find("moon", 1, true), found)
  end)
end)
