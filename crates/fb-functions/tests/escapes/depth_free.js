// expect: fine
exports.call = () => { let o = null; for (let i = 0; i < 60000; i += 1) o = { o }; o = null; return 'fine'; };
