-- What the specs of src/proxy share: heads of requests, read by the parser that reads them in the program too.
local T = require "spec.support.ffi"
local ffi = T.ffi
local lib = T.include "wire/http.h"
T.include "base/buf.h"

local M = { lib = lib, ffi = ffi, str = T.tostring, text = T.str, include = T.include }

--- Calls use(head) with the head of a request of these lines; returns what it returns.
function M.with_head(lines, use)
  local parser, text = ffi.new "struct ln_http", table.concat(lines, "\r\n") .. "\r\n\r\n"
  lib.ln_http_init(parser, lib.LN_HTTP_REQUEST, 65536, 0)
  local data, anchor = T.str(text)
  assert(lib.ln_http_next(parser, data) == lib.LN_HTTP_HEAD, text)
  local result = use(parser.head)
  lib.ln_http_deinit(parser)
  assert(anchor) -- the slice's bytes, until here
  return result
end

--- A new buffer.
function M.buf(max)
  local b = ffi.new "struct ln_buf"
  lib.ln_buf_init(b, max or 1048576)
  return b
end

--- What a buffer holds; frees it.
function M.take(b)
  local text = b.data == nil and "" or ffi.string(b.data, b.len)
  lib.ln_buf_deinit(b)
  return text
end

return M
