// Plays a plan with the official SDK's client against anything that speaks MCP and prints what
// came back as JSON, with everything masked that differs from run to run. Printed once for a server
// alone and once for the same server behind Lunette, the two must be equal.
//
//   node transcript.mjs PLAN [--set NAME=VALUE]… [--bare] (--url URL | --sse URL | -- COMMAND ARGS…)
//
// --bare: a client without capabilities. --set: values that plans use (dir=…).
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, ResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { plans } from './plans.mjs';

const argv = process.argv.slice(2);
const options = { plan: argv.shift(), set: {}, bare: false };
while (argv.length) {
  const word = argv.shift();
  if (word === '--bare') options.bare = true;
  else if (word === '--url' || word === '--sse') options[word.slice(2)] = argv.shift();
  else if (word === '--set') {
    const [name, ...rest] = argv.shift().split('=');
    options.set[name] = rest.join('=');
  } else if (word === '--') {
    options.command = argv.splice(0);
  } else {
    console.error(`unknown option ${word}`);
    process.exit(2);
  }
}
const plan = plans[options.plan];
if (!plan || !(options.url || options.sse || options.command)) {
  console.error('usage: transcript.mjs PLAN [--set N=V] [--bare] (--url URL | --sse URL | -- COMMAND…)');
  process.exit(2);
}

// --- masking --------------------------------------------------------------------------------

const masks = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '<uuid>'],
  [/\b\d{1,2}:\d{2}:\d{2}\s?[AP]M/gu, '<time>'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '<iso time>'],
  [/\b[0-9a-f]{32}\b/g, '<task>'],
  [/\b[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[^\n"]*/g, '<date>'],
];

const mask = (value, key) => {
  if (typeof value === 'string') {
    if (key === 'taskId') return '<task>';
    if (key === 'blob') {
      const text = Buffer.from(value, 'base64').toString();
      const masked = mask(text);
      return masked === text ? value : `<base64 of ${masked}>`;
    }
    return masks.reduce((text, [pattern, word]) => text.replace(pattern, word), value);
  }
  if (Array.isArray(value)) return value.map((element) => mask(element));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, mask(v, k)]));
  }
  return value;
};

// --- the client -------------------------------------------------------------------------------

const capabilities = options.bare ? {} : {
  sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true }, ...plan.capabilities,
};
const client = new Client({ name: 'transcript', version: '1.0.0' }, { capabilities, ...plan.options?.() });
const asked = [];
const notifications = [];
const steps = [];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Until a condition holds, or the time is over: what then is missing shows in the transcript.
const until = async (condition, ms = 3000) => {
  const end = Date.now() + ms;
  while (!condition() && Date.now() < end) await sleep(5);
};

if (!options.bare) {
  client.setRequestHandler(CreateMessageRequestSchema, async (request, extra) => {
    asked.push(request);
    const answer = {
      role: 'assistant', model: 'fixed-model', stopReason: 'endTurn',
      content: { type: 'text', text: `sampled: ${request.params.messages[0].content.text}` },
    };
    if (!request.params.task) return answer;
    const task = await extra.taskStore.createTask({ ttl: 60000 });
    setTimeout(() => extra.taskStore.storeTaskResult(task.taskId, 'completed', answer), 50);
    return { task };
  });
  client.setRequestHandler(ElicitRequestSchema, async (request) => {
    asked.push(request);
    const { action } = api;
    if (action !== 'accept') return { action };
    return request.params.mode === 'url' ? { action } : {
      action,
      content: {
        name: 'Ann', check: true, email: 'ann@example.com', integer: 42, number: 1.5,
        interpretation: 'snake', untitledSingleSelectEnum: 'Joey', untitledMultipleSelectEnum: ['Guitar', 'Drums'],
      },
    };
  });
  client.setRequestHandler(ListRootsRequestSchema, async (request) => {
    asked.push(request);
    return { roots: [{ uri: `file://${options.set.dir ?? '/nowhere'}`, name: 'the root' }] };
  });
}
client.fallbackNotificationHandler = async (notification) => {
  // Messages at random levels say nothing, nor how often a list changed: that it did is kept once.
  if (/^\w+[- ]level/i.test(String(notification.params?.data))) return;
  api.changes += /list_changed$/.test(notification.method) ? 1 : 0;
  if (/list_changed$/.test(notification.method) && notifications.some((n) => n.method === notification.method)) return;
  notifications.push(notification);
};
const errors = [];
client.onerror = (error) => errors.push(String(error));

