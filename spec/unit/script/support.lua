-- Builds driver.c against the library the specs use, and gives it a face for specs: see the driver for
-- what an account looks like.
local ffi = require "ffi"

local c = require "spec.support.ffi"

local M = {}

local root = os.getenv "LUNETTE_ROOT" or "."
local directory, driver

c.include "script/policy.h"
c.include "script/shared.h"
ffi.cdef [[
  struct fake;
  struct fake *fake_new(struct ln_shared *shared);
  char *fake_load(struct fake *f, int kind, const char *text, const char *const *args);
  struct ln_policy *fake_policy(struct fake *f);
  struct ln_exchange *fake_exchange(struct fake *f);
  void fake_fact(struct fake *f, int fact, const char *text);
  void fake_inventory(struct fake *f, const char *json);
  int fake_free(struct fake *f);
  int fake_hook(struct fake *f, int hook, const char *message, const char *item);
  int fake_component(struct fake *f, int component, const char *message);
  void fake_answer(struct fake *f, int n, const char *message);
  void fake_run(struct fake *f, int ms);
  char *fake_account(struct fake *f);
  char *fake_log(struct fake *f);
  void free(void *p);
  char *mkdtemp(char *pattern);
]]

local function sh(command) assert(os.execute(command) == 0, command) end

--- A scratch directory of the spec file's; gone after M.teardown.
function M.dir() return directory end

