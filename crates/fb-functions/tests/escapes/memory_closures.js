// expect: OutOfMemory
exports.call = () => { let f = () => 0; const all = []; for (;;) { const before = f; f = () => before; all.push(f); } };
