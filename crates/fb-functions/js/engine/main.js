// Sets an instance up and gives Rust its handles.
const { Abort } = require('abort');
const timers = require('timers');
const operations = require('operations');
const console = require('console');
const dispatch = require('dispatch');
const globals = require('globals');
const errors = require('errors');

exports.start = dispatch.start;

exports.settle = operations.settle;

exports.runTimer = () =>
  timers.runDue((error) => {
    native.log('error', `uncaught error in a timer: ${console.format([error])}`);
    errors.fail(error);
  });

exports.underWay = operations.underWay;

// Back to the state before the call; false if that cannot be done.
exports.end = function () {
  dispatch.end();
  timers.reset();
  console.reset();
  const clean = operations.underWay() === 0;
  operations.reset();
  return globals.restore() && clean;
};

globals.install({
  Abort,
  console: console.console,
  setTimeout: timers.setTimeout,
  setInterval: timers.setInterval,
  setImmediate: timers.setImmediate,
  clearTimeout: timers.clearTimeout,
  clearInterval: timers.clearInterval,
  clearImmediate: timers.clearImmediate,
});
