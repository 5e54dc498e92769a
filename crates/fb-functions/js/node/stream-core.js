// Readable, Writable, Duplex, Transform, PassThrough. https://nodejs.org/docs/latest-v20.x/api/stream.html
const EventEmitter = require('events');
const { abortError, checkFunction, error: codedError, invalidArgType, notOffered, typeError } = require('errors');
const { Buffer } = require('buffer');

const tick = (callback, ...args) => queueMicrotask(() => callback(...args));
const noop = () => {};

let defaultBytes = 16 * 1024;
let defaultObjects = 16;
native.keep(() => defaultBytes, (n) => {
  defaultBytes = n;
});
native.keep(() => defaultObjects, (n) => {
  defaultObjects = n;
});

function highWaterMark(options, isObjectMode, duplexKey) {
  const own = options?.highWaterMark ?? options?.[duplexKey];
  if (own === undefined || own === null) return isObjectMode ? defaultObjects : defaultBytes;
  if (!Number.isInteger(own) || own < 0) {
    throw typeError('ERR_INVALID_ARG_VALUE', `The property 'options.highWaterMark' is invalid. Received ${own}`);
  }
  return own;
}

// --- The base: what old code inherits from --------------------------------------------------------------------------------------------

function Stream(options) {
  EventEmitter.call(this, options);
}
inherit(Stream, EventEmitter);

function inherit(child, parent) {
  Object.setPrototypeOf(child.prototype, parent.prototype);
  Object.setPrototypeOf(child, parent);
}

Stream.prototype.pipe = function (target, options) {
  return Readable.prototype.pipe.call(this, target, options);
};

// --- Ending, one way or the other -------------------------------------------------------------------------------------------------------

function destroy(error, callback) {
  const r = this._readableState;
  const w = this._writableState;
  if (r?.destroyed || w?.destroyed) {
    if (typeof callback === 'function') callback();
    return this;
  }
  noteError(r, w, error);
  if (r) r.destroyed = true;
  if (w) w.destroyed = true;
  const state = w ?? r;
  if (!state.constructed) this.once('constructed', (problem) => runDestroy(this, problem ?? error, callback));
  else runDestroy(this, error, callback);
  return this;
}

function noteError(r, w, error) {
  if (!error) return;
  error.stack;
  if (w && !w.errored) w.errored = error;
  if (r && !r.errored) r.errored = error;
}

function runDestroy(stream, error, callback) {
  const r = stream._readableState;
  const w = stream._writableState;
  let called = false;
  const done = (problem) => {
    if (called) return;
    called = true;
    noteError(r, w, problem);
    if (w) w.closed = true;
    if (r) r.closed = true;
    if (typeof callback === 'function') callback(problem);
    tick(() => {
      if (problem) emitError(stream, problem);
      emitClose(stream);
    });
  };
  try {
    stream._destroy(error ?? null, done);
  } catch (problem) {
    done(problem);
  }
}

function emitClose(stream) {
  const r = stream._readableState;
  const w = stream._writableState;
  if (w) w.closeEmitted = true;
  if (r) r.closeEmitted = true;
  if (w?.emitClose || r?.emitClose) stream.emit('close');
}

function emitError(stream, error) {
  const r = stream._readableState;
  const w = stream._writableState;
  if (w?.errorEmitted || r?.errorEmitted) return;
  if (w) w.errorEmitted = true;
  if (r) r.errorEmitted = true;
  stream.emit('error', error);
}

function fail(stream, error, isSync) {
  const r = stream._readableState;
  const w = stream._writableState;
  if (w?.destroyed || r?.destroyed) return;
  if (r?.autoDestroy || w?.autoDestroy) {
    stream.destroy(error);
    return;
  }
  noteError(r, w, error);
  if (isSync) tick(emitError, stream, error);
  else emitError(stream, error);
}

function construct(stream, then) {
  const r = stream._readableState;
  const w = stream._writableState;
  if (typeof stream._construct !== 'function') return;
  if (r) r.constructed = false;
  if (w) w.constructed = false;
  tick(() => {
    let called = false;
    const done = (problem) => {
      if (called) return;
      called = true;
      if (r) r.constructed = true;
      if (w) w.constructed = true;
      if (r?.destroyed || w?.destroyed) stream.emit('constructed', problem);
      else if (problem) fail(stream, problem, true);
      else tick(then);
    };
    try {
      stream._construct((problem) => tick(done, problem));
    } catch (problem) {
      tick(done, problem);
    }
  });
}

function watchSignal(stream, signal) {
  if (!signal) return;
  const aborted = () => stream.destroy(abortError(signal.reason));
  if (signal.aborted) aborted();
  else signal.addEventListener('abort', aborted, { once: true });
}

// --- Readable ---------------------------------------------------------------------------------------------------------------------------

