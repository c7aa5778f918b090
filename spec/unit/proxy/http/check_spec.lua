-- src/proxy/http/check.c: the head of a request in, a verdict out (checklist 24, 25, 30, 32, 49).
local S = require "spec.unit.proxy.support"
local ffi, lib = S.ffi, S.include "proxy/http/check.h"

local POST = { "Content-Type: application/json", "Accept: application/json, text/event-stream" }

-- "ok", or status and sentence; the headers of the answer after a "|".
local function verdict(r)
  if r.status == 0 then return "ok" end
  assert.equal(-32600, r.code)
  local headers = r.headers ~= nil and "|" .. ffi.string(r.headers):gsub("\r\n$", "") or ""
  return ("%d %s%s"):format(r.status, ffi.string(r.why), headers)
end

-- The verdict of check(head, more) on a request: "METHOD", then header lines. Of Host and Origin: for a server of `more`.
local function of(check, method, lines, more)
  local all = { method .. " /mcp HTTP/1.1" }
  local host
  for _, line in ipairs(lines) do host = host or line:match "^Host:" end
  if not host then all[2] = "Host: localhost:8080" end
  for _, line in ipairs(lines) do all[#all + 1] = line end
  local judge = lib["ln_check_" .. check]
  return S.with_head(all, function(head)
    if check == "origin" then return verdict(judge(more, head, ffi.new "struct ln_str[1]")) end
    return verdict(more and judge(head, more) or judge(head))
  end)
end

-- The same with some of POST's own lines replaced; false leaves one out.
local function post(check, type, accept)
  local lines = {}
  if type ~= false then lines[#lines + 1] = "Content-Type: " .. (type or "application/json") end
  if accept ~= false then lines[#lines + 1] = accept and "Accept: " .. accept or POST[2] end
  return of(check, "POST", lines)
end

local TYPE = "415 Content-Type must be application/json"
local BOTH = "406 Accept must include application/json and text/event-stream"
local STREAM = "406 Accept must include text/event-stream"

describe("the check of a request", function()
  local live
  before_each(function() live = tonumber(lib.ln_bytes_live()) end)
  after_each(function() assert.equal(live, tonumber(lib.ln_bytes_live())) end)

  it("for /mcp knows three methods", function()
    for _, method in ipairs { "PUT", "HEAD", "OPTIONS", "PATCH", "post" } do
      assert.equal("405 Only POST, GET and DELETE|Allow: POST, GET, DELETE", of("mcp", method, POST))
    end
    assert.equal("ok", of("mcp", "POST", POST))
    assert.equal("ok", of("mcp", "DELETE", {}))
    assert.equal("ok", of("mcp", "GET", { "Accept: text/event-stream" }))
  end)

  it("wants of a POST that it takes JSON and streams", function()
    for accept, expected in pairs {
      ["application/json, text/event-stream"] = "ok", ["text/event-stream;q=0.1, application/json"] = "ok", ["*/*"] = "ok",
      ["application/*, text/*"] = "ok", ["APPLICATION/JSON, Text/Event-Stream"] = "ok",
      ["application/json"] = BOTH, ["text/event-stream"] = BOTH, ["application/json, text/event-stream;q=0"] = BOTH, [""] = BOTH,
    } do
      assert.equal(expected, post("mcp", nil, accept), accept)
    end
    assert.equal(BOTH, post("mcp", nil, false))
    assert.equal("ok", of("mcp", "POST", { POST[1], "Accept: application/json", "Accept: text/event-stream" }))
  end)

  it("wants of a GET that it takes streams", function()
    assert.equal(STREAM, of("mcp", "GET", {}))
    assert.equal(STREAM, of("mcp", "GET", { "Accept: application/json" }))
    assert.equal("ok", of("mcp", "GET", { "Accept: application/json", "Accept: text/*" }))
  end)

  for _, check in ipairs { "mcp", "messages" } do
    it("wants a body that is JSON in UTF-8, and says so once: " .. check, function()
      for type, expected in pairs {
        ["application/json"] = "ok", ["Application/JSON; charset=UTF-8"] = "ok", ['application/json; charset="utf-8"'] = "ok",
        ["application/json; charset=utf-16"] = "415 The charset of JSON is utf-8",
        ["application/json; charset=utf-8; charset=utf-8"] = "415 The charset of JSON is utf-8",
        ["text/plain"] = TYPE, ["application/jsonx"] = TYPE, ["application/json-rpc"] = TYPE, [""] = TYPE,
      } do
        assert.equal(expected, post(check, type), type)
      end
      assert.equal(TYPE, post(check, false))
      assert.equal("415 Content-Type is there twice", of(check, "POST", { POST[1], POST[1], POST[2] }))
      assert.equal("ok", of(check, "POST", { POST[1], POST[2], "Content-Encoding: Identity" }))
      for _, lines in ipairs { { "Content-Encoding: gzip" }, { "Content-Encoding: identity", "Content-Encoding: identity" } } do
        assert.equal("415 Send the body without a Content-Encoding|Accept-Encoding: identity",
          of(check, "POST", { POST[1], POST[2], unpack(lines) }))
      end
    end)
  end

  it("for /messages takes any Accept, but only a POST", function()
    assert.equal("ok", post("messages", nil, false))
    assert.equal("405 Only POST|Allow: POST", of("messages", "GET", {}))
  end)

  it("for /sse takes who says nothing of types for one who takes streams", function()
    assert.equal("ok", of("sse", "GET", {}))
    assert.equal("ok", of("sse", "GET", { "Accept: text/event-stream" }))
    assert.equal(STREAM, of("sse", "GET", { "Accept: text/html" }))
    assert.equal("405 Only GET|Allow: GET", of("sse", "POST", POST))
  end)

  it("knows the versions of the protocol", function()
    local unknown = "400 Unsupported MCP-Protocol-Version; known: 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25"
    assert.equal("ok", of("version", "POST", {}))
    for _, version in ipairs { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25" } do
      assert.equal("ok", of("version", "POST", { "MCP-Protocol-Version: " .. version }))
    end
    for _, version in ipairs { "", "2025-11-26", "1", "2025-11-25, 2025-11-25" } do
      assert.equal(unknown, of("version", "POST", { "MCP-Protocol-Version: " .. version }))
    end
    assert.equal(unknown, of("version", "POST", { "MCP-Protocol-Version: 2025-11-25", "MCP-Protocol-Version: 2025-11-25" }))
  end)

  it("prefers what Accept prefers", function()
    for accept, stream in pairs {
      ["application/json, text/event-stream"] = false, ["text/event-stream, application/json"] = true,
      ["application/json;q=0.5, text/event-stream"] = true, ["text/event-stream;q=0.5, application/json"] = false,
    } do
      assert.equal(stream, S.with_head({ "POST / HTTP/1.1", "Host: h", "Accept: " .. accept }, lib.ln_check_prefers_stream), accept)
    end
  end)
end)

describe("the check of Host and Origin", function()
  local origin = "403 This Origin is not allowed"
  local function foreign(name)
    return "403 Unknown Origin, to be listed in lunette.configure { origins = … } if its pages may be clients: " .. name
  end
  local function unknown(name)
    return "403 Unknown Host, to be listed in lunette.configure { hosts = … } if it is this server's: " .. name
  end

  local function server(loopback, ...)
    local hosts = ffi.new "struct ln_check_hosts"
    lib.ln_check_hosts_init(hosts, loopback)
    if select("#", ...) == 0 then return hosts end
    local listed = ffi.new("const char *[?]", select("#", ...) + 1, { ... })
    lib.ln_check_hosts_list(hosts, listed, nil)
    return hosts, { listed, ... }
  end

  it("on a loopback address serves this machine under its names only", function()
    local hosts = server(true)
    for _ = 1, 2 do -- the second time it has served one of them
      for name, served in pairs {
        ["localhost"] = true, ["LocalHost:1"] = true, ["127.0.0.1"] = true, ["127.0.0.1:65535"] = true, ["[::1]"] = true, ["[::1]:80"] = true,
        ["127.0.0.10"] = true, ["[::ffff:127.0.0.1]"] = true,
        ["evil.example"] = false, ["localhost.evil.example"] = false, ["127.0.0.1.evil.example"] = false, ["10.0.0.1"] = false,
      } do
        assert.equal(served and "ok" or unknown(name), of("origin", "GET", { "Host: " .. name }, hosts), name)
      end
    end
  end)

  it("serves what the policy lists, and forgets it with the list", function()
    local hosts, keep = server(true, "mcp.example")
    assert.equal("ok", of("origin", "GET", { "Host: MCP.example:8080" }, hosts))
    lib.ln_check_hosts_list(hosts, nil, nil)
    assert.equal(unknown "MCP.example:8080", of("origin", "GET", { "Host: MCP.example:8080" }, hosts))
    assert.truthy(keep)
  end)

  it("serves no page from elsewhere", function()
    local hosts = server(true)
    for value, expected in pairs {
      ["http://localhost:8080"] = "ok", ["https://localhost"] = "ok", ["http://[::1]:3000"] = "ok",
      ["null"] = origin, ["localhost"] = origin, [""] = origin, ["http://localhost/x"] = origin,
      ["http://evil.example"] = foreign "http://evil.example", ["ftp://localhost"] = foreign "ftp://localhost",
      ["http://localhost.evil.example"] = foreign "http://localhost.evil.example",
    } do
      assert.equal(expected, of("origin", "GET", { "Origin: " .. value }, hosts), value)
    end
    assert.equal(origin, of("origin", "GET", { "Origin: http://localhost", "Origin: http://localhost" }, hosts))
  end)

  it("elsewhere serves pages of its own", function()
    local hosts, keep = server(false, "mcp.example")
    local function from(value) return of("origin", "GET", { "Host: mcp.example:8080", "Origin: " .. value }, hosts) end
    assert.equal("ok", of("origin", "GET", { "Host: mcp.example" }, hosts))
    assert.equal("ok", from "http://MCP.example:8080")
    assert.equal("ok", from "https://mcp.example:8080")
    assert.equal(foreign "http://mcp.example", from "http://mcp.example")
    assert.equal(foreign "http://evil.example:8080", from "http://evil.example:8080")
    assert.truthy(keep)
  end)
end)

describe("the check of Mcp-Method and Mcp-Name", function()
  local wrong = "400 Mcp-Method or Mcp-Name says another than the body"

  local function routing(body, ...)
    local bytes, limits = lib.ln_bytes_copy(body, #body), ffi.new "struct ln_msg_limits"
    limits.json.max_bytes, limits.json.max_depth, limits.json.max_members, limits.strict = 65536, 64, 64, true
    local out, fault = ffi.new "struct ln_msg *[1]", ffi.new "struct ln_msg_fault"
    assert.equal(0, lib.ln_msg_parse(bytes, ffi.new("struct ln_str", bytes.data, #body), limits, out, fault))
    lib.ln_bytes_unref(bytes)
    local got = of("routing", "POST", { ... }, out[0])
    lib.ln_msg_unref(out[0])
    return got
  end
  local function call(...) return routing('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\\u00e9/b"}}', ...) end
  local function read(...) return routing('{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///a"}}', ...) end

  local messages
  before_each(function() messages = tonumber(lib.ln_msg_live()) end)
  after_each(function() assert.equal(messages, tonumber(lib.ln_msg_live())) end)

  it("lets pass who says nothing, or what the body says", function()
    assert.equal("ok", call())
    assert.equal("ok", call("Mcp-Method: tools/call"))
    assert.equal("ok", call("Mcp-Method: tools/call", "Mcp-Name: a\195\169/b"))
    assert.equal("ok", read("Mcp-Name: file:///a"))
  end)

  it("reads a name in base64", function()
    assert.equal("ok", call("Mcp-Name: =?base64?YcOpL2I=?="))
    assert.equal(wrong, call("Mcp-Name: =?base64?YcOpL2M=?="))
    for _, name in ipairs { "=?base64?", "=?base64??=", "=?base64?YcOpL2I?=", "=?base64?YcOp!2I=?=", "=?base64?====?=", "=?base64?=" } do
      assert.equal(wrong, call("Mcp-Name: " .. name), name)
    end
  end)

  it("refuses what is said otherwise or twice", function()
    assert.equal(wrong, call("Mcp-Method: tools/list"))
    assert.equal(wrong, call("Mcp-Method: "))
    assert.equal(wrong, call("Mcp-Name: a"))
    assert.equal(wrong, call("Mcp-Name: a\\u00e9/b"))
    assert.equal(wrong, call("Mcp-Method: tools/call", "Mcp-Method: tools/call"))
    assert.equal(wrong, call("Mcp-Name: a\195\169/b", "Mcp-Name: a\195\169/b"))
    assert.equal(wrong, routing('{"jsonrpc":"2.0","id":1,"method":"ping"}', "Mcp-Name: a"))
    assert.equal(wrong, routing('{"jsonrpc":"2.0","id":1,"result":{}}', "Mcp-Method: ping"))
  end)
end)
