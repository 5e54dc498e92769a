// A website from memory.

import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.json': 'application/json',
  '.png': 'image/png', '.jpg': 'image/jpeg',
};

/**
 * Serves `files`, contents by path without the leading slash, on a free port of this machine; what is not among them is 404.
 *
 * @param {Record<string, string | Buffer>} files
 * @param {{ cacheControl?: string }} [options] `cacheControl`: what browsers are told
 * @returns {Promise<{ port: number, close: () => Promise<void> }>}
 */
export async function serve(files, { cacheControl = 'no-store' } = {}) {
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, 'http://site').pathname.slice(1));
    if (!Object.hasOwn(files, name)) return response.writeHead(404).end();
    const type = TYPES[path.extname(name)] ?? 'application/octet-stream';
    return response.writeHead(200, { 'content-type': type, 'cache-control': cacheControl }).end(files[name]);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { port: server.address().port, close };
}
