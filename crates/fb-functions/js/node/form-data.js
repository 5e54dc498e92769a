// FormData, and how it is sent. https://xhr.spec.whatwg.org/#interface-formdata
const { Blob, File, bytesOf } = require('blob');
const { concat, encode } = require('bytes');

function entry(value, filename) {
  if (!(value instanceof Blob)) return `${value}`.toWellFormed();
  if (value instanceof File && filename === undefined) return value;
  return new File([value], filename ?? 'blob', { type: value.type });
}

class FormData {
  #list = [];

  append(name, value, filename = undefined) {
    this.#list.push([`${name}`, entry(value, filename)]);
  }
  set(name, value, filename = undefined) {
    const at = this.#list.findIndex(([key]) => key === `${name}`);
    const made = [`${name}`, entry(value, filename)];
    if (at < 0) this.#list.push(made);
    else this.#list = this.#list.map((pair, i) => (i === at ? made : pair)).filter(([key], i) => i <= at || key !== `${name}`);
  }
  delete(name) {
    this.#list = this.#list.filter(([key]) => key !== `${name}`);
  }
  get(name) {
    return this.#list.find(([key]) => key === `${name}`)?.[1] ?? null;
  }
  getAll(name) {
    return this.#list.filter(([key]) => key === `${name}`).map(([, value]) => value);
  }
  has(name) {
    return this.#list.some(([key]) => key === `${name}`);
  }
  forEach(callback, self = undefined) {
    for (const [name, value] of this) callback.call(self, value, name, this);
  }
  *entries() {
    for (const pair of this.#list) yield [...pair];
  }
  *keys() {
    for (const [name] of this.#list) yield name;
  }
  *values() {
    for (const [, value] of this.#list) yield value;
  }
}
FormData.prototype[Symbol.iterator] = FormData.prototype.entries;
Object.defineProperty(FormData.prototype, Symbol.toStringTag, { value: 'FormData', configurable: true });

const quoted = (text) => text.replace(/\r\n?|\n/g, '%0D%0A').replaceAll('"', '%22');

// multipart/form-data, RFC 7578.
function serialize(form) {
  const boundary = `----formdata-${native.randomBytes(12).toHex()}`;
  const pieces = [];
  for (const [name, value] of form) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
    if (typeof value !== 'string') head += `; filename="${quoted(value.name)}"\r\nContent-Type: ${value.type || 'application/octet-stream'}`;
    const body = typeof value === 'string' ? encode(value.replace(/\r\n?|\n/g, '\r\n'), 'utf8') : bytesOf(value);
    pieces.push(encode(`${head}\r\n\r\n`, 'utf8'), body, encode('\r\n', 'utf8'));
  }
  pieces.push(encode(`--${boundary}--\r\n`, 'utf8'));
  return { bytes: concat(pieces), type: `multipart/form-data; boundary=${boundary}` };
}

function parse(bytes, type) {
  const form = new FormData();
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (boundary === undefined) throw new TypeError('Failed to parse body as FormData.');
  const { Buffer } = require('buffer');
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const mark = Buffer.from(`--${boundary}`);
  for (let at = all.indexOf(mark); at >= 0; ) {
    const from = at + mark.length;
    const next = all.indexOf(mark, from);
    if (next < 0 || all.toString('latin1', from, from + 2) === '--') break;
    const blank = all.indexOf('\r\n\r\n', from);
    if (blank < 0 || blank > next) throw new TypeError('Failed to parse body as FormData.');
    const head = all.toString('utf8', from, blank);
    const name = /\bname="([^"]*)"/i.exec(head)?.[1];
    const filename = /\bfilename="([^"]*)"/i.exec(head)?.[1];
    const content = all.subarray(blank + 4, next - 2);
    if (name === undefined) throw new TypeError('Failed to parse body as FormData.');
    if (filename === undefined) form.append(name, content.toString());
    else form.append(name, new File([content], filename, { type: /content-type:\s*([^\r\n]+)/i.exec(head)?.[1] ?? '' }));
    at = next;
  }
  return form;
}

module.exports = { FormData, parse, serialize };
