-- Builds link_driver*.c against the library that the specs use, and gives it a face for specs: a host whose servers,
-- clients and rooms above are played. See link_driver.h for what an account looks like.
local ffi = require "ffi"

local c = require "spec.support.ffi"
local rpc = require "spec.unit.rpc.support"

local M = { ffi = ffi, str = c.tostring, text = c.str, lib = c.lib }

local root = os.getenv "LUNETTE_ROOT" or "."
local directory, driver

c.include "proxy/client/pool.h"
c.include "proxy/exchange/hooks.h"
c.include "proxy/lists/index.h"
c.include "proxy/route/session_end.h"
c.include "proxy/server/receive.h"
c.include "proxy/server/conf.h"

local registry = debug.getregistry()
if not registry["lunette.link_driver"] then
  registry["lunette.link_driver"] = true
  ffi.cdef [[
    struct rig;
    struct rig *rig_new(void);
    const char *rig_free(struct rig *r);
    struct ln_host *rig_host(struct rig *r);
    struct ln_policy *rig_policy(struct rig *r, const char *text, char **why);
    struct ln_server *rig_server(struct rig *r, const struct ln_server_conf *conf, const char **why);
    void rig_forget_server(struct rig *r);
    struct ln_session *rig_session(struct rig *r, const char *id);
    struct ln_channel *rig_channel(struct rig *r, int n);
    void rig_channel_rc(struct rig *r, int n, int rc);
    void rig_closed(struct rig *r, int n, int err, const char *why);
    void rig_no_dial(struct rig *r, const char *why);
    void rig_client_ready(struct rig *r, bool yes);
    void rig_initialized_rc(struct rig *r, int rc);
    void rig_no_init_request(struct rig *r);
    void rig_heard(struct rig *r, bool yes);
    void rig_tell_use(struct rig *r, bool yes);
    void rig_reply(void *arg, struct ln_msg *reply);
    struct ln_exchange *rig_fake(struct rig *r, int n);
    struct ln_watcher *rig_watcher(struct rig *r, int n);
    struct ln_sink *rig_sink(struct rig *r, bool one_line);
    void rig_sink_rc(struct ln_sink *s, int rc);
    void rig_outbox(struct rig *r, struct ln_outbox *o);
    void rig_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
    void rig_native_answer(struct rig *r, int n, struct ln_msg *reply);
    void rig_done(void *arg, struct ln_msg *reply);
    struct ln_exchange *rig_child(struct rig *r, int n);
    void rig_upon(struct rig *r, const char *line, void (*fn)(void *a, const void *b), void *a, const void *b);
    void rig_pass(struct rig *r, uint64_t ms);
    int64_t rig_left(struct rig *r, const struct ln_timer *t);
    void rig_expire(struct ln_timer *t);
    void rig_turn(struct rig *r);
    char *rig_account(struct rig *r);
    char *rig_log(struct rig *r);
    void free(void *p);
  ]]
end

local function sh(command) assert(os.execute(command) == 0, command) end

--- For setup() of a spec file.
function M.setup()
  local pipe = io.popen "mktemp -d ${TMPDIR:-/tmp}/lunette-spec-XXXXXX"
  directory = pipe:read "*l"
  pipe:close()
  local library = os.getenv "LUNETTE_LIB" or (root .. "/build/liblunette_spec.so")
  local sanitize = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) and "-fsanitize=address,undefined" or ""
  sh(("LD_PRELOAD= ${CC:-cc} -std=gnu11 -shared -fPIC -g -O1 %s -Wall -Wextra -Werror -D_GNU_SOURCE -I%s/src "
    .. "%s/spec/unit/proxy/link_driver*.c -o %s/driver.so '%s' -Wl,-rpath,'%s'"):format(sanitize, root, root, directory,
    library, library:match "^(.*)/[^/]*$" or "."))
  driver = ffi.load(directory .. "/driver.so")
  M.driver = driver
end

function M.teardown() sh(("rm -rf -- '%s'"):format(directory)) end

local function take(text)
  if text == nil then return nil end
  local s = ffi.string(text)
  ffi.C.free(text)
  return s
end

--- A message of this text; one reference, the caller's.
function M.msg(text)
  local m, fault = rpc.parse(text, { strict = false })
  return assert(m, fault and fault.text).msg
end

