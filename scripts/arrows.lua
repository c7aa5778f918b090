-- Which room may use which, and whether it is so: arrows.lua [--show] [ROOT [TABLE]]
--
-- A room is a folder of src/ or lua/; a folder in it is a room of its own, and so is a file that is in none. A file
-- uses another in C by `#include "…"` and by naming what the other defines (arrows/c.lua says what that is), in Lua by
-- `require`. The table has a row for each room, ground first: a room may use what has its row above, and of that only
-- what its own row names. Within a room, where x.c, x.h and x_impl.h are one, no way leads from a file back to
-- it. What is not allowed fails, and so does what is allowed and not done: the table says what is so.
--
-- --show prints what each room uses. ROOT is another tree, TABLE a file that returns another table.
local here = arg[0]:match "^(.*/)" or ""
package.path = here .. "?.lua;" .. package.path
local read_c, read_lua, check = require "arrows.c", require "arrows.lua", require "arrows.check"

local tables = {}

tables.src = {
  -- { room, what it may use }: a room, `room/x.h` for a room of which it may include that header only, `room/*` for
  -- all the rooms in one.
  rooms = {
    { "base", "" },
    { "json", "base" },
    { "wire", "base" },
    { "rpc", "base json/json.h" },
    { "mcp", "base json/json.h rpc" },
    { "net", "base" },
    { "transport", "base wire net" },
    { "script", "base json/json.h wire rpc mcp/kind.h net/loop.h net/orphans.h transport/fetch.h" },
    { "proxy/core", "base mcp net transport script/policy.h script/shared.h script/watchdog.h" },
    { "proxy/server", "base json/json.h rpc mcp net transport script/policy.h script/glob.h proxy/core" },
    { "proxy/client", "base json/json.h wire rpc mcp net script/policy.h proxy/core proxy/server" },
    { "proxy/lists", [[base json/json.h rpc mcp net transport script/policy.h proxy/core
      proxy/server proxy/client]] },
    { "proxy/exchange", [[base json/json.h rpc mcp net script/policy.h
      proxy/server proxy/client proxy/lists]] },
    { "proxy/names", [[base json/json.h rpc mcp net transport script/policy.h proxy/server proxy/client
      proxy/lists proxy/exchange]] },
    { "proxy/route", [[base json/json.h rpc mcp net transport script/policy.h proxy/core
      proxy/server proxy/client proxy/lists proxy/exchange proxy/names]] },
    { "proxy/entry", [[base json/json.h wire rpc mcp net script/policy.h proxy/core
      proxy/client proxy/lists proxy/exchange proxy/route]] },
    { "proxy/http", [[base json/json.h wire rpc mcp net transport script/policy.h proxy/core proxy/server
      proxy/client proxy/exchange proxy/route proxy/entry]] },
    { "proxy/serve", [[base mcp net transport script/policy.h
      script/watchdog.h proxy/core proxy/server proxy/client proxy/lists proxy/exchange proxy/route proxy/entry
      proxy/http]] },
    { "bind", [[base json/json.h wire/http_host.h wire/forwarded.h rpc mcp net script transport proxy/core
      proxy/server proxy/client proxy/lists proxy/route proxy/entry proxy/serve]] },
    { "main.c", "bind" },
  },
  -- What is not ours, and who may use it: headers (those that are not named are for everybody), and the files of lua/
  -- that C requires, all of them.
  outside = {
    ["uv.h"] = "net",
    ["openssl"] = "net transport proxy/http",
    ["lua.h"] = "script bind",
    ["lauxlib.h"] = "script bind",
    ["lualib.h"] = "script",
    ["luajit.h"] = "script",
    ["lua/lunette/init"] = "script",
    ["lua/lunette/running/main"] = "script",
    ["lua/lunette/running/ctx"] = "script",
    ["lua/lunette/loading/finish"] = "script",
    ["lua/lunette/base/state"] = "script",
    ["lua/lunette/config/targets"] = "script",
    ["lua/lunette/cli/init"] = "bind",
  },
  -- { room, files, why }: files of a room that stand in one circle. A file that no longer does is told.
  circles = {
    { "wire", "http http_head http_target http_value", "one parser, behind http_head.h" },
    { "net", "loop timer guard tls_ctx stream write connect file tls turn",
      "a loop owns its timers, guard and contexts of TLS; a stream is one object, behind stream_impl.h" },
    { "proxy/server", "link link_init idle start", "a link, what is said first in it, when it sleeps and is started" },
    { "transport", "http_channel http_channel_post http_channel_stream sse_channel", "one channel" },
    { "transport", "http_client http_client_route http_pool", "a pool opens connections, which go back to it" },
    { "transport", "http_server http_connection http_reply", "one server" },
  },
  -- { from, to, why }: a single file that uses one it may not, until it doesn't.
  known = {},
}

