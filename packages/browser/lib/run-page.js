// Runs the spec file that a page has loaded. What the specs need as globals is there; `emitEvent` comes from whoever drives
// the browser.
'use strict';

mocha.setup({
  reporter: class {
    constructor(runner) {
      follow(runner, (event) => emitEvent(JSON.stringify(event)), `${location.origin}/`);
    }
  },
});
mocha.run();
