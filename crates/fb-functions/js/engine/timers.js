// Timers of one call. Rust knows only when the next one is due.
const MOST = 1000;
const LONGEST = 2 ** 31 - 1;

let timers = new Map();
let lastId = 0;
let due = Infinity;

function checked(callback) {
  if (typeof callback !== 'function') throw new TypeError('the callback must be a function');
  if (timers.size >= MOST) throw new Error(`more than ${MOST} timers are waiting`);
}

class Timer {
  constructor(id) {
    this.id = id;
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  hasRef() {
    return timers.has(this.id);
  }
  [Symbol.toPrimitive]() {
    return this.id;
  }
}

function add(callback, delay, args, repeat) {
  checked(callback);
  let wait = Number(delay);
  if (!(wait >= 1 && wait <= LONGEST)) wait = 1;
  const id = ++lastId;
  const timer = { id, at: native.now() + wait, callback, args, every: repeat ? wait : 0 };
  timers.set(id, timer);
  if (timer.at < due) {
    due = timer.at;
    native.wake(due);
  }
  return new Timer(id);
}

function clear(timer) {
  if (timer !== undefined && timer !== null) timers.delete(Number(timer));
}

exports.setTimeout = function setTimeout(callback, delay, ...args) {
  return add(callback, delay, args, false);
};
exports.setInterval = function setInterval(callback, delay, ...args) {
  return add(callback, delay, args, true);
};
exports.setImmediate = function setImmediate(callback, ...args) {
  checked(callback);
  const id = ++lastId;
  timers.set(id, { id, at: -1, callback, args, every: 0 });
  if (due >= 0) {
    due = -1;
    native.wake(0);
  }
  return new Timer(id);
};
exports.clearTimeout = function clearTimeout(timer) {
  clear(timer);
};
exports.clearInterval = function clearInterval(timer) {
  clear(timer);
};
exports.clearImmediate = function clearImmediate(timer) {
  clear(timer);
};

// Runs one timer that is due; says whether there may be more. One at a time, so that promises are served in between, as in Node.
exports.runDue = function (onError) {
  const now = native.now();
  let next = null;
  for (const timer of timers.values()) {
    if (timer.at <= now && (next === null || timer.at < next.at)) next = timer;
  }
  if (next !== null) {
    if (next.every > 0) next.at = now + next.every;
    else timers.delete(next.id);
    try {
      next.callback.apply(undefined, next.args);
    } catch (error) {
      onError(error);
    }
    return true;
  }
  due = Infinity;
  for (const timer of timers.values()) if (timer.at < due) due = timer.at;
  if (due !== Infinity) native.wake(due);
  return false;
};

exports.waiting = () => timers.size;

exports.reset = function () {
  if (timers.size > 0) timers = new Map();
  due = Infinity;
};
