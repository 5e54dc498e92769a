// expect: false|TooLong
exports.call = () => String(/(?<=(a+)+)c/.test('a'.repeat(60)));
