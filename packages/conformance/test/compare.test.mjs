import assert from 'node:assert/strict';
import { test } from 'node:test';

import { addPasses, checkExpected, compareFile as compare } from '../compare.mjs';

/** A report from `{ key: status }`; failed tests get the error "<key> broke". */
function fakeReport(results, { hooks = [], crash = null } = {}) {
  const tests = Object.entries(results).map(([key, status]) => ({
    key, status, ms: 1, ...(status === 'failed' && { error: `${key} broke` }),
  }));
  return { tests, hooks, crash };
}

const compareFile = (entry, report, overHttps = true) => compare(entry, report, overHttps);
const full = (tests, excuses = {}) => ({ status: 'full', tests, ...excuses });
const partial = (...passing) => ({ status: 'partial', passing });
const hook = { title: '"before all" hook', error: 'no server' };
const titlesOf = ({ regressions }) => regressions.map(({ title, reason }) => [title, reason]);

test('a full file that passes as a whole is no regression', () => {
  const comparison = compareFile(full(2), fakeReport({ a: 'passed', b: 'passed' }));
  assert.deepEqual(comparison, { regressions: [], newPasses: 0, newTitles: [] });
});

test('a full file may have skipped tests as long as enough pass', () => {
  assert.deepEqual(compareFile(full(1), fakeReport({ a: 'passed', b: 'skipped' })).regressions, []);
});

test('in a full file one failing test is a regression with its error, even when enough pass', () => {
  const { regressions } = compareFile(full(2), fakeReport({ a: 'passed', b: 'passed', c: 'failed' }));
  assert.deepEqual(regressions, [{ title: 'c', reason: 'failed', error: 'c broke' }]);
});

test('in a full file a test that did not run and a failing hook are regressions', () => {
  const report = fakeReport({ a: 'passed', b: 'not run' }, { hooks: [hook] });
  assert.deepEqual(titlesOf(compareFile(full(1), report)), [['"before all" hook', 'hook failed'], ['b', 'not run']]);
  const afterHook = fakeReport({ a: 'passed' }, { hooks: [{ title: '"after all" hook', error: 'x' }] });
  assert.deepEqual(titlesOf(compareFile(full(1), afterHook)), [['"after all" hook', 'hook failed']]);
});

test('in a full file too few passes are a regression although nothing failed', () => {
  const { regressions } = compareFile(full(2), fakeReport({ a: 'passed', b: 'skipped' }));
  assert.equal(regressions.length, 1);
  assert.match(regressions[0].reason, /only 1 of at least 2/);
  assert.match(regressions[0].error, /skipped:\nb/);
  assert.equal(compareFile(full(2), fakeReport({ a: 'passed' })).regressions.length, 1);
});

test('more passes than a full file promises are reported as new', () => {
  assert.equal(compareFile(full(1), fakeReport({ a: 'passed', b: 'passed', c: 'skipped' })).newPasses, 1);
});

test('a test that passes over HTTPS only is demanded there, and may fail over plain HTTP', () => {
  const entry = full(2, { httpsOnly: ['b'] });
  const broken = fakeReport({ a: 'passed', b: 'failed' });
  assert.deepEqual(compareFile(entry, broken, false), { regressions: [], newPasses: 0, newTitles: [] });
  assert.deepEqual(titlesOf(compareFile(entry, broken, true)), [['b', 'failed']]);
  assert.deepEqual(compareFile(entry, fakeReport({ a: 'passed', b: 'passed' }), true).regressions, []);
});

test('what is excused over plain HTTP lowers the count there by no more than itself', () => {
  const entry = full(3, { httpsOnly: ['c'] });
  const report = fakeReport({ a: 'passed', b: 'skipped', c: 'failed' });
  assert.match(compareFile(entry, report, false).regressions[0].reason, /only 1 of at least 2/);
  const more = fakeReport({ a: 'passed', b: 'passed', c: 'failed', d: 'passed' });
  assert.equal(compareFile(entry, more, false).newPasses, 1);
});

