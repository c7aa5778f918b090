-- URI templates read forwards: the examples of RFC 6570 (3.2), as far as values are texts.
local T = require "spec.support.ffi"
local lib, ffi = T.include "mcp/expand.h", T.ffi

ffi.cdef [[
  int expand_text(const char *uri_template, char *values, struct ln_buf *out);
  int expand_glob(const char *uri_template, char *values, struct ln_buf *out);
]]

local VALUES = { "var", "value", "hello", "Hello World!", "path", "/foo/bar", "empty", "", "x", "1024", "y", "768",
  "utf", "\226\130\172uro", "star", "a*b?[c]\\" }

describe("a template's expansion", function()
  local driver, values

  setup(function()
    driver = T.driver "unit/mcp/expand_driver.c"
    local text = table.concat(VALUES, "\0") .. "\0"
    values = ffi.new("char[?]", #text + 1, text)
  end)

  local function made(fn, template, max)
    local out = ffi.new "struct ln_buf"
    lib.ln_buf_init(out, max or 4096)
    local rc = driver[fn](template, values, out)
    local uri = ffi.string(out.data, out.len)
    lib.ln_buf_deinit(out)
    return uri, ffi.string(lib.ln_err_name(rc))
  end

  for template, uri in pairs {
    ["plain"] = "plain", ["{var}"] = "value", ["{hello}"] = "Hello%20World%21", ["O{empty}X"] = "OX",
    ["{x,y}"] = "1024,768", ["map?{x,hello,y}"] = "map?1024,Hello%20World%21,768",
    ["{+path}/here"] = "/foo/bar/here", ["{+hello}"] = "Hello%20World!", ["{#path,x}here"] = "#/foo/bar,1024here",
    ["X{.var}"] = "X.value", ["{/var,x}/here"] = "/value/1024/here", ["{/var,empty}"] = "/value/",
    ["{;x,y,empty}"] = ";x=1024;y=768;empty", ["{?x,y,empty}"] = "?x=1024&y=768&empty=", ["?fixed=yes{&x}"] = "?fixed=yes&x=1024",
    ["{var:3}"] = "val", ["{var:30}"] = "value", ["{utf:1}"] = "%E2%82%AC", ["{var*}"] = "value", ["{var"] = "{var",
  } do
    it("of " .. template, function() assert.same({ uri, "OK" }, { made("expand_text", template) }) end)
  end

  it("leaves out what is not known, and says so", function()
    for template, uri in pairs { ["a{none}b"] = "ab", ["{?none,x}"] = "?x=1024", ["{/none}"] = "" } do
      assert.same({ uri, "EAGAIN" }, { made("expand_text", template) }, template)
    end
  end)

  it("is a glob where something is not known", function()
    local globs = {
      ["a{none}b"] = "a*b", ["{?none,x}"] = "*x=1024", ["{none}{?x}"] = "*\\?x=1024", ["{?x,none}"] = "\\?x=1024*",
      ["{?x,none,y}"] = "\\?x=1024*y=768", ["{star}/{none}"] = "a%2Ab%3F%5Bc%5D%5C/*",
      ["{+star}"] = "a\\*b\\?\\[c]%5C", ["a*{var}"] = "a\\*value",
    }
    for template, glob in pairs(globs) do
      assert.same({ glob, "OK" }, { made("expand_glob", template) }, template)
    end
  end)

  it("ends at its buffer's limit", function()
    local _, rc = made("expand_text", "{var}{var}", 8)
    assert.equal("ELIMIT", rc)
  end)
end)
