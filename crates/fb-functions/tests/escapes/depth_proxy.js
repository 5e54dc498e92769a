// expect: RangeError|fine|OutOfMemory
exports.call = () => { let p = {}; for (let i = 0; i < 100000; i += 1) p = new Proxy(p, {}); void p.x; return 'fine'; };
