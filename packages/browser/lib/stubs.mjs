// Small servers beside the one under test.

import { once } from 'node:events';
import http from 'node:http';

async function listen(onRequest) {
  const server = http.createServer(onRequest).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, close };
}

/** Where scripts report that they run. `hits` are the queries of the requests that arrived. */
export async function startCanary() {
  const hits = [];
  const server = await listen((request, response) => {
    hits.push(decodeURIComponent(new URL(request.url, 'http://canary').search.slice(1)));
    response.writeHead(204, { 'access-control-allow-origin': '*' }).end();
  });
  return { ...server, hits };
}

const PROTECTION = ['content-security-policy', 'content-disposition', 'x-content-type-options'];

/** What the server would be without the headers that make uploads inert. */
export function startUnprotected(origin) {
  return listen((request, response) => {
    const { method, headers, url } = request;
    // As if nobody looked at this one either.
    const { 'service-worker': _, ...passed } = headers;
    const upstream = http.request(`${origin}${url}`, { method, headers: passed }, (answer) => {
      const kept = Object.entries(answer.headers).filter(([name]) => !PROTECTION.includes(name));
      response.writeHead(answer.statusCode, Object.fromEntries(kept));
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  });
}

/** A server as it must not be: it shows the path that was asked for. */
export function startReflecting() {
  return listen((request, response) => {
    let path = request.url;
    try {
      path = decodeURIComponent(path);
    } catch { /* not all that is asked for is encoded well */ }
    response.writeHead(404, { 'content-type': 'text/html' }).end(`<!doctype html><p>There is no ${path}</p>`);
  });
}
