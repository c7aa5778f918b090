-- Accounts: who is charged, who gives way when there is no room, and that nobody else does.
local B = require "spec.unit.base.support"
local lib, ffi, str = B.include "base/account.h", B.ffi, B.str

local SESSIONS, BYTES = 0, 3
local STALE, UNUSED, IDLE, ANY = 0, 1, 2, 3

describe("an account", function()
  local ledger, held, callbacks

  before_each(function()
    ledger, held, callbacks = ffi.new "struct ln_ledger", {}, {}
    lib.ln_ledger_init(ledger)
  end)

  -- Everything is given back first, then the ledger must be empty.
  after_each(function()
    for i = #held, 1, -1 do
      for _, h in ipairs(held[i].holdings) do lib.ln_holding_deinit(h) end
      for what = 0, 4 do lib.ln_account_give(held[i].account, what, held[i].account.held[what]) end
    end
    for i = #held, 1, -1 do lib.ln_account_free(held[i].account) end
    lib.ln_ledger_deinit(ledger)
    for _, callback in ipairs(callbacks) do callback:free() end
  end)

  local function limit(what, all, each)
    ledger.limits[what].all, ledger.limits[what].each = all, each or 0
  end

  local function account(name)
    local one = { account = lib.ln_ledger_account(ledger, (str(name))), holdings = {} }
    held[#held + 1] = one
    return one
  end

  local function take(one, n, what) return lib.ln_account_take(one.account, what or SESSIONS, n or 1) end

  -- A thing of it, which goes from that urgency on and gives one back: at once, or (later) not yet. Notes its going.
  local function thing(one, name, from, gone, later)
    local h, there = ffi.new "struct ln_holding", true
    local callback = ffi.cast("size_t (*)(struct ln_holding *, enum ln_short, enum ln_urgency)", function(_, what, urgency)
      if not there or tonumber(urgency) < from then return 0 end
      there = false
      gone[#gone + 1] = name
      if not later then lib.ln_account_give(one.account, what, 1) end
      return 1
    end)
    callbacks[#callbacks + 1] = callback
    lib.ln_holding_init(h, one.account, callback)
    table.insert(one.holdings, h)
    return h
  end

  it("is one by its name, and counted", function()
    local a, b = account "192.0.2.1", account "192.0.2.2"
    assert.is_false(a.account == b.account)
    assert.is_true(a.account == lib.ln_ledger_account(ledger, (str "192.0.2.1")))
    assert.equal(2, a.account.refs)
    a.account.refs = 1
    assert.equal(2, tonumber(lib.ln_ledger_accounts(ledger)))
  end)

  it("has no more than each may, and what it holds is asked only when it is of no use", function()
    limit(SESSIONS, 0, 2)
    local a, gone = account "a", {}
    assert.is_true(take(a) and take(a))
    thing(a, "fresh", UNUSED, gone)
    assert.is_false(take(a))
    thing(a, "stale", STALE, gone)
    assert.is_true(take(a))
    assert.same({ "stale" }, gone)
    assert.is_false(take(a))
    assert.equal(2, tonumber(ledger.refused))
    assert.is_true(take(account "b"))
  end)

  it("that holds most gives way, what is least needed first, and of that the longest unused", function()
    limit(SESSIONS, 6)
    local a, b, gone = account "a", account "b", {}
    for _ = 1, 5 do assert.is_true(take(a)) end
    thing(a, "busy", ANY, gone)
    local idle = thing(a, "idle", IDLE, gone)
    thing(a, "other idle", IDLE, gone)
    thing(a, "unused", UNUSED, gone)
    lib.ln_holding_touch(idle, a.account)
    thing(b, "b's", STALE, gone)
    for _ = 1, 3 do assert.is_true(take(b)) end
    assert.same({ "unused", "other idle" }, gone)
    assert.equal(3, tonumber(a.account.held[SESSIONS]))
    assert.equal(3, tonumber(b.account.held[SESSIONS]))
  end)

  it("gets no room from who has no more than it would have then", function()
    limit(SESSIONS, 5)
    local a, b, gone = account "a", account "b", {}
    for _, one in ipairs { a, b } do assert.is_true(take(one) and take(one)) end
    for _, one in ipairs { a, b } do
      assert.is_true(lib.ln_ledger_heaviest(ledger, SESSIONS, one.account) == one.account)
    end
    thing(a, "a's", UNUSED, gone)
    thing(b, "b's", UNUSED, gone)
    assert.is_true(take(a))
    assert.is_false(take(b))
    assert.same({}, gone)
  end)

  it("that was told to go makes room before it has gone, once", function()
    limit(BYTES, 4)
    local a, b, gone = account "a", account "b", {}
    assert.is_true(take(a, 4, BYTES))
    thing(a, "a's", ANY, gone, true)
    assert.is_true(take(b, 1, BYTES))
    assert.equal(5, tonumber(ledger.held[BYTES]))
    assert.is_false(take(b, 1, BYTES))
    assert.same({ "a's" }, gone)
  end)

  it("is charged for what is there all the same, and the one that holds most gives way", function()
    limit(BYTES, 4)
    local a, b, gone = account "a", account "b", {}
    thing(a, "a's", UNUSED, gone)
    thing(b, "b's", UNUSED, gone)
    lib.ln_account_add(a.account, BYTES, 4)
    assert.same({}, gone)
    lib.ln_account_add(b.account, BYTES, 1)
    assert.same({ "a's" }, gone)
    assert.equal(4, tonumber(ledger.held[BYTES]))
  end)

  it("has parts, whose holdings are its own", function()
    limit(BYTES, 8)
    local a = account "a"
    local part = { account = lib.ln_account_part(a.account), holdings = {} }
    held[#held + 1] = part
    lib.ln_account_add(part.account, BYTES, 3)
    assert.equal(3, tonumber(a.account.held[BYTES]))
    lib.ln_account_add(a.account, BYTES, 2)
    lib.ln_account_add_part(part.account, BYTES, 2)
    assert.equal(5, tonumber(part.account.held[BYTES]))
    assert.equal(5, tonumber(a.account.held[BYTES]))
    assert.is_false(take(part, 4, BYTES))
    lib.ln_account_give(part.account, BYTES, 5)
    assert.equal(0, tonumber(a.account.held[BYTES]))
    assert.equal(0, tonumber(ledger.held[BYTES]))
  end)

  it("that is none is charged for nothing", function()
    assert.is_true(lib.ln_account_take(nil, BYTES, 1e9))
    lib.ln_account_add(nil, BYTES, 1)
    lib.ln_account_give(nil, BYTES, 1)
    assert.equal(0, tonumber(ledger.held[BYTES]))
  end)
end)