test('an excused test may fail over HTTPS too, and no other test with it', () => {
  const entry = full(1, { excused: { b: 'asks for the moon' } });
  for (const overHttps of [true, false]) {
    assert.deepEqual(compareFile(entry, fakeReport({ a: 'passed', b: 'failed' }), overHttps).regressions, []);
    const { regressions } = compareFile(entry, fakeReport({ a: 'failed', b: 'failed' }), overHttps);
    assert.deepEqual(regressions, [{ title: 'a', reason: 'failed', error: 'a broke' }]);
  }
});

test('an excuse that is not needed, or for a test that is not there, is a regression', () => {
  const entry = full(1, { excused: { b: 'asks for the moon' }, httpsOnly: ['c'] });
  const report = fakeReport({ a: 'passed', b: 'passed' });
  assert.deepEqual(titlesOf(compareFile(entry, report, true)), [['b', 'is excused, but passes: take it out of the list']]);
  assert.deepEqual(titlesOf(compareFile(entry, report, false)), [
    ['c', 'is excused, but the spec has no such test'],
    ['b', 'is excused, but passes: take it out of the list'],
  ]);
});

test('a test that did not run is not excused', () => {
  const entry = full(1, { excused: { b: 'asks for the moon' } });
  assert.deepEqual(titlesOf(compareFile(entry, fakeReport({ a: 'passed', b: 'not run' }))), [['b', 'not run']]);
});

test('in a partial file only listed titles matter', () => {
  const comparison = compareFile(partial('a'), fakeReport({ a: 'passed', b: 'failed', c: 'not run', d: 'passed' }));
  assert.deepEqual(comparison, { regressions: [], newPasses: 1, newTitles: ['d'] });
});

test('in a partial file a listed title that fails, is skipped, or did not run is a regression', () => {
  const report = fakeReport({ a: 'failed', b: 'skipped', c: 'not run', d: 'passed' });
  assert.deepEqual(titlesOf(compareFile(partial('a', 'b', 'c', 'd'), report)), [
    ['a', 'failed'], ['b', 'skipped'], ['c', 'not run'],
  ]);
  assert.equal(compareFile(partial('a'), report).regressions[0].error, 'a broke');
});

test('a listed title that the spec does not have is a regression', () => {
  assert.deepEqual(titlesOf(compareFile(partial('gone'), fakeReport({ a: 'passed' }))), [
    ['gone', 'is listed, but the spec has no such test'],
  ]);
});

test('in a partial file a failing hook is told only when listed tests did not run because of it', () => {
  const report = fakeReport({ a: 'passed', b: 'not run' }, { hooks: [hook] });
  assert.deepEqual(compareFile(partial('a'), report).regressions, []);
  assert.deepEqual(titlesOf(compareFile(partial('b'), report)), [['"before all" hook', 'hook failed'], ['b', 'not run']]);
});

test('the second occurrence of a title is another test than the first', () => {
  const report = fakeReport({ a: 'passed', 'a (#2)': 'failed' });
  assert.deepEqual(compareFile(partial('a'), report).regressions, []);
  assert.deepEqual(titlesOf(compareFile(partial('a', 'a (#2)'), report)), [['a (#2)', 'failed']]);
});

test('a crash is a regression in every kind of file, also when all listed tests passed before it', () => {
  const report = fakeReport({ a: 'passed' }, { crash: 'killed after 3 s' });
  for (const entry of [full(1), partial('a'), undefined]) {
    const { regressions } = compareFile(entry, report);
    assert.deepEqual(regressions, [{ title: '(the whole file)', reason: 'mocha crashed', error: 'killed after 3 s' }]);
  }
});

test('without an entry nothing but a crash is a regression, and each pass is new', () => {
  const comparison = compareFile(undefined, fakeReport({ a: 'passed', b: 'failed' }, { hooks: [hook] }));
  assert.deepEqual(comparison, { regressions: [], newPasses: 1, newTitles: ['a'] });
});

test('update adds passes of unknown and partial files, sorted by file', () => {
  const next = addPasses({ user: partial('a') }, {
    user: fakeReport({ a: 'passed', b: 'passed', c: 'failed' }),
    acl: fakeReport({ x: 'passed', 'x (#2)': 'passed', y: 'not run' }),
    log: fakeReport({ m: 'passed', n: 'skipped' }),
    code: fakeReport({ z: 'failed' }),
  });
  assert.deepEqual(next, { acl: partial('x', 'x (#2)'), log: full(1), user: partial('a', 'b') });
  assert.deepEqual(Object.keys(next), ['acl', 'log', 'user']);
});

