// http and https: requests to the outside. What is written is collected and sent at `end()`; there are no sockets.
const { Readable, Writable } = require('stream-core');
const { Buffer } = require('buffer');
const { checkFunction, error: codedError, invalidArgType, notOffered, typeError } = require('errors');
const { METHODS, STATUS_CODES } = require('http-status');
const EventEmitter = require('events');

const TOKEN = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;

function checkHeader(name, value) {
  if (typeof name !== 'string' || !TOKEN.test(name)) throw typeError('ERR_INVALID_HTTP_TOKEN', `Header name must be a valid HTTP token ["${String(name)}"]`);
  if (value === undefined) throw typeError('ERR_HTTP_INVALID_HEADER_VALUE', `Invalid value "undefined" for header "${name}"`);
  for (const one of [value].flat()) {
    if (/[^\t\x20-\x7e\x80-\xff]/.test(`${one}`)) throw typeError('ERR_INVALID_CHAR', `Invalid character in header content ["${name}"]`);
  }
}

class IncomingMessage extends Readable {
  constructor({ status, headers, body }) {
    super();
    this.statusCode = status;
    this.statusMessage = STATUS_CODES[status] ?? '';
    this.httpVersion = '1.1';
    this.httpVersionMajor = 1;
    this.httpVersionMinor = 1;
    this.complete = true;
    this.aborted = false;
    this.rawHeaders = headers.flat();
    this.trailers = {};
    this.rawTrailers = [];
    this.headers = {};
    this.socket = { remoteAddress: undefined, encrypted: false, setTimeout() {}, destroy() {} };
    for (const [name, value] of headers) {
      if (name === 'set-cookie') (this.headers[name] ??= []).push(value);
      else this.headers[name] = Object.hasOwn(this.headers, name) ? `${this.headers[name]}${name === 'cookie' ? '; ' : ', '}${value}` : value;
    }
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
  setTimeout() {
    return this;
  }
}

class ClientRequest extends Writable {
  #headers = new Map();
  #pieces = [];
  #timer;
  #wasAnswered = false;

