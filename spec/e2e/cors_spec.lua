-- Pages of other origins in browsers: which may use Lunette (CORS), which are refused, and what is said to either.
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local EXPOSED = "Mcp-Session-Id, WWW-Authenticate, Retry-After"
local INITIALIZE = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
  .. '"clientInfo":{"name":"page","version":"1"}}}'

-- Lunette on an address as --http takes it.
local function serve(address, policy)
  local self = { path = lunette.policy(policy or "") }
  self.process = lunette.spawn { "run", self.path, "--no-watch", "--http", address .. ":0" }
  self.port = loop.wait(function()
    return tonumber(self.process.err:all():match "listening on http://%S+:(%d+)/mcp")
  end, "lunette to listen on " .. address)
  return self
end

local function origins(list) return ("lunette.configure { origins = { %s } }"):format(list) end

-- The response to a request from a page of that origin (nil: from no page); its body, too, unless it is a stream.
local function ask(self, origin, method, path, headers, body)
  local lines = { "Host: localhost" }
  if origin then lines[2] = "Origin: " .. origin end
  for _, line in ipairs(headers or {}) do lines[#lines + 1] = line end
  local conn = http.connect(self.port)
  conn:send(http.format { method = method, path = path, headers = lines, body = body })
  local head = conn:head()
  if (head.headers["content-type"] or ""):find "event%-stream" then head.stream = conn:events(head) end
  return head
end

local function preflight(self, origin, path, wanted, method)
  local headers = { "Access-Control-Request-Method: " .. (method or "POST") }
  if wanted then headers[2] = "Access-Control-Request-Headers: " .. wanted end
  return ask(self, origin, "OPTIONS", path or "/mcp", headers)
end

local function initialize(self, origin)
  return ask(self, origin, "POST", "/mcp", { "Content-Type: application/json", "Accept: application/json, text/event-stream" }, INITIALIZE)
end

local function allowed(head)
  local h = head.headers
  return h["access-control-allow-origin"], h.vary, h["access-control-expose-headers"]
end

describe("a page's preflight", function()
  after_each(lunette.finish)

  it("is answered for each path of MCP, with what the page may send and read", function()
    local self = serve("127.0.0.1", origins '"https://app.example.com"')
    for path, methods in pairs { ["/mcp"] = "GET, POST, DELETE", ["/mcp/"] = "GET, POST, DELETE", ["/sse"] = "GET", ["/messages"] = "POST",
      ["/mcp?x=1"] = "GET, POST, DELETE" } do
      local head = preflight(self, "https://app.example.com", path, "content-type, mcp-session-id")
      assert.equal(204, head.status, path)
      assert.same({ "https://app.example.com", "Origin", EXPOSED }, { allowed(head) })
      assert.equal(methods, head.headers["access-control-allow-methods"])
      assert.equal("content-type, mcp-session-id", head.headers["access-control-allow-headers"])
      assert.equal("600", head.headers["access-control-max-age"])
      assert.is_nil(head.headers["access-control-allow-credentials"])
      assert.is_nil(head.headers["content-length"])
    end
  end)

  it("allows the headers that it asks for, and nothing that is none", function()
    local self = serve("127.0.0.1", origins '"https://app.example.com"')
    local all = "authorization,content-type,last-event-id,mcp-method,mcp-name,mcp-param-region,mcp-protocol-version,mcp-session-id,x-team"
    local head = preflight(self, "https://app.example.com", "/mcp", all)
    assert.equal((all:gsub(",", ", ")), head.headers["access-control-allow-headers"])
    head = preflight(self, "https://app.example.com", "/mcp", 'a b, ,x:y , "q",ok;v=1,\tfine')
    assert.equal("fine", head.headers["access-control-allow-headers"])
    assert.is_nil(preflight(self, "https://app.example.com").headers["access-control-allow-headers"])
  end)

  it("is refused where the page is, and where nothing is asked in advance", function()
    local self = serve("127.0.0.1", origins '"https://app.example.com"')
    local head = preflight(self, "https://evil.example", "/mcp", "content-type")
    assert.equal(403, head.status)
    for name in pairs(head.headers) do assert.is_nil(name:match "^access%-control", name) end
    assert.equal(405, ask(self, "https://app.example.com", "OPTIONS", "/mcp").status)
    assert.equal(405, ask(self, nil, "OPTIONS", "/mcp", { "Access-Control-Request-Method: POST" }).status)
    assert.equal(405, preflight(self, "https://app.example.com", "/healthz").status)
    assert.equal(404, preflight(self, "https://app.example.com", "/x").status)
  end)
end)

describe("a page", function()
  after_each(lunette.finish)

  it("reads whatever it is answered, errors and streams too", function()
    local self = serve("127.0.0.1", origins '"https://app.example.com"')
    local function reads(head, status)
      assert.equal(status, head.status)
      assert.same({ "https://app.example.com", "Origin", EXPOSED }, { allowed(head) })
      return head
    end
    local page = "https://app.example.com"
    local session = reads(initialize(self, page), 200).headers["mcp-session-id"]
    local of = { "Mcp-Session-Id: " .. session, "Content-Type: application/json", "Accept: application/json, text/event-stream" }
    reads(ask(self, page, "POST", "/mcp", of, '{"jsonrpc":"2.0","method":"notifications/initialized"}'), 202)
    reads(ask(self, page, "POST", "/mcp", of, '{"jsonrpc":"2.0","id":2,"method":"tools/list"}'), 200)
    assert.truthy(reads(ask(self, page, "GET", "/mcp", of), 200).stream)
    assert.truthy(reads(ask(self, page, "GET", "/sse", { "Accept: text/event-stream" }), 200).stream)
    reads(ask(self, page, "POST", "/mcp", of, "{"), 400)
    reads(ask(self, page, "POST", "/mcp", { "Mcp-Session-Id: none", of[2], of[3] }, '{"jsonrpc":"2.0","id":3,"method":"ping"}'), 404)
    reads(ask(self, page, "POST", "/mcp", { of[1], of[3] }, "{}"), 415)
    reads(ask(self, page, "GET", "/healthz"), 200)
    reads(ask(self, page, "GET", "/nowhere"), 404)
    reads(ask(self, page, "DELETE", "/mcp", of), 200)
  end)

  it("of a kept connection lends its answer to nobody after it", function()
    local self = serve("127.0.0.1", origins '"https://app.example.com"')
    local conn = http.connect(self.port)
    for _, origin in ipairs { "https://app.example.com", false, "http://localhost:5173", false } do
      local headers = { "Host: localhost", origin and "Origin: " .. origin or nil }
      conn:send(http.format { method = "GET", path = "/healthz", headers = headers })
      local head = conn:response()
      assert.equal(200, head.status)
      assert.equal(origin or nil, (allowed(head)))
      assert.equal(origin and "Origin" or nil, head.headers.vary)
    end
  end)

  it("is known by scheme, host and port, however they are written", function()
    local self = serve("127.0.0.1", origins [["https://app.example.com", "HTTP://Other.Example:8080", "http://[fd00::5]",
      "vscode-webview://0a1b", "https://p.example:443"]])
    for origin, status in pairs {
      ["https://app.example.com"] = 200, ["HTTPS://App.Example.Com"] = 200, ["https://app.example.com:443"] = 200,
      ["https://app.example.com."] = 200, ["http://other.example:8080"] = 200, ["http://[fd00:0::5]:80"] = 200,
      ["vscode-webview://0a1b"] = 200, ["https://p.example"] = 200,
      ["http://app.example.com"] = 403, ["https://app.example.com:444"] = 403, ["https://app.example.com:80"] = 403,
      ["https://x.app.example.com"] = 403, ["https://app.example.com.evil.example"] = 403, ["https://app.example.com/"] = 403,
      ["https://u@app.example.com"] = 403, ["http://other.example"] = 403, ["vscode-webview://0a1b:1"] = 403,
      ["vscode-webview://0a1c"] = 403, ["app.example.com"] = 403, ["://app.example.com"] = 403, ["null"] = 403, ["*"] = 403,
      ["https://app.example.com, https://app.example.com"] = 403,
    } do
      local head = initialize(self, origin)
      assert.equal(status, head.status, origin)
      assert.equal(status == 200 and origin or nil, (allowed(head)))
    end
    assert.equal(403, ask(self, "https://app.example.com\r\nOrigin: https://app.example.com", "GET", "/healthz").status)
  end)

  it("of loopback may come in where Lunette listens on loopback only", function()
    local self = serve("127.0.0.1", origins '"https://app.example.com"')
    for _, origin in ipairs { "http://localhost:6274", "http://127.0.0.1", "https://[::1]:3000" } do
      local head = initialize(self, origin)
      assert.equal(200, head.status)
      assert.same({ origin, "Origin", EXPOSED }, { allowed(head) })
    end
    self = serve("0.0.0.0", origins '"https://app.example.com"')
    assert.equal(403, initialize(self, "http://localhost:6274").status)
    assert.equal(200, initialize(self, "https://app.example.com").status)
    self = serve("0.0.0.0", origins '"http://localhost:6274"')
    assert.equal(200, initialize(self, "http://localhost:6274").status)
    assert.equal(403, initialize(self, "http://localhost:6275").status)
  end)

  it("may be anybody's where the policy says so; one without an origin where it says that", function()
    local self = serve("127.0.0.1", origins '"*"')
    assert.same({ "https://evil.example", "Origin", EXPOSED }, { allowed(initialize(self, "https://evil.example")) })
    assert.equal(204, preflight(self, "https://evil.example").status)
    assert.equal(403, initialize(self, "null").status)
    assert.equal(403, initialize(self, "evil.example").status)
    self = serve("127.0.0.1", origins '"null"')
    assert.equal("null", (allowed(initialize(self, "null"))))
    assert.equal(403, initialize(self, "https://evil.example").status)
  end)

  it("is let in by the policy in force", function()
    local self = serve("127.0.0.1", origins '"https://a.example"')
    assert.equal(200, initialize(self, "https://a.example").status)
    lunette.policy(origins '"https://b.example"', self.path)
    self.process:kill "sighup"
    self.process:wait_stderr "a new policy is in force"
    assert.equal(403, initialize(self, "https://a.example").status)
    assert.equal(200, initialize(self, "https://b.example").status)
  end)

  it("passes no other check by its origin", function()
    local self = serve("127.0.0.1", origins '"https://app.example.com"')
    local conn = http.connect(self.port)
    conn:send(http.format { method = "POST", path = "/mcp", headers = { "Host: evil.example", "Origin: https://app.example.com" }, body = "{}" })
    local head = conn:head()
    assert.equal(403, head.status)
    assert.is_nil((allowed(head)))
  end)
end)

describe("origins", function()
  after_each(lunette.finish)

  it("that are none are errors with file and line", function()
    for value, expected in pairs {
      ['"https://a.example/"'] = 'origins[1] must be an origin as "https://app.example.com", with a port where it has one and without a path',
      ['"https://a.example/x"'] = "without a path", ['"a.example"'] = "origins[1] must be an origin", ['"https://*.example"'] = "origins[1] must",
      ['"https://u@a.example"'] = "origins[1] must", ['"https://a.example:99999"'] = "origins[1] must", ['""'] = "origins[1] must",
      ['"https://a.example", 5'] = "origins[2] must be a string, not 5", [""] = "origins must name at least one", ['"://a"'] = "origins[1] must",
    } do
      local result = lunette.cli { "check", lunette.policy("\n" .. origins(value)) }
      assert.equal(1, result.code, value)
      assert.truthy(result.stderr:find("%.lua:2: ") and result.stderr:find(expected, 1, true), value .. "\n" .. result.stderr)
    end
    local result = lunette.cli { "check", lunette.policy '\nlunette.configure { origin = { "https://a.example" } }' }
    assert.truthy(result.stderr:find("did you mean origins?", 1, true), result.stderr)
  end)
end)
