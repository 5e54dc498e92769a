// A stand-in for an SDK package: spec/env.js and spec files with given code, run by the installed mocha versions.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { loadGeneration } from '../lib/generations.mjs';

export function tempDir(t) {
  const dir = mkdtempSync(path.join(tmpdir(), 'conformance-test-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** `specs`: code by file name without suffix. */
export function fakeGeneration(t, specs, name = 'v4') {
  const sdkDir = tempDir(t);
  mkdirSync(path.join(sdkDir, 'spec'));
  writeFileSync(path.join(sdkDir, 'spec', 'env.js'), 'module.exports = { TEST_SERVER: "https://unset/v1" };');
  for (const [file, code] of Object.entries(specs)) writeFileSync(path.join(sdkDir, 'spec', `${file}.spec.js`), code);
  return { ...loadGeneration(name), sdkDir, specFiles: Object.keys(specs), alone: [], apart: [] };
}

/** An executable that stands in for the server binary; `body` runs with `args`, `dataDir` and `http` in scope. */
export function fakeBinary(t, body) {
  const dir = tempDir(t);
  const notes = path.join(dir, 'notes');
  const file = path.join(dir, 'server.cjs');
  writeFileSync(file, `#!${process.execPath}
    const fs = require('fs'), http = require('http');
    const args = process.argv.slice(2);
    const dataDir = args[args.indexOf('--data-dir') + 1];
    const note = (text) => fs.appendFileSync(${JSON.stringify(notes)}, text + '\\n');
    ${body}`, { mode: 0o755 });
  return { file, notes: () => readFileSync(notes, 'utf8') };
}

/** Body of a stand-in that is healthy from the third request on. */
export const LISTEN = `
  let asked = 0;
  const server = http.createServer((request, response) => {
    asked += 1;
    response.statusCode = request.url === '/healthz' && asked > 2 ? 200 : 503;
    response.end();
  }).listen(0, '127.0.0.1', () => {
    console.log('starting, no address yet');
    console.log('listening on http://127.0.0.1:' + server.address().port + ' (compat: baqend)');
  });`;