class ReadableState {
  constructor(options, isDuplex) {
    this.objectMode = Boolean(options?.objectMode || (isDuplex && options?.readableObjectMode));
    this.highWaterMark = highWaterMark(options, this.objectMode, 'readableHighWaterMark');
    this.buffer = [];
    this.length = 0;
    this.pipes = [];
    this.flowing = null;
    this.ended = false;
    this.endEmitted = false;
    this.reading = false;
    this.constructed = true;
    this.sync = true;
    this.needReadable = false;
    this.emittedReadable = false;
    this.readableListening = false;
    this.resumeScheduled = false;
    this.errorEmitted = false;
    this.emitClose = options?.emitClose !== false;
    this.autoDestroy = options?.autoDestroy !== false;
    this.destroyed = false;
    this.errored = null;
    this.closed = false;
    this.closeEmitted = false;
    this.defaultEncoding = options?.defaultEncoding ?? 'utf8';
    this.awaitDrain = new Set();
    this.readingMore = false;
    this.dataEmitted = false;
    this.decoder = null;
    this.encoding = null;
    this.paused = false;
    if (options?.encoding) {
      const { StringDecoder } = require('string_decoder');
      this.decoder = new StringDecoder(options.encoding);
      this.encoding = options.encoding;
    }
  }
}

function Readable(options) {
  if (!(this instanceof Readable)) return new Readable(options);
  this._readableState = new ReadableState(options, this instanceof Duplex);
  takeMethods(this, options, ['read', 'destroy', 'construct']);
  Stream.call(this, options);
  watchSignal(this, options?.signal);
  construct(this, () => {
    if (this._readableState.needReadable) readMore(this, this._readableState);
  });
  return undefined;
}
inherit(Readable, Stream);

function takeMethods(stream, options, names) {
  if (!options) return;
  for (const name of names) if (typeof options[name] === 'function') stream[`_${name}`] = options[name];
}

function addChunk(stream, state, chunk, isFirst) {
  if (state.flowing && state.length === 0 && !state.sync && stream.listenerCount('data') > 0) {
    state.awaitDrain.clear();
    state.dataEmitted = true;
    stream.emit('data', chunk);
  } else {
    state.length += state.objectMode ? 1 : chunk.length;
    if (isFirst) state.buffer.unshift(chunk);
    else state.buffer.push(chunk);
    if (state.needReadable) emitReadable(stream);
  }
  readMore(stream, state);
}

function pushChunk(stream, given, encoding, isFirst) {
  const state = stream._readableState;
  let chunk = given;
  if (!state.objectMode) {
    if (typeof chunk === 'string') {
      const name = encoding || state.defaultEncoding;
      if (state.encoding !== name || isFirst) {
        if (isFirst && state.encoding) chunk = Buffer.from(chunk, name).toString(state.encoding);
        else chunk = Buffer.from(chunk, name);
      }
    } else if (chunk instanceof Uint8Array) {
      if (!(chunk instanceof Buffer)) chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    } else if (chunk !== null && chunk !== undefined) {
      fail(stream, invalidArgType('chunk', 'of type string or an instance of Buffer, TypedArray, or DataView', chunk), state.sync);
      return false;
    }
  }
  if (chunk === null) {
    state.reading = false;
    endOfInput(stream, state);
  } else if (state.objectMode || (chunk !== undefined && chunk.length > 0)) {
    if (isFirst) {
      if (state.endEmitted) fail(stream, codedError('ERR_STREAM_UNSHIFT_AFTER_END_EVENT', 'stream.unshift() after end event'));
      else if (state.destroyed || state.errored) return false;
      else addChunk(stream, state, chunk, true);
    } else if (state.ended) {
      fail(stream, codedError('ERR_STREAM_PUSH_AFTER_EOF', 'stream.push() after EOF'));
    } else if (state.destroyed || state.errored) {
      return false;
    } else {
      state.reading = false;
      if (state.decoder && typeof chunk !== 'string') {
        chunk = state.decoder.write(chunk);
        if (state.objectMode || chunk.length > 0) addChunk(stream, state, chunk, false);
        else readMore(stream, state);
      } else {
        addChunk(stream, state, chunk, false);
      }
    }
  } else if (!isFirst) {
    state.reading = false;
    readMore(stream, state);
  }
  return !state.ended && (state.length < state.highWaterMark || state.length === 0);
}

function endOfInput(stream, state) {
  if (state.ended) return;
  if (state.decoder) {
    const rest = state.decoder.end();
    if (rest && rest.length > 0) {
      state.buffer.push(rest);
      state.length += state.objectMode ? 1 : rest.length;
    }
  }
  state.ended = true;
  if (state.sync) {
    emitReadable(stream);
  } else {
    state.needReadable = false;
    state.emittedReadable = true;
    emitReadableNow(stream);
  }
}

function emitReadable(stream) {
  const state = stream._readableState;
  state.needReadable = false;
  if (state.emittedReadable) return;
  state.emittedReadable = true;
  tick(emitReadableNow, stream);
}

function emitReadableNow(stream) {
  const state = stream._readableState;
  if (!state.destroyed && !state.errored && (state.length > 0 || state.ended)) {
    stream.emit('readable');
    state.emittedReadable = false;
  }
  state.needReadable = !state.flowing && !state.ended && state.length <= state.highWaterMark;
  flow(stream);
}

function readMore(stream, state) {
  if (state.readingMore || !state.constructed) return;
  state.readingMore = true;
  tick(() => {
    while (!state.reading && !state.ended && (state.length < state.highWaterMark || (state.flowing && state.length === 0))) {
      const before = state.length;
      stream.read(0);
      if (before === state.length) break;
    }
    state.readingMore = false;
  });
}

function flow(stream) {
  const state = stream._readableState;
  while (state.flowing && stream.read() !== null);
}

