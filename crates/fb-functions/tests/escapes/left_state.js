// expect: clean
// State behind functions of builtins.
const util = require('util');
const http = require('http');
const events = require('events');
const stream = require('stream');
const { performance } = require('perf_hooks');

exports.call = () => {
  const seen = [
    events.defaultMaxListeners === 10,
    new events().getMaxListeners() === 10,
    performance.getEntries().length === 0,
    stream.getDefaultHighWaterMark?.(true) === 16 || stream.getDefaultHighWaterMark === undefined,
    util.inspect.defaultOptions.depth === 2,
    util.inspect({ a: { b: { c: { d: 1 } } } }).includes('[Object]'),
    http.globalAgent.secret === undefined && http.globalAgent.maxSockets === Infinity,
    process.listenerCount('exit') === 0,
    process.exitCode === undefined,
    process.emit('exit') === false,
  ];
  events.defaultMaxListeners = 1;
  events.setMaxListeners(2);
  performance.mark('secret');
  stream.setDefaultHighWaterMark?.(true, 1);
  util.inspect.defaultOptions.depth = 9;
  util.inspect.defaultOptions = { showHidden: true };
  http.globalAgent.secret = 1;
  http.globalAgent.maxSockets = 1;
  http.globalAgent = { secret: 1 };
  process.on('exit', () => 'secret');
  process.exitCode = 7;
  console.group('secret');
  console.count('secret');
  return seen.every(Boolean) ? 'clean' : seen.join();
};
