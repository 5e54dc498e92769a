// `finished` and `pipeline`: knowing when streams are done.
const { abortError, checkFunction, error: codedError, invalidArgType } = require('errors');

const premature = () => codedError('ERR_STREAM_PREMATURE_CLOSE', 'Premature close');
const isReadable = (stream) => typeof stream?.read === 'function' || typeof stream?.readable === 'boolean' || typeof stream?._readableState === 'object';
const isWritable = (stream) => typeof stream?.write === 'function';

function finished(stream, options, callback) {
  if (typeof options === 'function') return finished(stream, {}, options);
  checkFunction(callback, 'callback');
  if (typeof stream?.on !== 'function') throw invalidArgType('stream', 'an instance of Stream', stream);
  const r = stream._readableState;
  const w = stream._writableState;
  const wantsRead = options?.readable ?? (isReadable(stream) && r?.readable !== false && (r !== undefined || w === undefined));
  const wantsWrite = options?.writable ?? (isWritable(stream) && w?.writable !== false && (w !== undefined || r === undefined));
  let readDone = Boolean(r?.endEmitted) || !wantsRead;
  let writeDone = Boolean(w?.finished) || !wantsWrite;
  let called = false;
  const done = (error) => {
    if (called) return;
    called = true;
    if (error) callback.call(stream, error);
    else callback.call(stream);
  };
  const onEnd = () => {
    readDone = true;
    if (stream.destroyed && !wantsWrite) return;
    if (writeDone) maybe();
  };
  const onFinish = () => {
    writeDone = true;
    if (stream.destroyed && !wantsRead) return;
    if (readDone) maybe();
  };
  const willClose = (r ?? w)?.autoDestroy && (r ?? w)?.emitClose && Boolean(r ? r.closed === false : w.closed === false);
  // A stream that will emit 'close' by itself is done with that.
  const maybe = () => {
    if (!willClose || stream.closed) done();
  };
  const onError = (error) => done(error);
  const onClose = () => {
    const error = w?.errored || r?.errored;
    if (error && typeof error !== 'boolean') done(error);
    else if (wantsRead && !readDone && !r?.endEmitted) done(premature());
    else if (wantsWrite && !writeDone && !w?.finished) done(premature());
    else done();
  };
  stream.on('end', onEnd);
  stream.on('finish', onFinish);
  if (options?.error !== false) stream.on('error', onError);
  stream.on('close', onClose);
  if (stream.closed || r?.closeEmitted || w?.closeEmitted) queueMicrotask(onClose);
  else if ((r?.errorEmitted || w?.errorEmitted) && !willClose) queueMicrotask(onClose);
  else if (!willClose && readDone && writeDone && (r || w)) queueMicrotask(onClose);
  const clean = () => {
    called = true;
    stream.removeListener('end', onEnd);
    stream.removeListener('finish', onFinish);
    stream.removeListener('error', onError);
    stream.removeListener('close', onClose);
  };
  const signal = options?.signal;
  if (signal) {
    const aborted = () => {
      const end = callback;
      clean();
      end.call(stream, abortError(signal.reason));
    };
    if (signal.aborted) queueMicrotask(aborted);
    else signal.addEventListener('abort', aborted, { once: true });
  }
  return clean;
}

const isStream = (value) => typeof value?.pipe === 'function' || (typeof value?.write === 'function' && typeof value?.on === 'function');
const isIterable = (value) => value !== null && value !== undefined && (typeof value[Symbol.asyncIterator] === 'function' || typeof value[Symbol.iterator] === 'function');

async function feed(source, target, mayEnd) {
  for await (const chunk of source) {
    if (target.destroyed) throw target.errored ?? premature();
    if (!target.write(chunk)) {
      await new Promise((resolve, reject) => {
        const clean = () => {
          target.removeListener('drain', drained);
          target.removeListener('close', closed);
        };
        const drained = () => {
          clean();
          resolve();
        };
        const closed = () => {
          clean();
          reject(target.errored ?? premature());
        };
        target.on('drain', drained);
        target.on('close', closed);
      });
    }
  }
  if (mayEnd) target.end();
}

