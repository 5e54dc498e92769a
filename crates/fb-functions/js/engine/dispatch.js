// Calls: which export is called for what, with which arguments, and what becomes of its result. See docs/calls.md.
const { fail } = require('errors');
const modules = require('modules');
const { format } = require('console');

const NO_CONTENT = '{"status":204,"headers":[]}';
const TEXT = '{"status":200,"headers":[["content-type","text/plain;charset=utf-8"]]}';
const JSON_TYPE = '{"status":200,"headers":[["content-type","application/json;charset=utf-8"]]}';
const BYTES = '{"status":200,"headers":[["content-type","application/octet-stream"]]}';
const AFTER = new Map([
  ['insert', 'afterInsert'],
  ['update', 'afterUpdate'],
  ['delete', 'afterDelete'],
  ['upload', 'afterUpload'],
]);

let number = 0;
let broken = false;

// --- What a call gets ---------------------------------------------------------------------------------------------------------------

const log = {};
for (const level of ['trace', 'debug', 'info', 'warn', 'error']) log[level] = (...values) => native.log(level, format(values));
Object.freeze(log);

const hasClient = native.hasBuiltin('freshbase:client');
const hasHttp = native.hasBuiltin('freshbase:http');

let factory;
let revision = -1;
let isFactoryUsed = false;

// The client's factory for the schema as it is now, or null as long as there is no client.
function currentFactory() {
  if (!hasClient) return null;
  isFactoryUsed = true;
  const schema = native.schema(revision);
  if (schema !== undefined) {
    factory = modules.builtin('freshbase:client').createFactory(JSON.parse(schema.text));
    revision = schema.revision;
  }
  return factory;
}

// How the client makes requests: `{method, path, headers, body}` → `{status, headers: {name: value}, body, text()}`.
async function request({ method, path, headers, body }) {
  const { status, headers: list, body: bytes, text } = await native.operate('api', { method, url: path, headers, body });
  return { status, headers: Object.fromEntries(list), body: bytes, text };
}

// `getRequest`: the request as handlers know it, which costs more than many a handler.
function createDb(getRequest, me, context = {}) {
  const made = currentFactory();
  if (made === null) return { request: getRequest?.(), me, log };
  return made.createDb(Object.assign(context, { request, me, log: (level, message) => native.log(level, message) }));
}

// `res.cacheable()`: from here on the call is nobody's in particular. The host is told if `db` has said before whose it was.
function share(db, context) {
  let knowsCaller = false;
  if (db !== undefined) {
    const known = Object.getOwnPropertyDescriptor(db, 'me');
    knowsCaller = known !== undefined && known.value !== null;
    db._caller = null;
    db.me = null;
  }
  context.me = null;
  native.share(knowsCaller);
}

function createEntity(db, className, json) {
  return factory === undefined ? json : factory.createEntity(db, className, json);
}

function serialize(entity) {
  return factory === undefined ? entity : factory.serialize(entity);
}

