// Runs the same script on a db of the published SDK and on one of ours, each against a server of its own with the same
// history, and makes results and requests comparable.

import { createRequire } from 'node:module';
import path from 'node:path';
import { Readable } from 'node:stream';

import { PACKAGE_DIR } from '../../conformance/lib/generations.mjs';
import { connector } from './connector.cjs';

const require = createRequire(import.meta.url);
const SDK_DIR = path.join(PACKAGE_DIR, 'node_modules/baqend-v4/commonjs/lib');
const sdk = require(path.join(SDK_DIR, 'index.js'));
const { NodeConnector } = require(path.join(SDK_DIR, 'connector/NodeConnector.js'));
const { createFactory } = require('../../../crates/fb-functions/js/client/index.js');

const HEADERS = new Set(['accept', 'content-type', 'if-match', 'if-none-match', 'if-unmodified-since', 'cache-control', 'baqend-acl',
  'baqend-custom-headers', 'content-length', 'authorization']);

/** A side: opens a db for a script. `requests` is filled with what the db sends. */
export function sdkSide(base) {
  let requests = [];
  const { doSend } = NodeConnector.prototype;
  NodeConnector.prototype.doSend = function send(message, request, receive) {
    if (request.path !== '/connect') requests.push(requestOf(request.method, request.path, request.headers, request.entity));
    return doSend.call(this, message, request, receive);
  };
  return {
    name: 'sdk',
    base,
    async open({ token, me, schema }, into) {
      const tokenStorage = new sdk.intersection.TokenStorage(base, token);
      const emf = new sdk.EntityManagerFactory({ host: base, schema, tokenStorage, staleness: 0 });
      const db = emf.createEntityManager(true);
      await db.ready();
      if (me) db.me = db.getReference(me);
      requests = into;
      return db;
    },
    close() {
      NodeConnector.prototype.doSend = doSend;
    },
  };
}

/** Ours: without a token of its own, as inside of the server. */
export function clientSide(base) {
  let factory = null;
  return {
    name: 'client',
    base,
    async open({ token, me, schema }, requests) {
      factory ??= createFactory(schema, { toStream: (bytes) => Readable.from([bytes]) });
      const send = connector(base);
      const request = (message) => {
        const { method, path: where, body } = message;
        const headers = { ...(token && { authorization: `BAT ${token}` }), ...message.headers };
        requests.push(requestOf(method, where, headers, body));
        return send({ method, path: where, headers, body });
      };
      return factory.createDb({ request, me, origin: new URL(base).origin });
    },
    close() {},
  };
}

function requestOf(method, where, headers, body) {
  const sent = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (HEADERS.has(lower) && value !== undefined) sent[lower] = lower === 'authorization' ? 'BAT …' : String(value);
  }
  let content = body ?? undefined;
  if (typeof content === 'string' && /json/.test(sent['content-type'])) content = JSON.parse(content);
  else if (content && typeof content.pipe === 'function') content = '<stream>';
  else if (content !== undefined) content = content instanceof Blob ? '<blob>' : { bytes: Buffer.from(content).toString('base64') };
  return { method, path: where, headers: sent, ...(content !== undefined && { body: content }) };
}

/** What can be seen of a value, as JSON. */
export function show(value, seen = new Set()) {
  if (value === undefined) return '<undefined>';
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return Number.isNaN(value) ? '<NaN>' : value;
  if (typeof value === 'function') return '<function>';
  if (typeof value === 'symbol' || typeof value === 'bigint') return String(value);
  if (value instanceof Date) return { date: Number.isNaN(+value) ? 'invalid' : value.toISOString() };
  if (value instanceof Error) return showError(value);
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') };
  if (value instanceof ArrayBuffer) return { buffer: Buffer.from(value).toString('base64') };
  if (seen.has(value)) return '<again>';
  seen.add(value);
  if (value instanceof Set) return { set: Array.from(value, (item) => show(item, seen)) };
  if (value instanceof Map) return { map: Array.from(value, ([key, item]) => [show(key, seen), show(item, seen)]) };
  if (Array.isArray(value)) return value.map((item) => show(item, seen));
  const state = value._metadata;
  if (state && state.type && state.bucket) {
    const { isAvailable, isDirty } = state;
    return {
      entity: state.bucket, id: value.id, key: value.key, version: value.version, isAvailable, isDirty,
      text: String(value), json: isAvailable ? show(value.toJSON(), seen) : null,
    };
  }
  if (value.isMetadataLoaded === false) return { file: value.id };
  if (typeof value.toJSON === 'function') return { json: show(value.toJSON(), seen) };
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, show(item, seen)]));
}

