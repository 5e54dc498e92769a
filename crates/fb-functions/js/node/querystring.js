// The old form of query strings.

function escape(value) {
  const text = typeof value === 'string' ? value : typeof value === 'object' ? String(value) : `${value}`;
  if (!text.isWellFormed()) throw Object.assign(new URIError('URI malformed'), { code: 'ERR_INVALID_URI' });
  return encodeURIComponent(text);
}

function unescapeBuffer(text) {
  const { Buffer } = require('buffer');
  const bytes = Buffer.from(text);
  const out = [];
  for (let i = 0; i < bytes.length; i++) {
    const pair = bytes[i] === 37 ? String.fromCharCode(bytes[i + 1], bytes[i + 2]) : '';
    if (/^[0-9a-f]{2}$/i.test(pair)) {
      out.push(Number.parseInt(pair, 16));
      i += 2;
    } else {
      out.push(bytes[i]);
    }
  }
  return Buffer.from(out);
}

function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return unescapeBuffer(text).toString();
  }
}

function primitive(value) {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return `${value}`;
  if (typeof value === 'bigint' || typeof value === 'boolean') return `${value}`;
  return '';
}

function stringify(object, separator = '&', equals = '=', options = undefined) {
  if (object === null || typeof object !== 'object') return '';
  const encode = typeof options?.encodeURIComponent === 'function' ? options.encodeURIComponent : exports.escape;
  const pairs = [];
  for (const key of Object.keys(object)) {
    const name = encode(key) + (equals || '=');
    for (const value of [object[key]].flat()) pairs.push(name + encode(primitive(value)));
  }
  return pairs.join(separator || '&');
}

function parse(text, separator, equals, options) {
  const result = Object.create(null);
  if (typeof text !== 'string' || text === '') return result;
  const decode = typeof options?.decodeURIComponent === 'function' ? options.decodeURIComponent : exports.unescape;
  const most = typeof options?.maxKeys === 'number' ? options.maxKeys : 1000;
  let pairs = text.split(separator || '&');
  if (most > 0) pairs = pairs.slice(0, most);
  const sign = equals || '=';
  for (const pair of pairs) {
    if (pair === '') continue;
    const at = pair.indexOf(sign);
    const [name, value] = [at < 0 ? pair : pair.slice(0, at), at < 0 ? '' : pair.slice(at + sign.length)].map((part) => {
      const spaced = part.replaceAll('+', ' ');
      if (!spaced.includes('%') && decode === unescape) return spaced;
      try {
        return decode(spaced);
      } catch {
        return unescape(spaced);
      }
    });
    if (!(name in result)) result[name] = value;
    else if (Array.isArray(result[name])) result[name].push(value);
    else result[name] = [result[name], value];
  }
  return result;
}

Object.assign(exports, { decode: parse, encode: stringify, escape, parse, stringify, unescape, unescapeBuffer });