function howMuch(n, state) {
  if (n <= 0 || (state.length === 0 && state.ended)) return 0;
  if (state.objectMode) return 1;
  if (Number.isNaN(n)) return state.flowing && state.length > 0 ? state.buffer[0].length : state.length;
  if (n <= state.length) return n;
  return state.ended ? state.length : 0;
}

function take(n, state) {
  if (state.length === 0) return null;
  const { buffer } = state;
  if (state.objectMode) return buffer.shift();
  if (!n || n >= state.length) {
    const all = state.decoder ? buffer.join('') : buffer.length === 1 ? buffer[0] : Buffer.concat(buffer, state.length);
    state.buffer = [];
    return all;
  }
  if (n === buffer[0].length) return buffer.shift();
  const pieces = [];
  let rest = n;
  while (rest > 0) {
    const first = buffer[0];
    if (first.length <= rest) {
      pieces.push(buffer.shift());
      rest -= first.length;
    } else {
      pieces.push(first.slice(0, rest));
      buffer[0] = first.slice(rest);
      rest = 0;
    }
  }
  if (pieces.length === 1) return pieces[0];
  return state.decoder ? pieces.join('') : Buffer.concat(pieces, n);
}

function endReadable(stream) {
  const state = stream._readableState;
  if (state.endEmitted) return;
  state.ended = true;
  tick(() => {
    if (state.errored || state.closeEmitted || state.endEmitted || state.length > 0) return;
    state.endEmitted = true;
    stream.emit('end');
    const w = stream._writableState;
    if (stream.writable && stream.allowHalfOpen === false) {
      tick(() => {
        if (stream.writable && !stream.writableEnded && !stream.destroyed) stream.end();
      });
    } else if (state.autoDestroy && (!w || (w.autoDestroy && (w.finished || w.writable === false)))) {
      stream.destroy();
    }
  });
}

