// expect: 0
// Callbacks would run whenever memory is collected, which may be in the call of somebody else.
let ran = 0;
const registry = new FinalizationRegistry(() => { ran += 1; });
exports.call = () => {
  for (let i = 0; i < 20000; i += 1) {
    const ring = {};
    ring.self = ring;
    registry.register(ring, i);
  }
  return String(ran);
};
