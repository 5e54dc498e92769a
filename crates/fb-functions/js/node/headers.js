// Headers. https://fetch.spec.whatwg.org/#headers-class
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function nameOf(given) {
  const name = `${given}`;
  if (!NAME.test(name)) throw new TypeError(`Headers: ${name} is an invalid header name.`);
  return name.toLowerCase();
}

function valueOf(given) {
  const value = `${given}`.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
  if (/[\0\r\n]/.test(value) || /[^\0-\xff]/.test(value)) throw new TypeError(`Headers: ${value} is an invalid header value.`);
  return value;
}

class Headers {
  #list = new Map();

  constructor(init = undefined) {
    if (init === undefined) return;
    if (init === null || typeof init !== 'object') throw new TypeError('Headers: an object or an iterable of pairs is expected');
    if (typeof init[Symbol.iterator] === 'function') {
      for (const pair of init) {
        const items = [...pair];
        if (items.length !== 2) throw new TypeError('Headers: a pair of name and value is expected');
        this.append(items[0], items[1]);
      }
    } else {
      for (const name of Reflect.ownKeys(init)) this.append(name, init[name]);
    }
  }
  append(given, value) {
    const name = nameOf(given);
    const list = this.#list.get(name);
    if (list === undefined) this.#list.set(name, [valueOf(value)]);
    else list.push(valueOf(value));
  }
  delete(name) {
    this.#list.delete(nameOf(name));
  }
  get(given) {
    return this.#list.get(nameOf(given))?.join(given.toLowerCase() === 'cookie' ? '; ' : ', ') ?? null;
  }
  getSetCookie() {
    return [...(this.#list.get('set-cookie') ?? [])];
  }
  has(name) {
    return this.#list.has(nameOf(name));
  }
  set(name, value) {
    this.#list.set(nameOf(name), [valueOf(value)]);
  }
  forEach(callback, self = undefined) {
    for (const [name, value] of this) callback.call(self, value, name, this);
  }
  *entries() {
    for (const name of [...this.#list.keys()].sort()) {
      if (name === 'set-cookie') for (const value of this.#list.get(name)) yield [name, value];
      else yield [name, this.get(name)];
    }
  }
  *keys() {
    for (const [name] of this.entries()) yield name;
  }
  *values() {
    for (const [, value] of this.entries()) yield value;
  }
  // As node-fetch has it.
  raw() {
    return Object.fromEntries([...this.#list].map(([name, values]) => [name, [...values]]));
  }
  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    return `Headers ${inspect(Object.fromEntries(this), options)}`;
  }
}
Headers.prototype[Symbol.iterator] = Headers.prototype.entries;
Object.defineProperty(Headers.prototype, Symbol.toStringTag, { value: 'Headers', configurable: true });

module.exports = { Headers };
