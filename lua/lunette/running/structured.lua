-- Results of tools that have an outputSchema. What a policy answers for one needs structuredContent, since clients
-- hold it against the schema; and who edits only the content of such a result leaves the other half as it was.
local core = require "lunette.core"
local json_text = require "lunette.base.json_text"

local M = {}

--- Raises, for tools/call, when a handler answered a tool that has an outputSchema by a result of its own without
-- structuredContent. A server's own result (one of `forwarded`, by table) may lack it: that is between it and the
-- client. who: the hook, transform rule or component, with its place.
function M.check(value, who, exchange, forwarded)
  if value.structuredContent ~= nil or value.isError == true or value.task or value.resultType then return end
  if who.ready or forwarded and forwarded[value] == "unstructured" then return end
  local name = core.fact(exchange, "structured")
  if not name then return end
  local text = "%s: what the policy answered for %s has no structuredContent, and %s has an outputSchema; return "
    .. "{ structuredContent = { … } } as that says, or lunette.deny(…)"
  error(text:format(who.where, name, name), 0)
end

--- Notes a server's result in `forwarded`, and gives it. One that was not decoded (core.answer) is nothing of the
-- policy's.
function M.note(forwarded, result)
  if type(result) == "table" and result.structuredContent == nil then forwarded[result] = "unstructured" end
  return result
end

local function texts_of(content)
  local texts = {}
  for _, block in ipairs(json_text.is_list(content) and content or {}) do
    if type(block) == "table" and type(block.text) == "string" then texts[block.text] = true end
  end
  return texts
end

-- Whether a text says what the structured content (JSON) does: it is that, however it is indented, or a text in it.
local function same(text, structured)
  if not text:find "%S" then return false end
  return text:gsub("%s+", "") == structured:gsub("%s+", "") or structured:find(core.encode(text), 1, true) ~= nil
end

--- Warns, once of each handler, when it edited a text away that stands in structuredContent as well and stayed there.
-- After core.finish(value).
function M.warn(value, who)
  if who.ready or who.half_told or value.structuredContent == nil then return end
  local before, structured = core.half_edited()
  if not before then return end
  local kept = texts_of(value.content)
  for text in pairs(texts_of(core.decode(before))) do
    if not kept[text] and same(text, structured) then
      who.half_told = true
      local warning = "%s: the handler edited a text in content that structuredContent has, too, where it stays as it "
        .. "was: clients may read either, so edit both"
      return core.log("warn", "policy", warning:format(who.where))
    end
  end
end

return M
