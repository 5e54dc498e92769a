import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import * as lib from '../lib/server.mjs';
import { fakeBinary, LISTEN, tempDir } from './fixture.mjs';

/** As in the library, but a test that fails leaves no server behind. */
async function startServer(t, binary, options) {
  const server = await lib.startServer(binary, options);
  t.after(() => server.stop());
  return server;
}

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('a server is started with its arguments, awaited until healthy, and stopped with SIGTERM', async (t) => {
  const binary = fakeBinary(t, `${LISTEN}
    fs.writeFileSync(dataDir + '/data', 'x');
    note(JSON.stringify({
      pid: process.pid, args, user: process.env.FRESHBASE_ADMIN_USER, password: process.env.FRESHBASE_ADMIN_PASSWORD,
    }));
    process.on('SIGTERM', () => { note('term'); process.exit(0); });`);
  const logPath = path.join(tempDir(t), 'server.log');
  const server = await startServer(t, binary.file, { logPath });

  assert.match(server.origin, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  assert.equal((await fetch(`${server.origin}/healthz`)).status, 200);
  const { pid, args, user, password } = JSON.parse(binary.notes().split('\n')[0]);
  const dataDir = args[4];
  assert.deepEqual(args, ['serve', '--listen', '127.0.0.1:0', '--data-dir', dataDir, '--compat', 'baqend']);
  assert.deepEqual([user, password], ['root', 'root']);
  assert.ok(existsSync(dataDir));

  assert.equal(await server.stop(), null);
  assert.match(binary.notes(), /term/);
  assert.equal(alive(pid), false);
  assert.equal(existsSync(dataDir), false);
  assert.equal(server.died.aborted, false);
  assert.match(readFileSync(logPath, 'utf8'), /listening on/);
});

test('with tls a server gets a certificate of its own, says where HTTPS is, and leaves no key behind', async (t) => {
  const binary = fakeBinary(t, `note(JSON.stringify(args)); ${LISTEN.replace(" (compat", " and https://127.0.0.1:4433 (compat")}`);
  const server = await startServer(t, binary.file, { tls: true });
  const args = JSON.parse(binary.notes());
  const valueOf = (flag) => args[args.indexOf(flag) + 1];
  assert.equal(valueOf('--tls-listen'), '127.0.0.1:0');
  assert.equal(server.tls.origin, 'https://localhost:4433');
  assert.match(server.origin, /^http:/);
  assert.equal(valueOf('--tls-cert'), server.tls.certPath);
  assert.ok(new X509Certificate(readFileSync(server.tls.certPath)).checkHost('localhost'));
  await server.stop();
  assert.equal(existsSync(valueOf('--tls-key')), false);

  const plain = fakeBinary(t, LISTEN);
  await assert.rejects(startServer(t, plain.file, { tls: true }), /does not say where it listens for HTTPS/);
});

test('a server that ignores SIGTERM is killed and complained about', async (t) => {
  const binary = fakeBinary(t, `${LISTEN} note(String(process.pid)); process.on('SIGTERM', () => {});`);
  const server = await startServer(t, binary.file, { stopTimeoutMs: 300 });
  assert.match(await server.stop(), /still running/);
  assert.equal(alive(Number(binary.notes())), false);
});

test('a server that ends by itself raises the signal with its last output', async (t) => {
  const binary = fakeBinary(t, `${LISTEN} setTimeout(() => { console.error('out of luck'); process.exit(3); }, 700);`);
  const server = await startServer(t, binary.file);
  if (!server.died.aborted) await new Promise((resolve) => { server.died.addEventListener('abort', resolve); });
  assert.match(server.died.reason.message, /exit code 3[^]*out of luck/);
  assert.equal(await server.stop(), null);
});

test('a server that cannot start is an error with its output', async (t) => {
  const binary = fakeBinary(t, 'note(dataDir); console.error("bad config"); process.exit(2);');
  await assert.rejects(startServer(t, binary.file), /exit code 2[^]*bad config/);
  assert.equal(existsSync(binary.notes().trim()), false);
  await assert.rejects(startServer(t, './no-such-binary'), /could not be started/);
});

test('a server without a ready line, or one that never gets healthy, is stopped', async (t) => {
  const mute = fakeBinary(t, 'note(String(process.pid)); setInterval(() => {}, 1000);');
  await assert.rejects(startServer(t, mute.file, { startTimeoutMs: 800 }), /no line with its URL/);
  assert.equal(alive(Number(mute.notes())), false);

  const sick = fakeBinary(t, `note(String(process.pid)); ${LISTEN.replace('asked > 2', 'false')}`);
  await assert.rejects(startServer(t, sick.file, { startTimeoutMs: 800 }), /healthz: status 503/);
  assert.equal(alive(Number(sick.notes())), false);
});
