// expect: RangeError|fine|OutOfMemory
exports.call = () => { let f = () => 1; for (let i = 0; i < 100000; i += 1) f = f.bind(null); f(); return 'fine'; };
