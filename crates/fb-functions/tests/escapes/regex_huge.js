// expect: false|Failed|OutOfMemory|TooLong
exports.call = () => { let source = 'a'; for (let i = 0; i < 40; i += 1) source = `(?:${source}){1000}`; return String(new RegExp(source).test('b')); };