function pipeline(...given) {
  let parts = given;
  const callback = parts.pop();
  checkFunction(callback, 'streams[stream.length - 1]');
  return run(parts, {}, callback);
}

function run(given, options, callback) {
  let parts = given;
  if (parts.length === 1 && Array.isArray(parts[0])) parts = parts[0];
  if (parts.length < 2) throw Object.assign(new TypeError('The "streams" argument must be specified'), { code: 'ERR_MISSING_ARGS' });
  const { Readable, PassThrough } = require('stream-core');
  const destroys = [];
  let error;
  let value;
  let left = 0;
  let isOver = false;
  const finish = (problem, isLast) => {
    if (problem && (!error || error.code === 'ERR_STREAM_PREMATURE_CLOSE')) error = problem;
    if (error && isLast !== null) while (destroys.length > 0) destroys.shift()(error);
    left -= 1;
    if (left === 0 && !isOver) {
      isOver = true;
      queueMicrotask(() => callback(error, value));
    }
  };
  const watch = (stream, reading, writing) => {
    left += 1;
    let isDone = false;
    destroys.push((problem) => {
      if (isDone) return;
      isDone = true;
      stream.destroy?.(problem ?? premature());
    });
    finished(stream, { readable: reading, writable: writing }, (problem) => {
      isDone = !problem;
      finish(problem);
    });
  };
  const signal = options.signal;
  left += 1;
  let current;
  parts.forEach((part, i) => {
    const isFirst = i === 0;
    const isLast = i === parts.length - 1;
    const endsIt = !isLast || options.end !== false;
    if (isStream(part)) {
      if (endsIt) watch(part, !isLast, !isFirst);
      if (!isFirst) {
        if (isStream(current)) current.pipe(part, { end: endsIt });
        else {
          left += 1;
          feed(current, part, endsIt).then(() => finish(), (problem) => {
            part.destroy(problem);
            finish(problem);
          });
        }
        if (!endsIt && isStream(current)) {
          left += 1;
          finished(current, { writable: false }, (problem) => finish(problem));
        }
      }
      current = part;
    } else if (typeof part === 'function') {
      const result = isFirst ? part({ signal }) : part(isIterable(current) ? current : Readable.from(current), { signal });
      if (isLast && typeof result?.then === 'function' && !isIterable(result)) {
        left += 1;
        result.then(
          (given) => {
            value = given;
            finish();
          },
          (problem) => finish(problem),
        );
        current = result;
      } else if (isLast && isIterable(result)) {
        const sink = new PassThrough({ objectMode: true });
        left += 1;
        feed(result, sink, true).then(() => finish(), (problem) => {
          sink.destroy(problem);
          finish(problem);
        });
        watch(sink, false, true);
        current = sink;
      } else if (typeof result?.then === 'function' && !isIterable(result)) {
        throw Object.assign(new TypeError(`Expected AsyncIterable to be returned from the "transform[${i - 1}]" function`), { code: 'ERR_INVALID_RETURN_VALUE' });
      } else {
        current = result;
      }
    } else if (isIterable(part) && isFirst) {
      current = part;
    } else {
      throw invalidArgType('val', 'of type function or an instance of Stream, Iterable, or AsyncIterable', part);
    }
  });
  if (signal) {
    const aborted = () => {
      left += 1;
      finish(abortError(signal.reason));
    };
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
  }
  finish(undefined, null);
  return current;
}

function finishedPromise(stream, options) {
  return new Promise((resolve, reject) => {
    const clean = finished(stream, options ?? {}, (error) => {
      if (options?.cleanup) clean();
      if (error) reject(error);
      else resolve();
    });
  });
}

function pipelinePromise(...parts) {
  let options = {};
  const last = parts.at(-1);
  if (last && typeof last === 'object' && !isStream(last) && !isIterable(last)) options = parts.pop();
  return new Promise((resolve, reject) => {
    run(parts, options, (error, value) => (error ? reject(error) : resolve(value)));
  });
}

module.exports = { finished, finishedPromise, pipeline, pipelinePromise };
