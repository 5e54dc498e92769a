// Operations of the host that are under way, by number.
const pending = new Map();
let lastId = 0;

const { toBase64 } = Uint8Array.prototype;

// Bytes can leave JavaScript only as text.
native.base64 = function (bytes) {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength);
  return toBase64.call(view);
};

native.text = (bytes) => native.decode(native.base64(bytes));

native.operate = function (kind, request) {
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    const body = request.body;
    const bytes = body === undefined || body === null || typeof body === 'string' ? body : native.base64(body);
    const headers = request.headers ?? [];
    const list = Array.isArray(headers) ? headers : Object.entries(headers);
    const head = [`${request.method ?? 'GET'}`, `${request.url}`.toWellFormed()];
    for (const [name, value] of list) head.push(`${name}`.toLowerCase().toWellFormed(), `${value}`.toWellFormed());
    const isText = typeof body === 'string';
    native.submit(id, kind, head, isText ? bytes.toWellFormed() : (bytes ?? ''), isText);
    pending.set(id, { resolve, reject });
  });
};

// `text`: the body as text, if it is JSON or text by its type.
exports.settle = function (id, status, headers, body, text, problem) {
  const waiting = pending.get(id);
  if (waiting === undefined) return;
  pending.delete(id);
  if (problem !== undefined) waiting.reject(new Error(problem));
  else waiting.resolve({ status, headers, body, text: () => text ?? native.text(body) });
};

exports.underWay = () => pending.size;
exports.reset = function () {
  if (pending.size > 0) pending.clear();
};
