// The engine's timers under their module's name.
for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate']) {
  exports[name] = globalThis[name];
}
Object.defineProperty(exports, 'promises', { get: () => require('timers/promises'), enumerable: true });
