// expect: Invalid Date
exports.call = () => String(new Date(8.64e15 + 1));
