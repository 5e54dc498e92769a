// Values as text for people, in the form Node gives them.
const CUSTOM = Symbol.for('nodejs.util.inspect.custom');
const PLAIN_KEY = /^[a-zA-Z_$][a-zA-Z_$0-9]*$/;
const CONTROL = /[\x00-\x1f\x27\x5c\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const SHORT_ESCAPES = new Map([['\b', '\\b'], ['\t', '\\t'], ['\n', '\\n'], ['\f', '\\f'], ['\r', '\\r'], ['\\', '\\\\']]);
const TypedArray = Object.getPrototypeOf(Uint8Array);
const tagOf = Object.getOwnPropertyDescriptor(TypedArray.prototype, Symbol.toStringTag).get;

const defaults = {
  showHidden: false,
  depth: 2,
  colors: false,
  customInspect: true,
  showProxy: false,
  maxArrayLength: 100,
  maxStringLength: 10000,
  breakLength: 80,
  compact: 3,
  sorted: false,
  getters: false,
  numericSeparator: false,
};

const styles = {
  special: 'cyan',
  number: 'yellow',
  bigint: 'yellow',
  boolean: 'yellow',
  undefined: 'grey',
  null: 'bold',
  string: 'green',
  symbol: 'green',
  date: 'magenta',
  regexp: 'red',
  module: 'underline',
};

const colors = {
  reset: [0, 0],
  bold: [1, 22],
  dim: [2, 22],
  italic: [3, 23],
  underline: [4, 24],
  inverse: [7, 27],
  hidden: [8, 28],
  strikethrough: [9, 29],
  black: [30, 39],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
  white: [37, 39],
  gray: [90, 39],
  grey: [90, 39],
};

function inspect(value, options, ...old) {
  const context = { ...defaults, seen: [], circular: new Map(), indent: 0, level: 0 };
  if (typeof options === 'boolean') {
    context.showHidden = options;
    if (old[0] !== undefined) context.depth = old[0];
    if (old[1] !== undefined) context.colors = old[1];
  } else if (options) {
    for (const key of Object.keys(options)) if (key in defaults || key === 'stylize') context[key] = options[key];
  }
  if (context.compact === true) context.compact = 3;
  if (context.maxArrayLength === null) context.maxArrayLength = Infinity;
  if (context.maxStringLength === null) context.maxStringLength = Infinity;
  context.stylize = context.colors ? colored : (text) => text;
  return show(context, value, 0, false);
}

function colored(text, type) {
  const [on, off] = colors[styles[type]] ?? [];
  return on === undefined ? text : `\u001b[${on}m${text}\u001b[${off}m`;
}

function escape(c) {
  return SHORT_ESCAPES.get(c) ?? (c.length > 1 || c.charCodeAt(0) > 255 ? `\\u${c.charCodeAt(0).toString(16).toUpperCase()}` : `\\x${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function quote(text) {
  let mark = "'";
  if (text.includes("'")) {
    if (!text.includes('"')) mark = '"';
    else if (!text.includes('`') && !text.includes('${')) mark = '`';
  }
  if (!CONTROL.test(text)) return mark + text + mark;
  const all = new RegExp(CONTROL.source, 'g');
  return mark + text.replace(all, (c) => (c === "'" ? (mark === "'" ? "\\'" : c) : escape(c))) + mark;
}

function showString(context, text, isTop) {
  let shown = text;
  let more = '';
  if (shown.length > context.maxStringLength) {
    const rest = shown.length - context.maxStringLength;
    shown = shown.slice(0, context.maxStringLength);
    more = `... ${rest} more character${rest > 1 ? 's' : ''}`;
  }
  if (!isTop && shown.length > 16 && shown.length > context.breakLength - context.indent - 4 && shown.includes('\n')) {
    const lines = shown.split(/(?<=\n)/);
    return lines.map((line) => context.stylize(quote(line), 'string')).join(` +\n${' '.repeat(context.indent + 2)}`) + more;
  }
  return context.stylize(quote(shown), 'string') + more;
}

function showPrimitive(context, value, isTop) {
  switch (typeof value) {
    case 'string':
      return showString(context, value, isTop);
    case 'number':
      return context.stylize(Object.is(value, -0) ? '-0' : String(value), 'number');
    case 'bigint':
      return context.stylize(`${value}n`, 'bigint');
    case 'boolean':
      return context.stylize(String(value), 'boolean');
    case 'undefined':
      return context.stylize('undefined', 'undefined');
    default:
      return context.stylize(value.toString(), 'symbol');
  }
}

function show(context, value, level, isTyped) {
  if (value === null) return context.stylize('null', 'null');
  if (typeof value !== 'object' && typeof value !== 'function') return showPrimitive(context, value, level === 0 && context.indent === 0);
  if (context.customInspect) {
    const custom = value[CUSTOM];
    if (typeof custom === 'function' && custom !== inspect && !(value.constructor?.prototype === value)) {
      const depth = context.depth === null ? null : context.depth - level;
      const { seen, circular, indent, level: _, ...options } = context;
      const result = custom.call(value, depth, { ...options, depth, stylize: context.stylize }, inspect);
      if (result !== value) {
        if (typeof result !== 'object' || result === null) return String(result).replaceAll('\n', `\n${' '.repeat(context.indent)}`);
        return show(context, result, level, isTyped);
      }
    }
  }
  if (context.seen.includes(value)) {
    let index = context.circular.get(value);
    if (index === undefined) context.circular.set(value, (index = context.circular.size + 1));
    return context.stylize(`[Circular *${index}]`, 'special');
  }
  return showObject(context, value, level);
}

function constructorName(value) {
  let object = value;
  while (object !== null) {
    // Those of intrinsics are accessors in the engine.
    const descriptor = Object.getOwnPropertyDescriptor(object, 'constructor');
    const constructor = descriptor?.get === undefined ? descriptor?.value : object.constructor;
    if (typeof constructor === 'function' && constructor.name !== '' && isInstance(value, constructor)) return String(constructor.name);
    object = Object.getPrototypeOf(object);
  }
  return null;
}

function isInstance(value, constructor) {
  try {
    return value instanceof constructor;
  } catch {
    return false;
  }
}

function prefix(name, tag, fallback, size = '') {
  if (name === null) {
    const inner = tag !== '' && tag !== fallback ? ` [${tag}]` : '';
    return `[${fallback}${size}: null prototype]${inner} `;
  }
  return `${name}${size}${tag !== '' && name !== tag ? ` [${tag}]` : ''} `;
}

function keysOf(context, value, skipsIndices) {
  const names = context.showHidden ? Object.getOwnPropertyNames(value) : Object.keys(value);
  const keys = skipsIndices ? names.filter((key) => !/^(0|[1-9]\d*)$/.test(key)) : names;
  const symbols = Object.getOwnPropertySymbols(value).filter((key) => context.showHidden || Object.prototype.propertyIsEnumerable.call(value, key));
  return symbols.length > 0 ? keys.concat(symbols) : keys;
}

function brand(value, getter) {
  try {
    getter(value);
    return true;
  } catch {
    return false;
  }
}

const mapSize = Object.getOwnPropertyDescriptor(Map.prototype, 'size').get;
const setSize = Object.getOwnPropertyDescriptor(Set.prototype, 'size').get;
const is = {
  map: (value) => brand(value, (v) => mapSize.call(v)),
  set: (value) => brand(value, (v) => setSize.call(v)),
  date: (value) => brand(value, (v) => Date.prototype.getTime.call(v)),
  regexp: (value) => Object.prototype.toString.call(value) === '[object RegExp]' || value instanceof RegExp,
  error: (value) => value instanceof Error || Object.prototype.toString.call(value) === '[object Error]',
};

function showObject(context, value, level) {
  const name = constructorName(value);
  let tag = '';
  try {
    const given = value[Symbol.toStringTag];
    if (typeof given === 'string' && given !== '') tag = given;
  } catch {
    tag = '';
  }
  // One of its own is shown with the other properties.
  if (tag === name || Object.hasOwn(value, Symbol.toStringTag)) tag = '';
  let keys;
  let base = '';
  let braces = ['{', '}'];
  let entries = () => [];
  let isList = false;
  let ends = null;
  if (Array.isArray(value)) {
    keys = keysOf(context, value, true).filter((key) => key !== 'length' || context.showHidden);
    const head = name !== 'Array' || tag !== '' ? prefix(name, tag, 'Array', `(${value.length})`) : '';
    braces = [`${head}[`, ']'];
    if (value.length === 0 && keys.length === 0) return `${braces[0]}]`;
    entries = () => showItems(context, value, level);
    isList = true;
  } else if (tagOf.call(value) !== undefined) {
    keys = keysOf(context, value, true);
    const type = tagOf.call(value);
    braces = [`${prefix(name, tag, type, `(${value.length})`)}[`, ']'];
    if (value.length === 0 && keys.length === 0) return `${braces[0]}]`;
    entries = () => limited(context, value.length, (i) => showPrimitive(context, value[i], false));
    isList = true;
  } else if (is.map(value)) {
    keys = keysOf(context, value);
    const size = mapSize.call(value);
    braces[0] = `${prefix(name, tag, 'Map', `(${size})`)}{`;
    entries = () => nested(context, () => {
      const all = [...Map.prototype.entries.call(value)];
      return limited(context, all.length, (i) => `${show(context, all[i][0], level + 1)} => ${show(context, all[i][1], level + 1)}`);
    });
    if (size === 0 && keys.length === 0) return `${braces[0]}}`;
  } else if (is.set(value)) {
    keys = keysOf(context, value);
    const size = setSize.call(value);
    braces[0] = `${prefix(name, tag, 'Set', `(${size})`)}{`;
    entries = () => nested(context, () => {
      const all = [...Set.prototype.values.call(value)];
      return limited(context, all.length, (i) => show(context, all[i], level + 1));
    });
    if (size === 0 && keys.length === 0) return `${braces[0]}}`;
  } else {
    keys = keysOf(context, value);
    if (Object.prototype.toString.call(value) === '[object Arguments]' && tag === '') {
      braces[0] = '[Arguments] {';
      if (keys.length === 0) return '[Arguments] {}';
    } else if (typeof value === 'function') {
      base = showFunction(value, name, tag);
      if (keys.length === 0) return context.stylize(base, 'special');
    } else if (is.error(value)) {
      base = showError(context, value, name);
      ends = (list) => {
        if (Object.hasOwn(value, 'cause') && !keys.includes('cause')) list.push(showProperty(context, value, 'cause', level, '[cause]'));
        if (Array.isArray(value.errors) && !keys.includes('errors')) list.push(showProperty(context, value, 'errors', level, '[errors]'));
      };
      keys = keys.filter((key) => !(['name', 'message', 'stack'].includes(key) && base.includes(String(value[key]))));
      if (keys.length === 0 && !Object.hasOwn(value, 'cause') && !Array.isArray(value.errors)) return base;
    } else if (is.regexp(value)) {
      base = RegExp.prototype.toString.call(value);
      if (keys.length === 0) return context.stylize(base, 'regexp');
    } else if (is.date(value)) {
      base = Number.isNaN(value.getTime()) ? 'Invalid Date' : Date.prototype.toISOString.call(value);
      if (name !== 'Date') base = `${prefix(name, tag, 'Date')}${base}`;
      if (keys.length === 0) return context.stylize(base, 'date');
    } else if (value instanceof ArrayBuffer) {
      const bytes = new Uint8Array(value);
      const hex = bytes.subarray(0, 50).toHex().replace(/(..)(?=.)/g, '$1 ');
      const more = bytes.length > 50 ? ` ... ${bytes.length - 50} more byte${bytes.length > 51 ? 's' : ''}` : '';
      braces[0] = `${name ?? 'ArrayBuffer'} {`;
      entries = () => [`[${context.stylize('Uint8Contents', 'special')}]: <${hex}${more}>`, `byteLength: ${context.stylize(String(bytes.length), 'number')}`];
    } else if (value instanceof DataView) {
      braces[0] = `${name ?? 'DataView'} {`;
      entries = () => ['byteLength', 'byteOffset', 'buffer'].map((key) => `${key}: ${nested(context, () => show(context, value[key], level + 1))}`);
    } else if (value instanceof Promise) {
      braces[0] = `${prefix(name, tag, 'Promise')}{`;
    } else if (value instanceof WeakSet || value instanceof WeakMap) {
      braces[0] = `${prefix(name, tag, 'WeakSet')}{`;
      entries = () => [context.stylize('<items unknown>', 'special')];
    } else {
      const boxed = unboxed(value);
      if (boxed !== undefined) {
        const type = typeof boxed;
        const kind = type === 'bigint' ? 'BigInt' : type[0].toUpperCase() + type.slice(1);
        base = `[${kind}${name === kind ? '' : name === null ? ' (null prototype)' : ` (${name})`}: ${showPrimitive({ ...context, stylize: (text) => text }, boxed, true)}]`;
        if (type === 'string') keys = keys.filter((key) => !/^\d+$/.test(String(key)) && key !== 'length');
        if (keys.length === 0) return context.stylize(base, type);
      } else {
        if (name !== 'Object' || tag !== '') braces[0] = `${prefix(name, tag, 'Object')}{`;
        if (keys.length === 0) return `${braces[0]}}`;
      }
    }
  }
  if (context.depth !== null && level > context.depth) {
    const shownName = name === null ? (tag === '' ? '[Object: null prototype]' : `[Object: null prototype] [${tag}]`) : Array.isArray(value) && name === 'Array' ? 'Array' : `${name}${tag === '' ? '' : ` [${tag}]`}`;
    return context.stylize(name === null ? `[${shownName.slice(1, -1)}]` : `[${shownName}]`, 'special');
  }
  context.seen.push(value);
  context.level = level;
  const list = entries();
  for (const key of keys) list.push(showProperty(context, value, key, level, undefined, isList));
  if (ends !== null) ends(list);
  context.seen.pop();
  const index = context.circular.get(value);
  if (index !== undefined) {
    const reference = context.stylize(`<ref *${index}>`, 'special');
    if (base === '') braces[0] = `${reference} ${braces[0]}`;
    else base = `${reference} ${base}`;
  }
  if (context.sorted) list.sort(context.sorted === true ? undefined : context.sorted);
  return join(context, list, base, braces, level, isList && list.length > 6);
}

function nested(context, callback) {
  context.indent += 2;
  try {
    return callback();
  } finally {
    context.indent -= 2;
  }
}

function limited(context, length, item) {
  const n = Math.min(Math.max(0, context.maxArrayLength), length);
  const list = [];
  for (let i = 0; i < n; i++) list.push(item(i));
  if (length > n) list.push(`... ${length - n} more item${length - n > 1 ? 's' : ''}`);
  return list;
}

function showItems(context, value, level) {
  const list = [];
  const most = Math.min(Math.max(0, context.maxArrayLength), value.length);
  let i = 0;
  while (i < value.length && list.length < most) {
    if (Object.hasOwn(value, i)) {
      list.push(showProperty(context, value, i, level, null));
      i += 1;
    } else {
      const from = i;
      // Holes may be many; the next index that exists is found among the keys.
      while (i < value.length && i - from < 1000 && !Object.hasOwn(value, i)) i += 1;
      if (i - from === 1000) i = Number(Object.keys(value).find((key) => /^\d+$/.test(key) && Number(key) > from) ?? value.length);
      list.push(context.stylize(`<${i - from} empty item${i - from > 1 ? 's' : ''}>`, 'undefined'));
    }
  }
  const more = value.length - i;
  if (more > 0) list.push(`... ${more} more item${more > 1 ? 's' : ''}`);
  return list;
}

// `label` null: an item of a list, which has no name.
function showProperty(context, value, key, level, label) {
  const descriptor = Object.getOwnPropertyDescriptor(value, key) ?? { value: value[key], enumerable: true };
  let text;
  if (descriptor.value !== undefined || !('get' in descriptor) || (descriptor.get === undefined && descriptor.set === undefined)) {
    context.indent += 2;
    text = show(context, descriptor.value, level + 1);
    context.indent -= 2;
  } else if (descriptor.get !== undefined) {
    text = context.stylize(descriptor.set === undefined ? '[Getter]' : '[Getter/Setter]', 'special');
  } else {
    text = context.stylize('[Setter]', 'special');
  }
  if (label === null) return text;
  let shownKey;
  if (label !== undefined) shownKey = label;
  else if (typeof key === 'symbol') shownKey = `[${context.stylize(key.toString(), 'symbol')}]`;
  else if (key === '__proto__') shownKey = "['__proto__']";
  else if (descriptor.enumerable === false) shownKey = `[${key}]`;
  else shownKey = PLAIN_KEY.test(key) ? context.stylize(key, 'name') : context.stylize(quote(key), 'string');
  return `${shownKey}: ${text}`;
}

function join(context, list, base, braces, level, isLong) {
  const start = list.length + context.indent + braces[0].length + base.length + 10;
  const head = base === '' ? '' : `${base} `;
  const width = (text) => (context.colors ? text.replace(/\u001b\[\d+m/g, '') : text).length;
  const total = list.reduce((sum, text) => sum + width(text), 0) + list.length + start;
  const isFlat = !list.some((text) => text.includes('\n'));
  let lines = list;
  if (isLong && isFlat) lines = fill(context, list, width);
  if (context.breakLength === Infinity || (lines === list && context.level - level < context.compact && total <= context.breakLength && isFlat && !base.includes('\n'))) {
    return `${head}${braces[0]} ${list.join(', ')} ${braces[1]}`;
  }
  const indentation = `\n${' '.repeat(context.indent)}`;
  return `${head}${braces[0]}${indentation}  ${lines.join(`,${indentation}  `)}${indentation}${braces[1]}`;
}

// Long lists: as many items on a line as fit into 72 columns, if they are short.
function fill(context, list, width) {
  const longest = list.reduce((most, text) => Math.max(most, width(text)), 0);
  if (longest > 24) return list;
  const perLine = Math.min(16, Math.max(1, Math.floor(72 / (longest + 2))));
  const lines = [];
  for (let i = 0; i < list.length; i += perLine) lines.push(list.slice(i, i + perLine).join(', '));
  return lines;
}

function showFunction(value, name, tag) {
  const text = Function.prototype.toString.call(value);
  if (text.startsWith('class') && text.endsWith('}')) {
    const parent = Object.getPrototypeOf(value)?.name;
    let shown = `[class ${value.name === '' ? '(anonymous)' : value.name}`;
    if (name !== 'Function' && name !== null) shown += ` [${name}]`;
    if (tag !== '' && name !== tag) shown += ` [${tag}]`;
    if (name === null) shown += ' extends [null prototype]';
    else if (parent) shown += ` extends ${parent}`;
    return `${shown}]`;
  }
  const kind = ['AsyncGeneratorFunction', 'AsyncFunction', 'GeneratorFunction'].find((one) => Object.prototype.toString.call(value) === `[object ${one}]`) ?? 'Function';
  const shown = typeof value.name === 'string' && value.name !== '' ? `: ${value.name}` : ' (anonymous)';
  return `[${kind}${name === null ? ' (null prototype)' : ''}${shown}]${name !== kind && name !== 'Function' && name !== null ? ` ${name}` : ''}`;
}

function showError(context, error, constructor) {
  let name = error.name === undefined || error.name === '' ? 'Error' : String(error.name);
  const message = error.message === undefined ? '' : String(error.message);
  // An own class of errors without a name of its own.
  if (name === 'Error' && constructor !== null && constructor !== 'Error' && constructor.endsWith('Error')) name = constructor;
  const head = message === '' ? name : `${name}: ${message}`;
  let stack = typeof error.stack === 'string' ? error.stack : '';
  if (native.trace !== undefined && stack !== '') stack = native.trace(stack.toWellFormed());
  const frames = stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line) || /^at /.test(line))
    .map((line) => `    ${line.trim()}`);
  const text = frames.length === 0 ? (error.stack ? head : `[${head}]`) : `${head}\n${frames.join('\n')}`;
  return context.indent === 0 ? text : text.replaceAll('\n', `\n${' '.repeat(context.indent)}`);
}

function unboxed(value) {
  for (const type of [Number, String, Boolean, Symbol, BigInt]) {
    try {
      return type.prototype.valueOf.call(value);
    } catch {
      // Not this type.
    }
  }
  return undefined;
}

function format(...values) {
  return formatWithOptions({}, ...values);
}

function formatWithOptions(options, ...values) {
  const [first, ...rest] = values;
  if (values.length === 1) return typeof first === 'string' ? first : inspect(first, options);
  let text = '';
  let parts = values;
  if (typeof first === 'string') {
    parts = rest;
    let n = 0;
    text = first.replace(/%([sdifjoOc%])/g, (whole, kind) => {
      if (kind === '%') return '%';
      if (n >= rest.length) return whole;
      const value = rest[n++];
      return directive(kind, value, options);
    });
    parts = rest.slice(n);
    if (parts.length === 0) return text;
    text += ' ';
  }
  return text + parts.map((value) => (typeof value === 'string' ? value : inspect(value, options))).join(' ');
}

function directive(kind, value, options) {
  switch (kind) {
    case 's':
      if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
      if (typeof value === 'bigint') return `${value}n`;
      if (typeof value !== 'object' || value === null || hasOwnText(value)) return String(value);
      return inspect(value, { ...options, depth: 0, colors: false, compact: 3 });
    case 'd':
      if (typeof value === 'bigint') return `${value}n`;
      return typeof value === 'symbol' ? 'NaN' : showNumber(typeof value === 'object' && value !== null ? Number(value) : Number(value));
    case 'i':
      if (typeof value === 'bigint') return `${value}n`;
      return typeof value === 'symbol' ? 'NaN' : showNumber(Number.parseInt(value, 10));
    case 'f':
      return typeof value === 'symbol' ? 'NaN' : showNumber(Number.parseFloat(value));
    case 'j':
      try {
        return String(JSON.stringify(value));
      } catch (error) {
        if (/circular/i.test(error.message)) return '[Circular]';
        throw error;
      }
    case 'o':
      return inspect(value, { ...options, showHidden: true, depth: 4 });
    case 'O':
      return inspect(value, options);
    default:
      return '';
  }
}

const showNumber = (value) => (Object.is(value, -0) ? '-0' : String(value));

const BUILTIN = new Set('Object Array Map Set WeakMap WeakSet Promise Function Date RegExp Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError ArrayBuffer'.split(' '));

// Whether an object has a toString that somebody wrote.
function hasOwnText(value) {
  if (typeof value.toString !== 'function') return false;
  if (Object.hasOwn(value, 'toString')) return true;
  let object = value;
  while (object !== null && !Object.hasOwn(object, 'constructor')) {
    object = Object.getPrototypeOf(object);
    if (object !== null && Object.hasOwn(object, 'toString') && !Object.hasOwn(object, 'constructor')) return true;
  }
  if (object === null || BUILTIN.has(object.constructor?.name)) return false;
  return Object.prototype.toString !== value.toString && Error.prototype.toString !== value.toString;
}

inspect.custom = CUSTOM;
const initial = { ...defaults };
Object.preventExtensions(defaults);
let isTouched = false;
Object.defineProperty(inspect, 'defaultOptions', {
  get() {
    isTouched = true;
    return defaults;
  },
  set(options) {
    isTouched = true;
    for (const name of Object.keys(options)) if (Object.hasOwn(defaults, name)) defaults[name] = options[name];
  },
  enumerable: true,
});
// A copy is never the same as the one before: what may have been changed is put back.
native.keep(() => isTouched && { ...defaults }, (value) => {
  Object.assign(defaults, value || initial);
  isTouched = Boolean(value);
});
inspect.colors = colors;
inspect.styles = styles;

module.exports = { format, formatWithOptions, inspect };
