// expect: Error
exports.call = () => ({ get x() { throw new Error('getter'); } });
