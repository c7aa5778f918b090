-- Completion: what the engine offers for a command line, and that the shells make of it what they should.
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"

local notes = lunette.root .. "/examples/notes.lua"

-- The candidates for a line's words: { text… }, and text → description.
local function candidates(...)
  local result = lunette.cli { "completion", "words", "--", ... }
  assert.equal(0, result.code, result.stderr)
  local list, what = {}, {}
  for line in result.stdout:gmatch "[^\n]+" do
    local text, note = line:match "^([^\t]*)\t?(.*)$"
    list[#list + 1] = text
    what[text] = note
  end
  return list, what
end

local function program(name)
  for dir in os.getenv("PATH"):gmatch "[^:]+" do
    if loop.uv.fs_access(dir .. "/" .. name, "X") then return dir .. "/" .. name end
  end
end

describe("lunette completion", function()
  after_each(lunette.finish)

  it("offers what may come next", function()
    for name, case in pairs {
      ["commands"] = { { "ch" }, { "check" } },
      ["commands to be explained"] = { { "help", "re" }, { "read" } },
      ["shells"] = { { "completion", "" }, { "bash", "zsh", "fish" } },
      ["options"] = { { "run", "--s" }, { "--stdio" } },
      ["options once"] = { { "run", "--stdio", "--st" }, {} },
      ["options that may be repeated"] = { { "run", "--policy", "a.lua", "--po" }, { "--policy" } },
      ["busted's options"] = { { "test", "--filter" }, { "--filter", "--filter-out" } },
      ["log levels"] = { { "list", "--log-level", "" }, { "debug", "info", "warn", "error", "none" } },
      ["log levels after ="] = { { "list", "--log-level=w" }, { "--log-level=warn" } },
      ["log formats"] = { { "run", "x.lua", "--log-format", "j" }, { "json" } },
      ["policies"] = { { "run", "--policy", "" }, { ":files lua" } },
      ["targets"] = { { "run", "" }, { ":files lua json jsonc" } },
      ["specs"] = { { "test", "" }, { ":files lua" } },
      ["commands after --"] = { { "list", "--", "n" }, { ":commands" } },
      ["files after a command"] = { { "list", "--", "npx", "" }, { ":files" } },
      ["nothing for an unknown command"] = { { "frobnicate", "" }, {} },
      ["nothing where an address is wanted"] = { { "run", "--http", "" }, {} },
    } do
      assert.same(case[2], (candidates(unpack(case[1]))), name)
    end
  end)

  it("offers names of tools, with what they do, and their arguments that are missing", function()
    local names, what = candidates("call", notes, "")
    assert.same({ "search_notes", "add_note", "delete_note", "wipe" }, names)
    assert.equal("Delete a note.", what.delete_note)
    assert.same({ "add_note" }, (candidates("call", notes, "a")))
    assert.same({ "limit=", "query=" }, (candidates("call", notes, "search_notes", "")))
    assert.same({ "limit=" }, (candidates("call", "--json", notes, "search_notes", "query=x", "")))
  end)

  it("offers URIs, prompts and their arguments", function()
    assert.same({ "note://index" }, (candidates("read", notes, "note:")))
    assert.same({ "summarize" }, (candidates("prompt", notes, "")))
    assert.same({ "topic=" }, (candidates("prompt", notes, "summarize", "")))
  end)

  it("offers names as the policies leave them, and values that a schema lists", function()
    local policy = lunette.policy [[
      lunette.tools.add { name = "paint", inputSchema = { type = "object", properties = {
        colour = { type = "string", enum = { "red", "blue" } }, wet = { type = "boolean" } } }, handler = print }]]
    local rules = lunette.policy 'lunette.tools.rename { paint = "brush" }'
    assert.same({ "brush" }, (candidates("call", policy, "--policy", rules, "")))
    assert.same({ "colour=blue" }, (candidates("call", policy, "paint", "colour=b")))
    assert.same({ "wet=true", "wet=false" }, (candidates("call", policy, "paint", "wet=")))
  end)

  it("offers files where a target can't be asked", function()
    local policy = lunette.policy "this is no Lua"
    assert.same({ ":files lua json jsonc" }, (candidates("call", policy, "")))
  end)

  it("gives up a server that is slow, and leaves nothing of it", function()
    local policy = lunette.policy 'lunette.upstream("slow", { command = "sh", args = { "-c", "while read x; do :; done" } })'
    local result = process.run { command = lunette.binary, args = { "completion", "words", "--", "call", policy, "" },
      name = "lunette", timeout = 20000 }
    assert.equal("", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("wants the name of a shell", function()
    assert.equal(2, lunette.cli({ "completion" }).code)
    assert.equal(2, lunette.cli({ "completion", "tcsh" }).code)
  end)

  -- What bash itself makes of a line up to the cursor.
  local function bash(line, directory)
    local script = [[
      set -u
      eval "$(lunette completion bash)"
      COMP_LINE=$1 COMP_POINT=${#1}
      _lunette
      for word in ${COMPREPLY[@]+"${COMPREPLY[@]}"}; do printf '%s\n' "$word"; done]]
    local dir = loop.tempdir()
    assert(loop.uv.fs_symlink(lunette.binary, dir .. "/lunette"))
    local result = process.run { command = "bash", args = { "-c", script, "bash", line }, cwd = directory or lunette.root,
      env = { PATH = dir .. ":" .. os.getenv "PATH" }, name = "bash" }
    assert.equal(0, result.code, result.stderr)
    assert.equal("", result.stderr)
    local list = {}
    for word in result.stdout:gmatch "[^\n]+" do list[#list + 1] = word end
    return list
  end

  it("works in bash", function()
    assert.same({ "check" }, bash "lunette ch")
    assert.same({ "search_notes" }, bash "lunette call examples/notes.lua s")
    assert.same({ "limit=" }, bash "lunette call examples/notes.lua search_notes query=a li")
    -- bash takes "note:" and "--log-level=" for words of their own, that stand there already.
    assert.same({ "//index" }, bash "lunette read examples/notes.lua note:")
    assert.same({ "warn" }, bash "lunette run --log-level=w")
    local dir = loop.tempdir()
    for _, name in ipairs { "a.lua", "a.json", "a.txt", "a b.lua" } do loop.write_file(dir .. "/" .. name, "") end
    assert(loop.uv.fs_mkdir(dir .. "/adir", 448))
    local found = bash("lunette run a", dir)
    table.sort(found)
    assert.same({ "a b.lua", "a.json", "a.lua", "adir" }, found)
    found = bash("lunette run --policy a", dir)
    table.sort(found)
    assert.same({ "a b.lua", "a.lua", "adir" }, found)
  end)

  for _, shell in ipairs { "zsh", "fish" } do
    it("is something that " .. shell .. " takes", function()
      if not program(shell) then pending(shell .. " is not installed") end
      local path = loop.write_file(loop.tempdir() .. "/script", lunette.cli({ "completion", shell }).stdout)
      local result = process.run { command = shell, args = { "-n", path }, name = shell }
      assert.equal(0, result.code, result.stderr)
      assert.equal("", result.stderr)
    end)
  end

  it("works in fish", function()
    if not program "fish" then pending "fish is not installed" end
    local dir = loop.tempdir()
    assert(loop.uv.fs_symlink(lunette.binary, dir .. "/lunette"))
    local script = "lunette completion fish | source; complete -C 'lunette call examples/notes.lua se'"
    local result = process.run { command = "fish", args = { "--no-config", "-c", script }, cwd = lunette.root,
      env = { PATH = dir .. ":" .. os.getenv "PATH", HOME = dir }, name = "fish" }
    assert.equal("search_notes\tFind the notes whose name or text has a word in it.\n", result.stdout, result.stderr)
  end)
end)
