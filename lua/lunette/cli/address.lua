-- The ADDR:PORT of --http.
local M = {}

local function port_of(text)
  local port = text:match "^%d+$" and #text <= 5 and tonumber(text)
  return port and port <= 65535 and port or nil
end

local function is_ipv4(host)
  local n = 0
  for part in (host .. "."):gmatch "([^.]*)%." do
    n = n + 1
    if not part:find "^%d%d?%d?$" or tonumber(part) > 255 then return false end
  end
  return n == 4
end

-- The form only: listening tells the rest.
local function is_ipv6(host) return host:find "^[%x:.]*:[%x:.]*:[%x:.]*$" ~= nil and not host:find ":::" end

--- "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" or "8080" as an address and a port; or
-- nil and what would be right. Without an address it is loopback's.
function M.parse(text)
  local host, port = text:match "^(.*):([^:%]]*)$"
  if text:find "^%d+$" then
    host, port = "", text
  elseif is_ipv6(text) then
    return nil, ("an IPv6 address goes in brackets before its port, as in [::1]:8080, not %q"):format(text)
  elseif not host then
    return nil, ("give ADDR:PORT, :PORT or PORT, not %q"):format(text)
  end
  local number = port_of(port)
  if not number then return nil, ("%q is no port: give a number from 0 (any that is free) to 65535"):format(port) end
  local inside = host:match "^%[(.*)%]$"
  if inside then
    if not is_ipv6(inside) then return nil, ("%q is no IPv6 address"):format(inside) end
    return { host = inside, port = number }
  end
  if host == "" or host:lower() == "localhost" then return { host = "127.0.0.1", port = number } end
  if not is_ipv4(host) then
    return nil, ("%q is no address: give one as numbers (0.0.0.0 is all of this machine's), or localhost"):format(host)
  end
  return { host = host, port = number }
end

return M
