// expect: TooLong
// Describing a lost rejection counts as computing.
exports.call = async () => {
  for (let i = 0; i < 25; i += 1) {
    Promise.reject(new (class extends Error {
      get message() {
        const end = Date.now() + 15;
        while (Date.now() < end);
        return 'x';
      }
    })());
    await new Promise((done) => setTimeout(done, 1));
  }
  return 'it went on';
};
