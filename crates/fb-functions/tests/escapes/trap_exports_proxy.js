// expect: Error
module.exports = new Proxy({}, { get() { throw new Error('exports'); } });
