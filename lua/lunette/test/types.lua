---@meta lunette.test
-- The module lunette.test for editors, as ../types.lua describes the policy language.
-- luacheck: ignore 211 212 241

---A result as MCP has it, or for short a text or a list of content (contents, messages).
---@alias lunette.test.Result string|table

---@class lunette.test.Message
---@field method string
---@field params? table
---@field session? lunette.test.Session of a server's: which of its sessions it came in

---@class lunette.test.Tool
---@field name string
---@field title? string
---@field description? string
---@field inputSchema? table
---@field outputSchema? table
---@field annotations? table
---@field result? lunette.test.Result
---@field handler? fun(args: table, call: lunette.test.Call): lunette.test.Result

---@class lunette.test.Resource
---@field uri string
---@field name? string
---@field mimeType? string
---@field text? string
---@field result? lunette.test.Result
---@field read? fun(uri: string, call: lunette.test.Call): lunette.test.Result

---@class lunette.test.ResourceTemplate
---@field uriTemplate string
---@field name? string
---@field result? lunette.test.Result
---@field read? fun(uri: string, call: lunette.test.Call): lunette.test.Result

---@class lunette.test.Prompt
---@field name string
---@field arguments? table[]
---@field result? lunette.test.Result
---@field get? fun(args: table, call: lunette.test.Call): lunette.test.Result

-- --- servers ------------------------------------------------------------------------------------

---@class lunette.test.ServerOptions
---@field name? string
---@field version? string
---@field instructions? string
---@field protocol_version? string what it answers initialize with; what it is asked for unless given
---@field capabilities? table what follows from the rest unless given
---@field page_size? integer items a page of a list; all in one unless given
---@field down? string it can't be had, for this reason
---@field tools? lunette.test.Tool[]
---@field resources? lunette.test.Resource[]
---@field resource_templates? lunette.test.ResourceTemplate[]
---@field prompts? lunette.test.Prompt[]
---@field complete? string[]|table|fun(params: table, call: lunette.test.Call): string[]|table
---@field methods? table<string, table|fun(params: table, call: lunette.test.Call): table> any other method

---A server that a test plays. Its fields are those it was made with and may be changed.
---@class lunette.test.Server : lunette.test.ServerOptions
---@field received lunette.test.Message[] all it got since the proxy began
---@field sessions lunette.test.Session[] those that are open
local Server = {}

---What it got of a method.
---@param method string
---@return lunette.test.Message[]
function Server:got(method) end

---The arguments of the calls it got.
---@param name? string of one tool
---@return table[]
function Server:calls(name) end

---Forgets what it got.
function Server:forget() end

---Says something in all its sessions.
---@param method string
---@param params? table
function Server:notify(method, params) end

---@param kind "tools"|"resources"|"resource_templates"|"prompts"
function Server:list_changed(kind) end

---Breaks off all its sessions, as a server does that dies.
---@param why? string
function Server:hang_up(why) end

---A session that Lunette has with a server.
---@class lunette.test.Session
local Session = {}

---Asks Lunette's client and waits; raises a lunette.test.Error.
---@param method string
---@param params? table
---@return table result
function Session:request(method, params) end

---@param method string
---@param params? table
function Session:notify(method, params) end

---A request that a server is answering.
---@class lunette.test.Call
---@field method string
---@field params table
---@field client table what the client said in initialize: clientInfo, capabilities
---@field session lunette.test.Session
---@field server lunette.test.Server
local Call = {}

---Asks the client and waits; raises a lunette.test.Error.
---@param method string
---@param params? table
---@return table result
function Call:request(method, params) end

---@param params { message: string, requestedSchema: table }
---@return { action: string, content?: table }
function Call:elicit(params) end

---@param params table of sampling/createMessage
---@return table result
function Call:sample(params) end

---@return { roots: table[] }
function Call:list_roots() end

---@param method string
---@param params? table
function Call:notify(method, params) end

---@param level string
---@param data any
function Call:log(level, data) end

---Says how far it is, if the client asked for that.
---@param done number
---@param total? number
---@param message? string
function Call:progress(done, total, message) end

---Answers with an error. Does not return.
---@param code integer
---@param message string
---@param data? any
function Call:fail(code, message, data) end

-- --- clients ------------------------------------------------------------------------------------

---@class lunette.test.ClientOptions
---@field name? string
---@field version? string
---@field protocol_version? string "2025-11-25" unless given
---@field transport? "stdio"|"http"|"sse"|"internal" as ctx.session tells it; "stdio" unless given
---@field headers? table<string, string> of the HTTP requests that it makes, for ctx.headers; then transport is "http"
---@field capabilities? table
---@field elicit? table|fun(params: table): table answers elicitation/create; brings the capability
---@field sample? table|fun(params: table): table answers sampling/createMessage; likewise
---@field roots? (string|table)[]|fun(params: table): table answers roots/list; likewise
---@field methods? table<string, table|fun(params: table): table> answers any other request

---The error of an answer. As a text it says what was asked, with the spec's line.
---@class lunette.test.Error
---@field code integer
---@field message string
---@field data? any
---@field method string

---A request that was sent.
---@class lunette.test.Pending
local Pending = {}

