// expect: TooLong
exports.call = () => String(/^(a+)+$/.test('a'.repeat(60) + 'b'));