const readable = {
  _read() {
    throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'The _read() method is not implemented');
  },
  _destroy(error, callback) {
    callback(error);
  },
  destroy,
  push(chunk, encoding) {
    return pushChunk(this, chunk, encoding, false);
  },
  unshift(chunk, encoding) {
    return pushChunk(this, chunk, encoding, true);
  },
  isPaused() {
    return this._readableState.paused === true || this._readableState.flowing === false;
  },
  setEncoding(encoding) {
    const { StringDecoder } = require('string_decoder');
    const state = this._readableState;
    const decoder = new StringDecoder(encoding);
    state.decoder = decoder;
    state.encoding = decoder.encoding;
    const text = state.buffer.map((chunk) => decoder.write(chunk)).join('');
    state.buffer = text === '' ? [] : [text];
    state.length = text.length;
    return this;
  },
  read(size) {
    const state = this._readableState;
    let n = size === undefined ? NaN : Number.parseInt(size, 10);
    const asked = n;
    if (n > state.highWaterMark) state.highWaterMark = powerOfTwo(n);
    if (n !== 0) state.emittedReadable = false;
    if (n === 0 && state.needReadable && ((state.highWaterMark !== 0 ? state.length >= state.highWaterMark : state.length > 0) || state.ended)) {
      if (state.length === 0 && state.ended) endReadable(this);
      else emitReadable(this);
      return null;
    }
    n = howMuch(n, state);
    if (n === 0 && state.ended) {
      if (state.length === 0) endReadable(this);
      return null;
    }
    let wants = state.needReadable;
    if (state.length === 0 || state.length - n < state.highWaterMark) wants = true;
    if (state.ended || state.reading || state.destroyed || state.errored || !state.constructed) wants = false;
    else if (wants) {
      state.reading = true;
      state.sync = true;
      if (state.length === 0) state.needReadable = true;
      try {
        this._read(state.highWaterMark);
      } catch (problem) {
        fail(this, problem);
      }
      state.sync = false;
      if (!state.reading) n = howMuch(asked, state);
    }
    const chunk = n > 0 ? take(n, state) : null;
    if (chunk === null) {
      state.needReadable = state.length <= state.highWaterMark;
      n = 0;
    } else {
      state.length -= n;
      state.awaitDrain.clear();
    }
    if (state.length === 0) {
      if (!state.ended) state.needReadable = true;
      if (asked !== n && state.ended) endReadable(this);
    }
    if (chunk !== null && !state.errored && !state.closeEmitted) {
      state.dataEmitted = true;
      this.emit('data', chunk);
    }
    return chunk;
  },
  on(name, listener) {
    const state = this._readableState;
    Stream.prototype.on.call(this, name, listener);
    if (!state) return this;
    if (name === 'data') {
      state.readableListening = this.listenerCount('readable') > 0;
      if (state.flowing !== false) this.resume();
    } else if (name === 'readable' && !state.endEmitted && !state.readableListening) {
      state.readableListening = true;
      state.needReadable = true;
      state.flowing = false;
      state.emittedReadable = false;
      if (state.length > 0) emitReadable(this);
      else if (!state.reading) tick(() => this.read(0));
    }
    return this;
  },
  removeListener(name, listener) {
    Stream.prototype.removeListener.call(this, name, listener);
    if (name === 'readable' && this._readableState) tick(updateListening, this);
    return this;
  },
  removeAllListeners(name) {
    const result = Stream.prototype.removeAllListeners.apply(this, arguments);
    if ((name === 'readable' || name === undefined) && this._readableState) tick(updateListening, this);
    return result;
  },
  resume() {
    const state = this._readableState;
    if (!state.flowing) {
      state.flowing = !state.readableListening;
      if (!state.resumeScheduled) {
        state.resumeScheduled = true;
        tick(resumeNow, this, state);
      }
    }
    state.paused = false;
    return this;
  },
  pause() {
    const state = this._readableState;
    if (state.flowing !== false) {
      state.flowing = false;
      this.emit('pause');
    }
    state.paused = true;
    return this;
  },
  wrap(old) {
    old.on('data', (chunk) => {
      if (!this.push(chunk)) old.pause?.();
    });
    old.on('end', () => this.push(null));
    old.on('error', (error) => fail(this, error));
    old.on('close', () => this.destroy());
    this._read = () => old.resume?.();
    return this;
  },
  pipe(target, options) {
    const source = this;
    const state = this._readableState;
    const mayEnd = options?.end !== false;
    if (state) state.pipes.push(target);
    let isClean = false;
    const onData = (chunk) => {
      if (target.write(chunk) === false) pause();
    };
    const pause = () => {
      if (isClean) return;
      if (state) state.awaitDrain.add(target);
      source.pause?.();
      target.once('drain', drained);
    };
    const drained = () => {
      if (!state) {
        source.resume?.();
        return;
      }
      state.awaitDrain.delete(target);
      if (state.awaitDrain.size === 0 && source.listenerCount('data') > 0) source.resume();
    };
    const onEnd = () => target.end();
    const onFinish = () => {
      target.removeListener('close', onClose);
      source.unpipe?.(target);
    };
    const onClose = () => {
      target.removeListener('finish', onFinish);
      source.unpipe?.(target);
    };
    const onError = (error) => {
      source.unpipe?.(target);
      target.removeListener('error', onError);
      if (target.listenerCount('error') === 0) {
        if (target._writableState ?? target._readableState) fail(target, error);
        else target.emit('error', error);
      }
    };
    const clean = () => {
      isClean = true;
      target.removeListener('close', onClose);
      target.removeListener('finish', onFinish);
      target.removeListener('drain', drained);
      target.removeListener('error', onError);
      target.removeListener('unpipe', onUnpipe);
      source.removeListener('end', onEnd);
      source.removeListener('end', unpipe);
      source.removeListener('data', onData);
    };
    const unpipe = () => source.unpipe?.(target);
    const onUnpipe = (from, info) => {
      if (from === source && info && !info.hasUnpiped) {
        info.hasUnpiped = true;
        clean();
      }
    };
    const after = mayEnd ? onEnd : unpipe;
    if (state?.endEmitted) tick(after);
    else source.once('end', after);
    target.on('unpipe', onUnpipe);
    source.on('data', onData);
    target.prependListener('error', onError);
    target.once('close', onClose);
    target.once('finish', onFinish);
    target.emit('pipe', source);
    if (target.writableNeedDrain === true) pause();
    else if (state && !state.flowing) source.resume();
    return target;
  },
  unpipe(target) {
    const state = this._readableState;
    if (state.pipes.length === 0) return this;
    const gone = target === undefined ? state.pipes.splice(0) : state.pipes.filter((one) => one === target).slice(0, 1);
    if (target === undefined) this.pause();
    else if (gone.length > 0) {
      state.pipes.splice(state.pipes.indexOf(target), 1);
      if (state.pipes.length === 0) this.pause();
    }
    for (const one of gone) one.emit('unpipe', this, { hasUnpiped: false });
    return this;
  },
  [Symbol.asyncIterator]() {
    return iterate(this, true);
  },
  iterator(options) {
    return iterate(this, options?.destroyOnReturn !== false);
  },
};

function resumeNow(stream, state) {
  if (!state.reading) stream.read(0);
  state.resumeScheduled = false;
  stream.emit('resume');
  flow(stream);
  if (state.flowing && !state.reading) stream.read(0);
}

function updateListening(stream) {
  const state = stream._readableState;
  state.readableListening = stream.listenerCount('readable') > 0;
  if (state.resumeScheduled && !state.paused) state.flowing = true;
  else if (stream.listenerCount('data') > 0) stream.resume();
  else if (!state.readableListening) state.flowing = null;
}

function powerOfTwo(n) {
  if (n > 0x40000000) throw require('errors').outOfRange('size', '<= 1GiB', n);
  return 2 ** Math.ceil(Math.log2(n));
}

async function* iterate(stream, destroys) {
  let wake = noop;
  let end;
  const next = () => wake();
  const { finished } = require('stream-end');
  stream.on('readable', next);
  const clean = finished(stream, { writable: false }, (error) => {
    end = error ?? null;
    wake();
    wake = noop;
  });
  try {
    for (;;) {
      const chunk = stream.destroyed ? null : stream.read();
      if (chunk !== null) yield chunk;
      else if (end) throw end;
      else if (end === null) return;
      else {
        await new Promise((resolve) => {
          wake = resolve;
          if (end !== undefined) resolve();
        });
      }
    }
  } catch (problem) {
    end = problem;
    throw problem;
  } finally {
    if ((end || destroys) && (end === undefined || stream._readableState.autoDestroy)) {
      if (end === undefined || end || !stream.destroyed) stream.destroy(end || null);
    } else {
      stream.removeListener('readable', next);
      clean();
    }
  }
}