test('update turns a partial file without any failure into a full one', () => {
  assert.deepEqual(addPasses({ f: partial('a') }, { f: fakeReport({ a: 'passed', b: 'passed' }) }), { f: full(2) });
  assert.deepEqual(
    addPasses({ f: partial('a') }, { f: fakeReport({ a: 'passed', b: 'passed' }, { hooks: [hook] }) }),
    { f: partial('a', 'b') },
  );
});

test('update never removes, lowers or loosens an entry', () => {
  const expected = { e: full(3), f: full(3), g: partial('a', 'gone'), h: partial('a'), i: full(1) };
  const next = addPasses(expected, {
    e: fakeReport({ a: 'passed' }),
    f: fakeReport({ a: 'passed', b: 'passed', c: 'passed', d: 'passed', e: 'failed' }),
    g: fakeReport({ a: 'failed', b: 'passed' }),
    h: fakeReport({ a: 'skipped', b: 'passed' }),
  });
  assert.deepEqual(next, { ...expected, g: partial('a', 'gone', 'b'), h: partial('a', 'b') });
});

test('update raises the count of a full file', () => {
  assert.deepEqual(addPasses({ f: full(1) }, { f: fakeReport({ a: 'passed', b: 'passed' }) }), { f: full(2) });
});

test('update raises the count of a full file whose only failures are excused, and keeps the excuses', () => {
  const excuses = { excused: { x: 'asks for the moon' }, httpsOnly: ['y'] };
  const report = fakeReport({ a: 'passed', b: 'passed', c: 'passed', x: 'failed', y: 'failed' });
  assert.deepEqual(addPasses({ f: full(2, excuses) }, { f: report }), { f: full(3, excuses) });
  const broken = fakeReport({ a: 'passed', b: 'passed', c: 'passed', d: 'failed', x: 'failed' });
  assert.deepEqual(addPasses({ f: full(2, excuses) }, { f: broken }), { f: full(2, excuses) });
});

test('update takes nothing from a crashed run', () => {
  const report = fakeReport({ a: 'passed', b: 'passed' }, { crash: 'killed' });
  assert.deepEqual(addPasses({ f: partial('a') }, { f: report, g: report }), { f: partial('a') });
});

test('update does not change the list it was given', () => {
  const expected = { f: partial('a') };
  addPasses(expected, { f: fakeReport({ a: 'passed', b: 'passed', c: 'failed' }) });
  assert.deepEqual(expected, { f: partial('a') });
});

test('after an update the same run has no new passes and no regressions', () => {
  const reports = {
    f: fakeReport({ a: 'passed', 'a (#2)': 'passed', b: 'failed' }),
    g: fakeReport({ a: 'passed', b: 'skipped' }),
  };
  const next = addPasses({}, reports);
  for (const [file, report] of Object.entries(reports)) {
    assert.deepEqual(compareFile(next[file], report), { regressions: [], newPasses: 0, newTitles: [] });
  }
});

test('a malformed expected list is refused and every fault named', () => {
  const bad = {
    a: { status: 'ful' },
    b: full(0),
    c: partial(),
    d: partial('x', 'x'),
    e: full(1),
    nofile: full(1),
    f: null,
    g: full(1, { excused: { x: '' } }),
    h: full(1, { excused: { x: 'why' }, httpsOnly: ['x'] }),
    i: { ...partial('x'), httpsOnly: ['y'] },
  };
  const files = Object.keys(bad).filter((file) => file !== 'nofile');
  assert.throws(() => checkExpected(bad, files), (error) => {
    for (const file of Object.keys(bad).filter((name) => name !== 'e')) {
      assert.match(error.message, new RegExp(`^  ${file}: `, 'm'));
    }
    assert.doesNotMatch(error.message, /^ {2}e: /m);
    return true;
  });
  checkExpected({ a: full(1, { excused: { x: 'why' }, httpsOnly: ['y'] }), b: partial('x') }, ['a', 'b']);
});
