// `freshbase:http`: a request that came in and its answer, as handlers know them from Express 4.
const { Readable, Writable } = require('stream-core');
const { Buffer } = require('buffer');
const { error: codedError, invalidArgType, typeError } = require('errors');
const { decode } = require('bytes');
const { STATUS_CODES } = require('http-status');

const TOKEN = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;
const TYPES = new Map(Object.entries({
  html: 'text/html', htm: 'text/html', txt: 'text/plain', text: 'text/plain', css: 'text/css', csv: 'text/csv', js: 'application/javascript',
  mjs: 'application/javascript', json: 'application/json', xml: 'application/xml', pdf: 'application/pdf', zip: 'application/zip', gz: 'application/gzip',
  bin: 'application/octet-stream', png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', avif: 'image/avif',
  svg: 'image/svg+xml', ico: 'image/x-icon', mp3: 'audio/mpeg', mp4: 'video/mp4', webm: 'video/webm', ics: 'text/calendar', md: 'text/markdown',
  wasm: 'application/wasm', woff: 'font/woff', woff2: 'font/woff2', urlencoded: 'application/x-www-form-urlencoded', multipart: 'multipart/form-data', form: 'application/x-www-form-urlencoded',
}));
const MOST = 16 << 20;

const mime = (type) => (type.includes('/') ? type : (TYPES.get(type.replace(/^.*\./, '').toLowerCase()) ?? 'application/octet-stream'));
const plainType = (type) => (type ?? '').split(';')[0].trim().toLowerCase();

function put(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

function form(text) {
  const result = {};
  for (const [name, value] of Object.entries(require('querystring').parse(text))) put(result, name.replace(/\[\]$/, ''), name.endsWith('[]') ? [value].flat() : value);
  return result;
}

function cookies(header) {
  const result = {};
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at < 0) continue;
    const name = part.slice(0, at).trim();
    if (Object.hasOwn(result, name)) continue;
    const value = part.slice(at + 1).trim().replace(/^"(.*)"$/, '$1');
    let decoded = value;
    try {
      decoded = value.includes('%') ? decodeURIComponent(value) : value;
    } catch {
      decoded = value;
    }
    put(result, name, decoded);
  }
  return result;
}

// `text/html;q=0.8, */*` as patterns, best first.
function preferences(header) {
  return header
    .split(',')
    .map((part, i) => {
      const [name, ...parameters] = part.split(';').map((one) => one.trim());
      const q = parameters.find((one) => /^q=/i.test(one));
      return { name: name.toLowerCase(), q: q === undefined ? 1 : Number.parseFloat(q.slice(2)) || 0, i };
    })
    .filter(({ name }) => name !== '');
}

function fits(pattern, type) {
  if (pattern === '*' || pattern === '*/*' || pattern === type) return true;
  return pattern.endsWith('/*') && type.startsWith(pattern.slice(0, -1));
}

function accepted(header, offers, toType) {
  const wanted = preferences(header ?? '*/*');
  if (offers.length === 0) return wanted.filter(({ q }) => q > 0).sort((a, b) => b.q - a.q || a.i - b.i).map(({ name }) => name);
  let best = false;
  let quality = 0;
  for (const offer of offers) {
    const type = toType(offer);
    const exact = (one) => (one.name === type ? 2 : one.name === '*' || one.name === '*/*' ? 0 : 1);
    const match = wanted.filter(({ name }) => fits(name, type)).sort((a, b) => exact(b) - exact(a))[0];
    if (match !== undefined && match.q > quality) [best, quality] = [offer, match.q];
  }
  return best;
}

// --- The request ------------------------------------------------------------------------------------------------------------------------

