-- What a build that may be installed has against mistakes in it being made use of, as the binary itself shows it.
local build = require "spec.support.build"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"

describe("a release build", function()
  local development = build.development(lunette.binary)

  after_each(lunette.finish)

  local function shows(name, test)
    it(name, function()
      if development then pending("a development build: " .. development) end
      test()
    end)
  end

  local function readelf(...)
    local done = process.run { command = "readelf", args = { "-W", ..., lunette.binary } }
    assert.equal(0, done.code, done.stderr)
    return done.stdout
  end

  local function imports(pattern)
    local found = {}
    for line in readelf "--dyn-syms":gmatch "[^\n]+" do
      local name = line:match " UND ([%w_]+)"
      if name and name:find(pattern) then found[#found + 1] = name end
    end
    return found
  end

  shows("is placed anywhere in memory", function()
    assert.truthy(readelf "-h":find("Type:%s+DYN"))
    assert.truthy(readelf "-d":find("FLAGS_1%)[^\n]* PIE"))
  end)

  shows("has what the linker fills in closed against writing before it runs", function()
    assert.truthy(readelf "-l":find "GNU_RELRO")
    assert.truthy(readelf "-d":find("FLAGS_1%)[^\n]* NOW"))
  end)

  shows("runs nothing on its stack, and nothing that it can write", function()
    local segments = readelf "-l"
    local stack = segments:match "GNU_STACK[^\n]*"
    assert.truthy(stack:find " RW +0x", stack)
    for line in segments:gmatch "\n *(LOAD[^\n]*)" do assert.is_nil(line:find " RWE ", line) end
  end)

  shows("guards its stack", function()
    assert.same({ "__stack_chk_fail" }, imports "^__stack_chk_fail$")
  end)

  shows("calls libc's checked functions", function()
    assert.is_true(#imports "^__[%w_]+_chk$" > 3)
  end)
end)
