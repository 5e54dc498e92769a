// expect: Failed|OutOfMemory
exports.call = () => { let s = 'x'; for (;;) { s += s; s.charCodeAt(1); } };