const record = async (name, action) => {
  const step = { step: name };
  const progress = [];
  try {
    step.result = await action(progress);
  } catch (error) {
    step.error = { code: error.code, message: error.message, data: error.data };
  }
  // The last one may be overtaken by the response inside the SDK, so it tells nothing here.
  if (progress.length) step.progress = progress.filter((p) => p.progress < p.total);
  steps.push(step);
  return step.result;
};

// Any request, its result as it came: nothing is stripped by a schema.
const ask = (method, params, requestOptions) =>
  client.request(params === undefined ? { method } : { method, params }, ResultSchema,
    { timeout: 20000, ...requestOptions });

const api = {
  client, options, sleep, until, asked, notifications, record, bare: options.bare,
  set: options.set, ignored: [], changes: 0, action: 'accept',
  request: ask,
  ask: (method, params) => record(`${method} ${JSON.stringify(params)}`, () => ask(method, params)),
  call: (name, args, meta) => record(`call ${name} ${JSON.stringify(args)}`, (progress) =>
    ask('tools/call', { name, arguments: args, ...(meta ? { _meta: meta } : {}) },
      { onprogress: (p) => progress.push(p), resetTimeoutOnProgress: true })),
  // A call that is given up after `ms`; nothing of it may come afterwards.
  cancelled: (name, args, ms) => record(`cancel ${name}`, async (progress) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort('no longer wanted'), ms);
    await ask('tools/call', { name, arguments: args },
      { onprogress: (p) => progress.push(p), signal: controller.signal }).finally(() => { progress.length = 0; });
  }),
  // All pages of a list.
  pages: async (method, member) => {
    const list = [];
    let cursor;
    do {
      const page = await record(`${method} ${cursor === undefined ? '' : 'next page'}`, () =>
        ask(method, cursor === undefined ? {} : { cursor }));
      if (!page) break;
      list.push(...page[member]);
      cursor = page.nextCursor;
      if ('nextCursor' in page) page.nextCursor = '<cursor>';
    } while (cursor !== undefined && list.length < 10000);
    return list;
  },
};

const transport = options.url ? new StreamableHTTPClientTransport(new URL(options.url))
  : options.sse ? new SSEClientTransport(new URL(options.sse))
    : new StdioClientTransport({ command: options.command[0], args: options.command.slice(1), stderr: 'ignore',
      env: process.env });

await client.connect(transport);
await plan(api);
await client.close();

// Each once: when the SDK resumes a stream, server-everything sends again what it sent on others. That
// nothing comes twice through Lunette is asserted where the server is a scripted one.
const sorted = (list) => [...new Map(list.map((element) => [JSON.stringify(mask(element)), mask(element)])).entries()]
  .sort(([a], [b]) => (a < b ? -1 : 1)).map(([, element]) => element);
const withoutIds = (request) => ({ method: request.method, params: request.params });
const text = JSON.stringify({
  initialize: {
    capabilities: client.getServerCapabilities(),
    serverInfo: client.getServerVersion(),
    instructions: client.getInstructions(),
  },
  steps: mask(steps),
  asked: sorted(asked.map(withoutIds)),
  notifications: sorted(notifications.filter((n) => !api.ignored.includes(n.method))),
}, null, 1);
// What the client's transport complained of goes to stderr: with the server alone it does so at times, when it
// resumes a stream and is sent others' messages. Some servers also go on about a call that was cancelled; that
// this does not get through to a client is asserted elsewhere.
for (const error of errors.filter((line) => !/abort|unknown token/i.test(line))) console.error(`client error: ${error}`);
// A pipe takes what it can; leaving before it took all would cut the rest off.
process.stdout.write(`${text}\n`, () => process.exit(0));
