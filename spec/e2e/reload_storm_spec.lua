-- Many reloads with all at work, and how long one takes.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"
local reload = require "spec.support.reload"

local uv = loop.uv
local changed = reload.changed
local kept_text = reload.kept_text
local server = reload.server
local says = reload.says
local version = reload.version
local tool_names = reload.tool_names
local replace = reload.replace
local start = reload.start

describe("a storm of reloads", function()
  after_each(lunette.finish)

  local reloads, n_clients = lunette.sanitized and 60 or 150, 8

  -- Numbers of inotify descriptors, and of what they watch.
  local function watches(pid)
    local descriptors, watched = 0, 0
    local dir = uv.fs_scandir(("/proc/%d/fd"):format(pid))
    while dir do
      local name = uv.fs_scandir_next(dir)
      if not name then break end
      local link = uv.fs_readlink(("/proc/%d/fd/%s"):format(pid, name))
      if link and link:find "inotify" then
        descriptors = descriptors + 1
        for _ in loop.read_file(("/proc/%d/fdinfo/%s"):format(pid, name)):gmatch "inotify wd" do watched = watched + 1 end
      end
    end
    return descriptors, watched
  end

  -- Policy n marks each result with n, calls the tool "labour<n % 3>" and shows nothing else. Handler and name
  -- of one call must be of one generation.
  local function text(up, n)
    return lunette.bare(up) .. "lunette.tools.transform('work', { call = function(args, forward) return forward(args) end })"
      .. ("\nlunette.tools.rename { work = 'labour%d' }\nlunette.tools.only 'labour%d'\n"
      .. "lunette.on('tools/call', function(request, forward) if request.params.arguments.slow then lunette.sleep(0.02) end "
      .. "local result = forward(request) result.policy = %d return result end)"):format(n % 3, n % 3, n)
  end

  -- How many policies there are and what is held of them; handles of the loop.
  local function held(host)
    local body = http.request { port = host.port, path = "/metrics" }.body
    local function metric(name) return assert(tonumber(body:match("\nlunette_" .. name .. " (%d+)")), body) end
    return { policies = metric "policies", references = metric "policy_references" }, metric "handles"
  end

  -- Over stdio there is one client, which has as many calls under way as there are clients over HTTP.
  local function storm(watch, stdio)
    local up = upstream.new { name = "up", tools = '[{"name":"work","inputSchema":{"type":"object"}},'
      .. '{"name":"secret","inputSchema":{"type":"object"}}]' }
    if not stdio then up:http() end
    up:on("tools/call", function(req)
      assert(req:value "name" == "work", "the server was asked for " .. req:at "name")
      req:reply(('{"content":[],"tag":%s}'):format(req:at("arguments", "tag")))
    end)
    local host = start(text(up, 0), { watch = watch, stdio = stdio })
    local clients, current, sent = {}, 0, 0
    for i = 1, n_clients do
      local client = not stdio and host.new_client {} or i == 1 and host.stdio
      clients[i] = client or { start = function(_, ...) return host.stdio:start(...) end }
      if client then
        client:initialize()
        tool_names(client)
      end
    end
    if not stdio then host:reload(text(up, 0)) end
    local at_first = not stdio and held(host)
    local accepted, refused, stopping = 0, 0, false
    -- `current` is the last generation written; in force may be any from `settled` on.
    local settled = 0
    local function check(call)
      local raw = call.raw
      local policy = json.value(raw, "result", "policy")
      local newest = current
      if policy then
        assert(policy >= call.oldest and policy <= newest, ("policy %d, not of %d to %d"):format(policy, call.oldest, newest))
        assert(policy % 3 == call.name, ("policy %d took the name labour%d"):format(policy, call.name))
        assert(json.value(raw, "result", "tag") == call.tag, raw)
        accepted = accepted + 1
      else
        -- Right only if some policy that could be in force has another name for it.
        local error_object = json.value(raw, "error")
        assert(error_object.code == -32602, raw)
        local may = call.name < 0 -- the secret: never
        for n = call.oldest, newest do may = may or n % 3 ~= call.name end
        assert(may, "refused by no policy: " .. raw)
        refused = refused + 1
      end
    end
    local function step(client)
      if client.call and client.call.raw then
        check(client.call)
        client.call = nil
      end
      if client.call or stopping then return client.call == nil end
      sent = sent + 1
      local secret = sent % 10 == 0
      local name = secret and "secret" or "labour" .. settled % 3
      local call = client:start("tools/call", ('{"name":%q,"arguments":{"tag":%d,"slow":%s}}'):format(name, sent,
        sent % 7 == 0 and "true" or "false"))
      call.tag, call.oldest, call.name = sent, settled, secret and -1 or settled % 3
      client.call = call
      return false
    end
    local function drive(condition, what)
      loop.wait(function()
        local idle = true
        for _, client in ipairs(clients) do
          if client.call and client.call.refused then error("HTTP " .. client.call.refused.status) end
          idle = step(client) and idle
        end
        return condition(idle)
      end, what, 20000)
    end
    local function one()
      current = current + 1
      local before = host:reloads()
      if not watch then
        lunette.policy(text(up, current), host.path)
        host.process:kill "sighup"
      elseif current % 2 == 0 then
        lunette.policy(text(up, current), host.path)
      else
        replace(host.path, 'local lunette = require "lunette"; ' .. text(up, current))
      end
      drive(function() return host:reloads() > before end, "reload " .. current)
      settled = current
    end
    -- Before the first reload, so that each client's connection with the server is among what is counted below.
    drive(function() return accepted >= 2 * n_clients end, "calls before the first reload")
    for _ = 1, 40 do one() end
    local pid = host.process.pid
    local rss, descriptors = process.rss(pid), process.descriptors(pid)
    local handles = not stdio and select(2, held(host))
    for _ = 41, reloads do one() end
    -- Calls made while nothing is reloaded go through, however fast the reloads were.
    local storm_accepted = accepted
    drive(function() return accepted >= storm_accepted + 2 * n_clients end, "calls after the last reload")
    stopping = true
    drive(function(idle) return idle end, "the last answers")
    -- How many meet the policy that they were made for depends on who is faster, the reloads or the calls.
    assert.is_true(accepted + refused > reloads,
      ("%d calls went through, %d were refused"):format(accepted, refused))
    assert.equal(sent, accepted + refused)
    assert.equal(accepted, up:count "tools/call")
    assert.equal(stdio and 1 or n_clients, up:count "initialize")
    assert.equal(0, host:reloads(kept_text), host:complaint())
    loop.wait(function() return process.descriptors(pid) <= descriptors + 4 end,
      ("%d descriptors to be no more than %d"):format(process.descriptors(pid), descriptors + 4))
    -- Sampled until it holds: a reload's last act is to watch anew.
    loop.wait(function()
      local inotify, watched = watches(pid)
      return inotify <= 1 and watched == (watch and 1 or 0)
    end, "one directory to be watched, once")
    if not stdio then
      current = 0
      host:reload(text(up, current))
      local now, handles_now = held(host)
      assert.same({ policies = 1, references = at_first.references }, now)
      assert.is_true(handles_now <= handles + 4, ("%d handles, then %d"):format(handles, handles_now))
    end
    local after = process.rss(pid)
    print(("      %d reloads, %d calls answered, %d refused; %d kB after 40 reloads, %d at the end; %d descriptors")
      :format(reloads, accepted, refused, rss, after, process.descriptors(pid)))
    if not lunette.sanitized then assert.is_true(after < rss + 4096, ("%d kB, then %d"):format(rss, after)) end
    for i = 1, stdio and 1 or n_clients do
      assert.same({ "labour" .. current % 3 }, tool_names(clients[i]))
      assert.equal(stdio and 0 or 200, (clients[i]:close()))
    end
  end

  it("loses, doubles and misjudges no call, and grows nothing (SIGHUP)", function() storm(false) end)
  it("loses, doubles and misjudges no call, and grows nothing (watching)", function() storm(true) end)
  it("loses, doubles and misjudges no call, and grows nothing (stdio)", function() storm(false, true) end)

  it("ends in what was saved last, however fast the saves come", function()
    local host = start(says "0", { watch = true })
    local client = host:client()
    for round = 1, 5 do
      for i = 1, 40 do replace(host.path, 'local lunette = require "lunette"; ' .. says(round .. "." .. i)) end
      loop.wait(function() return version(client) == round .. ".40" end, "the last version")
    end
    assert.equal(0, host:reloads(kept_text), host:complaint())
  end)

  it("of signals alone is many reloads or few, and nothing breaks", function()
    local up = server "up"
    local host = start(lunette.bare(up) .. "\n" .. says "one")
    local client = host:client()
    for _ = 1, 100 do host.process:kill "sighup" end
    host:hup()
    for _ = 1, 20 do assert.equal('"up"', json.at(client:result("tools/call", '{"name":"work"}'), "by")) end
    assert.equal(1, #up.sessions)
    assert.equal(0, #client.inbox)
  end)
end)

describe("the time from a saved file", function()
  after_each(lunette.finish)

  it("to the new list, with 1,000 tools", function()
    local tools = {}
    for i = 1, 1000 do
      tools[i] = ('{"name":"tool_%d","description":"Does the thing numbered %d","inputSchema":{"type":"object","properties":'
        .. '{"path":{"type":"string","description":"where"},"limit":{"type":"integer"}},"required":["path"]}}'):format(i, i)
    end
    local up = upstream.new { name = "up", tools = "[" .. table.concat(tools, ",") .. "]" }
    local function text(i)
      return ('local lunette = require "lunette"; %s\nlunette.tools.hide "tool_99*"\n'
        .. "lunette.tools.rename { tool_1 = 'first%d' }\n"
        .. "lunette.tools.filter(function(tool) return tool.name ~= 'tool_77' end)"):format(lunette.bare(up), i)
    end
    local host = start(nil, { watch = true, path = loop.write_file(loop.tempdir() .. "/policy.lua", text(0)) })
    local client = host:client()
    local times = {}
    for i = 1, 7 do
      loop.write_file(host.path .. ".new", text(i))
      local began = uv.hrtime()
      assert(uv.fs_rename(host.path .. ".new", host.path))
      client:expect(changed.tools)
      times[i] = (uv.hrtime() - began) / 1e6
      local names = tool_names(client)
      assert.equal("first" .. i, names[1])
      assert.equal(988, #names)
    end
    table.sort(times)
    print(("      from rename to list_changed with 1,000 tools: median %.0f ms, worst %.0f ms"):format(times[4], times[7]))
    assert.is_true(times[4] < (lunette.sanitized and 3000 or 1000) * loop.slow, ("%.0f ms"):format(times[4]))
  end)
end)
