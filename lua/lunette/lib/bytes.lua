-- lunette.uuid, .random, .base64, .sha256, .hmac_sha256. Bytes are texts that need not be UTF-8.
local core = require "lunette.core"
local check = require "lunette.base.check"

local M = { base64 = {} }

local MOST = 1048576 -- bytes of random, as in src/bind/bytes.c

--- n bytes of the system's generator.
function M.random(n)
  check.type("lunette.random: n", n, "number")
  if not (n >= 0 and n <= MOST and n == math.floor(n)) then
    check.fail("lunette.random: n must be a whole number from 0 to %d, not %s", MOST, check.describe(n))
  end
  return core.random(n)
end

--- A random UUID (version 4), in lower case.
function M.uuid()
  local b = { core.random(16):byte(1, 16) }
  b[7], b[9] = b[7] % 16 + 0x40, b[9] % 64 + 0x80
  return (("%02x"):rep(4) .. ("-%02x%02x"):rep(4) .. ("%02x"):rep(4)):format(unpack(b))
end

function M.base64.encode(bytes)
  return core.base64_encode(check.type("lunette.base64.encode: bytes", bytes, "string"))
end

--- The bytes; an error for what is not base64 with its padding, to the last bit.
function M.base64.decode(text)
  local bytes = core.base64_decode(check.type("lunette.base64.decode: text", text, "string"))
  if not bytes then check.fail "lunette.base64.decode: the text is not base64 (RFC 4648, with its padding)" end
  return bytes
end

--- In hexadecimal digits; raw: as 32 bytes.
function M.sha256(text, raw)
  check.type("lunette.sha256: text", text, "string")
  check.type("lunette.sha256: raw", raw, "boolean", true)
  return core.sha256(text, raw)
end

function M.hmac_sha256(key, text, raw)
  check.type("lunette.hmac_sha256: key", key, "string")
  check.type("lunette.hmac_sha256: text", text, "string")
  check.type("lunette.hmac_sha256: raw", raw, "boolean", true)
  return core.hmac_sha256(key, text, raw)
end

return M
