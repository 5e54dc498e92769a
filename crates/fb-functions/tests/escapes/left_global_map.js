// expect: clean
// What the engine makes for all calls is not made of a call's classes.
let spied = 0;
exports.call = () => {
  spied = 0;
  setTimeout(() => {}, 0);
  const seen = spied;
  const Own = Map;
  globalThis.Map = class extends Own {
    set(...pair) { spied += 1; return super.set(...pair); }
  };
  setTimeout(() => {}, 1000);
  spied = 0;
  return new Promise((done) => setTimeout(() => { spied = 0; done(seen === 0 ? 'clean' : 'spied'); }, 1));
};
