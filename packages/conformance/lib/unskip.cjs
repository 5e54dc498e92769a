// A user interface for mocha (--ui): bdd, but suites that their authors switched off with `describe.skip` run as well.
// The spec files stay as they are; a single test that is skipped stays skipped.
'use strict';

const path = require('path');

const Mocha = require(path.resolve(path.dirname(process.argv[1]), '..')); // the one that runs

module.exports = (root) => {
  Mocha.interfaces.bdd(root);
  root.on('pre-require', (context) => {
    context.describe.skip = context.describe;
  });
};
