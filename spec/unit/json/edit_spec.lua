-- Editing: parts of a vectored write, cutting items with the right commas, and one line.
local J = require "spec.unit.json.support"
local lib, ffi = J.lib, J.ffi

-- Edits as { from, to, with } with Lua's positions (from..to is replaced; to < from inserts).
local function splice(source, edits, max)
  local block = lib.ln_bytes_copy(source, #source)
  local text = ffi.new("struct ln_str", block.data, #source)
  local list = ffi.new("struct ln_edit[?]", math.max(#edits, 1))
  for i, e in ipairs(edits) do
    list[i - 1].at = ffi.new("struct ln_str", text.p + (e[1] - 1), e[2] - e[1] + 1)
    list[i - 1].with = J.text(e[3])
  end
  max = max or 2 * #edits + 1
  local parts = ffi.new("struct ln_iov[?]", max + 1)
  local n = lib.ln_json_splice(text, block, list, #edits, parts, max)
  local out, owned = {}, {}
  for i = 0, n - 1 do
    out[#out + 1] = ffi.string(parts[i].p, parts[i].n)
    owned[#owned + 1] = parts[i].owner ~= nil
    if parts[i].owner ~= nil then assert.are.equal(block, parts[i].owner) end
  end
  lib.ln_bytes_unref(block)
  return n, out, owned
end

local function spliced(source, edits)
  local n, out = splice(source, edits)
  assert.is_true(n >= 0)
  return table.concat(out)
end

-- The container without the items whose numbers are given.
local function cut(text, which)
  local source = J.text(text)
  local items = ffi.new("struct ln_json_item[?]", #which + 1)
  local cur, item, n, i = lib.ln_json_enter(source), ffi.new "struct ln_json_item", 0, 0
  while lib.ln_json_next(cur, item) do
    i = i + 1
    for _, w in ipairs(which) do
      if w == i then
        items[n] = item
        n = n + 1
      end
    end
  end
  assert.are.equal(#which, n)
  local edits = ffi.new("struct ln_edit[?]", n + 1)
  local n_edits
  if n == 1 then
    edits[0] = lib.ln_json_cut(source, items[0])
    n_edits = 1
  else
    n_edits = tonumber(lib.ln_json_cut_all(source, items, n, edits))
  end
  local parts = ffi.new("struct ln_iov[?]", 2 * n_edits + 1)
  local n_parts = lib.ln_json_splice(source, nil, edits, n_edits, parts, 2 * n_edits + 1)
  assert.is_true(n_parts >= 0)
  local out = {}
  for k = 0, n_parts - 1 do out[#out + 1] = ffi.string(parts[k].p, parts[k].n) end
  return table.concat(out), n_edits
end

describe("editing", function()
  after_each(function() assert.are.equal(0, J.release()) end)

  describe("ln_json_splice", function()
    it("replaces, inserts and removes", function()
      assert.are.equal('{"id":77}', spliced('{"id":1}', { { 7, 7, "77" } }))
      assert.are.equal('{"a":0,"id":1}', spliced('{"id":1}', { { 2, 1, '"a":0,' } }))
      assert.are.equal("{}", spliced('{"id":1}', { { 2, 7, "" } }))
      assert.are.equal("[9,2,8]", spliced("[1,2,3]", { { 2, 2, "9" }, { 6, 6, "8" } }))
      assert.are.equal("ab", spliced("", { { 1, 0, "ab" } }))
      assert.are.equal("x", spliced("abc", { { 1, 3, "x" } }))
      assert.are.equal("<abc>", spliced("abc", { { 1, 0, "<" }, { 4, 3, ">" } }))
    end)
    it("carries edits out in order, also where they touch", function()
      assert.are.equal("xyd", spliced("abcd", { { 1, 2, "x" }, { 3, 3, "y" } }))
      assert.are.equal("12abcd", spliced("abcd", { { 1, 0, "1" }, { 1, 0, "2" } }))
      assert.are.equal("a1xcd", spliced("abcd", { { 2, 1, "1" }, { 2, 2, "x" } }))
      assert.are.equal("ax1cd", spliced("abcd", { { 2, 2, "x" }, { 3, 2, "1" } }))
    end)
    it("gives the source's parts its owner and the others none", function()
      local n, out, owned = splice("abcdef", { { 2, 2, "X" }, { 5, 5, "Y" } })
      assert.are.equal(5, n)
      assert.are.same({ "a", "X", "cd", "Y", "f" }, out)
      assert.are.same({ true, false, true, false, true }, owned)
    end)
    it("makes no empty parts", function()
      local function parts(...)
        local _, out = splice(...)
        return out
      end
      assert.are.same({ "abc" }, parts("abc", {}))
      assert.are.same({}, parts("", {}))
      assert.are.same({}, parts("abc", { { 1, 3, "" } }))
      assert.are.same({ "a", "c" }, parts("abc", { { 2, 2, "" } }))
      assert.are.same({ "X", "Y" }, parts("ab", { { 1, 1, "X" }, { 2, 2, "Y" } }))
      assert.are.same({ "a" }, parts("ab", { { 2, 2, nil } }))
    end)
    it("says so when the parts don't fit", function()
      assert.are.equal(5, (splice("abcde", { { 2, 2, "X" }, { 4, 4, "Y" } }, 5)))
      for max = 0, 4 do
        assert.are.equal("EFULL", J.err((splice("abcde", { { 2, 2, "X" }, { 4, 4, "Y" } }, max))))
      end
      assert.are.equal(1, (splice("abc", {}, 1)))
      assert.are.equal("EFULL", J.err((splice("abc", {}, 0))))
    end)
  end)

  describe("ln_json_cut", function()
    it("takes one comma along", function()
      assert.are.equal("[2,3]", cut("[1,2,3]", { 1 }))
      assert.are.equal("[1,3]", cut("[1,2,3]", { 2 }))
      assert.are.equal("[1,2]", cut("[1,2,3]", { 3 }))
      assert.are.equal("[]", cut("[1]", { 1 }))
      assert.are.equal('{"b":2}', cut('{"a":1,"b":2}', { 1 }))
      assert.are.equal('{"a":1}', cut('{"a":1,"b":2}', { 2 }))
      assert.are.equal("{}", cut('{"a":1}', { 1 }))
      assert.are.equal('{"":[]}', cut('{"":[],"":{}}', { 2 }))
    end)
    it("leaves indented text looking as before", function()
      local text = '{\n  "a" : 1 ,\n  "b": [ 2 ],\n  "c":3\n}'
      assert.are.equal('{\n  "b": [ 2 ],\n  "c":3\n}', cut(text, { 1 }))
      assert.are.equal('{\n  "a" : 1 ,\n  "c":3\n}', cut(text, { 2 }))
      assert.are.equal('{\n  "a" : 1 ,\n  "b": [ 2 ]\n}', cut(text, { 3 }))
      assert.are.equal("{\n  \n}", cut('{\n  "a":1\n}', { 1 }))
    end)
    it("is not misled by commas and brackets inside", function()
      assert.are.equal('[",["]', cut('[",[","],",[1,2]]', { 2, 3 }))
      assert.are.equal('[[1,2]]', cut('[",[" ,[1,2]]', { 1 }))
      assert.are.equal('{"}\\",":","}', cut('{"}\\",":",","x":[{}]}', { 2 }))
    end)
    it("takes containers with space around them", function()
      assert.are.equal(" [ 2 ] ", cut(" [ 1 , 2 ] ", { 1 }))
      assert.are.equal(" [ 1  ] ", cut(" [ 1 , 2 ] ", { 2 }))
    end)
  end)

  describe("ln_json_cut_all", function()
    it("removes neighbours in one edit", function()
      assert.are.same({ "[3]", 1 }, { cut("[1,2,3]", { 1, 2 }) })
      assert.are.same({ "[1]", 1 }, { cut("[1,2,3]", { 2, 3 }) })
      assert.are.same({ "[]", 1 }, { cut("[1,2,3]", { 1, 2, 3 }) })
      assert.are.same({ "[2]", 2 }, { cut("[1,2,3]", { 1, 3 }) })
    end)
    it("removes nothing when nothing is given", function()
      assert.are.same({ "[1,2]", 0 }, { cut("[1,2]", {}) })
    end)
    it("leaves exactly the others, whichever are cut", function()
      local kinds = {
        { "[", "]", { "1", '"a,b"', "[1,2]", "{}", "null", '"]"', "-1.5" } },
        { "{", "}", { '"a":1', '"b" : "x"', '"c":[{}]', '"":{"a":1}', '"}":","', '"f":0', '"g":[]' } },
      }
      for _, kind in ipairs(kinds) do
        for _, comma in ipairs { ",", " , ", ",\n  " } do
          for size = 1, 7 do
            for mask = 1, 2 ^ size - 1 do
              local all, kept, which = {}, {}, {}
              for i = 1, size do
                all[i] = kind[3][i]
                if math.floor(mask / 2 ^ (i - 1)) % 2 == 1 then
                  which[#which + 1] = i
                else
                  kept[#kept + 1] = kind[3][i]
                end
              end
              local text = cut(kind[1] .. table.concat(all, comma) .. kind[2], which)
              assert.are.equal("OK", (J.scan(text)))
              local expected = J.items(kind[1] .. table.concat(kept, ",") .. kind[2])
              assert.are.same(expected, J.items(text))
              if comma == "," then assert.are.equal(kind[1] .. table.concat(kept, ",") .. kind[2], text) end
            end
            assert.are.equal(0, J.release())
          end
        end
      end
    end)
  end)

  describe("ln_json_one_line", function()
    local function one_line(s, max)
      local b = J.buf(max)
      local rc = lib.ln_json_one_line(J.text(s), b)
      return J.err(rc), J.held(b)
    end
    it("drops line breaks and nothing else", function()
      for text, line in pairs {
        ['{\n  "a": 1,\r\n\t"b": "x\\ny"\n}\n'] = '{  "a": 1,\t"b": "x\\ny"}', ["[1,2]"] = "[1,2]", ["\n\r\n"] = "",
        ["[\r1\r]"] = "[1]", [""] = "", ["\n1"] = "1",
      } do
        assert.are.same({ "OK", line }, { one_line(text) })
      end
      assert.are.same({ "OK", "" }, { one_line(nil) })
    end)
    it("finds them at any offset", function()
      for before = 0, 40 do
        for after = 0, 20 do
          local head, tail = "[" .. (" "):rep(before), (" "):rep(after) .. "]"
          assert.are.same({ "OK", head .. tail }, { one_line(head .. "\n" .. tail) })
          assert.are.same({ "OK", head .. tail }, { one_line(head .. "\r\n" .. tail) })
        end
      end
    end)
    it("appends, up to the buffer's maximum", function()
      assert.are.same({ "OK", "[1,2]" }, { one_line("[1,\n2]", 5) })
      assert.are.equal("ELIMIT", (one_line("[1,\n2]", 4)))
    end)
  end)

  describe("putting a member into an object", function()
    local function put(object, name, value, max)
      local b = J.buf(max)
      lib.ln_buf_append(b, object, #object)
      local rc = lib.ln_json_put_member(b, name, J.text(value))
      return ffi.string(lib.ln_err_name(rc)), ffi.string(b.data, b.len)
    end
    it("takes the place of one that is there, byte for byte around it", function()
      assert.are.same({ "OK", '{ "a" : {"x":1} , "b":2}' }, { put('{ "a" : 5 , "b":2}', "a", '{"x":1}') })
      assert.are.same({ "OK", '{"a":1,"b":[]}' }, { put('{"a":1,"b":null}', "b", "[]") })
    end)
    it("makes it the last where there is none, with a comma where one is needed", function()
      assert.are.same({ "OK", '{"a":1}' }, { put("{}", "a", "1") })
      assert.are.same({ "OK", '{"b":2,"a":1}' }, { put('{"b":2}', "a", "1") })
      assert.are.same({ "OK", '{ "a":1}' }, { put("{ }", "a", "1") })
      assert.are.same({ "OK", '{"b":{"a":2},"a":1}' }, { put('{"b":{"a":2}}', "a", "1") })
    end)
    it("leaves the object as it was where there is no room", function()
      assert.are.same({ "ELIMIT", '{"b":2}' }, { put('{"b":2}', "a", '"long"', 10) })
    end)
  end)
end)
