// expect: TooLong
exports.call = async () => { for (;;) await null; };
