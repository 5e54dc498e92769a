// Every script of corpus/ gives the same results and sends the same requests with the published SDK and with our client.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { startServer } from '../../conformance/lib/server.mjs';
import { clientSide, differences, runScript, sdkSide } from '../lib/compare.mjs';
import { SCHEMA } from '../lib/schema.mjs';

const BINARY = process.env.FRESHBASE ?? path.join(import.meta.dirname, '../../../target/debug/freshbase');
const CORPUS = path.join(import.meta.dirname, '../corpus');

const MAX_DIFFERENCES = 8; // that are printed

const servers = [];
const sides = [];

before(async () => {
  for (const side of [sdkSide, clientSide]) {
    const server = await startServer(BINARY);
    servers.push(server);
    const base = `${server.origin}/v1`;
    sides.push({ side: side(base), context: await prepare(base) });
  }
});

after(async () => {
  for (const { side } of sides) side.close();
  for (const server of servers) assert.equal(await server.stop(), null);
});

for (const file of readdirSync(CORPUS).sort()) {
  const { default: scripts } = await import(path.join(CORPUS, file));
  describe(file.replace('.mjs', ''), () => {
    for (const [name, given] of Object.entries(scripts)) {
      const script = typeof given === 'function' ? { run: given } : given;
      it(name, async () => {
        const outcomes = [];
        for (const { side, context } of sides) outcomes.push(await runScript(side, script, context));
        const [sdk, ours] = outcomes;
        for (const one of outcomes) assert.equal(one.stack, undefined);
        assert.equal(differences(sdk, ours).slice(0, MAX_DIFFERENCES).join('\n'), '');
      });
    }
  });
}

/** Logs in as root, creates the classes. */
async function prepare(base) {
  const call = async (method, where, body, token) => {
    const response = await fetch(base + where, {
      method,
      body: body && JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...(token && { authorization: `BAT ${token}` }) },
    });
    const json = await response.json();
    assert.ok(response.ok, `${method} ${where}: ${JSON.stringify(json)}`);
    return { json, token: response.headers.get('baqend-authorization-token') };
  };
  const { json: me, token } = await call('POST', '/db/User/login', { username: 'root', password: 'root' });
  const { json: schema } = await call('POST', '/schema', SCHEMA, token);
  return { token, me: me.id, schema };
}
