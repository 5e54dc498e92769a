// The published CLI of v4, unmodified, against a server: copies and deployments arrive byte for byte.
// The environment variable FRESHBASE names the binary.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { loadGeneration } from '../lib/generations.mjs';
import { startServer } from '../lib/server.mjs';

const { sdkDir } = loadGeneration('v4');
const BINARY = process.env.FRESHBASE && path.resolve(process.env.FRESHBASE);
// Every byte there is, with what text modes and pieces of 64 KiB could break.
const BYTES = Buffer.from(Array.from({ length: 200_000 }, (_, n) => (n * 7 + (n >> 8)) & 0xff));

let server;
let other;
let home;

before(async () => {
  assert.ok(BINARY, 'FRESHBASE must be the path of the server');
  home = mkdtempSync(path.join(tmpdir(), 'freshbase-cli-'));
  [server, other] = await Promise.all([startServer(BINARY), startServer(BINARY)]);
});

after(async () => {
  await Promise.all([server?.stop(), other?.stop()]);
  if (home) rmSync(home, { recursive: true, force: true });
});

/** A new folder with these files. */
function folder(name, files = {}) {
  const dir = path.join(home, name);
  mkdirSync(dir, { recursive: true });
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), content);
  }
  return dir;
}

const node = (args, cwd) => promisify(execFile)(process.execPath, args, {
  cwd,
  timeout: 60_000,
  // No profile of whoever runs this, and no token of theirs: the CLI logs in as root to hosts that are URLs.
  env: { PATH: process.env.PATH, HOME: home },
});

/** `baqend <args>`, as npx runs it. */
const baqend = (args, cwd = home) => node([path.join(sdkDir, 'cli', 'index.js'), ...args], cwd);

const api = (of = server) => `${of.origin}/v1`;

async function get(url) {
  const response = await fetch(url);
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    bytes: Buffer.from(await response.arrayBuffer()),
  };
}

async function asRoot(method, url, body) {
  const login = await fetch(`${api()}/db/User/login`, {
    method: 'POST', body: JSON.stringify({ username: 'root', password: 'root' }),
  });
  const authorization = `BAT ${login.headers.get('baqend-authorization-token')}`;
  return fetch(url, { method, headers: { authorization }, body: body && JSON.stringify(body) });
}

test('copy takes a file to the server and back, byte for byte', async () => {
  const dir = folder('copy', { 'data.bin': BYTES });
  await baqend(['copy', 'data.bin', `${api()}:/www/copies/first.bin`], dir);
  const stored = await get(`${api()}/file/www/copies/first.bin`);
  assert.deepEqual([stored.status, stored.bytes.equals(BYTES)], [200, true]);

  await baqend(['copy', `${api()}:/www/copies/first.bin`, 'back.bin'], dir);
  assert.ok(readFileSync(path.join(dir, 'back.bin')).equals(BYTES));
});

test('copy replaces a file that exists', async () => {
  const dir = folder('replace', { a: 'the first content, and longer', b: 'the second' });
  for (const file of ['a', 'b']) await baqend(['cp', file, `${api()}:/www/replaced.txt`], dir);
  assert.equal((await get(`${api()}/file/www/replaced.txt`)).bytes.toString(), 'the second');
});

test('copy fetches empty files, which the CLI itself cannot bring: it takes their size for a missing one', async () => {
  const dir = folder('empty', { empty: '' });
  await assert.rejects(baqend(['copy', 'empty', `${api()}:/www/empty`], dir), /must specify a content length/);
  assert.equal((await asRoot('PUT', `${api()}/file/www/empty`)).status, 200);
  await baqend(['copy', `${api()}:/www/empty`, 'back'], dir);
  assert.equal(readFileSync(path.join(dir, 'back')).length, 0);
});

