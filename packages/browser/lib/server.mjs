// The server under test, with the few calls of its API that tests prepare it with.

import assert from 'node:assert/strict';

import { startServer as start } from '../../conformance/lib/server.mjs';

/** A started server. `FRESHBASE` in the environment is the path of its binary. */
export async function startServer() {
  assert.ok(process.env.FRESHBASE, 'FRESHBASE must be the path of the server');
  const { origin, stop } = await start(process.env.FRESHBASE);
  return { origin, stop, ...await administer(origin) };
}

/** What the administrator of a server that `packages/conformance` has started can do. */
export async function administer(origin) {
  const login = await fetch(`${origin}/v1/db/User/login`, {
    method: 'POST', body: JSON.stringify({ username: 'root', password: 'root' }),
  });
  const token = login.headers.get('baqend-authorization-token');
  const authorization = `BAT ${token}`;

  const call = async (method, path, body, headers) => {
    const response = await fetch(`${origin}/v1${path}`, { method, headers, body });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text && JSON.parse(text);
  };
  return {
    /** The administrator's. */
    token,
    /** Changes settings as the administrator. */
    configure: (settings) => call('PUT', '/config', JSON.stringify(settings), { authorization }),
    /** Adds a class, or fields to one. */
    addClass: (definition) => call('POST', '/schema', JSON.stringify([definition]), { authorization, 'content-type': 'application/json' }),
    /** Makes a bucket that everybody may do everything with. */
    openBucket: (bucket) => call('PUT', `/file/${bucket}`, '{}', { authorization }),
    /** Puts a file of the app's own there. */
    deploy: (path, content) => call('PUT', `/file/${path}`, Buffer.from(content), { authorization }),
    /** Uploads as a stranger; without a name the server makes one up. `custom`: headers of the file. Resolves with its path. */
    async upload(bucket, name, content, type, custom = {}) {
      const headers = { ...(type && { 'content-type': type }), 'baqend-acl': '{}', 'baqend-custom-headers': JSON.stringify(custom) };
      const path = name === null ? `/file/${bucket}` : `/file/${bucket}/${encodeURIComponent(name)}`;
      const { id } = await call(name === null ? 'POST' : 'PUT', path, Buffer.from(content), headers);
      return id;
    },
  };
}
