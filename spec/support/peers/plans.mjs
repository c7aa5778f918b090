// What the transcripts do, one function for each of the reference servers.
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks';

const everything = async (t) => {
  // It changes its tools during the handshake, when there may be nobody yet to hear of it.
  t.ignored.push('notifications/tools/list_changed');
  // The server asks for roots a moment after the handshake; what follows should find that done.
  if (!t.bare) {
    await t.until(() => t.asked.some((r) => r.method === 'roots/list'));
    await t.until(() => t.notifications.some((n) => String(n.params?.data).startsWith('Roots updated')));
  }
  await t.ask('ping');
  await t.pages('tools/list', 'tools');
  await t.pages('resources/list', 'resources');
  await t.pages('resources/templates/list', 'resourceTemplates');
  await t.pages('prompts/list', 'prompts');

  await t.call('echo', { message: 'grüß Gott, 世界 \u{1F319} "quoted" \\ \n \u0000 end' });
  await t.call('echo', {});
  await t.call('get-annotated-message', { messageType: 'error', includeImage: true });
  await t.call('get-annotated-message', { messageType: 'success' });
  await t.call('get-annotated-message', { messageType: 'debug', includeImage: false });
  await t.call('get-annotated-message', { messageType: 'none' });
  await t.call('get-resource-links', { count: 4 });
  await t.call('get-resource-reference', { resourceType: 'Text', resourceId: 3 });
  await t.call('get-resource-reference', { resourceType: 'Blob', resourceId: 4 });
  await t.call('get-resource-reference', { resourceType: 'Text', resourceId: -1 });
  await t.call('get-structured-content', { location: 'Chicago' });
  await t.call('get-sum', { a: 1.5, b: 1e2 });
  await t.call('get-sum', { a: 'one', b: 2 });
  await t.call('get-tiny-image', {});
  const data = 'data:text/plain;base64,aGVsbG8gaGVsbG8gaGVsbG8=';
  for (const [name, outputType] of [['one.gz', 'resource'], ['two.gz', 'resourceLink']]) {
    const before = t.changes;
    await t.call('gzip-file-as-resource', { name, data, outputType });
    // What the server has now is listed once the news has come, which it may after the result.
    await t.until(() => t.changes > before);
  }
  await t.ask('resources/read', { uri: 'demo://resource/session/two.gz' });
  await t.pages('resources/list', 'resources');
  await t.call('trigger-long-running-operation', { duration: 0.2, steps: 4 });
  await t.call('get-sum', { a: 2, b: 3 }, { 'example.com/note': { kept: [1, null, {}] } });
  await t.call('no-such-tool', { x: 1 });
  await t.ask('tools/call', { name: 'echo', arguments: [] });

  await t.ask('resources/read', { uri: 'demo://resource/dynamic/text/7' });
  await t.ask('resources/read', { uri: 'demo://resource/dynamic/blob/8' });
  await t.ask('resources/read', { uri: 'demo://resource/static/document/features.md' });
  await t.ask('resources/read', { uri: 'demo://resource/dynamic/text/nine' });
  await t.ask('resources/read', { uri: 'demo://no/such/thing' });
  await t.ask('resources/read', { uri: 'not a uri' });
  await t.ask('resources/subscribe', { uri: 'demo://resource/dynamic/text/7' });
  await t.call('toggle-subscriber-updates', {});
  await t.until(() => t.notifications.some((n) => n.method === 'notifications/resources/updated'));
  await t.ask('resources/unsubscribe', { uri: 'demo://resource/dynamic/text/7' });
  await t.call('toggle-subscriber-updates', {});

  await t.ask('prompts/get', { name: 'simple-prompt' });
  await t.ask('prompts/get', { name: 'args-prompt', arguments: { city: 'Wien', state: 'Ö' } });
  await t.ask('prompts/get', { name: 'args-prompt' });
  await t.ask('prompts/get', { name: 'completable-prompt', arguments: { department: 'Sales', name: 'Eve' } });
  await t.ask('prompts/get', { name: 'resource-prompt', arguments: { resourceType: 'Blob', resourceId: '5' } });
  await t.ask('prompts/get', { name: 'no-such-prompt' });
  const department = { type: 'ref/prompt', name: 'completable-prompt' };
  await t.ask('completion/complete', { ref: department, argument: { name: 'department', value: 'S' } });
  await t.ask('completion/complete', {
    ref: department, argument: { name: 'name', value: '' }, context: { arguments: { department: 'Support' } },
  });
  const template = { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' };
  await t.ask('completion/complete', { ref: template, argument: { name: 'resourceId', value: '12' } });
  await t.ask('completion/complete', { ref: { type: 'ref/prompt', name: 'none' }, argument: { name: 'x', value: '' } });

  await t.ask('logging/setLevel', { level: 'debug' });
  await t.ask('no/such/method', { a: [] });

  // Only offered to a client that can be asked.
  for (const action of ['decline', 'cancel', 'accept']) {
    t.action = action;
    await t.call('trigger-elicitation-request', {});
  }
  await t.call('trigger-url-elicitation', { url: 'https://example.com/go', elicitationId: 'e-1' });
  await t.call('trigger-url-elicitation', { url: 'https://example.com/go', elicitationId: 'e-2', errorPath: true });
  await t.call('trigger-sampling-request', { prompt: 'say something', maxTokens: 7 });
  await t.call('get-roots-list', {});
  if (!t.bare) {
    const before = t.asked.length;
    await t.client.sendRootsListChanged();
    await t.until(() => t.asked.length > before);
    await t.call('get-roots-list', {});
  }

  // Last, because a second later the SDK resumes the stream that ended without a response, and this server
  // then sends again whatever it sent to anyone since.
  await t.cancelled('trigger-long-running-operation', { duration: 2, steps: 20 }, 250);
  await t.ask('ping');
  await t.sleep(150);
};

// Needs `dir`, an existing directory that the server may touch.
const filesystem = async (t) => {
  const { dir } = t.set;
  if (!t.bare) await t.until(() => t.asked.length > 0);
  await t.pages('tools/list', 'tools');
  await t.call('list_allowed_directories', {});
  await t.call('create_directory', { path: `${dir}/sub/deeper` });
  await t.call('write_file', { path: `${dir}/sub/a.txt`, content: 'one\ntwo\nthree ü\r\n\ttab\n' });
  await t.call('write_file', { path: `${dir}/sub/empty.txt`, content: '' });
  await t.call('write_file', { path: `${dir}/big.txt`, content: 'line of some length\n'.repeat(20000) });
  await t.call('read_text_file', { path: `${dir}/sub/a.txt` });
  await t.call('read_text_file', { path: `${dir}/sub/a.txt`, head: 2 });
  await t.call('read_text_file', { path: `${dir}/sub/a.txt`, tail: 1 });
  await t.call('read_text_file', { path: `${dir}/sub/a.txt`, head: 1, tail: 1 });
  await t.call('read_text_file', { path: `${dir}/big.txt` });
  await t.call('read_file', { path: `${dir}/sub/empty.txt` });
  await t.call('read_media_file', { path: `${dir}/pixel.png` });
  await t.call('read_media_file', { path: `${dir}/sub/a.txt` });
  await t.call('read_multiple_files', { paths: [`${dir}/sub/a.txt`, `${dir}/none`] });
  await t.call('edit_file', { path: `${dir}/sub/a.txt`, edits: [{ oldText: 'two', newText: '2' }], dryRun: true });
  await t.call('edit_file', { path: `${dir}/sub/a.txt`, edits: [{ oldText: 'two', newText: '2' }] });
  await t.call('edit_file', { path: `${dir}/sub/a.txt`, edits: [{ oldText: 'absent', newText: '' }] });
  await t.call('list_directory', { path: `${dir}/sub` });
  await t.call('list_directory_with_sizes', { path: `${dir}/sub`, sortBy: 'size' });
  await t.call('directory_tree', { path: dir, excludePatterns: ['deeper'] });
  await t.call('move_file', { source: `${dir}/sub/a.txt`, destination: `${dir}/sub/b.txt` });
  await t.call('search_files', { path: dir, pattern: '**/*.txt' });
  await t.call('get_file_info', { path: `${dir}/sub/b.txt` });
  await t.call('read_text_file', { path: '/etc/hostname' });
  await t.call('read_text_file', { path: `${dir}/../x` });
  await t.call('no_such_tool', {});
  await t.ask('resources/list', {});
  await t.ask('prompts/list', {});
};

const memory = async (t) => {
  const ann = { name: 'Ann', entityType: 'person', observations: ['plays go', 'schläft'] };
  const bob = { name: 'Bob', entityType: 'person', observations: [] };
  const knows = { from: 'Ann', to: 'Bob', relationType: 'knows' };
  await t.pages('tools/list', 'tools');
  await t.pages('resources/list', 'resources');
  await t.ask('resources/subscribe', { uri: 'memory://knowledge-graph' });
  await t.call('create_entities', { entities: [ann, bob] });
  await t.call('create_relations', { relations: [knows] });
  await t.call('add_observations', { observations: [{ entityName: 'Bob', contents: ['new'] }] });
  await t.call('add_observations', { observations: [{ entityName: 'Nobody', contents: ['new'] }] });
  await t.call('read_graph', {});
  await t.call('search_nodes', { query: 'go' });
  await t.call('open_nodes', { names: ['Bob', 'Nobody'] });
  await t.call('delete_observations', { deletions: [{ entityName: 'Bob', observations: ['new'] }] });
  await t.call('delete_relations', { relations: [knows] });
  await t.call('delete_entities', { entityNames: ['Ann'] });
  await t.call('read_graph', {});
  await t.sleep(150);
};

// The tasks of server-everything, in both directions. How often the SDK polls meanwhile, and if it
// has to at all, is chance.
// `prefix`: what the server's tools have before their names.
const tasks = async (t) => {
  const prefix = t.set.prefix ?? '';
  const name = `${prefix}simulate-research-query`;
  const follow = async (args) => {
    const seen = {};
    for await (const message of t.client.experimental.tasks.callToolStream({ name, arguments: args })) {
      if (message.type !== 'taskStatus') seen[message.type] = message;
    }
    return seen;
  };
  t.ignored.push('notifications/tools/list_changed', 'notifications/tasks/status');
  await t.client.listTools();
  // Both at once; which of them ends first is chance, so they are noted in this order.
  const [first, second] = [follow({ topic: 'bees' }), follow({ topic: 'python', ambiguous: true })];
  second.catch(() => {});
  const clear = await t.record('a task', () => first);
  const ambiguous = await t.record('a task that asks', () => second);
  await t.record('both', async () => [clear?.result, ambiguous?.result].map(Boolean));
  const made = await t.record('a third', () => t.request('tools/call', { name, arguments: { topic: 'x' }, task: { ttl: 9e4 } }));
  const { taskId } = made.task;
  await t.record('cancelled', () => t.request('tasks/cancel', { taskId }));
  await t.record('cancelled again', () => t.request('tasks/cancel', { taskId }));
  await t.record('its state', () => t.request('tasks/get', { taskId }));
  await t.record('none such', () => t.request('tasks/get', { taskId: `${taskId}0` }).catch((e) => { throw { code: e.code }; }));
  await t.record('all', async () => (await t.request('tasks/list', {})).tasks.map((task) => task.status).sort());
  await t.record('a task of the client', () => t.request('tools/call', { name: `${prefix}trigger-sampling-request-async`, arguments: { prompt: 'say' } }));
};
tasks.capabilities = { tasks: { list: {}, cancel: {}, requests: { sampling: { createMessage: {} }, elicitation: { create: {} } } } };
tasks.options = () => ({ taskStore: new InMemoryTaskStore() });

export const plans = { everything, filesystem, memory, tasks };
