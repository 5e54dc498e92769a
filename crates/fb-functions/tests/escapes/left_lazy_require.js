// expect: clean
// Loading a module makes what the module made global stay, not what the call did.
exports.call = () => {
  const seen = typeof currentUser;
  globalThis.currentUser = 'ann';
  require('./after');
  return seen === 'undefined' ? 'clean' : seen;
};
