const { Readable, Writable, Duplex, Transform, PassThrough, pipeline, finished, Stream } = require('stream');
const promises = require('stream/promises');
const { StringDecoder } = require('string_decoder');

const collect = async (stream) => {
  const all = [];
  for await (const chunk of stream) all.push(chunk);
  return all;
};
const upper = () => new Transform({
  transform(chunk, encoding, callback) {
    callback(null, chunk.toString().toUpperCase());
  },
});
const sink = (log, options) => new Writable({
  ...options,
  write(chunk, encoding, callback) {
    log.push(options?.objectMode ? chunk : chunk.toString());
    setImmediate(callback);
  },
});
const ended = (stream) => new Promise((resolve) => stream.on('close', resolve));

exports.fromIterables = async () => [await collect(Readable.from(['a', 'b'])), await collect(Readable.from('whole')), await collect(Readable.from((async function* () {
  yield 1;
  yield 2;
})()))];
exports.flowingEvents = async () => {
  const log = [];
  const r = new Readable({ read() {} });
  for (const name of ['data', 'end', 'close', 'pause', 'resume']) r.on(name, (chunk) => log.push(chunk ? `${name} ${chunk}` : name));
  r.push('a');
  r.push('b');
  r.push(null);
  await ended(r);
  return log;
};
exports.readableEvents = async () => {
  const log = [];
  const r = new Readable({ read() {} });
  r.on('readable', () => {
    let chunk;
    while ((chunk = r.read(2)) !== null) log.push(chunk.toString());
  });
  r.on('end', () => log.push('end'));
  r.push('abc');
  r.push('de');
  r.push(null);
  await ended(r);
  return log;
};
exports.backpressureOfWritable = async () => {
  const log = [];
  const w = sink(log, { highWaterMark: 3 });
  w.on('drain', () => log.push('drain'));
  log.push(w.write('a'), w.write('bc'), w.writableNeedDrain, w.writableLength);
  await new Promise((resolve) => w.once('drain', resolve));
  w.end('z');
  await ended(w);
  return [...log, w.writableFinished, w.writableEnded, w.destroyed];
};
exports.pushReturnsFalseWhenFull = () => {
  const r = new Readable({ highWaterMark: 3, read() {} });
  return [r.push('a'), r.push('bc'), r.readableLength, r.readableHighWaterMark];
};
exports.objectMode = async () => {
  const log = [];
  await promises.pipeline(Readable.from([{ a: 1 }, 2, 'x']), sink(log, { objectMode: true }));
  return log;
};
exports.pipeChain = async () => {
  const log = [];
  const w = sink(log);
  Readable.from(['ab', 'cd']).pipe(upper()).pipe(w);
  await ended(w);
  return log;
};
exports.unpipe = async () => {
  const log = [];
  const r = new Readable({ read() {} });
  const w = sink(log);
  w.on('unpipe', () => log.push('unpiped'));
  r.pipe(w);
  r.push('a');
  await new Promise((resolve) => setTimeout(resolve, 5));
  r.unpipe(w);
  r.push('b');
  await new Promise((resolve) => setTimeout(resolve, 5));
  return [log, r.isPaused()];
};
exports.errorInTransform = async () => {
  const t = new Transform({
    transform(chunk, encoding, callback) {
      callback(new Error('broken'));
    },
  });
  const log = [];
  const r = Readable.from(['x']);
  try {
    await promises.pipeline(r, t, sink(log));
  } catch (error) {
    log.push(error.message);
  }
  return [log, r.destroyed, t.destroyed];
};
exports.pipelineCallback = () => new Promise((resolve) => {
  const log = [];
  pipeline(Readable.from(['a']), upper(), sink(log), (error) => resolve([log, error]));
});
exports.pipelineGenerators = async () => {
  const log = [];
  await promises.pipeline(
    async function* () {
      yield 'a';
      yield 'b';
    },
    async function* (source) {
      for await (const chunk of source) yield `${chunk}!`;
    },
    sink(log),
  );
  const last = await promises.pipeline(Readable.from(['x', 'y']), async (source) => (await collect(source)).join('-'));
  return [log, last];
};
exports.prematureClose = async () => {
  const r = new Readable({ read() {} });
  setImmediate(() => r.destroy());
  return promises.finished(r);
};
exports.finishedOk = () => new Promise((resolve) => {
  const w = new Writable({ write: (c, e, cb) => cb() });
  finished(w, (error) => resolve(error === undefined || error === null));
  w.end('x');
});
exports.destroyEvents = async () => {
  const log = [];
  const d = new Duplex({ read() {}, write: (c, e, cb) => cb() });
  d.on('error', (error) => log.push(`error ${error.message}`));
  d.on('close', () => log.push('close'));
  d.destroy(new Error('why'));
  log.push(d.destroyed, d.errored.message);
  await ended(d);
  return log;
};
exports.writeAfterEnd = () => new Promise((resolve) => {
  const w = new Writable({ write: (c, e, cb) => cb() });
  w.end();
  w.on('error', (error) => resolve([error.code, error.message]));
  w.write('x');
});
exports.writeNull = () => new Writable({ write() {} }).write(null);
exports.writeNumber = () => new Writable({ write() {} }).write(5);
exports.pushAfterEnd = () => new Promise((resolve) => {
  const r = new Readable({ read() {} });
  r.on('error', (error) => resolve(error.code));
  r.push(null);
  r.push('x');
});
exports.setEncoding = async () => {
  const r = Readable.from([Buffer.from([0xe2, 0x82]), Buffer.from([0xac, 0x61])], { objectMode: false });
  r.setEncoding('utf8');
  return collect(r);
};
exports.breakOutOfIteration = async () => {
  const r = Readable.from(['a', 'b', 'c']);
  for await (const chunk of r) if (chunk === 'b') break;
  return r.destroyed;
};
exports.errorInIteration = async () => {
  const r = new Readable({
    read() {
      this.destroy(new RangeError('lost'));
    },
  });
  return collect(r);
};
exports.flush = async () => collect(Readable.from(['a']).pipe(new Transform({
  transform: (chunk, e, cb) => cb(null, chunk),
  flush(cb) {
    this.push('tail');
    cb();
  },
})).setEncoding('utf8'));
exports.corkAndWritev = async () => {
  const log = [];
  const w = new Writable({
    writev(chunks, callback) {
      log.push(chunks.map(({ chunk }) => chunk.toString()));
      callback();
    },
  });
  w.cork();
  w.write('a');
  w.write('b');
  w.uncork();
  w.end('c');
  await ended(w);
  return log;
};
exports.finalAndConstruct = async () => {
  const log = [];
  const w = new Writable({
    construct(callback) {
      log.push('construct');
      setImmediate(callback);
    },
    write(chunk, encoding, callback) {
      log.push(chunk.toString());
      callback();
    },
    final(callback) {
      log.push('final');
      callback();
    },
    destroy(error, callback) {
      log.push('destroy');
      callback(error);
    },
  });
  w.on('finish', () => log.push('finish'));
  w.end('x');
  await ended(w);
  return log;
};
exports.oldStyleInheritance = async () => {
  function Mine() {
    Readable.call(this);
    this.n = 0;
  }
  require('util').inherits(Mine, Readable);
  Mine.prototype._read = function () {
    this.push(this.n++ < 2 ? String(this.n) : null);
  };
  const mine = new Mine();
  return [(await collect(mine)).map(String), mine instanceof Stream, mine instanceof Readable, new PassThrough() instanceof Writable];
};
exports.legacy = async () => {
  const source = new Stream();
  const log = [];
  source.pipe(sink(log));
  source.emit('data', 'a');
  source.emit('end');
  await new Promise((resolve) => setTimeout(resolve, 5));
  return log;
};
exports.abortSignal = async () => {
  const controller = new AbortController();
  const r = new Readable({ read() {}, signal: controller.signal });
  setImmediate(() => controller.abort());
  return collect(r);
};
exports.passThroughBackpressure = async () => {
  const p = new PassThrough({ highWaterMark: 4 });
  const results = [p.write('abcd'), p.write('efgh'), p.readableLength, p.writableLength];
  p.end();
  return [results, Buffer.concat(await collect(p)).toString()];
};
exports.stringDecoder = () => ['utf8', 'utf16le', 'base64', 'hex', 'latin1'].map((encoding) => {
  const decoder = new StringDecoder(encoding);
  const pieces = [[0xe2], [0x82, 0xac], [0xf0, 0x9f], [0x98], [0x80, 0x41], [0xc3], [0x28], [0x3d, 0xd8, 0x00]].map((bytes) => decoder.write(Buffer.from(bytes)));
  return [...pieces, decoder.end()];
});
