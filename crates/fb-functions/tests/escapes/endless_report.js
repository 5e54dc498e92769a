// expect: TooLong
// Describing a lost rejection counts as computing.
exports.call = async () => {
  for (let i = 0; i < 25; i += 1) {
    Promise.reject(new (class extends Error {
      get message() {
        for (let n = 0; n < 1e6; n += 1);
        return 'x';
      }
    })());
    await new Promise((done) => setTimeout(done, 1));
  }
  return 'it went on';
};
