-- A host with a policy's text, whose servers are tables and whose clients are numbers: the face of
-- host_driver*.c for specs. What servers are asked is answered out of their tables until nobody asks any more:
--
--     local h = H.new("lunette.tools.hide 'a_x'", { { "a", tools = '{"name":"x"},{"name":"y"}' }, { "b" } })
--     assert.equal('{"tools":[{"name":"a_y"}]}', h:page "tools")
--     assert.same({ "a", "y" }, { h:resolve("tools/call", '{"name":"a_y"}') })
--
-- A server is { NAME, options = "Lua in its declaration", KIND = items or { items of a page, … },
-- capabilities =, info =, on = { [method] = function(params, nth) … end } }; what a function of `on` gives is
-- a response's member ('"result":{}'), and false leaves the request for h:answer.
local T = require "spec.support.ffi"

local ffi = T.ffi
local M = { ffi = ffi, str = T.tostring, text = T.str }

local root = os.getenv "LUNETTE_ROOT" or "."
local lib = T.include "proxy/lists/view_get.h"
for _, header in ipairs { "proxy/lists/view_page.h", "proxy/lists/view_build.h", "proxy/lists/fetch.h", "proxy/lists/index.h",
  "proxy/names/rewrite.h", "proxy/names/task.h", "proxy/names/elicitation.h", "proxy/entry/parse.h", "transport/fetch.h" } do
  T.include(header)
end
M.lib = lib

-- Once a process: modules come and go with spec files, declarations stay.
if not pcall(ffi.typeof, "struct pl_answer") then ffi.cdef [[
  struct pl;
  struct pl_event { struct ln_list link; const char *kind; uint64_t id; struct ln_bytes *text; };
  struct pl_answer {
    bool there;
    struct ln_view *view;
    struct ln_listing *listing;
    struct ln_msg *msg;
    struct ln_exchange *x;
    bool found, differs;
    char why[512];
    bool dropped;
  };
  struct pl *pl_new(void);
  bool pl_start(struct pl *r, const char *text, char *why, size_t max);
  bool pl_reload(struct pl *r, const char *text, char *why, size_t max);
  int pl_free(struct pl *r);
  struct ln_host *pl_host(struct pl *r);
  const struct pl_event *pl_next(struct pl *r);
  void pl_turn(struct pl *r);
  void pl_sleep(struct pl *r, int ms);
  uint64_t pl_channel(const struct ln_link *link);
  bool pl_say(struct pl *r, uint64_t player, const char *text, size_t n);
  void pl_hang_up(struct pl *r, uint64_t player);
  void pl_deaf(struct pl *r, uint64_t player, bool deaf);
  struct ln_session *pl_connect(struct pl *r);
  struct ln_session *pl_join(struct pl *r, struct ln_msg *init);
  size_t pl_hear(struct ln_session *s, const char *text, size_t n);
  void pl_count_up(void *n);
  void pl_close(struct pl *r, int *closed);
  void pl_part(struct pl *r, struct ln_session *s);
  struct pl_answer *pl_listing(struct pl *r, struct ln_session *s, struct ln_server *server, enum ln_kind kind);
  struct pl_answer *pl_fetch_again(struct pl *r, struct ln_session *s, struct ln_server *server, enum ln_kind kind);
  struct pl_answer *pl_fetch_changed(struct pl *r, struct ln_link *link, enum ln_kind kind);
  struct pl_answer *pl_view(struct pl *r, struct ln_session *s, enum ln_kind kind, enum ln_view_use use);
  struct pl_answer *pl_view_again(struct pl *r, const struct pl_answer *before);
  struct pl_answer *pl_resolve(struct pl *r, struct ln_session *s, struct ln_msg *msg);
  struct pl_answer *pl_rewrite(struct pl *r, struct ln_session *s, struct ln_server *server, struct ln_msg *request,
                             struct ln_msg *msg);
  struct pl_answer *pl_call(struct pl *r, struct ln_session *s, struct ln_server *server, struct ln_msg *msg);
  bool pl_open(struct ln_session *s, struct ln_server *server);
  struct pl_answer *pl_call_in(struct pl *r, struct ln_session *s, struct ln_link *link, struct ln_msg *msg);
  void pl_cancel(struct pl_answer *a);
  size_t pl_count(const struct ln_list *list);
  char *pl_log(struct pl *r);
  void free(void *p);
  char *mkdtemp(char *pattern);
]] end

