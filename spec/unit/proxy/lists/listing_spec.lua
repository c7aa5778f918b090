-- src/proxy/lists/listing.c: the pages that a server answers with, as one list.
local H = require "spec.unit.proxy.host"
local lib = H.lib

describe("a listing", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  -- Of a server's pages (each a result's text): the codes of ln_listing_add, and use(listing).
  local function listed(kind, pages, use, rules)
    local h = H.new(rules or "", { { "a" } })
    local list, codes = lib.ln_listing_new(h:server "a", H.kinds[kind]), {}
    for i, page in ipairs(pages) do
      codes[i] = H.with_msg('{"jsonrpc":"2.0","id":1,"result":' .. page .. "}", function(m)
        return lib.ln_listing_add(list, m)
      end)
    end
    local result = use and use(list, h)
    lib.ln_listing_unref(list)
    return codes, result, h
  end

  local function keys(list)
    local out = {}
    for i = 0, tonumber(list.n_items) - 1 do out[i + 1] = H.bytes(list.items[i].key) end
    return out
  end

  it("has its pages' items in order, the bytes that they came in", function()
    local codes, items = listed("tools", { '{"tools":[ {"name":"b", "x" : 1.0} , {"name":"a"}]}', '{"tools":[]}',
      '{"tools":[{"name":"c"}],"nextCursor":"n"}' }, function(list)
      assert.equal(3, tonumber(list.n_pages))
      assert.same({ "b", "a", "c" }, keys(list))
      assert.equal('"b"', H.str(list.items[0].key_value))
      return H.items(list)
    end)
    assert.same({ 0, 0, 0 }, codes)
    assert.same({ '{"name":"b", "x" : 1.0}', '{"name":"a"}', '{"name":"c"}' }, items)
  end)

  it("knows an item of each kind by what is its own", function()
    for kind, page in pairs {
      tools = '{"tools":[{"uri":"u","name":"n","uriTemplate":"t"}]}',
      resources = '{"resources":[{"name":"x","uri":"n"}]}',
      templates = '{"resourceTemplates":[{"uri":"u","name":"x","uriTemplate":"n"}]}',
      prompts = '{"prompts":[{"uri":"u","name":"n"}]}',
    } do
      local _, found = listed(kind, { page }, keys)
      assert.same({ "n" }, found, kind)
    end
  end)

  it("leaves out items that name nothing, and says so", function()
    local _, found, h = listed("tools",
      { '{"tools":[{},{"name":1},{"name":null},[],"x",7,null,{"title":"t"},{"name":""},{"Name":"x"},{"name":"y"}]}' }, keys)
    assert.same({ "", "y" }, found)
    assert.equal(9, h:logged "a tool without name was left out")
  end)

  it("says of no more than some that they are no use", function()
    local _, n, h = listed("tools", { '{"tools":[' .. ("{},"):rep(5000) .. '{"name":"a"}]}' }, function(list) return tonumber(list.n_items) end)
    assert.equal(1, n)
    assert.equal(lib.LN_LOG_FIRST, h:logged "a tool without name was left out")
    local flawed = '{"uri":"x:1","annotations":{"lastModified":"today"}}'
    _, n, h = listed("resources", { '{"resources":[' .. (flawed .. ","):rep(5000) .. flawed .. "]}" }, function(list) return tonumber(list.n_items) end)
    assert.equal(5001, n)
    assert.equal(lib.LN_LOG_FIRST, h:logged 'resource "x:1": lastModified is no RFC 3339 date; official clients refuse the whole list')
  end)

  it("knows names as they are meant, however they are written", function()
    local _, found = listed("tools", { '{"tools":[{"name":"\\u0061\\n"},{"name":"x\\u0000y"},{"name":"\\ud83d\\ude00"},'
      .. '{"name":"\\ud83d"},{"n\\u0061me":"z"},{"name":"first","name":"last"}]}' }, keys)
    assert.same({ "a\n", "x\0y", "\240\159\152\128", "\239\191\189", "z", "last" }, found)
  end)

  it("takes no page without such a list", function()
    for _, page in ipairs { "{}", '{"tools":{}}', '{"tools":null}', '{"tools":"[]"}', '{"resources":[]}', "[]", "1", '{"Tools":[]}' } do
      local codes, items = listed("tools", { page, '{"tools":[{"name":"a"}]}' }, function(list)
        assert.equal(1, tonumber(list.n_pages))
        return H.items(list)
      end)
      assert.same({ lib.LN_EPROTOCOL, 0 }, codes, page)
      assert.same({ '{"name":"a"}' }, items, page)
    end
  end)

  it("has no more than 100,000 items, on however many pages", function()
    local function page(n) return '{"tools":[' .. ('{"name":"n"},'):rep(n - 1) .. '{"name":"n"}]}' end
    local codes, n = listed("tools", { page(100000), page(1), '{"tools":[]}' }, function(list) return tonumber(list.n_items) end)
    assert.same({ 0, lib.LN_ELIMIT, 0 }, codes)
    assert.equal(100000, n)
    codes, n = listed("tools", { page(60000), page(40001), page(40000) }, function(list) return tonumber(list.n_items) end)
    assert.same({ 0, lib.LN_ELIMIT, 0 }, codes)
    assert.equal(100000, n)
  end)

  it("has no more bytes than sixteen messages may have", function()
    local page = '{"tools":[],"x":"' .. ("x"):rep(1000) .. '"}' -- 1,056 bytes with what is around it
    local codes = {}
    for i = 1, 17 do codes[i] = page end
    codes = listed("tools", codes, nil, "lunette.configure { max_message_bytes = 1100 }")
    for i = 1, 16 do assert.equal(0, codes[i], i) end
    assert.equal(lib.LN_ELIMIT, codes[17])
  end)

  it("is kept once, whoever was given it: the one with the same definitions, byte for byte, whatever pages they are on", function()
    local a = { '{"tools":[{"name":"a"},{"name":"b"}]}' }
    for pages, same in pairs {
      [{ '{"tools":[{"name":"a"}],"nextCursor":"x"}', '{"tools":[{"name":"b"}]}' }] = true,
      [{ '{"tools":[ {"name":"a"} ,\n{"name":"b"}], "_meta":{}}' }] = true,
      [{ '{"tools":[{"name":"b"},{"name":"a"}]}' }] = false,
      [{ '{"tools":[{"name":"a"},{"name": "b"}]}' }] = false,
      [{ '{"tools":[{"name":"a"}]}' }] = false,
      [{ '{"tools":[{"name":"a"},{"name":"b"},{"name":"b"}]}' }] = false,
      [{ '{"tools":[{"name":"a"},{"name":"b"},{}]}' }] = true, -- which has no name
      [{ '{"tools":[]}' }] = false,
    } do
      local h = H.new("", { { "a" } })
      local function made(of)
        local list = lib.ln_listing_new(h:server "a", H.kinds.tools)
        for _, page in ipairs(of) do
          H.with_msg('{"jsonrpc":"2.0","id":1,"result":' .. page .. "}", function(m) return lib.ln_listing_add(list, m) end)
        end
        return list
      end
      local one = lib.ln_listing_intern(made(a))
      local other = lib.ln_listing_intern(made(pages))
      assert.equal(same, one == other, pages[1])
      assert.equal(same and 2 or 1, tonumber(one.refs))
      assert.equal(same and 1 or 2, tonumber(H.driver.pl_count(h:server("a").listings)))
      local third = lib.ln_listing_intern(made(pages))
      assert.is_true(third == other)
      for _, list in ipairs { one, other, third } do lib.ln_listing_unref(list) end
      assert.equal(0, tonumber(H.driver.pl_count(h:server("a").listings)), "it is not kept for itself")
    end
  end)
end)
