// fetch, Request, Response. Bodies are whole: the host answers with all of one. https://fetch.spec.whatwg.org
const { Headers } = require('headers');
const { concat, decode, encode, view } = require('bytes');

const NULL_STATUS = new Set([101, 103, 204, 205, 304]);
const METHODS = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT']);
const TEXTS = () => require('http-status').STATUS_CODES;

// What can be a body: bytes, or something that is read when it is needed; and its type.
function extract(body) {
  if (body === null || body === undefined) return { bytes: null, type: null };
  if (typeof body === 'string') return { bytes: encode(body, 'utf8'), type: 'text/plain;charset=UTF-8' };
  const bytes = view(body);
  if (bytes !== undefined) return { bytes: new Uint8Array(bytes), type: null };
  const tag = body[Symbol.toStringTag];
  if (tag === 'URLSearchParams') return { bytes: encode(body.toString(), 'utf8'), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
  if (tag === 'FormData') return require('form-data').serialize(body);
  if (tag === 'Blob' || tag === 'File') return { bytes: require('blob').bytesOf(body), type: body.type || null };
  if (typeof body[Symbol.asyncIterator] === 'function') return { source: body, type: null };
  return { bytes: encode(`${body}`, 'utf8'), type: 'text/plain;charset=UTF-8' };
}

async function collect(source) {
  const pieces = [];
  for await (const chunk of source) pieces.push(typeof chunk === 'string' ? encode(chunk, 'utf8') : view(chunk));
  return concat(pieces);
}

let take;

class Body {
  #bytes;
  #source;
  #stream = null;
  #used = false;

  constructor({ bytes = null, source = null }) {
    this.#bytes = bytes;
    this.#source = source;
  }
  static {
    take = (body) => body.#take();
  }
  get body() {
    if (this.#bytes === null && this.#source === null) return null;
    if (this.#stream === null) {
      const { ReadableStream } = require('web-streams');
      const pull = async (controller) => {
        this.#used = true;
        const bytes = this.#source === null ? this.#bytes : await collect(this.#source);
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
      };
      this.#stream = new ReadableStream({ pull });
    }
    return this.#stream;
  }
  get bodyUsed() {
    return this.#used;
  }
  async #take() {
    if (this.#used || this.#stream?.locked) throw new TypeError('Body is unusable: Body has already been read');
    if (this.#bytes === null && this.#source === null) return new Uint8Array(0);
    this.#used = true;
    return this.#source === null ? this.#bytes : collect(this.#source);
  }
  async arrayBuffer() {
    return new Uint8Array(await this.#take()).buffer;
  }
  async bytes() {
    return new Uint8Array(await this.#take());
  }
  async text() {
    return decode(await this.#take(), 'utf8').replace(/^\ufeff/, '');
  }
  async json() {
    return JSON.parse(await this.text());
  }
  async blob() {
    const bytes = await this.#take();
    return new (require('blob').Blob)([bytes], { type: this.headers.get('content-type') ?? '' });
  }
  async buffer() {
    const { Buffer } = require('buffer');
    return Buffer.from(await this.arrayBuffer());
  }
  async formData() {
    const type = this.headers.get('content-type') ?? '';
    if (/^application\/x-www-form-urlencoded/i.test(type)) {
      const form = new (require('form-data').FormData)();
      for (const [name, value] of new (require('whatwg-url').URLSearchParams)(await this.text())) form.append(name, value);
      return form;
    }
    if (!/^multipart\/form-data/i.test(type)) throw new TypeError('Content-Type was not one of "multipart/form-data" or "application/x-www-form-urlencoded".');
    return require('form-data').parse(await this.#take(), type);
  }
  copyBody() {
    if (this.#used) throw new TypeError('Response.clone: Body has already been consumed.');
    if (this.#source !== null) {
      const whole = collect(this.#source);
      const once = async function* () {
        yield await whole;
      };
      this.#source = once();
      return { source: once() };
    }
    return { bytes: this.#bytes };
  }
}
Object.defineProperty(Body.prototype, 'copyBody', { enumerable: false });

class Response extends Body {
  #headers;
  #init;

  constructor(body = null, init = {}) {
    const status = init?.status ?? 200;
    if (!(status >= 200 && status <= 599) && init?.isInternal !== true) throw new RangeError('init["status"] must be in the range of 200 to 599, inclusive.');
    if (body !== null && body !== undefined && NULL_STATUS.has(status)) throw new TypeError(`Response with null body status (${status}) cannot have body`);
    const made = extract(body);
    super(made);
    this.#headers = new Headers(init?.headers);
    if (made.type && !this.#headers.has('content-type')) this.#headers.set('content-type', made.type);
    this.#init = { status, statusText: init?.statusText ?? '', url: init?.url ?? '', redirected: init?.redirected ?? false, type: init?.type ?? 'default' };
  }
  static error() {
    return new Response(null, { status: 0, type: 'error', isInternal: true });
  }
  static json(data, init = {}) {
    const headers = new Headers(init.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new Response(JSON.stringify(data), { ...init, headers });
  }
  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`Invalid status code ${status}`);
    return new Response(null, { status, headers: { location: String(new (require('whatwg-url').URL)(url)) } });
  }
  get headers() {
    return this.#headers;
  }
  get status() {
    return this.#init.status;
  }
  get statusText() {
    return this.#init.statusText;
  }
  get ok() {
    return this.status >= 200 && this.status < 300;
  }
  get url() {
    return this.#init.url;
  }
  get redirected() {
    return this.#init.redirected;
  }
  get type() {
    return this.#init.type;
  }
  clone() {
    const { bytes = null, source = null } = this.copyBody();
    return new Response(bytes ?? source, { ...this.#init, headers: this.#headers, isInternal: true });
  }
}

class Request extends Body {
  #url;
  #method;
  #headers;
  #signal;
  #redirect;

  constructor(input, init = {}) {
    const from = input instanceof Request ? input : null;
    const { URL } = require('whatwg-url');
    const url = from === null ? new URL(`${input}`) : new URL(from.url);
    if (url.username || url.password) throw new TypeError(`Request cannot be constructed from a URL that includes credentials: ${url}`);
    let method = `${init?.method ?? from?.method ?? 'GET'}`;
    if (METHODS.has(method.toUpperCase())) method = method.toUpperCase();
    if (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(method) || /^(connect|trace|track)$/i.test(method)) throw new TypeError(`'${method}' is not a valid HTTP method.`);
    const given = init?.body ?? null;
    if (given !== null && (method === 'GET' || method === 'HEAD')) throw new TypeError('Request with GET/HEAD method cannot have body.');
    const made = given === null && from !== null && from.body !== null ? from.copyBody() : extract(given);
    super(made);
    this.#url = url.href;
    this.#method = method;
    this.#headers = new Headers(init?.headers ?? from?.headers);
    if (made.type && !this.#headers.has('content-type')) this.#headers.set('content-type', made.type);
    this.#signal = init?.signal ?? from?.signal ?? null;
    this.#redirect = init?.redirect ?? from?.redirect ?? 'follow';
  }
  get url() {
    return this.#url;
  }
  get method() {
    return this.#method;
  }
  get headers() {
    return this.#headers;
  }
  get signal() {
    this.#signal ??= new (require('event-target').AbortController)().signal;
    return this.#signal;
  }
  get redirect() {
    return this.#redirect;
  }
  clone() {
    return new Request(this);
  }
}
for (const type of [Request, Response]) Object.defineProperty(type.prototype, Symbol.toStringTag, { value: type.name, configurable: true });

// The host follows no redirects, so this does, as the standard says.
async function run(request, signal) {
  let { url, method } = request;
  let bytes = request.body === null ? undefined : await take(request);
  const headers = new Headers(request.headers);
  if (!headers.has('accept')) headers.set('accept', '*/*');
  for (let n = 0; ; n++) {
    if (signal?.aborted) throw signal.reason;
    const answer = await native.operate('fetch', { method, url, headers: [...headers], body: bytes });
    const location = answer.headers.find(([name]) => name === 'location')?.[1];
    const isRedirect = [301, 302, 303, 307, 308].includes(answer.status) && location !== undefined;
    if (!isRedirect || request.redirect === 'manual') return respond(answer, url, n > 0);
    if (request.redirect === 'error') throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') });
    if (n === 20) throw new TypeError('fetch failed', { cause: new Error('redirect count exceeded') });
    const { URL } = require('whatwg-url');
    const next = new URL(location, url);
    if (next.origin !== new URL(url).origin) for (const name of ['authorization', 'proxy-authorization', 'cookie', 'host']) headers.delete(name);
    if ((answer.status === 303 && method !== 'HEAD') || (method === 'POST' && answer.status < 303)) {
      if (method !== 'GET') for (const name of ['content-encoding', 'content-language', 'content-location', 'content-type', 'content-length']) headers.delete(name);
      method = 'GET';
      bytes = undefined;
    }
    url = next.href;
  }
}

function respond({ status, headers, body }, url, redirected) {
  const hasBody = !NULL_STATUS.has(status);
  return new Response(hasBody ? body : null, { status, statusText: TEXTS()[status] ?? '', headers, url, redirected, type: 'basic', isInternal: true });
}

async function fetch(input, init = undefined) {
  const request = new Request(input, init ?? {});
  const signal = init?.signal ?? (input instanceof Request ? input.signal : null);
  if (signal?.aborted) throw signal.reason;
  const protocol = /^[a-z]+:/.exec(request.url)?.[0];
  if (protocol === 'data:') return fromData(request.url);
  if (protocol !== 'http:' && protocol !== 'https:') throw new TypeError('fetch failed', { cause: new Error('unknown scheme') });
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    signal?.addEventListener('abort', aborted, { once: true });
    run(request, signal).then(
      (response) => {
        signal?.removeEventListener('abort', aborted);
        resolve(response);
      },
      (problem) => {
        signal?.removeEventListener('abort', aborted);
        reject(problem instanceof TypeError || signal?.aborted ? problem : new TypeError('fetch failed', { cause: problem }));
      },
    );
  });
}

function fromData(url) {
  const [, type, isBase64, data] = /^data:([^,]*?)(;base64)?,(.*)$/s.exec(url) ?? [];
  if (data === undefined) throw new TypeError('fetch failed', { cause: new Error('invalid data URL') });
  const { Buffer } = require('buffer');
  const body = isBase64 ? Buffer.from(decodeURIComponent(data), 'base64') : require('querystring').unescapeBuffer(data);
  return new Response(body, { headers: { 'content-type': type || 'text/plain;charset=US-ASCII' }, url });
}

module.exports = { Headers, Request, Response, fetch };
Object.defineProperty(module.exports, 'FormData', { get: () => require('form-data').FormData, enumerable: true });
