-- src/proxy/http/session_id.c: what a session's id says, and the ids that say nothing.
local ffi = require "ffi"
local c = require "spec.support.ffi"
local lib = c.include "proxy/http/session_id.h"
c.include "base/err.h"

local key, day = ("k"):rep(32), 86400
local now = 1.9e9
local params = '{"protocolVersion":"2025-11-25","capabilities":{"sampling":{}},"clientInfo":{"name":"c","version":"1"}}'

local function write(text, options)
  options = options or {}
  local slice, anchor = c.str(text)
  local t = ffi.new("struct ln_session_id", options.epoch or 7, options.issued or now, slice)
  local buf = ffi.new "struct ln_buf"
  lib.ln_buf_init(buf, 65536)
  local rc = lib.ln_session_id_write(ffi.cast("const unsigned char *", options.key or key), t, buf)
  local id = rc == 0 and ffi.string(buf.data, buf.len) or nil
  lib.ln_buf_deinit(buf)
  assert(anchor) -- the slice's bytes, until here
  return id, ffi.string(lib.ln_err_name(rc))
end

-- epoch, time, params; or nil and the error.
local function read(id, options)
  options = options or {}
  local slice, anchor = c.str(id)
  local t, buf = ffi.new "struct ln_session_id", ffi.new "struct ln_buf"
  lib.ln_buf_init(buf, 65536)
  local rc = lib.ln_session_id_read(ffi.cast("const unsigned char *", options.key or key), slice, options.now or now, buf, t)
  local epoch, issued, text = tonumber(t.epoch), tonumber(t.issued), rc == 0 and c.tostring(t.params)
  lib.ln_buf_deinit(buf)
  assert(anchor) -- the slice's bytes, until here
  if rc ~= 0 then return nil, ffi.string(lib.ln_err_name(rc)) end
  return epoch, issued, text
end

describe("a session's id", function()
  local live
  before_each(function() live = tonumber(lib.ln_bytes_live()) end)
  after_each(function() assert.equal(live, tonumber(lib.ln_bytes_live())) end)

  it("says which process gave it, when, and what its client said", function()
    for _, epoch in ipairs { 0, 1, 0x80000001, 0xffffffff } do
      local id = write(params, { epoch = epoch, issued = now - 5 })
      assert.truthy(id:match "^[\33-\126]+$")
      assert.same({ epoch, now - 5, params }, { read(id) })
    end
  end)

  it("keeps the client's own bytes, and what it has to say besides", function()
    local text = '{ "x" : 1.0,"protocolVersion":"2025-06-18", "clientInfo":{"name":"\\u00e4","version":"","title":"T"}}'
    assert.equal(text, (select(3, read(write(text)))))
    local whole = '{"a":"' .. ("x"):rep(2048 - 8) .. '"}'
    assert.equal(whole, (select(3, read(write(whole)))))
    assert.is_true(#write(whole) <= lib.LN_SESSION_ID_MAX)
  end)

  it("keeps the essence of more than that", function()
    local caps = '{"sampling":{ },"experimental":{"a":[1.50]}}'
    local text = ('{"clientInfo":{"icons":[{"src":"data:%s"}],"name":"n\\"","version":"2","title":"T"},"capabilities":%s,'
      .. '"protocolVersion":"2025-11-25","_meta":{"a":1}}'):format(("x"):rep(3000), caps)
    assert.equal('{"protocolVersion":"2025-11-25","capabilities":' .. caps .. ',"clientInfo":{"name":"n\\"","version":"2"}}',
      (select(3, read(write(text)))))
    local bare = '{"protocolVersion":"2025-11-25","_meta":{"a":"' .. ("x"):rep(3000) .. '"}}'
    assert.equal('{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":null,"version":null}}', (select(3, read(write(bare)))))
  end)

  it("is none for a client whose essence is too long", function()
    local id, why = write('{"protocolVersion":"2025-11-25","capabilities":{"experimental":{"a":"' .. ("x"):rep(2048) .. '"}}}')
    assert.is_nil(id)
    assert.equal("ELIMIT", why)
  end)

  it("is good for thirty days, and when the clock goes wrong", function()
    for age, good in pairs { [0] = true, [-1] = true, [-400 * day] = true, [30 * day] = true, [30 * day + 1] = false, [400 * day] = false } do
      local epoch, why = read(write(params, { issued = now - age }))
      assert.equal(good, epoch ~= nil)
      if not good then assert.equal("EINVALID", why) end
    end
    assert.is_nil((read(write(params, { issued = 0 }))))
  end)

  it("says nothing to others, nor when it is altered, and never why", function()
    local id = write(params)
    local wrong = { "", "a", id .. "A", id .. "=", id:sub(1, -2), id:sub(2), id .. id, ("A"):rep(#id), ("A"):rep(60), ("A"):rep(5000),
      ("0123456789abcdef"):rep(2), "\0", id:sub(1, 20) .. "\0" .. id:sub(22) }
    for i = 1, #id do
      wrong[#wrong + 1] = id:sub(1, i - 1) .. (id:sub(i, i) == "B" and "C" or "B") .. id:sub(i + 1)
    end
    for _, other in ipairs(wrong) do
      local epoch, why = read(other)
      assert.is_nil(epoch)
      assert.equal("EINVALID", why)
    end
    local epoch, why = read(id, { key = ("l"):rep(32) })
    assert.is_nil(epoch)
    assert.equal("EINVALID", why)
  end)
end)
