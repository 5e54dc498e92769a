// The global `console`. How values look is the business of the builtin `util`; without it, or if a value resists, there is a plain form.
const groups = [];
const counts = new Map();
const clocks = new Map();

// A lone surrogate is no text that Rust could take.
const { log: logText } = native;
native.log = (level, text) => logText(level, `${text}`.toWellFormed());

function plain(value) {
  if (typeof value === 'string') return value;
  if (typeof value === 'function') return `[Function: ${value.name}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Error) return `${value.name}: ${value.message}\n${native.trace(String(value.stack))}`;
  return JSON.stringify(value);
}

exports.format = function (values) {
  let text;
  try {
    const util = require.builtin('util');
    text = util === undefined ? values.map(plain).join(' ') : util.format(...values);
  } catch (error) {
    text = '[a value that could not be shown]';
  }
  return text;
};

function line(level) {
  return (...values) => native.log(level, groups.join('') + exports.format(values));
}

const log = line('info');
const warn = line('warn');
const error = line('error');

exports.console = {
  log,
  info: log,
  debug: line('debug'),
  trace: line('trace'),
  warn,
  error,
  dir: (value) => log(value),
  dirxml: log,
  table: (value) => log(value),
  assert: (condition, ...values) => {
    if (!condition) error('Assertion failed', ...values);
  },
  group: (...values) => {
    if (values.length > 0) log(...values);
    if (groups.length < 20) groups.push('  ');
  },
  groupCollapsed: (...values) => exports.console.group(...values),
  groupEnd: () => {
    groups.pop();
  },
  count: (label = 'default') => {
    const n = (counts.get(`${label}`) ?? 0) + 1;
    if (counts.size < 1000) counts.set(`${label}`, n);
    log(`${label}: ${n}`);
  },
  countReset: (label = 'default') => {
    counts.delete(`${label}`);
  },
  time: (label = 'default') => {
    if (clocks.size < 1000) clocks.set(`${label}`, native.now());
  },
  timeLog: (label = 'default', ...values) => log(`${label}: ${native.now() - clocks.get(`${label}`)}ms`, ...values),
  timeEnd: (label = 'default') => {
    log(`${label}: ${native.now() - clocks.get(`${label}`)}ms`);
    clocks.delete(`${label}`);
  },
};

exports.reset = function () {
  groups.length = 0;
  if (counts.size > 0) counts.clear();
  if (clocks.size > 0) clocks.clear();
};
