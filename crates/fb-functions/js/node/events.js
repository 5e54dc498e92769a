// https://nodejs.org/docs/latest-v20.x/api/events.html
const { abortError, checkFunction, error: codedError, outOfRange } = require('errors');

const errorMonitor = Symbol('events.errorMonitor');
let defaultMaxListeners = 10;
native.keep(() => defaultMaxListeners, (n) => {
  defaultMaxListeners = n;
});

// Callable without `new`, for those who inherit the old way.
function EventEmitter() {
  init(this);
}

function init(emitter) {
  if (emitter._events === undefined || emitter._events === Object.getPrototypeOf(emitter)._events) {
    emitter._events = Object.create(null);
    emitter._eventsCount = 0;
  }
  emitter._maxListeners = emitter._maxListeners || undefined;
}

EventEmitter.init = function () {
  init(this);
};

const list = (handler) => (handler === undefined ? [] : typeof handler === 'function' ? [handler] : handler);

function add(emitter, name, listener, isFirst) {
  checkFunction(listener, 'listener');
  if (emitter._events === undefined) init(emitter);
  if (emitter._events.newListener !== undefined) emitter.emit('newListener', name, listener.listener ?? listener);
  const known = emitter._events[name];
  if (known === undefined) {
    emitter._events[name] = listener;
    emitter._eventsCount += 1;
  } else if (typeof known === 'function') {
    emitter._events[name] = isFirst ? [listener, known] : [known, listener];
  } else if (isFirst) {
    known.unshift(listener);
  } else {
    known.push(listener);
  }
  return emitter;
}

function onceWrapper(emitter, name, listener) {
  checkFunction(listener, 'listener');
  let fired = false;
  const wrapped = function (...args) {
    if (fired) return undefined;
    fired = true;
    emitter.removeListener(name, wrapped);
    return listener.apply(emitter, args);
  };
  wrapped.listener = listener;
  return wrapped;
}

function removed(emitter, name, listener) {
  if (emitter._events.removeListener !== undefined) emitter.emit('removeListener', name, listener.listener ?? listener);
}

function forget(emitter, name) {
  delete emitter._events[name];
  emitter._eventsCount -= 1;
}

const methods = {
  emit(name, ...args) {
    const events = this._events;
    if (name === 'error') {
      if (events?.[errorMonitor] !== undefined) this.emit(errorMonitor, ...args);
      if (events?.error === undefined) throw unhandled(args[0]);
    }
    const handler = events?.[name];
    if (handler === undefined) return false;
    if (typeof handler === 'function') {
      Reflect.apply(handler, this, args);
    } else {
      for (const listener of handler.slice()) Reflect.apply(listener, this, args);
    }
    return true;
  },
  on(name, listener) {
    return add(this, name, listener, false);
  },
  prependListener(name, listener) {
    return add(this, name, listener, true);
  },
  once(name, listener) {
    return this.on(name, onceWrapper(this, name, listener));
  },
  prependOnceListener(name, listener) {
    return this.prependListener(name, onceWrapper(this, name, listener));
  },
  removeListener(name, listener) {
    checkFunction(listener, 'listener');
    const known = this._events?.[name];
    if (known === undefined) return this;
    if (known === listener || known.listener === listener) {
      forget(this, name);
      removed(this, name, known);
      return this;
    }
    if (typeof known === 'function') return this;
    const at = known.findLastIndex((one) => one === listener || one.listener === listener);
    if (at < 0) return this;
    const [gone] = known.splice(at, 1);
    if (known.length === 1) this._events[name] = known[0];
    removed(this, name, gone);
    return this;
  },
  removeAllListeners(name) {
    if (this._events === undefined) return this;
    if (arguments.length === 0 && this._events.removeListener === undefined) {
      this._events = Object.create(null);
      this._eventsCount = 0;
      return this;
    }
    if (arguments.length === 0) {
      for (const key of Reflect.ownKeys(this._events)) if (key !== 'removeListener') this.removeAllListeners(key);
      return this.removeAllListeners('removeListener');
    }
    for (const listener of list(this._events[name]).slice().reverse()) this.removeListener(name, listener);
    return this;
  },
  listeners(name) {
    return list(this._events?.[name]).map((listener) => listener.listener ?? listener);
  },
  rawListeners(name) {
    return list(this._events?.[name]).slice();
  },
  listenerCount(name, listener) {
    const all = list(this._events?.[name]);
    if (listener === undefined || listener === null) return all.length;
    return all.filter((one) => one === listener || one.listener === listener).length;
  },
  eventNames() {
    return this._eventsCount > 0 ? Reflect.ownKeys(this._events) : [];
  },
  setMaxListeners(n) {
    if (typeof n !== 'number' || n < 0 || Number.isNaN(n)) throw outOfRange('n', 'a non-negative number', n);
    this._maxListeners = n;
    return this;
  },
  getMaxListeners() {
    return this._maxListeners ?? defaultMaxListeners;
  },
};
methods.addListener = methods.on;
methods.off = methods.removeListener;
for (const name of Object.keys(methods)) {
  EventEmitter.prototype[name] = methods[name];
}

