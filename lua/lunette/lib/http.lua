-- lunette.http: a policy's own HTTP requests. The work is done in C (src/transport/fetch.c); here are the
-- options, and responses that are read piece by piece.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local json = require "lunette.lib.json"

local REDIRECTS = 5

local known = {
  url = true,
  method = true,
  headers = true,
  body = true,
  json = true,
  timeout = true,
  redirects = true,
  stream = true,
}

-- What an error calls the request: without the parts of a URL where secrets may be.
local function name_of(method, url) return method .. " " .. url:match("^[^?#]*"):gsub("//[^/]*@", "//", 1) end

local function broke(name, why) check.fail("lunette.http: %s: %s", name, why) end

-- --- what is asked --------------------------------------------------------------------------------

local function header_line(lines, name, value)
  if type(value) == "number" or type(value) == "boolean" then value = tostring(value) end
  check.type(("lunette.http: headers[%q]"):format(name), value, "string")
  if value:find "[%z\r\n]" then check.fail("lunette.http: headers[%q] must not contain line breaks or NUL", name) end
  lines[#lines + 1] = name .. ": " .. value
end

-- The lines, and the names in lower case.
local function header_lines(headers)
  local lines, names = {}, {}
  check.type("lunette.http: headers", headers, "table", true)
  for _, name in ipairs(check.sorted(headers or {})) do
    if type(name) ~= "string" then check.fail("lunette.http: headers: [%s] is not a name", tostring(name)) end
    local value = headers[name]
    names[name:lower()] = true
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      header_line(lines, name, one)
    end
  end
  return lines, names
end

local function seconds_of(timeout)
  local most = state.settings.max_http_timeout
  if timeout == nil then return math.min(state.settings.http_timeout, most) end
  check.type("lunette.http: timeout", timeout, "number")
  if not (timeout > 0 and timeout <= most) then
    check.fail("lunette.http: timeout must be above 0 and at most max_http_timeout (%g s), not %s", most, timeout)
  end
  return timeout
end

local function redirects_of(redirects)
  if redirects == nil then return REDIRECTS end
  if redirects == false then return 0 end
  check.type("lunette.http: redirects", redirects, "number")
  if not (redirects >= 0 and redirects <= 20 and redirects == math.floor(redirects)) then
    check.fail("lunette.http: redirects must be a whole number up to 20, not %s", redirects)
  end
  return redirects
end

local function body_of(o, lines, names)
  if o.json == nil then return check.type("lunette.http: body", o.body, "string", true) end
  if o.body ~= nil then check.fail "lunette.http: give either body or json, not both" end
  if not names["content-type"] then lines[#lines + 1] = "Content-Type: application/json" end
  if not names.accept then lines[#lines + 1] = "Accept: application/json" end
  return core.encode(o.json, "json")
end

-- --- responses ------------------------------------------------------------------------------------

-- Of a response: what C knows it by, and its name for errors. Keys of their own, so that they are no fields.
local HANDLE, NAME = {}, {}

local methods = {}

--- The body as a value.
function methods.json(self)
  if rawget(self, "body") == nil then check.fail "lunette.http: a response that is streamed has no body to decode" end
  local ok, value = pcall(json.json.decode, self.body)
  if not ok then broke(self[NAME], ("status %d, and the body is not JSON"):format(self.status)) end
  return value
end

local function next_chunk(self)
  local handle = self[HANDLE]
  if not handle then check.fail "lunette.http: only a response with stream = true is read piece by piece" end
  while true do
    local chunk, why = core.http_take(handle)
    if chunk then return chunk end
    if why then broke(self[NAME], why) end
    if chunk == nil then return nil end
    core.http_wait(handle)
  end
end

--- An iterator over the body's pieces as they come.
function methods.chunks(self) return next_chunk, self end

--- An iterator over the body's lines, without their ends.
function methods.lines(self)
  local held, from, over = "", 1, false -- what of held begins at `from` is still to come
  return function()
    while true do
      local at = held:find("\n", from, true)
      if at then
        local line = held:sub(from, at - 1)
        from = at + 1
        return (line:gsub("\r$", ""))
      end
      local rest = held:sub(from)
      if over then
        held, from = "", 1
        return rest ~= "" and rest or nil
      end
      if #rest > state.settings.max_http_bytes then broke(self[NAME], "a line is longer than max_http_bytes") end
      local chunk = next_chunk(self)
      held, from, over = rest .. (chunk or ""), 1, chunk == nil
    end
  end
end

--- Ends a streamed response early; what is left of it is not read.
function methods.close(self)
  if self[HANDLE] then core.http_close(self[HANDLE]) end
end

local response_mt = { __name = "response", __index = methods }

-- --- lunette.http -----------------------------------------------------------------------------------

return function(o)
  if type(o) == "string" then o = { url = o } end
  check.type("lunette.http's argument", o, "table")
  check.options("lunette.http", o, known)
  local url = check.text("lunette.http: url", o.url)
  local lines, names = header_lines(o.headers)
  local body = body_of(o, lines, names)
  local method = check.type("lunette.http: method", o.method or (body and "POST" or "GET"), "string"):upper()
  local stream = check.type("lunette.http: stream", o.stream, "boolean", true)
  local name = name_of(method, url)
  local handle, why = core.http_start(method, url, lines, body, seconds_of(o.timeout), redirects_of(o.redirects),
    stream, state.settings.max_http_bytes)
  if not handle then broke(name, why) end
  core.http_wait(handle)
  local status, headers, from = core.http_head(handle)
  if not status then broke(name, headers) end
  local response = { status = status, headers = headers, url = from, [NAME] = name }
  if stream then
    response[HANDLE] = handle
  else
    response.body = core.http_take(handle) or ""
    core.http_close(handle)
  end
  return setmetatable(response, response_mt)
end
