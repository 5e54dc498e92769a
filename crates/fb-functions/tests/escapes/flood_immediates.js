// expect: Failed|OutOfMemory|TooLong
const { fetch } = globalThis;
exports.call = async () => {
  const all = [];
  for (;;) all.push(new Promise((done) => setImmediate(done)));
};
