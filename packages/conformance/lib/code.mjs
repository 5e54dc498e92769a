// Code of an app as the protocol has it, in memory, in front of a server that is asked for everything else.

import http from 'node:http';

/** Answers with { origin, stored, stop }; `stored` maps `/code/hello/module` to its source. */
export async function withCode(origin) {
  const stored = new Map();
  const server = http.createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    const path = decodeURIComponent(request.url.split('?')[0]).replace(/^\/v1/, '');
    const answer = (status, type, text) => response.writeHead(status, { 'content-type': type }).end(text);
    if (path === '/code') {
      return answer(200, 'application/json', JSON.stringify([...stored.keys()].filter((id) => id.endsWith('/module'))));
    }
    if (path === '/code-content') {
      return answer(200, 'application/json', JSON.stringify([...stored].map(([id, code]) => ({ id, code }))));
    }
    if (path.startsWith('/code/')) {
      if (request.method === 'PUT') {
        stored.set(path, body.toString());
        return answer(200, 'text/plain;charset=utf-8', body);
      }
      if (request.method === 'DELETE') {
        stored.delete(path);
        return response.writeHead(204).end();
      }
      if (stored.has(path)) return answer(200, 'text/plain;charset=utf-8', stored.get(path));
      return answer(404, 'application/json', '{"message":"no such code"}');
    }
    const headers = { ...request.headers };
    for (const name of ['host', 'connection', 'content-length', 'transfer-encoding']) delete headers[name];
    const forwarded = await fetch(`${origin}${request.url}`, {
      method: request.method, headers, body: body.length ? body : undefined,
    });
    const back = Object.fromEntries([...forwarded.headers].filter(([name]) => !['content-encoding', 'content-length', 'connection', 'transfer-encoding'].includes(name)));
    response.writeHead(forwarded.status, back).end(Buffer.from(await forwarded.arrayBuffer()));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stored,
    stop: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  };
}
