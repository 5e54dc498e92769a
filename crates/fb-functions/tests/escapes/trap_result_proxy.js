// expect: Error
exports.call = () => new Proxy({}, { ownKeys() { throw new Error('trap'); } });
