-- What the specs of src/base share.
local T = require "spec.support.ffi"
local M = { ffi = T.ffi, str = T.str, tostring = T.tostring, include = T.include, lib = T.lib }

T.include "base/err.h"

function M.err(rc)
  return T.ffi.string(T.lib.ln_err_name(rc))
end

return M
