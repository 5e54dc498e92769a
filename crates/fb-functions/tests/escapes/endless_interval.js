// expect: TooLong
exports.call = () => new Promise(() => { setInterval(() => {}, 1); });
