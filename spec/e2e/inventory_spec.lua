-- Lists and uses from code: inventory, list, call, read and get of all four kinds.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, says = policy.with, policy.says

describe("from code", function()
  after_each(lunette.finish)

  -- A tool `tell` that answers with what the expressions give, as JSON.
  local function tell(expressions, rules)
    return (rules or "") .. ([[

      lunette.tools.add { name = "tell", handler = function(args, ctx)
        local function names(list, key)
          local out = lunette.array {}
          for i, item in ipairs(list) do out[i] = item[key] end
          return out
        end
        return lunette.json.encode { %s } end }]]):format(expressions)
  end

  it("the inventory is all there is before any rule, with its server", function()
    local client = with(tell([[names(lunette.tools.inventory(), "name"), names(lunette.tools.inventory(), "upstream"),
      names(lunette.resources.inventory(), "uri"), names(lunette.resource_templates.inventory(), "uriTemplate"),
      names(lunette.prompts.inventory(), "name"), lunette.tools.inventory()[3].inputSchema.required[1] ]], [[
      lunette.tools.hide "[!t]*"
      lunette.resources.hide "*"
      lunette.prompts.filter(function() return false end)]]))
    for _, kind in ipairs { "tools", "resources", "resource_templates", "prompts" } do policy.seen(client, kind) end
    assert.same({ { "tell", "read", "write", "delete" }, { "files", "files", "files" }, { "file:///a.txt", "file:///b.txt", "note://c" },
      { "file:///{path}", "note://{id}" }, { "review", "plan" }, "path" }, json.decode((says(client, "tell"):gsub("%[null,", "["))))
  end)

  it("list is what this client sees, of every kind, all pages of it", function()
    local client = with(tell([[names(lunette.tools.list(ctx), "name"), names(lunette.tools.list(), "name"), names(lunette.resources.list(ctx), "uri"),
      names(lunette.resource_templates.list(ctx), "uriTemplate"), names(lunette.prompts.list(ctx), "name")]], [[
      lunette.configure { page_size = 2 }
      lunette.tools.hide "write"
      lunette.tools.rename { read = "load" }
      lunette.tools.filter(function(t, ctx) return t.name ~= "delete" or ctx.session.client.name == "boss" end)
      lunette.resources.hide "note:*"
      lunette.prompts.only "plan"]]))
    assert.same({ { "tell", "load" }, { "tell", "load" }, { "file:///a.txt", "file:///b.txt" }, { "file:///{path}", "note://{id}" }, { "plan" } },
      json.decode(says(client, "tell")))
  end)

  it("call, read and get use one, through rules and handlers like the client", function()
    local client, up = with(tell([[
      lunette.tools.call("load", { file = "p" }).got.arguments.path,
      lunette.tools.call(ctx, "load", { file = "q" }).got.arguments.path,
      lunette.resources.read("file:///a.txt").contents[1].text,
      lunette.resources.read(ctx, "file:///a.txt").contents[1].text,
      lunette.resource_templates.read("note://77").contents[1].uri,
      lunette.prompts.get("review", { path = "r" }).got.arguments.path,
      lunette.prompts.get(ctx, "plan").got.name,
      select(2, pcall(lunette.tools.call, "write")).code ]], [[
      lunette.tools.transform("read", { name = "load", arguments = { path = { name = "file" } } })
      lunette.tools.hide "write"
      lunette.on("tools/call", "load", function(request, forward)
        lunette.shared.incr "handled"
        return forward(request) end)]]))
    assert.same({ "p", "q", "body", "body", "note://77", "r", "plan", -32602 }, json.decode(says(client, "tell")))
    assert.equal(2, up:count "tools/call")
  end)

  it("works in handlers of other messages too, but not while the policy loads nor in rules", function()
    local client, up = with [[lunette.on("notifications/message", function(note, forward)
      note.params.data = #lunette.tools.list()
      forward(note) end)]]
    up:session():notify("notifications/message", '{"level":"info","data":0}')
    assert.equal("3", json.at(client:expect("notifications/message").params, "data"))
    lunette.finish()
    local result = lunette.cli { "check", lunette.policy "\nlunette.tools.call('x')" }
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find "policy%d+%.lua:2: .*only a handler can do", result.stderr)
  end)

  for call, why in pairs {
    ["lunette.tools.call()"] = "lunette.tools.call: name must be a string",
    ['lunette.tools.call("x", 5)'] = "lunette.tools.call: args must be a table",
    ["lunette.resources.read {}"] = "lunette.resources.read: uri must be a string",
    ["lunette.prompts.call 'x'"] = "lunette.prompts has no call",
    ["lunette.tool.list()"] = "lunette has no tool; did you mean tools?",
  } do
    it(call .. " says what is wrong", function()
      local client = with("\nlunette.on('tools/call', function() return " .. call .. " end)")
      assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code)
      local log = client.process.err:all()
      assert.truthy(log:find("policy%d+%.lua:3: ") and log:find(why, 1, true), log)
    end)
  end
end)
