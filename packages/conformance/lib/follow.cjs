// What mocha (5 and 10) does, as events that report.mjs understands. Runs in Node and, wrapped, in pages.
//
//   {"type":"plan","tests":["full title", …]}                        all tests, in the order of their definition
//   {"type":"test","index":7,"title":"…","status":"passed|failed|skipped","ms":12,"error":"…"}   index into the plan, or -1
//   {"type":"hook","title":"…","error":"…"}                          a hook that failed
//   {"type":"end"}
'use strict';

const STACK_LINES = 6;

/**
 * Hands each event of a run to `emit` as it happens. `place` is where the specs are: it is taken out of stacks.
 */
module.exports = function follow(runner, emit, place) {
  const planned = [];

  const emitTest = (test, status, error) => emit({
    type: 'test',
    index: planned.indexOf(test),
    title: test.fullTitle(),
    status,
    ms: test.duration || 0,
    ...(error && { error: errorText(error, place) }),
  });

  runner.on('start', () => {
    collect(runner.suite, planned);
    emit({ type: 'plan', tests: planned.map((test) => test.fullTitle()) });
  });
  runner.on('pass', (test) => emitTest(test, 'passed'));
  runner.on('pending', (test) => emitTest(test, 'skipped'));
  runner.on('fail', (runnable, error) => {
    if (runnable.type === 'test') emitTest(runnable, 'failed', error);
    else emit({ type: 'hook', title: runnable.fullTitle(), error: errorText(error, place) });
  });
  runner.on('end', () => emit({ type: 'end' }));
};

function collect(suite, into) {
  into.push(...suite.tests);
  suite.suites.forEach((child) => collect(child, into));
}

/** Name, message, the SDK's extras (HTTP status, reason) and the first lines of the stack. */
function errorText(error, place) {
  if (!error || typeof error !== 'object') return String(error);
  const extras = ['status', 'reason']
    .filter((name) => error[name] !== undefined)
    .map((name) => `${name}: ${error[name]}`);
  const head = `${error.name || 'Error'}: ${error.message}${extras.length ? ` (${extras.join(', ')})` : ''}`;
  const frames = String(error.stack || '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes('node:internal'))
    .slice(0, STACK_LINES)
    .map((line) => line.replace(place, ''));
  return [head, ...frames].join('\n');
}
