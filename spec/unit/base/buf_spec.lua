-- Blocks and buffers: counting references, growing up to the maximum and not a byte further, and
-- handing contents over without a copy.
local B = require "spec.unit.base.support"
local lib, ffi = B.include "base/buf.h", B.ffi

local function held(b)
  return b.data == nil and "" or ffi.string(b.data, b.len)
end

local function buf(max)
  local b = ffi.new "struct ln_buf"
  ffi.fill(b, ffi.sizeof(b), 0xff)
  lib.ln_buf_init(b, max)
  return b
end

describe("blocks and buffers", function()
  local live
  before_each(function() live = lib.ln_bytes_live() end)
  after_each(function() assert.are.equal(live, lib.ln_bytes_live()) end)

  describe("ln_bytes", function()
    it("lives until its last reference goes", function()
      local b = lib.ln_bytes_copy("abc", 3)
      assert.are.equal(live + 1, lib.ln_bytes_live())
      assert.are.equal(3, tonumber(b.len))
      assert.are.equal("abc", ffi.string(b.data, 3))
      assert.are.equal(b, lib.ln_bytes_ref(b))
      assert.are.equal(2, b.refs)
      lib.ln_bytes_unref(b)
      assert.are.equal(live + 1, lib.ln_bytes_live())
      assert.are.equal("abc", ffi.string(b.data, 3))
      lib.ln_bytes_unref(b)
    end)
    it("may be empty", function()
      local b = lib.ln_bytes_copy(nil, 0)
      assert.are.equal(0, tonumber(b.len))
      lib.ln_bytes_unref(b)
      b = lib.ln_bytes_new(0)
      assert.are.equal(1, b.refs)
      lib.ln_bytes_unref(b)
    end)
    it("lets go of nothing", function() lib.ln_bytes_unref(nil) end)
    it("is out of memory where a size can't be", function()
      for _, n in ipairs { (0ULL - 1), (0ULL - 8), (0ULL - 16) } do
        assert.is_true(lib.ln_bytes_new(n) == nil)
      end
    end)
  end)

  describe("ln_buf", function()
    it("holds nothing at first", function()
      local b = buf(10)
      assert.are.same({ 0, 0, 10 }, { tonumber(b.len), tonumber(b.cap), tonumber(b.max) })
      assert.is_true(b.data == nil)
      assert.is_true(lib.ln_buf_take(b) == nil)
      lib.ln_buf_deinit(b)
    end)

    it("keeps what is appended", function()
      local b = buf(1048576)
      local parts = {}
      for i = 1, 2000 do
        parts[i] = ("%d,"):format(i)
        assert.are.equal(0, lib.ln_buf_append(b, parts[i], #parts[i]))
        assert.is_true(b.len <= b.cap and b.cap <= b.max)
      end
      assert.are.equal(table.concat(parts), held(b))
      assert.are.equal(live + 1, lib.ln_bytes_live())
      lib.ln_buf_deinit(b)
    end)

    it("appends in every form", function()
      local b = buf(100)
      local s, keep = B.str "a\0b"
      assert.are.equal(0, lib.ln_buf_append_str(b, s))
      assert.is_truthy(keep)
      assert.are.equal(0, lib.ln_buf_append_c(b, "cd"))
      assert.are.equal(0, lib.ln_buf_printf(b, "%d-%s", ffi.cast("int", 7), "x"))
      assert.are.equal(0, lib.ln_buf_append(b, nil, 0))
      assert.are.equal(0, lib.ln_buf_append_str(b, ffi.new "struct ln_str"))
      assert.are.equal("a\0bcd7-x", held(b))
      lib.ln_buf_deinit(b)
    end)

    it("grows to its maximum and no further", function()
      for _, max in ipairs { 0, 1, 255, 256, 257, 300, 513 } do
        local b = buf(max)
        for _ = 1, max do assert.are.equal(0, lib.ln_buf_append(b, "x", 1)) end
        assert.are.equal("ELIMIT", B.err(lib.ln_buf_append(b, "x", 1)))
        assert.are.equal("ELIMIT", B.err(lib.ln_buf_reserve(b, 1)))
        assert.are.equal("ELIMIT", B.err(lib.ln_buf_append_c(b, "x")))
        assert.are.equal("ELIMIT", B.err(lib.ln_buf_printf(b, "x")))
        assert.are.equal(("x"):rep(max), held(b))
        assert.are.equal(max, tonumber(b.cap))
        lib.ln_buf_deinit(b)
      end
    end)

    it("is not fooled by sizes near the end of the address space", function()
      local b = buf(0ULL - 1)
      assert.are.equal(0, lib.ln_buf_append(b, "abc", 3))
      assert.are.equal("ENOMEM", B.err(lib.ln_buf_reserve(b, 0ULL - 4)))
      assert.are.equal("ENOMEM", B.err(lib.ln_buf_reserve(b, 0ULL - 40)))
      assert.are.equal("ELIMIT", B.err(lib.ln_buf_reserve(b, 0ULL - 1)))
      assert.are.equal("abc", held(b))
      lib.ln_buf_deinit(b)
    end)

    it("leaves the contents alone when there is no room", function()
      local b = buf(5)
      assert.are.equal(0, lib.ln_buf_append_c(b, "abc"))
      assert.are.equal("ELIMIT", B.err(lib.ln_buf_append_c(b, "def")))
      assert.are.equal("ELIMIT", B.err(lib.ln_buf_printf(b, "%s", "def")))
      assert.are.equal("abc", held(b))
      lib.ln_buf_deinit(b)
    end)

    describe("once an append has failed", function()
      local forms = {
        append = function(b) return lib.ln_buf_append(b, "d", 1) end,
        ["an append of nothing"] = function(b) return lib.ln_buf_append(b, "", 0) end,
        append_str = function(b) return lib.ln_buf_append_str(b, (B.str "d")) end,
        append_c = function(b) return lib.ln_buf_append_c(b, "d") end,
        printf = function(b) return lib.ln_buf_printf(b, "d") end,
        reserve = function(b) return lib.ln_buf_reserve(b, 1) end,
        ["a reserve within its store"] = function(b) return lib.ln_buf_reserve(b, 0) end,
      }
      local function failed()
        local b = buf(5)
        assert.are.equal(0, lib.ln_buf_append_c(b, "abc"))
        assert.are.equal("ELIMIT", B.err(lib.ln_buf_append_c(b, "def")))
        return b
      end

      for name, form in pairs(forms) do
        it("refuses what would fit: " .. name, function()
          local b = failed()
          assert.are.equal("ELIMIT", B.err(form(b)))
          assert.are.equal("ELIMIT", B.err(b.err))
          assert.are.equal("abc", held(b))
          lib.ln_buf_deinit(b)
        end)
      end

      it("keeps the first error", function()
        local b = buf(5)
        assert.are.equal(0, lib.ln_buf_fail(b, 0))
        assert.are.equal("EINVALID", B.err(lib.ln_buf_fail(b, -7)))
        assert.are.equal("EINVALID", B.err(lib.ln_buf_append_c(b, "far too long")))
        assert.are.equal("EINVALID", B.err(lib.ln_buf_fail(b, -1)))
        assert.are.equal("EINVALID", B.err(lib.ln_buf_fail(b, 0)))
        assert.are.equal("", held(b))
        lib.ln_buf_deinit(b)
      end)

      it("hands nothing over, though it holds something", function()
        local b = failed()
        assert.is_true(lib.ln_buf_take(b) == nil)
        assert.are.equal("abc", held(b))
        assert.are.equal(live + 1, lib.ln_bytes_live())
        assert.is_true(lib.ln_buf_finish(b) == nil)
        assert.are.equal(live, lib.ln_bytes_live())
      end)

      it("is refused even where bytes were dropped from the front", function()
        local b = failed()
        lib.ln_buf_consume(b, 2)
        assert.are.equal("ELIMIT", B.err(lib.ln_buf_append_c(b, "d")))
        assert.are.equal("c", held(b))
        lib.ln_buf_deinit(b)
      end)

      it("goes on after deinit", function()
        local b = failed()
        lib.ln_buf_deinit(b)
        assert.are.equal(0, lib.ln_buf_append_c(b, "abcde"))
        assert.are.equal("abcde", held(b))
        lib.ln_buf_deinit(b)
      end)

      it("goes on from where it is truncated", function()
        local b = failed()
        lib.ln_buf_truncate(b, 3)
        assert.are.equal(0, lib.ln_buf_append_c(b, "d"))
        assert.are.equal("abcd", held(b))
        lib.ln_buf_truncate(b, 1)
        assert.are.equal(0, lib.ln_buf_append_c(b, "z"))
        assert.are.equal("az", held(b))
        lib.ln_buf_truncate(b, 0)
        assert.is_true(lib.ln_buf_finish(b) == nil)
      end)
    end)

    it("does not fail by asking for room", function()
      local b = buf(5)
      assert.are.equal("ELIMIT", B.err(lib.ln_buf_reserve(b, 6)))
      assert.are.equal(0, b.err)
      assert.are.equal(0, lib.ln_buf_append_c(b, "abcde"))
      assert.are.equal("abcde", held(b))
      lib.ln_buf_deinit(b)
    end)

    it("ends with its contents as a block", function()
      local b = buf(100)
      assert.are.equal(0, lib.ln_buf_append_c(b, "abc"))
      local block = lib.ln_buf_finish(b)
      assert.are.equal("abc", ffi.string(block.data, block.len))
      assert.are.same({ 0, 0, 100 }, { tonumber(b.len), tonumber(b.cap), tonumber(b.max) })
      lib.ln_bytes_unref(block)
      assert.is_true(lib.ln_buf_finish(b) == nil)
    end)

    it("prints to the last byte of its maximum", function()
      for _, max in ipairs { 5, 256, 512 } do
        local b = buf(max)
        assert.are.equal(0, lib.ln_buf_printf(b, "%s", ("x"):rep(max)))
        assert.are.equal(("x"):rep(max), held(b))
        lib.ln_buf_deinit(b)
        assert.are.equal("ELIMIT", B.err(lib.ln_buf_printf(b, "%s", ("x"):rep(max + 1))))
        lib.ln_buf_deinit(b)
      end
      local b = buf(0)
      assert.are.equal(0, lib.ln_buf_printf(b, "%s", ""))
      assert.are.equal(0, tonumber(b.len))
    end)

    it("drops bytes from the front", function()
      local b = buf(100)
      assert.are.equal(0, lib.ln_buf_append_c(b, "abcdef"))
      lib.ln_buf_consume(b, 0)
      lib.ln_buf_consume(b, 2)
      assert.are.equal("cdef", held(b))
      assert.are.equal(0, lib.ln_buf_append_c(b, "g"))
      lib.ln_buf_consume(b, 5)
      assert.are.equal("", held(b))
      lib.ln_buf_consume(b, 0)
      lib.ln_buf_deinit(b)
    end)

    it("may be used again after deinit", function()
      local b = buf(100)
      assert.are.equal(0, lib.ln_buf_append_c(b, "abc"))
      lib.ln_buf_deinit(b)
      assert.are.same({ 0, 0, 100 }, { tonumber(b.len), tonumber(b.cap), tonumber(b.max) })
      assert.are.equal(0, lib.ln_buf_append_c(b, "d"))
      assert.are.equal("d", held(b))
      lib.ln_buf_deinit(b)
      lib.ln_buf_deinit(b)
    end)

    it("hands its contents over as a block", function()
      for _, n in ipairs { 1, 10, 191, 192, 193, 256, 257, 5000 } do
        local b = buf(1048576)
        local text = ("0123456789abc"):rep(400):sub(1, n)
        for i = 1, n do assert.are.equal(0, lib.ln_buf_append(b, text:sub(i, i), 1)) end
        local block = lib.ln_buf_take(b)
        assert.are.equal(1, block.refs)
        assert.are.equal(text, ffi.string(block.data, block.len))
        assert.are.same({ 0, 0, 1048576 }, { tonumber(b.len), tonumber(b.cap), tonumber(b.max) })
        assert.are.equal(0, lib.ln_buf_append_c(b, "next"))
        assert.are.equal(text, ffi.string(block.data, block.len))
        lib.ln_buf_deinit(b)
        lib.ln_bytes_unref(block)
      end
    end)

    it("gives its store away, not a copy", function()
      local b = buf(1000)
      assert.are.equal(0, lib.ln_buf_append_c(b, ("x"):rep(250)))
      local data = b.data
      local block = lib.ln_buf_take(b)
      assert.is_true(ffi.cast("char *", block.data) == data)
      lib.ln_bytes_unref(block)
    end)

    it("has nothing to hand over once it was cleared", function()
      local b = buf(1000)
      assert.are.equal(0, lib.ln_buf_append_c(b, "abc"))
      lib.ln_buf_consume(b, 3)
      assert.is_true(lib.ln_buf_take(b) == nil)
      lib.ln_buf_deinit(b)
    end)
  end)
end)
