import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { validateOpenApi } from '../openapi.mjs';
import { tempDir } from './fixture.mjs';

const valid = () => ({
  openapi: '3.1.0',
  info: { title: 'T', version: '1' },
  paths: {
    '/db/{bucket}': {
      parameters: [{ $ref: '#/components/parameters/bucket' }],
      get: { operationId: 'list', responses: { 200: { description: 'ok' } } },
      post: {
        operationId: 'insert',
        responses: {
          201: { description: 'ok', content: { 'application/json': { schema: { $ref: '#/components/schemas/Tree' } } } },
        },
      },
    },
  },
  components: {
    parameters: { bucket: { name: 'bucket', in: 'path', required: true, schema: { type: 'string' } } },
    schemas: { Tree: { type: 'object', properties: { left: { $ref: '#/components/schemas/Tree' } } } },
  },
});

/** The errors after `change` was applied to a valid document. */
function errorsAfter(change) {
  const document = valid();
  change(document);
  return validateOpenApi(JSON.stringify(document));
}

test('a valid document has no errors', async () => {
  assert.deepEqual(await errorsAfter(() => {}), []);
});

test('what breaks the schema is named with its place', async () => {
  const errors = await errorsAfter((document) => { delete document.info.title; });
  assert.ok(errors.some((error) => error.startsWith('/info: ') && error.includes("'title'")), errors.join('\n'));
});

test('another version than 3.1 is an error', async () => {
  assert.match((await errorsAfter((document) => { document.openapi = '3.0.3'; })).join(), /3\.0/);
  assert.notDeepEqual(await validateOpenApi('not a document'), []);
});

test('a reference to nothing, an operation id used twice and an undeclared path parameter are errors', async () => {
  assert.match(
    (await errorsAfter((document) => { document.components.parameters = {}; })).join('\n'),
    /resolve #\/components\/parameters\/bucket/,
  );
  assert.deepEqual(await errorsAfter((document) => { document.paths['/db/{bucket}'].post.operationId = 'list'; }), [
    'POST /db/{bucket}: operationId list is also that of GET /db/{bucket}',
  ]);
  assert.deepEqual(await errorsAfter((document) => { delete document.paths['/db/{bucket}'].parameters; }), [
    'GET /db/{bucket}: {bucket} is not declared', 'POST /db/{bucket}: {bucket} is not declared',
  ]);
});

test('the command ends with 0 for a valid file, 1 for an invalid one, 2 for none', (t) => {
  const file = path.join(tempDir(t), 'openapi.json');
  const script = path.join(import.meta.dirname, '..', 'openapi.mjs');
  const run = () => spawnSync(process.execPath, [script, file], { encoding: 'utf8' });
  assert.equal(run().status, 2);
  writeFileSync(file, JSON.stringify(valid()));
  assert.equal(run().status, 0);
  writeFileSync(file, JSON.stringify({ ...valid(), info: {} }));
  const invalid = run();
  assert.equal(invalid.status, 1);
  assert.match(invalid.stdout, /\/info: .*title/);
});
