// expect: works
exports.call = () => {
  'use strict';
  const o = {}; o.toString = () => 'works'; o.hasOwnProperty = 1; o.constructor = 2;
  function Old(m) { this.message = m; } Old.prototype = Object.create(Error.prototype); Old.prototype.constructor = Old; Old.prototype.name = 'Old'; Old.prototype.toString = function () { return this.name + this.message; };
  class New extends Error { constructor(m) { super(m); this.name = 'New'; this.message = m + '!'; } }
  const e = new New('x'); e.toString = () => 'e';
  const f = () => {}; f.toString = () => 'f'; f.call = 1;
  const a = []; a.toString = () => 'a';
  const ok = String(new Old('m')) === 'Oldm' && e.name === 'New' && e.message === 'x!' && `${e}` === 'e' && `${f}` === 'f' && `${a}` === 'a' && o.constructor === 2 && e instanceof New;
  return ok ? `${o}` : 'broken';
};