---Whether the answer is there. Does not wait.
---@return boolean
function Pending:is_done() end

---Waits.
---@return table? result
---@return lunette.test.Error? err
function Pending:outcome() end

---Waits; raises the error when the answer is one.
---@return table
function Pending:result() end

---Says that the answer is not wanted any more.
---@param reason? string
function Pending:cancel(reason) end

---A client that a test plays, initialized.
---@class lunette.test.Client
---@field proxy lunette.test.Proxy
---@field hello table the result of initialize
---@field received lunette.test.Message[] requests and notifications that came
local Client = {}

---Sends a request and does not wait.
---@param method string
---@param params? table
---@return lunette.test.Pending
function Client:send(method, params) end

---Waits; raises the error when the answer is one.
---@param method string
---@param params? table
---@return table result
function Client:request(method, params) end

---Waits.
---@param method string
---@param params? table
---@return table? result
---@return lunette.test.Error? err
function Client:try(method, params) end

---@param method string
---@param params? table
function Client:notify(method, params) end

---The HTTP headers of its requests from now on (none when nil), for ctx.headers.
---@param headers? table<string, string>
---@return lunette.test.Client self
function Client:set_headers(headers) end

---@param name string
---@param arguments? table
---@return table result
function Client:call(name, arguments) end

---@param uri string
---@return table result
function Client:read(uri) end

---@param name string
---@param arguments? table<string, string>
---@return table result
function Client:get(name, arguments) end

---Calls a tool that must refuse, by an error or a result with isError; fails when it does not.
---@param name string
---@param arguments? table
---@return string why
---@return integer? code of the error
function Client:refused(name, arguments) end

---@param name? string
---@return table # all definitions, or the one of that name (nil when there is none)
function Client:tools(name) end

---@param name? string
---@return table # all definitions, or the one of that URI (nil when there is none)
function Client:resources(name) end

---@param name? string
---@return table # all definitions, or the one of that template (nil when there is none)
function Client:resource_templates(name) end

---@param name? string
---@return table # all definitions, or the one of that name (nil when there is none)
function Client:prompts(name) end

---Names (URIs, templates) in the order listed.
---@param kind "tools"|"resources"|"resource_templates"|"prompts"
---@return string[]
function Client:names(kind) end

---What came of a method; waits until it is as much.
---@param method string
---@param count? integer 1 unless given
---@return lunette.test.Message[]
function Client:got(method, count) end

---Leaves.
function Client:close() end

-- --- proxies --------------------------------------------------------------------------------------

---@class lunette.test.Options
---@field policy? string|string[] files (*.lua, *.json), beside the spec or where the command was started
---@field text? string a policy's own text
---@field servers? table<string, lunette.test.Server|lunette.test.ServerOptions> by the names the policy declares
---@field http? fun(request: lunette.test.HttpRequest): lunette.test.HttpResponse|string answers what the policy asks
--- for by lunette.http; really asked unless given
---@field env? table<string, string|number|boolean> while the policy loads; false takes one away
---@field log_level? string "warn" unless given

---What a policy asks for by lunette.http.
---@class lunette.test.HttpRequest
---@field method string
---@field url string
---@field headers table<string, string> names in lower case
---@field body string "" without one
local HttpRequest = {}

---The body as a value.
---@return any
function HttpRequest:json() end

---A text is the body of one with status 200.
---@class lunette.test.HttpResponse
---@field status? integer 200 unless given
---@field headers? table<string, string|string[]>
---@field body? string
---@field json? any a value for the body
---@field fails? string there is no response, for this reason

---@class lunette.test.ConnectOptions : lunette.test.Options
---@field client? lunette.test.ClientOptions

---Lunette with a policy, between servers and clients that are played.
---@class lunette.test.Proxy
---@field servers table<string, lunette.test.Server>
local Proxy = {}

---A client more.
---@param options? lunette.test.ClientOptions
---@return lunette.test.Client
function Proxy:client(options) end

---Another policy takes over, as when its file was saved: the one given, or the same file read again. Raises why the
---old one stays in force.
---@param options? { policy?: string|string[], text?: string, env?: table<string, string|number|boolean> }
function Proxy:reload(options) end

---Ends it. What is opened in a test is closed with it anyway.
function Proxy:close() end

---@class lunette.test
---@field json lunette.JsonModule
---@field null lightuserdata
local test = {}

---@param fields lunette.test.ServerOptions
---@return lunette.test.Server
function test.server(fields) end

---@param options lunette.test.Options
---@return lunette.test.Proxy
function test.run(options) end

---A proxy and its first client.
---@param options lunette.test.ConnectOptions
---@return lunette.test.Client
function test.connect(options) end

---The texts of a result, lines of their own.
---@param result table
---@return string
function test.text(result) end

---Goes on until fn gives something true, and gives that; fails after a time.
---@param fn fun(): any
---@param what? string what is waited for, for the failure
---@param seconds? number 10 unless given
---@return any
function test.wait(fn, what, seconds) end

---Lets time pass.
---@param seconds number
function test.sleep(seconds) end

---Marks a table as an array.
---@generic T : table
---@param list? T
---@return T
function test.array(list) end

return test
