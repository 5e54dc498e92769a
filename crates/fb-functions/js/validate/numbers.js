// Numbers as text, and amounts of money.
'use strict';

const { text, withDefaults, own, badLocale } = require('./util');

const COMMA = 'bg-BG cs-CZ da-DK de-DE el-GR eo es-ES fr-CA fr-FR hu-HU id-ID it-IT ku-IQ nb-NO nl-NL nn-NO pl-PL pl-Pl pt-BR pt-PT ru-RU '
  + 'sl-SI sr-RS sr-RS@latin sv-SE tr-TR uk-UA vi-VN';
const POINT = 'en-AU en-GB en-HK en-IN en-NZ en-US en-ZA en-ZM';
const ARABIC = 'ar ar-AE ar-BH ar-DZ ar-EG ar-IQ ar-JO ar-KW ar-LB ar-LY ar-MA ar-QA ar-QM ar-SA ar-SD ar-SY ar-TN ar-YE fa fa-AF fa-IR';

const separators = {};
for (const locale of COMMA.split(' ')) separators[locale] = ',';
for (const locale of POINT.split(' ')) separators[locale] = '.';
for (const locale of ARABIC.split(' ')) separators[locale] = '٫';
exports.isFloatLocales = Object.keys(separators);

const separatorOf = (locale) => own(separators, locale) || badLocale(locale);
const given = (limit) => limit !== undefined && limit !== null;

// `number` is compared with each limit as JavaScript compares them, so that a limit may be text.
const inRange = (number, { min, max, lt, gt }) =>
  (!given(min) || number >= min) && (!given(max) || number <= max) && (!given(lt) || number < lt) && (!given(gt) || number > gt);

exports.isInt = (str, options) => {
  str = text(str);
  options = options || {};
  const form = options.allow_leading_zeroes === false ? /^[-+]?(?:0|[1-9][0-9]*)$/ : /^[-+]?[0-9]+$/;
  return form.test(str) && inRange(str, options);
};

exports.isFloat = (str, options) => {
  str = text(str);
  options = options || {};
  const separator = options.locale ? separatorOf(options.locale) : '.';
  const plain = /^[-+]?[0-9]*(?:([.,٫])[0-9]*)?(?:[eE][-+]?[0-9]+)?$/.exec(str);
  if (!plain || (plain[1] && plain[1] !== separator) || /^[-+.,٫]?$/.test(str)) return false;
  return inRange(parseFloat(str.replace(/[,٫]/, '.')), options);
};

exports.isDecimal = (str, options) => {
  str = text(str);
  const { force_decimal: force, decimal_digits: digits, locale } =
    withDefaults(options, { force_decimal: false, decimal_digits: '1,', locale: 'en-US' });
  const separator = separatorOf(locale);
  const count = /^([0-9]+)(,?)([0-9]*)$/.exec(String(digits));
  if (!count) throw new Error("decimal_digits must look like '2', '1,' or '1,3'");
  const number = /^[-+]?[0-9]*(?:([.,٫])([0-9]*))?$/.exec(str);
  if (!number || /^[-+]?$/.test(str)) return false;
  if (number[1] === undefined) return !force;
  const places = number[2].length;
  const most = count[2] ? (count[3] === '' ? Infinity : Number(count[3])) : Number(count[1]);
  return number[1] === separator && places >= Number(count[1]) && places <= most;
};

exports.isNumeric = (str, options) => {
  str = text(str);
  if (options && options.no_symbols) return /^[0-9]+$/.test(str);
  const separator = options && options.locale ? separatorOf(options.locale) : '.';
  const number = /^[-+]?(?:[0-9]+|[0-9]*([.,٫])[0-9]+)$/.exec(str);
  return !!number && (number[1] === undefined || number[1] === separator);
};

exports.toFloat = (str) => (exports.isFloat(str) ? parseFloat(str) : NaN);
exports.toInt = (str, radix) => parseInt(text(str), radix || 10);

exports.isDivisibleBy = (str, number) => exports.toFloat(text(str)) % parseInt(number, 10) === 0;
exports.isHexadecimal = (str) => /^(?:0[xh])?[0-9a-f]+$/i.test(text(str));
exports.isOctal = (str) => /^(?:0o)?[0-7]+$/i.test(text(str));
exports.isPort = (str) => exports.isInt(str, { allow_leading_zeroes: false, min: 0, max: 65535 });

const MONEY = {
  symbol: '$', require_symbol: false, allow_space_after_symbol: false, symbol_after_digits: false, allow_negatives: true,
  parens_for_negatives: false, negative_sign_before_digits: false, negative_sign_after_digits: false,
  allow_negative_sign_placeholder: false, thousands_separator: ',', decimal_separator: '.', allow_decimal: true,
  require_decimal: false, digits_after_decimal: [2], allow_space_after_digits: false,
};

const escaped = (literal) => String(literal).replace(/[-/\\^$*+?.()|[\]{}]/g, '\\$&');

// The pattern of amounts, written from the inside out: digits, symbol, sign, parentheses.
function moneyPattern(o) {
  const whole = `(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:${escaped(o.thousands_separator)}[0-9]{3})+)`;
  const decimals = `(?:${escaped(o.decimal_separator)}(?:${o.digits_after_decimal.map((n) => `[0-9]{${Number(n)}}`).join('|')}))`;
  let amount = `${whole}?`;
  if (o.allow_decimal || o.require_decimal) amount += o.require_decimal ? decimals : `${decimals}?`;
  if (o.allow_negatives && !o.parens_for_negatives) {
    if (o.negative_sign_after_digits) amount += '-?';
    else if (o.negative_sign_before_digits) amount = `-?${amount}`;
  }
  if (o.allow_negative_sign_placeholder) amount = `(?: (?!-))?${amount}`;
  else if (o.allow_space_after_symbol) amount = ` ?${amount}`;
  else if (o.allow_space_after_digits) amount += '(?: (?!$))?';
  const symbol = `(?:${escaped(o.symbol)})${o.require_symbol ? '' : '?'}`;
  amount = o.symbol_after_digits ? amount + symbol : symbol + amount;
  if (o.allow_negatives) {
    if (o.parens_for_negatives) amount = `(?:\\(${amount}\\)|${amount})`;
    else if (!o.negative_sign_before_digits && !o.negative_sign_after_digits) amount = `-?${amount}`;
  }
  return new RegExp(`^(?!-? )(?=.*[0-9])${amount}$`);
}

let last = { key: undefined, pattern: undefined };
exports.isCurrency = (str, options) => {
  str = text(str);
  const all = withDefaults(options, MONEY);
  const key = JSON.stringify(all);
  if (last.key !== key) last = { key, pattern: moneyPattern(all) };
  return last.pattern.test(str);
};
