-- Completion for what a client sees does not enumerate what it doesn't.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

describe("completion", function()
  after_each(lunette.finish)

  local function server(values, more)
    local up = upstream.new { name = "up", capabilities = '{"resources":{},"prompts":{},"completions":{}}',
      resources = '[{"uri":"file:///secret","name":"s"},{"uri":"file:///open","name":"o"},{"uri":"db://own/1","name":"own"}]',
      templates = '[{"uriTemplate":"file:///{name}","name":"f"},{"uriTemplate":"db://{table}/{row}{?q}","name":"d"}]',
      prompts = '[{"name":"p","arguments":[{"name":"x"},{"name":"y"}]}]' }
    up:on("completion/complete", function(req)
      req:reply(('{"completion":{ "values":%s%s},"z":1.0}'):format(values, more or ""))
    end)
    return up
  end

  local function ask(client, ref, argument, context)
    ref = ref:find ":" and '{"type":"ref/resource","uri":' .. json.quote(ref) .. "}" or '{"type":"ref/prompt","name":' .. json.quote(ref) .. "}"
    return client:request("completion/complete", ('{"ref":%s,"argument":{"name":%q,"value":""}%s}'):format(ref, argument,
      context and (',"context":{"arguments":%s}'):format(context) or ""))
  end

  -- { policy, ref, argument, context, what the server proposes, what is left }
  local rows = {
    { "lunette.resources.hide 'file:///secret'", "file:///{name}", "name", nil, '["secret","open"]', '["open"]' },
    { "lunette.resources.hide 'file:///se*'", "file:///{name}", "name", nil, '["secret", "séance" ,"open","Se"]', '["séance","open","Se"]' },
    { "lunette.resources.only 'file:///o*'", "file:///{name}", "name", nil, '["secret","open","other"]', '["open","other"]' },
    { "lunette.resources.filter(function(r) return r.name ~= 's' end)", "file:///{name}", "name", nil, '["secret","open","none"]', '["open"]' },
    { "lunette.resources.hide { where = function(r) return r.name == 's' end }", "file:///{name}", "name", nil, '["secret","open"]', '["open"]' },
    { "lunette.resources.hide 'file:///secret'", "db://{table}/{row}{?q}", "table", nil, '["secret","open"]', '["secret","open"]' },
    { "lunette.resources.hide 'db://secret/*'", "db://{table}/{row}{?q}", "table", nil, '["secret","open"]', '["open"]' },
    { "lunette.resources.hide 'db://*/1'", "db://{table}/{row}{?q}", "table", nil, '["secret","open"]', '["secret","open"]' },
    { "lunette.resources.hide 'db://*/1*'", "db://{table}/{row}{?q}", "row", '{"table":"t","q":"x"}', '["1","2"]', '["2"]' },
    { "lunette.resources.hide 'db://secret/1?q=x'", "db://{table}/{row}{?q}", "row", '{"table":"secret","q":"x"}', '["1","2"]', '["2"]' },
    { "lunette.resources.only('db://open/readme', 'db://a*')", "db://{table}/{row}{?q}", "table", nil, '["secret","open","all"]', '["open","all"]' },
    { "lunette.resource_templates.transform('db://{table}/{row}{?q}', { uriTemplate = 'tables:{table}/{row}{?q}' }) lunette.resources.hide 'tables:secret*'",
      "tables:{table}/{row}{?q}", "row", '{"table":"secret","q":"x"}', '["1"]', "[]" },
    { "lunette.resource_templates.transform('db://{table}/{row}{?q}', { uriTemplate = 'tables:{table}/{row}{?q}' }) lunette.resources.hide 'tables:secret*'",
      "tables:{table}/{row}{?q}", "table", nil, '["secret","open"]', '["open"]' },
    { "lunette.resources.hide 'file:///secret'", "p", "x", nil, '["file:///secret","FILE:///secret","file:///open","secret","a: b"]',
      '["file:///open","secret","a: b"]' },
    { "lunette.resources.only 'file:///open'", "p", "x", nil, '["file:///secret","file:///open","a: b"]', '["file:///open","a: b"]' },
    { "lunette.resource_templates.hide 'd'", "p", "x", nil, '["db://secret/1","db://own/1","file:///open","db:x"]', '["db://own/1","file:///open","db:x"]' },
    { "lunette.resource_templates.hide 'f'", "db://{table}/{row}{?q}", "table", nil, '["file:///x","a:b"]', '["a:b"]' },
    { "lunette.tools.hide 'secret'", "file:///{name}", "name", nil, '["secret","open"]', '["secret","open"]' },
    { "", "file:///{name}", "name", nil, '["secret",1]', '["secret",1]' },
  }
  for _, row in ipairs(rows) do
    it(("of %s under %s leaves %s of %s"):format(row[3], row[1], row[6], row[5]), function()
      local client = lunette.stdio { policy = lunette.bare(server(row[5])) .. "\n" .. row[1] }
      client:initialize()
      assert.equal(('{"completion":{ "values":%s},"z":1.0}'):format(row[6]), json.at(ask(client, row[2], row[3], row[4]), "result"))
    end)
  end

  it("counts no more than it gives", function()
    local client = lunette.stdio { policy = lunette.bare(server('["secret","open"]', ',"total":7, "hasMore":true')) .. "\nlunette.resources.hide '*secret'" }
    client:initialize()
    assert.equal('{ "values":["open"],"total":6, "hasMore":true}', json.at(ask(client, "file:///{name}", "name"), "result", "completion"))
  end)

  it("looks at as many values as an answer may have", function()
    local many = {}
    for i = 1, 50000 do many[i] = ('"%s%d"'):format(("a"):rep(20), i) end
    local client = lunette.stdio { policy = lunette.bare(server("[" .. table.concat(many, ",") .. "]"))
      .. "\nlunette.resources.hide('*secret', '*a*a*a*b')" }
    client:initialize()
    assert.equal(100, #json.elements(json.at(ask(client, "file:///{name}", "name"), "result", "completion", "values")))
  end)

  it("is refused of a prompt's hidden argument, a hidden prompt and a hidden template", function()
    local up = server "[]"
    local client = lunette.stdio { policy = lunette.bare(up) .. [[ lunette.prompts.transform('p', { arguments = { x = { hide = true } } })
      lunette.resource_templates.hide 'f']] }
    client:initialize()
    for ref, argument in pairs { p = "x", q = "x", ["file:///{name}"] = "name" } do
      assert.equal(-32602, json.value(ask(client, ref, argument), "error", "code"), ref)
    end
    assert.equal(0, up:count "completion/complete")
    assert.truthy(json.at(ask(client, "p", "y"), "result"))
  end)
end)
