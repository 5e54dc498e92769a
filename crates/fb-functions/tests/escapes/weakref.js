// expect: gone|done
const registry = new FinalizationRegistry(() => { globalThis.leak = 1; });
exports.call = () => { for (let i = 0; i < 1000; i += 1) registry.register({}, i); return new WeakRef({}).deref() ? 'done' : 'gone'; };
