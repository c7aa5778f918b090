-- Rule 43: content that a version doesn't know yet is told as text, the rest stays as it is.
local S = require "spec.unit.mcp.support"
local R, lib = S.R, S.lib

local function told(result, version)
  local m = assert(R.parse(('{"jsonrpc":"2.0","id":1,"result":%s}'):format(result), { strict = false }))
  local out = lib.ln_content_for_version(m.msg, S.J.text(version))
  local same = out == m.msg
  local text = R.table(out).result
  lib.ln_msg_unref(out)
  return text, same
end

local link = '{"type":"resource_link","uri":"a:\\u0062","name":"N \\"q\\"","x":1}'
local link_text = '{"type":"text","text":"[resource: a:b N \\"q\\"]"}'
local audio = '{"data":"AAAA","mimeType":"audio/wav","type":"audio"}'
local audio_text = '{"type":"text","text":"[audio: audio/wav]"}'

describe("mcp/content", function()
  after_each(function()
    local messages, blocks = R.left()
    assert.equal(0, messages)
    assert.equal(0, blocks)
  end)

  it("knows which versions lack something", function()
    for version, lacks in pairs { ["2024-11-05"] = true, ["2025-03-26"] = true, ["2025-06-18"] = false, ["2025-11-25"] = false, [""] = false,
      ["draft"] = false } do
      assert.equal(lacks, lib.ln_content_version_lacks(S.J.text(version)), version)
    end
  end)

  it("43: tells audio and links as text where they are not known", function()
    local result = ('{ "content":[%s, %s ,{"type":"text","text":"t"}],"isError":false}'):format(audio, link)
    assert.equal(('{ "content":[%s, %s ,{"type":"text","text":"t"}],"isError":false}'):format(audio_text, link_text), (told(result, "2024-11-05")))
    assert.equal(('{ "content":[%s, %s ,{"type":"text","text":"t"}],"isError":false}'):format(audio, link_text), (told(result, "2025-03-26")))
    for _, version in ipairs { "2025-06-18", "2025-11-25" } do
      local text, same = told(result, version)
      assert.equal(result, text)
      assert.is_true(same)
    end
  end)

  it("43: does so in prompts too", function()
    local result = '{"messages":[{"role":"user","content":%s},{"role":"user","content":%s}],"description":"d"}'
    assert.equal(result:format(audio_text, link_text), (told(result:format(audio, link), "2024-11-05")))
  end)

  it("gives back the very reply when there is nothing to tell", function()
    for _, result in ipairs { "{}", '{"content":[]}', '{"content":[{"type":"text","text":"audio"}]}', '{"content":[{"type":"image"}]}',
      '{"content":"audio"}', '{"content":[1,"audio",null,[],{"type":5},{"type":null}]}', '{"messages":[1,{},{"content":1},{"content":[]}]}',
      '{"structuredContent":{"content":[' .. audio .. "]}}", '{"messages":{}}', "5", "[]" } do
      local text, same = told(result, "2024-11-05")
      assert.equal(result, text)
      assert.is_true(same, result)
    end
  end)

  it("leaves errors alone", function()
    local m = assert(R.parse('{"jsonrpc":"2.0","id":1,"error":{"content":[' .. audio .. "]}}"))
    local out = lib.ln_content_for_version(m.msg, S.J.text "2024-11-05")
    assert.is_true(out == m.msg)
    lib.ln_msg_unref(out)
  end)

  it("says what is known of a block, and makes do with less", function()
    assert.equal('{"content":[{"type":"text","text":"[audio]"}]}', (told('{"content":[{"type":"audio"}]}', "2024-11-05")))
    assert.equal('{"content":[{"type":"text","text":"[audio]"}]}', (told('{"content":[{"type":"\\u0061udio","mimeType":5}]}', "2024-11-05")))
    assert.equal('{"content":[{"type":"text","text":"[resource: a\\n\239\191\189]"}]}',
      (told('{"content":[{"type":"resource_link","uri":"a\\n\\ud800"}]}', "2024-11-05")))
  end)

  it("stops at sixty-four, with the rest as it is", function()
    local list = {}
    for i = 1, 70 do list[i] = audio end
    local text = told('{"content":[' .. table.concat(list, ",") .. "]}", "2024-11-05")
    local _, texts = text:gsub("%[audio: audio/wav%]", "")
    local _, left = text:gsub('"type":"audio"', "")
    assert.same({ 64, 6 }, { texts, left })
  end)
end)