--- For setup() of a spec file.
function M.setup()
  local pattern = (os.getenv "TMPDIR" or "/tmp") .. "/lunette-spec-XXXXXX"
  directory = ffi.string(ffi.C.mkdtemp(ffi.new("char[?]", #pattern + 1, pattern)))
  local library = os.getenv "LUNETTE_LIB" or (root .. "/build/liblunette_spec.so")
  local sanitize = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) and "-fsanitize=address,undefined" or ""
  sh(("${CC:-cc} -std=gnu11 -shared -fPIC -g -O1 %s -Wall -Wextra -Werror -D_GNU_SOURCE -I%s/src "
    .. "%s/spec/unit/script/driver.c -o %s/driver.so '%s' -Wl,-rpath,'%s'"):format(sanitize, root, root, directory,
    library, library:match "^(.*)/[^/]*$" or "."))
  driver = ffi.load(directory .. "/driver.so")
end

function M.teardown()
  sh(("rm -rf -- '%s'"):format(directory))
end

--- Writes a file into the scratch directory; gives its path.
function M.write(name, text)
  local path = directory .. "/" .. name
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

local function take(text)
  if text == nil then return nil end
  local s = ffi.string(text)
  ffi.C.free(text)
  return s
end

local Fake = {}
Fake.__index = Fake

local kinds = { lua = 0, json = 1, url = 2, command = 3 }
local component_kinds = { tools = 0, resources = 1, resource_templates = 2, prompts = 3 }
local facts = { "id", "transport", "era", "protocol_version", "client", "capabilities", "headers", "upstream",
  "native_name", "request_id", "from", "deadline", "structured" }

--- A policy of this text, loaded; or nil and what is wrong with it. options.kind: a target that is
-- no Lua. options.shared: a store. The policy is called policy.lua unless options.name.
function M.load(text, options)
  options = options or {}
  local self = setmetatable({ f = driver.fake_new(options.shared) }, Fake)
  local target, args = text, nil
  if not options.kind or options.kind == "lua" then
    target = M.write(options.name or "policy.lua", 'local lunette = require "lunette" ' .. text)
  elseif options.kind == "command" then
    args = ffi.new("const char *[?]", #options.args + 1)
    for i, arg in ipairs(options.args) do args[i - 1] = arg end
  end
  local why = take(driver.fake_load(self.f, kinds[options.kind or "lua"], target, args))
  if driver.fake_policy(self.f) == nil then
    self:free()
    return nil, (why or "no reason given"):gsub("\nstack traceback:.*", "")
  end
  self.policy = driver.fake_policy(self.f)
  self.decls = c.lib.ln_policy_decls(self.policy)
  return self
end

--- Runs Lua text as a policy and gives what it returns, a string (nil: why it failed).
function M.eval(text)
  local shared = c.lib.ln_shared_new()
  local f, why = M.load(" lunette.shared.set('result', (function() " .. text .. "\nend)())", { shared = shared })
  local v = c.lib.ln_shared_get(shared, c.str "result", 0)
  local result = v.type == ffi.C.LN_SHARED_STRING and ffi.string(v.text.p, v.text.n) or nil
  if f then f:free() end
  c.lib.ln_shared_unref(shared)
  return result, why
end

--- Gives everything back; anything that was not is an error.
function Fake:free()
  local f = self.f
  self.f, self.policy, self.decls = nil, nil, nil
  local bad = f and driver.fake_free(f) or 0
  assert(bad == 0, "left behind (bits: runs, exchange, messages, loop, blocks): " .. bad)
end

local function position_of(name)
  for i, fact in ipairs(facts) do
    if fact == name then return i - 1 end
  end
  error("no fact " .. name)
end

function Fake:fact(name, text) driver.fake_fact(self.f, position_of(name), text) end
function Fake:inventory(json) driver.fake_inventory(self.f, json) end
function Fake:account() return take(driver.fake_account(self.f)) end
function Fake:log() return take(driver.fake_log(self.f)) end
function Fake:run(ms) driver.fake_run(self.f, ms or 20) end
function Fake:runs() return tonumber(c.lib.ln_policy_runs(self.policy)) end
function Fake:cancel() c.lib.ln_policy_cancel(self.policy, driver.fake_exchange(self.f)) end
function Fake:session_end() c.lib.ln_policy_session_end(self.policy, 7) end
function Fake:handles(method)
  local s, keep = c.str(method)
  local yes = c.lib.ln_policy_offers(self.policy, s) ~= nil
  return yes, keep and nil
end

--- A handler gets a message; hooks are counted from 1.
function Fake:hook(message, hook, item)
  assert(driver.fake_hook(self.f, (hook or 1) - 1, message, item) > 0)
end

function Fake:component(message, component) assert(driver.fake_component(self.f, (component or 1) - 1, message) > 0) end

--- Answers question n (1).
function Fake:answer(message, n) driver.fake_answer(self.f, n or 1, message) end

--- What became of a tools/call with these params when the server answers so: the account.
function Fake:call(params, reply)
  self:hook('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' .. params .. "}")
  if reply then self:answer(reply) end
  self:run()
  return self:account()
end

local function bytes(b) return b ~= nil and ffi.string(b.data, b.len) or nil end

--- Presents items ({ name =, upstream =, json = }…) of a kind: an array of { name, json, hidden, old,
-- why }. for_client: with the exchange.
function Fake:present(kind, items, options)
  options = options or {}
  local n = #items
  local view, keep, reads = ffi.new("struct ln_present_item[?]", n), {}, ffi.new "struct ln_reads"
  for i, item in ipairs(items) do
    view[i - 1].server = item.upstream
    view[i - 1].json, keep[#keep + 1] = c.str(item.json)
    view[i - 1].name, keep[#keep + 1] = c.str(item.name)
  end
  local rc = c.lib.ln_present(self.policy, component_kinds[kind], view, n,
    options.for_client and driver.fake_exchange(self.f) or nil, (options.explain and 1 or 0) + (options.complete and 2 or 0), reads)
  if rc ~= 0 then return nil, rc end
  local out = {}
  for i = 1, n do
    local v = view[i - 1]
    local row = { name = bytes(v.new_name) or items[i].name, json = bytes(v.new_json), hidden = v.hidden,
      why = bytes(v.why), old = {} }
    for j = 1, tonumber(v.n_old) do
      row.old[j] = { v.old[j - 1]["until"], bytes(v.old[j - 1].name) }
    end
    out[i] = row
    c.lib.ln_present_item_deinit(view + (i - 1))
  end
  out.read = reads.all and "all" or bytes(reads.names)
  c.lib.ln_reads_deinit(reads)
  return out, keep
end

--- Names of the items of a kind that are shown, of tools given as names.
function Fake:shown(names, kind)
  local items, shown = {}, {}
  local key = ({ resources = "uri", resource_templates = "uriTemplate" })[kind] or "name"
  for i, name in ipairs(names) do
    items[i] = { name = name, upstream = "up", json = ('{"%s":"%s"}'):format(key, name) }
  end
  for _, row in ipairs(assert(self:present(kind or "tools", items))) do
    if not row.hidden then shown[#shown + 1] = row.name end
  end
  return shown
end

function Fake:may_hide(kind, name)
  local s, keep = c.str(name)
  local yes = c.lib.ln_present_may_hide(self.policy, component_kinds[kind], s)
  return yes, keep and nil
end

function Fake:per_client(kind) return c.lib.ln_policy_per_client(self.policy, component_kinds[kind]) end
function Fake:has_rules(kind) return c.lib.ln_policy_has_rules(self.policy, component_kinds[kind]) end

M.lib = c.lib
M.ffi = ffi

return M
