// Freshbase with the data, on an empty directory.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { startServer } from '../../../packages/conformance/lib/server.mjs';
import { STREAMS, news } from './data.mjs';
import { fingerprint } from './edge.mjs';

const ROLE_ADMIN = '/db/Role/1';

/**
 * @param {string} binary
 * @param {{ caching: object, files: Record<string, string | Buffer>, secret?: string }} options `caching`: settings of the app; `files`: its
 *   website, contents by path; `secret`: what edges prove themselves with
 */
export async function startFreshbase(binary, { caching, files, secret }) {
  const { origin, tls, stop } = await start(binary, secret);
  const login = await fetch(`${origin}/v1/db/User/login`, { method: 'POST', body: JSON.stringify({ username: 'root', password: 'root' }) });
  const authorization = `BAT ${login.headers.get('baqend-authorization-token')}`;
  const call = async (method, path, body, headers = {}) => {
    const response = await fetch(`${origin}/v1${path}`, { method, body, headers: { authorization, 'content-type': 'application/json', ...headers } });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
    return answer && JSON.parse(answer);
  };
  const write = (method, path, body) => call(method, path, JSON.stringify(body));

  await write('PUT', '/config', { caching });
  const acl = { insert: { [ROLE_ADMIN]: 'allow' }, update: { [ROLE_ADMIN]: 'allow' }, delete: { [ROLE_ADMIN]: 'allow' } };
  const field = (name, type, order) => [name, { name, type, order }];
  const defined = (name, fields) => ({ class: `/db/${name}`, superClass: '/db/Object', acl, fields: Object.fromEntries(fields) });
  await write('POST', '/schema', [
    defined('News', [field('title', '/db/String', 0), field('text', '/db/String', 1), field('image', '/db/File', 2)]),
    defined('Stream', [field('news', '/db/collection.List[/db/News]', 0)]),
  ]);
  await write('PUT', '/file/images', { load: {}, ...acl });
  // Pages that change under another name only, as build tools make them.
  const kept = { 'baqend-custom-headers': JSON.stringify({ 'cache-control': 'public, max-age=86400' }) };
  for (const [name, content] of Object.entries(files)) {
    const type = name.endsWith('.js') ? 'text/javascript' : 'text/html;charset=utf-8';
    await call('PUT', `/file/www/${name}`, content, { ...kept, 'content-type': type });
  }
  const all = news();
  const keyOf = (i) => `n${i}`;
  for (const [i, { title, text, image }] of all.entries()) {
    const file = `/file/images/${keyOf(i)}.png`;
    await call('PUT', file, image, { 'content-type': 'image/png' });
    await write('POST', '/db/News', { id: `/db/News/${keyOf(i)}`, title, text, image: file });
  }
  for (const stream of STREAMS) {
    const own = all.flatMap((item, i) => (item.stream === stream ? [`/db/News/${keyOf(i)}`] : []));
    await write('POST', '/db/Stream', { id: `/db/Stream/${stream}`, news: own });
  }
  // As on a server that has been up for a while: a copy may live for more than ten seconds once it is written down, which is
  // about a second after the first one was handed out.
  const read = (to) => fetch(`${origin}/v1${to}`).then((response) => response.arrayBuffer());
  for (let round = 0; round < 2; round += 1) {
    for (const stream of STREAMS) await read(`/db/Stream/${stream}`);
    for (const i of all.keys()) {
      await read(`/db/News/${keyOf(i)}`);
      await read(`/file/images/${keyOf(i)}.png`);
    }
    await sleep(2500);
  }
  return {
    port: Number(new URL(origin).port),
    tls: { port: Number(new URL(tls.origin).port), fingerprint: fingerprint(readFileSync(tls.certPath)) },
    stop,
    /** Gives one of the news another title. */
    async rename(i, title) {
      const { text } = all[i];
      const image = `/file/images/${keyOf(i)}.png`;
      await call('PUT', `/db/News/${keyOf(i)}`, JSON.stringify({ id: `/db/News/${keyOf(i)}`, title, text, image }), { 'if-match': '*' });
    },
  };
}

/** Servers take the secret from the environment, which they have from this process. */
async function start(binary, secret) {
  if (secret) process.env.FRESHBASE_EDGE_SECRET = secret;
  try {
    return await startServer(binary, { tls: true });
  } finally {
    delete process.env.FRESHBASE_EDGE_SECRET;
  }
}
