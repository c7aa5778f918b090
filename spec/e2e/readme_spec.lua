-- README.md tells the truth: its console blocks are run as they stand, one after the other, and must
-- print what it says they print.
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- The fenced blocks of a page: { { kind =, text =, line = } … }
local function blocks(page)
  local list, line, block = {}, 0, nil
  for text in page:gmatch "([^\n]*)\n" do
    line = line + 1
    local kind = text:match "^```(%w*)$"
    if kind and not block then
      block = { kind = kind, text = "", line = line + 1 }
    elseif kind then
      list[#list + 1] = block
      block = nil
    elseif block then
      block.text = block.text .. text .. "\n"
    end
  end
  return list
end

-- { { command =, output =, line = } … }
local function commands(block)
  local list, line = {}, block.line
  for text in block.text:gmatch "([^\n]*)\n" do
    local command = text:match "^%$ (.*)$"
    if command then
      list[#list + 1] = { command = command, output = "", line = line }
    else
      list[#list].output = list[#list].output .. text .. "\n"
    end
    line = line + 1
  end
  return list
end

-- A folder with what the page assumes: the examples, and the program in PATH.
local function workplace()
  local dir = loop.tempdir()
  assert(loop.uv.fs_symlink(lunette.root .. "/examples", dir .. "/examples"))
  local bin = dir .. "/bin"
  assert(loop.uv.fs_mkdir(bin, 448))
  assert(loop.uv.fs_symlink(lunette.binary, bin .. "/lunette"))
  return dir, bin .. ":" .. os.getenv "PATH"
end

-- A block that begins with "-- FILE" is written to the file; with "-- FILE, continued" added to it.
local function write(dir, block)
  local name, continued = block.text:match "^%-%- ([%w.]+)(,? ?c?o?n?t?i?n?u?e?d?)\n"
  assert(name, ("README.md:%d: no file name in the first line"):format(block.line))
  local path = dir .. "/" .. name
  local before = continued ~= "" and slurp(path) .. "\n" or ""
  loop.write_file(path, before .. block.text)
end

describe("README.md", function()
  after_each(lunette.finish)

  it("shows what really happens", function()
    local dir, path = workplace()
    local run = 0
    for _, block in ipairs(blocks(slurp(lunette.root .. "/README.md"))) do
      if block.kind == "lua" then write(dir, block) end
      for _, step in ipairs(block.kind == "console" and commands(block) or {}) do
        local result = process.run { command = "sh", args = { "-c", step.command .. " 2>&1" }, cwd = dir,
          env = { PATH = path, COLUMNS = false }, name = step.command }
        assert.equal(step.output, result.stdout, ("README.md:%d: %s"):format(step.line, step.command))
        run = run + 1
      end
    end
    assert.is_true(run >= 8)
  end)
end)
