-- A policy's own tools, resources, templates and prompts at work.
local support = require "spec.unit.script.support"

setup(support.setup)
teardown(support.teardown)

describe("a component of the policy's", function()
  local f

  after_each(function()
    if f then f:free() end
    f = nil
  end)

  local function outcome(policy, method, params)
    if f then f:free() end
    f = assert(support.load(policy))
    f:component(('{"jsonrpc":"2.0","id":3,"method":"%s","params":%s}'):format(method, params))
    f:run()
    local text = f:account():match "^done 1 (.*)\n$"
    return text and (text:match '"result":(.*)}$' or text)
  end

  local function tool(body, params)
    return outcome("lunette.tools.add { name = 't', handler = function(args, ctx) " .. body .. " end }", "tools/call",
      params or '{"name":"t","arguments":{"a":1,"l":[]}}')
  end

  it("tool gets its arguments, a table even when there are none", function()
    assert.equal('{"content":[{"text":"1 true","type":"text"}]}', tool "return args.a .. ' ' .. tostring(getmetatable(args.l) ~= nil)")
    assert.equal('{"content":[{"text":"0","type":"text"}]}', tool("return #args .. ''", '{"name":"t"}'))
  end)

  it("tool gives text, content or a whole result", function()
    for body, result in pairs {
      ["return 'x'"] = '{"content":[{"text":"x","type":"text"}]}',
      ["return lunette.text 'x'"] = '{"content":[{"text":"x","type":"text"}]}',
      ["return { { type = 'image', data = 'AA==', mimeType = 'image/png' }, 'x' }"] =
        '{"content":[{"data":"AA==","mimeType":"image/png","type":"image"},{"text":"x","type":"text"}]}',
      ["return lunette.array {}"] = '{"content":[]}',
      ["return { content = {}, isError = true }"] = '{"content":[],"isError":true}',
      ["return { structuredContent = { n = 1 } }"] = '{"content":[{"text":"{\\"n\\":1}","type":"text"}],"structuredContent":{"n":1}}',
      ["lunette.deny 'no' return 'x'"] = '{"content":[{"text":"no","type":"text"}],"isError":true}',
      ["return lunette.deny 'no'"] = '{"content":[{"text":"no","type":"text"}],"isError":true}',
    } do
      assert.equal(result, tool(body), body)
    end
  end)

  it("tool that fails tells the client nothing, and the log all", function()
    local text = tool "local x = args.b.c return x"
    assert.equal('{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"policy error"}}', text)
    assert.truthy(f:log():find("error policy: t at .-policy.lua:1: attempt to index"), f:log())
    tool ""
    assert.truthy(f:log():find("the handler of tools/call returned nothing", 1, true), f:log())
    assert.equal('{"jsonrpc":"2.0","id":0,"error":{"code":-7,"message":"m"}}', tool "lunette.error(-7, 'm')")
  end)

  it("tool may wait and ask", function()
    f = assert(support.load "lunette.tools.add { name = 't', handler = function(args, ctx) return ctx:call_tool('u').content end }")
    f:component '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"t"}}'
    f:answer '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"u"}]}}'
    assert.truthy(f:account():find('"result":{"content":[{"text":"u","type":"text"}]}', 1, true))
  end)

  it("resource gives text, contents or a whole result", function()
    local function read(body)
      return outcome("lunette.resources.add { uri = 'a:b', name = 'n', mimeType = 'text/x', read = function(uri, ctx) " .. body .. " end }",
        "resources/read", '{"uri":"a:b"}')
    end
    for body, result in pairs {
      ["return 'at ' .. uri"] = '{"contents":[{"mimeType":"text/x","text":"at a:b","uri":"a:b"}]}',
      ["return { blob = 'AA==' }"] = '{"contents":[{"blob":"AA==","mimeType":"text/x","uri":"a:b"}]}',
      ["return { { text = '1' }, { uri = 'a:c', text = '2', mimeType = 'y' } }"] =
        '{"contents":[{"mimeType":"text/x","text":"1","uri":"a:b"},{"mimeType":"y","text":"2","uri":"a:c"}]}',
      ["return { contents = {} }"] = '{"contents":[]}',
    } do
      assert.equal(result, read(body), body)
    end
    assert.truthy(read("return lunette.deny 'no'"):find('"code":-32600,"message":"no"', 1, true))
  end)

  it("prompt gives text, messages or a whole result", function()
    local function get(body, params)
      return outcome("lunette.prompts.add { name = 'p', get = function(args, ctx) " .. body .. " end }", "prompts/get",
        params or '{"name":"p","arguments":{"x":"y"}}')
    end
    assert.equal('{"messages":[{"content":{"text":"y","type":"text"},"role":"user"}]}', get "return args.x")
    assert.equal('{"messages":[{"content":{"text":"a","type":"text"},"role":"assistant"}]}',
      get "return { { role = 'assistant', content = { type = 'text', text = 'a' } } }")
    assert.equal('{"description":"d","messages":[]}', get "return { description = 'd', messages = {} }")
    assert.equal('{"messages":[{"content":{"text":"nil","type":"text"},"role":"user"}]}', get("return tostring(args.x)", '{"name":"p"}'))
  end)

  it("prompt without a required argument is not asked", function()
    local function get(params)
      return outcome("lunette.prompts.add { name = 'p', arguments = { { name = 'o' }, { name = 'x', required = true } }, "
        .. "get = function(args, ctx) return args.x end }", "prompts/get", params)
    end
    for _, params in ipairs { '{"name":"p"}', '{"name":"p","arguments":{"o":"x"}}', '{"name":"p","arguments":{"x":null}}' } do
      assert.equal('{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"Missing required argument: x"}}', get(params))
    end
    assert.truthy(get('{"name":"p","arguments":{"x":""}}'):find('"text":""', 1, true))
  end)

  it("template knows its variables", function()
    for _, case in ipairs {
      { "note://{day}", "note://monday", "day=monday" },
      { "note://{day}", "note://a%20b%2Fc", "day=a b/c" },
      { "file:///{+path}", "file:///a/b.txt", "path=a/b.txt" },
      { "file:///{path*}", "file:///a/b", "path=a/b" },
      { "db://{table}/{id}.json", "db://users/5.json", "id=5 table=users" },
      { "s://x{/a,b}", "s://x/1/2", "a=1 b=2" },
      { "s://x{?q,lang}", "s://x?lang=de&q=a+b", "lang=de q=a+b" },
      { "s://x{?q,lang}", "s://x", "" },
      { "s://x{#frag}", "s://x#top", "frag=top" },
      { "s://{a}.{b}-(x)", "s://1.2-(x)", "a=1 b=2" },
      { "s://{a}{?q*}", "s://x?q=1&q=2", "a=x q=[1 2]" },
      { "s://{a}{?q*}", "s://x?k=v%26&l=", "a=x q=[k=v& l=]" },
      { "s://x{/seg*}", "s://x/1/b%20c/3", "seg=[1 3 b c]" },
      { "s://x{/seg*}", "s://x", "" },
      { "s://{name}{.ext}", "s://a.tar.gz", "ext=gz name=a.tar" },
      { "s://x{;p,q}", "s://x;q=2;p", "p= q=2" },
      { "s://x?fixed=1{&more}", "s://x?fixed=1&more=2", "more=2" },
      { "s://{v:3}{rest}", "s://abcdef", "rest=def v=abc" },
      { "s://{v:1}/{v}", "s://a/abc", "v=abc" },
      { "s://{a,b}", "s://1,2", "a=1 b=2" },
      { "s://{+p}{?q}", "S://d/../a/b?q=%3F", "p=d/a/b q=?" },
    } do
      local result = outcome(([[lunette.resource_templates.add { uriTemplate = %q, name = "n", read = function(uri, ctx, params)
        local out = {}
        for k, v in pairs(params) do
          if type(v) == "table" then
            local list = {}
            for i, w in pairs(v) do list[#list + 1] = (type(i) == "string" and i .. "=" or "") .. w end
            table.sort(list)
            v = "[" .. table.concat(list, " ") .. "]"
          end
          out[#out + 1] = k .. "=" .. v
        end
        table.sort(out)
        return table.concat(out, " ") end }]]):format(case[1]), "resources/read", ('{"uri":"%s"}'):format(case[2]))
      assert.equal(case[3], result:match '"text":"(.-)"', case[1] .. " of " .. case[2])
    end
  end)

  it("template is not read by a URI that is none of its own", function()
    for _, case in ipairs { { "s://{day}", "t://nothing" }, { "s://{v:1}/{v}", "s://a/bcd" }, { "s://x{/a}", "s://x/1/2" } } do
      local result = outcome(([[lunette.resource_templates.add { uriTemplate = %q, name = "n", read = function() return "x" end }]])
        :format(case[1]), "resources/read", ('{"uri":"%s"}'):format(case[2]))
      assert.truthy(result:find('"code":-32602', 1, true), case[1])
      assert.truthy(result:find('"data":{"uri":"' .. case[2] .. '"}', 1, true), case[1])
    end
  end)
end)
