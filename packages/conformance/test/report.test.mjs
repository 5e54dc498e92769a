import assert from 'node:assert/strict';
import { test } from 'node:test';

import { buildReport, testKeys, totals } from '../lib/report.mjs';

const plan = (...tests) => ({ type: 'plan', tests });
const ran = (index, title, status, error) => ({ type: 'test', index, title, status, ms: 1, ...(error && { error }) });
const end = { type: 'end' };
const statuses = (report) => Object.fromEntries(report.tests.map(({ key, status }) => [key, status]));

test('equal titles are numbered in the order of definition', () => {
  assert.deepEqual(testKeys(['a', 'b', 'a', 'a']), ['a', 'b', 'a (#2)', 'a (#3)']);
});

test('a title that looks like a numbered one is refused rather than confused with it', () => {
  assert.throws(() => testKeys(['a', 'a', 'a (#2)']), /same key/);
});

test('of two tests with one title each keeps its own result', () => {
  const report = buildReport([plan('a', 'a'), ran(0, 'a', 'failed', 'first'), ran(1, 'a', 'passed'), end]);
  assert.deepEqual(statuses(report), { a: 'failed', 'a (#2)': 'passed' });
  assert.equal(report.tests[0].error, 'first');
  assert.equal(report.tests[1].error, undefined);
});

test('occurrence numbers do not shift when the first of two equal titles never runs', () => {
  const report = buildReport([plan('a', 'a'), ran(1, 'a', 'passed'), end]);
  assert.deepEqual(statuses(report), { a: 'not run', 'a (#2)': 'passed' });
});

test('a test that passes and then fails is failed, in either order of the events', () => {
  for (const order of [['passed', 'failed'], ['failed', 'passed']]) {
    const report = buildReport([plan('a'), ...order.map((status) => ran(0, 'a', status)), end]);
    assert.deepEqual(statuses(report), { a: 'failed' });
  }
});

test('tests defined while running come after the planned ones', () => {
  const report = buildReport([plan('a'), ran(0, 'a', 'passed'), ran(-1, 'late', 'failed', 'x'), end]);
  assert.deepEqual(statuses(report), { a: 'passed', late: 'failed' });
});

test('a run without its end is a crash, and so is a killed one', () => {
  assert.equal(buildReport([plan('a'), ran(0, 'a', 'passed'), end]).crash, null);
  assert.match(buildReport([plan('a'), ran(0, 'a', 'passed')]).crash, /ended before/);
  assert.match(buildReport([]).crash, /ended before/);
  assert.equal(buildReport([plan('a'), end], 'killed').crash, 'killed');
});

test('totals count each test once, and hooks and crashes as failures', () => {
  const events = [
    plan('a', 'b', 'c', 'd'),
    ran(0, 'a', 'passed'),
    ran(1, 'b', 'failed', 'x'),
    ran(2, 'c', 'skipped'),
    { type: 'hook', title: '"after all" hook', error: 'y' },
  ];
  assert.deepEqual(totals(buildReport([...events, end])), { passed: 1, failed: 3, skipped: 1 });
  assert.deepEqual(totals(buildReport(events)), { passed: 1, failed: 4, skipped: 1 });
});
