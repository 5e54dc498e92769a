// expect: none
exports.call = () => (typeof bjson === 'undefined' && typeof globalThis.Worker === 'undefined' && typeof SharedArrayBuffer === 'undefined' && typeof Atomics === 'undefined' && typeof gc === 'undefined' ? 'none' : 'some');
