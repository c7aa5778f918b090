-- scripts/arrows.lua on small trees that are made up: each thing that it must find, beside the like that is fine.
local loop = require "spec.support.loop"

local root = os.getenv "LUNETTE_ROOT" or "."

-- A table of texts, numbers and tables, as Lua writes it.
local function written(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local out = {}
  for key, inside in pairs(value) do
    out[#out + 1] = ("[%s]=%s"):format(type(key) == "number" and key or written(key), written(inside))
  end
  return "{" .. table.concat(out, ",") .. "}"
end

-- What it says of a tree with these files, under these rows for one of its sides.
local function arrows(files, side, rows)
  local dir, tables = loop.tempdir(), {}
  os.execute(("mkdir -p %s/src %s/lua"):format(dir, dir))
  for name, text in pairs(files) do
    local path = dir .. "/" .. name
    os.execute("mkdir -p " .. path:match "^(.*)/")
    loop.write_file(path, text)
  end
  for _, at in ipairs { "src", "lua" } do
    tables[at] = {}
    for _, name in ipairs { "rooms", "outside", "circles", "known" } do
      tables[at][name] = at == side and rows[name] or {}
    end
  end
  loop.write_file(dir .. "/table.lua", "return " .. written(tables))
  local pipe = assert(io.popen(("luajit %s/scripts/arrows.lua %s %s/table.lua 2>&1; echo $?"):format(root, dir, dir)))
  local said = pipe:read "*a"
  pipe:close()
  local out, code = said:match "^(.-)(%d+)\n$"
  assert.equal(out == "" and "0" or "1", code)
  return out
end

local function under(folder, files)
  local with = {}
  for name, text in pairs(files) do with[folder .. "/" .. name] = text end
  return with
end

local function src(files, rows) return arrows(under("src", files), "src", rows) end

local function lua(files, rows) return arrows(under("lua", files), "lua", rows) end

local two = { rooms = { { "low", "" }, { "high", "low" } } }
local apart = { rooms = { { "low", "" }, { "high", "" } } }

describe("arrows in C", function()
  after_each(loop.finish)

  it("may point down, by includes and by calls", function()
    assert.equal("", src({
      ["low/a.h"] = "int ln_a(void);\n",
      ["low/a.c"] = '#include "low/a.h"\nint ln_a(void) { return 1; }\n',
      ["high/b.c"] = '#include "low/a.h"\nint ln_b(void) { return ln_a(); }\n',
    }, two))
  end)

  it("may not point up by an include", function()
    assert.equal("src/low/a.c:2 → src/high/b.h: includes high/b.h; low may not use high\n", src({
      ["low/a.c"] = '\n#include "high/b.h"\n',
      ["high/b.h"] = "#define B 1\n",
    }, apart))
  end)

  it("may not point up by an include in angle brackets", function()
    assert.equal("src/low/a.c:1 → src/high/b.h: includes high/b.h; low may not use high\n", src({
      ["low/a.c"] = "#include <high/b.h>\n",
      ["high/b.h"] = "#define B 1\n",
    }, apart))
  end)

  it("may not point up by a call, though a header of one's own declares what is called", function()
    assert.equal("src/low/a.h:1: declares ln_b, which src/high/b.c defines\n" ..
      "src/low/a.c:4 → src/high/b.c: uses ln_b; low may not use high\n", src({
      ["low/a.h"] = "int ln_b(int n);\n",
      ["low/a.c"] = '#include "low/a.h"\n/* ln_b(0); */\nint ln_a(void) {\n  return ln_b(1);\n}\n',
      ["high/b.c"] = "LN_MUST int ln_b(int n)\n{ return n; }\n",
    }, apart))
  end)

  local up = "src/low/a.c:%d → src/high/%s: uses %s; low may not use high\n"
  local other_ways = {
    { "a function in a table", "int (*const ops[])(void) = {\n  ln_b };", "b.c", 2, "ln_b", "int ln_b(void) { return 0; }" },
    { "one in a macro's body", "\n#define A(x) \\\n  ln_b(x)", "b.c", 3, "ln_b", "int ln_b(int x) { return x; }" },
    { "a variable", "int ln_a(void) { return *ln_b; }", "b.c", 1, "ln_b", "const int *ln_b[3] = {0};" },
    { "one that is only declared here", "extern int ln_b;\nint ln_a(void) { return ln_b; }", "b.c", 2, "ln_b", "int ln_b;" },
  }
  for _, row in ipairs(other_ways) do
    it("may not point up by " .. row[1], function()
      assert.equal(up:format(row[4], row[3], row[5]),
        src({ ["low/a.c"] = row[2] .. "\n", ["high/" .. row[3]] = row[6] .. "\n" }, apart))
    end)
  end

  local seen = {
    { "a struct's members", "struct ln_b b;", "struct ln_b", "struct ln_b { int x; };" },
    { "an enum's constant", "int a = LN_B2;", "LN_B2", "enum ln_b { LN_B1 = (1), LN_B2 };" },
    { "a macro", "int a = LN_B;", "LN_B", "#define LN_B 1" },
    { "a typedef", "ln_b a;", "ln_b", "typedef void (*ln_b)(int x);" },
    { "an inline function", "int ln_a(void) { return ln_b(); }", "ln_b", "static inline int ln_b(void) { return 1; }" },
  }
  for _, row in ipairs(seen) do
    it("may not point up by " .. row[1] .. ", through another's include", function()
      assert.equal(("src/low/a.c:2 → src/high/b.h: uses %s; low may not use high\n"):format(row[3]), src({
        ["low/a.c"] = '#include "mid/m.h"\n' .. row[2] .. "\n",
        ["mid/m.h"] = '#include "high/b.h"\n',
        ["high/b.h"] = row[4] .. "\n",
      }, { rooms = { { "high", "" }, { "mid", "high" }, { "low", "mid" } } }))
    end)
  end

  it("are none where a struct is only handed on, or a member or a static has the name", function()
    assert.equal("", src({
      ["low/a.c"] = "struct ln_b;\nstatic int b(struct ln_b *x, struct c *c) { return use(x) + c->ln_b + c->y.ln_b; }\n",
      ["high/b.h"] = "struct ln_b { int x; };\nint b(void);\n",
      ["high/b.c"] = "int b(void) { return 0; }\nint ln_b(void) { return 0; }\n",
    }, apart))
  end)

  it("may lead to one header of a room, when the row says that", function()
    local files = {
      ["low/a.h"] = "int ln_a(void);\n",
      ["low/impl.h"] = "",
      ["low/a.c"] = "int ln_a(void) { return 1; }\n",
      ["high/b.c"] = '#include "low/a.h"\nint ln_b(void) { return ln_a(); }\n',
    }
    local rows = { rooms = { { "low", "" }, { "high", "low/a.h" } } }
    assert.equal("", src(files, rows))
    files["high/c.c"] = '#include "low/impl.h"\n'
    assert.equal("src/high/c.c:1 → src/low/impl.h: includes low/impl.h; high may not use low\n", src(files, rows))
  end)

  it("may not go round that header by a declaration of one's own", function()
    assert.equal("src/high/b.c:2: declares ln_inner, which src/low/inner.c defines\n", src({
      ["low/a.h"] = "int ln_a(void);\n",
      ["low/a.c"] = '#include "low/a.h"\nint ln_a(void) { return 1; }\n',
      ["low/inner.c"] = "int ln_inner(void) { return 1; }\n",
      ["high/b.c"] = '#include "low/a.h"\nint ln_inner(void);\nint ln_b(void) { return ln_a() + ln_inner(); }\n',
    }, { rooms = { { "low", "" }, { "high", "low/a.h" } } }))
  end)

  it("may lead to all rooms in one, when the row says that", function()
    assert.equal("", src({ ["low/in/a.h"] = "", ["high/b.c"] = '#include "low/in/a.h"\n' },
      { rooms = { { "low/in", "" }, { "high", "low/*" } } }))
  end)

  it("may not make a circle in a room", function()
    local files = {
      ["low/a.h"] = '#include "low/b.h"\n',
      ["low/a.c"] = "int ln_a(void) { return 0; }\n",
      ["low/b.h"] = "int ln_b(void);\n",
      ["low/b.c"] = "int ln_c(void);\nint ln_b(void) { return ln_c(); }\n",
      ["low/c.c"] = "int ln_a(void);\nint ln_c(void) { return ln_a(); }\n",
    }
    assert.equal([[
src/low: a circle of files:
    src/low/a.h:1 → src/low/b.h (low/b.h)
    src/low/b.c:2 → src/low/c.c (ln_c)
    src/low/c.c:2 → src/low/a.c (ln_a)
]], src(files, { rooms = { { "low", "" } } }))
    assert.equal("", src(files, { rooms = { { "low", "" } }, circles = { { "low", "a b c" } } }))
  end)

  it("may not make a circle through one that is listed, nor is one listed that is none", function()
    local files = {
      ["low/a.c"] = "int ln_a(void) { return ln_b(); }\n",
      ["low/b.c"] = "int ln_b(void) { return ln_a() + ln_c(); }\n",
      ["low/c.c"] = "int ln_c(void) { return 0; }\n",
    }
    local rows = { rooms = { { "low", "" } }, circles = { { "low", "a b" } } }
    assert.equal("", src(files, rows))
    rows.circles[1][2] = "a b c"
    assert.equal("table: src/low/c is in no circle any more\n", src(files, rows))
    rows.circles[1][2] = "a b"
    files["low/c.c"] = "int ln_c(void) { return ln_a(); }\n"
    assert.matches("a circle of files:.*low/c.c:1 → src/low/a.c %(ln_a%)", src(files, rows))
    files["low/c.c"] = "int ln_c(void) { return 0; }\n"
    files["low/d.c"] = "int ln_d(void) { return ln_e(); }\n"
    files["low/e.c"] = "int ln_e(void) { return ln_d(); }\n"
    files["low/f.c"] = "int ln_f(void) { return ln_a(); }\n"
    files["low/b.c"] = "int ln_b(void) { return ln_f(); }\n"
    rows.circles[1][2] = "d a e b f"
    assert.equal("table: src/low/d is in a circle of its own with low/e\n"
      .. "table: src/low/e is in a circle of its own with low/d\n", src(files, rows))
  end)

  it("may lead out to libraries by the rooms that are named", function()
    local rows = { rooms = { { "low", "" } }, outside = { ["uv.h"] = "low", ["openssl"] = "low" } }
    local files = { ["low/a.c"] = "#include <uv.h>\n#include <openssl/evp.h>\n#include <stdio.h>\n" }
    assert.equal("", src(files, rows))
    rows.rooms[2], files["high/b.c"] = { "high", "" }, "#include <uv.h>\n"
    assert.equal("src/high/b.c:1: uses uv.h; high may not\n", src(files, rows))
  end)

  it("start and end in rooms that are in the table", function()
    assert.equal("src/new: this room has no row in the table\n", src({ ["new/a.c"] = "" }, { rooms = {} }))
    assert.equal("src/main.c: this room has no row in the table\n", src({ ["main.c"] = "" }, { rooms = {} }))
    assert.equal("src/low/in: this room has no row in the table\n",
      src({ ["low/a.c"] = "", ["low/in/b.c"] = "" }, { rooms = { { "low", "" } } }))
  end)

  it("are not in the table when they are not in the files", function()
    assert.equal("table: src/high doesn't use low\n", src({ ["low/a.c"] = "", ["high/b.c"] = "" }, two))
    assert.equal("table: there is no file in src/low\n", src({ ["high/b.c"] = "" }, apart))
    assert.equal("table: nobody needs uv.h for src/low\n",
      src({ ["low/a.c"] = "" }, { rooms = { { "low", "" } }, outside = { ["uv.h"] = "low" } }))
    assert.equal("table: the known arrow low/a.c → high/b.h is gone\n",
      src({ ["low/a.c"] = "", ["high/b.h"] = "" }, { rooms = apart.rooms, known = { { "low/a.c", "high/b.h" } } }))
  end)

  it("may be known, one by one", function()
    assert.equal("", src({ ["low/a.c"] = '#include "high/b.h"\n', ["high/b.h"] = "" },
      { rooms = apart.rooms, known = { { "low/a.c", "high/b.h" } } }))
  end)

  it("can't be allowed to point up", function()
    assert.matches("table: src/low may not be allowed high, which is no room before it",
      src({ ["low/a.c"] = '#include "high/b.h"\n', ["high/b.h"] = "" }, { rooms = { { "low", "high" }, { "high", "" } } }))
  end)

  it("lead to something, and to one thing", function()
    assert.equal("src/low/a.c:1: includes low/no.h, which is not there\n",
      src({ ["low/a.c"] = '#include "low/no.h"\n' }, { rooms = { { "low", "" } } }))
    assert.matches("ln_a is defined in src/low/b.c too",
      src({ ["low/a.c"] = "int ln_a(void) { return 0; }\n", ["low/b.c"] = "int ln_a(void) { return 0; }\n" },
        { rooms = { { "low", "" } } }))
  end)

  it("lead from C to modules of Lua that are named", function()
    local function said(module)
      local files = { ["src/low/a.c"] = ('void a(void) { ln_require(L, "%s"); }\n'):format(module),
        ["lua/lunette/init.lua"] = "", ["lua/lunette/run.lua"] = "" }
      return (arrows(files, "src", { rooms = { { "low", "" } }, outside = { ["lua/lunette/run"] = "low" } })
        :gsub("lua/lunette: [^\n]*\n", ""))
    end
    assert.equal("", said "lunette.run")
    assert.matches("src/low/a.c:1: uses lua/lunette/init; low may not\n", said "lunette", 1, true)
    assert.matches("src/low/a.c:1: requires lunette.no, which is not there\n", said "lunette.no", 1, true)
  end)
end)

describe("arrows in Lua", function()
  after_each(loop.finish)

  local up = "lua/low/a.lua:2 → lua/high/b.lua: requires high.b; low may not use high\n"
  local ways = {
    'local b = require "high.b"',
    "local b = require('high.b').x",
    "local function later() return require [[high.b]] end",
    'local ok, b = pcall(require, "high.b")',
  }
  for _, text in ipairs(ways) do
    it("may not point up by " .. text, function()
      local files = { ["low/a.lua"] = "-- require 'high.b'\n" .. text .. "\n", ["high/b.lua"] = "" }
      assert.equal(up, lua(files, apart))
      assert.equal("", lua(files, { rooms = { { "high", "" }, { "low", "high" } } }))
    end)
  end

  it("lead to a room when the end of a name is put together", function()
    local files = { ["low/a.lua"] = 'return require("high." .. name)\n', ["high/b.lua"] = "" }
    assert.equal("lua/low/a.lua:1 → lua/high: requires high.; low may not use high\n", lua(files, apart))
    assert.equal("", lua(files, { rooms = { { "high", "" }, { "low", "high" } } }))
  end)

  for _, text in ipairs { "require(name)", "local r = require", 'require("lo" .. name)' } do
    it("must be read off " .. text, function()
      assert.equal("lua/low/a.lua:1: which module this requires can't be read\n",
        lua({ ["low/a.lua"] = text .. "\n" }, { rooms = { { "low", "" } } }))
    end)
  end

  it("are none in texts, comments and fields", function()
    assert.equal("", lua({ ["low/a.lua"] = [==[
      local t = { text = "require 'high.b'", long = [[ require "high.b" ]] } --[[ require "high.b" ]]
      t.require "high.b"
    ]==], ["high/b.lua"] = "" }, apart))
  end)

  it("may not make a circle in a room, also when it is closed later", function()
    local files = {
      ["low/a.lua"] = 'local b = require "low.b"\n',
      ["low/b.lua"] = 'return function() return require "low" end\n',
      ["low/init.lua"] = '\nlocal a = require "low.a"\n',
    }
    assert.equal([[
lua/low: a circle of files:
    lua/low/a.lua:1 → lua/low/b.lua (low.b)
    lua/low/b.lua:1 → lua/low/init.lua (low)
    lua/low/init.lua:2 → lua/low/a.lua (low.a)
]], lua(files, { rooms = { { "low", "" } } }))
  end)

  it("lead out to modules that are named only", function()
    local files = { ["low/a.lua"] = 'local ffi = require "ffi"\n' }
    assert.equal("lua/low/a.lua:1: uses ffi; low may not\n", lua(files, { rooms = { { "low", "" } } }))
    assert.equal("", lua(files, { rooms = { { "low", "" } }, outside = { ffi = "low" } }))
  end)

  it("start in rooms that are in the table", function()
    assert.equal("lua/new: this room has no row in the table\n", lua({ ["new/a.lua"] = "" }, { rooms = {} }))
  end)
end)

describe("the table of arrows", function()
  it("says what is so", function()
    local pipe = assert(io.popen(("luajit %s/scripts/arrows.lua 2>&1"):format(root)))
    assert.equal("", pipe:read "*a")
    pipe:close()
  end)
end)
