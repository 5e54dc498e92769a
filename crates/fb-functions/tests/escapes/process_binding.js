// expect: none
exports.call = () => (typeof process === 'undefined' || (process.binding === undefined && process.mainModule === undefined && process.dlopen === undefined)) && typeof scriptArgs === 'undefined' && typeof print === 'undefined' ? 'none' : 'some';