define(Readable.prototype, readable, {
  readable: {
    get() {
      const r = this._readableState;
      return Boolean(r) && r.readable !== false && !r.destroyed && !r.errorEmitted && !r.endEmitted;
    },
    set(value) {
      if (this._readableState) this._readableState.readable = Boolean(value);
    },
  },
  readableFlowing: {
    get() {
      return this._readableState.flowing;
    },
    set(value) {
      this._readableState.flowing = value;
    },
  },
  readableDidRead: get((s) => s._readableState.dataEmitted),
  readableAborted: get((s) => s.destroyed && !s._readableState.endEmitted),
  readableHighWaterMark: get((s) => s._readableState.highWaterMark),
  readableLength: get((s) => s._readableState.length),
  readableObjectMode: get((s) => s._readableState.objectMode),
  readableEncoding: get((s) => s._readableState.encoding),
  readableEnded: get((s) => s._readableState.endEmitted),
  closed: get((s) => Boolean(s._readableState?.closed)),
  errored: get((s) => s._readableState?.errored ?? null),
  destroyed: {
    get() {
      return Boolean(this._readableState?.destroyed);
    },
    set(value) {
      if (this._readableState) this._readableState.destroyed = value;
    },
  },
});
Readable.prototype.addListener = Readable.prototype.on;
Readable.prototype.off = Readable.prototype.removeListener;

function get(getter) {
  return {
    get() {
      return getter(this);
    },
  };
}

function define(target, methods, accessors) {
  for (const name of Reflect.ownKeys(methods)) {
    Object.defineProperty(target, name, { value: methods[name], writable: true, configurable: true, enumerable: typeof name === 'string' });
  }
  for (const name of Object.keys(accessors)) Object.defineProperty(target, name, { ...accessors[name], configurable: true, enumerable: false });
}

Readable.ReadableState = ReadableState;

Readable.from = function (source, options) {
  if (typeof source === 'string' || source instanceof Buffer) {
    return new Readable({
      objectMode: true,
      ...options,
      read() {
        this.push(source);
        this.push(null);
      },
    });
  }
  const iterator = source?.[Symbol.asyncIterator]?.() ?? source?.[Symbol.iterator]?.();
  if (iterator === undefined) throw invalidArgType('iterable', 'an instance of Iterable', source);
  let isReading = false;
  const stream = new Readable({
    objectMode: true,
    highWaterMark: 1,
    ...options,
    read() {
      if (isReading) return;
      isReading = true;
      pull();
    },
    destroy(error, callback) {
      const close = async () => {
        if (error && typeof iterator.throw === 'function') {
          const { value, done } = await iterator.throw(error);
          await value;
          if (done) return;
        }
        if (typeof iterator.return === 'function') await (await iterator.return()).value;
      };
      close().then(
        () => tick(callback, error),
        (problem) => tick(callback, problem ?? error),
      );
    },
  });
  const pull = async () => {
    try {
      for (;;) {
        const step = iterator.next();
        const { value, done } = typeof step?.then === 'function' ? await step : step;
        if (done) {
          stream.push(null);
          return;
        }
        const chunk = typeof value?.then === 'function' ? await value : value;
        if (chunk === null) {
          isReading = false;
          throw typeError('ERR_STREAM_NULL_VALUES', 'May not write null values to stream');
        }
        if (!stream.push(chunk)) break;
      }
      isReading = false;
    } catch (problem) {
      stream.destroy(problem);
    }
  };
  return stream;
};
Readable.fromWeb = (web, options) => Readable.from(web, options);
Readable.toWeb = () => {
  throw notOffered('Readable.toWeb');
};

// --- Writable ---------------------------------------------------------------------------------------------------------------------------

class WritableState {
  constructor(options, isDuplex) {
    this.objectMode = Boolean(options?.objectMode || (isDuplex && options?.writableObjectMode));
    this.highWaterMark = highWaterMark(options, this.objectMode, 'writableHighWaterMark');
    this.decodeStrings = options?.decodeStrings !== false;
    this.defaultEncoding = options?.defaultEncoding ?? 'utf8';
    this.length = 0;
    this.writing = false;
    this.corked = 0;
    this.sync = true;
    this.writeCallback = null;
    this.writeLength = 0;
    this.buffered = [];
    this.pending = 0;
    this.constructed = true;
    this.prefinished = false;
    this.finalCalled = false;
    this.ending = false;
    this.ended = false;
    this.finished = false;
    this.needDrain = false;
    this.errorEmitted = false;
    this.emitClose = options?.emitClose !== false;
    this.autoDestroy = options?.autoDestroy !== false;
    this.destroyed = false;
    this.errored = null;
    this.closed = false;
    this.closeEmitted = false;
    this.onFinished = [];
  }
}

function Writable(options) {
  if (!(this instanceof Writable) && !(this instanceof Duplex)) return new Writable(options);
  this._writableState = new WritableState(options, this instanceof Duplex);
  takeMethods(this, options, ['write', 'writev', 'destroy', 'final', 'construct']);
  if (this instanceof Duplex) return undefined;
  Stream.call(this, options);
  watchSignal(this, options?.signal);
  construct(this, () => startWriting(this));
  return undefined;
}
inherit(Writable, Stream);

