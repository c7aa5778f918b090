-- The forms of URIs, on which rules about resources rest: what surely is one resource has one normal
-- form; what some server might take for a hidden one has its loose form; what is different stays so.
local S = require "spec.unit.mcp.support"

-- Each row: spellings of one resource, the first in normal form.
local same = {
  { "http://example.com/a", "HTTP://example.com/a", "http://EXAMPLE.com/a", "http://example.com:80/a", "http://example.com:/a",
    "http://example.com:080/a", "http://example.com:00080/a", "http://@example.com/a", "http://:@example.com/a", "http:/example.com/a",
    "http:example.com/a", "http:///example.com/a", "http:\\\\example.com\\a", "http:////example.com/a", "http://example.com\\a",
    "http://example.com:8%30/a",
    "http://example.com/./a", "http://example.com/b/../a", "http://example.com/%61", "http://%65xample.com/a", "http://example.com/%2e/a",
    "http://example.com/b/%2E%2e/a", "http://example.com/b/.%2e/a", "http://example.com/../../a", " http://example.com/a ",
    "\thttp://example.com/a\n", "ht\ntp://exam\tple.com/\ra", "\0http://example.com/a\1" },
  { "https://h/", "https://h", "https://h:443", "https://h:443/", "HTTPS://H/.", "https://h/..", "https://h/a/.." },
  { "http://h:8080/", "http://h:8080", "http://h:08080/" },
  { "http://h:443/", "http://H:443" },
  { "ws://h/", "ws://h:80" }, { "wss://h/", "wss://h:443" }, { "ftp://h/", "ftp://h:21" },
  { "http://u:P@h/", "http://u:P@H", "http://u:P@h:80/", "http://%75:P@h/" },
  { "http://[::1]/", "http://[::1]:80", "http://[::1]:" },
  { "http://[::1]:81/", "http://[::1]:81" },
  { "http://h/?q", "http://h?q", "http://h:80?q" },
  { "http://h/#f", "http://h#f" },
  { "file:///a/b", "file://localhost/a/b", "FILE://LOCALHOST/a/b", "file:/a/b", "file:a/b", "file:\\a\\b", "file:///a/./b",
    "file:///a/c/../b", "file:///%61/%62", "file:///a\\b", "file:\\\\localhost\\a\\b", "file:///../a/b", "file://%6cocalhost/a/b" },
  { "file:///", "file:", "file:/", "file://", "file://localhost", "file:///a/.." },
  { "file://server/a", "file://SERVER/a" },
  { "file:////server/a" },
  { "file:///c:/a", "file://c:/a", "file://C:/a" },
  { "test://Static/Resource", "TEST://Static/Resource", "test://Static/./Resource", "test://Static/x/../Resource",
    "test://Static/%52esource", "test://%53tatic/Resource" },
  { "test://static", "tEsT://static" },
  { "a+b-c.1://x/y", "A+B-C.1://x/y" },
  { "note:today", "NOTE:today", "note:%74oday", "note:today\n", " note:today" },
  { "x:/a/", "x:/a/b/..", "x:/a/.", "X:/b/../a/" },
  { "urn:isbn:1", "URN:isbn:1" },
  { "test://h/%C3%A9", "test://h/é", "test://h/%c3%a9", "test://h/\195%A9" },
  { "test://h/a%20b", "test://h/a b" },
  { "test://h/%22%3C%3E%5C%5E%60%7B%7C%7D", 'test://h/"<>\\^`{|}', "test://h/%22%3c%3e%5c%5e%60%7b%7c%7d" },
  { "test://h/%5B%5D", "test://h/[]" },
  { "test://h/100%25", "test://h/100%" },
  { "test://h/%25zz", "test://h/%zz" },
  { "test://h/%25A", "test://h/%%41", "test://h/%A" },
  { "test://h/a?q=%C3%A9%20&b=/?", "test://h/a?q=é &b=/?" },
  { "test://h/a#f%20g%23h", "test://h/a#f g#h" },
  { "x:/.//a", "x:/./%2E//a", "x:/b/..//a" },
  { "test://h/a/b/c", "test://h/a/%2e/b/d/%2E%2E/c" },
  { "test://h/%FF", "test://h/\255", "test://h/%ff" },
  { "test://h/a%00", "test://h/a%00" },
}