test('a relative path is one in www, and a folder keeps the name of the file', async () => {
  const dir = folder('folders', { 'a b ü.txt': 'a name', 'into/x': '' });
  await baqend(['copy', 'a b ü.txt', `${api()}:notes/`], dir);
  const stored = await get(`${api()}/file/www/notes/a%20b%20%C3%BC.txt`);
  assert.deepEqual([stored.status, stored.bytes.toString()], [200, 'a name']);

  await baqend(['copy', `${api()}:notes/a b ü.txt`, 'into'], dir);
  assert.equal(readFileSync(path.join(dir, 'into', 'a b ü.txt'), 'utf8'), 'a name');
});

test('copy goes from one place of a server to another, and from server to server', async () => {
  const dir = folder('between', { 'data.png': BYTES });
  await baqend(['copy', 'data.png', `${api()}:/www/data.png`], dir);
  await baqend(['copy', `${api()}:/www/data.png`, `${api()}:/www/again/`]);
  await baqend(['copy', `${api()}:/www/data.png`, `${api(other)}:/www/elsewhere.png`]);
  for (const url of [`${api()}/file/www/again/data.png`, `${api(other)}/file/www/elsewhere.png`]) {
    const { status, type, bytes } = await get(url);
    assert.deepEqual([status, type, bytes.equals(BYTES)], [200, 'image/png', true], url);
  }
});

test('a copy of what is not there fails and makes nothing', async () => {
  await assert.rejects(baqend(['copy', `${api()}:/www/missing`, `${api()}:/www/made`]), { code: 1 });
  await assert.rejects(baqend(['copy', 'missing', `${api()}:/www/made`]), { code: 1 });
  assert.equal((await get(`${api()}/file/www/made`)).status, 404);
});

const SITE = {
  'index.html': '<!doctype html><title>start</title>',
  'about/index.html': '<!doctype html><title>about</title>',
  '404.html': '<!doctype html><title>not here</title>',
  'css/site.css': 'h1 { color: red }',
  'js/app.js': 'console.log(1)',
  'js/module.mjs': 'export default 1',
  'js/app.js.map': '{"version":3}',
  'data/a b.json': '{"a": 1}',
  'img/logo.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'img/photo.jpg': BYTES,
  'fonts/a.woff2': BYTES,
  'app.wasm': Buffer.from('0061736d01000000', 'hex'),
  'manifest.webmanifest': '{}',
  'robots.txt': 'User-agent: *',
  LICENSE: 'do what you want',
};

test('deploy brings a website without content types, and it is served at the root with the right ones', async () => {
  const dir = folder('site', Object.fromEntries(Object.entries(SITE).map(([name, text]) => [`public/${name}`, text])));
  const { stdout, stderr } = await baqend(['deploy', '--files', '--file-dir', 'public', api()], dir);
  assert.match(stdout, new RegExp(`Uploading ${Object.keys(SITE).length} files\\.[^]*File deployment completed\\.`));
  assert.equal(stderr, '');

  const UTF8 = ';charset=utf-8';
  for (const [url, file, type] of [
    ['', 'index.html', 'text/html'],
    ['index.html', 'index.html', 'text/html'],
    ['about/', 'about/index.html', 'text/html'],
    ['about', 'about/index.html', 'text/html'], // after a redirect
    ['css/site.css', 'css/site.css', `text/css${UTF8}`],
    ['js/app.js', 'js/app.js', `text/javascript${UTF8}`],
    ['js/module.mjs', 'js/module.mjs', `text/javascript${UTF8}`],
    ['js/app.js.map', 'js/app.js.map', `application/json${UTF8}`],
    ['data/a%20b.json', 'data/a b.json', `application/json${UTF8}`],
    ['img/logo.svg', 'img/logo.svg', 'image/svg+xml'],
    ['img/photo.jpg', 'img/photo.jpg', 'image/jpeg'],
    ['fonts/a.woff2', 'fonts/a.woff2', 'font/woff2'],
    ['app.wasm', 'app.wasm', 'application/wasm'],
    ['manifest.webmanifest', 'manifest.webmanifest', 'application/manifest+json'],
    ['robots.txt', 'robots.txt', `text/plain${UTF8}`],
    ['LICENSE', 'LICENSE', null],
  ]) {
    const page = await get(`${server.origin}/${url}`);
    assert.equal(page.status, 200, url);
    if (type) assert.equal(page.type, type, url);
    assert.ok(page.bytes.equals(Buffer.from(SITE[file])), url);
  }
  const missing = await get(`${server.origin}/no/such/page`);
  assert.deepEqual([missing.status, missing.type, missing.bytes.toString()], [404, 'text/html', SITE['404.html']]);
});

