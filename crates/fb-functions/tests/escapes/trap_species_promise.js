// expect: Error
class P extends Promise { static get [Symbol.species]() { throw new Error('species'); } }
exports.call = () => P.resolve('fine');
