// URL and URLSearchParams. Parsing is Rust's. https://url.spec.whatwg.org
const { typeError } = require('errors');

const PARTS = ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'];
const CUSTOM = Symbol.for('nodejs.util.inspect.custom');

// For URLSearchParams that belong to a URL.
let connect;

class URLSearchParams {
  #list = [];
  #onChange = null;

  static {
    connect = (params, text, onChange) => {
      params.#list = decodePairs(text);
      params.#onChange = onChange;
    };
  }

  constructor(init = undefined) {
    if (init === undefined || init === null) return;
    if (typeof init !== 'object' && typeof init !== 'function') {
      this.#list = decodePairs(`${init}`.replace(/^\?/, ''));
    } else if (typeof init[Symbol.iterator] === 'function') {
      for (const pair of init) {
        const items = typeof pair === 'object' && pair !== null && typeof pair[Symbol.iterator] === 'function' ? [...pair] : [];
        if (items.length !== 2) throw typeError('ERR_INVALID_TUPLE', 'Each query pair must be an iterable [name, value] tuple');
        this.#list.push(items.map(text));
      }
    } else {
      for (const key of Reflect.ownKeys(init)) {
        if (Object.prototype.propertyIsEnumerable.call(init, key)) this.#set(text(key), text(init[key]));
      }
    }
  }

  #changed() {
    this.#onChange?.(this.toString());
  }
  #set(name, value) {
    const at = this.#list.findIndex(([key]) => key === name);
    if (at < 0) {
      this.#list.push([name, value]);
    } else {
      this.#list[at][1] = value;
      this.#list = this.#list.filter(([key], i) => i <= at || key !== name);
    }
  }

  get size() {
    return this.#list.length;
  }
  append(name, value) {
    need(arguments, 2, '"name" and "value" arguments');
    this.#list.push([text(name), text(value)]);
    this.#changed();
  }
  delete(name, value = undefined) {
    need(arguments, 1, '"name" argument');
    this.#list = this.#list.filter(([key, its]) => key !== text(name) || (value !== undefined && its !== text(value)));
    this.#changed();
  }
  get(name) {
    need(arguments, 1, '"name" argument');
    return this.#list.find(([key]) => key === text(name))?.[1] ?? null;
  }
  getAll(name) {
    need(arguments, 1, '"name" argument');
    return this.#list.filter(([key]) => key === text(name)).map(([, value]) => value);
  }
  has(name, value = undefined) {
    need(arguments, 1, '"name" argument');
    return this.#list.some(([key, its]) => key === text(name) && (value === undefined || its === text(value)));
  }
  set(name, value) {
    need(arguments, 2, '"name" and "value" arguments');
    this.#set(text(name), text(value));
    this.#changed();
  }
  sort() {
    this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed();
  }
  forEach(callback, self = undefined) {
    require('errors').checkFunction(callback, 'callback');
    for (const [name, value] of this) callback.call(self, value, name, this);
  }
  *entries() {
    for (let i = 0; i < this.#list.length; i++) yield [...this.#list[i]];
  }
  *keys() {
    for (const [name] of this.entries()) yield name;
  }
  *values() {
    for (const [, value] of this.entries()) yield value;
  }
  toString() {
    return this.#list.map(([name, value]) => `${encodePart(name)}=${encodePart(value)}`).join('&');
  }
  [CUSTOM](depth, options, inspect) {
    if (this.#list.length === 0) return 'URLSearchParams {}';
    return `URLSearchParams { ${this.#list.map(([name, value]) => `${inspect(name)} => ${inspect(value)}`).join(', ')} }`;
  }
}
URLSearchParams.prototype[Symbol.iterator] = URLSearchParams.prototype.entries;
Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, { enumerable: false });

const text = (value) => `${value}`.toWellFormed();

function need(given, n, what) {
  if (given.length < n) throw typeError('ERR_MISSING_ARGS', `The ${what} must be specified`);
}

function encodePart(part) {
  if (/^[A-Za-z0-9*\-._]*$/.test(part)) return part;
  return encodeURIComponent(part)
    .replace(/%20/g, '+')
    .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodePart(part) {
  const spaced = part.includes('+') ? part.replaceAll('+', ' ') : part;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return require('querystring').unescapeBuffer(spaced).toString();
  }
}

function decodePairs(query) {
  const list = [];
  for (const pair of query.toWellFormed().split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    list.push(at < 0 ? [decodePart(pair), ''] : [decodePart(pair.slice(0, at)), decodePart(pair.slice(at + 1))]);
  }
  return list;
}

class URL {
  #parts;
  #params = null;

  constructor(input, base = undefined) {
    need(arguments, 1, '"url" argument');
    const parsed = native.urlParse(text(input), base === undefined ? undefined : text(base));
    if (parsed === undefined || parsed === null) {
      const error = codedInvalid(`${input}`);
      if (base !== undefined) error.base = `${base}`;
      throw error;
    }
    this.#parts = parsed;
  }

  static canParse(input, base = undefined) {
    need(arguments, 1, '"url" argument');
    const parsed = native.urlParse(text(input), base === undefined ? undefined : text(base));
    return parsed !== undefined && parsed !== null;
  }
  static createObjectURL() {
    throw require('errors').notOffered('URL.createObjectURL');
  }
  static revokeObjectURL() {}

  get searchParams() {
    if (this.#params === null) {
      this.#params = new URLSearchParams();
      this.#connect();
    }
    return this.#params;
  }
  #connect() {
    connect(this.#params, this.search.slice(1), (query) => {
      this.#parts = native.urlSet(this.#parts[0], 'search', query);
    });
  }
  toString() {
    return this.#parts[0];
  }
  toJSON() {
    return this.#parts[0];
  }
  [CUSTOM](depth, options, inspect) {
    if (typeof depth === 'number' && depth < 0) return '[URL]';
    const shown = {};
    for (const name of [...PARTS.slice(0, 10), 'searchParams', 'hash']) shown[name] = this[name];
    return `URL ${inspect(shown, { ...options, depth })}`;
  }

  static {
    PARTS.forEach((name, i) => {
      Object.defineProperty(URL.prototype, name, {
        get() {
          return this.#parts[i];
        },
        set:
          name === 'origin'
            ? undefined
            : function (value) {
                const changed = native.urlSet(this.#parts[0], name, text(value));
                if (changed === undefined || changed === null) {
                  if (name === 'href') throw codedInvalid(`${value}`);
                  return;
                }
                this.#parts = changed;
                if (this.#params !== null && (name === 'href' || name === 'search')) this.#connect();
              },
        enumerable: true,
        configurable: true,
      });
    });
  }
}
for (const name of ['searchParams', 'toString', 'toJSON']) Object.defineProperty(URL.prototype, name, { enumerable: true });
for (const type of [URL, URLSearchParams]) {
  Object.defineProperty(type.prototype, Symbol.toStringTag, { value: type.name, configurable: true });
}

function codedInvalid(input) {
  const error = typeError('ERR_INVALID_URL', 'Invalid URL');
  error.input = input;
  return error;
}

module.exports = { URL, URLSearchParams };
