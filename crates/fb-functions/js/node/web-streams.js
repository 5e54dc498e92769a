// As much of ReadableStream as bodies need: reading, iterating, cancelling, tee. https://streams.spec.whatwg.org
class Controller {
  constructor(stream, state) {
    this.enqueue = (chunk) => {
      if (state.isClosed || state.isClosing) throw new TypeError('Invalid state: Controller is already closed');
      const waiting = state.waiting.shift();
      if (waiting) waiting.resolve({ value: chunk, done: false });
      else state.queue.push(chunk);
    };
    this.close = () => {
      state.isClosing = true;
      settle(state);
    };
    this.error = (reason) => {
      if (state.isClosed) return;
      state.failure = { reason };
      state.queue = [];
      for (const one of state.waiting.splice(0)) one.reject(reason);
      state.rejectClosed(reason);
    };
    Object.defineProperty(this, 'desiredSize', { get: () => (state.isClosing ? 0 : 1 - state.queue.length) });
  }
}

function settle(state) {
  if (!state.isClosing || state.queue.length > 0 || state.isClosed) return;
  state.isClosed = true;
  for (const one of state.waiting.splice(0)) one.resolve({ value: undefined, done: true });
  state.resolveClosed();
}

class ReadableStream {
  #state;
  #source;
  #controller;
  #started;
  #reader = null;

  constructor(source = {}) {
    this.#source = source;
    const state = { queue: [], waiting: [], isClosing: false, isClosed: false, failure: null, isPulling: false };
    state.closed = new Promise((resolve, reject) => Object.assign(state, { resolveClosed: resolve, rejectClosed: reject }));
    state.closed.catch(() => {});
    this.#state = state;
    this.#controller = new Controller(this, state);
    this.#started = Promise.resolve(source.start?.(this.#controller));
    this.#started.catch((reason) => this.#controller.error(reason));
  }
  static from(iterable) {
    const iterator = iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]();
    return new ReadableStream({
      async pull(controller) {
        const { value, done } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => iterator.return?.(reason),
    });
  }
  get locked() {
    return this.#reader !== null;
  }
  getReader() {
    if (this.locked) throw Object.assign(new TypeError('Invalid state: ReadableStream is locked'), { code: 'ERR_INVALID_STATE' });
    const reader = {
      read: () => (this.#reader === reader ? this.#read() : Promise.reject(new TypeError('the reader has been released'))),
      cancel: (reason) => this.#cancel(reason),
      releaseLock: () => {
        if (this.#reader === reader) this.#reader = null;
      },
      closed: this.#state.closed,
    };
    this.#reader = reader;
    return reader;
  }
  #read() {
    const state = this.#state;
    if (state.failure) return Promise.reject(state.failure.reason);
    if (state.queue.length > 0) {
      const value = state.queue.shift();
      settle(state);
      return Promise.resolve({ value, done: false });
    }
    if (state.isClosed) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      state.waiting.push({ resolve, reject });
      this.#pull();
    });
  }
  #pull() {
    const state = this.#state;
    if (state.isPulling || typeof this.#source.pull !== 'function') return;
    state.isPulling = true;
    this.#started
      .then(() => this.#source.pull(this.#controller))
      .then(
        () => {
          state.isPulling = false;
          if (state.waiting.length > 0 && !state.isClosing && !state.failure) this.#pull();
        },
        (reason) => this.#controller.error(reason),
      );
  }
  async #cancel(reason) {
    this.#state.queue = [];
    this.#state.isClosing = true;
    settle(this.#state);
    await this.#source.cancel?.(reason);
  }
  cancel(reason) {
    if (this.locked) return Promise.reject(new TypeError('Invalid state: ReadableStream is locked'));
    return this.#cancel(reason);
  }
  tee() {
    const reader = this.getReader();
    const branches = [];
    const pull = async () => {
      const { value, done } = await reader.read();
      for (const branch of branches) {
        if (done) branch.close();
        else branch.enqueue(value);
      }
    };
    const make = () => new ReadableStream({ start: (controller) => void branches.push(controller), pull });
    return [make(), make()];
  }
  async *values(options) {
    const reader = this.getReader();
    let isDone = false;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        isDone = done;
        if (done) return;
        yield value;
      }
    } finally {
      if (!isDone && !options?.preventCancel && !this.#state.failure) await this.#cancel();
      reader.releaseLock();
    }
  }
}
ReadableStream.prototype[Symbol.asyncIterator] = ReadableStream.prototype.values;
Object.defineProperty(ReadableStream.prototype, Symbol.toStringTag, { value: 'ReadableStream', configurable: true });

native.seal(Controller);
module.exports = { ReadableStream };
