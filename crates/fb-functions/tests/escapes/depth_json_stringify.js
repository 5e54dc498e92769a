// expect: RangeError|fine
exports.call = () => { let o = {}; for (let i = 0; i < 100000; i += 1) o = { o }; JSON.stringify(o); return 'fine'; };
