// expect: Aborted
exports.call = () => { throw new Abort('x', { toJSON() { throw new Error('no'); } }); };
