-- src/proxy/entry/parse.c: the limits of what clients send, and the answer to what is no message.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

describe("what a client sends", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  it("is held to the policy's limits", function()
    local h = H.new("lunette.configure { max_message_bytes = 2000, max_depth = 9 }", { { "a" } })
    local limits = lib.ln_parse_limits(h.host)
    assert.same({ 2000, 9, 65536, true },
      { tonumber(limits.json.max_bytes), tonumber(limits.json.max_depth), tonumber(limits.json.max_members), limits.strict })
  end)

  -- Each row: the fault, and its answer.
  local function fault(code, text, id)
    local f = ffi.new "struct ln_msg_fault"
    f.code, f.text = code, text
    if id then f.id_bytes = lib.ln_bytes_copy(id, #id) end
    return f
  end
  local function answer(f)
    local b = lib.ln_parse_fault(f)
    local text = H.bytes(b)
    lib.ln_bytes_unref(b)
    return text
  end
  local long = '"' .. ("x"):rep(1022) .. '"' -- 1,024 bytes
  for what, row in pairs {
    ["with its id, as it was written"] = { { -32600, "no", '"a\\u0062"' }, '{"jsonrpc":"2.0","id":"a\\u0062","error":{"code":-32600,"message":"no"}}' },
    ["without one"] = { { -32700, "no" }, '{"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}}' },
    ["without one that is too long"] = { { -32600, "no", long }, '{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}' },
    ["with quotes in it"] = { { -32600, 'a "b"\n' }, '{"jsonrpc":"2.0","error":{"code":-32600,"message":"a \\"b\\"\\n"}}' },
    ["for want of a reason"] = { { 0, "" }, '{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"}}' },
  } do
    it("that is none is answered " .. what, function()
      local f = fault(unpack(row[1]))
      assert.equal(row[2], answer(f))
      assert.is_true(f.id_bytes == nil, "its id is given back")
    end)
  end

  it("keeps the longest id that there may be", function()
    local id = '"' .. ("x"):rep(1021) .. '"'
    assert.equal('{"jsonrpc":"2.0","id":' .. id .. ',"error":{"code":-32600,"message":"no"}}', answer(fault(-32600, "no", id)))
  end)
end)
