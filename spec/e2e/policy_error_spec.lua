-- Of what goes wrong in a policy clients hear "policy error", or that there is no such thing, and nothing of the inside:
-- no text of the error, no file, no line. Those are in the log.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local MARK = "SECRET-xyz"
local boom = ('error("%s")'):format(MARK)

-- What the policy has on its second line, and the request that meets it; says: what the client hears (else "policy
-- error"); log: what the log has with the line, else the mark.
local cases = {
  ["a handler"] = { 'lunette.on("tools/call", function() ' .. boom .. " end)" },
  ["a handler, of an error at level 0"] = { 'lunette.on("tools/call", function() error("' .. MARK .. '", 0) end)' },
  ["a handler, with a table"] = { 'lunette.on("tools/call", function() error { "' .. MARK .. '" } end)' },
  ["a handler, of no error of a number"] = { 'lunette.on("tools/call", function() error { code = "x", message = "' .. MARK .. '" } end)', log = "" },
  ["a handler by a nil"] = { 'lunette.on("tools/call", function(r) return r.params.' .. MARK:gsub("-", "_") .. ".x end)", log = "SECRET_xyz" },
  ["a handler after it forwarded"] = { 'lunette.on("tools/call", function(r, f) f(r) ' .. boom .. " end)" },
  ["a handler in a handler"] = { 'lunette.on("*", function(r, f) return f(r) end) lunette.on("tools/call", function() ' .. boom .. " end)" },
  ["a handler that passes on what it caught"] = { 'lunette.on("tools/call", function() local _, e = pcall(error, "' .. MARK .. '") error(e) end)' },
  ["a handler's selector"] = { 'lunette.on("tools/call", { where = function() ' .. boom .. " end }, function(r, f) return f(r) end)" },
  ["what a handler returns"] = { 'lunette.on("tools/call", function() return { content = {}, ["' .. MARK .. '"] = print } end)' },
  ["a handler of initialize"] = { 'lunette.on("initialize", function() ' .. boom .. " end)", early = true },
  ["a transform's call"] = { 'lunette.tools.transform("read", { call = function() ' .. boom .. " end })" },
  ["an argument's default"] = { 'lunette.tools.transform("read", { arguments = { path = { hide = true, default = function() ' .. boom .. " end } } })" },
  ["a filter"] = { "lunette.tools.filter(function() " .. boom .. " end)", says = "Unknown tool: read", lists = true },
  ["a filter for each client"] = { "lunette.tools.filter(function(_, ctx) return ctx and " .. boom .. " end)", says = "Unknown tool: read", lists = true },
  ["a selector of rules"] = { "lunette.tools.hide { where = function() " .. boom .. " end }", says = "Unknown tool: read", lists = true },
  ["a rename"] = { "lunette.tools.rename(function() " .. boom .. " end)", says = "Unknown tool: read", lists = true },
  ["a transform"] = { 'lunette.tools.transform("*", function() ' .. boom .. " end)", says = "Unknown tool: read", lists = true },
  ["a tool"] = { 'lunette.tools.add { name = "t", inputSchema = { type = "object" }, handler = function() ' .. boom .. " end }",
    { "tools/call", '{"name":"t"}' } },
  ["a resource"] = { 'lunette.resources.add { uri = "x://r", name = "r", read = function() ' .. boom .. " end }",
    { "resources/read", '{"uri":"x://r"}' } },
  ["a template"] = { 'lunette.resource_templates.add { uriTemplate = "x://{a}", name = "r", read = function() ' .. boom .. " end }",
    { "resources/read", '{"uri":"x://1"}' } },
  ["a prompt"] = { 'lunette.prompts.add { name = "q", get = function() ' .. boom .. " end }", { "prompts/get", '{"name":"q"}' } },
  ["a handler of lists"] = { 'lunette.on("tools/list", function() ' .. boom .. " end)", { "tools/list", "{}" } },
  ["a handler of completions"] = { 'lunette.on("completion/complete", function() ' .. boom .. " end)",
    { "completion/complete", '{"ref":{"type":"ref/prompt","name":"plan"},"argument":{"name":"a","value":""}}' } },
  ["a function of a ready policy's option"] = { 'require "lunette.policy.rate_limit" { calls = 1, by = function() ' .. boom .. " end }" },
  ["ctx:elicit, given nonsense"] = { 'lunette.on("tools/call", function(_, _, ctx) ctx:elicit { message = "' .. MARK .. '", [print] = 1 } end)', log = "" },
  ["lunette.http"] = { 'lunette.on("tools/call", function() lunette.http "http://127.0.0.1:1/' .. MARK .. '?' .. MARK .. '" end)', log = "127.0.0.1:1" },
  ["time that is up"] = { 'lunette.configure { hook_timeout = 0.05 } lunette.on("tools/call", function() while true do end end)', log = "ran for more than" },
  ["memory that is none"] = { 'lunette.configure { memory_limit = 16e6 } lunette.on("tools/call", '
    .. 'function() local t = {} while true do t[#t + 1] = ("x"):rep(1e5) .. #t end end)',
    log = "not enough memory" },
  ["endless recursion"] = { 'lunette.on("tools/call", function() local function f() return 1 + f() end return f() end)', log = "stack overflow" },
}

describe("of an error in a policy, in", function()
  after_each(lunette.finish)

  for name, case in pairs(cases) do
    it(name .. ", the client hears nothing of the inside", function()
      local up = policy.server {}
      local host = lunette.http { policy = lunette.bare(up) .. "\n" .. case[1] }
      local client = host.client()
      local said = { client:request("initialize",
        '{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"spec","version":"1"}}') }
      if not case.early then
        client:notify "notifications/initialized"
        if case.lists then said[#said + 1] = client:request("tools/list", "{}") end
        local request = case[2] or { "tools/call", '{"name":"read","arguments":{}}' }
        said[#said + 1] = client:request(request[1], request[2])
      end
      assert.equal(case.says or "policy error", json.value(said[#said], "error", "message"), said[#said])
      local all = table.concat(said, "\n")
      for _, part in ipairs { "SECRET", "%.lua", "policy%d", "traceback", "127%.0" } do assert.is_nil(all:find(part), all) end
      loop.wait(function()
        for line in host.process.err:all():gmatch "[^\n]+" do
          if line:find("policy%d+%.lua:2") and line:find(case.log or MARK, 1, true) then return true end
        end
      end, "the log to say it: " .. (case.log or MARK))
    end)
  end

  it("a handler of a server's request the server hears no more, and one of a notification drops it", function()
    local up = policy.server {}
    up:on("tools/call", function(req)
      req:notify("notifications/message", '{"level":"info","data":1}')
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(r) req:reply('{"content":[],"got":' .. r.error .. "}") end)
    end)
    local host = lunette.http { policy = lunette.bare(up) .. "\nlunette.sampling(function() " .. boom
      .. ' end) lunette.on("notifications/message", function() ' .. boom .. " end)" }
    local client = host.client()
    client:initialize()
    local raw = client:result("tools/call", '{"name":"read","arguments":{}}')
    assert.equal('{"code":-32603,"message":"policy error"}', json.at(raw, "got"))
    assert.is_nil(client:maybe("notifications/message", 50))
    assert.equal(2, select(2, host.process.err:all():gsub("error policy: [^\n]-policy%d+%.lua:2[^\n]-" .. MARK:gsub("%-", "%%-"), "")))
  end)
end)
