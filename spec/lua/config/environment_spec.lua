-- Which of Lunette's variables a server inherits, as it is declared, and what is said of those that it wants
-- besides. (What children then find is in e2e/environment_spec.)
local support = require "spec.unit.script.support"

local ffi = support.ffi

setup(support.setup)
teardown(support.teardown)

local usual = "HOME\nLOGNAME\nPATH\nSHELL\nTERM\nUSER\nLANG\nLC_*\nTMPDIR\nTZ"

-- The one server that a policy declares: what it inherits, and the log.
local function server(policy)
  local f, why = support.load(policy)
  assert(f, why)
  local u = f.decls.servers[0]
  local inherit, log = u.inherit ~= nil and ffi.string(u.inherit) or nil, f:log()
  f:free()
  return inherit, log
end

describe("inherit_env", function()
  it("adds to the usual few", function()
    assert.equal(usual, (server "lunette.upstream('a', { command = 'x' })"))
    assert.equal(usual, (server "lunette.upstream('a', { command = 'x', inherit_env = false })"))
    assert.equal(usual .. "\nAWS_*\nX", (server "lunette.upstream('a', { command = 'x', inherit_env = { 'AWS_*', 'X' } })"))
    assert.equal("*", (server "lunette.upstream('a', { command = 'x', inherit_env = true })"))
    assert.is_nil((server "lunette.upstream('a', { url = 'http://h' })"))
  end)
end)

describe("a command line", function()
  -- The names that are warned of, in their order.
  local function wanted(options)
    local _, log = server("\nlunette.upstream('a', { " .. options .. " })")
    local list = {}
    for name in log:gmatch 'policy.lua:2: upstream "a": %S+ wants %$(%S+), which' do list[#list + 1] = name end
    assert.equal(#list, select(2, log:gsub("\n", "")), log)
    return table.concat(list, " ")
  end

  local function script(text) return wanted(("command = '/bin/sh', args = { '-c', %q }"):format(text)) end

  for text, names in pairs {
    ["echo $TOKEN ${OTHER} \"$THIRD\" '$QUOTED' \\$ESCAPED # $COMMENT"] = "TOKEN OTHER THIRD",
    ["exec srv --a=$A_B --b=${TOKEN:?not set} ${path%/*} $TOKEN"] = "A_B TOKEN path",
    ["echo ${TOKEN:-x} ${OTHER-} ${THIRD:+y} ${FOURTH:=z} $FOURTH"] = "",
    ["TOKEN=1; echo $TOKEN; for x in a b; do echo $x; done; while read -r line; do echo $line; done"] = "",
    ["TOKEN=\"$TOKEN\" OTHER=${OTHER} srv"] = "TOKEN OTHER",
    ["TOKEN=${TOKEN:-x}; srv $TOKEN"] = "",
    ["export TOKEN; srv $TOKEN"] = "TOKEN",
    ["echo $HOME $LC_ALL $PWD $$ $1 $? $(id) $BASH_VERSION \"it's $TOKEN\""] = "TOKEN",
    [". ./env; srv $TOKEN"] = "",
    ["set -a && source ./env && srv $TOKEN"] = "",
    ["awk '{ print $NF }' && srv"] = "",
  } do
    it("for a shell: " .. text, function() assert.equal(names, script(text)) end)
  end

  for options, names in pairs {
    ["command = 'bash', args = { '-lc', 'srv $TOKEN' }"] = "TOKEN",
    ["command = 'bash', args = { 'x.sh', 'srv $lower' }"] = "",
    ["command = 'env', args = { 'A_B=1', 'sh', '-c', 'srv $A_B $TOKEN' }"] = "TOKEN",
    ["command = 'sh', args = { '-c', 'srv $TOKEN' }, env = { TOKEN = '1' }"] = "",
    ["command = 'sh', args = { '-c', 'srv $TOKEN' }, inherit_env = { 'TOK*' }"] = "",
    ["command = 'sh', args = { '-c', 'srv $TOKEN' }, inherit_env = true"] = "",
    ["command = 'npx', args = { 'mcp-remote', '--header', 'Authorization:${AUTH_HEADER}', '$TOKEN', '--key=$KEY' }"] = "AUTH_HEADER TOKEN KEY",
    ["command = 'npx', args = { 'pa$SWORD', '^a$', '$lower', '$HOME', 'a$B.c', '$1' }"] = "",
    ["command = 'node', args = { '-e', 'console.log(`${TOKEN}`)' }"] = "",
    ["command = 'docker', args = { 'run', '-i', '-e', 'TOKEN', '--env', 'OTHER', '--env=THIRD', '-e', 'A=1', '-e', 'B=$KEY', 'img' }"] =
      "TOKEN OTHER THIRD KEY",
    ["command = '/usr/bin/podman', args = { 'run', '-e', 'TOKEN', '-e', 'HOME', '--entrypoint', 'SRV', 'img' }, env = { TOKEN = '1' }"] = "",
    ["command = 'x', args = { '-e', 'TOKEN' }"] = "",
    ["command = 'x', env = { A = '$TOKEN', B = '${OTHER}', C = 'x$ECRET', D = '${A}' }"] = "TOKEN OTHER",
  } do
    it("with " .. options, function() assert.equal(names, wanted(options)) end)
  end
end)
