// The two libraries that are compared, and how they are asked.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = new URL('../../../../', import.meta.url);
const here = createRequire(import.meta.url);

// The SDK and the library that it uses, as packages/conformance installs them.
const conformance = createRequire(new URL('packages/conformance/package.json', root));
export const sdk = conformance('baqend-v4');
export const theirs = createRequire(conformance.resolve('baqend-v4'))('validator');

export const sources = fileURLToPath(new URL('crates/fb-functions/js/validate/', root));
const index = here(`${sources}index.js`);
export const ours = index.library;
export const { validate } = index;

// What a check says, or how it fails. Options are copied, because the published library writes its defaults into them.
export function ask(library, name, text, args) {
  const copies = args.map((arg) => (arg && Object.getPrototypeOf(arg) === Object.prototype ? { ...arg } : arg));
  try {
    return library[name](text, ...copies);
  } catch (error) {
    return `throws ${error.message}`;
  }
}

// Small changes of a text, the same ones in each run.
export function mutator(seed) {
  let state = seed;
  const random = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % n;
  };
  const alphabet = 'aZ09.-+_@:/,;%#?&= "\'\\()[]<>éß\u0660\n*x$€T1234567890X';
  return (text) => {
    const chars = Array.from(text);
    for (let changes = random(3); changes >= 0; changes--) {
      const at = random(chars.length + 1);
      const kind = random(6);
      if (kind === 0) chars.splice(at, 1);
      else if (kind === 1) chars.splice(at, 0, alphabet[random(alphabet.length)]);
      else if (at >= chars.length) continue;
      else if (kind === 2) chars[at] = alphabet[random(alphabet.length)];
      else if (kind === 3) chars[at] = String(random(10));
      else if (kind === 4) chars[at] = chars[at] === chars[at].toLowerCase() ? chars[at].toUpperCase() : chars[at].toLowerCase();
      else if (at + 1 < chars.length) [chars[at], chars[at + 1]] = [chars[at + 1], chars[at]];
    }
    return chars.join('');
  };
}

export const shown = (value) => JSON.stringify(value, (_, inner) => (inner instanceof RegExp ? String(inner) : inner === undefined ? 'undefined' : inner));
