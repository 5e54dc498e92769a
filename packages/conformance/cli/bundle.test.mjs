// `freshbase deploy` bundles code that needs npm packages with a real esbuild, and what it sends runs.
// The environment variable FRESHBASE names the binary.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { startServer } from '../lib/server.mjs';

const BINARY = process.env.FRESHBASE && path.resolve(process.env.FRESHBASE);
const require = createRequire(import.meta.url);
const ESBUILD = path.dirname(require.resolve('esbuild/package.json'));

let server;
let home;

before(async () => {
  assert.ok(BINARY, 'FRESHBASE must be the path of the server');
  home = mkdtempSync(path.join(tmpdir(), 'freshbase-bundle-'));
  server = await startServer(BINARY);
});

after(async () => {
  await server?.stop();
  if (home) rmSync(home, { recursive: true, force: true });
});

function project(name, files) {
  const dir = path.join(home, name);
  for (const [file, content] of Object.entries({ 'package.json': '{}', ...files })) {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), content);
  }
  mkdirSync(path.join(dir, 'node_modules', '.bin'), { recursive: true });
  symlinkSync(path.join(ESBUILD, 'bin', 'esbuild'), path.join(dir, 'node_modules', '.bin', 'esbuild'));
  return dir;
}

async function freshbase(args, cwd) {
  writeFileSync(path.join(home, 'password'), 'root');
  return promisify(execFile)(BINARY, [...args, '--url', `${server.origin}/v1`, '--user', 'root', '--password-file', path.join(home, 'password')], {
    cwd, timeout: 60_000, env: { PATH: process.env.PATH, HOME: home },
  });
}

async function asRoot(method, path_, body) {
  const login = await fetch(`${server.origin}/v1/db/User/login`, {
    method: 'POST', body: JSON.stringify({ username: 'root', password: 'root' }),
  });
  const authorization = `BAT ${login.headers.get('baqend-authorization-token')}`;
  const response = await fetch(`${server.origin}/v1${path_}`, { method, headers: { authorization }, body: body && JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path_}: ${response.status} ${text}`);
  return text;
}

test('packages and files are bundled; modules of the app and of the server stay outside', async () => {
  const dir = project('bundled', {
    // The package has a file of the same name as a module of the app.
    'node_modules/fake-package/package.json': '{"name":"fake-package","main":"main.js"}',
    'node_modules/fake-package/main.js': "exports.name = require('./other').name + require('util').format('%d', 1);",
    'node_modules/fake-package/other.js': "exports.name = 'the package';",
    'code/hello/index.js': "import { name } from 'fake-package';\nimport { fail, twice } from './helper';\nconst other = require('../other');\n"
      + "export function get(db, req, res) {\n  res.json(twice(name) + other.name + require('node:os').EOL);\n}\nexport function post() {\n  fail();\n}\n",
    'code/hello/helper.js': "export const twice = (text) => text + text; // ü\nexport function fail() {\n  throw new Error('here');\n}\n",
    'code/other.js': "exports.name = ', the app';\n",
    'code/Todo/insert.js': "const { name } = require('fake-package');\nexports.onInsert = (db, todo) => { todo.name = name; };\n",
  });
  await asRoot('POST', '/schema/Todo', { fields: { name: { type: '/db/String' } } });
  await freshbase(['deploy'], dir);
  const called = await fetch(`${server.origin}/v1/code/hello`);
  assert.deepEqual([called.status, await called.json()], [200, 'the package1the package1, the app\n']);
  const todo = JSON.parse(await asRoot('POST', '/db/Todo', {}));
  assert.equal(todo.name, 'the package1');
  // What needs no bundle is sent as it is.
  assert.equal(await asRoot('GET', '/code/other/module'), "exports.name = ', the app';\n");

  const hello = await asRoot('GET', '/code/hello/module');
  const map = JSON.parse(Buffer.from(hello.match(/\/\/# sourceMappingURL=data:application\/json;base64,(\S+)\s*$/)[1], 'base64'));
  assert.deepEqual(map.sources.toSorted(), [
    'code/hello/helper.js', 'code/hello/index.js', 'node_modules/fake-package/main.js', 'node_modules/fake-package/other.js',
  ]);
  assert.ok(!hello.includes(home), 'no path of this machine');

  // What is thrown is logged with the files and lines that were written, whatever the bundle looks like.
  assert.ok((await fetch(`${server.origin}/v1/code/hello`, { method: 'POST' })).status >= 400);
  const filter = encodeURIComponent(JSON.stringify({ level: 'error' }));
  let entries = [];
  for (const from = Date.now(); entries.length === 0 && Date.now() - from < 10_000;) {
    entries = JSON.parse(await asRoot('GET', `/db/logs.AppLog/query?q=${filter}`));
  }
  assert.equal(entries.length, 1);
  assert.match(entries[0].data.stack, /code\/hello\/helper\.js:3:[^]*code\/hello\/index\.js:8:/);
  assert.ok(!entries[0].data.stack.includes(home));

  // The same bundle again, so nothing changes; and it does not come back as a source.
  assert.match((await freshbase(['deploy'], dir)).stdout, /Nothing to change/);
  assert.match((await freshbase(['code', 'pull'], dir)).stdout, /up to date/);
});

test('a package that is not installed is named with its place', async () => {
  const dir = project('missing', { 'code/hello.js': "\n  require('not-installed');\n" });
  await assert.rejects(freshbase(['deploy'], dir), (error) => {
    assert.equal(error.code, 1);
    assert.match(error.stderr, /hello\.js cannot be bundled:[^]*not-installed[^]*code\/hello\.js:2/);
    return true;
  });
});
