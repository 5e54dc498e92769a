// Runs the spec file that a page has loaded, all of it or a part. What the specs need as globals is there; `emitEvent` comes
// from whoever drives the browser.
'use strict';

const { only, without } = document.currentScript.dataset;

/** Takes suites out of this one: all that have, or have not, to do with the one of this title. Hooks stay. */
function prune(suite, title, isWanted) {
  const has = (other) => other.title === title || other.suites.some(has);
  if (isWanted && suite.title !== title) suite.tests = [];
  suite.suites = suite.suites.filter((child) => (isWanted ? has(child) : child.title !== title));
  for (const child of suite.suites) if (child.title !== title) prune(child, title, isWanted);
}

if (only) prune(mocha.suite, only, true);
if (without) prune(mocha.suite, without, false);
mocha.setup({
  reporter: class {
    constructor(runner) {
      follow(runner, (event) => emitEvent(JSON.stringify(event)), `${location.origin}/`);
    }
  },
});
mocha.run();
