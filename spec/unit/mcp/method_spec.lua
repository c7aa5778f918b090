-- The method table and the protocol versions.
local S = require "spec.unit.mcp.support"
local lib, ffi = S.lib, S.ffi

local CLIENT, SERVER = 1, 2
local function find(name, from)
  local m = lib.ln_method_find(S.J.text(name), from)
  return tonumber(ffi.cast("int", m.route)), tonumber(ffi.cast("int", m.kind)), ffi.string(m.name)
end
local function route(name)
  return tonumber(ffi.cast("int", ffi.new("enum ln_route", "LN_ROUTE_" .. name)))
end
local function kind(name)
  return tonumber(ffi.cast("int", ffi.new("enum ln_kind", name == "none" and "LN_KINDS" or "LN_KIND_" .. name)))
end

local both, client, server = { CLIENT, SERVER }, { CLIENT }, { SERVER }
local rows = {
  { "tools/call", client, "USE", "TOOL" }, { "resources/read", client, "USE", "RESOURCE" }, { "prompts/get", client, "USE", "PROMPT" },
  { "tools/list", client, "LIST", "TOOL" }, { "resources/list", client, "LIST", "RESOURCE" },
  { "resources/templates/list", client, "LIST", "TEMPLATE" }, { "prompts/list", client, "LIST", "PROMPT" },
  { "resources/subscribe", client, "SUBSCRIBE", "RESOURCE" }, { "resources/unsubscribe", client, "SUBSCRIBE", "RESOURCE" },
  { "completion/complete", client, "COMPLETE", "none" }, { "logging/setLevel", client, "SET_LEVEL", "none" },
  { "initialize", client, "INITIALIZE", "none" }, { "notifications/initialized", client, "INITIALIZED", "none" },
  { "ping", both, "PING", "none" }, { "notifications/cancelled", both, "CANCELLED", "none" },
  { "notifications/progress", both, "PROGRESS", "none" }, { "notifications/roots/list_changed", client, "BROADCAST", "none" },
  { "notifications/tools/list_changed", server, "LIST_CHANGED", "TOOL" },
  { "notifications/resources/list_changed", server, "LIST_CHANGED", "RESOURCE" },
  { "notifications/prompts/list_changed", server, "LIST_CHANGED", "PROMPT" },
  { "notifications/message", server, "RELAY", "none" }, { "notifications/resources/updated", server, "UPDATED", "none" },
  { "notifications/elicitation/complete", server, "ELICITED", "none" }, { "notifications/tasks/status", both, "TASK_STATUS", "none" },
  { "tasks/get", both, "TASK", "none" }, { "tasks/result", both, "TASK", "none" }, { "tasks/cancel", both, "TASK", "none" },
  { "tasks/list", both, "TASK_LIST", "none" },
  { "sampling/createMessage", server, "ASK", "none" }, { "elicitation/create", server, "ASK", "none" }, { "roots/list", server, "ASK", "none" },
}

describe("mcp/method", function()
  after_each(function() assert.equal(0, (select(2, S.R.left()))) end)

  it("knows each method from the side it may come from, and from no other", function()
    for _, row in ipairs(rows) do
      local may = {}
      for _, side in ipairs(row[2]) do may[side] = true end
      for _, side in ipairs(both) do
        local r, k, name = find(row[1], side)
        if may[side] then
          assert.equal(route(row[3]), r, row[1])
          assert.equal(kind(row[4]), k, row[1])
          assert.equal(row[1], name)
        else
          assert.equal(route "OTHER", r, row[1])
          assert.equal(kind "none", k, row[1])
        end
      end
    end
  end)

  it("knows nothing that is only alike", function()
    for _, name in ipairs { "", "tools", "tools/", "tools/calls", "Tools/call", "tools/call ", "tools/call\0", "TOOLS/CALL", "server/discover",
      "tasks/update", "notifications/", ("x"):rep(300) } do
      for _, side in ipairs(both) do assert.equal(route "OTHER", (find(name, side)), name) end
    end
  end)

  it("79: tells whose case twin a method is", function()
    local function twin(name) return lib.ln_method_case_twin(lib.ln_method_find(S.J.text(name), 3), S.J.text(name)) end
    for name, whose in pairs { ["TOOLS/CALL"] = "tools/call", ["tools/List"] = "tools/list", ["Sampling/createmessage"] = "sampling/createMessage",
      PING = "ping" } do
      assert.equal(whose, ffi.string(twin(name)))
    end
    for _, name in ipairs { "", "tools/call", "tools/calls", "tools//call", "x/Y" } do
      assert.is_true(twin(name) == nil, name)
    end
  end)

  it("has a row for each kind", function()
    local expected = {
      { "tools/list", "tools", "name", "tools", "notifications/tools/list_changed", "tool" },
      { "resources/list", "resources", "uri", "resources", "notifications/resources/list_changed", "resource" },
      { "resources/templates/list", "resourceTemplates", "uriTemplate", "resources", "notifications/resources/list_changed",
        "resource template" },
      { "prompts/list", "prompts", "name", "prompts", "notifications/prompts/list_changed", "prompt" },
    }
    for i, e in ipairs(expected) do
      local row = lib.ln_kind_rows[i - 1]
      assert.same(e, { ffi.string(row.list_method), ffi.string(row.array), ffi.string(row.key), ffi.string(row.capability),
        ffi.string(row.changed), ffi.string(row.noun) })
    end
  end)

  it("knows the versions with sessions, and answers others with the latest", function()
    for _, version in ipairs { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25" } do
      assert.is_true(lib.ln_version_known(S.J.text(version)))
      assert.equal(version, ffi.string(lib.ln_version_answer(S.J.text(version))))
    end
    for _, version in ipairs { "", "2026-07-28", "2025-11-2", "2025-11-25 ", "2025-11-251", "latest", "1" } do
      assert.is_false(lib.ln_version_known(S.J.text(version)))
      assert.equal("2025-11-25", ffi.string(lib.ln_version_answer(S.J.text(version))))
    end
    assert.is_false(lib.ln_version_known(S.J.text(nil)))
  end)
end)
