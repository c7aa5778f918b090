-- The words of a command line: which are targets, which is the name, and what belongs to a command.
local targets = require "lunette.config.words"

local function words(...)
  local list = {}
  for i = 1, select("#", ...) do list[i] = { text = (select(i, ...)) } end
  return list
end

describe("config.words", function()
  describe("split", function()
    local function split(...) return targets.split { ... } end

    it("gives everything after the first -- to the command", function()
      local before, command = split("a.lua", "--http", ":1", "--", "npx", "-y", "x", "--", "--help")
      assert.same({ "a.lua", "--http", ":1" }, before)
      assert.same({ "npx", "-y", "x", "--", "--help" }, command)
    end)

    it("tells no command from an empty one", function()
      assert.is_nil(select(2, split "a.lua"))
      assert.same({}, select(2, split("a.lua", "--")))
    end)
  end)

  describe("kind", function()
    for word, kind in pairs {
      ["a.lua"] = "lua", ["./x/a.lua"] = "lua", ["mcp.json"] = "json", ["a/settings.jsonc"] = "json",
      ["http://h/mcp"] = "url", ["HTTPS://h"] = "url", ["https://h/a.lua"] = "url",
      ["spec/lua/../../CMakeLists.txt"] = "json",
    } do
      it(("of %s is %s"):format(word, kind), function() assert.equal(kind, targets.kind(word)) end)
    end
    for _, word in ipairs { "search", "CMakeLists.txt", "no/such/file", "ftp://h", "note://x", "lua", "a.lua.txt", "" } do
      it(("of %q is none"):format(word), function() assert.is_nil(targets.kind(word)) end)
    end
  end)

  describe("collect", function()
    it("keeps the order written, the command last", function()
      local list = targets.collect(
        { { text = "b.lua" }, { text = "rules.lua", policy = true }, { text = "http://h/mcp" }, { text = "a.json" } },
        { "npx", "-y", "x" }
      )
      assert.same({
        { kind = "lua", text = "b.lua" },
        { kind = "lua", text = "rules.lua" },
        { kind = "url", text = "http://h/mcp" },
        { kind = "json", text = "a.json" },
        { kind = "command", text = "npx", args = { "-y", "x" } },
      }, list)
    end)

    it("takes a file of any name as servers", function()
      assert.same({ { kind = "json", text = "CMakeLists.txt" } }, targets.collect(words "CMakeLists.txt"))
    end)

    for name, case in pairs {
      ["nothing"] = { words(), nil, "nothing to connect to" },
      ["an empty command"] = { words "a.lua", {}, "-- wants a command" },
      ["a command of no letters"] = { words(), { "" }, "-- wants a command" },
      ["a word that is no file"] = { words "frobnicate", nil, "frobnicate is no target" },
      ["another scheme"] = { words "ftp://h", nil, "ftp" },
      ["a policy that is no Lua"] = { { { text = "a.json", policy = true } }, nil, "*.lua" },
    } do
      it("refuses " .. name, function()
        local list, why = targets.collect(case[1], case[2])
        assert.is_nil(list)
        assert.truthy(why:find(case[3], 1, true), why)
      end)
    end
  end)

  describe("name_at", function()
    local function at(has_command, ...) return targets.name_at({ ... }, has_command) end

    it("is after the targets", function()
      assert.equal(1, at(false, "a.lua", "search"))
      assert.equal(1, at(false, "a.lua", "search", "q=1", "path=b.lua"))
      assert.equal(2, at(false, "a.lua", "http://h/mcp?x=1", "search", "q=http://h"))
      assert.equal(0, at(true, "search", "q=1"))
      assert.equal(0, at(false, "search"))
    end)

    it("may look like a target when it stands last", function()
      assert.equal(1, at(false, "a.lua", "b.lua"))
      assert.equal(1, at(false, "a.lua", "b.lua", "q=1"))
      assert.equal(0, at(true, "b.lua"))
    end)

    it("is missing otherwise", function()
      assert.is_nil(at(false))
      assert.is_nil(at(false, "a.lua"))
      assert.is_nil(at(false, "http://127.0.0.1:1/mcp"))
      assert.is_nil(at(false, "a.lua", "q=1"))
      assert.is_nil(at(true))
      assert.is_nil(at(true, "q=1"))
    end)
  end)
end)
