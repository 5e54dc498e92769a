// What the runner of spec files makes of specs that pass, fail, hang and break.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { launch } from '../lib/chromium.mjs';
import { serve } from '../lib/serve.mjs';
import { runSpecPage, specSite } from '../lib/spec-page.mjs';

const SPECS = {
  mixed: `describe('suite', function () {
    it('passes', function () { expect(env.TEST_SERVER).equal('http://api/v1'); });
    it('fails', async function () { throw Object.assign(new Error('broken'), { status: 466 }); });
    it('waits');
    it('has the assets', () => fetch('/spec/assets/a.json').then((answer) => expect(answer.status).equal(200)));
    describe('part', function () {
      before(function () { throw new Error('hook broke'); });
      it('never runs', function () {});
    });
    describe('other', function () { it('passes too', function () {}); });
  });`,
  hanging: "it('hangs', function (done) { this.timeout(0); });",
  broken: 'describe(;',
};

let sdkDir;
let browser;

before(async () => {
  sdkDir = mkdtempSync(path.join(tmpdir(), 'spec-page-test-'));
  for (const dir of ['dist', 'spec/assets']) mkdirSync(path.join(sdkDir, dir), { recursive: true });
  const files = { 'dist/baqend.es5.js': '', 'spec/env.js': 'var env = {};', 'spec/helper.js': '', 'spec/assets/a.json': '1' };
  for (const [name, code] of Object.entries(SPECS)) files[`spec/${name}.spec.js`] = code;
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(sdkDir, name), content);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  rmSync(sdkDir, { recursive: true });
});

async function run(part, options = { timeoutMs: 20_000 }) {
  const { port, close } = await serve(specSite({ sdkDir }, part));
  try {
    return await runSpecPage(browser, `http://127.0.0.1:${port}/index.html?${encodeURIComponent('http://api/v1')}`, options);
  } finally {
    await close();
  }
}

const outcomes = ({ tests }) => Object.fromEntries(tests.map(({ key, status }) => [key.replace('suite ', ''), status]));

test('each test of a file is reported, with what went wrong', async () => {
  const report = await run({ file: 'mixed' });
  assert.equal(report.crash, null);
  assert.deepEqual(outcomes(report), {
    passes: 'passed', fails: 'failed', waits: 'skipped', 'has the assets': 'passed', 'part never runs': 'not run', 'other passes too': 'passed',
  });
  assert.match(report.tests[1].error, /^Error: broken \(status: 466\)\n\s+at .*spec\/mixed\.spec\.js:3/);
  assert.match(report.hooks[0].error, /hook broke/);
});

test('a file runs in parts, which are the whole together', async () => {
  assert.deepEqual(outcomes(await run({ file: 'mixed', only: 'other' })), { 'other passes too': 'passed' });
  const rest = await run({ file: 'mixed', without: 'part' });
  assert.deepEqual(Object.keys(outcomes(rest)), ['passes', 'fails', 'waits', 'has the assets', 'other passes too']);
  assert.deepEqual(rest.hooks, []);
});

test('a test that hangs ends the file, and so does the end of the server', async () => {
  const report = await run({ file: 'hanging' }, { timeoutMs: 1000 });
  assert.match(report.crash, /still running after 1 s/);
  assert.deepEqual(outcomes(report), { hangs: 'not run' });
  const aborted = await run({ file: 'hanging' }, { timeoutMs: 20_000, signal: AbortSignal.abort() });
  assert.match(aborted.crash, /aborted/);
});

test('a file that the browser cannot read is no file without tests', async () => {
  const report = await run({ file: 'broken' }, { timeoutMs: 5000 });
  assert.match(report.crash, /SyntaxError/);
});
