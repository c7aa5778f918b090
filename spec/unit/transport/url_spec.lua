-- URLs: what is taken, in which normal form, and what is refused.
local support = require "spec.support.ffi"

local ffi = support.ffi
-- More than is needed: busted takes the same declarations twice in one run, not others that overlap.
local lib = support.include "transport/http_client.h"

local live

local function parse(text, flags)
  local url, why = ffi.new "struct ln_url", ffi.new "const char *[1]"
  local held = { support.str(text) }
  local rc = lib.ln_url_parse(url, held[1], flags or 0, why)
  if rc ~= 0 then return nil, ffi.string(why[0]) end
  return url
end

local function text_of(fill)
  local b = ffi.new "struct ln_buf"
  lib.ln_buf_init(b, 20000)
  assert(fill(b) == 0)
  local text = ffi.string(b.data, b.len)
  lib.ln_buf_deinit(b)
  return text
end

local function origin(url)
  return text_of(function(b) return lib.ln_url_origin(url, b) end)
end

-- "origin target" or "-: why".
local function normal(text, flags)
  local url, why = parse(text, flags)
  if not url then return "-: " .. why end
  local result = origin(url) .. " " .. support.tostring(url.target)
  local userinfo = support.tostring(url.userinfo)
  if userinfo then result = result .. " " .. userinfo end
  assert.equal(support.tostring(url.host), ffi.string(url.host.p)) -- it ends with a NUL
  lib.ln_url_deinit(url)
  return result
end

local function resolve(base, reference)
  local b = assert(parse(base))
  local out, why = ffi.new "struct ln_url", ffi.new "const char *[1]"
  local held = { support.str(reference) }
  local rc = lib.ln_url_resolve(out, b, held[1], why)
  lib.ln_url_deinit(b)
  if rc ~= 0 then return "-" end
  local result = origin(out) .. support.tostring(out.target)
  lib.ln_url_deinit(out)
  return result
end

