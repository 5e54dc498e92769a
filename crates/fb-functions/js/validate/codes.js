// Numbers and codes with a check digit: cards, accounts, securities, books, devices, containers.
'use strict';

const { text, withDefaults, own, weighted, luhn, remainder, lettersAsNumbers } = require('./util');

exports.isLuhnNumber = (str) => {
  const digits = text(str).replace(/[- ]+/g, '');
  return /^[0-9]+$/.test(digits) && luhn(digits);
};

// Leading digits and lengths by issuer.
const CARDS = {
  amex: /^3[47][0-9]{13}$/,
  dinersclub: /^3(?:0[0-5]|[68][0-9])[0-9]{11}$/,
  discover: /^6(?:011|5[0-9]{2})[0-9]{12,15}$/,
  jcb: /^(?:2131|1800|35[0-9]{3})[0-9]{11}$/,
  mastercard: /^(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}$/,
  unionpay: /^(?:6[27][0-9]{14}|(?:81[0-9]{14,17}))$/,
  visa: /^4[0-9]{12}(?:[0-9]{3,6})?$/,
};
exports.isCreditCard = (card, options) => {
  card = text(card);
  const provider = options && options.provider;
  const number = card.replace(/[- ]+/g, '');
  if (provider && own(CARDS, String(provider).toLowerCase())) {
    if (!CARDS[provider.toLowerCase()].test(number)) return false;
  } else if (provider) throw new Error(`${provider} is not a valid credit card provider.`);
  else if (!Object.keys(CARDS).some((name) => CARDS[name].test(number))) return false;
  return luhn(number);
};

// What follows country and check digits, from the registry of ISO 13616: n digits, a letters, c letters or digits.
const ACCOUNTS = 'AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BR23n1a1c BY4c20n CH5n12c CR18n CY8n16c CZ20n DE18n '
  + 'DK14n DO4a20n DZ22n EE16n EG25n ES20n FI14n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n GR7n16c GT4c20c HR17n HU24n IE4a14n IL19n IQ4a15n IR22n '
  + 'IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c LC4a24c LI5n12c LT16n LU3n13c LV4a13c MA24n MC10n11c2n MD20c ME18n MK3n10c2n MR23n MT4a5n18c '
  + 'MU4a19n3a MZ21n NL4a10n NO11n PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c RS18n SA2n18c SC4a20n3a SE20n SI15n SK20n SM1a10n12c SV4a20n TL19n '
  + 'TN20n TR5n17c UA6n19c VA18n VG4a16n XK16n';
let accounts;
function accountPatterns() {
  if (!accounts) {
    accounts = {};
    for (const entry of ACCOUNTS.split(' ')) {
      const form = entry.slice(2).replace(/([0-9]+)([nac])/g, (_, count, kind) => `${{ n: '[0-9]', a: '[A-Z]', c: '[A-Z0-9]' }[kind]}{${count}}`);
      accounts[entry.slice(0, 2)] = new RegExp(`^..[0-9]{2}${form}$`);
    }
  }
  return accounts;
}
Object.defineProperty(exports, 'ibanLocales', { enumerable: true, get: () => Object.keys(accountPatterns()) });

exports.isIBAN = (str, options) => {
  const iban = text(str).replace(/[\s-]+/g, '').toUpperCase();
  const country = iban.slice(0, 2);
  const pattern = own(accountPatterns(), country);
  const { whitelist, blacklist } = options || {};
  const known = (list) => list.filter((code) => own(accounts, code)).length === list.length;
  if (whitelist && (!known(whitelist) || !whitelist.includes(country))) return false;
  if (blacklist && blacklist.includes(country)) return false;
  return !!pattern && pattern.test(iban) && remainder(lettersAsNumbers(iban.slice(4) + iban.slice(0, 4)), 97) === 1;
};

exports.isBIC = (str) => {
  str = text(str);
  const country = str.slice(4, 6).toUpperCase();
  return /^[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?$/i.test(str) && (country === 'XK' || require('./iso').isISO31661Alpha2(country));
};

exports.isAbaRouting = (str) => {
  str = text(str);
  return /^(?:0[0-9]|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)[0-9]{7}$/.test(str) && weighted(str, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0;
};

const isISBN = (str, options) => {
  str = text(str);
  const version = String((typeof options === 'object' && options !== null ? options.version : options) || '');
  if (version === '') return isISBN(str, '10') || isISBN(str, '13');
  const digits = str.replace(/[\s-]+/g, '');
  if (version === '10') {
    if (!/^[0-9]{9}[0-9X]$/.test(digits)) return false;
    return (weighted(digits, [1, 2, 3, 4, 5, 6, 7, 8, 9]) + 10 * (digits[9] === 'X' ? 10 : Number(digits[9]))) % 11 === 0;
  }
  return version === '13' && /^[0-9]{13}$/.test(digits) && weighted(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;
};
exports.isISBN = isISBN;

exports.isISSN = (str, options) => {
  str = text(str);
  const { case_sensitive: strict, require_hyphen: hyphen } = options || {};
  if (!new RegExp(`^[0-9]{4}-${hyphen ? '' : '?'}[0-9]{3}[0-9X]$`, strict ? '' : 'i').test(str)) return false;
  const digits = str.replace('-', '').toUpperCase();
  return (weighted(digits, [8, 7, 6, 5, 4, 3, 2]) + (digits[7] === 'X' ? 10 : Number(digits[7]))) % 11 === 0;
};

exports.isISIN = (str) => /^[A-Z]{2}[0-9A-Z]{9}[0-9]$/.test(text(str)) && luhn(lettersAsNumbers(str));

exports.isEAN = (str) => {
  str = text(str);
  if (!/^(?:[0-9]{8}|[0-9]{13,14})$/.test(str)) return false;
  let sum = 0;
  for (let i = str.length - 1, weight = 1; i >= 0; i--, weight = 4 - weight) sum += Number(str[i]) * weight;
  return sum % 10 === 0;
};

exports.isISRC = (str) => /^[A-Z]{2}[0-9A-Z]{3}[0-9]{7}$/.test(text(str));

exports.isIMEI = (str, options) => {
  str = text(str);
  const hyphens = options && options.allow_hyphens;
  return (hyphens ? /^[0-9]{2}-[0-9]{6}-[0-9]{6}-[0-9]$/ : /^[0-9]{15}$/).test(str) && luhn(str.replace(/-/g, ''));
};

// ISO 6346 counts letters from 10 on, leaving out multiples of 11.
exports.isISO6346 = (str) => {
  str = text(str).toUpperCase();
  if (!/^[A-Z]{3}(?:U[0-9]{7}|[JZ][0-9]{6,7})$/.test(str)) return false;
  if (str.length === 10) return true;
  let sum = 0;
  for (let i = 0; i < 10; i++) {
    const place = str.charCodeAt(i) - 65;
    sum += (i < 4 ? 10 + place + Math.floor((place + 9) / 10) : Number(str[i])) * 2 ** i;
  }
  return (sum % 11) % 10 === Number(str[10]);
};
exports.isFreightContainerID = exports.isISO6346;
