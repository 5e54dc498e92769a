// expect: Failed|OutOfMemory
exports.call = () => { const all = []; for (;;) { const b = new ArrayBuffer(8, { maxByteLength: 2 ** 24 }); b.resize(2 ** 24); all.push(b); } };
