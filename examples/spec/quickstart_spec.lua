-- What quickstart.lua promises, tried without its server: `lunette test examples/spec`. Needs busted.
local test = require "lunette.test"

describe("quickstart.lua", function()
  local notes, client

  before_each(function()
    -- A server is a table. What a tool gives is written down, or made by a function.
    notes = test.server {
      tools = {
        { name = "search_notes", result = "moon: half" },
        { name = "add_note", handler = function(args) return "wrote " .. args.name end },
        { name = "delete_note", annotations = { destructiveHint = true }, result = "deleted" },
        { name = "wipe", result = "all gone" },
      },
    }
    client = test.connect { policy = "../quickstart.lua", servers = { notes = notes } }
  end)

  it("shows what is left, under shorter names", function()
    assert.same({ "now", "search", "add_note" }, client:names "tools")
    assert.equal("Write a note. Secrets are refused.", client:tools("add_note").description)
  end)

  it("lets nobody call what is hidden", function()
    assert.equal("Unknown tool: wipe", (client:refused "wipe"))
    assert.same({}, notes:calls "wipe")
  end)

  it("refuses secrets, and writes names small", function()
    local why = client:refused("add_note", { name = "door", text = "the password is moon" })
    assert.equal("notes are no place for passwords", why)
    assert.equal("wrote door", test.text(client:call("add_note", { name = "Door", text = "keys" })))
    assert.same({ { name = "door", text = "keys" } }, notes:calls "add_note")
  end)
end)
