const EventEmitter = require('events');
const util = require('util');

exports.order = () => {
  const log = [];
  const e = new EventEmitter();
  e.on('newListener', (name) => log.push(`new ${String(name)}`));
  e.on('a', (x) => log.push(`1 ${x}`));
  e.prependListener('a', (x) => log.push(`0 ${x}`));
  e.once('a', (x) => log.push(`once ${x}`));
  log.push(e.emit('a', 5), e.emit('a', 6), e.emit('none'), e.listenerCount('a'), e.eventNames());
  return log;
};
exports.removal = () => {
  const log = [];
  const e = new EventEmitter();
  const f = () => log.push('f');
  e.on('removeListener', (name, l) => log.push(`removed ${name} ${l === f}`));
  e.on('x', f);
  e.once('x', f);
  e.removeListener('x', f);
  e.emit('x');
  e.on('x', () => {
    e.off('x', f);
    log.push('self');
  });
  e.emit('x');
  e.removeAllListeners('x');
  log.push(e.listenerCount('x'), e.listeners('x').length, e.rawListeners('y'));
  return log;
};
exports.errorWithoutListener = () => new EventEmitter().emit('error', new TypeError('mine'));
exports.errorThatIsNone = () => new EventEmitter().emit('error', 'text');
exports.errorMonitor = () => {
  const e = new EventEmitter();
  const seen = [];
  e.on(EventEmitter.errorMonitor, (error) => seen.push(error.message));
  try {
    e.emit('error', new Error('x'));
  } catch (error) {
    seen.push('thrown');
  }
  return seen;
};
exports.badListener = () => new EventEmitter().on('x', 5);
exports.oldStyle = () => {
  function Old() {
    EventEmitter.call(this);
  }
  util.inherits(Old, EventEmitter);
  const old = new Old();
  let got;
  old.on('x', function (v) {
    got = [v, this === old];
  });
  old.emit('x', 1);
  return [got, old instanceof EventEmitter, EventEmitter.EventEmitter === EventEmitter, EventEmitter.defaultMaxListeners, old.getMaxListeners()];
};
exports.oncePromise = async () => {
  const e = new EventEmitter();
  queueMicrotask(() => e.emit('go', 1, 2));
  return EventEmitter.once(e, 'go');
};
exports.oncePromiseFails = async () => {
  const e = new EventEmitter();
  queueMicrotask(() => e.emit('error', new RangeError('bad')));
  return EventEmitter.once(e, 'go');
};
exports.onIterator = async () => {
  const e = new EventEmitter();
  queueMicrotask(() => {
    e.emit('n', 1);
    e.emit('n', 2);
    e.emit('n', 3);
  });
  const got = [];
  for await (const [n] of EventEmitter.on(e, 'n')) {
    got.push(n);
    if (n === 3) break;
  }
  return [got, e.listenerCount('n')];
};
exports.targets = () => {
  const target = new EventTarget();
  const log = [];
  target.addEventListener('x', (event) => log.push(event.type), { once: true });
  target.addEventListener('x', { handleEvent: (event) => log.push(event.defaultPrevented) });
  log.push(target.dispatchEvent(new Event('x', { cancelable: true })), target.dispatchEvent(new Event('x')));
  return log;
};
exports.abort = async () => {
  const controller = new AbortController();
  const log = [];
  controller.signal.addEventListener('abort', () => log.push('abort'));
  controller.signal.onabort = () => log.push('onabort');
  const any = AbortSignal.any([controller.signal]);
  controller.abort();
  controller.abort();
  log.push(controller.signal.aborted, controller.signal.reason.name, any.aborted, AbortSignal.abort('why').reason);
  try {
    controller.signal.throwIfAborted();
  } catch (error) {
    log.push(error.name);
  }
  const timeout = AbortSignal.timeout(1);
  await new Promise((resolve) => timeout.addEventListener('abort', resolve));
  return [...log, timeout.reason.name];
};
