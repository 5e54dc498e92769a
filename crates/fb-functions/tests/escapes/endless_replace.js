// expect: TooLong
exports.call = () => 'aaa'.replace(/a/g, () => { for (;;) {} });
