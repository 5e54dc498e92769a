// EventTarget, Event, AbortController, AbortSignal. https://dom.spec.whatwg.org
const { checkFunction } = require('errors');

class Event {
  #type;
  #cancelable;
  #bubbles;
  #prevented = false;
  #stopped = false;
  #time = native.now();
  target = null;
  currentTarget = null;

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw Object.assign(new TypeError('The "type" argument must be specified'), { code: 'ERR_MISSING_ARGS' });
    this.#type = `${type}`;
    this.#cancelable = Boolean(options?.cancelable);
    this.#bubbles = Boolean(options?.bubbles);
  }
  get type() {
    return this.#type;
  }
  get cancelable() {
    return this.#cancelable;
  }
  get bubbles() {
    return this.#bubbles;
  }
  get defaultPrevented() {
    return this.#cancelable && this.#prevented;
  }
  get timeStamp() {
    return this.#time;
  }
  get isStopped() {
    return this.#stopped;
  }
  preventDefault() {
    this.#prevented = true;
  }
  stopPropagation() {}
  stopImmediatePropagation() {
    this.#stopped = true;
  }
  composedPath() {
    return this.currentTarget === null ? [] : [this.currentTarget];
  }
}
Object.defineProperty(Event.prototype, Symbol.toStringTag, { value: 'Event', configurable: true });

class CustomEvent extends Event {
  #detail;

  constructor(type, options = undefined) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }
  get detail() {
    return this.#detail;
  }
}

class EventTarget {
  #listeners = new Map();

  addEventListener(type, callback, options = undefined) {
    if (callback === null || callback === undefined) return;
    if (typeof callback !== 'object') checkFunction(callback, 'listener');
    const isOnce = typeof options === 'object' && Boolean(options?.once);
    const list = this.#listeners.get(`${type}`) ?? [];
    if (list.some((one) => one.callback === callback)) return;
    const signal = typeof options === 'object' ? options?.signal : undefined;
    if (signal?.aborted) return;
    this.#listeners.set(`${type}`, [...list, { callback, isOnce }]);
    signal?.addEventListener('abort', () => this.removeEventListener(type, callback), { once: true });
  }
  removeEventListener(type, callback) {
    const list = this.#listeners.get(`${type}`);
    if (list !== undefined) this.#listeners.set(`${type}`, list.filter((one) => one.callback !== callback));
  }
  dispatchEvent(event) {
    event.target = this;
    event.currentTarget = this;
    for (const { callback, isOnce } of this.#listeners.get(event.type) ?? []) {
      if (isOnce) this.removeEventListener(event.type, callback);
      try {
        if (typeof callback === 'function') callback.call(this, event);
        else callback.handleEvent(event);
      } catch (error) {
        // As if nobody had caught it; the other listeners are called all the same.
        queueMicrotask(() => {
          throw error;
        });
      }
      if (event.isStopped) break;
    }
    event.currentTarget = null;
    return !event.defaultPrevented;
  }
}
Object.defineProperty(EventTarget.prototype, Symbol.toStringTag, { value: 'EventTarget', configurable: true });

let abort;
let make;
let isMaking = false;

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason;
  #onabort = null;

  constructor() {
    if (!isMaking) throw Object.assign(new TypeError('Illegal constructor'), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
    super();
  }
  static {
    make = () => {
      isMaking = true;
      try {
        return new AbortSignal();
      } finally {
        isMaking = false;
      }
    };
    abort = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason = reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason;
      signal.dispatchEvent(new Event('abort'));
    };
  }
  get aborted() {
    return this.#aborted;
  }
  get reason() {
    return this.#reason;
  }
  get onabort() {
    return this.#onabort;
  }
  set onabort(callback) {
    if (this.#onabort !== null) this.removeEventListener('abort', this.#onabort);
    this.#onabort = typeof callback === 'function' ? callback : null;
    this.addEventListener('abort', this.#onabort);
  }
  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }
  static abort(reason = undefined) {
    const signal = make();
    abort(signal, reason);
    return signal;
  }
  static timeout(delay) {
    const signal = make();
    globalThis.setTimeout(() => abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError')), delay);
    return signal;
  }
  static any(signals) {
    const signal = make();
    for (const one of signals) {
      if (one.aborted) {
        abort(signal, one.reason);
        return signal;
      }
    }
    for (const one of signals) one.addEventListener('abort', () => abort(signal, one.reason), { once: true });
    return signal;
  }
}
Object.defineProperty(AbortSignal.prototype, Symbol.toStringTag, { value: 'AbortSignal', configurable: true });

class AbortController {
  #signal = make();

  get signal() {
    return this.#signal;
  }
  abort(reason = undefined) {
    abort(this.#signal, reason);
  }
}
Object.defineProperty(AbortController.prototype, Symbol.toStringTag, { value: 'AbortController', configurable: true });

module.exports = { AbortController, AbortSignal, CustomEvent, Event, EventTarget };
