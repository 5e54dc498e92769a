// expect: NoExport
exports.call = () => 'done'; }); (function () {