M.kinds = { tools = 0, resources = 1, templates = 2, prompts = 3 }
M.methods = { tools = "tools/list", resources = "resources/list", templates = "resources/templates/list",
  prompts = "prompts/list" }
local arrays = { tools = "tools", resources = "resources", templates = "resourceTemplates", prompts = "prompts" }
local uses = { use = 0, list = 1, explain = 2 }

-- --- the driver ---

local driver, directory

local function sh(command) assert(os.execute(command) == 0, command) end

--- For setup() of a spec file.
function M.setup()
  local pattern = (os.getenv "TMPDIR" or "/tmp") .. "/lunette-spec-XXXXXX"
  directory = ffi.string(ffi.C.mkdtemp(ffi.new("char[?]", #pattern + 1, pattern)))
  local library = os.getenv "LUNETTE_LIB" or (root .. "/build/liblunette_spec.so")
  local sanitize = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) and "-fsanitize=address,undefined" or ""
  sh(("${CC:-cc} -std=gnu11 -shared -fPIC -g -O1 %s -Wall -Wextra -Werror -D_GNU_SOURCE -I%s/src "
    .. "%s/spec/unit/proxy/host_driver*.c -o %s/driver.so '%s' -Wl,-rpath,'%s'"):format(sanitize, root, root, directory,
    library, library:match "^(.*)/[^/]*$" or "."))
  driver = ffi.load(directory .. "/driver.so")
  M.driver = driver
end

function M.teardown() sh(("rm -rf -- '%s'"):format(directory)) end

-- --- messages ---

local limits = ffi.new "struct ln_msg_limits"
limits.json.max_bytes, limits.json.max_depth, limits.json.max_members = 64 * 1048576, 128, 1048576

--- A message of this text, which one must unref.
function M.msg(text)
  local block = lib.ln_bytes_copy(text, #text)
  local out, fault = ffi.new "struct ln_msg *[1]", ffi.new "struct ln_msg_fault"
  local rc = lib.ln_msg_parse(block, ffi.new("struct ln_str", block.data, #text), limits, out, fault)
  lib.ln_bytes_unref(block)
  assert(rc == 0, ffi.string(fault.text) .. ": " .. text:sub(1, 300))
  return out[0]
end

--- use(message of this text); what that returns.
function M.with_msg(text, use)
  local m = M.msg(text)
  local a, b = use(m)
  lib.ln_msg_unref(m)
  return a, b
end

function M.request(method, params, id)
  return ('{"jsonrpc":"2.0","id":%s,"method":"%s","params":%s}'):format(id or 1, method, params or "{}")
end

--- Bytes as a Lua string; nil for NULL.
function M.bytes(b)
  if b == nil then return nil end
  return ffi.string(b.data, b.len)
end

-- --- the host ---

local Host = {}
Host.__index = Host
local live = {} -- hosts of the test that runs
local messages, blocks = tonumber(lib.ln_msg_live()), tonumber(lib.ln_bytes_live())

local every_list = '{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"prompts":{"listChanged":true},'
  .. '"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}'

local function declaration(server)
  local way = server.url and ("url = %q"):format(server.url) or ("command = %q"):format(server[1])
  return ("lunette.upstream(%q, { %s, %s })\n"):format(server[1], way, server.options or "")
end

local function policy_text(rules, servers)
  local text = { 'local lunette = require "lunette"\n' }
  for _, server in ipairs(servers) do text[#text + 1] = declaration(server) end
  return table.concat(text) .. rules
end

--- A host under this policy with these servers. It ends with the test (M.finish).
function M.new(rules, servers)
  local h = setmetatable({ rig = driver.pl_new(), by_name = {}, names = {}, asked = {}, told = {}, held = {}, gone = {} }, Host)
  live[#live + 1] = h
  for _, server in ipairs(servers) do h.by_name[server[1]] = server end
  local why = ffi.new "char[1024]"
  assert(driver.pl_start(h.rig, policy_text(rules, servers), why, 1024), ffi.string(why))
  h.host = driver.pl_host(h.rig)
  return h
end

--- For after_each: ends all hosts and raises when anything is left of them.
function M.finish()
  local all = live
  live = {}
  for i = #all, 1, -1 do
    local bad = driver.pl_free(all[i].rig)
    assert(bad == 0, "left open (bits: channels, handles): " .. bad)
  end
  assert(tonumber(lib.ln_msg_live()) == messages, "messages are left behind")
  assert(tonumber(lib.ln_bytes_live()) == blocks, "blocks are left behind")
end

--- Another policy takes over, with these servers.
function Host:reload(rules, servers)
  for _, server in ipairs(servers) do self.by_name[server[1]] = server end
  assert(self:try_reload(policy_text(rules, servers)))
end

--- The same of a whole policy's text, which may be wrong: true, or false and why.
function Host:try_reload(text)
  local why = ffi.new "char[1024]"
  return driver.pl_reload(self.rig, text, why, 1024), ffi.string(why)
end

function Host:log()
  local text = driver.pl_log(self.rig)
  local s = ffi.string(text)
  ffi.C.free(text)
  return s
end

--- How often the log says this.
function Host:logged(words)
  local n, at = 0, 1
  local log = self:log()
  while true do
    local from, to = log:find(words, at, true)
    if not from then return n end
    n, at = n + 1, to + 1
  end
end

function Host:server(name)
  for i = 0, tonumber(self.host.gen.n_servers) - 1 do
    local server = self.host.gen.servers[i]
    if ffi.string(server.conf.name) == name then return server end
  end
  error("no server " .. name)
end

-- --- the servers' side ---

local function list_of(server, kind, params)
  local pages = server[kind] or ""
  if type(pages) == "string" then pages = { pages } end
  local at = tonumber((params or ""):match '"cursor":"(%d+)"' or 1)
  local more = pages[at + 1] and (',"nextCursor":"%d"'):format(at + 1) or ""
  return ('"result":{"%s":[%s]%s}'):format(arrays[kind], pages[at] or "", more)
end

local function response(server, method, params, nth, channel)
  local on = server.on and server.on[method]
  if on then return on(params, nth, channel) end
  if method == "initialize" then
    return ('"result":{"protocolVersion":"2025-11-25","capabilities":%s,"serverInfo":%s}'):format(
      server.capabilities or every_list, server.info or '{"name":"s","version":"1"}')
  end
  for kind, list_method in pairs(M.methods) do
    if method == list_method then return list_of(server, kind, params) end
  end
  return '"result":{}'
end

--- A server says something, in the channel of that number (default: its last).
function Host:say(name, text, channel)
  return driver.pl_say(self.rig, channel or self.by_name[name].channel, text, #text)
end

--- The channel of a session's link.
function Host:channel(name, session)
  return tonumber(driver.pl_channel(lib.ln_pool_current(session or self:client(), self:server(name))))
end

--- Answers a request that was held.
function Host:answer(request, members)
  assert(self:say(request.server, ('{"jsonrpc":"2.0","id":%s,%s}'):format(request.id, members), request.channel))
  self:run()
end

function Host:hang_up(name, channel)
  driver.pl_hang_up(self.rig, channel or self.by_name[name].channel)
  self:run()
end

local function heard(h, channel, text)
  local name = h.names[channel]
  local id, method = text:match '"id":([^,]+)', text:match '"method":"([^"]+)"'
  local request = { server = name, channel = channel, id = id, method = method,
    params = text:match '"params":(.*)}$', text = text }
  h.asked[#h.asked + 1] = request
  if not (id and method) then return end
  local members = response(h.by_name[name], method, request.params, h:count(name, method), channel)
  if members then
    h:say(name, ('{"jsonrpc":"2.0","id":%s,%s}'):format(id, members), channel)
  else
    h.held[#h.held + 1] = request
  end
end

local function handle(h, e)
  local kind, id, text = ffi.string(e.kind), tonumber(e.id), M.bytes(e.text)
  if kind == "open" then
    h.names[id], h.by_name[text].channel = text, id
  elseif kind == "gone" then
    h.gone[id] = true
  elseif kind == "server" then
    heard(h, id, text)
  else
    h.told[#h.told + 1] = { session = id, text = text }
  end
end

--- Turns the loop until nobody has anything to say.
function Host:run()
  local quiet = 0
  while quiet < 3 do
    driver.pl_turn(self.rig)
    quiet = quiet + 1
    local e = driver.pl_next(self.rig)
    while e ~= nil do
      quiet = 0
      handle(self, e)
      e = driver.pl_next(self.rig)
    end
  end
end

--- Turns it until this holds, with timers.
function Host:wait(holds)
  for _ = 1, 1000 do
    self:run()
    if holds() then return end
    driver.pl_sleep(self.rig, 5)
  end
  error("waited for nothing:\n" .. self:log())
end

--- How often a server was asked this, or told.
function Host:count(name, method)
  local n = 0
  for _, request in ipairs(self.asked) do
    if request.server == name and request.method == method then n = n + 1 end
  end
  return n
end

--- The last that a server was asked of this method.
function Host:last(name, method)
  for i = #self.asked, 1, -1 do
    if self.asked[i].server == name and self.asked[i].method == method then return self.asked[i] end
  end
end

--- What clients were told since the last time, as texts.
function Host:heard(session)
  local texts, rest = {}, {}
  for _, told in ipairs(self.told) do
    local mine = not session or tonumber(session.key) == told.session
    local into = mine and texts or rest
    into[#into + 1] = mine and told.text or told
  end
  self.told = rest
  return texts
end

-- --- the clients' side ---

--- A client's session: of these capabilities.
function Host:join(capabilities)
  return M.with_msg(M.request("initialize", ('{"protocolVersion":"2025-11-25","capabilities":%s,'
    .. '"clientInfo":{"name":"c","version":"1"}}'):format(capabilities or "{}")), function(m)
    return driver.pl_join(self.rig, m)
  end)
end

--- A client's session that has said nothing yet.
function Host:connect() return driver.pl_connect(self.rig) end

--- The client says this. What it is told then, as texts ("given up" where no answer will come); how many responses
-- an array of messages has.
function Host:hear(text, session)
  local n = driver.pl_hear(session or self:client(), text, #text)
  self:run()
  return self:heard(session or self:client()), tonumber(n)
end

function Host:part(session)
  if session == self.first then self.first = nil end
  driver.pl_part(self.rig, session)
  self:run()
end

--- The client of whoever doesn't say which.
function Host:client()
  self.first = self.first or self:join()
  return self.first
end

--- The list of a server as an index has it: definitions, or nil and why.
function Host:listing(name, kind, session)
  local a = driver.pl_listing(self.rig, session or self:client(), self:server(name), M.kinds[kind])
  self:run()
  assert(a.there, "no answer yet")
  return M.items(a.listing), ffi.string(a.why)
end

--- The definitions in a listing, as an array; nil for NULL.
function M.items(listing)
  if listing == nil then return nil end
  local items = {}
  for i = 0, tonumber(listing.n_items) - 1 do items[i + 1] = T.tostring(listing.items[i].json) end
  return items
end

function Host:index(name, session)
  local index = lib.ln_index_of(session or self:client(), self:server(name))
  return index ~= nil and index or nil
end

--- Whether the view of a kind is there before any timer has run.
function Host:view_at_once(kind)
  local a = driver.pl_view(self.rig, self:client(), M.kinds[kind], uses.list)
  self:run()
  local there = a.there
  self:wait(function() return a.there end)
  return there
end

--- The view of a kind, borrowed until the test ends; nil and why.
function Host:view(kind, session, use)
  local a = driver.pl_view(self.rig, session or self:client(), M.kinds[kind], uses[use or "list"])
  self:run()
  -- A long list is made a view of in a turn of its own.
  for _ = 1, 20 do
    if a.there then break end
    driver.pl_sleep(self.rig, 10)
    self:run()
  end
  assert(a.there, "no answer yet")
  if a.view == nil then return nil, ffi.string(a.why) end
  return a.view
end

--- A page of a view: its result, and the place of its first entry; nil and the error.
function M.page_of(view, cursor)
  local first, at, anchor = ffi.new "size_t[1]", ffi.new "struct ln_str", nil
  if cursor then at, anchor = T.str(cursor) end
  local m = lib.ln_view_page(view, at, first)
  assert(anchor or not cursor)
  local result, err = T.tostring(m.result), T.tostring(m["error"])
  lib.ln_msg_unref(m)
  return result, err or tonumber(first[0])
end

--- What a client that lists sees: the result; nil and the error. cursor: JSON.
function Host:page(kind, cursor, session)
  local view, why = self:view(kind, session)
  if not view then return nil, why end
  return M.page_of(view, cursor)
end

--- Who is meant by a client's request: the server's name ("policy" for its own) and the server's own name for it
-- (nil: nobody has looked); or nil and the error.
function Host:resolve(method, params, session)
  return M.with_msg(M.request(method, params), function(m)
    local a = driver.pl_resolve(self.rig, session or self:client(), m)
    self:run()
    assert(a.there, "no answer yet")
    if not a.found then return nil, T.tostring(a.msg["error"]) end
    local server = a.x.server ~= nil and ffi.string(a.x.server.conf.name) or "policy"
    if a.x.entry == nil then return server end
    return server, a.x.entry.item ~= nil and M.bytes(a.x.entry.item.key) or M.bytes(a.x.entry.key)
  end)
end

--- A server's message as the client is to see it: by what the session knows.
function Host:seen(name, text, session)
  return M.with_msg(text, function(m)
    local out = lib.ln_rewrite_message(session or self:client(), self:server(name), m, nil)
    local seen, same = T.tostring(out.text), out == m
    lib.ln_msg_unref(out)
    return seen, same
  end)
end

--- The same for a message that belongs to a request, getting lists first where they matter; nil: not ready yet.
function Host:shown(name, text, session)
  return M.with_msg(M.request("tools/call", '{"name":"t"}'), function(request)
    return M.with_msg(text, function(m)
      local a = driver.pl_rewrite(self.rig, session or self:client(), self:server(name), request, m)
      self:run()
      return a.there and T.tostring(a.msg.text) or nil
    end)
  end)
end

--- A request goes to a server as it stands. Gives what becomes of it: .there, .msg (see M.reply).
function Host:call(name, method, params, session)
  return M.with_msg(M.request(method, params), function(m)
    local a = driver.pl_call(self.rig, session or self:client(), self:server(name), m)
    self:run()
    return a
  end)
end

--- A session gets a link of its own with a server, in which nothing is said of its client's.
function Host:open(name, session)
  assert(driver.pl_open(session, self:server(name)))
  self:run()
end

--- The text of an answer's message; nil: there is none yet.
function M.reply(a)
  if not a.there then return nil end
  return T.tostring(a.msg.result) or T.tostring(a.msg["error"])
end

return M
