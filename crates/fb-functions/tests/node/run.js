// Runs the functions that a file of cases exports and describes what they came to, in Node and in the engine alike.
function plain(value, depth = 0) {
  if (depth > 8) return { deep: true };
  if (value === undefined) return { undefined: true };
  if (typeof value === 'bigint') return { bigint: String(value) };
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return { number: Object.is(value, -0) ? '-0' : String(value) };
  if (typeof value === 'string' && !value.isWellFormed()) return { units: Array.from({ length: value.length }, (_, i) => value.charCodeAt(i)) };
  if (typeof value === 'function') return { function: true };
  if (typeof value === 'symbol') return { symbol: String(value) };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return failure(value);
  if (value instanceof Uint8Array) return { bytes: [...value].map((byte) => byte.toString(16).padStart(2, '0')).join('') };
  if (value instanceof ArrayBuffer) return plain(new Uint8Array(value), depth);
  if (Array.isArray(value)) return value.map((one) => plain(one, depth + 1));
  if (value instanceof Date) return { date: value.getTime() };
  return Object.fromEntries(Object.keys(value).map((key) => [key, plain(value[key], depth + 1)]));
}

function failure(error) {
  const described = { error: error.name };
  if (error.code !== undefined) described.code = error.code;
  if (error.code === undefined || /^ERR_(OUT|INVALID_ARG_T|HTTP|STREAM|UNK|BUF)/.test(error.code)) described.message = error.message;
  // What engines say themselves differs from engine to engine.
  if (error.code === undefined && ['TypeError', 'RangeError', 'SyntaxError', 'ReferenceError', 'URIError'].includes(error.name)) delete described.message;
  return described;
}

module.exports = async function run(cases) {
  const results = {};
  for (const name of Object.keys(cases)) {
    try {
      results[name] = plain(await cases[name]());
    } catch (error) {
      results[name] = { thrown: error instanceof Error ? failure(error) : plain(error) };
    }
  }
  return results;
};
