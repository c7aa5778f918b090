// Plays with the fixture by the client of the official SDK's second version, in its default mode (revisions before
// 2026-07-28), and prints all that came of it as JSON: printed once for the fixture alone and once for the fixture
// behind Lunette, the two must be equal.
//
//   node transcript.mjs [--bare] [--auto] (--url URL | -- COMMAND ARGS…)
//
// --bare: a client without capabilities, which opens no subscriptions either: what a server without sessions can serve.
// --auto: it asks for the newer revision first.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [, , ...argv] = process.argv;
const bare = argv.includes("--bare");
const mode = argv.includes("--auto") ? "auto" : "legacy";
const url = argv[argv.indexOf("--url") + 1];
const [command, ...args] = argv.includes("--") ? argv.slice(argv.indexOf("--") + 1) : [];

const capabilities = bare ? {} : { sampling: {}, elicitation: { form: {} }, roots: {} };
const client = new Client({ name: "transcript", version: "2.0.0" }, { capabilities, versionNegotiation: { mode } });
const asked = [], told = [], errors = [], steps = [];

client.onerror = (error) => errors.push(String(error));
client.fallbackNotificationHandler = async ({ method, params }) => told.push({ method, params });
if (!bare) {
  client.setRequestHandler("sampling/createMessage", async ({ method, params }) => {
    asked.push({ method, params });
    return { role: "assistant", model: "fixed", stopReason: "endTurn", content: { type: "text", text: "sampled" } };
  });
  client.setRequestHandler("elicitation/create", async ({ method, params }) => {
    asked.push({ method, params });
    return params.message.includes("no") ? { action: "decline" } : { action: "accept", content: { username: "ann", age: 31 } };
  });
}

async function ask(method, params, options) {
  const step = { method, params };
  try {
    step.result = await client.request({ method, params }, { timeout: 20000, ...options });
  } catch ({ code, message, data }) {
    step.error = { code, message, data };
  }
  steps.push(step);
  return step;
}

const call = (name, given = {}, options) => ask("tools/call", { name, arguments: given }, options);

const transport = command ? new StdioClientTransport({ command, args, stderr: "ignore", env: process.env })
  : new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
// Taken before the SDK, in which the response may overtake it.
const progress = [], { onmessage } = transport;
transport.onmessage = (message, extra) => {
  if (message.method === "notifications/progress") progress.push(message.params);
  onmessage(message, extra);
};

for (const list of ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]) await ask(list, {});
for (const name of ["test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource",
  "test_multiple_content_types", "test_error_handling", "json_schema_2020_12_tool", "no_such_tool"]) await call(name);
await call("test_tool_with_progress", {}, { onprogress: () => {} });
if (!bare) {
  await call("test_reconnection");
  await call("test_tool_with_logging");
  await call("test_sampling", { prompt: "Say something" });
  await call("test_elicitation", { message: "Who is there?" });
  await call("test_elicitation", { message: "Is there no one?" });
  await call("test_elicitation_sep1034_defaults");
  await call("test_elicitation_sep1330_enums");
  await ask("resources/subscribe", { uri: "test://watched-resource" });
  await ask("resources/unsubscribe", { uri: "test://watched-resource" });
  await ask("logging/setLevel", { level: "warning" });
  await call("test_tool_with_logging");
}
for (const uri of ["test://static-text", "test://static-binary", "test://template/7/data", "test://nothing"]) {
  await ask("resources/read", { uri });
}
await ask("prompts/get", { name: "test_prompt_with_arguments", arguments: { arg1: "a", arg2: "ü\u2028" } });
await ask("prompts/get", { name: "test_prompt_with_image" });
await ask("prompts/get", { name: "no_such_prompt" });
await ask("completion/complete", {
  ref: { type: "ref/prompt", name: "test_prompt_with_arguments" }, argument: { name: "arg1", value: "par" },
});
await ask("ping");
// What another of several at once is told must not get here.
const several = await Promise.all([1, 2, 3].map((i) => client.callTool({ name: "test_tool_with_progress", arguments: { i } })));

const text = JSON.stringify({
  version: client.getNegotiatedProtocolVersion?.(),
  capabilities: client.getServerCapabilities(),
  server: client.getServerVersion(),
  instructions: client.getInstructions(),
  steps, asked, told, progress, several,
}, null, 1);
await client.close();
for (const error of errors) console.error(`client error: ${error}`);
process.stdout.write(`${text}\n`, () => process.exit(0));
