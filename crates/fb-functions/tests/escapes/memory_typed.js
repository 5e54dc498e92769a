// expect: Failed|OutOfMemory
exports.call = () => { const all = []; for (;;) all.push(new Uint8Array(2 ** 20)); };
