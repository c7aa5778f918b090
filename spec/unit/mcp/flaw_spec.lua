-- Rule 77: what makes official clients drop a whole result is found, and nothing else.
local S = require "spec.unit.mcp.support"
local T = require "spec.support.ffi"
T.include "mcp/flaw.h"

local ffi, lib = S.ffi, S.lib

local function said(flaw) return flaw ~= nil and ffi.string(flaw) or nil end
local function of_result(text) return said(lib.ln_flaw_of_result(S.J.text(text))) end
local function of_item(text) return said(lib.ln_flaw_of_item(S.J.text(text))) end

describe("mcp/flaw", function()
  it("77: takes for base64 what atob takes", function()
    for _, good in ipairs { "", "AAAA", "AAA=", "AA==", "AAA", "AA", "+/+/", "+\\/+/", "AA AA", "AA\\nAA\\r\\n", "A A A A" } do
      assert.is_nil(of_item(('{"type":"image","data":"%s"}'):format(good)), good)
    end
    for _, bad in ipairs { "A", "AAAAA", "AA=", "AA===", "=", "AA=A", "A-_A", "AAA\\u0041", "AA\\\\AA", "grüße", "AA.AA", "AAAA====" } do
      assert.equal("data or blob is not base64", of_item(('{"type":"image","data":"%s"}'):format(bad)), bad)
    end
  end)

  it("77: knows where base64 stands", function()
    for _, bad in ipairs { '{"content":[{"type":"text","text":"t"},{"type":"audio","data":"?"}]}', '{"contents":[{"uri":"x:","blob":"?"}]}',
      '{"content":[{"type":"resource","resource":{"uri":"x:","blob":"?"}}]}',
      '{"messages":[{"role":"user","content":{"type":"image","data":"?"}}]}' } do
      assert.equal("data or blob is not base64", of_result(bad), bad)
    end
    for _, good in ipairs { '{"structuredContent":{"data":"?","content":[{"data":"?"}]}}', '{"content":[{"type":"text","text":"\\"data\\":\\"?\\""}]}',
      '{"content":[{"data":{"a":1}}]}', '{"content":{"data":"?"}}', "[]", "{}", '{"content":[1,"x",null,[]]}',
      '{"contents":[{"uri":"x:","text":"?"}]}' } do
      assert.is_nil(of_result(good), good)
    end
  end)

  it("77: takes for a date what RFC 3339 does, with or without seconds", function()
    for _, good in ipairs { "2025-01-12T15:00:58Z", "2025-01-12T15:00Z", "2025-01-12T15:00:58.123456Z", "2025-01-12T15:00:58+02:00",
      "2025-12-31T23:59:59-11:30" } do
      assert.is_nil(of_item(('{"annotations":{"lastModified":"%s"}}'):format(good)), good)
    end
    for _, bad in ipairs { "", "today", "2025-01-12", "2025-01-12 15:00:58Z", "2025-01-12T15:00:58", "2025-13-12T15:00:58Z",
      "2025-01-32T15:00:58Z", "2025-01-12T24:00:00Z", "2025-01-12T15:60:00Z", "2025-01-12T15:00:58+0200", "2025-01-12T15:00:5Z",
      "20250112T150058Z", "2025-01-12T15:00:58ZZ", "2025-01-12T15:00:58.Z0" } do
      assert.equal("lastModified is no RFC 3339 date", of_item(('{"annotations":{"lastModified":"%s"}}'):format(bad)), bad)
    end
  end)
end)
