// What the server relies on, and what the published SDK has no counterpart of: no server, answers by hand.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, it } from 'node:test';
import vm from 'node:vm';

import { SCHEMA } from '../lib/schema.mjs';

const CLIENT = path.join(import.meta.dirname, '../../../crates/fb-functions/js/client');
const { createFactory } = createRequire(import.meta.url)(CLIENT);

const schema = [
  { class: '/db/Object', fields: { createdAt: { name: 'createdAt', type: '/db/DateTime', order: 3, flags: ['READONLY'] } } },
  { class: '/db/User', fields: { username: { name: 'username', type: '/db/String', order: 0, flags: ['READONLY'] } } },
  { class: '/db/Role', fields: { name: { name: 'name', type: '/db/String', order: 0 }, users: { name: 'users', type: '/db/collection.Set[/db/User]', order: 1 } } },
  { class: '/db/Device', fields: {} },
  ...SCHEMA,
];
const token = (digit) => `5f0000007f000000${digit.repeat(60)}`;
const ANN = { id: '/db/User/1', version: 1, acl: {}, username: 'ann' };

/** A db whose requests are answered by `answers` in turn: `[status, json, headers]`, a text or bytes for the json. */
function open(answers = [], context = {}, factory = createFactory(schema)) {
  const requests = [];
  const request = async (message) => {
    requests.push(message);
    const [status, body, headers = {}] = answers.shift() ?? [404, { message: 'nothing there', className: 'NotFound' }];
    const isJson = body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
    const bytes = Buffer.from(isJson ? JSON.stringify(body) : body ?? '');
    return {
      status, body: bytes, text: () => bytes.toString(), headers: { ...(isJson && { 'content-type': 'application/json;charset=utf-8' }), ...headers },
    };
  };
  return { db: factory.createDb({ request, me: null, ...context }), requests, factory };
}

const headersOf = (requests) => requests.map(({ headers }) => headers.authorization);

