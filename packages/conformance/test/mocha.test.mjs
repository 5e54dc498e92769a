import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { GENERATION_NAMES, PACKAGE_DIR } from '../lib/generations.mjs';
import { runSpec } from '../lib/mocha.mjs';
import { totals } from '../lib/report.mjs';
import { runSpecs } from '../lib/schedule.mjs';
import { fakeGeneration, tempDir } from './fixture.mjs';

const SPEC = `
  describe('suite', function () {
    it('passes', function () {});
    it('passes', function () { throw new TypeError('the second one fails'); });
    it('waits for code');
    describe('with a broken hook', function () {
      before(function () { throw Object.assign(new Error('hook broke'), { status: 466 }); });
      it('never runs', function () {});
    });
    it('sees the server', function () {
      if (require('./env').TEST_SERVER !== 'http://127.0.0.1:9/v1') throw new Error('TEST_SERVER not set');
    });
  });`;

const CHAI = JSON.stringify(path.join(PACKAGE_DIR, 'node_modules', 'chai'));

/** The report of `code` run as a spec file by the mocha of generation `name`. */
function runCode(t, code, options = {}, name = 'v4') {
  const generation = fakeGeneration(t, { some: code }, name);
  return runSpec(generation, 'some', { url: 'http://127.0.0.1:9/v1', tmpDir: tempDir(t), timeoutMs: 20_000, ...options });
}

for (const name of GENERATION_NAMES) {
  test(`${name}: results, hooks and errors of a run are reported`, async (t) => {
    const report = await runCode(t, SPEC, {}, name);
    assert.equal(report.crash, null);
    // mocha runs the tests of a suite before its child suites
    assert.deepEqual(report.tests.map(({ key, status }) => [key, status]), [
      ['suite passes', 'passed'],
      ['suite passes (#2)', 'failed'],
      ['suite waits for code', 'skipped'],
      ['suite sees the server', 'passed'],
      ['suite with a broken hook never runs', 'not run'],
    ]);
    assert.match(report.tests[1].error, /^TypeError: the second one fails\n\s+at .*spec\/some\.spec\.js:4/);
    assert.equal(report.hooks.length, 1);
    assert.match(report.hooks[0].error, /^Error: hook broke \(status: 466\)/);
    assert.deepEqual(totals(report), { passed: 2, failed: 3, skipped: 1 });
  });

  test(`${name}: listing collects tests and runs none`, async (t) => {
    const report = await runCode(t, SPEC, { list: true }, name);
    assert.equal(report.crash, null);
    assert.deepEqual(report.tests.map(({ status }) => status), Array(5).fill('not run'));
  });

  test(`${name}: a spec that ends the process is a crash that names the last test`, async (t) => {
    const report = await runCode(t, `
      it('one', function () {});
      it('two', function () { console.log('famous last words'); process.exit(0); });`, {}, name);
    assert.match(report.crash, /ended before its run was complete \(exit code 0, last finished test: one\)\nfamous last words/);
    assert.deepEqual(report.tests.map(({ status }) => status), ['passed', 'not run']);
  });
}

test('a second run of a file reports nothing of the first', async (t) => {
  const generation = fakeGeneration(t, {
    some: 'it("fails once", () => { if (process.env.TEST_SERVER.includes(":1/")) throw new Error("x"); });',
  });
  const options = { tmpDir: tempDir(t), timeoutMs: 20_000 };
  const first = await runSpec(generation, 'some', { url: 'http://127.0.0.1:1/v1', ...options });
  const second = await runSpec(generation, 'some', { url: 'http://127.0.0.1:2/v1', ...options });
  assert.deepEqual([first, second].map(({ tests }) => tests[0].status), ['failed', 'passed']);
});

test('suites that were switched off run in v3 only; single tests stay skipped', async (t) => {
  const code = `describe.skip('off', function () {
    it('runs', function () {});
    it.skip('is skipped', function () {});
    describe('further in', function () { it('runs', function () {}); });
  });`;
  const statuses = async (name) => (await runCode(t, code, {}, name)).tests.map(({ status }) => status);
  assert.deepEqual(await statuses('v3'), ['passed', 'skipped', 'passed']);
  for (const name of ['v2', 'v4']) assert.deepEqual(await statuses(name), ['skipped', 'skipped', 'skipped']);
});

