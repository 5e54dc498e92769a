// expect: none
exports.call = () => {
  const found = [];
  Error.prepareStackTrace = (error, sites) => {
    for (const site of sites) found.push(site.getFunction?.(), site.getThis?.());
    return '';
  };
  void new Error('x').stack;
  return found.every((one) => one === undefined) ? 'none' : 'some';
};