test('a second deployment replaces what it brings and leaves the rest', async () => {
  const dir = folder('again', { 'www/index.html': '<title>second</title>', 'www/new.html': 'new', 'baqend/.keep': '' });
  // Neither --files nor --code: both, and from the folders that the CLI looks in by itself.
  const { stdout } = await baqend(['deploy', api()], dir);
  assert.match(stdout, /File deployment completed\.[^]*Code deployment completed\.|Code deployment completed\.[^]*File deployment/);
  assert.equal((await get(`${server.origin}/`)).bytes.toString(), '<title>second</title>');
  assert.equal((await get(`${server.origin}/new.html`)).bytes.toString(), 'new');
  assert.equal((await get(`${server.origin}/css/site.css`)).bytes.toString(), SITE['css/site.css']);
});

test('a glob picks files, and a path in a bucket is where they go', async () => {
  const dir = folder('glob', { 'www/a.css': 'a', 'www/deep/b.css': 'b', 'www/c.js': 'c' });
  await baqend(['deploy', '-F', '-g', '**/*.css', '-b', '/www/styles/', api()], dir);
  assert.equal((await get(`${server.origin}/styles/a.css`)).bytes.toString(), 'a');
  assert.equal((await get(`${server.origin}/styles/deep/b.css`)).bytes.toString(), 'b');
  assert.equal((await get(`${server.origin}/styles/c.js`)).status, 404);
});

test('a bucket of its own is for administrators only until somebody opens it', async () => {
  const dir = folder('bucket', { 'www/a.txt': 'inside' });
  await baqend(['deploy', '-F', '-b', 'closed', api()], dir);
  assert.equal((await get(`${api()}/file/closed/a.txt`)).status, 466);
  const stored = await asRoot('GET', `${api()}/file/closed/a.txt`);
  assert.equal(await stored.text(), 'inside');
});

test('the CLI makes a bucket that everybody can load from, and leaves one that exists as it is', async () => {
  const dir = folder('ensured', { 'www/a.txt': 'inside' });
  // The option of the command for this (-B, "--cretae-bucket") has no effect, for its name is misspelt. So the function
  // behind the command is called, as programs do that deploy with the package.
  const script = `require(${JSON.stringify(path.join(sdkDir, 'cli', 'index.js'))})
    .deploy({ app: ${JSON.stringify(api())}, files: true, fileDir: 'www', fileGlob: '**/*', bucketPath: process.argv[1], createBucket: true })
    .catch((error) => { console.error(error); process.exit(1); });`;
  await node(['-e', script, 'shared'], dir);
  assert.equal((await get(`${api()}/file/shared/a.txt`)).bytes.toString(), 'inside');
  const admins = { '/db/Role/1': 'allow' };
  const rules = await (await asRoot('GET', `${api()}/file/shared`)).json();
  assert.deepEqual(rules, { load: {}, insert: admins, update: admins, delete: admins, query: admins });

  const own = { load: admins, insert: admins, update: admins, delete: admins, query: admins };
  assert.equal((await asRoot('PUT', `${api()}/file/shared`, own)).status, 204);
  await node(['-e', script, 'shared'], dir);
  assert.deepEqual(await (await asRoot('GET', `${api()}/file/shared`)).json(), own);
});

