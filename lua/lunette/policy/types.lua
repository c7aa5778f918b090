---@meta lunette.policy.types
-- The options of the ready policies for editors, as ../types.lua describes the policy language; README.md says more.

---@alias lunette.policy.By "all"|"session"|"client"|"principal"|fun(ctx: lunette.Ctx): string

---@class lunette.policy.allow
---@field [integer] lunette.Glob short for tools
---@field tools? lunette.Selector|false
---@field resources? lunette.Selector|false
---@field resource_templates? lunette.Selector|false
---@field prompts? lunette.Selector|false

---@class lunette.policy.approve
---@field [integer] lunette.Glob short for tools
---@field tools? lunette.Selector those without readOnlyHint unless given
---@field remember? boolean lets the person say "don't ask again" (false)
---@field message? fun(name: string, ctx: lunette.Ctx, args: table): string?, string? the question, or nil and why not

---@class lunette.policy.audit
---@field file? string beside the policy; Lunette's log unless given
---@field methods? lunette.Glob|lunette.Glob[]
---@field arguments? boolean whether they are written down (true)

---@class lunette.policy.cache
---@field [integer] lunette.Glob short for tools
---@field tools? lunette.Selector those with readOnlyHint unless given
---@field seconds? number how long an answer is good (60)
---@field max_bytes? integer of a result that is kept (1 MiB)
---@field by? lunette.policy.By who shares answers ("session")

---@class lunette.policy.concurrency
---@field calls integer at once
---@field wait? number seconds that a further one waits (0)
---@field tools? lunette.Selector
---@field by? lunette.policy.By ("all")
---@field longest? number seconds after which a call no longer counts (120)

---@class lunette.policy.deny
---@field [integer] lunette.Glob short for tools
---@field tools? lunette.Selector
---@field resources? lunette.Selector
---@field resource_templates? lunette.Selector
---@field prompts? lunette.Selector
---@field say? string they stay listed, and this is the answer to their use

---{ header = }, { client = }, { claim = } or { env = }, a constant, or a function that gives the value.
---@alias lunette.policy.Source lunette.Json|fun(ctx: lunette.Ctx): any

---@class lunette.policy.inject
---@field arguments table<string, lunette.policy.Source> by name
---@field tools? lunette.Selector of these, those that have the argument

---@class lunette.policy.pin
---@field file string beside the policy
---@field approve? boolean approve of all that is there, unseen

---@class lunette.policy.rate_limit
---@field calls integer
---@field per? number seconds (60)
---@field burst? integer calls that may come at once (as many as calls)
---@field tools? lunette.Selector
---@field by? lunette.policy.By ("session")

---@class lunette.policy.read_only
---@field trust? lunette.Glob|lunette.Glob[] tools that only read but don't say so
---@field upstream? lunette.Glob|lunette.Glob[] servers that it holds for

---@class lunette.policy.redact
---@field secrets? boolean (true)
---@field personal? boolean (false)
---@field patterns? string|string[] Lua patterns
---@field with? string ("[redacted]")
---@field results? boolean what servers send (true)
---@field arguments? boolean what clients send (false)

---@class lunette.policy.retry
---@field [integer] lunette.Glob short for tools
---@field tools? lunette.Selector those with readOnlyHint or idempotentHint unless given
---@field attempts? integer all together (3)
---@field delay? number seconds before the second; doubles from there (0.2)
---@field longest? number seconds after which no further attempt begins (60)

---@class lunette.policy.sample_with
---@field api "openai"|"anthropic"
---@field model string|string[] several: a server's hint chooses
---@field key? string
---@field url? string the whole address of another that speaks the API
---@field always? boolean also for clients that have a model (false)
---@field max_tokens? integer of an answer, whatever the server asks for (4096)
---@field timeout? number seconds (120)
---@field body? table members that go over those of the request

---@class lunette.policy.timeout
---@field seconds number
---@field tools? lunette.Selector
---@field say? string what the model reads after what happened

---@class lunette.policy.tool_search
---@field keep? lunette.Glob|lunette.Glob[] tools that stay listed
---@field results? integer that a search gives at most (8)
---@field search? string ("search_tools")
---@field call? string ("call_tool")

---@class lunette.policy.truncate
---@field bytes? integer (20000)
---@field tools? lunette.Selector
---@field resources? boolean shorten resources that are read, too (false)

---@class lunette.policy.validate
---@field [integer] lunette.Glob short for tools
---@field tools? lunette.Selector
---@field arguments? boolean (true)
---@field results? boolean (true)