class IncomingRequest extends Readable {
  constructor(request, body) {
    super();
    this.httpVersion = '1.1';
    this.httpVersionMajor = 1;
    this.httpVersionMinor = 1;
    this.complete = true;
    this.aborted = false;
    this.method = request.method ?? 'GET';
    this.url = request.url ?? '/';
    this.originalUrl = request.originalUrl ?? this.url;
    this.baseUrl = '';
    this.path = request.path ?? this.url.split('?')[0];
    this.params = {};
    this.headers = {};
    this.rawHeaders = [];
    for (const [given, value] of request.headers ?? []) {
      const name = given.toLowerCase();
      this.rawHeaders.push(given, value);
      if (Object.hasOwn(this.headers, name)) put(this.headers, name, `${this.headers[name]}${name === 'cookie' ? '; ' : ', '}${value}`);
      else put(this.headers, name, value);
    }
    this.query = form(request.query ?? this.url.split('?')[1] ?? '');
    this.ip = request.ip;
    this.ips = (this.headers['x-forwarded-for'] ?? '').split(',').map((one) => one.trim()).filter(Boolean);
    this.protocol = request.protocol ?? 'https';
    this.secure = this.protocol === 'https';
    this.host = request.host ?? this.headers.host;
    this.hostname = (this.host ?? '').replace(/:\d*$/, '');
    this.socket = { remoteAddress: request.ip, encrypted: this.secure, destroy() {} };
    this.xhr = (this.headers['x-requested-with'] ?? '').toLowerCase() === 'xmlhttprequest';
    const type = plainType(this.headers['content-type']);
    this.body = undefined;
    if (type === 'application/json' || type.endsWith('+json')) this.body = body.length === 0 ? undefined : parseJson(body);
    else if (type.startsWith('text/')) this.body = decode(body, 'utf8');
    else if (type === 'application/x-www-form-urlencoded') this.body = form(decode(body, 'utf8'));
    let at = 0;
    this._read = () => {
      const piece = body.subarray(at, at + 65536);
      at += piece.length;
      this.push(piece.length > 0 ? Buffer.from(piece.buffer, piece.byteOffset, piece.length) : null);
    };
  }
  get connection() {
    return this.socket;
  }
  get cookies() {
    const value = cookies(this.headers.cookie);
    Object.defineProperty(this, 'cookies', { value, writable: true, enumerable: true, configurable: true });
    return value;
  }
  set cookies(value) {
    Object.defineProperty(this, 'cookies', { value, writable: true, enumerable: true, configurable: true });
  }
  get(given) {
    if (typeof given !== 'string') throw new TypeError('name must be a string to req.get');
    const name = given.toLowerCase();
    if (name === 'referer' || name === 'referrer') return this.headers.referrer ?? this.headers.referer;
    return Object.hasOwn(this.headers, name) ? this.headers[name] : undefined;
  }
  is(...given) {
    const type = plainType(this.headers['content-type']);
    const hasBody = this.headers['transfer-encoding'] !== undefined || Number(this.headers['content-length']) >= 0;
    if (!hasBody) return null;
    if (type === '') return false;
    const wanted = given.flat();
    if (wanted.length === 0) return type;
    for (const one of wanted) {
      const pattern = one.startsWith('+') ? `*/*${one}` : one.includes('/') ? one : mime(one);
      const [group, kind] = pattern.split('/');
      const [mine, its] = type.split('/');
      const isKind = kind === '*' || kind === its || (kind.startsWith('*+') && its.endsWith(kind.slice(1)));
      if ((group === '*' || group === mine) && isKind) return one.includes('*') || one.startsWith('+') ? type : one;
    }
    return false;
  }
  accepts(...types) {
    return accepted(this.headers.accept, types.flat(), mime);
  }
  acceptsLanguages(...languages) {
    return accepted((this.headers['accept-language'] ?? '*').replaceAll(/([a-z]+)-[a-z]+/gi, '$&'), languages.flat(), (one) => one.toLowerCase());
  }
  acceptsEncodings(...encodings) {
    return accepted(`${this.headers['accept-encoding'] ?? ''}, identity`, encodings.flat(), (one) => one);
  }
  acceptsCharsets(...charsets) {
    return accepted(this.headers['accept-charset'] ?? '*', charsets.flat(), (one) => one.toLowerCase());
  }
  param(name, otherwise) {
    for (const from of [this.params, this.body, this.query]) if (from && Object.hasOwn(Object(from), name)) return from[name];
    return otherwise;
  }
  get subdomains() {
    return this.hostname.split('.').reverse().slice(2);
  }
  get fresh() {
    return false;
  }
  get stale() {
    return true;
  }
  setTimeout() {
    return this;
  }
}
IncomingRequest.prototype.header = IncomingRequest.prototype.get;

function parseJson(body) {
  try {
    return JSON.parse(decode(body, 'utf8').replace(/^\ufeff/, ''));
  } catch (problem) {
    throw Object.assign(problem, { status: 400, statusCode: 400, expose: true, type: 'entity.parse.failed' });
  }
}

// --- The answer -------------------------------------------------------------------------------------------------------------------------

class ServerAnswer extends Writable {
  #headers = new Map();
  #pieces = [];
  #length = 0;
  #headersSent = false;
  #resolve;
  #reject;
  statusCode = 200;
  statusMessage = undefined;
  locals = {};
  sendDate = true;

