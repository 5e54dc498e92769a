// Numbers of persons and companies: passports, identity cards, tax and VAT numbers. Forms of countries that are not here are refused.
'use strict';

const { text, own, weighted, luhn, isDay, badLocale } = require('./util');

// In a form # is a digit, @ a letter, * either.
const compile = (forms, flags) => {
  const compiled = {};
  return (country) => {
    const form = own(forms, country);
    if (form !== undefined && !compiled[country]) {
      const pattern = form.replace(/\[[^\]]*\]|[#@*]/g, (part) => ({ '#': '[0-9]', '@': '[A-Z]', '*': '[A-Z0-9]' }[part] || part));
      compiled[country] = new RegExp(`^(?:${pattern})$`, flags);
    }
    return compiled[country];
  };
};

const PASSPORTS = {
  AM: '@@#{7}', AR: '@{3}#{6}', AT: '@#{7}', AU: '@#{7}', AZ: '@#{8}', BE: '@@#{6}', BG: '#{9}', BR: '@@#{6}', BY: '@@#{7}',
  CA: '@@#{6}|@#{6}@@', CH: '@#{7}', CY: '@(?:#{6}|#{8})', CZ: '#{8}', DE: '[CFGHJKLMNPRTVWXYZ0-9]{9}', DK: '#{9}', DZ: '#{9}', EE: '@{1,2}#{7}',
  ES: '[A-Z0-9]{2}[A-Z0-9]?#{6}', FI: '@@#{7}', FR: '##@@#{5}', GB: '#{9}', GR: '@@#{7}', HR: '#{9}', HU: '@@#{6,7}', IE: '[A-Z0-9]{2}#{7}',
  IN: '@-?#{7}', IR: '@#{8}', IT: '[A-Z0-9]{2}#{7}', JP: '@@#{7}', KZ: '@#{7}', LI: '@#{5}', LT: '*{8}', LU: '*{8}', LV: '[A-Z0-9]{2}#{7}',
  LY: '*{8}', MT: '#{7}', MX: '@#{8}', NL: '@@[A-Z0-9]{6}#', PK: '@@#{7}', PL: '@@#{7}', PT: '@#{6}', RO: '#{8,9}', RU: '#{9}', SE: '#{8}', TH: '@{1,2}#{6,7}',
  TR: '@#{8}', UA: '@@#{6}', US: '#{9}|@#{8}',
};
const passport = compile(PASSPORTS, '');
exports.passportLocales = Object.keys(PASSPORTS);
exports.isPassportNumber = (str, country) => {
  const number = text(str).replace(/\s/g, '').toUpperCase();
  return (passport(String(country).toUpperCase()) || badLocale(country)).test(number);
};

// VAT numbers of the countries of the European Union as its information exchange system takes them, and of some others.
const VAT = {
  AT: '(?:AT)?U#{8}', BE: '(?:BE)?#{10}', BG: '(?:BG)?#{9,10}', CY: '(?:CY)?\\w{9}', CZ: '(?:CZ)?#{8,10}', DE: '(?:DE)?#{9}', DK: '(?:DK)?#{8}',
  EE: '(?:EE)?#{9}', EL: '(?:EL)?#{9}', FI: '(?:FI)?#{8}', HR: '(?:HR)?#{11}', HU: '(?:HU)?#{8}', IT: '(?:IT)?#{11}', LV: '(?:LV)?#{11}', LT: '(?:LT)?#{9,12}',
  LU: '(?:LU)?#{8}', MT: '(?:MT)?#{8}', PL: '(?:PL)?(?:#{10}|#{3}-#{3}-#{2}-#{2}|#{3}-#{2}-#{2}-#{3})', RO: '(?:RO)?#{2,10}', SE: '(?:SE)?#{12}', SI: '(?:SI)?#{8}', SK: '(?:SK)?#{10}',
};
const vat = compile(VAT, '');
exports.isVAT = (str, country) => {
  str = text(str);
  country = text(country);
  const pattern = vat(country);
  if (pattern) return pattern.test(str);
  throw new Error(`Invalid country code: '${country}'`);
};

const SPANISH = 'TRWAGMYFPDXBNJZSQVHLCKE';

// The check digit scheme of Verhoeff, which multiplies in the dihedral group of ten elements.
function verhoeff(digits) {
  const product = (a, b) => (a < 5 ? (b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5)) : b < 5 ? 5 + ((a - b + 5) % 5) : (a - b + 5) % 5);
  const step = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    let digit = Number(digits[digits.length - 1 - i]);
    for (let turn = i % 8; turn > 0; turn--) digit = step[digit];
    sum = product(sum, digit);
  }
  return sum === 0;
}