function showError(error) {
  // Engines word their own errors as they like, and the SDK's build calls its base class by another name.
  if (error instanceof TypeError || error instanceof RangeError) return { error: error.name };
  return {
    error: error.name === 'PersistentErrorConstructor' ? 'PersistentError' : error.name,
    message: error.message,
    ...(error.status !== undefined && { status: error.status }),
    ...(error.reason !== undefined && { reason: error.reason }),
    ...(error.data !== undefined && { data: error.data }),
    ...(error.token !== undefined && { token: true }),
    ...(error.cause && { cause: error.cause instanceof Error ? showError(error.cause) : error.cause.message }),
  };
}

/** Replaces what differs between two runs by the order in which it first occurs: made keys, moments, tokens. */
export function normalize(value) {
  const names = new Map();
  const name = (kind, text) => {
    const key = kind + text;
    if (!names.has(key)) names.set(key, `<${kind} ${names.size}>`);
    return names.get(key);
  };
  const clean = (text) => text
    .replace(/%3A/g, ':')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, (id) => name('key', id))
    .replace(/(\/db\/(?:User|Role|logs\.AppLog)\/)([A-Za-z0-9]{16,}|[0-9a-f-]{20,}|\d{3,})/g, (_, path, id) => path + name('key', id))
    .replace(/[0-9a-f]{60,}/g, '<token>')
    .replace(/127\.0\.0\.1:\d+/g, '<host>')
    .replace(/(?:\w{3}, \d\d \w{3} )?20(?:2[5-9]|[3-9]\d)[-T:. \dGM]*Z?/g, '<moment>');
  const walk = (item) => {
    if (typeof item === 'string') return clean(item);
    if (Array.isArray(item)) return item.map(walk);
    if (item && typeof item === 'object') return Object.fromEntries(Object.entries(item).map(([key, inner]) => [clean(key), walk(inner)]));
    return item;
  };
  return walk(value);
}

/** `{result, requests}` of a script, to be compared. `env` has `err(operation)`: what it throws or rejects with. */
export async function runScript(side, script, context) {
  const requests = [];
  const as = script.as === 'root' ? context : { schema: context.schema };
  const db = await side.open(as, requests);
  const env = {
    base: side.base,
    requests,
    show,
    async err(operation) {
      try {
        return { unexpected: await operation() };
      } catch (error) {
        return error;
      }
    },
    open: () => side.open(as, requests),
  };
  let result;
  try {
    result = show(await script.run(db, env));
  } catch (error) {
    result = { failed: show(error), stack: error.stack };
  }
  // The order of requests that run side by side is nobody's promise.
  const sent = script.unordered ? requests.toSorted((a, b) => order(a).localeCompare(order(b))) : requests;
  if (script.bodies === false) for (const request of sent) delete request.body;
  const { failed, stack } = result && typeof result === 'object' ? result : {};
  return { ...normalize(JSON.parse(JSON.stringify({ result: failed ? { failed } : result, requests: sent }))), stack };
}

const order = ({ method, path: where, body }) => JSON.stringify([method, where, body]).replace(/[0-9a-f-]{36}|20[-\d]+T[\d:.]+Z/g, '');

/** Where two JSON values differ, as lines. */
export function differences(sdk, client, at = '') {
  if (sdk && client && typeof sdk === 'object' && typeof client === 'object' && Array.isArray(sdk) === Array.isArray(client)) {
    const names = new Set([...Object.keys(sdk), ...Object.keys(client)]);
    return [...names].flatMap((name) => differences(sdk[name], client[name], `${at}.${name}`));
  }
  return Object.is(sdk, client) ? [] : [`${at}: the SDK ${text(sdk)}, ours ${text(client)}`];
}

const MAX_SHOWN = 300; // characters
const text = (value) => (JSON.stringify(value) ?? 'nothing').slice(0, MAX_SHOWN);
