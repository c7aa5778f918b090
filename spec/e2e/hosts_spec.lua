-- Which hosts Lunette answers to, by the address that it really listens on: a page whose name is made to resolve to
-- that address (DNS rebinding) must get nothing.
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local own = loop.read_file("/proc/sys/kernel/hostname"):match "%S+"

-- pending where this machine has no IPv6 loopback.
local function with(address)
  local file = io.open "/proc/net/if_inet6"
  local known = file and file:read "*a"
  if file then file:close() end
  return (not address:find ":" or known and known:find(("0"):rep(31) .. "1", 1, true)) and it or pending
end

-- Lunette on an address as --http takes it, which is reached by `reach`.
local function serve(address, reach, policy)
  local self = { path = lunette.policy(policy or ""), reach = reach }
  self.process = lunette.spawn { "run", self.path, "--no-watch", "--http", address .. ":0" }
  self.port = loop.wait(function()
    return tonumber(self.process.err:all():match "listening on http://%S+:(%d+)/mcp")
  end, "lunette to listen on " .. address)
  return self
end

-- The status and body of a request with that Host (false: none); options: path, method, body, headers, minor.
local function ask(self, host, options)
  options = options or {}
  local headers = { Host = host }
  for _, line in ipairs(options.headers or {}) do headers[#headers + 1] = line end
  local text = http.format { method = options.method, path = options.path or "/healthz", headers = headers, body = options.body }
  local conn = http.connect(self.port, { host = self.reach })
  conn:send((text:gsub("HTTP/1.1", "HTTP/1." .. (options.minor or 1), 1)))
  local response = conn:response()
  conn:close()
  return response.status, response.body
end

local function all(self, code, hosts)
  for _, host in ipairs(hosts) do assert.equal(code, (ask(self, host)), host) end
end

-- Names that others can make resolve to us, and what is nearly one of ours.
local foreign = { "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost",
  own .. ".evil.example", "evil" .. own, "localhost..", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.01",
  "127.0.0.1.", "127.0.0.256", "[127.0.0.1]", "localhost~", "-localhost" }

local loopbacks = { "localhost", "LOCALHOST:1", "localhost.", "localhost.:65535", "127.0.0.1", "127.0.0.1:80", "127.8.9.10",
  "[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]", "[::FFFF:127.0.0.1]:80", "[::ffff:7f00:2]" }

local addresses = { "10.1.2.3", "10.1.2.3:80", "0.0.0.0", "[::]", "[fd00::5]:80", "[::ffff:10.1.2.3]", "[::127.0.0.1]" }

describe("listening on loopback", function()
  after_each(lunette.finish)

  for address, reach in pairs { ["127.0.0.1"] = "127.0.0.1", ["127.0.0.2"] = "127.0.0.2", ["[::1]"] = "::1", ["[0:0:0:0:0:0:0:1]"] = "::1",
    ["[::ffff:127.0.0.1]"] = "127.0.0.1", ["[::FFFF:7f00:3]"] = "127.0.0.3", localhost = "127.0.0.1" } do
    with(address)(address .. " answers to loopback's hosts alone", function()
      local self = serve(address, reach)
      all(self, 200, loopbacks)
      all(self, 403, foreign)
      all(self, 403, addresses)
      all(self, 403, { own })
    end)
  end

  with "::1"("answers to those of `hosts` besides", function()
    local self = serve("[::1]", "::1", 'lunette.configure { hosts = { "MCP.example.com.", "10.1.2.3", "fd00::5" } }')
    all(self, 200, loopbacks)
    all(self, 200, { "mcp.example.com", "mcp.EXAMPLE.com.:8443", "10.1.2.3:80", "[fd00:0::5]", "[::ffff:10.1.2.3]" })
    all(self, 403, foreign)
    all(self, 403, { "example.com", "x.mcp.example.com", "10.1.2.4", "[fd00::6]", own })
    assert.equal(200, (ask(self, "mcp.example.com", { headers = { "Origin: https://mcp.example.com" } })))
    assert.equal(403, (ask(self, "mcp.example.com", { headers = { "Origin: https://evil.example" } })))
  end)

  it("lets Origins of loopback pass, however they are written", function()
    local self = serve("127.0.0.1", "127.0.0.1")
    for origin, code in pairs { ["http://localhost:5173"] = 200, ["https://127.0.0.2:1"] = 200, ["http://[::1]:80"] = 200,
      ["http://[::ffff:7f00:1]"] = 200, ["http://localhost.:80"] = 200, ["http://127.1"] = 403, ["http://localhost:80:90"] = 403,
      ["http://localhost@evil.example"] = 403, ["http://localhost/x"] = 403, ["http://"] = 403, ["localhost"] = 403,
      ["http://[::1].evil.example"] = 403, ["http://10.1.2.3"] = 403, ["null"] = 403 } do
      assert.equal(code, (ask(self, "localhost", { headers = { "Origin: " .. origin } })), origin)
    end
  end)
end)

describe("listening beyond loopback", function()
  after_each(lunette.finish)

  for address, reach in pairs { ["0.0.0.0"] = "127.0.0.1", ["[::]"] = "::1", ["[::ffff:0.0.0.0]"] = "127.0.0.1" } do
    with(address)(address .. " answers to addresses, its own name and loopback's", function()
      local self = serve(address, reach)
      all(self, 200, loopbacks)
      all(self, 200, addresses)
      all(self, 200, { own, own:upper() .. ":80", own .. ".", own:match "^[^.]*" })
      all(self, 403, foreign)
    end)
  end

  it("answers to loopback's hosts and those of `hosts`, where that is set", function()
    local self = serve("0.0.0.0", "127.0.0.1", 'lunette.configure { hosts = { "mcp.example.com", "[fd00::5]" } }')
    all(self, 200, loopbacks)
    all(self, 200, { "mcp.example.com", "mcp.example.com:80", "[fd00::5]" })
    all(self, 403, foreign)
    all(self, 403, { "10.1.2.3", "0.0.0.0", "[fd00::6]", own })
  end)

  it("goes by a reloaded policy", function()
    local self = serve("0.0.0.0", "127.0.0.1")
    local function reload(text, what)
      local function count() return select(2, self.process.err:all():gsub(what, "")) end
      local before = count()
      lunette.policy(text, self.path)
      self.process:kill "sighup"
      loop.wait(function() return count() > before end, what)
    end
    all(self, 403, { "a.example", "b.example" })
    reload('lunette.configure { hosts = { "a.example" } }', "a new policy is in force")
    all(self, 200, { "a.example" })
    all(self, 403, { "b.example", "10.1.2.3" })
    reload('lunette.configure { hosts = { "b.example", "http://a" } }', "the old policy stays in force")
    all(self, 200, { "a.example" })
    all(self, 403, { "b.example" })
    reload('lunette.configure { hosts = { "b.example" } }', "a new policy is in force")
    all(self, 403, { "a.example" })
    all(self, 200, { "b.example", "b.example" })
    all(self, 403, { "a.example" })
    all(self, 200, { "b.example" })
    reload("", "a new policy is in force")
    all(self, 403, { "b.example", "a.example" })
    all(self, 200, { "10.1.2.3" })
  end)
end)

describe("Host", function()
  after_each(lunette.finish)

  it("is there once, and is what an absolute target names", function()
    local self = serve("127.0.0.1", "127.0.0.1")
    for target, hosts in pairs {
      ["http://localhost:1"] = { ["localhost:1"] = 200, ["localhost"] = 400, ["evil.example"] = 400 },
      ["http://evil.example"] = { ["evil.example"] = 403, ["localhost"] = 400 },
      ["http://localhost@evil.example"] = { ["evil.example"] = 400, ["localhost"] = 400 },
      ["http://evil@localhost"] = { ["localhost"] = 400 },
    } do
      for host, code in pairs(hosts) do assert.equal(code, (ask(self, host, { path = target .. "/healthz" })), target .. " " .. host) end
    end
    all(self, 400, { "localhost\r\nHost: localhost", "localhost\r\nHost: evil.example", "", ":80", "user@localhost", "localhost:",
      "localhost:65536", "::1", "[::1", "[::1%25lo]", "[fe80::1%lo]", "localhost, evil" })
  end)

  it("may be missing in HTTP/1.0 alone: health checks leave it out, browsers never do", function()
    local self = serve("0.0.0.0", "127.0.0.1", 'lunette.configure { hosts = { "mcp.example.com" } }')
    assert.equal(200, (ask(self, false, { minor = 0 })))
    assert.equal(403, (ask(self, false, { minor = 0, path = "http://evil.example/healthz" })))
    assert.equal(403, (ask(self, "evil.example", { minor = 0 })))
    assert.equal(400, (ask(self, false)))
  end)

  it("is told to both sides when it is refused, with what to do", function()
    local self = serve("0.0.0.0", "127.0.0.1")
    local _, body = ask(self, "mcp.example.com:8443")
    local why = "Unknown Host, to be listed in lunette.configure { hosts = … } if it is this server's: "
    assert.truthy(body:find('"message":"' .. why .. 'mcp.example.com:8443"', 1, true), body)
    self.process:wait_stderr("refused with 403: " .. why .. "mcp.example.com:8443")
    local status, long = ask(self, ("a"):rep(3000))
    assert.equal(403, status)
    assert.truthy(long:find('"message":"' .. why .. "aaaa", 1, true), long)
  end)
end)

describe("the path of the endpoint", function()
  after_each(lunette.finish)

  it("may end in a slash", function()
    local self = serve("127.0.0.1", "127.0.0.1")
    local function post(path)
      return (ask(self, "localhost", { method = "POST", path = path, headers = { "Accept: application/json, text/event-stream",
        "Content-Type: application/json" }, body = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":'
        .. '"2025-11-25","capabilities":{},"clientInfo":{"name":"spec","version":"1"}}}' }))
    end
    for path, code in pairs { ["/mcp"] = 200, ["/mcp/"] = 200, ["/mcp/?x=1"] = 200, ["/mcp//"] = 404, ["//mcp"] = 404, ["/mcp/x"] = 404 } do
      assert.equal(code, post(path), path)
    end
  end)
end)

describe("an address that others reach", function()
  after_each(lunette.finish)

  local warning = "whoever reaches this address can use every server: nothing asks for credentials. Listen on loopback instead (--http 127.0.0.1:"

  for address, warned in pairs { ["0.0.0.0"] = 1, ["[::ffff:0.0.0.0]"] = 1, ["127.0.0.1"] = 0, ["127.0.0.2"] = 0, ["[::ffff:127.0.0.1]"] = 0 } do
    with(address)(("is warned of, once: %s %d"):format(address, warned), function()
      local self = serve(address, address:find "127.0.0.2" and address or "127.0.0.1")
      all(self, 200, { "localhost" })
      self.process:kill "sighup"
      self.process:wait_stderr "a new policy is in force"
      local _, count = self.process.err:all():gsub(warning:gsub("%p", "%%%0") .. self.port, "")
      assert.equal(warned, count, self.process.err:all())
    end)
  end
end)
