// expect: done
exports.call = () => { for (let i = 0; i < 10000; i += 1) console.log('x'.repeat(100)); return 'done'; };
