// A mocha reporter (mocha 5 and 10) that appends one JSON object per line, each an event of follow.cjs, to the file
// CONFORMANCE_EVENTS.
//
// mocha's own JSON reporter writes only at the end, so a crashed or hanging process would leave nothing to look at.
// With CONFORMANCE_LIST=1 the process ends after the plan, without running a test or hook.
'use strict';

const fs = require('fs');

const follow = require('./follow.cjs');

module.exports = class EventReporter {
  constructor(runner) {
    const file = process.env.CONFORMANCE_EVENTS;
    const emit = (event) => {
      fs.appendFileSync(file, JSON.stringify(event) + '\n');
      if (event.type === 'plan' && process.env.CONFORMANCE_LIST) process.exit(0);
    };
    follow(runner, emit, `${process.cwd()}/`);
  }
};
