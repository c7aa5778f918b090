---@meta lunette
-- The policy language for editors: types and descriptions of everything public, in the annotations of
-- the Lua language server. Nothing here does anything.
-- luacheck: ignore 211 212 241

---A JSON value: null is lunette.null, an array has lunette.array's mark (or the keys 1..n).
---@alias lunette.Json string|number|boolean|table|lightuserdata

---A glob on a presented name (a URI for resources): `*` any run, `?` one character, `[a-z]`, `[!a-z]`,
---`\` takes the next character as it is.
---@alias lunette.Glob string

---@alias lunette.Kind "tools"|"resources"|"resource_templates"|"prompts"

---@class lunette.SelectorTable
---@field name? lunette.Glob|lunette.Glob[] on the presented name
---@field upstream? lunette.Glob|lunette.Glob[]|lunette.Upstream on the server's name
---@field where? fun(item: table, ctx: lunette.Ctx): any true chooses; with ctx: per client and headers that it read

---@alias lunette.Selector lunette.Glob|lunette.Glob[]|lunette.SelectorTable

-- --- servers ------------------------------------------------------------------------------------

---@class lunette.UpstreamOptions
---@field command? string a program to start; or url
---@field args? string[]
---@field env? table<string, string|number|boolean>
---@field cwd? string
---@field inherit_env? boolean|lunette.Glob[] variables of Lunette's that a child gets besides the usual few; true: all
---@field url? string http(s)://…; or command
---@field headers? table<string, string|number|boolean>
---@field transport? "http"|"sse" with url; "http" (Streamable HTTP) unless given
---@field session? "client"|"shared"|"request" whose session with the server it is; "client" unless given
---@field lists? "shared"|"own" whether clients that it can't tell apart share what it lists ("shared")
---@field prefix? string|false of presented names; none with one server, its name with several; false: never
---@field timeout? number seconds a request
---@field optional? boolean a server that may be missing
---@field max_children? integer children of it at once (64)
---@field start? "first"|"eager" with the first client that needs it, or with Lunette ("first")
---@field idle_timeout? number seconds after its last answer that a session with it ends; it is opened again when needed
---@field unlisted? boolean names that no list shows are passed to it

---@class lunette.Upstream
---@field name string
local Upstream = {}

---Ends the server's sessions; the next call opens a new one.
function Upstream:clear() end

-- --- handlers -----------------------------------------------------------------------------------

---@class lunette.Session
---@field id? string
---@field transport? "stdio"|"http"|"sse"|"internal"
---@field era? "legacy"|"modern"
---@field protocol_version? string
---@field client table what the client calls itself: name, version, …
---@field capabilities table what the client can do
---@field state table the policy's own, as long as the session lasts; a reload keeps what JSON can hold of it

---@class lunette.Principal
---@field subject? string
---@field scopes string[]
---@field claims table

---What a handler may know and ask. Good until the handler ends.
---@class lunette.Ctx
---@field session lunette.Session
---@field principal lunette.Principal
---@field headers table<string, string> of the HTTP request, names in lower case; {} elsewhere
---@field upstream? string the server a call goes to or a message comes from
---@field native_name? string the server's own name or URI of what is called
---@field definition? table what the client sees of the component that is used; until the handler first waits
---@field request_id? string|number as the peer gave it
---@field from? "client"|"server" who sent the message
---@field deadline? number the time (as lunette.now()) by which the answer has to be there
local Ctx = {}

---@alias lunette.LogLevel "debug"|"info"|"notice"|"warning"|"error"|"critical"|"alert"|"emergency"

---Sends the client a log message.
---@param level lunette.LogLevel
---@param data lunette.Json
---@param logger? string
function Ctx:log(level, data, logger) end

---Tells the client how far its request is, if it wants to know.
---@param done number must grow from call to call
---@param total? number
---@param message? string
function Ctx:progress(done, total, message) end

---Calls a tool as the client would: rules and handlers apply. Waits; raises a lunette.Error.
---@param name string
---@param args? table
---@return table result
function Ctx:call_tool(name, args) end

---@param uri string
---@return table result with `contents`
function Ctx:read_resource(uri) end

---@param name string
---@param args? table<string, string>
---@return table result with `messages`
function Ctx:get_prompt(name, args) end

---Asks the client's model. Waits; raises a lunette.Error.
---@param params table of sampling/createMessage
---@return table result with `role`, `content`, `model`
function Ctx:sample(params) end

---Asks the person at the client. Waits; raises a lunette.Error.
---@param params { message: string, requestedSchema: table }
---@return { action: "accept"|"decline"|"cancel", content?: table }
function Ctx:elicit(params) end

---@return { roots: { uri: string, name?: string }[] }
function Ctx:list_roots() end

---@class lunette.Request
---@field method string
---@field params table always a table; for tools/call `params.arguments` too

---A JSON-RPC error as forward and the waiting functions raise it.
---@class lunette.Error
---@field code integer
---@field message string
---@field data? lunette.Json

---@class lunette.Denial

---Sends the message on (changed or not) and waits for the answer; raises a lunette.Error. For
---notifications it gives nothing and does not wait. May be called again. With a timeout (seconds) it raises the
---code -32001 when the answer takes longer, and what was under way for it is called off.
---@alias lunette.Forward fun(message?: lunette.Request, options?: { timeout?: number }): table

---The same for a transform's `call`: with the arguments, by the names that it got them under.
---@alias lunette.ForwardArguments fun(args?: table, options?: { timeout?: number }): table

---Gives a result, lunette.deny(…), or for tools/call also a text or a list of content. What it gives for
---a notification is ignored: one that is not forwarded is dropped.
---@alias lunette.Handler fun(request: lunette.Request, forward: lunette.Forward, ctx: lunette.Ctx): any

-- --- components ---------------------------------------------------------------------------------

---@class lunette.Tool
---@field name string
---@field title? string
---@field description? string
---@field inputSchema? table { type = "object" } unless given
---@field outputSchema? table
---@field annotations? table
---@field icons? table[]
---@field execution? table
---@field _meta? table
---@field handler fun(args: table, ctx: lunette.Ctx): any a text, a list of content or a result

---@class lunette.Resource
---@field uri string
---@field name string
---@field title? string
---@field description? string
---@field mimeType? string
---@field size? number
---@field annotations? table
---@field icons? table[]
---@field _meta? table
---@field read fun(uri: string, ctx: lunette.Ctx): any a text, { text = } or { blob = }, a list of them, or a result

---@class lunette.ResourceTemplate
---@field uriTemplate string
---@field name string
---@field title? string
---@field description? string
---@field mimeType? string
---@field annotations? table
---@field icons? table[]
---@field _meta? table
---@field read fun(uri: string, ctx: lunette.Ctx, params: table<string, string>): any

---@class lunette.Prompt
---@field name string
---@field title? string
---@field description? string
---@field arguments? { name: string, title?: string, description?: string, required?: boolean }[]
---@field icons? table[]
---@field _meta? table
---@field get fun(args: table<string, string>, ctx: lunette.Ctx): any a text, a list of messages or a result

---What a transform says of one argument.
---@class lunette.ArgumentChanges
---@field name? string the new presented name
---@field title? string|false
---@field description? string|false false removes
---@field hide? boolean not presented; what the server gets is the default
---@field default? lunette.Json|fun(ctx: lunette.Ctx): any when it is not given; with hide always; not with required
---@field required? boolean

---@class lunette.ToolArgumentChanges : lunette.ArgumentChanges
---@field schema? table|boolean replaces
---@field type? string
---@field examples? any[]

---@class lunette.ToolChanges
---@field name? string the new presented name
---@field title? string|false false removes
---@field description? string|false
---@field annotations? table|false put over those that are there; lunette.null removes one
---@field outputSchema? table|false an object's schema replaces, false removes
---@field icons? table[]|false
---@field _meta? table|false put over what is there
---@field enabled? boolean false hides, true shows again what rules before it hid
---@field arguments? table<string, lunette.ToolArgumentChanges> by the names presented so far
---@field call? fun(args: table, forward: lunette.ForwardArguments, ctx: lunette.Ctx): any around each call

---@class lunette.ResourceChanges
---@field uri? string the new presented URI
---@field name? string
---@field title? string|false
---@field description? string|false
---@field mimeType? string|false
---@field annotations? table|false
---@field icons? table[]|false
---@field _meta? table|false
---@field enabled? boolean

---@class lunette.ResourceTemplateChanges
---@field uriTemplate? string the new presented template
---@field name? string
---@field title? string|false
---@field description? string|false
---@field mimeType? string|false
---@field annotations? table|false
---@field icons? table[]|false
---@field _meta? table|false
---@field enabled? boolean

---@class lunette.PromptChanges
---@field name? string the new presented name
---@field title? string|false
---@field description? string|false
---@field icons? table[]|false
---@field _meta? table|false
---@field enabled? boolean
---@field arguments? table<string, lunette.ArgumentChanges>

---The verbs that all kinds have. Rules apply in the order written, each to what the one before left.
---@class lunette.Rules
local Rules = {}

---Hides what one of the selectors chooses: it can't be used either.
---@param ... lunette.Selector
function Rules.hide(...) end

---Hides what none of the selectors chooses.
---@param ... lunette.Selector
function Rules.only(...) end

---Hides what fn gives false or nil for. With a second parameter fn is asked for each client.
---@param fn fun(item: table, ctx: lunette.Ctx): any
function Rules.filter(fn) end

---New presented names (URIs): a table old → new, or a function that gives the new one or nil.
---@param names table<string, string>|fun(name: string, item: table, ctx: lunette.Ctx): string?
function Rules.rename(names) end

---All there are, before any rule. `item.upstream` tells the server.
---@return table[]
function Rules.inventory() end

---All that a client sees. Waits: only in a handler.
---@param ctx? lunette.Ctx
---@return table[]
function Rules.list(ctx) end

---@class lunette.Tools : lunette.Rules
local Tools = {}

---Changes the definitions of the tools chosen.
---@param which lunette.Selector
---@param how lunette.ToolChanges|fun(tool: table, ctx: lunette.Ctx): table
function Tools.transform(which, how) end

---@param tool lunette.Tool
function Tools.add(tool) end

---@param name string
---@param args? table
---@param ctx? lunette.Ctx
---@return table result
function Tools.call(name, args, ctx) end

---@class lunette.Resources : lunette.Rules
local Resources = {}

---@param which lunette.Selector
---@param how lunette.ResourceChanges|fun(resource: table, ctx: lunette.Ctx): table
function Resources.transform(which, how) end

---@param resource lunette.Resource
function Resources.add(resource) end

---@param uri string
---@param ctx? lunette.Ctx
---@return table result
function Resources.read(uri, ctx) end

---Globs match the URI template or the name.
---@class lunette.ResourceTemplates : lunette.Rules
local ResourceTemplates = {}

---@param which lunette.Selector
---@param how lunette.ResourceTemplateChanges|fun(template: table, ctx: lunette.Ctx): table
function ResourceTemplates.transform(which, how) end

---@param template lunette.ResourceTemplate
function ResourceTemplates.add(template) end

---@param uri string
---@param ctx? lunette.Ctx
---@return table result
function ResourceTemplates.read(uri, ctx) end

---@class lunette.Prompts : lunette.Rules
local Prompts = {}

---@param which lunette.Selector
---@param how lunette.PromptChanges|fun(prompt: table, ctx: lunette.Ctx): table
function Prompts.transform(which, how) end

---@param prompt lunette.Prompt
function Prompts.add(prompt) end

---@param name string
---@param args? table<string, string>
---@param ctx? lunette.Ctx
---@return table result
function Prompts.get(name, args, ctx) end

-- --- the module ---------------------------------------------------------------------------------

---@class lunette.Settings
---@field start_timeout? number seconds that `initialize` and lists wait for servers (2)
---@field late_timeout? number seconds that a server may be late while calls that may be for it wait (30)
---@field request_timeout? number seconds a request may take, anew with each progress (60)
---@field max_request_timeout? number seconds a request may take for all its progress, or a task's result (3600)
---@field hook_timeout? number seconds of running time a handler has, waiting not counted; 0: no limit (1)
---@field watchdog? number seconds after that until what can't be stopped ends the process; 0: never (10)
---@field memory_limit? integer bytes of memory of the policy's Lua; 0: no limit (256 MiB)
---@field drain_timeout? number seconds that requests get to finish at the end (5)
---@field list_max_age? number seconds after which a list whose changes nobody hears of is asked for anew (10)
---@field session_timeout? number seconds an HTTP session may be idle (1800)
---@field session_key_file? string holds the secret that lets HTTP sessions outlive a restart; read when Lunette starts
---@field hosts? string[] names and addresses, without ports, that HTTP clients may call Lunette by
---@field origins? string[] origins of web pages that may be clients, as "https://app.example.com"; "*": all
---@field http_timeout? number seconds of a lunette.http that doesn't say (30)
---@field max_http_timeout? number seconds that one may say (600)
---@field max_http_bytes? integer of a body of lunette.http that is not streamed (16 MiB)
---@field max_message_bytes? integer (4 MiB)
---@field max_buffered_bytes? integer that are kept for all HTTP clients together (256 MiB)
---@field max_initialize_bytes? integer of an initialize request (64 KiB)
---@field max_uri_bytes? integer of a URI that is asked for or renamed (8 KiB)
---@field max_templates? integer resource templates of one server (1000)
---@field max_depth? integer of JSON (128)
---@field max_children? integer of all servers together (256)
---@field max_sessions? integer (10000)
---@field max_sessions_per_peer? integer of one address that clients come from (1000)
---@field unused_session_timeout? number seconds after which one that has asked nothing may be replaced (60)
---@field trusted_proxies? string[] addresses and networks of proxies whose X-Forwarded-For or Forwarded is believed
---@field max_in_flight? integer requests of one session at once (1024)
---@field max_connections? integer (10000)
---@field page_size? integer items a page of a list; 0: all in one (1000)
---@field show_stderr? boolean errors quote the end of a server's stderr, and the body of an HTTP error (false)
---@field jit? boolean compile the policy: faster, but hook_timeout no longer works (false)

---@class lunette.Log
---@field debug fun(...: any)
---@field info fun(...: any)
---@field warn fun(...: any)
---@field error fun(...: any)

---@class lunette.JsonModule
---@field null lightuserdata
local JsonModule = {}

---Text of a value, members sorted by name.
---@param value lunette.Json
---@return string
function JsonModule.encode(value) end

---@param text string
---@return lunette.Json
function JsonModule.decode(text) end

---RFC 4648, with padding.
---@class lunette.Base64
local Base64 = {}

---@param bytes string
---@return string
function Base64.encode(bytes) end

---The bytes; an error for what is not base64.
---@param text string
---@return string
function Base64.decode(text) end

---Values in memory that all sessions share and a reload leaves alone.
---@class lunette.Shared
local Shared = {}

---@param key string
---@return lunette.Json? value a copy
function Shared.get(key) end

---@param key string
---@param value lunette.Json? nil deletes
---@param ttl? number seconds
function Shared.set(key, value, ttl) end

---@param key string
---@param by? number 1 unless given
---@param initial? number 0 unless given
---@param ttl? number seconds, counted from when the key is made
---@return number sum
function Shared.incr(key, by, initial, ttl) end

---@param key string
function Shared.delete(key) end

---@param glob? lunette.Glob
---@return string[] keys sorted
function Shared.keys(glob) end

---@class lunette.HttpOptions
---@field url string http or https
---@field method? string GET, or POST with a body
---@field headers? table<string, string|number|boolean|string[]>
---@field body? string
---@field json? lunette.Json instead of body
---@field timeout? number seconds to the last byte (http_timeout)
---@field redirects? integer|false that are followed (5)
---@field stream? boolean read the body by chunks() or lines()

---@class lunette.HttpResponse
---@field status integer
---@field headers table<string, string> names in lower case; repeated ones joined by ", ", set-cookie by "\n"
---@field body? string unless it is streamed
---@field url string where it came from, after redirects
local HttpResponse = {}

---The body as a value; an error when it is not JSON.
---@return lunette.Json
function HttpResponse:json() end

---The pieces of a streamed body as they come. Waits.
---@return fun(): string?
function HttpResponse:chunks() end

---The lines of a streamed body, without their ends. Waits.
---@return fun(): string?
function HttpResponse:lines() end

---Ends a streamed response early.
function HttpResponse:close() end

---@class lunette
---@field tools lunette.Tools
---@field resources lunette.Resources
---@field resource_templates lunette.ResourceTemplates
---@field prompts lunette.Prompts
---@field log lunette.Log
---@field shared lunette.Shared
---@field json lunette.JsonModule
---@field base64 lunette.Base64
---@field null lightuserdata
local lunette = {}

---Declares a server.
---@param name string
---@param options lunette.UpstreamOptions
---@return lunette.Upstream
function lunette.upstream(name, options) end

---Declares all servers of an mcpServers file.
---@param path string
---@param options? lunette.UpstreamOptions for all of them; not what is of one server alone
---@return table<string, lunette.Upstream> by the file's names
function lunette.upstreams(path, options) end

---Passes messages of a method (or glob of methods) through a handler.
---@overload fun(method: string, handler: lunette.Handler)
---@param method string
---@param which lunette.Selector
---@param handler lunette.Handler
function lunette.on(method, which, handler) end

---lunette.on("sampling/createMessage", handler)
---@param handler lunette.Handler
---@param capability? table what servers are offered where the client has none ({})
function lunette.sampling(handler, capability) end

---lunette.on("elicitation/create", handler)
---@param handler lunette.Handler
---@param capability? table what servers are offered where the client has none ({})
function lunette.elicitation(handler, capability) end

---lunette.on("roots/list", handler)
---@param handler lunette.Handler
---@param capability? table what servers are offered where the client has none ({})
function lunette.roots(handler, capability) end

---Runs fn again and again, the time counted from the end of the last run.
---@param seconds number
---@param fn fun()
function lunette.every(seconds, fn) end

---Refuses what the handler is about, also without return: it raises, and a pcall that catches it decides.
---@param message? string
---@return lunette.Denial
function lunette.deny(message) end

---Raises a JSON-RPC error.
---@param code integer
---@param message string
---@param data? lunette.Json
function lunette.error(code, message, data) end

---A tool's result of one text.
---@param text string|number
---@return table
function lunette.text(text) end

---Marks a table as an array, so that an empty one is sent as [].
---@generic T : table
---@param list? T
---@return T
function lunette.array(list) end

---A variable of the environment; an error when it is not set and no default is given.
---@param name string
---@param default? any
---@return string
function lunette.env(name, default) end

---@param glob lunette.Glob
---@param text string
---@return boolean
function lunette.match(glob, text) end

---Seconds since 1970, with fractions.
---@return number
function lunette.now() end

---A random UUID (version 4), in lower case.
---@return string
function lunette.uuid() end

---Bytes from the system's generator of random numbers.
---@param n integer up to 1 MiB
---@return string
function lunette.random(n) end

---The SHA-256 of a text.
---@param text string
---@param raw? boolean 32 bytes instead of 64 hexadecimal digits
---@return string
function lunette.sha256(text, raw) end

---The HMAC-SHA-256 of a text.
---@param key string
---@param text string
---@param raw? boolean 32 bytes instead of 64 hexadecimal digits
---@return string
function lunette.hmac_sha256(key, text, raw) end

---Waits. Only in a handler.
---@param seconds number
function lunette.sleep(seconds) end

---Makes an HTTP request and waits for the response. Only in a handler. Raises a text with file and line when
---no response came.
---@param options lunette.HttpOptions|string a string is the URL
---@return lunette.HttpResponse
function lunette.http(options) end

---@param settings lunette.Settings
function lunette.configure(settings) end

---Tells clients that a list may have changed.
---@param kind lunette.Kind
function lunette.notify_changed(kind) end

return lunette