-- Rows of different resources: no two have one normal form.
local different = {
  { "http://h/a", "http://h/A", "https://h/a", "http://h:81/a", "http://u@h/a", "http://U@h/a", "http://h./a", "http://h//a", "http://h/a/",
    "http://h/a?", "http://h/a#", "http://h/a?b", "http://h/a#b", "http://h/a%2Fb", "http://h/a/b", "http://h/a%3Fb", "http://h/...",
    "http://h/a..", "http://h/a%23b", "http://h/..a", "http://h/%2541" },
  { "test://Static/a", "test://static/a", "test://static:80/a", "test://static/a/", "test:/static/a", "test:static/a" },
  { "test://h", "test://h/" },
  { "file:///a", "file://h/a", "file:////a", "file:///A", "file:///a?x", "file:///a#x", "file:///a/" },
  { "http://h:80:80/", "http://h:80/" },
  { "x:/.//a", "x://a", "x:/a" },
  { "memo:a/../b", "memo:b" },
  { "test://h/%2B", "test://h/+", "test://h/%20" },
  { "test://h/a%21", "test://h/a!" },
}

-- What is no URI, or none that can be helped, comes out as it went in.
local untouched = { "", "a", "/etc/passwd", "//h/a", "1http://h/", ":a", "a b:c", "ht tp://h/", "é:a", "../a", "%68ttp://h/", " a", "a\n" }

-- The loose form of the first covers each of the rest: what some servers make of them.
local covers = {
  { "file:///srv/secret", "file:///srv//secret", "file:///srv/secret/", "file:///srv%2Fsecret", "file:///srv%2fsecret", "file:///srv/secret?x",
    "file:///srv/secret#x", "file:///srv/secret?", "file:///srv/a%2F..%2Fsecret", "file:///srv/a%2F%2E%2E%2Fsecret", "file:///srv/a/..%2Fsecret",
    "file:///srv%5Csecret", "file:///srv/x/..\\secret", "file:///srv/a//../secret", "file://localhost//srv/secret", "file:srv/secret",
    "file:///srv/./secret", "FILE:///srv/%73ecret", "file:////srv/secret", "file:///srv/\tsecret",
    "file://127.0.0.1/srv/secret", "file://user@localhost/srv/secret", "file://h:80/srv/secret", "file:///srv/secret;v=1",
    "file:///srv;a=b/secret", "file:///srv/x/..;y/secret", "file:///srv/secret%3Bx", "file:///srv/secret%00.txt" },
  { "test://h/é b", "test://h/%C3%A9%20b", "test://H/é b", "test://h//é%20b/", "test://h/%C3%A9 b#frag", "TEST://h/x/../é b", "test://h/é b?" },
  { "memo:b", "memo:b;c", "memo:a/../b", "memo:./b", "memo:b/", "memo:b#1", "MEMO:%62", "memo:a%2F..%2Fb" },
  { "http://h/a?q=1", "http://h/a?q=%31", "http://h//a/?q=1", "http://h:80/a?q=1#f", "http:h/b/../a?q=1",
    "http://u@h/a?q=1", "http://u:p@h:80/a?q=1", "http://h./a?q=1" },
}
local apart = {
  { "http://h/a", "http://h.b/a" }, { "ssh://u@h/a", "ssh://h/a" },
  { "file:///srv/secret", "file:///srv/Secret" }, { "file:///srv/secret", "file:///srv/secrets" }, { "http://h/a", "http://h/a?q" },
  { "http://h/a", "https://h/a" }, { "test://h/a", "test:/h/a" }, { "memo:a", "note:a" }, { "test://h/%252F", "test://h//" },
}

