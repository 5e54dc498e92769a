// expect: TooLong
exports.call = () => [3, 2, 1].sort(() => { for (;;) {} });