test('specs of v3 find chai with promises', async (t) => {
  const report = await runCode(t, `
    const { expect } = require(${CHAI});
    it('waits', () => expect(Promise.reject(new Error('no'))).be.rejectedWith('no'));`, {}, 'v3');
  assert.deepEqual(report.tests.map(({ status }) => status), ['passed']);
});

test('a spec that cannot be loaded is a crash that shows why', async (t) => {
  const report = await runCode(t, 'require("./does-not-exist");');
  assert.match(report.crash, /no test finished\)[^]*Cannot find module/);
});

test('a hanging spec is killed after its time', async (t) => {
  const report = await runCode(t, 'it("hangs", function () { for (;;); });', { timeoutMs: 1500 });
  assert.match(report.crash, /still running after 1\.5 s and was killed/);
  assert.ok(report.seconds < 15);
});

test('an aborted run kills its mocha', async (t) => {
  const report = await runCode(t, 'it("hangs", function () { for (;;); });', { signal: AbortSignal.timeout(1000) });
  assert.match(report.crash, /aborted/);
});

test('files are reported in order, and files that must be alone run last and beside nothing', async (t) => {
  // Every spec holds a directory while it runs and fails if the wrong ones are there already.
  const busy = tempDir(t);
  const spec = (name, body, ms) => `
    const fs = require('fs');
    it('runs', function (done) {
      const others = fs.readdirSync(${JSON.stringify(busy)});
      fs.mkdirSync(${JSON.stringify(busy)} + '/${name}');
      ${body}
      setTimeout(() => { fs.rmdirSync(${JSON.stringify(busy)} + '/${name}'); done(); }, ${ms});
    });`;
  const lonely = 'if (others.length) throw new Error("beside " + others);';
  const generation = {
    ...fakeGeneration(t, { a: spec('a', lonely, 300), b: spec('b', '', 1500), c: spec('c', '', 10), d: spec('d', '', 10) }),
    alone: ['a'],
  };
  const order = [];
  await runSpecs(generation, ['a', 'b', 'c', 'd'], {
    jobs: 2,
    tmpDir: tempDir(t),
    timeoutMs: 20_000,
    onReport: (file, report) => order.push([file, report.tests[0].status, report.tests[0].error]),
  });
  assert.deepEqual(order, [
    ['b', 'passed', undefined], ['c', 'passed', undefined], ['d', 'passed', undefined], ['a', 'passed', undefined],
  ]);
});

/** A spec whose one test notes its file and the server it sees. */
const notesServer = (notes) => `
  it('runs', () => {
    const file = require('path').basename(__filename, '.spec.js');
    require('fs').appendFileSync(${JSON.stringify(notes)}, file + ' ' + process.env.TEST_SERVER + '\\n');
  });`;

test('files that want a server of their own get it beside the others, and are reported last', async (t) => {
  const notes = path.join(tempDir(t), 'notes');
  const code = notesServer(notes);
  const generation = { ...fakeGeneration(t, { a: code, b: code, c: code }), alone: ['a'], apart: ['b'] };
  const order = [];
  const options = {
    jobs: 2,
    url: 'http://127.0.0.1:1/v1',
    tmpDir: tempDir(t),
    timeoutMs: 20_000,
    onReport: (file, report) => order.push([file, report.tests[0].status]),
  };
  await runSpecs(generation, ['a', 'b', 'c'], { ...options, apart: { url: 'http://127.0.0.1:2/v1' } });
  assert.deepEqual(order, [['c', 'passed'], ['a', 'passed'], ['b', 'passed']]);
  assert.deepEqual(readFileSync(notes, 'utf8').trim().split('\n').sort(), [
    'a http://127.0.0.1:1/v1', 'b http://127.0.0.1:2/v1', 'c http://127.0.0.1:1/v1',
  ]);

  rmSync(notes);
  await runSpecs(generation, ['a', 'b', 'c'], options);
  assert.deepEqual(readFileSync(notes, 'utf8').trim().split('\n'), [
    'c http://127.0.0.1:1/v1', 'a http://127.0.0.1:1/v1', 'b http://127.0.0.1:1/v1',
  ], 'without one they run at the very end');
});
