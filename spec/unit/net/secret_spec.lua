-- src/net/secret.c: the file of a secret, and the files that are none.
local ffi = require "ffi"
local c = require "spec.support.ffi"
local lib = c.include "net/secret.h"
ffi.cdef [[int setenv(const char *, const char *, int); int unsetenv(const char *); void free(void *);
  unsigned umask(unsigned); unsigned geteuid(void);]]

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return (text:gsub("\n$", ""))
end

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function spit(path, text, mode)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  shell(("chmod %s '%s'"):format(mode or "600", path))
end

-- The secret, or nil with the error's name and what it says.
local function load(path)
  local secret, why = ffi.new("unsigned char[32]"), ffi.new "char[512]"
  local rc = lib.ln_secret_load(path, secret, why)
  local text = ffi.string(secret, 32)
  if rc == 0 then return text end
  assert.equal(("\0"):rep(32), text)
  return nil, ffi.string(lib.ln_err_name(rc)), ffi.string(why)
end

describe("a secret", function()
  local folder
  before_each(function() folder = shell "mktemp -d ${TMPDIR:-/tmp}/lunette-spec-XXXXXX" end)
  after_each(function() shell(("chmod -R u+w '%s'; rm -rf -- '%s'"):format(folder, folder)) end)

  it("is made once, for its owner alone, and is the same after", function()
    local path = folder .. "/key"
    local before = lib.umask(0)
    local secret = load(path)
    lib.umask(before)
    assert.equal(32, #secret)
    assert.equal("600 32", shell(("stat -c '%%a %%s' '%s'"):format(path)))
    assert.equal(secret, slurp(path))
    assert.equal(secret, load(path))
    assert.equal("key", shell(("ls -A '%s'"):format(folder)))
    assert.not_equal(secret, (load(folder .. "/other")))
  end)

  it("is what is there", function()
    local bytes = ("\0\1\2\255"):rep(8)
    for _, mode in ipairs { "600", "400" } do
      spit(folder .. "/key", bytes, mode)
      assert.equal(bytes, (load(folder .. "/key")))
      os.remove(folder .. "/key")
    end
    spit(folder .. "/real", bytes)
    shell(("ln -s real '%s/key'"):format(folder)) -- as where secrets are mounted
    assert.equal(bytes, (load(folder .. "/key")))
  end)

  it("is refused, and left alone, when others may use it, or it is none", function()
    local path = folder .. "/key"
    for mode, why in pairs { ["640"] = "mode is 640", ["604"] = "mode is 604", ["620"] = "used by others", ["601"] = "used by others" } do
      spit(path, ("x"):rep(32), mode)
      local got, err, said = load(path)
      assert.is_nil(got)
      assert.equal("EREFUSED", err)
      assert.truthy(said:find(why, 1, true) and said:find(path, 1, true), said)
      assert.equal(("x"):rep(32), slurp(path))
    end
    for _, n in ipairs { 0, 31, 33, 45 } do
      spit(path, ("x"):rep(n))
      local got, err, said = load(path)
      assert.is_nil(got)
      assert.equal("EREFUSED", err)
      assert.truthy(said:find(("must hold 32 random bytes, not %d"):format(n), 1, true), said)
      assert.equal(n, #slurp(path))
    end
    for _, make in ipairs { "mkdir", "mkfifo" } do
      os.remove(path)
      shell(("%s -m 700 '%s'"):format(make, path))
      local got, err, said = load(path)
      assert.is_nil(got)
      assert.equal("EREFUSED", err)
      assert.truthy(said:find "is not a regular file", said)
    end
  end)

  it("has no place where nothing can be made", function()
    local got, err, said = load(folder .. "/none/key")
    assert.is_nil(got)
    assert.equal("ESYSTEM", err)
    assert.truthy(said:find("/none/key can't be made: No such file", 1, true), said)
    shell(("ln -s '%s/nowhere/x' '%s/key'"):format(folder, folder))
    got, err, said = load(folder .. "/key")
    assert.is_nil(got)
    assert.equal("ESYSTEM", err)
    assert.truthy(said:find("leads nowhere", 1, true), said)
  end)

  it("has a place of its own in the user's state", function()
    local old_state, old_home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
    local function place(state, home)
      for name, value in pairs { XDG_STATE_HOME = state or false, HOME = home or false } do
        if value then ffi.C.setenv(name, value, 1) else ffi.C.unsetenv(name) end
      end
      local why = ffi.new "char[512]"
      local path = lib.ln_secret_place("session.key", why)
      if path == nil then return nil, ffi.string(why) end
      local text = ffi.string(path)
      ffi.C.free(path)
      return text
    end
    local ok, err = pcall(function()
      assert.equal(folder .. "/a/b/lunette/session.key", place(folder .. "/a/b", "/nowhere"))
      assert.equal("700 700 700", (shell(("stat -c %%a '%s/a' '%s/a/b' '%s/a/b/lunette'"):format(folder, folder, folder)):gsub("\n", " ")))
      assert.equal(folder .. "/.local/state/lunette/session.key", place(nil, folder))
      assert.equal(folder .. "/.local/state/lunette/session.key", place("relative", folder))
      assert.equal(folder .. "/.local/state/lunette/session.key", place("", folder))
      local none, why = place(nil, nil)
      assert.is_nil(none)
      assert.equal("neither XDG_STATE_HOME nor HOME says where", why)
      assert.truthy(place("/proc/none", nil)) -- that it can't be made shows with the file
    end)
    for name, value in pairs { XDG_STATE_HOME = old_state or false, HOME = old_home or false } do
      if value then ffi.C.setenv(name, value, 1) else ffi.C.unsetenv(name) end
    end
    assert.is_true(ok, err)
  end)

  it("is one for all that come at the same time", function()
    local path, out = folder .. "/key", folder .. "/out"
    local child = ([[local ffi = require "ffi" ffi.cdef[=[int ln_secret_load(const char *, unsigned char *, char *);]=]
      local lib, s = ffi.load(os.getenv "LUNETTE_LIB" or "build/liblunette_spec.so"), ffi.new "unsigned char[32]"
      assert(lib.ln_secret_load("%s", s, ffi.new "char[512]") == 0)
      io.stdout:write((ffi.string(s, 32):gsub(".", function(b) return ("%%02x"):format(b:byte()) end)), "\n")]]):format(path)
    for round = 1, 5 do
      os.remove(path)
      spit(folder .. "/child.lua", child)
      shell(("for i in 1 2 3 4 5 6 7 8; do luajit '%s/child.lua' >'%s'.$i & done; wait; cat '%s'.* | sort -u >'%s'"):format(
        folder, out, out, out))
      assert.truthy(slurp(out):match "^%x+\n$", ("round %d: %s"):format(round, slurp(out)))
    end
  end)
end)
