// expect: fine
exports.call = async () => {
  console.log('😀'.slice(0, 1), { '\udc00': '\ud800' });
  Promise.reject('\ud800');
  await new Promise((done) => setTimeout(done, 2));
  return 'fine';
};
