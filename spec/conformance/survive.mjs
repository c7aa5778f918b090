// The client of spec/support/peers/survive.mjs, by the official SDK's second version in its default mode.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createInterface } from "node:readline";

const [url, name] = process.argv.slice(2);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const client = new Client({ name, version: "1.0.0" }, { capabilities: { sampling: {}, elicitation: { form: {} } } });
client.onerror = () => {}; // that connections break is the subject
client.fallbackNotificationHandler = async ({ method }) => tell({ told: method });
client.setRequestHandler("sampling/createMessage", async () => (
  { role: "assistant", model: name, content: { type: "text", text: `sampled by ${name}` } }));
client.setRequestHandler("elicitation/create", async () => ({ action: "accept", content: { name: `accepted by ${name}` } }));
await client.connect(new StreamableHTTPClientTransport(new URL(url), {
  reconnectionOptions: { initialReconnectionDelay: 50, maxReconnectionDelay: 200, reconnectionDelayGrowFactor: 1.5, maxRetries: 400 },
}));
tell({ told: "ready" });

for await (const line of createInterface({ input: process.stdin })) {
  const { id, tool, arguments: given } = JSON.parse(line);
  client.request({ method: "tools/call", params: { name: tool, arguments: given } }, { timeout: 60000, onprogress: () => {} })
    .then(({ content }) => tell({ id, text: content[0].text }), ({ message }) => tell({ id, error: message }));
}
process.exit(0);