const DATED = (digits) => isDay(Number(digits.slice(0, 4)), Number(digits.slice(4, 6)), Number(digits.slice(6, 8)));

const CARDS = {
  PL: (id) => /^[0-9]{11}$/.test(id) && weighted(id, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0,
  ES: (id) => {
    const number = id.trim().toUpperCase();
    return /^[0-9X-Z][0-9]{7}[TRWAGMYFPDXBNJZSQVHLCKE]$/.test(number)
      && SPANISH[Number(number.slice(0, 8).replace(/[XYZ]/, (letter) => 'XYZ'.indexOf(letter))) % 23] === number[8];
  },
  FI: (id) => /^[0-9]{6}[-+A][0-9]{3}[0-9ABCDEFHJKLMNPRSTUVWXY]$/.test(id)
    && '0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(id.slice(0, 6) + id.slice(7, 10)) % 31] === id[10],
  IN: (id) => /^[1-9][0-9]{3}\s?[0-9]{4}\s?[0-9]{4}$/.test(id.trim()) && verhoeff(id.replace(/\s/g, '')),
  IR: (id) => {
    if (!/^[0-9]{10}$/.test(id) || Number(id.slice(3, 9)) === 0) return false;
    const rest = weighted(id, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    return Number(id[9]) === (rest < 2 ? rest : 11 - rest);
  },
  IT: (id) => id.length === 9 && id !== 'CA00000AA' && /C[A-Z][0-9]{5}[A-Z]{2}/i.test(id),
  LK: (id) => /^(?:[1-9][0-9]{8}[VX]|[1-9][0-9]{11})$/i.test(id),
  NO: (id) => {
    const digits = id.trim();
    if (!/^[0-9]{11}$/.test(digits)) return false;
    return weighted(digits, [3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11 === 0 && weighted(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
  },
  PK: (id) => /^[1-7][0-9]{4}-[0-9]{7}-[1-9]$/.test(id.trim()),
  'ar-LY': (id) => /^[12][0-9]{11}$/.test(id.trim()),
  'ar-TN': (id) => /^[0-9]{8}$/.test(id.trim()),
  TH: (id) => /^[1-8][0-9]{12}$/.test(id) && (11 - (weighted(id, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 10 === Number(id[12]),
  'he-IL': (id) => /^[0-9]{9}$/.test(id.trim()) && luhn(id.trim()),
  'zh-CN': (id) => {
    if (!/^(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12]|91)[0-9]{13}(?:[0-9]{2}[0-9X])?$/i.test(id)) return false;
    if (id.length === 15) return DATED(`19${id.slice(6, 12)}`);
    return /^(?:19|20)/.test(id.slice(6)) && DATED(id.slice(6, 14))
      && '10X98765432'[weighted(id, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11] === id[17].toUpperCase();
  },
  'zh-HK': (id) => {
    const number = id.trim().toUpperCase();
    if (!/^[A-Z]{1,2}[0-9]{6}(?:[0-9A]|\([0-9A]\))$/.test(number)) return false;
    // An absent first letter counts 36; the check digit ten is written A.
    const values = Array.from(number.replace(/[()]/g, '').padStart(9, ' '), (char) => (char === ' ' ? 36 : parseInt(char, 36)));
    return weighted(values, [9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
  },
  'zh-TW': (id) => {
    const number = id.trim().toUpperCase();
    if (!/^[A-Z][0-9]{9}$/.test(number)) return false;
    // Letters count from 10 on in the order in which the registration offices got them.
    const place = 10 + 'ABCDEFGHJKLMNPQRSTUVXYWZIO'.indexOf(number[0]);
    return (Math.floor(place / 10) + (place % 10) * 9 + weighted(number.slice(1), [8, 7, 6, 5, 4, 3, 2, 1, 1])) % 10 === 0;
  },
};

exports.isIdentityCard = (str, locale = 'any') => {
  str = text(str);
  if (locale !== 'any') return (own(CARDS, locale) || badLocale(locale))(str);
  return Object.keys(CARDS).some((name) => CARDS[name](str));
};

// Remainder of the weighted sum by 11, as the last digit, with a tenth that is written `ten`.
const mod11 = (id, weights, ten = 0) => {
  const rest = weighted(id, weights) % 11;
  return (rest === 10 ? ten : rest) === Number(id[weights.length]);
};

// Check digit of ISO 7064, MOD 11,10.
const mod1110 = (id) => {
  let product = 10;
  for (let i = 0; i < id.length - 1; i++) {
    const sum = (Number(id[i]) + product) % 10 || 10;
    product = (sum * 2) % 11;
  }
  return (11 - product) % 10 === Number(id[id.length - 1]);
};

const EMPLOYERS = new Set(('01 02 03 04 05 06 10 11 12 13 14 15 16 20 21 22 23 24 25 26 27 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 50 51 52 53 54 '
  + '55 56 57 58 59 60 61 62 63 64 65 66 67 68 71 72 73 74 75 76 77 80 81 82 83 84 85 86 87 88 90 91 92 93 94 95 98 99').split(' '));

const brazilian = (id) => {
  if (id.length === 11) {
    if (/^(.)\1*$/.test(id)) return false;
    return [9, 10].every((n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += Number(id[i]) * (n + 1 - i);
      return ((sum * 10) % 11) % 10 === Number(id[n]);
    });
  }
  if (/^(.)\1*$/.test(id)) return false;
  return [[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]].every((weights) => {
    const rest = weighted(id, weights) % 11;
    return (rest < 2 ? 0 : 11 - rest) === Number(id[weights.length]);
  });
};

// Form, whether separators are dropped first, and the check of what then is left.
const TAX = {
  'de-DE': [/^[1-9][0-9]{10}$/, /[\\/]/g, (id) => {
    // Of the first ten digits exactly one comes twice or three times, and never three times in a row.
    const counts = {};
    for (const digit of id.slice(0, 10)) counts[digit] = (counts[digit] || 0) + 1;
    const repeated = Object.keys(counts).filter((digit) => counts[digit] > 1);
    if (repeated.length !== 1 || counts[repeated[0]] > 3 || id.slice(0, 10).includes(repeated[0].repeat(3))) return false;
    return mod1110(id);
  }],
  'el-GR': [/^(?:[0-4]|[7-9])[0-9]{8}$/, null, (id) => (weighted(id, [256, 128, 64, 32, 16, 8, 4, 2]) % 11) % 10 === Number(id[8])],
  'en-US': [/^[0-9]{2}[- ]?[0-9]{7}$/, null, (id) => EMPLOYERS.has(id.slice(0, 2))],
  'es-ES': [/^(?:[0-9]{0,8}|[XYZKLM][0-9]{7})[A-HJ-NP-TV-Z]$/i, null, (id) => {
    const upper = id.toUpperCase();
    let number = upper.slice(0, -1);
    if (/^[XYZKLM]/.test(number)) number = String({ Y: 1, Z: 2 }[number[0]] || 0) + number.slice(1);
    return SPANISH[Number(number) % 23] === upper[upper.length - 1];
  }],
  'hr-HR': [/^[0-9]{11}$/, null, mod1110],
  'nl-NL': [/^[0-9]{9}$/, null, (id) => mod11(id, [9, 8, 7, 6, 5, 4, 3, 2], -1)],
  'pl-PL': [/^[0-9]{10,11}$/, null, (id) => (id.length === 10 ? mod11(id, [6, 5, 7, 2, 3, 4, 5, 6, 7], -1) : polish(id))],
  'pt-BR': [/^(?:[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{11}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}\/[0-9]{4}-[0-9]{2}|[0-9]{14})$/, /[.\-/]/g, brazilian],
  'pt-PT': [/^[0-9]{9}$/, null, (id) => {
    const check = 11 - (weighted(id, [9, 8, 7, 6, 5, 4, 3, 2]) % 11);
    return (check > 9 ? 0 : check) === Number(id[8]);
  }],
  'sl-SI': [/^[1-9][0-9]{7}$/, null, (id) => {
    const check = 11 - (weighted(id, [8, 7, 6, 5, 4, 3, 2]) % 11);
    return (check === 10 ? 0 : check) === Number(id[7]);
  }],
};

// The birthday of a Polish number has its century in the month.
function polish(id) {
  const month = Number(id.slice(2, 4));
  const century = [1900, 2000, 2100, 2200, 1800][Math.floor(month / 20)];
  return isDay(century + Number(id.slice(0, 2)), month % 20, Number(id.slice(4, 6)))
    && weighted(id, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0;
}

exports.isTaxID = (str, locale = 'en-US') => {
  str = text(str);
  const [form, separators, check] = own(TAX, locale) || badLocale(locale);
  // The number is bare before its form is looked at, except where the form has the separators.
  if (locale === 'pt-BR') return form.test(str) && check(str.replace(separators, ''));
  const id = separators ? str.replace(separators, '') : str;
  return form.test(id) && check(id);
};
