-- team.lua, by a client whose requests come with one role or another.
local test = require "lunette.test"

describe("team.lua", function()
  local client, notes

  before_each(function()
    notes = test.server {
      tools = {
        { name = "search_notes", result = "moon: half" },
        { name = "add_note", result = "wrote it" },
        { name = "wipe", annotations = { destructiveHint = true }, result = "all gone" },
      },
      resources = { { uri = "note://moon", name = "moon", text = "half" } },
    }
    local press = { tools = { { name = "headline", result = "The moon is half!" } } }
    client = test.connect {
      policy = "../team.lua",
      servers = { notes = notes, press = press },
      client = { headers = { ["X-Role"] = "admin" }, elicit = { action = "accept", content = {} } },
    }
  end)

  local function as(role) return client:set_headers { ["X-Role"] = role } end

  it("gives each request what its role may see", function()
    assert.same({ "notes_search_notes", "notes_add_note", "notes_wipe", "press_headline" }, client:names "tools")
    assert.same({ "notes_search_notes", "press_headline" }, as("reader"):names "tools")
    assert.same({ "press_headline" }, client:set_headers():names "tools")
    assert.same({}, client:names "resources")
  end)

  it("lets no request use what its role may not see, whatever role came before", function()
    assert.equal("all gone", test.text(client:call "notes_wipe"))
    assert.equal("Unknown tool: notes_wipe", (as("writer"):refused "notes_wipe"))
    assert.equal("wrote it", test.text(client:call "notes_add_note"))
    assert.equal("Unknown tool: notes_add_note", (as("reader"):refused "notes_add_note"))
    assert.equal("all gone", test.text(as("admin"):call "notes_wipe"))
    assert.equal(2, #notes:calls "wipe")
  end)
end)