describe("url", function()
  before_each(function() live = tonumber(lib.ln_bytes_live()) end)
  after_each(function() assert.equal(live, tonumber(lib.ln_bytes_live())) end)

  it("takes these, in one form", function()
    for text, expected in pairs {
      ["http://a"] = "http://a /", ["HTTP://A.Example/"] = "http://a.example /",
      ["https://a:443/x"] = "https://a /x", ["https://a:80/x"] = "https://a:80 /x", ["http://a:80"] = "http://a /",
      ["http://a:65535/?q"] = "http://a:65535 /?q", ["http://a?q=/x"] = "http://a /?q=/x",
      ["http://127.0.0.1:8080/mcp"] = "http://127.0.0.1:8080 /mcp",
      ["http://[::1]:3000/mcp"] = "http://[::1]:3000 /mcp", ["http://[0:0:0:0:0:0:0:1]/"] = "http://[::1] /",
      ["http://[2001:DB8::A]"] = "http://[2001:db8::a] /",
      ["http://a-b.c_d.e1/%2e%2E/x"] = "http://a-b.c_d.e1 /%2e%2E/x",
      ["http://a/../b//c"] = "http://a /../b//c", ["http://1.2.3.4a/"] = "http://1.2.3.4a /",
      ["http://a/;p=1,2!$&'()*+=:@~"] = "http://a /;p=1,2!$&'()*+=:@~",
    } do
      assert.equal(expected, normal(text), text)
    end
  end)

  it("refuses these", function()
    local scheme = "-: the URL doesn't begin with http:// or https://"
    local host, port = "-: the host is not valid", "-: the port is not valid"
    local path = "-: the path holds characters that must be percent-encoded"
    for text, expected in pairs {
      [""] = scheme, ["a"] = scheme, ["ftp://a/"] = scheme, ["http:/a"] = scheme, ["http:a"] = scheme, [" http://a"] = scheme,
      ["https"] = scheme, ["httpx://a"] = scheme, ["//a/b"] = scheme, ["javascript:http://a"] = scheme,
      ["http://"] = host, ["http:///x"] = host, ["http://?x"] = host, ["http://:80/"] = host, ["http://a..b"] = host,
      ["http://.a"] = host, ["http://a."] = host, ["http://-a"] = host, ["http://a-.b"] = host, ["http://a b/"] = host,
      ["http://a%41/"] = host, ["http://\195\164/"] = host, ["http://a\\b/"] = host, ["http://a\0b/"] = host,
      ["http://127.1/"] = host, ["http://0x7f.0.0.1/"] = host, ["http://2130706433/"] = host, ["http://1.2.3.256"] = host,
      ["http://01.2.3.4"] = host, ["http://a.0x1"] = host, ["http://1.2.3.4.5"] = host,
      ["http://" .. ("a"):rep(64)] = host, ["http://" .. ("a."):rep(127)] = host,
      ["http://[::1"] = "-: the IPv6 address has no closing bracket", ["http://[]/"] = host, ["http://[::1%25eth0]/"] = host,
      ["http://[1.2.3.4]/"] = host, ["http://[::g]/"] = host, ["http://[::1]x/"] = "-: there is something between the host and the port",
      ["http://::1/"] = host,
      ["http://a:/"] = port, ["http://a:0/"] = port, ["http://a:65536/"] = port, ["http://a:080/"] = port,
      ["http://a:1x/"] = port, ["http://a:-1/"] = port, ["http://a:99999999999"] = port, ["http://a: 80/"] = port,
      ["http://u@a/"] = "-: user names and passwords don't belong in a URL: make them a header",
      ["http://u:p@a/"] = "-: user names and passwords don't belong in a URL: make them a header",
      ["http://a/#x"] = "-: the URL has a fragment (#…), which no server would see",
      ["http://a/ "] = path, ["http://a/\n"] = path, ["http://a/\r\nX: y"] = path, ["http://a/\127"] = path, ["http://a/\0"] = path,
      ["http://a/\195\164"] = path, ["http://a/%"] = path, ["http://a/%4"] = path, ["http://a/%zz"] = path, ["http://a/\\"] = path,
      ["http://a/[x]"] = path, ['http://a/"'] = path, ["http://a/<>"] = path, ["http://a/?{}"] = path, ["http://a/|^`"] = path,
      ["http://a/" .. ("x"):rep(8192)] = "-: the URL is too long",
    } do
      assert.equal(expected, normal(text), ("%q"):format(text))
    end
  end)

  it("takes user information and fragments where asked to", function()
    assert.equal("http://p:3128 / u:p%40", normal("http://u:p%40@p:3128", 1))
    assert.equal("http://p / ", normal("http://@p", 1))
    assert.equal("-: the host is not valid", normal("http://u@v@p", 1))
    assert.equal("-: the user name or password is not percent-encoded", normal("http://u<:p@p", 1))
    assert.equal("http://p /x", normal("http://p/x#y?z", 2))
  end)

  it("resolves references", function()
    local base = "http://a:81/b/c/d;p?q"
    for reference, expected in pairs {
      ["g"] = "/b/c/g", ["./g"] = "/b/c/g", ["g/"] = "/b/c/g/", ["/g"] = "/g", ["?y"] = "/b/c/d;p?y", ["g?y"] = "/b/c/g?y",
      ["#s"] = "/b/c/d;p?q", ["g#s"] = "/b/c/g", [";x"] = "/b/c/;x", [""] = "/b/c/d;p?q", ["."] = "/b/c/", ["./"] = "/b/c/",
      [".."] = "/b/", ["../"] = "/b/", ["../g"] = "/b/g", ["../.."] = "/", ["../../g"] = "/g", ["../../../g"] = "/g",
      ["/./g"] = "/g", ["/../g"] = "/g", ["g."] = "/b/c/g.", ["..g"] = "/b/c/..g", ["./../g"] = "/b/g", ["./g/."] = "/b/c/g/",
      ["g/./h"] = "/b/c/g/h", ["g/../h"] = "/b/c/h", ["g?y/../x"] = "/b/c/g?y/../x", ["g#s/../x"] = "/b/c/g", ["//"] = "-",
      ["/x:y"] = "/x:y", ["g//h"] = "/b/c/g//h",
    } do
      assert.equal(expected == "-" and "-" or "http://a:81" .. expected, resolve(base, reference), reference)
    end
    assert.equal("http://g/", resolve(base, "//g"))
    assert.equal("https://g:1/", resolve("https://x/", "//g:1"))
    assert.equal("https://a:81/z", resolve(base, "https://a:81/z#f"))
    for _, reference in ipairs { "g:h", "mailto:x", "http:g", "http://u@h/", "/a b", "/\r\n", "//h\\@x/", ("x"):rep(9000) } do
      assert.equal("-", resolve(base, reference), reference)
    end
  end)

  it("knows one origin from another", function()
    local function same(a, b)
      local x, y = assert(parse(a)), assert(parse(b))
      local result = lib.ln_url_same_origin(x, y)
      lib.ln_url_deinit(x)
      lib.ln_url_deinit(y)
      return result
    end
    assert.is_true(same("http://A/x", "http://a:80/y"))
    assert.is_true(same("http://[::1]/", "http://[0::1]:80/"))
    assert.is_false(same("http://a/", "https://a/"))
    assert.is_false(same("http://a:443/", "https://a/"))
    assert.is_false(same("http://a/", "http://a:81/"))
    assert.is_false(same("http://a/", "http://b/"))
  end)

  it("writes authorities with and without their port", function()
    for text, expected in pairs { ["http://a"] = { "a", "a:80" }, ["https://[::1]"] = { "[::1]", "[::1]:443" },
      ["http://a:8"] = { "a:8", "a:8" } } do
      local url = assert(parse(text))
      for i, with_port in ipairs { false, true } do
        assert.equal(expected[i], text_of(function(b) return lib.ln_url_authority(url, with_port, b) end))
      end
      lib.ln_url_deinit(url)
    end
  end)
end)
