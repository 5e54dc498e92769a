// What one mocha process did with one spec file, built from the events of reporter.cjs. Pure.

/**
 * @typedef {{ key: string, status: 'passed'|'failed'|'skipped'|'not run', ms: number, error?: string }} TestResult
 * @typedef {{ title: string, error: string }} HookFailure
 * @typedef {{ tests: TestResult[], hooks: HookFailure[], crash: string | null }} Report
 */

/**
 * Names for tests that stay unique when a title occurs more than once: the title itself for the first occurrence,
 * then `title (#2)`, `title (#3)`, … in the order of definition.
 */
export function testKeys(titles) {
  const seen = new Map();
  const keys = titles.map((title) => {
    const occurrence = (seen.get(title) ?? 0) + 1;
    seen.set(title, occurrence);
    return occurrence === 1 ? title : `${title} (#${occurrence})`;
  });
  if (new Set(keys).size !== keys.length) {
    throw new Error('two tests get the same key: a title ends like the occurrence number of another one');
  }
  return keys;
}

/**
 * @param {object[]} events what the reporter wrote, in order
 * @param {string | null} crash why the process is considered crashed apart from the events (killed, signal), if so
 * @returns {Report}
 */
export function buildReport(events, crash = null) {
  const plan = events.find((event) => event.type === 'plan');
  const ended = events.some((event) => event.type === 'end');
  const ran = events.filter((event) => event.type === 'test');

  // Tests that a hook defined at run time are not in the plan; they come after it, in the order they ran.
  const planned = plan?.tests ?? [];
  const late = [...new Set(ran.filter((event) => event.index < 0).map((event) => event.title))];
  const keys = testKeys([...planned, ...late]);
  const tests = keys.map((key) => ({ key, status: 'not run', ms: 0 }));

  for (const { index, title, status, ms, error } of ran) {
    const test = tests[index < 0 ? planned.length + late.indexOf(title) : index];
    if (test.status === 'failed') continue; // mocha can report a test twice; a failure stays a failure
    Object.assign(test, { status, ms }, error === undefined ? {} : { error });
  }

  return {
    tests,
    hooks: events.filter((event) => event.type === 'hook').map(({ title, error }) => ({ title, error })),
    crash: crash ?? (ended ? null : 'mocha ended before its run was complete'),
  };
}

/**
 * Counts over one report. Each test is in exactly one of the three; a test that never ran counts as failed, and so
 * does each failing hook and a crash.
 */
export function totals({ tests, hooks, crash }) {
  const count = (...states) => tests.filter((test) => states.includes(test.status)).length;
  return {
    passed: count('passed'),
    failed: count('failed', 'not run') + hooks.length + (crash ? 1 : 0),
    skipped: count('skipped'),
  };
}
