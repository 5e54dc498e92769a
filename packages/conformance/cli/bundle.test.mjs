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
import { withCode } from '../lib/code.mjs';

const BINARY = process.env.FRESHBASE;
const require = createRequire(import.meta.url);
const ESBUILD = path.dirname(require.resolve('esbuild/package.json'));

let server;
let app;
let home;

before(async () => {
  assert.ok(BINARY, 'FRESHBASE must be the path of the server');
  home = mkdtempSync(path.join(tmpdir(), 'freshbase-bundle-'));
  server = await startServer(BINARY);
  app = await withCode(server.origin);
});

after(async () => {
  await app?.stop();
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
  return promisify(execFile)(BINARY, [...args, '--url', `${app.origin}/v1`, '--user', 'root', '--password-file', path.join(home, 'password')], {
    cwd, timeout: 60_000, env: { PATH: process.env.PATH, HOME: home },
  });
}

/** Runs a source as the server would: a CommonJS module whose `require` is this. */
function run(source, given) {
  const module = { exports: {} };
  new Function('module', 'exports', 'require', source)(module, module.exports, given);
  return module.exports;
}

test('packages and files are bundled; modules of the app and of the server stay outside', async () => {
  const dir = project('bundled', {
    // The package has a file of the same name as a module of the app.
    'node_modules/fake-package/package.json': '{"name":"fake-package","main":"main.js"}',
    'node_modules/fake-package/main.js': "exports.name = require('./other').name + require('util').format('%d', 1);",
    'node_modules/fake-package/other.js': "exports.name = 'the package';",
    'code/hello/index.js': "import { name } from 'fake-package';\nimport { twice } from './helper';\nconst other = require('../other');\n"
      + "export function call() {\n  return twice(name) + other.name + require('node:os').EOL;\n}\nexport function broken() {\n  throw new Error('here');\n}\n",
    'code/hello/helper.js': "export const twice = (text) => text + text; // ü\n",
    'code/other.js': "exports.name = ', the app';\n",
    'code/Todo/insert.js': "const { name } = require('fake-package');\nexports.onInsert = () => name;\n",
  });
  await freshbase(['deploy'], dir);
  const asked = [];
  const given = (name) => {
    asked.push(name);
    return { './other': { name: ', the app' }, util: require('node:util'), 'node:os': { EOL: '.' } }[name];
  };
  const hello = app.stored.get('/code/hello/module');
  assert.equal(run(hello, given).call(), 'the package1the package1, the app.');
  assert.deepEqual([...new Set(asked)].sort(), ['./other', 'node:os', 'util']);
  assert.equal(run(app.stored.get('/code/Todo/insert'), given).onInsert(), 'the package1');
  // What needs no bundle is sent as it is.
  assert.equal(app.stored.get('/code/other/module'), "exports.name = ', the app';\n");

  const map = JSON.parse(Buffer.from(hello.match(/\/\/# sourceMappingURL=data:application\/json;base64,(\S+)\s*$/)[1], 'base64'));
  assert.deepEqual(map.sources.toSorted(), [
    'code/hello/helper.js', 'code/hello/index.js', 'node_modules/fake-package/main.js', 'node_modules/fake-package/other.js',
  ]);
  assert.ok(!hello.includes(home), 'no path of this machine');

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
