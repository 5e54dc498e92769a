// Postal codes.
'use strict';

const { text, own, badLocale } = require('./util');

const DIGITS = {
  3: 'IS MG',
  4: 'AT AU BE BG CH DK HU LU NO NZ SI TN ZA',
  5: 'DE DO DZ EE FI ID IT KE LK MX MY PK SA TH UA ZM',
  6: 'RO RU SG',
};

// In a form # is a digit, @ a letter, everything else a part of a regular expression.
const FORMS = {
  AD: 'AD###', AZ: 'AZ####', BA: '[78]####', BD: '[1-8]###|9[0-4]##', BR: '#####-?###', BY: '2[1-4]####',
  CA: '[ABCEGHJKLMNPRSTVXY]#[ABCEGHJ-NPRSTV-Z][\\s-]?#[ABCEGHJ-NPRSTV-Z]#',
  CN: '(?:0[1-7]|1[0-356]|2[0-7]|3[0-6]|4[0-7]|5[1-7]|6[1-7]|7[1-5]|8[1345]|9[09])####',
  CO: '(?:05|08|1[135789]|2[0357]|4[147]|5[024]|6[368]|7[036]|8[1568]|9[14579])####',
  CZ: '###\\s?##', ES: '(?:5[0-2]|[0-4]#)###', FR: '(?:0[1-9]|[1-8]#|9[0-5])###|97[1-46]##', GB: 'GIR\\s?0AA|@{1,2}#[#@]?\\s?#@@',
  GR: '###\\s?##', HR: '[1-5]####', HT: 'HT####', IE: '@#(?:#|W)\\s[#@]{4}', IL: '#{5}(?:##)?',
  IN: '(?:1[1-9]|2[0-8]|3[0-46-9]|4#|5[0-36-9]|6[0-47-9]|7#|8[0-5]|9#)####', IR: '[13-9]{4}[1346-9][013-9]{5}', JP: '###-####', KR: '#{5}#?',
  LI: '948[5-9]|949[0-7]', LT: 'LT-#####', LV: 'LV-####', MC: '980##', MT: '@@@\\s?####', NL: '[1-9]###\\s?(?!SA|SD|SS)@@',
  NP: '(?:10|21|22|3[234]|4[45]|5[67])###|977', PL: '##-###', PR: '00[679]##(?:[- ]####)?', PT: '####-###', SE: '[1-9]##\\s?##',
  SK: '###\\s?##', TW: '###(?:###?)?', US: '#####(?:-####)?',
};
for (const count of Object.keys(DIGITS)) for (const country of DIGITS[count].split(' ')) FORMS[country] = '#'.repeat(count);
exports.locales = Object.keys(FORMS);

// Upper and lower case count the same where letters are not the country's own code.
const ANY_CASE = ['CA', 'GB', 'IE', 'MT', 'NL'];
const patterns = {};
function patternOf(country) {
  if (!patterns[country]) {
    const form = FORMS[country].replace(/\[[^\]]*\]|#|@/g, (part) => ({ '#': '[0-9]', '@': '[A-Z]', '[#@]': '[0-9A-Z]' }[part] || part));
    patterns[country] = new RegExp(`^(?:${form})$`, ANY_CASE.includes(country) ? 'i' : '');
  }
  return patterns[country];
}

exports.isPostalCode = (str, locale) => {
  str = text(str);
  if (locale === 'any') return exports.locales.some((country) => patternOf(country).test(str));
  return own(FORMS, locale) ? patternOf(locale).test(str) : badLocale(locale);
};
