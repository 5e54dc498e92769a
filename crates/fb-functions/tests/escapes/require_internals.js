// expect: none
exports.call = () => { const all = [require, require.cache, require.main, require.builtin, module.parent, module.constructor.prototype, require.constructor]; try { require.builtin = 1; } catch {} return require.builtin === undefined && require.cache === undefined ? 'none' : 'some'; };