test('deploy brings handlers and modules that run, and download brings modules back', async () => {
  assert.equal((await asRoot('POST', `${api()}/schema/Task`, { fields: { name: { type: '/db/String' } } })).status, 200);
  const hello = "exports.call = () => 'hällo';\n";
  const dir = folder('code', {
    'baqend/hello.js': hello,
    'baqend/user.register.es6': 'exports.call = (db, mail) => mail;',
    'baqend/Task/insert.js': "exports.onInsert = (db, task) => { task.name += '!'; };",
    'baqend/Task/validate.js': 'name.isLength(1, 80);',
    'baqend/Task/README.md': 'no code',
    'baqend/Nothing/insert.js': 'no class of the app',
  });
  const { stdout } = await baqend(['deploy', '--code', api()], dir);
  assert.match(stdout, /insert handler for Task deployed\.[^]*Code deployment completed\./);
  const stored = await (await asRoot('GET', `${api()}/code-content`)).json();
  assert.deepEqual(stored.map(({ id }) => id).sort(), [
    '/code/Task/insert', '/code/Task/validate', '/code/hello/module', '/code/user.register/module',
  ]);
  assert.equal(stored.find(({ id }) => id === '/code/hello/module').code, hello);

  assert.equal(await (await fetch(`${api()}/code/hello`)).text(), 'hällo');
  const insert = (name) => asRoot('POST', `${api()}/db/Task`, { name });
  assert.equal((await (await insert('a')).json()).name, 'a!');
  const invalid = await insert('a'.repeat(90));
  assert.ok(invalid.status >= 400, `${invalid.status}`);

  const back = folder('download');
  await baqend(['download', '--code', api()], back);
  for (const [file, text] of [['hello.js', hello], ['user.register.js', 'exports.call = (db, mail) => mail;']]) {
    assert.equal(readFileSync(path.join(back, 'baqend', file), 'utf8'), text, file);
  }
});

test('typings writes the app\'s classes down for TypeScript', async () => {
  assert.equal((await asRoot('POST', `${api()}/schema/Typed`, { fields: { title: { type: '/db/String' } } })).status, 200);
  const dir = folder('typings');
  await baqend(['typings', api()], dir);
  const text = readFileSync(path.join(dir, 'baqend-model.d.ts'), 'utf8');
  assert.match(text, /interface Typed extends[^]*title: string/);
});

test('login keeps a token that later commands use, and whoami tells whose', async () => {
  const registered = await fetch(`${api()}/db/User/register`, {
    method: 'POST', body: JSON.stringify({ user: { username: 'cli@shop.example' }, password: 'a long password', login: true }),
  });
  const token = registered.headers.get('baqend-authorization-token');
  try {
    const { stdout } = await baqend(['--token', token, 'login', api()]);
    assert.match(stdout, /successfully been logged in/);
    assert.equal((await baqend(['whoami', api()])).stdout.trim(), 'cli@shop.example');
    await baqend(['logout', api()]);
    assert.equal((await baqend(['whoami', api()])).stdout.trim(), 'root');
  } finally {
    rmSync(path.join(home, '.baqend'), { force: true });
  }
});

test('schema download and upload go both ways, and freshbase reads the same files', async () => {
  const dir = folder('schema');
  assert.equal((await asRoot('POST', `${api()}/schema/Shared`, { fields: { name: { type: '/db/String' } } })).status, 200);
  await baqend(['schema', 'download', api()], dir);
  const file = path.join(dir, 'baqend', 'schema', 'Shared.json');
  const text = readFileSync(file, 'utf8');
  const password = path.join(home, 'password');
  writeFileSync(password, 'root');
  const freshbase = (args) => promisify(execFile)(BINARY, [...args, '--url', api(), '--user', 'root', '--password-file', password], {
    cwd: dir, env: { PATH: process.env.PATH, HOME: home },
  });
  assert.match((await freshbase(['schema', 'plan'])).stdout, /Nothing to change/);
  await freshbase(['schema', 'pull']);
  assert.equal(readFileSync(file, 'utf8'), text);

  const changed = JSON.parse(text);
  changed.fields.due = { name: 'due', type: '/db/DateTime', order: 1 };
  writeFileSync(file, JSON.stringify(changed, null, 2));
  const { stdout } = await baqend(['schema', 'deploy', api()], dir);
  assert.match(stdout, /successfully updated/);
  assert.match((await freshbase(['schema', 'plan'])).stdout, /Nothing to change/);
});
