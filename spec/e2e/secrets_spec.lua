-- What servers say beside the protocol, on stderr or in the body of an HTTP error, is for the log: it may be a
-- connection string, a token, or words meant for a model. Each test has a server that says SECRET-xyz where it dies,
-- asks all that a client may ask, and looks for the marker in whatever the client got, and in the log.
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local sse = require "spec.support.sse"
local upstream = require "spec.support.upstream"

local MARK = "SECRET-xyz"

-- Everything about which a client gets words of Lunette's; all raw answers in one text.
local function ask_all(host, client)
  local said = {}
  local function ask(method, params) said[#said + 1] = client:request(method, params) end
  ask("tools/list", "{}")
  ask("resources/list", "{}")
  ask("resources/templates/list", "{}")
  ask("prompts/list", "{}")
  ask("tools/call", '{"name":"work"}')
  ask("tools/call", '{"name":"no_such_tool"}')
  ask("resources/read", '{"uri":"x://nothing"}')
  ask("resources/subscribe", '{"uri":"x://nothing"}')
  ask("prompts/get", '{"name":"no_such_prompt"}')
  ask("completion/complete", '{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}}')
  ask("logging/setLevel", '{"level":"info"}')
  ask("tasks/list", "{}")
  ask("x/unknown", "{}")
  for _, path in ipairs { "/readyz", "/metrics", "/healthz" } do
    said[#said + 1] = http.request({ port = host.port, method = "GET", path = path }).body
  end
  return table.concat(said, "\n")
end

local function initialize(client)
  local reply = client:request("initialize",
    '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"spec","version":"1"}}')
  if not reply:find '"error"' then client:notify "notifications/initialized" end
  return reply
end

-- Behind a server alone or beside another; a second client comes when the first is done.
local function said_of(policy, secret)
  local host = lunette.http { policy = policy }
  local said = {}
  for _ = 1, 2 do
    local client = host.client()
    local reply = initialize(client)
    said[#said + 1] = reply
    if not reply:find '"error"' then said[#said + 1] = ask_all(host, client) end
  end
  for _, path in ipairs { "/readyz", "/metrics" } do
    said[#said + 1] = http.request({ port = host.port, method = "GET", path = path }).body
  end
  host.process:wait_stderr(secret or MARK)
  return table.concat(said, "\n"), host
end

local function dead(script)
  return ("lunette.upstream('dead', { command = 'sh', args = { '-c', %q } })\n"):format(script)
end

local ANSWER = [[read l; printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25",]]
  .. [["capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{},"logging":{}},]]
  .. [["serverInfo":{"name":"d","version":"1"}}}\n' "$(echo "$l" | sed 's/.*"id":\([0-9]*\).*/\1/')"; ]]

describe("what a server says beside the protocol stays in the log", function()
  after_each(lunette.finish)

  local deaths = {
    ["at its start"] = { dead("echo " .. MARK .. " >&2; exit 3"), "exited with status 3" },
    ["during initialize"] = { dead("read l; echo " .. MARK .. " >&2; exit 4"), "exited with status 4" },
    ["by a signal"] = { dead("read l; echo " .. MARK .. " >&2; kill -9 $$"), "killed by signal 9" },
    ["by closing its stdout"] = { dead("read l; echo " .. MARK .. " >&2; exec 1>&-; sleep 100"), "closed its stdout" },
    ["during a list"] = { dead(ANSWER .. "read l; read l; echo " .. MARK .. " >&2; exit 5"), "exited with status 5" },
  }
  for when, case in pairs(deaths) do
    it("when it dies " .. when .. ", alone", function()
      local said = said_of(case[1])
      assert.is_nil(said:find(MARK, 1, true), said)
      assert.truthy(said:find(case[2], 1, true), said)
    end)

    it("when it dies " .. when .. ", beside another", function()
      local fine = upstream.new { name = "fine", tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
      local said = said_of("lunette.configure { start_timeout = 1 }\n" .. case[1] .. lunette.bare(fine))
      assert.is_nil(said:find(MARK, 1, true), said)
    end)
  end

  it("when it dies in the middle of a call", function()
    local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
    up:on("tools/call", function(req)
      req.session:stderr(MARK .. "\n")
      req.session:exit(9)
    end)
    for _, mode in ipairs { "client", "shared", "request" } do
      local host = lunette.http { policy = ("lunette.upstream('up', %s)"):format(up:lua(("session = %q"):format(mode))) }
      local client = host.client()
      client:initialize()
      local answer = client:request("tools/call", '{"name":"work"}')
      assert.equal("the server exited with status 9", json.value(answer, "error", "message"):match ': (.*)$', answer)
      local said = ask_all(host, client)
      assert.is_nil(said:find(MARK, 1, true), said)
      host.process:wait_stderr(MARK)
    end
  end)

  it("unless show_stderr asks for it", function()
    local said, host = said_of("lunette.configure { show_stderr = true }\n" .. deaths["at its start"][1])
    assert.truthy(said:find("exited with status 3; the end of its stderr:\\n" .. MARK, 1, true), said)
    local ready = http.request({ port = host.port, method = "GET", path = "/readyz" }).body
    assert.truthy(ready:find(MARK, 1, true), ready)
  end)

  it("and at the command line, whose user is the owner, on its stderr", function()
    local path = lunette.policy(deaths["at its start"][1])
    for _, command in ipairs { { "list", path }, { "call", path, "work" } } do
      local result = lunette.cli(command)
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find(MARK, 1, true), result.stderr)
    end
  end)

  -- A server over HTTP that answers everything so; its URL has a query of its own.
  for name, case in pairs {
    ["an error's body"] = { "500 Internal Server Error\r\nContent-Type: text/plain", MARK, "answered 500" },
    ["a refusal's body"] = { "401 Unauthorized\r\nContent-Type: application/json", '{"error":"' .. MARK .. '"}', "wants authorization (401)" },
    ["where it redirects to"] = { "302 Found\r\nLocation: http://127.0.0.2:9/" .. MARK .. "?token=HIDDEN-abc", "", "redirects to another origin" },
    ["where it would have the POST go"] = { "302 Found\r\nLocation: /" .. MARK .. "?token=HIDDEN-abc", "", "redirects" },
  } do
    it(name .. " over HTTP", function()
      local server = http.listen(function(_, conn)
        conn:send(("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s"):format(case[1], #case[2], case[2]))
      end)
      local said, host = said_of(("lunette.upstream('up', { url = '%s/mcp?key=HIDDEN-abc' })"):format(server.url))
      assert.is_nil(said:find(MARK, 1, true), said)
      assert.truthy(said:find(case[3], 1, true), said)
      assert.is_nil((said .. host.process.err:all()):find("HIDDEN-abc", 1, true), said .. host.process.err:all())
    end)
  end

  it("an HTTP error in the middle of a call: who calls hears the status", function()
    local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }:http()
    local host = lunette.http { policy = lunette.bare(up) }
    local client = host.client()
    client:initialize()
    up:on("tools/call", function(req) upstream.plain(req.via.conn, "503 Service Unavailable", MARK) end)
    local answer = client:request("tools/call", '{"name":"work"}')
    assert.equal('Server "up": the server is not available now (503)', json.value(answer, "error", "message"), answer)
    host.process:wait_stderr(MARK)
  end)

  it("a refusal of initialize is for whom it refuses: others hear its number", function()
    local up = upstream.new { name = "up" }
    up:on("initialize", function(req) req:fail(-32000, "no key for " .. json.value(req.params, "clientInfo", "name")) end)
    local host = lunette.http { policy = lunette.bare(up) }
    local reply = initialize(host.client())
    assert.equal('Server "up": refused initialize: no key for spec', json.value(reply, "error", "message"))
    local ready = http.request({ port = host.port, method = "GET", path = "/readyz" }).body
    assert.equal("refused initialize (error -32000)", json.value(ready, "servers", "up", "error"), ready)
  end)
end)

describe("the id of a session over HTTP", function()
  after_each(lunette.finish)

  local policy = [[lunette.configure { max_in_flight = 1 }
    lunette.tools.add { name = "who", inputSchema = { type = "object" }, handler = function(_, ctx)
      lunette.log.info("here is " .. ctx.session.id)
      return ctx.session.id end }
    lunette.on("notifications/x", function() lunette.error(1, "no") end)]]
  local text = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"%s","version":"1"}}'
  local ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}'

  local function log_of(host) return host.process.err:all() end
  local function status(host, path, headers)
    return http.request({ port = host.port, method = "POST", path = path, body = ping, headers = { "Content-Type: application/json",
      "Accept: application/json, text/event-stream", headers } }).status
  end

  -- Of a client that says more of itself than fits into an id there is none that outlives the process.
  for name, said in pairs { ["that says little"] = "x", ["that says much"] = ("x"):rep(5000) } do
    it("of a client " .. name .. " is in no log and no ctx; the name there opens nothing", function()
      local host = lunette.http { policy = policy, flags = { "--log-level", "debug" } }
      local client, other = host.client(), host.client()
      for _, c in ipairs { client, other } do
        c:request("initialize", text:format(said))
        c:notify "notifications/initialized"
      end
      local shown = json.value(client:result("tools/call", '{"name":"who"}'), "content", 1, "text")
      assert.matches("^%x+$", shown)
      assert.is_true(#shown <= 20)
      assert.equal(shown, json.value(client:result("tools/call", '{"name":"who"}'), "content", 1, "text"))
      assert.not_equal(shown, json.value(other:result("tools/call", '{"name":"who"}'), "content", 1, "text"))
      client:notify "notifications/x"
      assert.is_nil(client.session:find(shown, 1, true))
      host.process:wait_stderr("here is " .. shown)
      assert.is_nil(log_of(host):find(client.session:sub(1, 16), 1, true), log_of(host))
      assert.equal(404, status(host, "/mcp", "Mcp-Session-Id: " .. shown))
      assert.equal(200, status(host, "/mcp", "Mcp-Session-Id: " .. client.session))
    end)
  end

  it("of HTTP+SSE neither", function()
    local host = lunette.http { policy = policy, flags = { "--log-level", "debug" } }
    local client = sse.open(host.port)
    client:result("initialize", text:format "x")
    client:notify "notifications/initialized"
    local shown = json.value(client:result("tools/call", '{"name":"who"}'), "content", 1, "text")
    local id = client.endpoint.data:match "sessionId=(%w+)"
    assert.matches("^%x+$", shown)
    assert.is_nil(id:find(shown, 1, true))
    host.process:wait_stderr("here is " .. shown)
    assert.is_nil(log_of(host):find(id:sub(1, 16), 1, true), log_of(host))
    assert.equal(404, status(host, "/messages?sessionId=" .. shown))
    assert.equal(202, status(host, "/messages?sessionId=" .. id))
  end)
end)

describe("the log, at its most verbose,", function()
  after_each(lunette.finish)

  it("has no header's value, no server's header, no query and no control character of a peer's", function()
    local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }:http()
    up:on("tools/call", function(req) upstream.plain(req.via.conn, "401 Unauthorized", "a\27[31mb\r\nc") end)
    local host = lunette.http { flags = { "--log-level", "debug" }, policy = ([[lunette.upstream("up", { url = "%s?key=HIDDEN-a",
      headers = { Authorization = "Bearer HIDDEN-b", ["X-Key"] = "HIDDEN-c" } })
      lunette.on("notifications/x", function(n) error(n.params.text) end)]]):format(up.url) }
    local secret = { "Authorization: Bearer HIDDEN-d", "Cookie: id=HIDDEN-e", "X-Key: HIDDEN-f" }
    local client = host.client { headers = secret }
    client:initialize()
    client:request("tools/call", '{"name":"work"}')
    client:request("tools/call", '{"name":"no\\n\\u001b[31msuch"}')
    client:notify("notifications/x", '{"text":"one\\ntwo\\u001b]0;title\\u0007\\u009b31m"}')
    for _, path in ipairs { "/mcp", "/messages?sessionId=HIDDEN-g", "/nothing?token=HIDDEN-h" } do
      for _, more in ipairs { "Host: evil.example", "Origin: http://evil.example", "Mcp-Session-Id: HIDDEN-i" } do
        http.request { port = host.port, method = "POST", path = path, body = "{", headers = { more, unpack(secret) } }
      end
    end
    up.server.close()
    client:request("tools/call", '{"name":"work"}')
    host.process:wait_stderr "one"
    local log = host.process.err:all()
    assert.is_nil(log:find("HIDDEN", 1, true), log)
    assert.is_nil(log:find "[%z\1-\9\11-\31\127]", log)
    assert.is_nil(log:find("\194\155", 1, true), log)
    for line in log:gmatch "[^\n]+" do assert.matches("^%d%d%d%d%-%d%d%-%d%dT", line) end
  end)

  it("has the beginning of a long id alone, and lines that end", function()
    local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
    up:on("tools/call", function() end)
    local client = lunette.stdio { policy = lunette.bare(up), flags = { "--log-level", "debug" } }
    client:initialize()
    local id = '"' .. ("x"):rep(100000) .. '"'
    for _ = 1, 2 do client:send(('{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"work"}}'):format(id)) end
    client:notify(("y"):rep(100000), "{}")
    client.process:wait_stderr "is under way already"
    client:request "ping"
    assert.is_nil(client.process.err:all():find(("x"):rep(100), 1, true))
    for line in client.process.err:all():gmatch "[^\n]+" do assert.is_true(#line < 4200) end
  end)
end)
