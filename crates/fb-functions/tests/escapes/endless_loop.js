// expect: TooLong
exports.call = () => { for (;;) {} };
