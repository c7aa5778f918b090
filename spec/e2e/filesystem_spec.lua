-- The same comparison with server-filesystem (structured content, media, large results, roots that the
-- server asks for) and server-memory (state, resource updates).
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"

local pixel = "\137PNG\r\n\26\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\8\6\0\0\0\31\21\196\137"

describe("the official client", function()
  after_each(lunette.finish)

  -- A directory of the same name each time, so that paths in results are equal.
  local function fresh(dir)
    os.execute(("rm -rf -- '%s' && mkdir -p -- '%s'"):format(dir, dir))
    loop.write_file(dir .. "/pixel.png", pixel)
  end

  for _, transport in ipairs { "stdio", "http" } do
    for _, bare in ipairs { false, true } do
      it(("and server-filesystem say the same through Lunette over %s%s"):format(transport, bare and ", without capabilities" or ""), function()
        local dir = loop.tempdir() .. "/served"
        local command = peers.command("filesystem", dir)
        local options = { set = { dir = dir }, bare = bare }
        fresh(dir)
        local direct = peers.transcript("filesystem", { command = command }, options)
        fresh(dir)
        local path = lunette.policy(peers.patience .. ('lunette.upstream("files", %s)'):format(peers.lua(command)))
        local target = transport == "stdio" and { command = { lunette.binary, "run", path } }
          or { url = lunette.http({ targets = { path } }).url }
        local difference = peers.difference(direct, peers.transcript("filesystem", target, options))
        assert.is_nil(difference, difference)
      end)
    end

    it("and server-memory say the same through Lunette over " .. transport, function()
      local file = loop.tempdir() .. "/memory.jsonl"
      local direct = peers.transcript("memory", { command = peers.command "memory" }, { env = { MEMORY_FILE_PATH = file } })
      os.remove(file)
      local path = lunette.policy(peers.patience .. ('lunette.upstream("memory", %s)'):format(
        peers.lua(peers.command "memory", ("env = { MEMORY_FILE_PATH = %q }"):format(file))))
      local target = transport == "stdio" and { command = { lunette.binary, "run", path } }
        or { url = lunette.http({ targets = { path } }).url }
      local difference = peers.difference(direct, peers.transcript("memory", target))
      assert.is_nil(difference, difference)
    end)
  end
end)
