-- The way out: received bytes with a few slices replaced, in parts, and on one line where it must be.
local R = require "spec.unit.rpc.support"
local lib, ffi = R.lib, R.ffi

describe("rpc/out", function()
  after_each(function()
    local messages, blocks = R.left()
    assert.equal(0, messages)
    assert.equal(0, blocks)
  end)

  -- edits: { slot or function(m) → slice, text or number }…; the joined parts, their number, how many
  -- of them have an owner.
  local function out(text, edits, one_line)
    local m = assert(R.parse(text, { strict = false }))
    local o = ffi.new "struct ln_out"
    lib.ln_out_init(o, m.msg)
    local keep = {} -- alive until the parts were read
    for _, e in ipairs(edits) do
      local at = type(e[1]) == "function" and e[1](m.msg) or m.msg[e[1]]
      if type(e[2]) == "number" then
        lib.ln_out_replace_int(o, at, e[2])
      else
        local s, bytes = R.str(e[2])
        keep[#keep + 1] = bytes
        lib.ln_out_replace(o, at, s)
      end
    end
    local refs = m.msg.bytes.refs
    assert.equal(0, lib.ln_out_finish(o, one_line or false))
    assert.equal(refs, m.msg.bytes.refs)
    local parts, owned = {}, 0
    for i = 0, tonumber(o.n) - 1 do
      local p = o.parts[i]
      parts[#parts + 1] = ffi.string(p.p, p.n)
      if p.owner ~= nil then
        owned = owned + 1
        assert.is_true(p.owner == m.msg.bytes or p.owner == o.flat)
      end
    end
    assert.is_true(#keep <= #edits)
    local flat = o.flat ~= nil
    lib.ln_out_deinit(o)
    lib.ln_msg_unref(m.msg)
    return table.concat(parts), #parts, owned, flat
  end

  local call = '{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"n","_meta":{"progressToken":"p"}}}'

  it("is the message itself when nothing is replaced, without what is around it", function()
    local text, n, owned = out(" " .. call .. "\n", {})
    assert.equal(call, text)
    assert.equal(1, n)
    assert.equal(1, owned)
  end)

  it("replaces slices, in any order", function()
    local expected = '{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"native","_meta":{"progressToken":12}}}'
    local a, b, c = { "id", 12 }, { "name", '"native"' }, { "progress_token", 12 }
    for _, order in ipairs { { a, b, c }, { a, c, b }, { b, a, c }, { b, c, a }, { c, a, b }, { c, b, a } } do
      local text, n, owned = out(call, order)
      assert.equal(expected, text)
      assert.equal(7, n)
      assert.equal(4, owned)
    end
  end)

  it("ignores what is not there", function()
    assert.equal('{"jsonrpc":"2.0","method":"x"}', (out('{"jsonrpc":"2.0","method":"x"}', { { "id", 5 }, { "name", "1" }, { "progress_token", 5 } })))
  end)

  it("takes four, numbers at both ends among them", function()
    local text = out('{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","uri":"b","_meta":{"progressToken":2}}}', {
      { "progress_token", 9007199254740991 }, { "id", -9007199254740991 }, { "uri", '""' }, { "name", '"x"' } })
    assert.equal('{"jsonrpc":"2.0","id":-9007199254740991,"method":"x","params":{"name":"x","uri":"","_meta":{"progressToken":9007199254740991}}}', text)
  end)

  it("leaves line breaks where they may stay", function()
    local pretty = '{\n  "jsonrpc": "2.0",\r\n  "id": 1, "result": {"a\\n": "b\\r"}\n}'
    local text, _, _, flat = out(pretty, { { "id", 5 } })
    assert.equal('{\n  "jsonrpc": "2.0",\r\n  "id": 5, "result": {"a\\n": "b\\r"}\n}', text)
    assert.is_false(flat)
    local n, owned
    text, n, owned, flat = out(pretty, { { "id", 5 } }, true)
    assert.equal('{  "jsonrpc": "2.0",  "id": 5, "result": {"a\\n": "b\\r"}}', text)
    assert.equal(1, n)
    assert.equal(1, owned)
    assert.is_true(flat)
  end)

  it("copies nothing for a message that is on one line", function()
    local _, n, owned, flat = out(call, { { "id", 1 } }, true)
    assert.equal(3, n)
    assert.equal(2, owned)
    assert.is_false(flat)
  end)

  it("can be finished again for another need", function()
    local m = assert(R.parse('{"jsonrpc":"2.0",\n"id":1,"result":{}}'))
    local o = ffi.new "struct ln_out"
    lib.ln_out_init(o, m.msg)
    lib.ln_out_replace_int(o, m.msg.id, 33)
    assert.equal(0, lib.ln_out_finish(o, false))
    assert.equal(3, tonumber(o.n))
    assert.equal(0, lib.ln_out_finish(o, true))
    assert.equal(1, tonumber(o.n))
    assert.equal('{"jsonrpc":"2.0","id":33,"result":{}}', ffi.string(o.parts[0].p, o.parts[0].n))
    lib.ln_out_deinit(o)
    lib.ln_msg_unref(m.msg)
  end)
end)
