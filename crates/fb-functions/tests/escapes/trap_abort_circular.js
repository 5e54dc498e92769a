// expect: Aborted
exports.call = () => { const data = {}; data.data = data; throw new Abort('x', data); };
