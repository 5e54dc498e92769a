// expect: ok
exports.call = () => '\ud800' + 'ok'.slice(2) ? 'ok' : '';
