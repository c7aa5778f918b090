-- Which of Lunette's variables a server inherits, as it is declared. (What children then find is in
-- e2e/environment_spec.)
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