describe("mcp/uri", function()
  after_each(function() assert.equal(0, (select(2, S.R.left()))) end)

  it("gives all spellings of one resource one normal form", function()
    for _, row in ipairs(same) do
      for _, uri in ipairs(row) do assert.equal(row[1], (S.normal(uri)), ("%q"):format(uri)) end
    end
  end)

  it("gives different resources different ones", function()
    for _, row in ipairs(different) do
      local seen = {}
      for _, uri in ipairs(row) do
        local normal = S.normal(uri)
        assert.is_nil(seen[normal], ("%s and %s are both %s"):format(uri, tostring(seen[normal]), normal))
        seen[normal] = uri
      end
    end
  end)

  it("leaves alone what is no URI", function()
    for _, uri in ipairs(untouched) do
      assert.equal(uri, (S.normal(uri)))
      assert.equal(uri, (S.loose(uri)))
      assert.is_false(S.climbs(uri))
    end
  end)

  it("is its own normal form's normal form, and without dots its loose form's too", function()
    for _, rows in ipairs { same, different, covers } do
      for _, row in ipairs(rows) do
        for _, uri in ipairs(row) do
          local normal = S.normal(uri)
          assert.equal(normal, (S.normal(normal)), uri)
          if not S.climbs(uri) then assert.equal((S.loose(uri)), (S.loose(normal)), uri) end
        end
      end
    end
  end)

  it("gives loosely one form to what some server takes for the same", function()
    for _, row in ipairs(covers) do
      local loose = S.loose(row[1])
      for _, uri in ipairs(row) do assert.equal(loose, (S.loose(uri)), uri) end
    end
    assert.equal("test://h/é b", (S.loose "test://h/%C3%A9%20b"))
    assert.equal("file:///srv/secret", (S.loose "file:///srv/secret"))
    assert.equal("memo:b", (S.loose "memo:b"))
  end)

  it("gives what has no scheme as a file and on the web, or decoded", function()
    local function forms(uri)
      local list = {}
      for i = 2, 9 do
        local out = S.J.buf(3 * #uri + 48)
        local rc = S.lib.ln_uri_form(S.J.text(uri), i, out)
        local form = S.J.held(out)
        if rc ~= 0 then return table.concat(list, " "), S.R.err(rc) end
        list[#list + 1] = form
      end
    end
    for uri, guessed in pairs {
      ["/srv/secret"] = "file:///srv/secret http://srv/secret https://srv/secret", ["h/a;x"] = "file:///h/a http://h/a https://h/a",
      [" //H/x/../a"] = "file:///H/a http://h/a https://h/a", ["C:\\a"] = "file:///C:/a http://c/a https://c/a",
      ["file%3A///srv%2Fsecret"] = "file:///srv/secret", ["file:///srv/secret"] = "", ["memo:a"] = "", [""] = "",
    } do
      assert.same({ guessed, "ENOTFOUND" }, { forms(uri) }, uri)
    end
  end)

  it("keeps apart even loosely what no server mistakes", function()
    for _, pair in ipairs(apart) do assert.not_equal((S.loose(pair[1])), (S.loose(pair[2])), pair[1] .. " " .. pair[2]) end
  end)

  it("tells which ones climb", function()
    for _, uri in ipairs { "http://h/..", "http://h/.", "http://h/a/../b", "file:///a/./b", "test://h/%2e%2E/a", "http://h\\..\\a", "file:..",
      "x:/a/..", "test://h/.\t./a", " http://h/.. ", "test://h/a/.%2e?q" } do
      assert.is_true(S.climbs(uri), uri)
    end
    for _, uri in ipairs { "http://h/", "http://h/...", "http://h/.a", "http://h/a.", "http://h/a?/../", "http://h/#/..", "memo:..", "memo:a/../b",
      "test://h/a%2F..%2Fb", "test://..", "test://h\\..", "http://h/..a" } do
      assert.is_false(S.climbs(uri), uri)
    end
  end)

  it("appends, and stops at the room given", function()
    local out = S.J.buf(100)
    assert.equal(0, S.lib.ln_buf_append_c(out, "pre"))
    assert.equal(0, S.lib.ln_uri_normal(S.J.text "HTTP://h/a/..", out))
    assert.equal(0, S.lib.ln_uri_loose(S.J.text "http://h//b", out))
    assert.equal("prehttp://h/http://h/b", S.J.held(out))
    assert.same({ nil, "ELIMIT" }, { S.normal("http://h/ééé", 12) })
    assert.same({ nil, "ELIMIT" }, { S.loose("http://h/eee", 6) })
  end)

  it("needs no more room than it says", function()
    for _, uri in ipairs { "x:" .. ("\255"):rep(1000), "http:" .. ("é"):rep(300), "file:x", "http:a", "x:/.//" .. (" "):rep(50) .. "a" } do
      assert.truthy((S.normal(uri)), uri)
      assert.truthy((S.loose(uri)), uri)
    end
  end)

  it("is linear", function()
    local long = "http://h/" .. ("a/../"):rep(200000)
    assert.equal("http://h/", (S.normal(long)))
    assert.equal("http://h/", (S.loose(long)))
    assert.equal("http://h/", (S.normal("http://h/" .. ("a/"):rep(100000) .. ("../"):rep(100000))))
  end)
end)
