// Several of the official SDK's clients at once on one address, each doing everything at the same time: what one of
// them hears must be its own. Prints how much was heard, and what was wrong.
//
//   node crowd.mjs URL N        the server is server-everything
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, ResultSchema,
} from '@modelcontextprotocol/sdk/types.js';

const [url, count] = process.argv.slice(2);
const wrong = [];
let heard = 0;
const check = (condition, ...words) => {
  heard += 1;
  if (!condition) wrong.push(words.join(' '));
};
const until = async (condition, ms = 10000) => {
  const end = Date.now() + ms;
  while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
};

const member = async (i) => {
  const name = `member${i}`;
  const capabilities = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } };
  const client = new Client({ name, version: '1.0.0' }, { capabilities });
  // Progress that was on its way when the client lost interest is no mistake, nor is what its own end cuts short: it
  // comes back for the streams of cancelled calls, even for those of a session that it is about to end.
  let leaving = false;
  client.onerror = (error) => {
    if (!leaving && !/for an unknown token|was aborted/.test(error)) wrong.push(`${name}: ${error}`);
  };
  let roots = 0;
  client.setRequestHandler(ListRootsRequestSchema, () => {
    roots += 1;
    return { roots: [{ uri: `file:///${name}`, name }] };
  });
  client.setRequestHandler(CreateMessageRequestSchema, (request) => {
    const { text } = request.params.messages[0].content;
    check(text.includes(`prompt of ${name}.`), name, 'was asked to sample', text);
    return { role: 'assistant', model: name, content: { type: 'text', text: `sampled by ${name}` } };
  });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name, check: true } }));
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  // Asked for once by itself, a moment after the handshake.
  await until(() => roots > 0);
  const call = async (tool, args, options) => JSON.stringify(
    await client.request({ method: 'tools/call', params: { name: tool, arguments: args } }, ResultSchema, { timeout: 30000, ...options }),
  );
  const rounds = async (n, one) => {
    for (let k = 0; k < n; k += 1) await one(k);
  };
  await Promise.all([
    rounds(20, async (k) => {
      const said = await call('echo', { message: `${name} ${k}.` });
      check(said.includes(`${name} ${k}.`), name, 'got the echo', said);
    }),
    rounds(3, async () => {
      const steps = [];
      await call('trigger-long-running-operation', { duration: 0.2, steps: 5 }, { onprogress: (p) => steps.push(p.progress) });
      check(steps.join() === '1,2,3,4,5', name, 'saw the steps', steps.join());
    }),
    rounds(4, async () => {
      const said = await call('trigger-sampling-request', { prompt: `prompt of ${name}.`, maxTokens: 5 });
      check(said.includes(`sampled by ${name}`), name, 'got the sample', said);
    }),
    rounds(4, async () => {
      const said = await call('trigger-elicitation-request', {});
      check(said.includes(name), name, 'got the elicitation', said);
    }),
    rounds(4, async () => {
      const said = await call('get-roots-list', {});
      check(said.match(/member\d+/g).every((who) => who === name), name, 'got the roots', said);
    }),
    rounds(3, async () => {
      const stop = new AbortController();
      const started = call('trigger-long-running-operation', { duration: 5, steps: 50 }, {
        signal: stop.signal, onprogress: (p) => { if (p.progress === 2) stop.abort('enough'); },
      });
      check(await started.then(() => false, () => true), name, 'could not cancel');
    }),
  ]);
  leaving = true;
  await client.transport.terminateSession();
  await client.close();
};

await Promise.all(Array.from({ length: Number(count) }, (_, i) => member(i + 1)));
process.stdout.write(`${JSON.stringify({ heard, wrong })}\n`, () => process.exit(0));