// `a=1&b=x` as an object of strings; of arrays of strings where a name comes more than once.
function parseForm(text) {
  const form = {};
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decode(equals < 0 ? part : part.slice(0, equals));
    let value = equals < 0 ? '' : decode(part.slice(equals + 1));
    if (Object.hasOwn(form, name)) value = [].concat(form[name], value);
    Object.defineProperty(form, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return form;
}

function decode(text) {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

function header(request, name) {
  for (const [key, value] of request.headers) if (key === name) return value;
  return '';
}

function requestBody(request) {
  const type = header(request, 'content-type').split(';')[0].trim().toLowerCase();
  if (type === 'application/json' || type.endsWith('+json')) {
    const text = native.bodyText();
    return text === '' ? undefined : JSON.parse(text);
  }
  if (type === 'application/x-www-form-urlencoded') return parseForm(native.bodyText());
  if (type === '' && native.bodyLength() === 0) return undefined;
  if (type.startsWith('text/') || type.endsWith('/xml') || type.endsWith('+xml')) return native.bodyText();
  return native.bodyBytes();
}

// --- Requests -----------------------------------------------------------------------------------------------------------------------

function createExchange(request) {
  if (!hasHttp) {
    const headers = Object.fromEntries(request.headers);
    const query = parseForm(request.query ?? '');
    return { req: { ...request, headers, query, get: (name) => headers[`${name}`.toLowerCase()] } };
  }
  return modules.builtin('freshbase:http').createExchange(request, native.bodyBytes());
}

// Makes the request when it is first asked for; undefined if there is none.
function requestOf(input) {
  let req;
  return () => {
    if (req === undefined && input.request) ({ req } = createExchange(input.request));
    return req;
  };
}

function answer(result) {
  if (result === undefined || result === null) return native.finish(NO_CONTENT, '', false);
  if (typeof result === 'string') return native.finish(TEXT, result.toWellFormed(), false);
  if (result instanceof Uint8Array) return native.finish(BYTES, native.base64(result), true);
  const json = JSON.stringify(result);
  if (json === undefined) throw new TypeError(`a ${typeof result} cannot be sent as an answer`);
  return native.finish(JSON_TYPE, json.toWellFormed(), false);
}

function send({ status, headers, body }) {
  const head = JSON.stringify({ status, headers }).toWellFormed();
  if (typeof body === 'string') native.finish(head, body.toWellFormed(), false);
  else native.finish(head, body === undefined || body === null ? '' : native.base64(body), true);
}

function callRequest(exported, input, settle) {
  const sent = input.request;
  const isGet = sent.method === 'GET' || sent.method === 'HEAD';
  const handler = isGet || sent.method === 'POST' ? pick(exported, isGet ? 'get' : 'post') : undefined;
  const call = handler === undefined ? pick(exported, 'call') : undefined;
  if (handler === undefined && call === undefined) return native.noExport(isGet ? 'get, call' : 'post, call');
  if (handler !== undefined) {
    const { req, res, finished } = createExchange(sent);
    const context = {};
    const db = wants(handler, 1) ? createDb(() => req, input.me, context) : undefined;
    if (res !== undefined) {
      const cacheable = () => {
        if (sent.method === 'GET') share(db, context);
        return res;
      };
      Object.defineProperty(res, 'cacheable', { value: cacheable, configurable: true, writable: true });
    }
    // The answer is what was sent; that the handler came to its end says nothing, except if it failed.
    settle(finished, send);
    settle(handler(db, req, res), () => {});
    return undefined;
  }
  const hasBody = sent.method === 'POST' || sent.method === 'PUT' || sent.method === 'PATCH';
  const getRequest = requestOf(input);
  const db = wants(call, 1) ? createDb(getRequest, input.me) : undefined;
  const data = hasBody ? requestBody(sent) : wants(call, 2) ? parseForm(sent.query ?? '') : undefined;
  return settle(call(db, data, wants(call, 3) ? getRequest() : undefined), answer);
}

// --- The others ---------------------------------------------------------------------------------------------------------------------

function callHandler(name, exported, input, settle, bucket) {
  const handler = pick(exported, name);
  if (handler === undefined) return native.noExport(name);
  const getRequest = requestOf(input);
  const db = createDb(getRequest, input.me);
  const object = createEntity(db, bucket, input.object);
  const req = wants(handler, 3) ? getRequest() : undefined;
  return settle(handler.call(object, db, object, req), () => {
    const json = name === 'onDelete' ? '{}' : JSON.stringify({ object: serialize(object) });
    native.finish(json.toWellFormed(), '', false);
  });
}

function callHook(exported, input, settle) {
  const call = pick(exported, 'call');
  if (call === undefined) return native.noExport('call');
  const getRequest = requestOf(input);
  const db = wants(call, 1) ? createDb(getRequest, input.me) : undefined;
  return settle(call(db, input.data, wants(call, 3) ? getRequest() : undefined), (result) => {
    native.finish(JSON.stringify({ result: result ?? null }).toWellFormed(), '', false);
  });
}

function callJob(exported, input, settle) {
  const run = pick(exported, 'run') ?? pick(exported, 'call');
  if (run === undefined) return native.noExport('run, call');
  const db = createDb(undefined, input.me);
  const status = createEntity(db, 'jobs.Status', input.status);
  const definition = createEntity(db, 'jobs.Definition', input.definition);
  return settle(run(db, status, definition), () => {
    const json = JSON.stringify({ status: serialize(status), definition: serialize(definition) });
    native.finish(json.toWellFormed(), '', false);
  });
}

function callAfter(exported, input, settle, bucket) {
  const { event } = input;
  const name = AFTER.get(event.operation);
  const handler = pick(exported, name);
  if (handler === undefined) return native.noExport(name);
  const db = createDb(undefined, input.me);
  let subject = event.file;
  if (event.operation !== 'upload') subject = createEntity(db, bucket, event.object ?? { id: event.id });
  return settle(handler.call(subject, db, subject, event), () => native.finish('{}', '', false));
}

const KINDS = new Map([
  ['request', callRequest],
  ['insert', (...all) => callHandler('onInsert', ...all)],
  ['update', (...all) => callHandler('onUpdate', ...all)],
  ['delete', (...all) => callHandler('onDelete', ...all)],
  ['hook', callHook],
  ['job', callJob],
  ['after', callAfter],
]);

// --- Running one --------------------------------------------------------------------------------------------------------------------

// A function that a module exports, by its name or inside of its default export. A module that is a function counts as `call`: its
// inherited `call` is another matter.
function pick(exported, name) {
  if (exported === undefined || exported === null) return undefined;
  return member(exported, name) ?? member(exported.default, name);
}

function member(of, name) {
  if (of === undefined || of === null) return undefined;
  const isFunction = typeof of === 'function';
  const found = !isFunction || Object.hasOwn(of, name) ? of[name] : undefined;
  if (typeof found === 'function') return found;
  return isFunction && name === 'call' ? of : undefined;
}

const open = new WeakMap();

// Whether a function may look at its n-th argument.
function wants(called, n) {
  if (called.length >= n) return true;
  let isOpen = open.get(called);
  if (isOpen === undefined) {
    isOpen = takesMore(Function.prototype.toString.call(called));
    open.set(called, isOpen);
  }
  return isOpen;
}

// Whether a function may look at more arguments than it counts in `length`: by `arguments`, or because it takes some as a rest or with
// defaults, which is to be seen before its body. Whatever is not plain to see counts as yes.
function takesMore(source) {
  if (/\b(?:arguments|eval)\b|\[native code\]/.test(source)) return true;
  const head = source.slice(0, source.search(/=>|\{|$/));
  return !/^[^=.]*\([^=.()]*\)\s*$|^(?:async\s+)?[\w$]+\s*$/.test(head);
}

exports.start = function (kind, bucket, type, text) {
  const mine = ++number;
  const failed = (error) => {
    if (mine === number) fail(error);
  };
  const settle = (result, done) => {
    const finished = (value) => {
      if (mine !== number) return;
      try {
        done(value);
      } catch (error) {
        fail(error);
      }
    };
    const isThenable = result !== null && typeof result === 'object' && typeof result.then === 'function';
    if (isThenable) Promise.resolve(result).then(finished, failed);
    else finished(result);
  };
  const run = (record) => {
    try {
      KINDS.get(kind)(record.module.exports, JSON.parse(text), settle, bucket);
    } catch (error) {
      failed(error);
    }
  };
  let record;
  try {
    record = modules.record(bucket, type);
  } catch (error) {
    broken = true;
    return fail(error);
  }
  if (record.pending === null) return run(record);
  return record.pending.then(
    () => {
      record.pending = null;
      run(record);
    },
    (error) => {
      broken = true;
      failed(error);
    },
  );
};

// After a call nothing of it comes to anything any more. False if a module did not load: it gets a fresh instance next time.
exports.end = function () {
  number += 1;
  if (isFactoryUsed) {
    isFactoryUsed = false;
    // Code has changed classes that the next call would get.
    if (factory !== undefined && !factory.isAsMade()) {
      factory = undefined;
      revision = -1;
    }
  }
  return !broken;
};
