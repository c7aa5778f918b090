// A client of the official SDK that is told line by line what to do, for as long as it takes: what happens to the
// server behind its address meanwhile is the spec's affair.
//
//   node survive.mjs URL NAME
//
// A line of stdin is a call, {"id", "tool", "arguments"}, its outcome a line of stdout: {"id", "text"} or {"id", "error"}.
// {"told": METHOD} says what notification came. Questions are answered with the client's name.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { createInterface } from 'node:readline';

const [url, name] = process.argv.slice(2);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const client = new Client({ name, version: '1.0.0' }, { capabilities: { sampling: {}, elicitation: { form: {} } } });
client.onerror = () => {}; // that connections break is the subject
client.fallbackNotificationHandler = async ({ method }) => tell({ told: method });
client.setRequestHandler(CreateMessageRequestSchema, () => (
  { role: 'assistant', model: name, content: { type: 'text', text: `sampled by ${name}` } }));
client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: `accepted by ${name}` } }));
await client.connect(new StreamableHTTPClientTransport(new URL(url), {
  reconnectionOptions: { initialReconnectionDelay: 50, maxReconnectionDelay: 200, reconnectionDelayGrowFactor: 1.5, maxRetries: 400 },
}));
tell({ told: 'ready' });

for await (const line of createInterface({ input: process.stdin })) {
  const { id, tool, arguments: given } = JSON.parse(line);
  client.request({ method: 'tools/call', params: { name: tool, arguments: given } }, ResultSchema, { timeout: 60000, onprogress: () => {} })
    .then(({ content }) => tell({ id, text: content[0].text }), ({ message }) => tell({ id, error: message }));
}
process.exit(0);