  constructor(protocol, options, callback) {
    // What was sent is not the end of it: the answer, or an error, comes later.
    super({ autoDestroy: false });
    const host = options.hostname ?? options.host ?? 'localhost';
    const standard = protocol === 'https:' ? 443 : 80;
    const port = options.port === undefined || options.port === null || options.port === '' || Number(options.port) === standard ? '' : `:${options.port}`;
    const path = options.path ?? '/';
    if (/[^\x21-\xff]/.test(path)) throw typeError('ERR_UNESCAPED_CHARACTERS', 'Request path contains unescaped characters');
    const used = options.protocol ?? protocol;
    if (used !== protocol) throw typeError('ERR_INVALID_PROTOCOL', `Protocol "${used}" not supported. Expected "${protocol}"`);
    if (options.socketPath !== undefined) throw notOffered('socketPath');
    if (options.method !== undefined && options.method !== null && typeof options.method !== 'string') throw invalidArgType('options.method', 'of type string', options.method);
    this.method = (options.method ?? 'GET').toUpperCase();
    if (!TOKEN.test(this.method)) throw typeError('ERR_INVALID_HTTP_TOKEN', `Method must be a valid HTTP token ["${this.method}"]`);
    this.host = host;
    this.path = path;
    this.protocol = protocol;
    this.url = `${protocol}//${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}${port}${path}`;
    this.aborted = false;
    this.reusedSocket = false;
    const headers = Array.isArray(options.headers) ? pairs(options.headers) : Object.entries(options.headers ?? {});
    for (const [name, value] of headers) this.setHeader(name, value);
    if (options.auth && !this.hasHeader('authorization')) this.setHeader('Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`);
    if (options.timeout) this.setTimeout(options.timeout);
    if (callback !== undefined) this.once('response', callback);
    const { signal } = options;
    if (signal?.aborted) queueMicrotask(() => this.destroy(require('errors').abortError(signal.reason)));
    else signal?.addEventListener('abort', () => this.destroy(require('errors').abortError(signal.reason)), { once: true });
    queueMicrotask(() => this.emit('socket', { setTimeout() {}, setNoDelay() {}, setKeepAlive() {}, on() {}, once() {} }));
  }
  setHeader(name, value) {
    checkHeader(name, value);
    this.#headers.set(name.toLowerCase(), [name, value]);
    return this;
  }
  getHeader(name) {
    return this.#headers.get(name.toLowerCase())?.[1];
  }
  getHeaders() {
    return Object.assign(Object.create(null), Object.fromEntries([...this.#headers].map(([name, [, value]]) => [name, value])));
  }
  getHeaderNames() {
    return [...this.#headers.keys()];
  }
  hasHeader(name) {
    return this.#headers.has(name.toLowerCase());
  }
  removeHeader(name) {
    this.#headers.delete(name.toLowerCase());
  }
  flushHeaders() {}
  setNoDelay() {}
  setSocketKeepAlive() {}
  setTimeout(delay, callback) {
    if (callback) this.once('timeout', callback);
    globalThis.clearTimeout(this.#timer);
    if (delay > 0) this.#timer = globalThis.setTimeout(() => this.emit('timeout'), delay);
    return this;
  }
  abort() {
    if (this.aborted) return;
    this.aborted = true;
    queueMicrotask(() => this.emit('abort'));
    this.destroy();
  }
  _write(chunk, encoding, callback) {
    this.#pieces.push(chunk);
    callback();
  }
  _final(callback) {
    callback();
    this.#send();
  }
  async #send() {
    const headers = [];
    for (const [name, [, value]] of this.#headers) {
      // The host frames the message itself.
      if (['connection', 'content-length', 'keep-alive', 'transfer-encoding'].includes(name)) continue;
      for (const one of [value].flat()) headers.push([name, `${one}`]);
    }
    const body = this.#pieces.length === 0 ? undefined : Buffer.concat(this.#pieces);
    let answer;
    try {
      answer = await native.operate('fetch', { method: this.method, url: this.url, headers, body });
    } catch (problem) {
      this.destroy(codedError('ECONNREFUSED', problem.message));
      return;
    } finally {
      globalThis.clearTimeout(this.#timer);
    }
    if (this.destroyed && this.aborted) return;
    const response = new IncomingMessage(answer);
    this.res = response;
    response.req = this;
    this.#wasAnswered = true;
    response.once('close', () => this.destroy());
    if (!this.emit('response', response)) response.resume();
  }
  _destroy(error, callback) {
    globalThis.clearTimeout(this.#timer);
    let problem = error;
    // Given up before there was an answer.
    if (!problem && !this.#wasAnswered && !this.writableFinished) problem = codedError('ECONNRESET', 'socket hang up');
    callback(problem);
  }
}

function pairs(list) {
  if (Array.isArray(list[0])) return list;
  const result = [];
  for (let i = 0; i < list.length; i += 2) result.push([list[i], list[i + 1]]);
  return result;
}

class Agent extends EventEmitter {
  constructor(options = {}) {
    super();
    this.options = { ...options };
    this.maxSockets = options.maxSockets ?? Infinity;
    this.keepAlive = Boolean(options.keepAlive);
    this.requests = {};
    this.sockets = {};
    this.freeSockets = {};
  }
  destroy() {}
}

exports.create = function (protocol) {
  function request(input, options, callback) {
    let given = input;
    let more = options;
    let done = callback;
    if (typeof more === 'function') [more, done] = [undefined, more];
    const { URL, urlToHttpOptions } = require('url');
    if (typeof given === 'string') given = urlToHttpOptions(new URL(given));
    else if (given instanceof URL) given = urlToHttpOptions(given);
    else if (given === null || typeof given !== 'object') throw invalidArgType('url', 'of type string or an instance of URL', given);
    if (done !== undefined) checkFunction(done, 'callback');
    return new ClientRequest(protocol, { ...given, ...more }, done);
  }
  const createServer = () => {
    throw notOffered('a server; export get, post or call from a module');
  };
  // What somebody sets on it has no effect, and no call sees what another one set.
  let agent;
  native.keep(() => (agent === undefined ? agent : {}), () => {
    agent = undefined;
  });
  return {
    Agent,
    ClientRequest,
    IncomingMessage,
    METHODS: METHODS.slice(),
    STATUS_CODES,
    createServer,
    get(...args) {
      const made = request(...args);
      made.end();
      return made;
    },
    get globalAgent() {
      return (agent ??= new Agent());
    },
    set globalAgent(value) {
      agent = value;
    },
    maxHeaderSize: 16384,
    request,
    validateHeaderName: (name) => checkHeader(name, ''),
    validateHeaderValue: checkHeader,
  };
};
