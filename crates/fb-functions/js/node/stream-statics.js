// What the module `stream` has beside classes. They are properties of `Stream`; see stream-core.js.
const core = require('stream-core');
const { finished, finishedPromise, pipeline, pipelinePromise } = require('stream-end');
const { notOffered } = require('errors');

Object.assign(exports, {
  addAbortSignal(signal, stream) {
    const stop = () => stream.destroy(require('errors').abortError(signal.reason));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    return stream;
  },
  compose() {
    throw notOffered('stream.compose');
  },
  destroy: (stream, error) => stream.destroy(error),
  finished,
  getDefaultHighWaterMark: core.getDefaultHighWaterMark,
  isErrored: (stream) => Boolean(stream?._readableState?.errored || stream?._writableState?.errored),
  isReadable: (stream) => Boolean(stream?.readable),
  isWritable: (stream) => Boolean(stream?.writable),
  isDisturbed: (stream) => Boolean(stream?._readableState && (stream.readableDidRead || stream.destroyed)),
  pipeline,
  promises: { finished: finishedPromise, pipeline: pipelinePromise },
  setDefaultHighWaterMark: core.setDefaultHighWaterMark,
});

// Own names for `util.promisify`.
const custom = Symbol.for('nodejs.util.promisify.custom');
Object.defineProperty(finished, custom, { value: finishedPromise });
Object.defineProperty(pipeline, custom, { value: pipelinePromise });
