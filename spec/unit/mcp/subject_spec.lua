-- What a client's request is about.
local S = require "spec.unit.mcp.support"
local R, lib, ffi = S.R, S.lib, S.ffi

local kinds = { [0] = "tool", "resource", "template", "prompt", "nothing" }

-- The kind, and the raw member or nil.
local function subject(method, params)
  local m = assert(R.parse(('{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}'):format(method, params), { strict = false }))
  local row = lib.ln_method_find(S.J.text(method), 1)
  local s = lib.ln_subject_of(row, m.msg)
  local kind, value = kinds[tonumber(ffi.cast("int", s.kind))], s.value.p ~= nil and ffi.string(s.value.p, s.value.n) or nil
  lib.ln_msg_unref(m.msg)
  return { kind, value }
end

describe("mcp/subject", function()
  after_each(function()
    local messages, blocks = R.left()
    assert.equal(0, messages)
    assert.equal(0, blocks)
  end)

  it("is the name or URI of the method's kind, raw", function()
    assert.same({ "tool", [["a\u0062"]] }, subject("tools/call", [[{"name":"a\u0062","uri":"x:y"}]]))
    assert.same({ "prompt", '"p"' }, subject("prompts/get", '{"name":"p","uri":"x:y"}'))
    for _, method in ipairs { "resources/read", "resources/subscribe", "resources/unsubscribe" } do
      assert.same({ "resource", '"x:y"' }, subject(method, '{"name":"n","uri":"x:y"}'))
    end
  end)
  it("has no value where the member is missing or no string", function()
    assert.same({ "tool" }, subject("tools/call", '{"uri":"x:y"}'))
    assert.same({ "tool" }, subject("tools/call", '{"name":1}'))
    assert.same({ "resource" }, subject("resources/read", '{"name":"n"}'))
  end)
  it("is nothing for methods that name nothing", function()
    for _, method in ipairs { "ping", "tasks/get", "of/its-own" } do
      assert.equal("nothing", subject(method, '{"name":"n","uri":"x:y"}')[1], method)
    end
  end)
  it("is what a completion's ref names, and its type decides", function()
    local both = '"name":"p","uri":"x:{y}"'
    local function ref(text) return subject("completion/complete", ('{"ref":%s,"name":"n","uri":"u:v"}'):format(text)) end
    assert.same({ "prompt", '"p"' }, ref('{"type":"ref/prompt",' .. both .. "}"))
    assert.same({ "template", '"x:{y}"' }, ref('{"type":"ref/resource",' .. both .. "}"))
    assert.same({ "template", '"x:{y}"' }, ref([[{"type":"ref\/resource",]] .. both .. "}"))
    assert.same({ "prompt" }, ref '{"type":"ref/prompt","uri":"x:y"}')
    for _, odd in ipairs { "{" .. both .. "}", '{"type":"ref/tool",' .. both .. "}", '{"type":1,' .. both .. "}", '"ref/prompt"', "[]" } do
      assert.same({ "nothing" }, ref(odd), odd)
    end
    assert.same({ "nothing" }, subject("completion/complete", '{"name":"n"}'))
  end)
end)
