-- src/proxy/lists/view_page.c: what a client that lists is answered.
local H = require "spec.unit.proxy.host"
local lib = H.lib

describe("pages of a list", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local function raw(result)
    return { "a", on = { ["tools/list"] = function() return '"result":' .. result end } }
  end

  local function sized(n) return ("lunette.configure { page_size = %d } "):format(n) end

  local function tools(names)
    local items = {}
    for name in names:gmatch "%S+" do items[#items + 1] = ('{"name":"%s"}'):format(name) end
    return table.concat(items, ",")
  end

  -- All pages as { names = "a b", first =, next = }, from the beginning to the end.
  local function walk(h, kind)
    local pages, cursor = {}, nil
    repeat
      local result, first = h:page(kind or "tools", cursor)
      assert(result, first)
      local names = {}
      for name in result:gmatch '"name":"([^"]*)"' do names[#names + 1] = name end
      cursor = result:match '"nextCursor":("[^"]*")'
      pages[#pages + 1] = { names = table.concat(names, " "), first = first, next = cursor }
    until not cursor or #pages > 100
    return pages
  end

  describe("that nobody touched", function()
    it("go out to the byte, whatever is in them", function()
      for _, result in ipairs {
        '{"tools":[]}', ' {"tools": [ ] }', '{ "tools" : [ {"name":"b", "n":1.0}\t, {"name":"a"} ] , "_meta":{"x": 1e2}}',
        '{"x":[1],"tools":[{"name":"a"}],"tools2":[]}', '{"tools":[{"name":"\\u0061"}]}',
        '{"tools": [ {"name":"a"} , {"name":"b"} ], "nextCursor":null}',
      } do
        local h = H.new("", { raw(result) })
        assert.equal(result:match "^%s*(.*)", (h:page "tools"))
        h = H.new(sized(2), { raw(result) })
        assert.equal(result:match "^%s*(.*)", (h:page "tools"), "of two at most")
        h = H.new("lunette.tools.hide 'nothing'", { raw(result) })
        assert.equal(result:match "^%s*(.*)", (h:page "tools"), "under a rule")
      end
    end)

    it("keep the definitions' bytes where they are cut or put together", function()
      local a, b, c = '{"name":"a", "n" : 1.0}', '{ "name":"b" }', '{"name":"c"\t}'
      local h = H.new(sized(0), { { "a", tools = { a, b .. " , " .. c } } })
      assert.equal(('{"tools":[%s,%s,%s]}'):format(a, b, c), (h:page "tools"))
      h = H.new(sized(2), { raw(('{"tools":[ %s , %s , %s ], "_meta":{}}'):format(a, b, c)) })
      assert.equal(('{"tools":[%s,%s],"nextCursor":"from-1"}'):format(a, b), (h:page "tools"))
    end)
  end)

  it("keep what else the one page of the one server says, around what rules left", function()
    local h = H.new("lunette.tools.hide 'b'", { raw '{"_meta":{"x": 1}, "tools": [ {"name":"a"} , {"name":"b"} ] , "x":"tools"}' })
    assert.equal('{"_meta":{"x": 1}, "tools": [{"name":"a"}] , "x":"tools"}', (h:page "tools"))
  end)

  it("without an item that names nothing are written anew", function()
    local h = H.new("", { raw '{"tools":[{"name":"a"} ,{"title":"t"}],"_meta":{}}' })
    assert.equal('{"tools":[{"name":"a"}],"_meta":{}}', (h:page "tools"))
  end)

  it("of a policy's own components alone are the list's form, of each kind", function()
    local h = H.new("lunette.resources.add { uri = 'x:1', name = 'n', read = function() end }", {})
    assert.truthy((h:page "resources"):match '^{"resources":%[{[^{}]*"uri":"x:1"[^{}]*}%]}$')
    h = H.new("", { { "a", templates = '{"uriTemplate":"x:{y}","name":"n"}' }, { "b" } })
    assert.equal('{"resourceTemplates":[{"uriTemplate":"x:{y}","name":"n"}]}', (h:page "templates"))
    assert.equal('{"prompts":[]}', (h:page "prompts"))
  end)

  for size, expected in pairs {
    [0] = { "a b c d e" }, [1] = { "a", "b", "c", "d", "e" }, [2] = { "a b", "c d", "e" }, [4] = { "a b c d", "e" },
    [5] = { "a b c d e" }, [6] = { "a b c d e" },
  } do
    it("of " .. size .. " at most have each item once, in order, and end", function()
      for _, way in ipairs {
        { { "a", tools = tools "a b c d e" } },
        { { "a", tools = { tools "a b", tools "c", "", tools "d e" } } },
        { { "a", tools = tools "a b c", options = "prefix = false" }, { "b", tools = tools "d e", options = "prefix = false" } },
      } do
        local pages = walk(H.new(sized(size), way))
        local names, first = {}, 0
        for i, page in ipairs(pages) do
          names[i] = page.names
          assert.equal(first, page.first)
          first = first + size
        end
        assert.same(expected, names)
      end
    end)

    it("of " .. size .. " at most count what is shown alone", function()
      local with_hidden = { { "a", tools = tools "h1 a h2 h3 b c h4 d e h5 h6 h7" } }
      local pages = walk(H.new(sized(size) .. "lunette.tools.hide 'h*'", with_hidden))
      local names = {}
      for i, page in ipairs(pages) do names[i] = page.names end
      assert.same(expected, names)
    end)
  end

  it("are one, and empty, when all is hidden", function()
    for _, size in ipairs { 0, 1, 3 } do
      local h = H.new(sized(size) .. "lunette.tools.hide '*'", { { "a", tools = tools "a b c d" }, { "b", tools = tools "e" } })
      assert.equal('{"tools":[]}', (h:page "tools"))
    end
  end)

  it("are found by their cursors and by nothing else", function()
    local h = H.new(sized(2), { { "a", tools = tools "a b c d e" } })
    local view = h:view "tools"
    local function at(cursor) return (H.page_of(view, cursor) or "refused"):match '"name":"(.)"' or "refused" end
    for cursor, found in pairs {
      ['""'] = "a", ['"from-1"'] = "c", ['"from-2"'] = "e",
      ['"from-0"'] = "refused", ['"from-3"'] = "refused", ['"from--1"'] = "refused", ['"from-"'] = "refused",
      ['"from-01"'] = "refused", ['"from-1 "'] = "refused", ['" from-1"'] = "refused", ['"from-1.0"'] = "refused",
      ['"from-1e0"'] = "refused", ['"FROM-1"'] = "refused", ['"1"'] = "refused", ['"from"'] = "refused", ['"f"'] = "refused",
      ['"from-18446744073709551617"'] = "refused", ['"from-9223372036854775807"'] = "refused",
      ['"from-\\u0031"'] = "refused", ['"from-1\\u0000"'] = "refused", ['"\\u0000"'] = "refused",
      ["1"] = "refused", ["0"] = "refused", ["{}"] = "refused", ["[]"] = "refused", ["true"] = "refused", ["-0.5e1"] = "refused",
    } do
      assert.equal(found, at(cursor), cursor)
    end
    local result, why = H.page_of(view, '"x"')
    assert.is_nil(result)
    assert.equal('{"code":-32602,"message":"Unknown cursor: start again without one"}', why)
  end)

  it("are found by cursors of the same names alone where requests may see different ones", function()
    local h = H.new(sized(2) .. "lunette.tools.filter(function(t, ctx) return ctx.headers.a or t.name ~= 'a' end)"
      .. "lunette.tools.transform('*', function(t, ctx) t.title = ctx.headers.b return t end)", { { "a", tools = tools "a b c d e" } })
    local s = h:join()
    local function of(text)
      local bytes = lib.ln_bytes_copy(text, #text)
      lib.ln_session_set_headers(s, bytes)
      lib.ln_bytes_unref(bytes)
      return h:view("tools", s)
    end
    local function at(view, cursor) return (H.page_of(view, cursor) or "refused"):match '"name":"(.)"' or "refused" end
    local all, some, titled = of "a\0001\0", of "", of "b\0x\0"
    local function next_of(view) return '"' .. (H.page_of(view)):match '"nextCursor":"([^"]*)"' .. '"' end
    local cursor = next_of(some)
    assert.equal("d", at(some, cursor))
    assert.equal("d", at(titled, cursor))
    assert.equal("refused", at(all, cursor))
    assert.equal("c", at(all, next_of(all)))
    for _, other in ipairs { '"from-1"', '"from-1-"', cursor:gsub("from%-1", "from-2"), cursor:gsub("from%-1", "from-"),
      cursor:gsub("from%-", "from--"), cursor:sub(1, -3) .. '"' } do
      assert.equal("refused", at(some, other), other)
    end
  end)

  it("of one page have no cursor but the beginning's", function()
    local h = H.new(sized(0), { { "a", tools = tools "a b" } })
    assert.equal('{"tools":[{"name":"a"},{"name":"b"}]}', (h:page("tools", '""')))
    assert.is_nil((h:page("tools", '"from-1"')))
    assert.is_nil((h:page("tools", '"2"')), "the server's own cursors mean nothing here")
  end)

  it("of 100,000 items are as many as there are, and hold each once", function()
    local items = {}
    for i = 1, 100000 do items[i] = ('{"name":"t%d"}'):format(i) end
    local h = H.new(sized(999) .. "lunette.configure { max_message_bytes = 8000000 }", { { "a", tools = table.concat(items, ",") } })
    local view, seen, n, pages, cursor = h:view "tools", {}, 0, 0, nil
    repeat
      local result = H.page_of(view, cursor)
      for name in result:gmatch '"name":"([^"]*)"' do
        assert(not seen[name], name)
        seen[name], n = true, n + 1
      end
      pages, cursor = pages + 1, result:match '"nextCursor":("[^"]*")'
    until not cursor
    assert.equal(100000, n)
    assert.equal(101, pages)
  end)
end)
