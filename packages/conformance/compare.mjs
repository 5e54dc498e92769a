// Compares reports (lib/report.mjs) with the lists of expected passes (expected/*.json). Pure.
//
// One list per SDK generation, one entry per spec file:
//
//   "crud": { "status": "full", "tests": 90 }                     nothing may fail, at least 90 tests pass
//   "user": { "status": "partial", "passing": ["full title", …] }  each of these passes, the others do not matter
//
// A full entry may name tests that fail although the server is right:
//
//   "httpsOnly": ["full title", …]          they pass over HTTPS and fail over plain HTTP; "tests" counts them
//   "excused": { "full title": "reason" }   no server passes them; "tests" does not count them
//
// Titles that occur more than once are told apart by testKeys().

/**
 * @typedef {import('./lib/report.mjs').Report} Report
 * @typedef {{ status: 'full', tests: number, httpsOnly?: string[], excused?: Record<string, string> }} FullEntry
 * @typedef {FullEntry | { status: 'partial', passing: string[] }} Entry
 * @typedef {{ title: string, reason: string, error?: string }} Regression
 * @typedef {{ regressions: Regression[], newPasses: number, newTitles: string[] }} Comparison
 *   `newTitles` names the new passes; it is empty for a full file, whose entry is only a count.
 */

/** Throws an error that names every malformed entry, and every entry without a spec file. */
export function checkExpected(expected, specFiles) {
  const problems = Object.entries(expected).flatMap(([file, entry]) => {
    if (!specFiles.includes(file)) return [`${file}: there is no such spec file`];
    if (entry?.status === 'full') return faultsOfFull(entry).map((fault) => `${file}: ${fault}`);
    if (entry?.status !== 'partial') return [`${file}: "status" must be "full" or "partial"`];
    if (entry.httpsOnly || entry.excused) return [`${file}: only a full file excuses tests`];
    return isListOfTitles(entry.passing) ? [] : [`${file}: "passing" must be a list of different titles that is not empty`];
  });
  if (problems.length > 0) throw new Error(`expected list:\n  ${problems.join('\n  ')}`);
}

function faultsOfFull({ tests, httpsOnly = [], excused = {} }) {
  const titles = [...httpsOnly, ...Object.keys(excused)];
  return [
    (!Number.isInteger(tests) || tests < 1) && '"tests" must be a positive integer',
    titles.length > 0 && !isListOfTitles(titles) && '"httpsOnly" and "excused" must name different titles',
    !Object.values(excused).every((reason) => typeof reason === 'string' && reason) && '"excused" must give reasons',
  ].filter(Boolean);
}

function isListOfTitles(list) {
  return Array.isArray(list) && list.length > 0 && list.every((title) => typeof title === 'string')
    && new Set(list).size === list.length;
}

/**
 * @param {Entry | undefined} entry undefined: nothing is expected of this file, apart from not crashing
 * @param {Report} report
 * @param {boolean} overHttps whether the specs ran over HTTPS
 * @returns {Comparison}
 */
export function compareFile(entry, report, overHttps) {
  const crash = report.crash ? [{ title: '(the whole file)', reason: 'mocha crashed', error: report.crash }] : [];
  if (entry?.status === 'full') return compareFull(entry, report, overHttps, crash);
  return comparePartial(entry?.passing ?? [], report, crash);
}

function compareFull(entry, { tests, hooks }, overHttps, crash) {
  const httpsOnly = overHttps ? [] : entry.httpsOnly ?? [];
  const excused = [...httpsOnly, ...Object.keys(entry.excused ?? {})];
  const passed = tests.filter((test) => test.status === 'passed').length;
  const due = entry.tests - httpsOnly.length;
  const regressions = [
    ...crash,
    ...hooks.map(({ title, error }) => ({ title, reason: 'hook failed', error })),
    ...tests.filter((test) => isBroken(test) && !isExcused(test, excused)).map(regressionOf),
    ...excused.flatMap((title) => needlessExcuse(title, tests)),
  ];
  if (regressions.length === 0 && passed < due) {
    const skipped = tests.filter((test) => test.status === 'skipped').map((test) => test.key);
    regressions.push({
      title: '(the whole file)',
      reason: `only ${passed} of at least ${due} tests passed`,
      ...(skipped.length > 0 && { error: `skipped:\n${skipped.join('\n')}` }),
    });
  }
  return { regressions, newPasses: Math.max(0, passed - due), newTitles: [] };
}

/** A test that was to run and did not is never excused: what it would have done is unknown. */
const isExcused = ({ key, status }, titles) => status === 'failed' && titles.includes(key);

/** An excuse that nothing needs any more would hide the next failure. */
function needlessExcuse(title, tests) {
  const test = tests.find(({ key }) => key === title);
  if (!test) return [{ title, reason: 'is excused, but the spec has no such test' }];
  return test.status === 'passed' ? [{ title, reason: 'is excused, but passes: take it out of the list' }] : [];
}

function comparePartial(passing, { tests, hooks }, crash) {
  const byKey = new Map(tests.map((test) => [test.key, test]));
  const listed = passing.flatMap((key) => {
    const test = byKey.get(key);
    if (!test) return [{ title: key, reason: 'is listed, but the spec has no such test' }];
    return test.status === 'passed' ? [] : [regressionOf(test)];
  });
  // A failing hook is no regression of its own here, but it explains why listed tests did not run.
  const causes = listed.some((regression) => regression.reason === 'not run') ? hooks : [];
  const newTitles = tests
    .filter((test) => test.status === 'passed' && !passing.includes(test.key))
    .map((test) => test.key);
  return {
    regressions: [...crash, ...causes.map(({ title, error }) => ({ title, reason: 'hook failed', error })), ...listed],
    newPasses: newTitles.length,
    newTitles,
  };
}

const isBroken = ({ status }) => status === 'failed' || status === 'not run';

const regressionOf = ({ key, status, error }) => ({
  title: key,
  reason: status,
  ...(error !== undefined && { error }),
});

/**
 * The expected list with the passes of this run added. Only adds: titles stay listed, counts never go down, and what
 * regressed in this run stays as it was. A file that passed completely becomes (or stays) "full".
 *
 * @param {Record<string, Entry>} expected
 * @param {Record<string, Report>} reports by spec file
 * @returns {Record<string, Entry>}
 */
export function addPasses(expected, reports) {
  const next = { ...expected };
  for (const [file, report] of Object.entries(reports)) {
    const entry = addPassesOfFile(expected[file], report);
    if (entry) next[file] = entry;
  }
  return Object.fromEntries(Object.entries(next).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function addPassesOfFile(entry, report) {
  const passed = report.tests.filter((test) => test.status === 'passed').map((test) => test.key);
  if (report.crash || passed.length === 0) return entry;

  const excused = [...entry?.httpsOnly ?? [], ...Object.keys(entry?.excused ?? {})];
  const clean = report.hooks.length === 0 && !report.tests.some((test) => isBroken(test) && !isExcused(test, excused));
  if (entry?.status === 'full') {
    return clean && passed.length > entry.tests ? { ...entry, tests: passed.length } : entry;
  }
  const listed = entry?.passing ?? [];
  if (clean && listed.every((key) => passed.includes(key))) return { status: 'full', tests: passed.length };
  return { status: 'partial', passing: [...listed, ...passed.filter((key) => !listed.includes(key))] };
}
