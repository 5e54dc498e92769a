// expect: clean
'use strict';
const before = Array.prototype.push;
exports.call = () => { try { Array.prototype.push = () => 'mine'; } catch {} return [].push === before ? 'clean' : 'leak'; };