--- What a rig's own text of replies looks like.
function M.error(text, code)
  return ('{"jsonrpc":"2.0","id":0,"error":{"code":%d,"message":"%s"}}'):format(code or -32603, text)
end

local function number(n) return ffi.cast("void *", ffi.cast("intptr_t", n)) end
M.number = number

local Rig = {}
Rig.__index = Rig

--- A host without a policy, or with the one of this text.
function M.rig(policy)
  local self = setmetatable({ r = driver.rig_new(), keep = {}, mine = {} }, Rig)
  self.host = driver.rig_host(self.r)
  if policy then self.host.gen = assert(self:generation(policy)) end
  return self
end

--- For after_each: everything is given back, or the test fails.
function Rig:finish()
  local r = self.r
  if not r then return end
  self.r = nil
  for _, unref in ipairs(self.mine) do unref() end
  local left = ffi.string(driver.rig_free(r))
  assert(left == "", "left behind: " .. left)
end

--- When the rig ends, this is called first.
function Rig:later(fn) table.insert(self.mine, fn) end

--- The lines since the last time.
function Rig:told()
  local lines = {}
  for line in take(driver.rig_account(self.r)):gmatch "[^\n]*" do
    if line ~= "" then lines[#lines + 1] = line end
  end
  return lines
end

function Rig:log() return take(driver.rig_log(self.r)) end

--- The next line that begins so has fn(a, b) called from inside, once: a function of the library, and pointers.
function Rig:upon(line, fn, a, b)
  table.insert(self.keep, { a, b })
  driver.rig_upon(self.r, line, ffi.cast("void (*)(void *, const void *)", fn), a, b)
end

--- A message that lives as long as the rig.
function Rig:msg(text)
  local m = M.msg(text)
  self:later(function() c.lib.ln_msg_unref(m) end)
  return m
end

--- A generation of a policy of this text; nil and why.
function Rig:generation(policy)
  local why = ffi.new "char *[1]"
  local p = driver.rig_policy(self.r, 'local lunette = require "lunette" ' .. policy, why)
  if p == nil then return nil, take(why[0]) end
  local wrong = ffi.new "const char *[1]"
  local g = c.lib.ln_generation_new(self.host, p, wrong)
  if g == nil then return nil, ffi.string(wrong[0]) end
  return g
end

--- A declaration: { name =, command =, args =, env =, cwd =, url =, headers =, session =, timeout_ms = }. Second,
-- what keeps its strings.
function M.conf(options)
  local conf, keep = ffi.new "struct ln_server_conf", {}
  for key, value in pairs(options) do
    if type(value) == "table" then
      local list = ffi.new("const char *[?]", #value + 1)
      for i, s in ipairs(value) do list[i - 1] = s end
      keep[#keep + 1], keep[#keep + 2] = list, value
      conf[key] = list
    else
      keep[#keep + 1] = value
      conf[key] = value
    end
  end
  return conf, keep
end

--- A server that is declared so ("up" unless named), or nil and why.
function Rig:server(options)
  options = options or {}
  options.name = options.name or "up"
  local conf, keep = M.conf(options)
  local why = ffi.new "const char *[1]"
  local server = driver.rig_server(self.r, conf, why)
  table.insert(self.keep, keep)
  if server == nil then return nil, ffi.string(why[0]) end
  return server
end

--- A link with the server, or nil and why. use: "LN_LINK_LASTING" unless told.
function Rig.link(_, server, use, owner)
  local why = ffi.new "const char *[1]"
  local link = c.lib.ln_link_open(server, owner, use or "LN_LINK_LASTING", why)
  if link == nil then return nil, ffi.string(why[0]) end
  return link
end

function Rig:channel(n) return assert(driver.rig_channel(self.r, n)) end

--- The channel says so: rig:says(1, "ready"), (1, "failed", tag, err, status, why), …
function Rig:says(n, event, ...)
  local ch = self:channel(n)
  ch.events[event](ch.arg, ...)
end

--- A message comes from the server; related: the request on whose stream.
function Rig:sends(n, text, related)
  self:says(n, "message", c.lib.ln_bytes_copy(text, #text), related or 0)
end

--- The channel has closed, by itself when err is told.
function Rig:closed(n, err, why) driver.rig_closed(self.r, n, err or 0, why) end

function Rig:left(timer) return tonumber(driver.rig_left(self.r, timer)) end
function Rig.expire(_, timer) driver.rig_expire(timer) end
function Rig:pass(ms) driver.rig_pass(self.r, ms) end

M.init_reply = '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{}}}'

--- The server answers initialize well: the link is open, unless its client isn't ready.
function Rig:answers_initialize(n)
  self:says(n, "ready")
  self:sends(n, M.init_reply)
end

--- A link (with a new server) that is open. What was told until then is forgotten.
function Rig:open_link(options, use, owner)
  local server = options and type(options) == "cdata" and options or assert(self:server(options))
  local link = assert(self:link(server, use, owner))
  self.n_links = (self.n_links or 0) + 1
  local n = #self:told() > 0 and self:number_of(link)
  self:answers_initialize(n)
  self:told()
  return link, n, server
end

--- The number of a link's channel.
function Rig:number_of(link)
  for n = 1, 63 do
    if driver.rig_channel(self.r, n) == link.calls.channel then return n end
  end
end

--- A request in the link, whose reply shows as "reply N".
function Rig:request(link, n, text)
  c.lib.ln_link_request(link, self:msg(text or '{"jsonrpc":"2.0","id":9,"method":"tools/call"}'), driver.rig_reply,
    number(n))
end

--- A call in the link, for the exchange of that number (none is followed): { msg =, x =, client =, … }.
function Rig:call(link, n, options)
  options = options or {}
  local request = ffi.new "struct ln_call_request"
  request.msg = self:msg(options.msg or '{"jsonrpc":"2.0","id":"c","method":"tools/call"}')
  request.reply, request.arg = driver.rig_reply, number(n)
  if options.x then request.x = driver.rig_fake(self.r, options.x) end
  request.client = options.client or 0
  if options.name then
    request.name_at = request.msg.name
    request.name_with = c.lib.ln_bytes_copy(options.name, #options.name)
  end
  local call = c.lib.ln_link_call(link, request)
  if options.name then c.lib.ln_bytes_unref(request.name_with) end
  return call
end

--- Watcher n of the link.
function Rig:watch(link, n)
  local w = driver.rig_watcher(self.r, n)
  c.lib.ln_link_watch(link, w)
  return w
end

-- What the rooms above say; see rig in link_driver.h.
function Rig:heard() driver.rig_heard(self.r, true) end
--- What links tell has their first uses in it from now on.
function Rig:tell_use() driver.rig_tell_use(self.r, true) end
function Rig:no_init_request() driver.rig_no_init_request(self.r) end
function Rig:initialized_says(rc) driver.rig_initialized_rc(self.r, rc) end
function Rig:client_ready(yes) driver.rig_client_ready(self.r, yes) end
--- No channel can be had, for that reason; nil: one can.
function Rig:no_dial(why)
  table.insert(self.keep, why)
  driver.rig_no_dial(self.r, why)
end

function Rig:sink(one_line)
  local s = driver.rig_sink(self.r, one_line or false)
  self:later(function() c.lib.ln_sink_unref(s) end)
  return s
end
--- The next message to it gets this code.
function Rig.sink_says(_, sink, rc) driver.rig_sink_rc(sink, rc) end
--- So too the channel.
function Rig:channel_says(n, rc) driver.rig_channel_rc(self.r, n, rc) end

--- A session called id, or nil.
function Rig:session(id)
  local s = driver.rig_session(self.r, id or "s")
  return s ~= nil and s or nil
end

--- An exchange of the session with this message; it lives until it has ended.
function Rig:exchange(session, text, sink)
  local m = self:msg(text or '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"t"}}')
  return c.lib.ln_exchange_new(session, m, c.lib.ln_method_find(m.method, 1), sink)
end

--- Runs the exchange's message through the handlers, and finishes it with what they leave.
function Rig:hooks(x)
  local ends = ffi.new("struct ln_hooks_end", { driver.rig_native, nil })
  table.insert(self.keep, ends)
  c.lib.ln_hooks_run(x, 0, x.msg, ends, driver.rig_done, x)
  self:turn()
end
--- What native got as number n is answered.
function Rig:answer(n, text)
  driver.rig_native_answer(self.r, n, M.msg(text))
  self:turn()
end
function Rig:turn() driver.rig_turn(self.r) end
function Rig:child(n) return driver.rig_child(self.r, n) end

return M