function startWriting(stream) {
  const state = stream._writableState;
  if (!state.writing) clearBuffer(stream, state);
  finishMaybe(stream, state);
}

Object.defineProperty(Writable, Symbol.hasInstance, {
  value(object) {
    if (Function.prototype[Symbol.hasInstance].call(this, object)) return true;
    return this === Writable && Boolean(object) && object._writableState instanceof WritableState;
  },
});

function writeChunk(stream, given, encoding, callback) {
  const state = stream._writableState;
  let name = encoding;
  let done = callback;
  if (typeof name === 'function') {
    done = name;
    name = undefined;
  }
  if (typeof done !== 'function') done = noop;
  let chunk = given;
  if (chunk === null) throw typeError('ERR_STREAM_NULL_VALUES', 'May not write null values to stream');
  if (!state.objectMode) {
    if (typeof chunk === 'string') {
      name ??= state.defaultEncoding;
      if (name !== 'buffer' && !Buffer.isEncoding(name)) throw typeError('ERR_UNKNOWN_ENCODING', `Unknown encoding: ${name}`);
      if (state.decodeStrings) {
        chunk = Buffer.from(chunk, name);
        name = 'buffer';
      }
    } else if (chunk instanceof Uint8Array) {
      if (!(chunk instanceof Buffer)) chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      name = 'buffer';
    } else {
      throw invalidArgType('chunk', 'of type string or an instance of Buffer, TypedArray, or DataView', chunk);
    }
  } else {
    name ??= state.defaultEncoding;
  }
  let problem;
  if (state.ending) problem = codedError('ERR_STREAM_WRITE_AFTER_END', 'write after end');
  else if (state.destroyed) problem = codedError('ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed');
  if (problem) {
    tick(done, problem);
    fail(stream, problem, true);
    return problem;
  }
  state.pending += 1;
  const length = state.objectMode ? 1 : chunk.length;
  state.length += length;
  const hasRoom = state.length < state.highWaterMark;
  if (!hasRoom) state.needDrain = true;
  if (state.writing || state.corked || state.errored || !state.constructed) {
    state.buffered.push({ chunk, encoding: name, callback: done, length });
  } else {
    writeOne(stream, state, chunk, name, length, done);
  }
  return hasRoom && !state.errored && !state.destroyed;
}

function writeOne(stream, state, chunk, encoding, length, callback) {
  startWrite(state, length, callback);
  if (state.destroyed) afterOne(stream, state, codedError('ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'));
  else if (!chunk || typeof stream._write === 'function') stream._write(chunk, encoding, onceOnly(stream, state));
  state.sync = false;
}

function startWrite(state, length, callback) {
  state.writeLength = length;
  state.writeCallback = callback;
  state.writing = true;
  state.sync = true;
}

function onceOnly(stream, state) {
  let called = false;
  return (error) => {
    if (called) {
      fail(stream, codedError('ERR_MULTIPLE_CALLBACK', 'Callback called multiple times'));
      return;
    }
    called = true;
    afterOne(stream, state, error);
  };
}

function afterOne(stream, state, error) {
  const callback = state.writeCallback;
  const isSync = state.sync;
  state.writing = false;
  state.writeCallback = null;
  state.length -= state.writeLength;
  state.writeLength = 0;
  if (error) {
    noteError(stream._readableState, state, error);
    const failed = () => {
      state.pending -= 1;
      callback(error);
      failBuffer(state);
      fail(stream, error);
    };
    if (isSync) tick(failed);
    else failed();
    return;
  }
  if (state.buffered.length > 0) clearBuffer(stream, state);
  if (isSync) tick(afterWrite, stream, state, callback);
  else afterWrite(stream, state, callback);
}

function afterWrite(stream, state, callback) {
  const drains = !state.ending && !state.destroyed && state.length === 0 && state.needDrain;
  if (drains) {
    state.needDrain = false;
    stream.emit('drain');
  }
  state.pending -= 1;
  callback(null);
  if (state.destroyed) failBuffer(state);
  finishMaybe(stream, state);
}

// What waits is not written any more.
function failBuffer(state) {
  if (state.writing) return;
  for (const { callback, length } of state.buffered.splice(0)) {
    state.length -= length;
    callback(state.errored ?? codedError('ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'));
  }
  for (const callback of state.onFinished.splice(0)) {
    callback(state.errored ?? codedError('ERR_STREAM_DESTROYED', 'Cannot call end after a stream was destroyed'));
  }
}

function clearBuffer(stream, state) {
  if (state.corked || state.clearing || state.destroyed || !state.constructed) return;
  state.clearing = true;
  if (typeof stream._writev === 'function' && state.buffered.length > 1) {
    const all = state.buffered.splice(0);
    state.pending -= all.length - 1;
    const length = all.reduce((sum, one) => sum + one.length, 0);
    const chunks = all.map(({ chunk, encoding }) => ({ chunk, encoding }));
    startWrite(state, length, (error) => all.forEach(({ callback }) => callback(error)));
    stream._writev(chunks, onceOnly(stream, state));
    state.sync = false;
  } else {
    while (state.buffered.length > 0 && !state.writing) {
      const { chunk, encoding, length, callback } = state.buffered.shift();
      writeOne(stream, state, chunk, encoding, length, callback);
    }
  }
  state.clearing = false;
}

