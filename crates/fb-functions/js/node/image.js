// Variants of images: smaller, cut, in other formats. See the documentation of images for what the options mean.
const { Buffer } = require('buffer');
const { invalidArgType, invalidArgValue } = require('errors');
const { view } = require('bytes');

const OPTIONS = ['width', 'height', 'fit', 'focus', 'crop', 'format', 'quality', 'auto', 'enlarge'];
const FRACTIONS = new Set(['width', 'height']);

// Numbers below 1 are fractions, which have a point; 1 is a pixel, '1.0' the whole.
function text(name, value) {
  if (name === 'focus' && value !== null && typeof value === 'object') {
    const [x, y] = Array.isArray(value) ? value : [value.x, value.y];
    return `${point(x)},${point(y)}`;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalidArgValue(`options.${name}`, value);
    return FRACTIONS.has(name) && !Number.isInteger(value) ? point(value) : String(value);
  }
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  throw invalidArgType(`options.${name}`, 'of type string, number or boolean', value);
}

const point = (value) => {
  const rounded = Math.round(Number(value) * 10000) / 10000;
  return Number.isInteger(rounded) ? `${rounded}.0` : String(rounded);
};

exports.render = async function render(image, options = {}) {
  const bytes = view(image);
  if (bytes === undefined) throw invalidArgType('image', 'an instance of Buffer, TypedArray, DataView, or ArrayBuffer', image);
  const parts = [];
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw invalidArgValue(`options.${name}`, options[name], `is no option of images; there are ${OPTIONS.join(', ')}`);
    if (options[name] !== undefined) parts.push(`${name}=${encodeURIComponent(text(name, options[name])).replace(/%(2C|3A)/g, decodeURIComponent)}`);
  }
  const answer = await native.operate('image', { method: 'GET', url: parts.join('&'), headers: [], body: bytes });
  if (answer.status !== 200) {
    let message = Buffer.from(answer.body).toString();
    try {
      message = JSON.parse(message).message ?? message;
    } catch {
      // The text itself says what is wrong.
    }
    throw Object.assign(new Error(message || 'the image could not be rendered'), { status: answer.status });
  }
  return Buffer.from(answer.body.buffer, answer.body.byteOffset, answer.body.length);
};
