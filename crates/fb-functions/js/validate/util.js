// What all checks share: the one kind of value they take, defaults of options, character counting.
'use strict';

// The given value, which must be a string; the error's text is what a check without a text of its own reports.
exports.text = (value) => {
  if (typeof value === 'string' || value instanceof String) return String(value);
  let name = value === null ? 'null' : typeof value;
  if (name === 'object' || (value && value.constructor && value.constructor.name)) {
    name = (value.constructor && value.constructor.name) || 'Object';
  } else if (name === 'number' || name === 'boolean') {
    name = name[0].toUpperCase() + name.slice(1);
  }
  throw new TypeError(`Expected a string but received a ${name}`);
};

exports.withDefaults = (options, defaults) => {
  const all = {};
  for (const key in defaults) all[key] = defaults[key];
  if (options) for (const key in options) if (options[key] !== undefined) all[key] = options[key];
  return all;
};

// What a comparison value is read as.
exports.asText = (value) => {
  if (typeof value === 'object' && value !== null) return typeof value.toString === 'function' ? value.toString() : '[object Object]';
  return value === null || value === undefined || (value !== value && !value.length) ? '' : String(value);
};

exports.isRegExp = (value) => Object.prototype.toString.call(value) === '[object RegExp]';

exports.own = (table, key) => (Object.prototype.hasOwnProperty.call(table, key) ? table[key] : undefined);

exports.list = (words) => new Set(words.split(' '));

// Whether `list`, of strings and regular expressions, has `word`.
exports.listed = (word, list) =>
  Array.from(list).some((entry) => entry === word || (exports.isRegExp(entry) && exports.found(entry, word)));

exports.found = (pattern, text) => {
  pattern.lastIndex = 0;
  return pattern.test(text);
};

// Bytes in UTF-8. Throws where half a surrogate pair stands alone, which UTF-8 has no bytes for.
exports.byteLength = (text) => {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 3;
    else {
      const next = text.charCodeAt(i + 1);
      if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) throw new URIError('URI malformed');
      bytes += 4;
      i++;
    }
  }
  return bytes;
};

// The sum of each digit times its weight; digits without a weight do not count.
exports.weighted = (digits, weights) => {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += Number(digits[i]) * weights[i];
  return sum;
};

// Whether the last digit makes the number pass Luhn's check.
exports.luhn = (digits) => {
  let sum = 0;
  for (let i = digits.length - 1, twice = false; i >= 0; i--, twice = !twice) {
    const digit = Number(digits[i]) * (twice ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return sum % 10 === 0;
};

// A long decimal number's remainder.
exports.remainder = (digits, modulus) => {
  let rest = 0;
  for (let i = 0; i < digits.length; i++) rest = (rest * 10 + Number(digits[i])) % modulus;
  return rest;
};

// Whether there is such a day in the Gregorian calendar.
exports.isDay = (year, month, day) => {
  if (month < 1 || month > 12 || day < 1) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return day <= [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
};

// Letters as numbers, A = 10, the way account and security numbers are summed.
exports.lettersAsNumbers = (text) => text.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55));

exports.badLocale = (locale) => {
  throw new Error(`Invalid locale '${locale}'`);
};
