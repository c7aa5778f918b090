-- lunette.core is Lunette's own, but a policy can require it. Whatever is called with whatever, whenever: it
-- works or is an error with the policy's line, the run ends once with JSON, and nothing is left behind. (Under
-- a sanitizer this is about memory, too.)
local support = require "spec.unit.script.support"
local json = require "dkjson"

-- In the policy: every function of core is tried with every list of arguments. What is tried is chosen by the
-- arguments of the call.
local PREAMBLE = [[
require "lunette".configure { hook_timeout = 60 }
local core = require "lunette.core"
local kept = {}
local names = {}
for name, fn in pairs(core) do if type(fn) == "function" then names[#names + 1] = name end end
table.sort(names)
local function lists()
  local deep = {}
  for _ = 1, 300 do deep = { deep } end
  local loop = {}
  loop.loop = loop
  local fresh = kept.now and core.exchange()
  return {
    {}, { nil }, { true }, { 0 }, { -1 }, { 0 / 0 }, { 1e300 }, { -1e300, -1e300, -1e300, -1e300 }, { 2 ^ 31, 2 ^ 53 },
    { "" }, { "x" }, { "a\0b" }, { '"}', {} }, { "\255", {} }, { "\n", {}, {} }, { ("x"):rep(1e5), ("y"):rep(1e5) },
    { {} }, { {}, {} }, { {}, {}, {} }, { { 1, 2, x = 3 }, 5 }, { deep, deep }, { loop, loop }, { print }, { print, print },
    { newproxy() }, { newproxy(true), "x", {} }, { io.stdout, "id" }, { io.stdout, "m", {} }, { coroutine.create(print) },
    { core.null }, { core.null, "id" }, { core.untouched(), core.untouched(), {} }, { core },
    { kept.whom }, { kept.whom, "id" }, { kept.whom, "headers" }, { kept.whom, "x", {} }, { kept.whom, "x\"", {} },
    { fresh }, { fresh, "id" }, { fresh, "client" }, { fresh, "no such" }, { fresh, "x", {} }, { fresh, "x\"y", {} }, { fresh, {}, loop },
    { "tools/call", {} }, { "tools/call", { name = print } }, { ("m"):rep(200), {} }, { "m", "x" },
    { "{}" }, { "[]" }, { "{", 0 }, { "{}", -1 }, { "{}", 1e9 }, { '{"a":1}', 0, -5 }, { '{"a":1}', 0, 1e18 }, { '{"a":1} x' },
    { "1" }, { '"x"' }, { ("["):rep(250) .. ("]"):rep(250) }, { '{"a":[1,2]}', { a = { 2 } } }, { '{"a":1}', print }, { '{"a":1}', {}, "a" },
    { "GET", "http://127.0.0.1/", { "A: b" }, nil, 1, 0, false, 100 }, { "GET", "http://127.0.0.1/", { 1, {} }, nil, 1, 0, false, 100 },
    { "GET", "http://127.0.0.1/", { "A: b" }, nil, 0 / 0, 0, false, 100 }, { "GET", "http://127.0.0.1/", {}, nil, 1, -1, true, 0 / 0 },
    { "G T", "x", {}, {}, 1, 1, 1, -1 }, { "error", "a", "b" }, { "none", "a", "b" }, { "warn", "%s%n", "%s%n" },
    { "tools" }, { "resource_templates" }, { "x", 1, 2, 3 }, { "n", 1, 0, -1 }, { "n", 0 / 0, 0 / 0, 0 / 0 }, { "n", print, 1e300 },
    { {}, {}, nil, {} }, { "a/{b}", "a/c" }, { "", "" }, { "file:///%zz/../x", "*" },
  }
end
-- Errors have the place of the line that called; others than of Lua text are what a peer answered.
local function try(i, j)
  local list = lists()[j]
  local fn = core[names[i] ]
  local n = table.maxn(list)
  local long = tonumber(list[1])
  if names[i] == "append" and type(list[1]) == "string" then list[1] = "/nonexistent/" .. list[1] end -- it writes files
  if names[i] == "append" and type(list[1]) == "number" then list[1] = "/nonexistent/1" end
  if names[i] == "sleep" and long and long > 0 and long <= 86400 then list[1] = 0.001 end
  local results = { pcall(function() local a, b, c = fn(unpack(list, 1, n)) return a, b, c end) }
  local ok, why = results[1], results[2]
  if ok or type(why) ~= "string" or why:find "policy%.lua:%d+:" then return end
  kept.bad = kept.bad or {}
  kept.bad[#kept.bad + 1] = ("%s, list %d: %s"):format(names[i], j, why)
end
local function try_all() for i in ipairs(names) do for j in ipairs(lists()) do try(i, j) end end end
local function bad() return kept.bad and table.concat(kept.bad, "\n") or "" end
lunette.on("count", function() return { names = #names, lists = #lists() } end)
lunette.on("keep", function() kept.whom = core.exchange() kept.now = true return {} end)
lunette.on("bad", function() return { text = bad() } end)
]]
-- The handlers above, and the one under test.
local COUNT, KEEP, BAD, TESTED = 1, 2, 3, 4

local CALL = '{"jsonrpc":"2.0","id":1,"method":"%s","params":{"name":"t","arguments":{"i":%d,"j":%d}}}'
local TOLD = '{"jsonrpc":"2.0","method":"notifications/x","params":{"name":"t","arguments":{"i":%d,"j":%d}}}'
local ANSWERS = {
  '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a"}],"n":1.0}}',
  '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}',
  '{"jsonrpc":"2.0","id":1,"result":[1]}',
}

-- What is done before, in the handler.
local moments = {
  ["at once"] = "",
  ["after a forward"] = "core.forward()",
  ["after a forward that was taken"] = "core.forward() pcall(core.take, true)",
  ["after a request of its own"] = "core.request('ping') pcall(core.take)",
  ["twice"] = "try(a.i, a.j)",
  ["after it has ended"] = "pcall(core.finish, { content = {} }) pcall(core.finish_reply)",
  ["after it has ended with an error"] = "pcall(core.finish_error, { code = 1, message = 'm' })",
  ["in a coroutine of its own"] = "coroutine.wrap(try)(a.i, a.j)",
  ["from a coroutine that is resumed later"] = "local co = coroutine.wrap(function() coroutine.yield() try(a.i, a.j) end) co() core.sleep(0) co()",
}

local function counts(policy)
  policy:hook(CALL:format("count", 0, 0), COUNT)
  policy:run()
  local account = policy:account()
  return tonumber(account:match '"names":(%d+)'), tonumber(account:match '"lists":(%d+)')
end

-- Runs what is under way to its end: everything it asks for is answered. The account of it.
local function to_the_end(policy)
  local whole = {}
  for _ = 1, 200 do
    local account, n = policy:account(), 0
    whole[#whole + 1] = account
    for line in account:gmatch "[^\n]+" do
      local asked = tonumber(line:match "^forward (%d+) " or line:match "^request (%d+) " or line:match "^ask (%d+) " or 0)
      if asked > 0 then policy:answer(ANSWERS[asked % #ANSWERS + 1], asked) end
      n = n + asked
    end
    if n == 0 and policy:runs() == 0 then break end
    policy:run(1)
  end
  return table.concat(whole)
end

describe("lunette.core", function()
  setup(support.setup)
  teardown(support.teardown)

  local policy
  after_each(function()
    local last = policy
    policy = nil
    if last then last:free() end
  end)

  local function load(text)
    local why
    policy, why = support.load(PREAMBLE .. text)
    assert(policy, why)
  end

  local function each(text, message)
    load(text)
    local names, lists = counts(policy)
    policy:free()
    assert.truthy(names > 50 and lists > 50)
    for i = 1, names do
      load(text) -- a fake proxy keeps only so many questions
      policy:hook(CALL:format("keep", 0, 0), KEEP)
      policy:run(1)
      policy:account()
      for j = 1, lists do policy:hook(message:format(i, j), TESTED) end
      local account = to_the_end(policy)
      assert.equal(0, policy:runs(), ("function %d does not end: %s"):format(i, account))
      for reply in account:gmatch "done %d+ ([^\n]+)" do assert(json.decode(reply), reply) end
      for sent in account:gmatch "forward %d+ ([^\n]+)" do assert(json.decode(sent), sent) end
      for line in account:gmatch "[^\n]+" do
        local method = line:match "^notify (.*) %S*$" or line:match "^request %d+ (.*) %S*$" or line:match "^ask %d+ (.*) %S*$"
        assert.falsy(method and method:find '[%c%s"\\]', line)
        assert.falsy(message == TOLD and line:find "^done %d+ ", line)
      end
      assert.equal(lists, select(2, account:gsub("done %d+", "")), account)
      policy:hook(CALL:format("bad", 0, 0), BAD)
      policy:run(1)
      assert.equal("", (policy:account():match '"text":"(.-)"'))
      policy:free()
    end
    policy = nil
  end


  for moment, code in pairs(moments) do
    it("misused by a handler " .. moment .. " is an error with its place", function()
      each(([[lunette.on("tools/call", function(request, forward)
        local a = request.params.arguments
        %s
        try(a.i, a.j)
        return { content = {} }
      end)]]):format(code), (CALL:gsub("%%s", "tools/call")))
    end)
  end

  it("misused by a handler of a notification is an error with its place", function()
    each([[lunette.on("notifications/x", function(request, forward)
      local a = request.params.arguments
      try(a.i, a.j)
      core.forward()
      try(a.i, a.j)
    end)]], TOLD)
  end)

  it("misused while the policy loads is an error with its place", function()
    load("try_all()")
    policy:hook(CALL:format("bad", 0, 0), BAD)
    policy:run()
    assert.equal("", (policy:account():match '"text":"(.-)"'))
  end)

  it("misused by a timer is an error with its place", function()
    load([[lunette.every(0.01, function()
      core.log("info", "timer", "begins")
      for i in ipairs(names) do
        if names[i] ~= "finish_reply" and names[i] ~= "sleep" then for j in ipairs(lists()) do try(i, j) end end
      end
      core.log("info", "timer", "all: " .. bad())
    end)]])
    for _ = 1, 100 do
      policy:run(50)
      if policy:log():find("all: ", 1, true) then break end
    end
    assert.truthy(policy:log():find "all: \n")
  end)

  it("misused by a filter is an error with its place", function()
    load([[lunette.tools.hide { where = function() try_all() return false end }]])
    assert.same({ "a", "b" }, policy:shown { "a", "b" })
    policy:hook(CALL:format("bad", 0, 0), BAD)
    policy:run()
    assert.equal("", (policy:account():match '"text":"(.-)"'))
  end)

  it("ended without an answer says so", function()
    for _, code in ipairs { "core.finish_reply()", "return core.untouched()", "core.keep() core.finish_reply()",
      "core.finish_reply() core.finish_reply()" } do
      load('lunette.on("tools/call", function() ' .. code .. " end)")
      policy:hook(CALL:format("tools/call", 0, 0), TESTED)
      policy:run(1)
      local account = policy:account()
      assert.equal('done 1 {"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"policy error"}}\n', account)
      assert.truthy(policy:log():find("nothing was forwarded that could be the answer", 1, true))
      policy:free()
    end
    policy = nil
  end)

  it("is asked by finalizers as the policy is closed", function()
    load([[lunette.on("tools/call", function(request, forward, ctx)
      local proxy = newproxy(true)
      local whom = core.exchange()
      getmetatable(proxy).__gc = function()
        pcall(core.fact, whom, "id") pcall(core.own, whom, "x") pcall(core.session_key, whom) pcall(core.finish_reply)
        pcall(function() return ctx.session.id end)
        try_all()
      end
      _G.last = { proxy, proxy }
      return { content = {} }
    end)]])
    policy:hook(CALL:format("tools/call", 0, 0), TESTED)
    policy:run(1)
    assert.truthy(policy:account():find('"content":[]', 1, true))
  end)
end)
