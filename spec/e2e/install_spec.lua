-- What `cmake --install` puts where: a program that needs nothing else, the pages with all their links, and
-- completion that is the program's own.
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"

describe("an installed Lunette", function()
  local prefix
  setup(function()
    prefix = loop.tempdir() .. "/usr"
    local done = process.run { command = "cmake",
      args = { "--install", (lunette.binary:gsub("/[^/]*$", "")), "--prefix", prefix } }
    assert.equal(0, done.code, done.stdout .. done.stderr)
  end)

  teardown(lunette.finish)

  local function installed(...)
    local done = process.run { command = prefix .. "/bin/lunette", args = { ... }, cwd = prefix }
    assert.equal(0, done.code, done.stderr)
    return done.stdout
  end

  it("runs its examples", function()
    assert.truthy(installed("list", "share/lunette/examples/notes.lua"):find("search_notes", 1, true))
  end)

  it("has pages whose links lead somewhere", function()
    local checked = 0
    for _, page in ipairs { "lua/README.md", "examples/README.md", "lua/lunette/policy/README.md" } do
      local path = prefix .. "/share/lunette/" .. page
      for link in loop.read_file(path):gmatch "%]%(([^)#:]+)#?[^):]*%)" do
        local target = path:gsub("[^/]*$", "") .. link
        assert.truthy(io.open(target), page .. " leads to " .. link)
        checked = checked + 1
      end
    end
    assert.is_true(checked > 15)
  end)

  it("has the annotations that editors read", function()
    for _, name in ipairs { "types.lua", "test/types.lua" } do
      local text = loop.read_file(prefix .. "/share/lunette/lua/lunette/" .. name)
      assert.equal("---@meta", text:match "^%-%-%-@meta", name)
    end
  end)

  for shell, file in pairs { bash = "bash-completion/completions/lunette", zsh = "zsh/site-functions/_lunette",
    fish = "fish/vendor_completions.d/lunette.fish" } do
    it("completes in " .. shell, function()
      assert.equal(installed("completion", shell), loop.read_file(prefix .. "/share/" .. file))
    end)
  end
end)
