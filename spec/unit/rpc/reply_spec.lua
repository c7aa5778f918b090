-- Replies that are errors of our own.
local R = require "spec.unit.rpc.support"
local T = require "spec.support.ffi"
local lib, ffi = T.include "rpc/reply.h", R.ffi

-- What done was called with: the raw errors, one a call. Called from C, so never from compiled code.
local function replies(fn)
  local got, arg = {}, ffi.new "int[1]"
  local done = ffi.cast("ln_reply_fn", function(a, m)
    got[#got + 1] = a == arg and R.table(m).kind == "error" and R.table(m).error
    lib.ln_msg_unref(m)
  end)
  fn(done, arg)
  done:free()
  return got
end
jit.off(replies, true)

describe("rpc/reply", function()
  after_each(function()
    local messages, blocks = R.left()
    assert.equal(0, messages)
    assert.equal(0, blocks)
  end)

  it("says what is wrong, once", function()
    assert.same({ [[{"code":-32602,"message":"a \"b\""}]] },
      replies(function(done, arg) lib.ln_reply_error(done, arg, -32602, 'a "b"') end))
    assert.same({ [[{"code":-32603,"message":"Out of memory"}]] },
      replies(function(done, arg) lib.ln_reply_no_memory(done, arg) end))
  end)
  it("says which method it does not know, however long", function()
    local function unknown(method)
      return replies(function(done, arg) lib.ln_reply_no_method(done, arg, R.J.text(method)) end)
    end
    assert.same({ [[{"code":-32601,"message":"Method not found: a/b"}]] }, unknown "a/b")
    local long = unknown(("x"):rep(1000))
    assert.equal(1, #long)
    assert.is_true(#long[1] < 400)
  end)
  it("that nobody waits for are let go", function()
    lib.ln_reply_ignore(nil, lib.ln_msg_result(R.J.text "{}"))
  end)
end)
