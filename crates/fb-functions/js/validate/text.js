// Checks of characters, lengths and membership.
'use strict';

const { text, withDefaults, asText, isRegExp, own, byteLength, badLocale } = require('./util');

exports.equals = (str, comparison) => text(str) === comparison;

exports.contains = (str, seed, options) => {
  str = text(str);
  seed = asText(seed);
  const { ignoreCase, minOccurrences } = withDefaults(options, { ignoreCase: false, minOccurrences: 1 });
  if (ignoreCase) {
    str = str.toLowerCase();
    seed = seed.toLowerCase();
  }
  return str.split(seed).length > minOccurrences;
};

exports.matches = (str, pattern, modifiers) => {
  str = text(str);
  return !!str.match(isRegExp(pattern) ? pattern : new RegExp(pattern, modifiers));
};

const alphabets = {};
function inAlphabet(str, locale, options, withDigits) {
  str = text(str);
  const ignore = options && options.ignore;
  if (ignore) {
    if (isRegExp(ignore)) str = str.replace(ignore, '');
    else if (typeof ignore === 'string') str = Array.from(str).filter((char) => !ignore.includes(char)).join('');
    else throw new Error('ignore should be instance of a String or RegExp');
  }
  const key = locale + withDigits;
  if (!alphabets[key]) {
    const [letters, digits] = require('./alphabets').of(locale) || badLocale(locale);
    alphabets[key] = new RegExp(`^[${withDigits ? digits : letters}]+$`);
  }
  return alphabets[key].test(str);
}

exports.isAlpha = (str, locale = 'en-US', options = {}) => inAlphabet(str, locale, options, false);
exports.isAlphanumeric = (str, locale = 'en-US', options = {}) => inAlphabet(str, locale, options, true);

exports.isLowercase = (str) => text(str) === str.toLowerCase();
exports.isUppercase = (str) => text(str) === str.toUpperCase();

/* eslint-disable no-control-regex */
const HALF = ' -~\uff61-\uffdc\uffe8-\uffee';
const half = new RegExp(`[${HALF}]`);
const full = new RegExp(`[^${HALF}]`);
exports.isAscii = (str) => /^[\x00-\x7f]+$/.test(text(str));
exports.isMultibyte = (str) => /[^\x00-\x7f]/.test(text(str));
exports.isHalfWidth = (str) => half.test(text(str));
exports.isFullWidth = (str) => full.test(text(str));
exports.isVariableWidth = (str) => half.test(text(str)) && full.test(str);
exports.isSurrogatePair = (str) => /[\ud800-\udbff][\udc00-\udfff]/.test(text(str));

// Limits as an object, or as two further arguments.
const limits = (rest) => (typeof rest[0] === 'object' ? rest[0] : { min: rest[0] || 0, max: rest[1] });
const within = (length, { min, max }) => length >= (min || 0) && (max === undefined || length <= max);

// Characters, not counting the selectors that choose how the one before them is shown.
exports.isLength = (str, ...rest) => {
  str = text(str);
  const options = limits(rest);
  const shown = str.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '_').replace(/[^\ufe0e\ufe0f][\ufe0e\ufe0f]/g, '_');
  const sizes = options.discreteLengths;
  return within(shown.length, options) && (!Array.isArray(sizes) || sizes.includes(shown.length));
};

exports.isByteLength = (str, ...rest) => within(byteLength(text(str)), limits(rest));

exports.isEmpty = (str, options) => (options && options.ignore_whitespace ? text(str).trim() : text(str)).length === 0;

exports.isIn = (str, values) => {
  str = text(str);
  if (values === null) throw new TypeError('isIn needs an array, an object or a string');
  if (Array.isArray(values)) return values.some((value) => asText(value) === str);
  if (typeof values === 'object') return own(values, str) !== undefined || Object.prototype.hasOwnProperty.call(values, str);
  return !!values && typeof values.indexOf === 'function' && values.indexOf(str) >= 0;
};

exports.isWhitelisted = (str, chars) => {
  str = text(str);
  if (str && (chars === undefined || chars === null)) throw new TypeError('isWhitelisted needs the allowed characters');
  for (let i = 0; i < str.length; i++) if (chars.indexOf(str[i]) < 0) return false;
  return true;
};

exports.isBoolean = (str, options) => {
  str = text(str);
  if (!options || !options.loose) return /^(?:true|false|[01])$/.test(str);
  return /^(?:true|false|yes|no|[01])$/i.test(str);
};

exports.isSlug = (str) => /^[a-z0-9](?:[-_]?[a-z0-9])*$/.test(text(str));

exports.isStrongPassword = (str, options = null) => {
  str = text(str);
  const rules = withDefaults(options, {
    minLength: 8, minLowercase: 1, minUppercase: 1, minNumbers: 1, minSymbols: 1, returnScore: false, pointsPerUnique: 1,
    pointsPerRepeat: 0.5, pointsForContainingLower: 10, pointsForContainingUpper: 10, pointsForContainingNumber: 10,
    pointsForContainingSymbol: 10,
  });
  const count = (pattern) => (str.match(pattern) || []).length;
  const unique = new Set(Array.from(str)).size;
  const lower = count(/[a-z]/g);
  const upper = count(/[A-Z]/g);
  const digits = count(/[0-9]/g);
  const symbols = count(/[-#!$@£%^&*()_+|~=`{}[\]:";'<>?,./\\ ]/g);
  if (rules.returnScore) {
    return unique * rules.pointsPerUnique + (str.length - unique) * rules.pointsPerRepeat
      + (lower && rules.pointsForContainingLower) + (upper && rules.pointsForContainingUpper)
      + (digits && rules.pointsForContainingNumber) + (symbols && rules.pointsForContainingSymbol);
  }
  return str.length >= rules.minLength && lower >= rules.minLowercase && upper >= rules.minUppercase
    && digits >= rules.minNumbers && symbols >= rules.minSymbols;
};