  constructor(req, settle) {
    super();
    this.req = req;
    [this.#resolve, this.#reject] = settle;
  }
  get headersSent() {
    return this.#headersSent;
  }
  get finished() {
    return this.writableEnded;
  }
  get socket() {
    return this.req.socket;
  }
  get connection() {
    return this.req.socket;
  }
  #check(action) {
    if (this.#headersSent) throw codedError('ERR_HTTP_HEADERS_SENT', `Cannot ${action} headers after they are sent to the client`);
  }

  // As Node has it.
  setHeader(name, value) {
    this.#check('set');
    if (typeof name !== 'string' || !TOKEN.test(name)) throw typeError('ERR_INVALID_HTTP_TOKEN', `Header name must be a valid HTTP token ["${String(name)}"]`);
    if (value === undefined) throw typeError('ERR_HTTP_INVALID_HEADER_VALUE', `Invalid value "undefined" for header "${name}"`);
    const list = Array.isArray(value) ? value.map(String) : value;
    for (const one of [list].flat()) {
      if (/[^\t\x20-\x7e\x80-\xff]/.test(`${one}`)) throw typeError('ERR_INVALID_CHAR', `Invalid character in header content ["${name}"]`);
    }
    this.#headers.set(name.toLowerCase(), [name, list]);
    return this;
  }
  getHeader(name) {
    return this.#headers.get(`${name}`.toLowerCase())?.[1];
  }
  getHeaders() {
    const all = Object.create(null);
    for (const [name, [, value]] of this.#headers) all[name] = value;
    return all;
  }
  getHeaderNames() {
    return [...this.#headers.keys()];
  }
  hasHeader(name) {
    return this.#headers.has(`${name}`.toLowerCase());
  }
  removeHeader(name) {
    this.#check('remove');
    this.#headers.delete(`${name}`.toLowerCase());
  }
  appendHeader(name, value) {
    return this.append(name, value);
  }
  writeHead(status, message, headers) {
    this.#check('write');
    this.statusCode = status;
    const given = typeof message === 'string' ? headers : message;
    if (typeof message === 'string') this.statusMessage = message;
    if (Array.isArray(given)) for (let i = 0; i < given.length; i += 2) this.setHeader(given[i], given[i + 1]);
    else for (const name of Object.keys(given ?? {})) this.setHeader(name, given[name]);
    this.#sendHead();
    return this;
  }
  #sendHead() {
    const status = this.statusCode;
    if (!Number.isInteger(status) || status < 100 || status > 999) {
      throw Object.assign(new RangeError(`Invalid status code: ${String(status)}`), { code: 'ERR_HTTP_INVALID_STATUS_CODE' });
    }
    this.#headersSent = true;
  }
  flushHeaders() {
    if (!this.#headersSent) this.#sendHead();
  }
  write(chunk, encoding, callback) {
    if (!this.#headersSent && !this.writableEnded) this.#sendHead();
    return super.write(chunk, encoding, callback);
  }
  end(chunk, encoding, callback) {
    if (!this.#headersSent && !this.writableEnded) this.#sendHead();
    return super.end(chunk, encoding, callback);
  }
  _write(chunk, encoding, callback) {
    this.#length += chunk.length;
    if (this.#length > MOST) {
      callback(codedError('ERR_BUFFER_TOO_LARGE', `an answer may have at most ${MOST} bytes`));
      return;
    }
    this.#pieces.push(chunk);
    callback();
  }
  _final(callback) {
    callback();
    const headers = [];
    for (const [, [name, value]] of this.#headers) for (const one of [value].flat()) headers.push([name.toLowerCase(), `${one}`]);
    const isEmpty = this.req.method === 'HEAD' || this.statusCode === 204 || this.statusCode === 304;
    const body = isEmpty || this.#pieces.length === 0 ? new Uint8Array(0) : Buffer.concat(this.#pieces);
    this.#resolve({ status: this.statusCode, headers, body });
  }
  _destroy(problem, callback) {
    if (!this.writableFinished) this.#reject(problem ?? codedError('ERR_STREAM_PREMATURE_CLOSE', 'the answer was given up before it was sent'));
    callback(problem);
  }
  setTimeout() {
    return this;
  }
  writeContinue() {}
  assignSocket() {}

  // As Express has it.
  status(code) {
    this.statusCode = code;
    return this;
  }
  sendStatus(code) {
    this.statusCode = code;
    this.type('txt');
    return this.send(STATUS_CODES[code] ?? String(code));
  }
  set(name, value) {
    if (arguments.length === 1) {
      for (const key of Object.keys(name)) this.set(key, name[key]);
      return this;
    }
    let given = Array.isArray(value) ? value.map(String) : String(value);
    if (`${name}`.toLowerCase() === 'content-type') {
      if (Array.isArray(given)) throw new TypeError('Content-Type cannot be set to an Array');
      given = withCharset(given);
    }
    return this.setHeader(name, given);
  }
  get(name) {
    return this.getHeader(name);
  }
  append(name, value) {
    const known = this.getHeader(name);
    return this.set(name, known === undefined ? value : [known, value].flat());
  }
  type(type) {
    return this.set('Content-Type', type.includes('/') ? type : mime(type));
  }
  vary(fields) {
    const known = `${this.get('Vary') ?? ''}`.split(',').map((one) => one.trim()).filter(Boolean);
    for (const field of [fields].flat()) if (!known.some((one) => one.toLowerCase() === field.toLowerCase())) known.push(field);
    return known.length === 0 ? this : this.set('Vary', known.includes('*') ? '*' : known.join(', '));
  }
  location(url) {
    const target = url === 'back' ? (this.req.get('Referrer') ?? '/') : `${url}`;
    return this.set('Location', target.toWellFormed().replace(/[^\x21-\x7e]|[<>"^`{|}\\]|%(?![0-9a-f]{2})/gi, (c) => (c === '\\' ? c : encodeURIComponent(c))).replace(/[\ud800-\udfff]/g, '%EF%BF%BD'));
  }
  redirect(first, second) {
    const [status, url] = typeof first === 'number' ? [first, second] : typeof second === 'number' ? [second, first] : [302, first];
    this.location(url);
    this.statusCode = status;
    const address = this.get('Location');
    const text = STATUS_CODES[status] ?? '';
    let body = '';
    if (accepted(this.req.headers.accept, ['text', 'html'], mime) === 'html') {
      this.type('html');
      body = `<p>${text}. Redirecting to ${escapeHtml(address)}</p>`;
    } else {
      this.type('txt');
      body = `${text}. Redirecting to ${address}`;
    }
    this.set('Content-Length', Buffer.byteLength(body));
    this.end(this.req.method === 'HEAD' ? undefined : body);
  }
  cookie(name, value, options = {}) {
    const given = { ...options };
    let text = typeof value === 'object' && value !== null ? `j:${JSON.stringify(value)}` : String(value);
    if (given.signed) throw codedError('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'signed cookies are not offered here');
    if (given.maxAge !== undefined && given.maxAge !== null) {
      const age = given.maxAge - 0;
      if (!Number.isNaN(age)) {
        given.expires = new Date(Date.now() + age);
        given.maxAge = Math.floor(age / 1000);
      }
    }
    if (!TOKEN.test(name)) throw new TypeError('argument name is invalid');
    text = (given.encode ?? encodeURIComponent)(text);
    let line = `${name}=${text}`;
    if (given.maxAge !== undefined && given.maxAge !== null) line += `; Max-Age=${Math.floor(given.maxAge)}`;
    if (given.domain) line += `; Domain=${given.domain}`;
    line += `; Path=${given.path ?? '/'}`;
    if (given.expires) line += `; Expires=${given.expires.toUTCString()}`;
    if (given.httpOnly) line += '; HttpOnly';
    if (given.secure) line += '; Secure';
    if (given.partitioned) line += '; Partitioned';
    if (given.sameSite) {
      const site = given.sameSite === true ? 'Strict' : given.sameSite;
      line += `; SameSite=${site[0].toUpperCase()}${site.slice(1).toLowerCase()}`;
    }
    if (/[;\r\n]/.test(`${given.domain ?? ''}${given.path ?? ''}${given.sameSite ?? ''}${text}`)) throw new TypeError('option of a cookie is invalid');
    return this.append('Set-Cookie', line);
  }
  clearCookie(name, options = {}) {
    const { maxAge: _, ...rest } = { path: '/', ...options, expires: new Date(1) };
    return this.cookie(name, '', rest);
  }
  attachment(filename) {
    if (filename === undefined) return this.set('Content-Disposition', 'attachment');
    const name = `${filename}`.replace(/^.*\//, '');
    if (name.includes('.')) this.type(name.replace(/^.*\./, ''));
    const isAscii = /^[\x20-\x7e]*$/.test(name) && !/%[0-9a-f]{2}/i.test(name);
    const plain = name.replace(/[^\x20-\x7e]/g, '?');
    const quoted = /^[\w!#$%&'*+.^`|~-]+$/.test(plain) && isAscii ? `"${plain}"` : `"${plain.replace(/["\\]/g, '\\$&')}"`;
    const star = isAscii ? '' : `; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`;
    return this.set('Content-Disposition', `attachment; filename=${quoted}${star}`);
  }
  format(handlers) {
    const types = Object.keys(handlers).filter((name) => name !== 'default');
    const best = types.length > 0 ? this.req.accepts(types) : false;
    this.vary('Accept');
    const next = this.req.next;
    if (best) {
      this.set('Content-Type', mime(best));
      handlers[best](this.req, this, next);
    } else if (handlers.default) {
      handlers.default(this.req, this, next);
    } else {
      this.status(406).end();
    }
    return this;
  }
  links(links) {
    const known = this.get('Link');
    return this.set('Link', (known ? `${known}, ` : '') + Object.keys(links).map((rel) => `<${links[rel]}>; rel="${rel}"`).join(', '));
  }
  json(...given) {
    const value = given.length === 2 && typeof given[0] === 'number' ? given[1] : given[0];
    if (given.length === 2 && typeof given[0] === 'number') this.statusCode = given[0];
    const text = JSON.stringify(value);
    if (!this.get('Content-Type')) this.set('Content-Type', 'application/json');
    return this.send(text === undefined ? '' : text);
  }
  send(body) {
    if (this.#headersSent) this.#check('set');
    let chunk = body;
    if (typeof chunk === 'string') {
      if (!this.get('Content-Type')) this.type('html');
    } else if (typeof chunk === 'boolean' || typeof chunk === 'number' || (typeof chunk === 'object' && chunk !== null)) {
      if (chunk instanceof Uint8Array || chunk instanceof ArrayBuffer || ArrayBuffer.isView(chunk)) {
        if (!this.get('Content-Type')) this.type('bin');
        chunk = Buffer.isBuffer(chunk) ? chunk : ArrayBuffer.isView(chunk) ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.from(chunk);
      } else {
        return this.json(chunk);
      }
    } else if (chunk === null) {
      chunk = '';
    } else if (chunk !== undefined) {
      throw invalidArgType('body', 'of type string, number, boolean or object', chunk);
    }
    if (typeof chunk === 'string') {
      const type = this.get('Content-Type');
      if (typeof type === 'string') this.set('Content-Type', setCharset(type));
      chunk = Buffer.from(chunk);
    }
    if (chunk !== undefined) this.set('Content-Length', chunk.length);
    if (this.statusCode === 204 || this.statusCode === 304) {
      for (const name of ['Content-Type', 'Content-Length', 'Transfer-Encoding']) this.removeHeader(name);
      chunk = undefined;
    }
    if (this.statusCode === 205) {
      this.set('Content-Length', '0');
      this.removeHeader('Transfer-Encoding');
      chunk = undefined;
    }
    this.end(this.req.method === 'HEAD' ? undefined : chunk);
    return this;
  }
}
ServerAnswer.prototype.header = ServerAnswer.prototype.set;
ServerAnswer.prototype.contentType = ServerAnswer.prototype.type;
for (const name of ['sendFile', 'download', 'render', 'jsonp']) {
  ServerAnswer.prototype[name] = () => {
    throw codedError('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', `res.${name} is not offered here`);
  };
}

const isText = (type) => /^text\/|^application\/(json|javascript|xml|.*\+(json|xml))/i.test(type);
const withCharset = (type) => (/;\s*charset\s*=/i.test(type) || !isText(type) ? type : `${type}; charset=utf-8`);
const setCharset = (type) => (/;\s*charset\s*=/i.test(type) ? type.replace(/;\s*charset\s*=\s*[^;]+/i, '; charset=utf-8') : `${type}; charset=utf-8`);
const escapeHtml = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/&#38;/g, '&amp;').replace(/&#60;/g, '&lt;').replace(/&#62;/g, '&gt;').replace(/&#34;/g, '&quot;');

// `request` as in docs/calls.md; `finished` is settled when the answer has ended.
exports.createExchange = function (request, body) {
  const req = new IncomingRequest(request, body ?? new Uint8Array(0));
  let settle;
  const finished = new Promise((resolve, reject) => {
    settle = [resolve, reject];
  });
  finished.catch(() => {});
  const res = new ServerAnswer(req, settle);
  res.on('error', () => {});
  req.res = res;
  return { req, res, finished };
};
exports.mime = mime;
native.seal(IncomingRequest, ServerAnswer);