function canFinish(state) {
  return (
    state.ending &&
    !state.destroyed &&
    state.constructed &&
    state.length === 0 &&
    !state.errored &&
    state.buffered.length === 0 &&
    !state.finished &&
    !state.writing &&
    !state.errorEmitted &&
    !state.closeEmitted
  );
}

function prefinish(stream, state) {
  if (state.prefinished || state.finalCalled) return;
  if (typeof stream._final !== 'function' || state.destroyed) {
    state.prefinished = true;
    stream.emit('prefinish');
    return;
  }
  state.finalCalled = true;
  state.pending += 1;
  let called = false;
  const done = (error) => {
    if (called) {
      fail(stream, error ?? codedError('ERR_MULTIPLE_CALLBACK', 'Callback called multiple times'));
      return;
    }
    called = true;
    state.pending -= 1;
    if (error) {
      for (const callback of state.onFinished.splice(0)) callback(error);
      fail(stream, error, state.sync);
    } else if (canFinish(state)) {
      state.prefinished = true;
      stream.emit('prefinish');
      state.pending += 1;
      tick(finish, stream, state);
    }
  };
  try {
    stream._final(done);
  } catch (problem) {
    done(problem);
  }
}

function finishMaybe(stream, state, isSync) {
  if (!canFinish(state)) return;
  prefinish(stream, state);
  if (state.pending > 0) return;
  state.pending += 1;
  if (isSync) {
    tick(() => {
      if (canFinish(state)) finish(stream, state);
      else state.pending -= 1;
    });
  } else {
    finish(stream, state);
  }
}

function finish(stream, state) {
  state.pending -= 1;
  state.finished = true;
  for (const callback of state.onFinished.splice(0)) callback();
  stream.emit('finish');
  const r = stream._readableState;
  if (state.autoDestroy && (!r || (r.autoDestroy && (r.endEmitted || r.readable === false)))) stream.destroy();
}

const writable = {
  _write(chunk, encoding, callback) {
    if (typeof this._writev === 'function') this._writev([{ chunk, encoding }], callback);
    else throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'The _write() method is not implemented');
  },
  _destroy(error, callback) {
    callback(error);
  },
  write(chunk, encoding, callback) {
    return writeChunk(this, chunk, encoding, callback) === true;
  },
  cork() {
    this._writableState.corked += 1;
  },
  uncork() {
    const state = this._writableState;
    if (state.corked === 0) return;
    state.corked -= 1;
    if (!state.writing) clearBuffer(this, state);
  },
  setDefaultEncoding(encoding) {
    if (!Buffer.isEncoding(encoding)) throw typeError('ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`);
    this._writableState.defaultEncoding = encoding;
    return this;
  },
  end(given, encoding, callback) {
    const state = this._writableState;
    let [chunk, name, done] = [given, encoding, callback];
    if (typeof chunk === 'function') [chunk, done] = [undefined, chunk];
    else if (typeof name === 'function') [name, done] = [undefined, name];
    let problem;
    if (chunk !== null && chunk !== undefined) {
      const result = writeChunk(this, chunk, name);
      if (result instanceof Error) problem = result;
    }
    if (state.corked) {
      state.corked = 1;
      this.uncork();
    }
    if (!problem && !state.errored && !state.ending) {
      state.ending = true;
      finishMaybe(this, state, true);
      state.ended = true;
    } else if (!problem && state.finished) {
      problem = codedError('ERR_STREAM_ALREADY_FINISHED', 'Cannot call end after a stream was finished');
    } else if (!problem && state.destroyed) {
      problem = codedError('ERR_STREAM_DESTROYED', 'Cannot call end after a stream was destroyed');
    }
    if (typeof done === 'function') {
      if (problem) tick(done, problem);
      else if (state.finished) tick(done);
      else state.onFinished.push(done);
    }
    return this;
  },
  destroy(error, callback) {
    const state = this._writableState;
    if (!state.destroyed && (state.buffered.length > 0 || state.onFinished.length > 0)) tick(failBuffer, state);
    return destroy.call(this, error, callback);
  },
};

const writableAccessors = {
  writable: {
    get() {
      const w = this._writableState;
      return Boolean(w) && w.writable !== false && !w.destroyed && !w.errored && !w.ending && !w.ended;
    },
    set(value) {
      if (this._writableState) this._writableState.writable = Boolean(value);
    },
  },
  writableFinished: get((s) => Boolean(s._writableState?.finished)),
  writableObjectMode: get((s) => Boolean(s._writableState?.objectMode)),
  writableEnded: get((s) => Boolean(s._writableState?.ending)),
  writableNeedDrain: get((s) => {
    const w = s._writableState;
    return Boolean(w) && !w.destroyed && !w.ending && w.needDrain;
  }),
  writableHighWaterMark: get((s) => s._writableState?.highWaterMark),
  writableCorked: get((s) => s._writableState?.corked ?? 0),
  writableLength: get((s) => s._writableState?.length),
  writableAborted: get((s) => Boolean(s._writableState && (s._writableState.destroyed || s._writableState.errored) && !s._writableState.finished)),
};

