import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import { test } from 'node:test';

import { selfSigned } from '../lib/certificate.mjs';

test('a certificate is for localhost, belongs to its key, and is valid now', () => {
  const { cert, key } = selfSigned();
  const read = new X509Certificate(cert);
  assert.equal(read.subject, 'CN=localhost');
  assert.equal(read.subjectAltName, 'DNS:localhost, IP Address:127.0.0.1');
  assert.ok(read.checkPrivateKey(createPrivateKey(key)));
  assert.ok(read.verify(read.publicKey));
  assert.ok(Date.parse(read.validFrom) < Date.now() && Date.now() < Date.parse(read.validTo));
  assert.notEqual(new X509Certificate(selfSigned().cert).serialNumber, read.serialNumber);
});

test('clients that trust it connect, and others do not', async (t) => {
  const { cert, key } = selfSigned();
  const server = https.createServer({ cert, key }, (request, response) => response.end('hello')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const get = async (options) => {
    const request = https.get({ host: '127.0.0.1', port: server.address().port, agent: false, ...options });
    const [response] = await once(request, 'response');
    response.resume();
    return response.statusCode;
  };
  for (const servername of ['localhost', '127.0.0.1']) assert.equal(await get({ ca: cert, host: servername }), 200);
  await assert.rejects(get({}), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  await assert.rejects(get({ ca: selfSigned().cert }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});