tables.lua = {
  rooms = {
    { "lunette/base", "" },
    { "lunette/schema", "lunette/base" },
    { "lunette/rules", "lunette/base lunette/schema" },
    { "lunette/config", "lunette/base lunette/rules" },
    { "lunette/loading", "lunette/base lunette/rules" },
    { "lunette/running", "lunette/base lunette/schema lunette/rules lunette/loading" },
    { "lunette/lib", "lunette/base" },
    { "lunette", "lunette/base lunette/rules lunette/config lunette/loading lunette/running lunette/lib" },
    { "lunette/policy", "lunette/base lunette/schema lunette/rules lunette/config lunette/running lunette" },
    { "lunette/test", "lunette/base lunette/schema lunette/config lunette/lib" },
    { "lunette/cli", "lunette/base lunette/config lunette/test" },
  },
  -- Modules that are not ours, all of them.
  outside = {
    ["lunette.core"] = [[lunette/base lunette/schema lunette/rules lunette/config lunette/loading lunette/running
      lunette/lib lunette lunette/policy lunette/test]],
    ["lunette.cli.core"] = "lunette/cli lunette/test",
    ["jit.util"] = "lunette/loading",
    ["ffi"] = "lunette/cli lunette/test",
    ["cjson"] = "lunette/base",
    ["argparse"] = "lunette/cli",
    ["busted.core"] = "lunette/cli",
    ["busted.runner"] = "lunette/cli",
  },
  circles = {},
  known = {},
}

local show = arg[1] == "--show" and table.remove(arg, 1) ~= nil
local root = arg[1] or here .. ".."
if arg[2] then tables = assert(loadfile(arg[2]))() end

local complaints, told = 0, {}
local function complain(text, ...)
  text = text:format(...)
  if told[text] then return end
  complaints, told[text] = complaints + 1, true
  print(text)
end

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- { path for people, name within its side ("net/stream.c"), room, node (the name without its end), text }
local function files_of(side, extensions)
  local list, top = {}, root .. "/" .. side
  local pipe = assert(io.popen(("find '%s' -type f | LC_ALL=C sort"):format(top)))
  for path in pipe:lines() do
    local name, extension = path:sub(#top + 2), path:match "%.(%w+)$"
    if extensions[extension] then
      list[#list + 1] = { path = side .. "/" .. name, name = name, room = name:match "^(.*)/" or name,
        node = name:gsub("%.%w+$", ""):gsub("_impl$", ""), extension = extension, text = slurp(path) }
    end
  end
  pipe:close()
  return list
end

local function side_of(name, extensions)
  return { name = name, table = tables[name], files = files_of(name, extensions), arrows = {}, outside = {} }
end

-- What the readers tell of a side; see arrows/c.lua.
local function teller(side, listed)
  return {
    complain = complain,
    uses = function(from, to, line, kind, name)
      if to.node == from.node then return end
      table.insert(side.arrows, { from = from, to = to, line = line, kind = kind, name = name })
    end,
    includes = function(from, line, name)
      table.insert(side.outside, { from = from, line = line, name = name, listed = listed })
    end,
  }
end

local src, lua = side_of("src", { c = true, h = true }), side_of("lua", { lua = true })
local modules = read_lua.read(lua.files, teller(lua, true))
local tell = teller(src)
function tell.enters(from, line, name)
  local to = modules[name]
  if not to then return complain("%s:%d: requires %s, which is not there", from.path, line, name) end
  table.insert(src.outside, { from = from, line = line, name = to.path:gsub("%.lua$", ""), listed = true })
end
read_c.read(src.files, tell)

for _, side in ipairs { src, lua } do
  (show and check.show or check.check)(side, complain)
end
os.exit(complaints == 0 and 0 or 1)
