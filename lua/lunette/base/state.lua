-- What a policy has declared so far. The C side copies it out when loading is done (see
-- src/script/decls_read.c); functions stay here and are found by their index.
local M = {
  closed = false,
  position = 0, -- of the last rule or handler written
  upstreams = {},
  hooks = {},
  components = {},
  timers = {},
  rules = { tools = {}, resources = {}, resource_templates = {}, prompts = {} },
  settings = {},
  at = "?", -- FILE:LINE of the rule that is or was applied last
  warnings = 0, -- logged so far
  ready = false, -- while a ready policy declares
  unused = {}, -- ready policies that were required and are not called yet: name → FILE:LINE
  expected = {}, -- what is said when a selector's `where` agrees to nothing, by the function
  n_rules = 0, -- for C: of all kinds, when loaded
  kinds = {}, -- for C: { tools = { has_rules =, per_client =, on_calls =, strict =, … } … }
}

--- The kinds in the order of the C side's enum, with what differs between them.
-- key: the member an item is known by; list: how a client asks for all; array: where they are.
M.KINDS = {
  {
    kind = 0,
    verb = "tools",
    thing = "tool",
    key = "name",
    list = "tools/list",
    array = "tools",
  },
  {
    kind = 1,
    verb = "resources",
    thing = "resource",
    key = "uri",
    list = "resources/list",
    array = "resources",
  },
  {
    kind = 2,
    verb = "resource_templates",
    thing = "resource template",
    key = "uriTemplate",
    list = "resources/templates/list",
    array = "resourceTemplates",
  },
  { kind = 3, verb = "prompts", thing = "prompt", key = "name", list = "prompts/list", array = "prompts" },
}

--- The same by their verbs.
M.BY_VERB = {}
for _, kind in ipairs(M.KINDS) do
  M.BY_VERB[kind.verb] = kind
end

--- The place of the next rule among all: what nests outside what.
function M.next_position()
  M.position = M.position + 1
  return M.position
end

return M
