-- Content blocks in lines, and base64.
local content = require "lunette.cli.content"

describe("cli.content", function()
  describe("base64", function()
    for encoded, bytes in pairs {
      [""] = "", ["AA=="] = "\0", ["AAE="] = "\0\1", ["AAEC"] = "\0\1\2", ["AAEC/w=="] = "\0\1\2\255",
      ["bW9vbg=="] = "moon", ["bW9vbg"] = "moon", ["bW9v\nbg==\n"] = "moon", ["-_8="] = "\251\255", ["+/8="] = "\251\255",
    } do
      it(("decodes %q"):format(encoded), function() assert.equal(bytes, content.base64(encoded)) end)
    end
    for _, bad in ipairs { "A", "AAAAA", "AA*A", "A=AA", "AA\0A" } do
      it(("refuses %q"):format(bad), function() assert.is_nil(content.base64(bad)) end)
    end
  end)

  describe("a block", function()
    for name, case in pairs {
      text = { { type = "text", text = "moon\n" }, "moon\n" },
      image = { { type = "image", mimeType = "image/png", data = "AAEC" }, "[image image/png 3 bytes]" },
      audio = { { type = "audio", mimeType = "audio/wav", data = "AA==" }, "[audio audio/wav 1 byte]" },
      link = { { type = "resource_link", uri = "a://b", name = "n", title = "T" }, "[link a://b T]" },
      resource = { { type = "resource", resource = { uri = "a://b", text = "x" } }, "[resource a://b]\nx" },
      blob = { { type = "resource", resource = { uri = "a://b", mimeType = "c/d", blob = "AAEC" } }, "[resource a://b c/d 3 bytes]" },
      unknown = { { type = "video\27[2J" }, "[content of type video\\x1b[2J]" },
      ["of no type"] = { {}, "[content of type nil]" },
      ["that is none"] = { "x", "[content that is none]" },
      ["text without text"] = { { type = "text" }, "[content of type text]" },
    } do
      it(name, function() assert.equal(case[2], content.block(case[1])) end)
    end
  end)

  it("ends every text with one line break", function()
    local out = {}
    local function write(...)
      for i = 1, select("#", ...) do out[#out + 1] = (select(i, ...)) end
    end
    assert.equal(2, content.write_blocks(write, '[{"type":"text","text":"a"},{"type":"text","text":"b\\n"}]', false))
    content.write(write, "\27", false)
    content.write(write, "\27", true)
    assert.equal("a\nb\n\27\n\\x1b\n", table.concat(out))
    assert.equal(0, content.write_blocks(write, nil, false))
    assert.equal(0, content.write_blocks(write, "[]", false))
  end)
end)
