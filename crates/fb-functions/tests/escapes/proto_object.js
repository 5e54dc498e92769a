// expect: clean
exports.call = () => { try { Object.prototype.leak = 1; } catch {} try { ({}).__proto__.leak2 = 1; } catch {} return ({}).leak || ({}).leak2 ? 'leak' : 'clean'; };
