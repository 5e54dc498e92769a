// The process as far as code of an app has one: an instance that runs its calls.
const EventEmitter = require('events');
const { checkFunction, error: codedError, invalidArgType, notOffered } = require('errors');

const process = new EventEmitter();
const began = native.now();
const VERSION = '20.19.0';

function hrtime(earlier) {
  const now = native.now();
  let seconds = Math.floor(now / 1000);
  let nanos = Math.floor((now % 1000) * 1e6);
  if (earlier !== undefined) {
    if (!Array.isArray(earlier)) throw invalidArgType('time', 'an instance of Array', earlier);
    seconds -= earlier[0];
    nanos -= earlier[1];
    if (nanos < 0) {
      seconds -= 1;
      nanos += 1e9;
    }
  }
  return [seconds, nanos];
}
hrtime.bigint = () => BigInt(Math.floor(native.now() * 1e6));

function memoryUsage() {
  return { rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 };
}
memoryUsage.rss = () => 0;

function write(level) {
  return (text) => {
    globalThis.console?.[level](String(text).replace(/\n$/, ''));
    return true;
  };
}

Object.assign(process, {
  arch: 'x64',
  argv: ['node'],
  argv0: 'node',
  config: Object.freeze({}),
  cwd: () => '/',
  cpuUsage: () => ({ user: Math.floor((native.now() - began) * 1000), system: 0 }),
  chdir() {
    throw notOffered('process.chdir');
  },
  emitWarning(warning) {
    globalThis.console?.warn(warning instanceof Error ? `${warning.name}: ${warning.message}` : `Warning: ${warning}`);
  },
  env: Object.freeze(Object.create(null)),
  execArgv: [],
  execPath: '/node',
  exit(code) {
    throw codedError('ERR_PROCESS_EXIT', `process.exit(${code ?? ''}) ends nothing here; return or throw instead`);
  },
  features: Object.freeze({}),
  hrtime,
  kill() {
    throw notOffered('process.kill');
  },
  memoryUsage,
  nextTick(callback, ...args) {
    checkFunction(callback, 'callback');
    queueMicrotask(() => callback(...args));
  },
  pid: 1,
  platform: 'linux',
  ppid: 0,
  release: Object.freeze({ name: 'node' }),
  stderr: { isTTY: false, write: write('error') },
  stdout: { isTTY: false, write: write('log') },
  umask: () => 0o22,
  uptime: () => (native.now() - began) / 1000,
  version: `v${VERSION}`,
  versions: Object.freeze({ node: VERSION, modules: '115' }),
});
// There are no events here, and nobody keeps listeners beyond a call.
for (const name of ['on', 'addListener', 'prependListener', 'once', 'prependOnceListener', 'off', 'removeListener', 'removeAllListeners', 'setMaxListeners']) {
  Object.defineProperty(process, name, { value: () => process });
}
Object.defineProperty(process, 'emit', { value: () => false });
for (const [name, value] of [['exitCode', undefined], ['title', 'node']]) {
  Object.defineProperty(process, name, { get: () => value, set() {}, enumerable: true });
}
Object.defineProperty(process, Symbol.toStringTag, { value: 'process', configurable: true });
// Nothing here is worth listing.
process[Symbol.for('nodejs.util.inspect.custom')] = () => 'process {}';
Object.defineProperty(process, Symbol.for('nodejs.util.inspect.custom'), { enumerable: false });
// What the global is taken from.
Object.defineProperty(process, 'process', { value: process });

module.exports = process;
