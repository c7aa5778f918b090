-- src/wire/http_host.c: which host is meant, and which a server answers to (checklist 32).
local support = require "spec.support.ffi"
local ffi, lib = support.ffi, support.include "wire/http_host.h"
ffi.cdef "int inet_pton(int family, const char *text, void *out); void *malloc(size_t n); void free(void *p);"

-- Lends the text in a block of just its size.
local function lend(text, give)
  local p = ffi.cast("char *", ffi.C.malloc(math.max(#text, 1)))
  ffi.copy(p, text, #text)
  local a, b = give(ffi.new("struct ln_str", p, #text))
  ffi.C.free(p)
  return a, b
end

-- 16 bytes, as hexadecimal digits.
local function hex(bytes)
  return (ffi.string(bytes, 16):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- "name example", "address 0000…01", with ":" at the end where there is a port; nil: refused.
local function read(text)
  return (lend(text, function(s)
    local host = ffi.new "struct ln_http_host"
    if not lib.ln_http_host_read(s, host) then return nil end
    local what = host.is_address and "address " .. hex(host.address) or "name " .. support.tostring(host.name)
    return what .. (host.has_port and " :" or "")
  end))
end

local v4, one = ("00"):rep(10) .. "ffff", ("00"):rep(15) .. "01"

describe("ln_http_host_read", function()
  it("takes names, addresses and ports apart", function()
    for text, expected in pairs {
      ["h"] = "name h", ["H.Example:80"] = "name H.Example :", ["a_b.c-d."] = "name a_b.c-d", ["h.:0"] = "name h :",
      ["1.example"] = "name 1.example", ["0x.example:65535"] = "name 0x.example :", ["1e1"] = "name 1e1",
      [("a"):rep(63)] = "name " .. ("a"):rep(63),
      ["127.0.0.1"] = "address " .. v4 .. "7f000001", ["255.0.10.1:1"] = "address " .. v4 .. "ff000a01 :",
      ["[::1]"] = "address " .. one, ["[0:0:0:0:0:0:0:1]:443"] = "address " .. one .. " :",
      ["[::FFFF:127.0.0.1]"] = "address " .. v4 .. "7f000001", ["[::ffff:7f00:1]"] = "address " .. v4 .. "7f000001",
      ["[::127.0.0.1]"] = "address " .. ("00"):rep(12) .. "7f000001", ["[::]"] = "address " .. ("00"):rep(16),
    } do
      assert.equal(expected, read(text), text)
    end
  end)

  it("refuses what is none, or what some read as another", function()
    for _, text in ipairs { "", ":", ":80", "h:", "h:65536", "h:8o", "h:80:80", "::1", "[::1", "::1]", "[]", "[::1]x", "[::1]:", "[::1]:x",
      "[h]", "[127.0.0.1]", "[::1%lo]", "[::1%25lo]", "[:::1]", "[1:2:3:4:5:6:7:8:9]", "[::1].", "u@h", "h/x", "h h", "h,i", "*", "*.h",
      "http://h", "h\0", "127.0.0.1\0", "[::1\0]", "\195\164.example", "%68", ".", "..", ".h", "h..", "a..b", "-a", "a-", "a.-b", "a-.b",
      "a~b", ("a"):rep(64), ("a."):rep(127) .. "a", "127.1", "127", "2130706433", "0x7f000001", "0X7F.0.0.1", "a.0x", "a.1",
      "127.0.0.01", "0177.0.0.1", "127.0.0.256", "127.0.0.1.", "127.0.0.1.:80", "127.0.0.0.1", "1.2.3", "1.2.3.4.5.6.7.8.9.10.11.12.13.14" } do
      assert.is_nil(read(text), text)
    end
  end)
end)

describe("ln_http_address_is_loopback", function()
  it("knows 127.0.0.0/8 and ::1, the former mapped too", function()
    for text, expected in pairs {
      ["::1"] = true, ["::ffff:127.0.0.1"] = true, ["::ffff:127.0.0.0"] = true, ["::ffff:127.255.255.255"] = true,
      ["::"] = false, ["::2"] = false, ["::ffff:0.0.0.0"] = false, ["::ffff:126.255.255.255"] = false, ["::ffff:128.0.0.1"] = false,
      ["::127.0.0.1"] = false, ["::fffe:127.0.0.1"] = false, ["1::1"] = false, ["1::ffff:127.0.0.1"] = false, ["::1:0"] = false,
      ["fe80::1"] = false, ["64:ff9b::127.0.0.1"] = false,
    } do
      local address = ffi.new "unsigned char[16]"
      assert.equal(1, ffi.C.inet_pton(10, text, address))
      assert.equal(expected, lib.ln_http_address_is_loopback(address), text)
    end
  end)
end)

describe("ln_http_host_served", function()
  -- The answers for all hosts, by what is served: { loopback, own, listed }.
  local function served(options, host)
    local listed = options.listed and ffi.new("const char *[?]", #options.listed + 1)
    for i, text in ipairs(options.listed or {}) do listed[i - 1] = text end
    local own = options.own or ""
    local it = ffi.new("struct ln_http_hosts", { loopback = options.loopback or false, own = own, listed = listed })
    return (lend(host, function(s) return lib.ln_http_host_served(s, it) end))
  end
  local list = { "mcp.example.com", "Root.Example.", "10.0.0.1", "[fd00::5]" }
  local settings = {
    { loopback = true, own = "box.lan" },
    { loopback = true, own = "box.lan", listed = list },
    { own = "box.lan" },
    { own = "box.lan", listed = list },
    { own = "Box" },
    { own = "" },
  }
  -- host: which of these answer to it
  local cases = {
    ["localhost"] = "yyyyyy", ["LocalHost.:80"] = "yyyyyy", ["127.0.0.1"] = "yyyyyy", ["127.9.9.9:1"] = "yyyyyy", ["[::1]"] = "yyyyyy",
    ["[0::0:1]:80"] = "yyyyyy", ["[::ffff:7f00:1]"] = "yyyyyy",
    ["192.168.1.5"] = "--y-yy", ["[fe80::1]:80"] = "--y-yy", ["0.0.0.0"] = "--y-yy", ["[::]"] = "--y-yy",
    ["10.0.0.1"] = "-yyyyy", ["[::ffff:10.0.0.1]:80"] = "-yyyyy", ["[FD00::0:5]"] = "-yyyyy", ["10.0.0.1."] = "------",
    ["mcp.example.com"] = "-y-y--", ["MCP.Example.COM.:8443"] = "-y-y--", ["root.example"] = "-y-y--", ["x.mcp.example.com"] = "------",
    ["example.com"] = "------", ["mcp.example.com.evil.example"] = "------", ["mcp"] = "------",
    ["box.lan"] = "--y---", ["BOX.LAN.:80"] = "--y---", ["box"] = "--y-y-", ["box."] = "--y-y-", ["box.lan.evil.example"] = "------",
    ["box.evil.example"] = "------", ["lan"] = "------", ["bo"] = "------", ["boxx"] = "------", ["box.la"] = "------",
    ["evil.example"] = "------", ["localhost.evil.example"] = "------", ["127.0.0.1.evil.example"] = "------",
    [""] = "------", ["."] = "------", ["127.1"] = "------", ["[::1%lo]"] = "------", ["localhost:"] = "------",
    ["u@localhost"] = "------",
  }
  for host, expected in pairs(cases) do
    it(("%q"):format(host), function()
      local got = ""
      for _, options in ipairs(settings) do got = got .. (served(options, host) and "y" or "-") end
      assert.equal(expected, got)
    end)
  end

  it("with an empty list is loopback's alone", function()
    assert.is_true(served({ listed = {} }, "localhost"))
    assert.is_false(served({ listed = {}, own = "box" }, "box"))
    assert.is_false(served({ listed = {} }, "10.0.0.1"))
  end)
end)

describe("ln_http_origin_listed", function()
  local function listed(origin, ...)
    local list = ffi.new("const char *[?]", select("#", ...) + 1)
    for i = 1, select("#", ...) do list[i - 1] = (select(i, ...)) end
    return (lend(origin, function(s) return lib.ln_http_origin_listed(s, list) end))
  end

  it("compares scheme, host and port, whatever their spelling", function()
    for origin, expected in pairs { ["https://a.example"] = true, ["HTTPS://A.example.:443"] = true, ["https://a.example:0443"] = true,
      ["http://a.example"] = false, ["https://a.example:80"] = false, ["https://a.example/"] = false, ["https://a.example:"] = false,
      ["https://xa.example"] = false, ["https:/a.example"] = false, ["https//a.example"] = false, ["://a.example"] = false, [""] = false,
      ["http://[::1]:8080"] = true, ["http://[0::1]:8080"] = true, ["http://[::1]"] = false, ["x+y-1.z://id"] = true, ["x+y-1.z://id:1"] = false,
      ["null"] = false, ["*"] = false } do
      assert.equal(expected, listed(origin, "https://a.example", "http://[::1]:8080", "x+y-1.z://id"), origin)
    end
    assert.is_false(listed "https://a.example")
  end)

  it("has every origin under *, and null under its name", function()
    assert.is_true(listed("https://b.example:1", "https://a.example", "*"))
    assert.is_false(listed("null", "*"))
    assert.is_false(listed("b.example", "*"))
    assert.is_true(listed("null", "null"))
    assert.is_false(listed("https://null", "null"))
  end)
end)
