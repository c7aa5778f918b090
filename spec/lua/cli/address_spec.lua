-- --http ADDR:PORT: everything that people write, and where it leads.
local address = require "lunette.cli.address"

describe("cli.address", function()
  for text, wanted in pairs {
    ["127.0.0.1:8080"] = { "127.0.0.1", 8080 },
    ["0.0.0.0:80"] = { "0.0.0.0", 80 },
    ["localhost:8080"] = { "127.0.0.1", 8080 },
    ["LocalHost:1"] = { "127.0.0.1", 1 },
    [":8080"] = { "127.0.0.1", 8080 },
    ["8080"] = { "127.0.0.1", 8080 },
    ["127.0.0.1:0"] = { "127.0.0.1", 0 },
    ["[::1]:8080"] = { "::1", 8080 },
    ["[::]:65535"] = { "::", 65535 },
    ["[::ffff:1.2.3.4]:1"] = { "::ffff:1.2.3.4", 1 },
  } do
    it("takes " .. text, function()
      assert.same({ host = wanted[1], port = wanted[2] }, address.parse(text))
    end)
  end

  for text, hint in pairs {
    [""] = "ADDR:PORT",
    ["nonsense"] = "ADDR:PORT",
    ["127.0.0.1"] = "ADDR:PORT",
    ["[::1]"] = "ADDR:PORT",
    ["::1"] = "brackets",
    ["::1:8080"] = "brackets",
    ["fe80::1:8080"] = "brackets",
    ["127.0.0.1:"] = "port",
    [":"] = "port",
    [":65536"] = "port",
    ["65536"] = "port",
    [":-1"] = "port",
    [":8080x"] = "port",
    ["1.2.3.4:99999999999999999999"] = "port",
    ["1.2.3:4"] = "address",
    ["1.2.3.256:4"] = "address",
    ["1.2.3.4.5:6"] = "address",
    ["example.com:80"] = "address",
    ["[nonsense]:80"] = "IPv6",
    ["[1.2.3.4]:80"] = "IPv6",
    ["http://127.0.0.1:80"] = "address",
  } do
    it(("refuses %q and speaks of the %s"):format(text, hint), function()
      local got, why = address.parse(text)
      assert.is_nil(got)
      assert.truthy(why:find(hint, 1, true), why)
    end)
  end
end)
