// expect: RangeError|fine
exports.call = () => { let a = []; for (let i = 0; i < 50000; i += 1) a = [a]; String(a); return 'fine'; };
