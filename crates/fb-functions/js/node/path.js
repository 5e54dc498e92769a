// Paths with slashes. There are no files here, and the current directory is '/'.
const { checkString, invalidArgType } = require('errors');

// Without '.', '..' and empty parts; what leads above an absolute path's root is dropped.
function parts(path, isAbsolute) {
  const kept = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!isAbsolute) kept.push('..');
  }
  return kept.join('/');
}

function normalize(path) {
  checkString(path, 'path');
  if (path === '') return '.';
  const isAbsolute = path.startsWith('/');
  const inner = parts(path, isAbsolute);
  if (inner === '') return isAbsolute ? '/' : path.endsWith('/') ? './' : '.';
  return `${isAbsolute ? '/' : ''}${inner}${path.endsWith('/') ? '/' : ''}`;
}

function resolve(...paths) {
  let whole = '';
  for (let i = paths.length - 1; i >= 0 && !whole.startsWith('/'); i--) {
    checkString(paths[i], `paths[${i}]`);
    if (paths[i] !== '') whole = `${paths[i]}/${whole}`;
  }
  return `/${parts(whole, true)}`;
}

function trimEnd(path) {
  let end = path.length;
  while (end > 1 && path[end - 1] === '/') end--;
  return path.slice(0, end);
}

function dirname(path) {
  checkString(path, 'path');
  if (path === '') return '.';
  const trimmed = trimEnd(path);
  const slash = trimmed.lastIndexOf('/');
  if (slash < 0) return '.';
  if (trimmed === '/') return '/';
  const directory = trimmed.slice(0, slash);
  if (directory === '') return '/';
  return directory === '/' ? '//' : directory;
}

function basename(path, suffix) {
  if (suffix !== undefined) checkString(suffix, 'ext');
  checkString(path, 'path');
  const trimmed = trimEnd(path);
  const name = trimmed === '/' ? '' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
  if (suffix !== undefined && name !== suffix && name.endsWith(suffix)) return name.slice(0, name.length - suffix.length);
  return name;
}

function extname(path) {
  checkString(path, 'path');
  const name = basename(path);
  const dot = name.lastIndexOf('.');
  return dot <= 0 || name === '..' ? '' : name.slice(dot);
}

const posix = {
  basename,
  delimiter: ':',
  dirname,
  extname,
  format(path) {
    if (path === null || typeof path !== 'object') throw invalidArgType('pathObject', 'of type object', path);
    const base = path.base || `${path.name ?? ''}${path.ext ? `${path.ext.startsWith('.') ? '' : '.'}${path.ext}` : ''}`;
    const directory = path.dir || path.root;
    if (!directory) return base;
    return directory === path.root ? `${directory}${base}` : `${directory}/${base}`;
  },
  isAbsolute(path) {
    checkString(path, 'path');
    return path.startsWith('/');
  },
  join(...paths) {
    paths.forEach((path) => checkString(path, 'path'));
    const whole = paths.filter((path) => path !== '').join('/');
    return whole === '' ? '.' : normalize(whole);
  },
  normalize,
  parse(path) {
    checkString(path, 'path');
    const root = path.startsWith('/') ? '/' : '';
    const base = basename(path);
    const ext = extname(base);
    const trimmed = trimEnd(path);
    const slash = trimmed.lastIndexOf('/');
    const dir = slash > 0 ? trimmed.slice(0, slash) : root;
    return { root, dir, base, ext, name: ext === '' ? base : base.slice(0, -ext.length) };
  },
  relative(from, to) {
    checkString(from, 'from');
    checkString(to, 'to');
    const a = resolve(from).split('/').filter(Boolean);
    const b = resolve(to).split('/').filter(Boolean);
    let n = 0;
    while (n < a.length && n < b.length && a[n] === b[n]) n++;
    return [...a.slice(n).map(() => '..'), ...b.slice(n)].join('/');
  },
  resolve,
  sep: '/',
  toNamespacedPath: (path) => path,
};
posix.posix = posix;
module.exports = posix;
