// One long call of the official SDK's client over a connection that breaks: prints what of it arrived.
//
//   node resume.mjs URL            the transport goes on by itself
//   node resume.mjs URL --anew     a second client, knowing session and last event id, fetches the result
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResultSchema } from '@modelcontextprotocol/sdk/types.js';

const [url, anew] = process.argv.slice(2);
const reconnectionOptions = {
  initialReconnectionDelay: 50, maxReconnectionDelay: 200, reconnectionDelayGrowFactor: 1.5, maxRetries: 5,
};
const request = {
  method: 'tools/call', params: { name: 'trigger-long-running-operation', arguments: { duration: 1.6, steps: 8 } },
};
const progress = [];
const errors = [];
const onprogress = (p) => progress.push(p.progress);
let token;

const open = async (sessionId) => {
  const client = new Client({ name: 'resume', version: '1.0.0' }, { capabilities: {} });
  client.onerror = (error) => errors.push(String(error));
  const transport = new StreamableHTTPClientTransport(new URL(url), { reconnectionOptions, sessionId });
  await client.connect(transport);
  return { client, transport };
};

const first = await open();
let result;
if (!anew) {
  result = await first.client.request(request, ResultSchema, { onprogress, timeout: 20000 });
} else {
  const lost = first.client.request(request, ResultSchema, {
    onprogress, timeout: 20000, onresumptiontoken: (id) => { token = id; },
  }).catch(() => {});
  while (progress.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  const { sessionId } = first.transport;
  await first.transport.close();
  await lost;
  const second = await open(sessionId);
  second.transport.setProtocolVersion(first.transport.protocolVersion);
  result = await second.client.request(request, ResultSchema, {
    timeout: 20000, resumptionToken: token, onresumptiontoken: (id) => { token = id; },
  });
}
process.stdout.write(`${JSON.stringify({ result, progress, errors, token: Boolean(token) })}\n`, () => process.exit(0));
