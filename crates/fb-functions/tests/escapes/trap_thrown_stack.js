// expect: TooLong
exports.call = () => { const error = new Error('x'); Object.defineProperty(error, 'stack', { get() { for (;;) {} } }); throw error; };
