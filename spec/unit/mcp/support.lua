-- What the specs of src/mcp share.
local R = require "spec.unit.rpc.support"
local T = require "spec.support.ffi"
for _, header in ipairs { "mcp/method.h", "mcp/uri.h", "mcp/template.h", "mcp/content.h", "mcp/subject.h", "mcp/apps.h",
  "mcp/progress.h" } do T.include(header) end

local lib = R.lib
local M = { R = R, J = R.J, lib = lib, ffi = R.ffi }

local function form(fn)
  return function(uri, room)
    local out = R.J.buf(room or 3 * #uri + 16)
    local rc = fn(R.J.text(uri), out)
    if rc ~= 0 then return nil, R.err(rc) end
    return R.J.held(out)
  end
end

M.normal = form(lib.ln_uri_normal)
M.loose = form(lib.ln_uri_loose)
function M.climbs(uri) return lib.ln_uri_climbs(R.J.text(uri)) end
function M.match(template, uri) return lib.ln_template_match(R.J.text(template), R.J.text(uri), nil) end

return M
