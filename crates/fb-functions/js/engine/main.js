// Sets an instance up and gives Rust its handles.
const { Abort } = require('abort');
const timers = require('timers');
const operations = require('operations');
const console = require('console');
const dispatch = require('dispatch');
const globals = require('globals');
const errors = require('errors');
const rejections = require('rejections');

exports.start = dispatch.start;

exports.settle = operations.settle;

exports.runTimer = () =>
  timers.runDue((error) => {
    native.log('error', `uncaught error in a timer: ${console.format([error])}`);
    errors.fail(error);
  });

exports.track = rejections.track;

// At the end of a slice.
exports.report = () =>
  rejections.report((reason) => native.log('error', `unhandled rejection: ${console.format([reason])}`));

// What nearly every call needs, for instances that are made ahead.
exports.preload = function () {
  if (native.hasBuiltin('freshbase:client')) modules.builtin('freshbase:client');
};

// What the call may still be woken for. A timer that was set in an earlier slice counts as well.
exports.underWay = () => operations.underWay() + timers.waiting();

// Back to the state before the call; false if that cannot be done.
exports.end = function () {
  const isRestored = globals.restore();
  timers.reset();
  console.reset();
  rejections.reset();
  modules.reset();
  const clean = dispatch.end() && modules.isIntact() && operations.underWay() === 0;
  operations.reset();
  return isRestored && clean;
};

const modules = require('modules');

modules.onLoading = globals.onLoading;
modules.onLoaded = globals.onLoaded;
modules.withOwnGlobals = globals.withOwnGlobals;

// What `import` needs: names by which there may be exports, and the exports.
exports.key = modules.key;
exports.load = (key) => modules.byKey(key);
exports.names = function (key) {
  const found = modules.byKey(key);
  if ((typeof found !== 'object' || found === null) && typeof found !== 'function') return [];
  return Object.keys(found).filter((name) => name !== 'default' && name.isWellFormed());
};

const values = {
  Abort,
  console: console.console,
  setTimeout: timers.setTimeout,
  setInterval: timers.setInterval,
  setImmediate: timers.setImmediate,
  clearTimeout: timers.clearTimeout,
  clearInterval: timers.clearInterval,
  clearImmediate: timers.clearImmediate,
};
globals.install(values, native.lazyGlobals);