define(Writable.prototype, writable, {
  ...writableAccessors,
  closed: get((s) => Boolean(s._writableState?.closed)),
  errored: get((s) => s._writableState?.errored ?? null),
  destroyed: {
    get() {
      return Boolean(this._writableState?.destroyed);
    },
    set(value) {
      if (this._writableState) this._writableState.destroyed = value;
    },
  },
});
Writable.prototype.pipe = function () {
  fail(this, codedError('ERR_STREAM_CANNOT_PIPE', 'Cannot pipe, not readable'));
};
Writable.WritableState = WritableState;

// --- Both -------------------------------------------------------------------------------------------------------------------------------

function Duplex(options) {
  if (!(this instanceof Duplex)) return new Duplex(options);
  this._readableState = new ReadableState(options, true);
  this._writableState = new WritableState(options, true);
  this.allowHalfOpen = options?.allowHalfOpen !== false;
  takeMethods(this, options, ['read', 'write', 'writev', 'destroy', 'final', 'construct']);
  if (options?.readable === false) {
    this._readableState.readable = false;
    this._readableState.ended = true;
    this._readableState.endEmitted = true;
  }
  if (options?.writable === false) {
    this._writableState.writable = false;
    this._writableState.ending = true;
    this._writableState.ended = true;
    this._writableState.finished = true;
  }
  Stream.call(this, options);
  watchSignal(this, options?.signal);
  construct(this, () => {
    startWriting(this);
    if (this._readableState.needReadable) readMore(this, this._readableState);
  });
  return undefined;
}
inherit(Duplex, Readable);
define(
  Duplex.prototype,
  { ...writable, destroy: writable.destroy },
  {
    ...writableAccessors,
    destroyed: {
      get() {
        return Boolean(this._readableState?.destroyed && this._writableState?.destroyed);
      },
      set(value) {
        if (this._readableState) this._readableState.destroyed = value;
        if (this._writableState) this._writableState.destroyed = value;
      },
    },
  },
);
Duplex.from = (source) => {
  if (source instanceof Duplex) return source;
  const inner = Readable.from(source);
  const duplex = new Duplex({
    objectMode: true,
    writable: false,
    read() {
      inner.resume();
    },
    destroy(error, callback) {
      inner.destroy(error);
      callback(error);
    },
  });
  inner.on('data', (chunk) => {
    if (!duplex.push(chunk)) inner.pause();
  });
  inner.on('end', () => duplex.push(null));
  inner.on('error', (error) => duplex.destroy(error));
  inner.pause();
  return duplex;
};

const TRANSFORM = Symbol('callback');

function Transform(options) {
  if (!(this instanceof Transform)) return new Transform(options);
  Duplex.call(this, options);
  this._readableState.sync = false;
  this[TRANSFORM] = null;
  takeMethods(this, options, ['transform', 'flush']);
  this.on('prefinish', function () {
    if (this._final !== Transform.prototype._final) flushNow.call(this, noop);
  });
  return undefined;
}
inherit(Transform, Duplex);

function flushNow(callback) {
  const end = (error, data) => {
    if (error) {
      if (callback === noop) this.destroy(error);
      else callback(error);
      return;
    }
    if (data !== null && data !== undefined) this.push(data);
    this.push(null);
    callback();
  };
  if (typeof this._flush === 'function' && !this.destroyed) this._flush(end);
  else end();
}

define(
  Transform.prototype,
  {
    _final: flushNow,
    _transform() {
      throw codedError('ERR_METHOD_NOT_IMPLEMENTED', 'The _transform() method is not implemented');
    },
    _write(chunk, encoding, callback) {
      const r = this._readableState;
      const w = this._writableState;
      const before = r.length;
      this._transform(chunk, encoding, (error, value) => {
        if (error) {
          callback(error);
          return;
        }
        if (value !== null && value !== undefined) this.push(value);
        if (w.ended || before === r.length || r.length < r.highWaterMark) callback();
        else this[TRANSFORM] = callback;
      });
    },
    _read() {
      const callback = this[TRANSFORM];
      if (callback) {
        this[TRANSFORM] = null;
        callback();
      }
    },
  },
  {},
);

function PassThrough(options) {
  if (!(this instanceof PassThrough)) return new PassThrough(options);
  Transform.call(this, options);
  return undefined;
}
inherit(PassThrough, Transform);
PassThrough.prototype._transform = function (chunk, encoding, callback) {
  callback(null, chunk);
};

Object.assign(Stream, { Duplex, PassThrough, Readable, Stream, Transform, Writable });
// The rest is loaded when it is first looked at.
for (const name of ['addAbortSignal', 'compose', 'destroy', 'finished', 'getDefaultHighWaterMark', 'isErrored', 'isReadable', 'isWritable', 'isDisturbed', 'pipeline', 'promises', 'setDefaultHighWaterMark']) {
  Object.defineProperty(Stream, name, { get: () => require('stream-statics')[name], enumerable: true });
}

module.exports = {
  Duplex,
  PassThrough,
  Readable,
  Stream,
  Transform,
  Writable,
  getDefaultHighWaterMark: (isObjectMode) => (isObjectMode ? defaultObjects : defaultBytes),
  setDefaultHighWaterMark(isObjectMode, value) {
    if (isObjectMode) defaultObjects = value;
    else defaultBytes = value;
  },
  checkFunction,
};
native.seal(ReadableState, WritableState);
