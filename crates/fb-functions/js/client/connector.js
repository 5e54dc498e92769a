// Requests of a db to the API: bodies, answers, tokens.
'use strict';

const { CommunicationError, PersistentError } = require('./errors');
const { fromBase64, hidden, toBase64 } = require('./util');

const BINARY = new Set(['blob', 'buffer', 'stream', 'arraybuffer', 'data-url', 'base64']);
const DATA_URL = /^data:(.+?)(;base64)?,(.*)$/;
const ACCEPT = { json: 'application/json', text: 'text/*' };
const ACCEPT_ANY = 'application/json,text/*;q=0.5,*/*;q=0.1';

const StatusCode = {
  NOT_MODIFIED: 304, BAD_CREDENTIALS: 460, BUCKET_NOT_FOUND: 461, INVALID_PERMISSION_MODIFICATION: 462,
  INVALID_TYPE_VALUE: 463, FORBIDDEN: 403, OBJECT_NOT_FOUND: 404, OBJECT_OUT_OF_DATE: 412, PERMISSION_DENIED: 466,
  QUERY_DISPOSED: 467, QUERY_NOT_SUPPORTED: 468, SCHEMA_NOT_COMPATIBLE: 469, SCHEMA_STILL_EXISTS: 470,
  SYNTAX_ERROR: 471, TYPE_ALREADY_EXISTS: 473, TYPE_STILL_REFERENCED: 474, SCRIPT_ABORTION: 475,
};

/** A path of encoded segments: ``url`/db/${bucket}/${key}` ``. */
function url(strings, ...values) {
  return strings.reduce((path, part, i) => path + encodeURIComponent(values[i - 1]) + part);
}

/** Appends a query: an object, without what is undefined or null, or a text as it is. */
function withQuery(path, query) {
  const text = typeof query === 'string' ? query : Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return text ? `${path}${path.includes('?') ? '&' : '?'}${text}` : path;
}

const isA = (value, name) => typeof globalThis[name] === 'function' && value instanceof globalThis[name];

/** How a body without a named type is sent. */
function typeOf(body) {
  if (typeof body === 'string') return DATA_URL.test(body) ? 'data-url' : 'text';
  if (isA(body, 'Blob')) return 'blob';
  if (body instanceof Uint8Array) return 'buffer';
  if (body instanceof ArrayBuffer) return 'arraybuffer';
  return 'json';
}

/** `[body, content type]`, each maybe undefined; the body may be a promise. */
function encode(body, type, headers) {
  const mimeType = headers['content-type'];
  switch (type) {
    case 'json':
      return [typeof body === 'string' ? body : JSON.stringify(body), mimeType || 'application/json;charset=utf-8'];
    case 'text':
      return [body, mimeType || 'text/plain;charset=utf-8'];
    case 'buffer':
      return [body, mimeType];
    case 'arraybuffer':
      return [new Uint8Array(body), mimeType];
    case 'base64':
      return [fromBase64(body), mimeType];
    case 'data-url': {
      const [, mime, base64, data] = body.match(DATA_URL);
      return [base64 ? fromBase64(data) : decodeURIComponent(data), mimeType || mime];
    }
    case 'blob':
      return [body.arrayBuffer().then((buffer) => new Uint8Array(buffer)), mimeType || body.type];
    case 'stream':
      if (!headers['content-length']) {
        throw new PersistentError('You must specify a content length while making a stream based upload.');
      }
      return [collect(body), mimeType];
    default:
      throw new Error(`The request type ${type} is not supported`);
  }
}

/** All bytes of a readable stream. */
function collect(stream) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
      chunks.reduce((at, chunk) => {
        bytes.set(chunk, at);
        return at + chunk.length;
      }, 0);
      resolve(bytes);
    });
  });
}

const bufferOf = (bytes) => (globalThis.Buffer ? globalThis.Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) : bytes);

function decode(answer, type, toStream) {
  switch (type) {
    case 'json':
      return JSON.parse(answer.text());
    case 'base64':
      return toBase64(answer.body);
    case 'data-url':
      return `data:${answer.headers['content-type']};base64,${toBase64(answer.body)}`;
    case 'arraybuffer':
      return answer.body.buffer.slice(answer.body.byteOffset, answer.body.byteOffset + answer.body.byteLength);
    case 'buffer':
      return bufferOf(answer.body);
    case 'blob':
      if (!globalThis.Blob) return bufferOf(answer.body);
      return new globalThis.Blob([answer.body], { type: answer.headers['content-type'] });
    case 'stream':
      if (!toStream) throw new Error('there are no streams here, use the type buffer');
      return toStream(bufferOf(answer.body));
    default:
      return answer.text();
  }
}

/** What of a connection code can see, and the way of all requests of one db. */
class Connector {
  constructor(request, origin, basePath, toStream) {
    const [, scheme, host, port] = /^(\w+):\/\/(\[[^\]]*\]|[^:/]*):?(\d*)/.exec(origin) || [];
    this.origin = origin;
    this.basePath = basePath;
    this.host = (host || '').replace(/[[\]]/g, '');
    this.secure = scheme === 'https';
    this.port = Number(port) || (this.secure ? 443 : 80);
    Object.defineProperty(this, 'send', { value: (message, tokens) => send(request, toStream, message, tokens) });
  }
}

/**
 * `message`: `{method, path, ok}`, with `ok` the statuses that are no errors, and maybe `body`, `type` (of the body),
 * `headers`, `responseType` (default json, null: as the answer says) and `login` (its answer's token is to be kept).
 * Resolves with `{status, headers, entity}`.
 */
async function send(request, toStream, message, tokens) {
  const caller = new Error();
  try {
    const { method, path, ok, body, responseType = 'json', login } = message;
    const headers = {};
    for (const [name, value] of Object.entries(message.headers || {})) if (value !== undefined && value !== null) headers[name] = value;
    let content;
    if (body !== undefined) {
      const [encoded, mimeType] = encode(body, message.type || typeOf(body), headers);
      if (mimeType) headers['content-type'] = mimeType;
      content = encoded;
    }
    headers.accept = ACCEPT[responseType] || ACCEPT_ANY;
    const { token } = tokens;
    if (token) headers.authorization = `BAT ${token}`;
    content = await content;
    let answer;
    try {
      answer = await request({ method, path, headers, body: content });
    } catch (error) {
      throw new CommunicationError(message, { status: 0, error });
    }
    const got = { ...answer.headers };
    if (got.etag) got.etag = got.etag.replace(/--\w+/, '');
    const renewed = got['baqend-authorization-token'];
    // Without a token the rights are those of the call, which a token of the same user would narrow.
    if (renewed && (token || login)) tokens.update(renewed);
    const response = { status: answer.status, headers: got, entity: null };
    if (answer.status !== 204) {
      const failed = answer.status >= 400;
      let type = failed && BINARY.has(responseType) ? 'text' : responseType;
      if ((!type || failed) && (got['content-type'] || '').includes('application/json')) type = 'json';
      try {
        response.entity = answer.body.length || BINARY.has(type) ? decode(answer, type, toStream) : '';
      } catch (error) {
        throw new Error(`Response was not valid ${type}: ${error.message}`);
      }
    }
    if (!ok.includes(answer.status)) throw new CommunicationError(message, response);
    return response;
  } catch (reason) {
    const error = PersistentError.of(reason);
    // By now nothing but this function is on the stack, and what is looked for is the line that asked.
    hidden(error, 'stack', `${error.stack || ''}${(caller.stack || '').replace(/^Error:?\s*\n/, '\n')}`);
    throw error;
  }
}

module.exports = { Connector, StatusCode, url, withQuery };
