// expect: clean
// Whatever can be reached from builtins and globals: marked, overwritten, deleted. The next call must find it as it was at the start.
const NAMES = ['assert', 'assert/strict', 'buffer', 'crypto', 'events', 'express', 'http', 'https', 'node-fetch', 'os', 'path', 'path/posix',
  'perf_hooks', 'process', 'querystring', 'stream', 'stream/promises', 'string_decoder', 'timers', 'timers/promises', 'url', 'util', 'util/types', 'v8', 'zlib'];
const { ownKeys } = Reflect;
const { getOwnPropertyDescriptor, getPrototypeOf } = Object;
const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

function everything(starts) {
  const found = new Set();
  const open = [...starts];
  while (open.length > 0) {
    const one = open.pop();
    if (!isObject(one) || found.has(one) || one === globalThis || one === module || one === exports) continue;
    found.add(one);
    open.push(getPrototypeOf(one));
    for (const key of ownKeys(one)) {
      const { value, get } = getOwnPropertyDescriptor(one, key);
      open.push(value);
      if (get !== undefined) {
        try {
          open.push(one[key]);
        } catch {}
      }
    }
  }
  return found;
}

const starts = () => [...NAMES.map((name) => require(name)), ...ownKeys(getPrototypeOf(globalThis)).map((name) => globalThis[name])];
// Getters that make an object for each call.
const FRESH = new Set(['globalAgent', 'defaultOptions']);
const known = new Map();
for (const one of everything(starts())) {
  const values = new Map();
  for (const key of ownKeys(one)) values.set(key, getOwnPropertyDescriptor(one, key).value);
  known.set(one, values);
}
const agents = new Set(everything([require('http').globalAgent, require('https').globalAgent]));
const options = require('util').inspect.defaultOptions;

exports.call = () => {
  const wrong = [];
  for (const [one, values] of known) {
    if (agents.has(one) && !Object.isFrozen(one)) continue;
    if (one === options) continue;
    const keys = ownKeys(one);
    if (keys.length !== values.size) wrong.push(`${one.name}: ${keys.filter((key) => !values.has(key)).map(String)}`);
    for (const key of keys) if (!Object.is(getOwnPropertyDescriptor(one, key).value, values.get(key))) wrong.push(String(key));
  }
  for (const one of everything(starts())) {
    const isSmall = typeof one === 'function' && ownKeys(one).length <= 2;
    for (const key of ownKeys(one)) {
      // That functions' own names can be redefined is known, and of no use to anybody.
      if (isSmall && (key === 'name' || key === 'length')) continue;
      for (const attempt of [() => (one[key] = 'left'), () => Object.defineProperty(one, key, { value: 'left' }), () => delete one[key]]) {
        try {
          attempt();
        } catch {}
      }
    }
    for (const attempt of [() => (one.left = 1), () => Object.defineProperty(one, 'left', { value: 1 }), () => Object.setPrototypeOf(one, { left: 1 })]) {
      try {
        attempt();
      } catch {}
    }
  }
  return wrong.length === 0 ? 'clean' : wrong.slice(0, 20).join();
};
