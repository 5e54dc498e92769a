// expect: Failed|TypeError|{}
exports.call = () => Object.create(Uint8Array.prototype);