describe('objects for handlers', () => {
  const json = {
    id: '/db/Todo/1', version: 3, acl: { read: { '/db/User/1': 'allow' } }, name: 'a', next: '/db/Todo/2', tags: ['x'], address: { zip: 1 },
    createdAt: '2001-02-03T04:05:06Z',
  };

  it('have all that their JSON has', () => {
    const { db, factory } = open();
    const todo = factory.createEntity(db, 'Todo', json);
    assert.equal(todo._metadata.type.name, 'Todo');
    assert.equal(todo.id, json.id);
    assert.equal(todo.version, 3);
    assert.equal(todo.acl.isReadAllowed('/db/User/1'), true);
    assert.equal(todo.next, db.Todo.ref('2'));
    assert.deepEqual(todo.tags, new Set(['x']));
    assert.ok(todo instanceof db.Todo);
    assert.equal(+todo.createdAt, Date.parse(json.createdAt));
  });

  it('are not what the db loads by their id', async () => {
    const { db, factory } = open([[200, { ...json, name: 'stored' }]]);
    const todo = factory.createEntity(db, 'Todo', json);
    assert.equal(db.contains(todo), false);
    const stored = await db.Todo.load(todo.id);
    assert.notEqual(stored, todo);
    assert.equal(stored.name, 'stored');
    assert.equal(todo.name, 'a');
  });

  it('become what the API takes, without properties that are no fields', () => {
    const { db, factory } = open();
    const todo = factory.createEntity(db, 'Todo', json);
    todo.prio = 5;
    todo.unknown = 1;
    todo.next = new db.Todo();
    const out = JSON.parse(JSON.stringify(factory.serialize(todo)));
    const expected = { id: json.id, version: 3, name: 'a', prio: 5, tags: ['x'], next: todo.next.id };
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(out[name], value, name);
    assert.deepEqual(out.acl, { read: { '/db/User/1': 'allow' }, write: {} });
    assert.ok(!('unknown' in out));
  });

  it('with nothing but an id are not loaded', () => {
    const { db, factory } = open();
    const todo = factory.createEntity(db, 'Todo', { id: '/db/Todo/1' });
    assert.equal(todo.id, '/db/Todo/1');
    assert.throws(() => todo.name, /Illegal property access on \/db\/Todo\/1#name/);
    assert.deepEqual(factory.serialize(todo), { id: '/db/Todo/1' });
  });

  it('of unknown classes are refused', () => {
    const { db, factory } = open();
    assert.throws(() => factory.createEntity(db, 'Nothing', {}), /There is no class Nothing/);
  });
});

describe('rights of a call', () => {
  it('the caller is a reference that is not loaded, or null', () => {
    const { db } = open([], { me: '/db/User/1' });
    assert.equal(db.User.me.id, '/db/User/1');
    assert.equal(db.User.me, db.me);
    assert.equal(db.me._metadata.isAvailable, false);
    assert.equal(open().db.User.me, null);
  });

  it('stay those of the call: a renewed token of the caller is not taken', async () => {
    const { db, requests } = open([[200, ANN, { 'baqend-authorization-token': token('a') }], [404]], { me: ANN.id });
    await db.User.me.load();
    await db.Todo.load('1');
    assert.equal(db.token, null);
    assert.deepEqual(headersOf(requests), [undefined, undefined]);
  });

  it('are those of a login until the logout', async () => {
    const { db, requests } = open([
      [200, ANN, { 'baqend-authorization-token': token('a') }], [404], [404, {}, { 'baqend-authorization-token': token('b') }], [404], [204], [404],
    ]);
    await db.User.login('ann', 'secret');
    for (let i = 0; i < 3; i += 1) await db.Todo.load('1');
    await db.User.logout();
    await db.Todo.load('1');
    assert.deepEqual(headersOf(requests), [undefined, `BAT ${token('a')}`, `BAT ${token('a')}`, `BAT ${token('b')}`, `BAT ${token('b')}`, undefined]);
    assert.equal(db.User.me, null);
  });

  it('a token that expires earlier is ignored', async () => {
    const old = `5f0000006f000000${'c'.repeat(60)}`;
    const { db } = open([[200, ANN, { 'baqend-authorization-token': token('a') }], [404, {}, { 'baqend-authorization-token': old }]]);
    await db.User.login('ann', 'secret');
    await db.Todo.load('1');
    assert.equal(db.token, token('a'));
  });

  it('bad credentials of a login leave nobody', async () => {
    const { db } = open([[460, { message: 'no', className: 'BadCredentials' }]]);
    await assert.rejects(db.User.login('ann', 'x'), { name: 'BadCredentials', status: 460, message: 'no' });
    assert.equal(db.User.me, null);
  });

  it('a second factor is asked for with its token; a 403 without one is itself', async () => {
    const { db } = open([[403, { message: 'm', data: { 'baqend-mfa-auth-token': 't' } }], [403, { message: 'plain' }]]);
    await assert.rejects(db.User.login('ann', 'x'), { message: 'MFA Required', token: 't' });
    await assert.rejects(db.User.login('ann', 'x'), { message: 'plain', status: 403 });
  });

  it('dbs of one factory share classes and nothing else', async () => {
    const one = open([[200, { id: '/db/Todo/1', version: 1, name: 'of one' }]], { me: '/db/User/1' });
    const two = open([], { me: '/db/User/2' }, one.factory);
    await one.db.Todo.load('1');
    assert.equal(one.db.Todo.type, two.db.Todo.type);
    assert.equal(two.db.User.me.id, '/db/User/2');
    assert.equal(two.db.Todo.ref('1')._metadata.isAvailable, false);
    assert.notEqual(one.db.log, two.db.log);
    await two.db.metamodel.save().catch(() => {});
    assert.equal(one.requests.length, 1);
    assert.equal(two.requests.length, 1);
    assert.throws(() => new one.db.Todo({ id: 'x' }).attach(two.db), { name: 'EntityExistsError' });
  });

  it('a class of code serves call after call', () => {
    const { db, factory } = open();
    assert.equal(new db.Todo().shout, undefined);
    const own = class extends db.binding.Entity { shout() { return this.name.toUpperCase(); } };
    for (let call = 0; call < 2; call += 1) {
      const later = open([], {}, factory).db;
      later.Todo = own;
      assert.equal(new later.Todo({ name: 'a' }).shout(), 'A');
      assert.throws(() => { later.Todo = own; }, /already been set|read only/);
    }
    assert.equal(typeof factory.serialize(new db.Todo({ next: new db.Todo() })).next, 'string');
    const { db: renewed } = open([], {}, createFactory(schema));
    renewed.Todo = own;
    assert.equal(new renewed.Todo({ name: 'b' }).shout(), 'B');
  });

  it('another entity manager has objects of its own', () => {
    const { db } = open([], { me: '/db/User/1' });
    const other = db.entityManagerFactory.createEntityManager(true);
    assert.notEqual(other.Todo.ref('1'), db.Todo.ref('1'));
    assert.equal(other.me.id, '/db/User/1');
    assert.equal(db.entityManagerFactory.createEntityManager().me, null);
  });
});

describe('answers', () => {
  it('a request that fails is an error with status 0', async () => {
    const request = () => Promise.reject(new Error('the host is busy'));
    const db = createFactory(schema).createDb({ request, me: null });
    await assert.rejects(db.Todo.load('1'), { name: 'CommunicationError', status: 0, message: 'the host is busy', reason: 'Communication failed' });
  });

  it('errors without a body say what was asked', async () => {
    const { db } = open([[500]]);
    await assert.rejects(db.Todo.load('1'), { status: 500, message: 'Handling the Response for GET /db/Todo/1', name: 'CommunicationError' });
  });

  it('an error leads to the line that asked', async () => {
    const { db } = open([[500]]);
    async function asking() {
      await db.Todo.load('1');
    }
    await assert.rejects(asking(), ({ stack, ...shown }) => /at asking /.test(stack) && !('stack' in shown));
  });

  it('what should be JSON and is not is an error', async () => {
    const { db } = open([[200, 'no json']]);
    await assert.rejects(db.Todo.load('1'), ({ name, cause }) => name === 'PersistentError' && /Response was not valid json/.test(cause.message));
  });

  it('saving what is gone resolves, and the object is new again', async () => {
    const { db } = open([[201, { id: '/db/Todo/1', version: 1 }], [404]]);
    const todo = await new db.Todo({ id: '1', name: 'a' }).save();
    todo.name = 'b';
    assert.equal(await todo.save(), todo);
    assert.deepEqual([todo.version, db.contains(todo), todo._metadata.isDirty], [null, false, true]);
  });

  it('an older version than the one that is there is asked for again', async () => {
    const { db, requests } = open([[200, { id: '/db/Todo/1', version: 5 }], [200, { id: '/db/Todo/1', version: 4 }], [200, { id: '/db/Todo/1', version: 6 }]]);
    await db.Todo.load('1');
    assert.equal((await db.Todo.load('1')).version, 6);
    assert.deepEqual(requests.map(({ headers }) => headers['cache-control']), [undefined, undefined, 'max-age=0, no-cache']);
  });

  it('an entry of the log that is lost is said to the operator and ends nothing', async () => {
    const said = [];
    const { db } = open([[503, { message: 'full' }]], { log: (...line) => said.push(line) });
    db.log('text');
    await new Promise((resolve) => { setImmediate(resolve); });
    assert.deepEqual(said, [['warn', 'db.log: full']]);
  });
});

describe('code, modules, devices', () => {
  it('modules are called, and answer as they say they do', async () => {
    const { db, requests } = open([[200, 'text', { 'content-type': 'text/plain' }], [200, { a: 1 }], [204], [200, Buffer.from([1, 2]), { 'content-type': 'image/png' }], [200, '[1]', { 'content-type': 'text/plain' }], [204]]);
    assert.equal(await db.modules.get('my.mod', { a: 'x y', b: undefined }), 'text');
    assert.deepEqual(await db.modules.post('m', { q: 1 }), { a: 1 });
    assert.equal(await db.modules.post('m', 'plain', (answer) => answer), null);
    assert.deepEqual(await db.modules.post('m', 'AQI=', { requestType: 'base64', mimeType: 'image/png', responseType: 'base64' }), 'AQI=');
    assert.deepEqual(await db.modules.get('m', 'raw=1', { responseType: 'json' }), [1]);
    assert.equal(await db.modules.get('m', (answer) => answer), null);
    assert.deepEqual(requests.slice(0, 5).map(({ method, path: where, headers, body }) => [method, where, headers['content-type'], headers.accept.length, body]), [
      ['GET', '/code/my.mod?a=x%20y', undefined, 39, undefined],
      ['POST', '/code/m', 'application/json;charset=utf-8', 39, '{"q":1}'],
      ['POST', '/code/m', 'text/plain;charset=utf-8', 39, 'plain'],
      ['POST', '/code/m', 'image/png', 39, Uint8Array.from([1, 2])],
      ['GET', '/code/m?raw=1', undefined, 16, undefined],
    ]);
  });

  it('an aborted module rejects with what it says', async () => {
    const { db } = open([[475, { message: 'stop', className: 'Abort', reason: 'Script Abortion', data: { a: 1 } }]]);
    await assert.rejects(db.modules.get('m'), { status: 475, message: 'stop', data: { a: 1 }, reason: 'Script Abortion', name: 'Abort' });
  });

  it('code is read and written', async () => {
    const { db, requests } = open([[200, ['/code/a/module']], [200, 'exports.call = 1;'], [404], [200, 'x;'], [200, '  module.x = 1;'], [204]]);
    assert.deepEqual(await db.code.loadModules(), ['/code/a/module']);
    assert.equal(await db.code.loadCode('a', 'module'), 'exports.call = 1;');
    assert.equal(await db.code.loadCode(db.metamodel.entity('Todo'), 'insert'), null);
    assert.equal(await db.code.saveCode('a', 'module', 'x;'), 'x;');
    assert.equal(typeof await db.code.saveCode('a', 'module', function (module) {
      module.x = 1;
    }), 'function');
    assert.equal(await db.code.deleteCode('a', 'module'), null);
    assert.deepEqual(requests.map(({ method, path: where, body }) => [method, where, body?.trim()]), [
      ['GET', '/code', undefined], ['GET', '/code/a/module', undefined], ['GET', '/code/Todo/insert', undefined], ['PUT', '/code/a/module', 'x;'],
      ['PUT', '/code/a/module', 'module.x = 1;'], ['DELETE', '/code/a/module', undefined],
    ]);
  });

  it('devices are registered and get messages', async () => {
    const { db, requests } = open([[200, { id: '/db/Device/1', version: 1 }], [204], [200], [404], [200, Buffer.from([4, 5])]]);
    const device = await db.Device.register('Android', 'token');
    assert.deepEqual([db.Device.me, db.Device.isRegistered], [device, true]);
    await db.Device.push(new db.Device.PushMessage(device, 'text', 'subject', { badge: 1 }));
    assert.equal(await db.checkDeviceRegistration(), true);
    assert.equal(await db.checkDeviceRegistration(), false);
    assert.deepEqual(new Uint8Array(await db.Device.loadWebPushKey()), Uint8Array.from([4, 5]));
    assert.deepEqual(requests.slice(0, 2).map(({ path: where, body }) => [where, JSON.parse(body)]), [
      ['/db/Device/register', { devicetype: 'Android', subscription: { token: 'token' } }],
      ['/db/Device/push', { devices: ['/db/Device/1'], message: 'text', subject: 'subject', badge: 1 }],
    ]);
  });
});

describe('files', () => {
  it('have signed URLs after a login inside of code', async () => {
    const { db } = open([[200, ANN, { 'baqend-authorization-token': token('a') }]], { origin: 'https://app.example' });
    assert.equal(await new db.File('/file/b/x y.txt').createURL(), 'https://app.example/v1/file/b/x%20y.txt');
    await db.User.login('ann', 'x');
    assert.match(await new db.File('/file/b/x y.txt').createURL(), /^https:\/\/app\.example\/v1\/file\/b\/x%20y\.txt\?BAT=5f0000007f0000a*[0-9a-f]{40}$|\?BAT=5f0000007f000000a{20}[0-9a-f]{40}$/);
    assert.equal(await new db.File('/file/www/x').createURL(), 'https://app.example/v1/file/www/x');
  });

  it('have the same tag however they were compressed on the way', async () => {
    const { db } = open([[200, 'x', { etag: '"abc--gzip"', 'baqend-size': '1' }]]);
    const file = new db.File('/file/www/x');
    await file.download({ type: 'text' });
    assert.equal(file.eTag, 'abc');
  });

  it('may be empty', async () => {
    const { db, requests } = open([[200, { id: '/file/www/e', size: 0 }]]);
    await new db.File({ path: '/www/e', data: '' }).upload();
    assert.equal(requests[0].body, '');
  });
});

describe('the source', () => {
  const files = readdirSync(CLIENT).filter((file) => file.endsWith('.js'));

  it('runs where there is nothing but JavaScript', async () => {
    const modules = new Map();
    const context = vm.createContext({ TextEncoder: undefined });
    const load = (name) => {
      const file = path.basename(name);
      if (!modules.has(file)) {
        const module = { exports: {} };
        modules.set(file, module);
        vm.runInContext(`(function (module, require) {${readFileSync(path.join(CLIENT, `${file}.js`), 'utf8')}\n})`, context)(module, load);
      }
      return modules.get(file).exports;
    };
    const bytes = vm.runInContext('new Uint8Array([0, 1, 254, 255])', context);
    const requests = [];
    const db = load('./index').createFactory(schema).createDb({
      me: null,
      async request(message) {
        requests.push(message);
        return { status: 200, headers: { 'content-type': 'a/b' }, body: bytes, text: () => '{"id":"/file/www/x","version":1}' };
      },
    });
    const file = new db.File('/file/www/x');
    assert.equal(await file.download({ type: 'base64' }), 'AAH+/w==');
    assert.equal((await file.download()).constructor.name, 'Uint8Array');
    await new db.File('/file/www/x').upload({ data: 'AAH+/w==', type: 'base64' });
    assert.deepEqual(Array.from(requests[2].body), [0, 1, 254, 255]);
    assert.match(new db.Todo({ next: new db.Todo() }).toJSON().next, /^\/db\/Todo\/[0-9a-f-]{36}$/);
    // Everything there is can be loaded there.
    for (const name of files) load(`./${name.replace('.js', '')}`);
  });

  it('evaluates for a query of one class no more than it needs', () => {
    const loaded = [];
    const modules = new Map();
    const load = (name) => {
      const file = path.basename(name);
      if (!modules.has(file)) {
        loaded.push(file);
        const module = { exports: {} };
        modules.set(file, module);
        new Function('module', 'require', readFileSync(path.join(CLIENT, `${file}.js`), 'utf8'))(module, load);
      }
      return modules.get(file).exports;
    };
    const db = load('./index').createFactory(schema).createDb({ me: '/db/User/1', request: async () => ({ status: 404, headers: {}, body: [], text: () => '' }) });
    const start = [...loaded];
    assert.deepEqual(['query', 'users', 'files', 'devices', 'log', 'code', 'schema', 'partial-update', 'hmac', 'factories', 'statics'].filter((file) => start.includes(file)), []);
    db.Todo.find().equal('name', 'a');
    assert.deepEqual(loaded.slice(start.length), ['factories', 'query']);
  });

  it('is split into short files', () => {
    for (const file of files) assert.ok(readFileSync(path.join(CLIENT, file), 'utf8').split('\n').length < 450, file);
  });
});
