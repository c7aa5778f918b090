-- What the specs of src/wire/ share: messages cut in every way that matters, and what the
-- parsers say of them written down as lists of strings that are easy to compare.
local support = require "spec.support.ffi"
local ffi = support.ffi

local M = {}

local lib = support.include "wire/http.h"
support.include "wire/line.h"
support.include "wire/sse.h"
ffi.cdef "void *malloc(size_t n); void free(void *p);"

M.lib = lib
M.tostring = support.tostring

local OK, AGAIN = lib.LN_OK, lib.LN_EAGAIN

--- Calls give(str) with the part in a block of its own that ends where the part ends and is
--- gone afterwards, so that reading past it, or keeping a pointer into it, shows.
local function lend(part, give)
  local p = ffi.cast("char *", ffi.C.malloc(math.max(#part, 1)))
  ffi.copy(p, part, #part)
  local data = ffi.new("struct ln_str", p, #part)
  local result = give(data)
  ffi.fill(p, #part, 0x55)
  ffi.C.free(p)
  return result
end

--- All ways to cut a message that the specs try: whole, byte by byte, in two at every place.
function M.cuts(message)
  local all = { { message } }
  local bytes = {}
  for i = 1, #message do bytes[i] = message:sub(i, i) end
  all[2] = bytes
  for i = 1, #message - 1 do all[#all + 1] = { message:sub(1, i), message:sub(i + 1) } end
  return all
end

--- What run(parts) returns for the whole message; every other way to cut it must give the same
--- and no block may stay alive.
function M.same(message, run)
  local live = lib.ln_bytes_live()
  local whole
  for _, parts in ipairs(M.cuts(message)) do
    local got = table.concat(run(parts), "\n")
    whole = whole or got
    if got ~= whole then
      error(("cut after %d of %d bytes:\n%s\nbut whole:\n%s"):format(#parts[1], #message, got, whole), 2)
    end
    assert(lib.ln_bytes_live() == live, "a block was left alive")
  end
  return run { message }
end

--- Lines: a string each; "!ELIMIT" for an error.
function M.lines(parts, max)
  local out, line = {}, ffi.new "struct ln_line"
  local frame = ffi.new "struct ln_bytes *[1]"
  lib.ln_line_init(line, max or 1000)
  for _, part in ipairs(parts) do
    lend(part, function(data)
      while true do
        local rc = lib.ln_line_next(line, data, frame)
        if rc == AGAIN then break end
        if rc == OK then
          out[#out + 1] = ffi.string(frame[0].data, frame[0].len)
          lib.ln_bytes_unref(frame[0])
        else
          out[#out + 1] = "!" .. ffi.string(lib.ln_err_name(rc))
        end
      end
      assert(data.n == 0, "input left over")
    end)
  end
  lib.ln_line_deinit(line)
  return out
end

--- Events: "type|id|data" each, "!ELIMIT" for an error, at the end "id=… retry=…".
function M.events(parts, max)
  local out, sse = {}, ffi.new "struct ln_sse"
  local event = ffi.new "struct ln_sse_event"
  lib.ln_sse_init(sse, max or 1000)
  local failed
  for _, part in ipairs(parts) do
    lend(part, function(data)
      while true do
        local rc = lib.ln_sse_next(sse, data, event)
        if failed then assert(rc == failed, "an event after an error") end
        if rc == AGAIN then
          assert(data.n == 0, "input left over")
          break
        elseif rc ~= OK then
          if not failed then out[#out + 1] = "!" .. ffi.string(lib.ln_err_name(rc)) end
          failed = rc
          break
        end
        out[#out + 1] = ("%s|%s|%s"):format(support.tostring(event.type), support.tostring(event.id),
          ffi.string(event.data.data, event.data.len))
        lib.ln_bytes_unref(event.data)
      end
    end)
  end
  out[#out + 1] = ("id=%s retry=%s"):format(ffi.string(sse.last_id.data or "", sse.last_id.len),
    (tostring(sse.retry_ms):gsub("LL", "")))
  lib.ln_sse_deinit(sse)
  return out
end

local function show_head(head)
  local first
  if head.method.p ~= nil then
    first = ("%s %s @%s"):format(support.tostring(head.method), support.tostring(head.target),
      support.tostring(head.authority) or "-")
  else
    first = tostring(head.status)
  end
  local body = head.chunked and "chunked" or head.until_close and "until-close"
    or head.content_length >= 0 and tostring(head.content_length):gsub("LL", "") or "-"
  local out = { ("%s 1.%d %s %s%s"):format(first, head.minor, head.keep_alive and "keep" or "close",
    body, head.expect_continue and " expect" or "") }
  for i = 0, head.n_headers - 1 do
    out[#out + 1] = ("  %s=%s"):format(support.tostring(head.headers[i].name),
      support.tostring(head.headers[i].value))
  end
  return out
end

--- HTTP: "POST /x @host 1.1 keep 5" or "200 1.1 close until-close", with options.headers the
--- headers as "  Name=value"; "body …" with the pieces of one body joined; "end"; "!400 ESYNTAX
--- why". With options.eof the connection's end follows and gives "eof" between messages.
--- options: kind ("request" or "response"), max_head, max_body, head_only.
function M.http(parts, options)
  options = options or {}
  local out, h = {}, ffi.new "struct ln_http"
  local kind = options.kind == "response" and lib.LN_HTTP_RESPONSE or lib.LN_HTTP_REQUEST
  lib.ln_http_init(h, kind, options.max_head or 4096, options.max_body or 0)
  local head, body, failed

  local function event(e, at_end)
    if failed then
      assert(e == lib.LN_HTTP_ERROR, "an event after an error")
      return false
    end
    if e == lib.LN_HTTP_BODY then
      assert(h.body.n > 0, "an empty piece of body")
      body = (body or "") .. support.tostring(h.body)
      assert(tonumber(h.body_seen) == #body, "body_seen is wrong")
      return true
    end
    if e == lib.LN_HTTP_MORE then return false end
    if body then out[#out + 1] = "body " .. body end
    body = nil
    if e == lib.LN_HTTP_HEAD then
      assert(h.body.p == nil, "a body before its head")
      head = show_head(h.head)
      for i = 1, options.headers and #head or 1 do out[#out + 1] = head[i] end
    elseif e == lib.LN_HTTP_END then
      assert(table.concat(show_head(h.head), "\n") == table.concat(head, "\n"),
        "the head changed before the next one")
      out[#out + 1] = "end"
      if options.release then lib.ln_http_release(h) end
    else
      failed = true
      assert(h.error ~= 0 and h.why ~= nil)
      show_head(h.head) -- nothing of it may dangle
      if not (head or ffi.string(h.why):find "^the body") then
        assert(h.head.n_headers == 0 and h.head.method.p == nil and h.head.target.p == nil)
      end
      assert(h.body.p == nil)
      out[#out + 1] = ("!%d %s %s"):format(h.status, ffi.string(lib.ln_err_name(h.error)),
        ffi.string(h.why))
      return false
    end
    return not at_end
  end

  h.head_only = options.head_only or false
  for _, part in ipairs(parts) do
    lend(part, function(data)
      while event(lib.ln_http_next(h, data)) do end
      assert(failed or data.n == 0, "input left over")
    end)
  end
  if options.eof then
    local e = lib.ln_http_eof(h)
    if e == lib.LN_HTTP_MORE and not failed then
      out[#out + 1] = "eof"
    else
      event(e, true)
    end
  elseif body then
    out[#out + 1] = "body " .. body
  end
  lib.ln_http_deinit(h)
  return out
end

--- The whole message's HTTP events, the same however it is cut.
function M.message(message, options)
  return M.same(message, function(parts) return M.http(parts, options) end)
end

return M