function unhandled(value) {
  if (value instanceof Error) return value;
  let shown;
  try {
    shown = require('inspect').inspect(value);
  } catch {
    shown = String(value);
  }
  const thrown = codedError('ERR_UNHANDLED_ERROR', `Unhandled error. (${shown})`);
  thrown.context = value;
  return thrown;
}

const isTarget = (emitter) => typeof emitter.on !== 'function' && typeof emitter.addEventListener === 'function';

function once(emitter, name, options) {
  const signal = options?.signal;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError(signal.reason));
      return;
    }
    const clean = () => {
      if (isTarget(emitter)) emitter.removeEventListener(name, done);
      else {
        emitter.removeListener(name, done);
        emitter.removeListener('error', failed);
      }
      signal?.removeEventListener('abort', aborted);
    };
    const done = (...args) => {
      clean();
      resolve(args);
    };
    const failed = (error) => {
      clean();
      reject(error);
    };
    const aborted = () => failed(abortError(signal.reason));
    if (isTarget(emitter)) emitter.addEventListener(name, done, { once: true });
    else {
      emitter.once(name, done);
      if (name !== 'error') emitter.once('error', failed);
    }
    signal?.addEventListener('abort', aborted, { once: true });
  });
}

function on(emitter, name, options) {
  const signal = options?.signal;
  if (signal?.aborted) throw abortError(signal.reason);
  const waiting = [];
  const ready = [];
  let failure = null;
  let isDone = false;
  const handler = (...args) => {
    if (waiting.length > 0) waiting.shift().resolve({ value: args, done: false });
    else ready.push(args);
  };
  const failed = (error) => {
    if (waiting.length > 0) waiting.shift().reject(error);
    else failure = { error };
    iterator.return();
  };
  const aborted = () => failed(abortError(signal.reason));
  const iterator = {
    next() {
      if (ready.length > 0) return Promise.resolve({ value: ready.shift(), done: false });
      if (failure !== null) {
        const { error } = failure;
        failure = null;
        return Promise.reject(error);
      }
      if (isDone) return Promise.resolve({ value: undefined, done: true });
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    return() {
      isDone = true;
      emitter.removeListener(name, handler);
      emitter.removeListener('error', failed);
      signal?.removeEventListener('abort', aborted);
      for (const one of waiting.splice(0)) one.resolve({ value: undefined, done: true });
      return Promise.resolve({ value: undefined, done: true });
    },
    throw(error) {
      failed(error);
      return Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  emitter.on(name, handler);
  if (name !== 'error') emitter.on('error', failed);
  signal?.addEventListener('abort', aborted, { once: true });
  return iterator;
}

module.exports = Object.assign(EventEmitter, {
  EventEmitter,
  captureRejectionSymbol: Symbol.for('nodejs.rejection'),
  captureRejections: false,
  errorMonitor,
  getEventListeners: (emitter, name) => emitter.listeners(name),
  getMaxListeners: (emitter) => emitter.getMaxListeners(),
  listenerCount: (emitter, name) => emitter.listenerCount(name),
  on,
  once,
  setMaxListeners(n, ...emitters) {
    if (emitters.length === 0) defaultMaxListeners = n;
    for (const emitter of emitters) emitter.setMaxListeners?.(n);
  },
  usingDomains: false,
});
Object.defineProperty(EventEmitter, 'defaultMaxListeners', {
  get: () => defaultMaxListeners,
  set(n) {
    defaultMaxListeners = n;
  },
  enumerable: true,
});
