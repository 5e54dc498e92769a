// expect: no way
exports.call = () => { const F = (() => {}).constructor; const g = new F('return [typeof require, typeof native, typeof module, typeof std, typeof os, typeof __loadScript]')(); const G = Object.getPrototypeOf(function* () {}).constructor; const h = [...new G('yield typeof native')()]; return [...g, ...h].every((type) => type === 'undefined') ? 'no way' : g.join(); };
