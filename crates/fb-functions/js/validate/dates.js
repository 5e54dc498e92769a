// Days, times and moments.
'use strict';

const { text, withDefaults, isDay } = require('./util');

const isMoment = (value) => Object.prototype.toString.call(value) === '[object Date]';

const toDate = (str) => {
  const moment = Date.parse(text(str));
  return isNaN(moment) ? null : new Date(moment);
};
exports.toDate = toDate;

// The day to compare with, given as such or in options; without one it is the present moment.
function compare(str, options, holds) {
  const other = (typeof options === 'object' && options !== null && !isMoment(options) ? options.comparisonDate : options) || Date().toString();
  const date = toDate(str);
  const against = toDate(isMoment(other) ? other.toString() : other);
  return !!(date && against && holds(date, against));
}
exports.isAfter = (str, options) => compare(str, options, (a, b) => a > b);
exports.isBefore = (str, options) => compare(str, options, (a, b) => a < b);

const DAY = { format: 'YYYY/MM/DD', delimiters: ['/', '-'], strictMode: false };

exports.isDate = (input, options) => {
  const o = withDefaults(typeof options === 'string' ? { format: options } : options, DAY);
  if (isMoment(input)) return !o.strictMode && isFinite(input);
  if (typeof input !== 'string') return false;
  const format = String(o.format).toLowerCase();
  if (!/^(?:y{4}|y{2}|m{1,2}|d{1,2})(?:[./-](?:y{4}|y{2}|m{1,2}|d{1,2})){2}$/.test(format)) return false;
  if (input.length > 100) return false;
  const inFormat = o.delimiters.find((delimiter) => format.includes(delimiter));
  const inInput = o.strictMode ? inFormat : o.delimiters.find((delimiter) => input.includes(delimiter));
  const names = format.split(inFormat);
  const values = input.toLowerCase().split(inInput);
  if (names.length < 3 || names.length !== values.length) return false;
  const parts = {};
  for (let i = 0; i < names.length; i++) {
    if (!/^[0-9]+$/.test(values[i])) return false;
    if (values[i].length !== names[i].length) return false;
    parts[names[i][0]] = values[i];
  }
  let { y: year } = parts;
  if (!year || !parts.m || !parts.d) return false;
  if (year.length === 2) year = (Number(year) < Number(String(new Date().getFullYear()).slice(-2)) ? '20' : '19') + year;
  return isDay(Number(year), Number(parts.m), Number(parts.d));
};

const CLOCKS = {
  hour24: { default: /^(?:[01]?[0-9]|2[0-3]):[0-5][0-9]$/, withSeconds: /^(?:[01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$/,
    withOptionalSeconds: /^(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?$/ },
  hour12: { default: /^(?:0?[1-9]|1[0-2]):[0-5][0-9] [AP]M$/, withSeconds: /^(?:0?[1-9]|1[0-2]):[0-5][0-9]:[0-5][0-9] [AP]M$/,
    withOptionalSeconds: /^(?:0?[1-9]|1[0-2]):[0-5][0-9](?::[0-5][0-9])? [AP]M$/ },
};

exports.isTime = (input, options) => {
  if (typeof input !== 'string') return false;
  const { hourFormat, mode } = withDefaults(options, { hourFormat: 'hour24', mode: 'default' });
  const clock = CLOCKS[hourFormat] && CLOCKS[hourFormat][mode];
  if (!clock) throw new Error("isTime needs hourFormat 'hour24' or 'hour12' and mode 'default', 'withSeconds' or 'withOptionalSeconds'");
  return clock.test(input);
};

// A calendar day, ordinal day, week or year, then maybe a time; digits of years beyond four need a sign.
const DATE = '[-+]?[0-9]{4}';
const MONTH = '(?:0[1-9]|1[0-2])';
const DAYS = '(?:[12][0-9]|0[1-9]|3[01])';
const WEEK = 'W(?:[0-4][0-9]|5[0-3])(?:-?[1-7])?';
const ORDINAL = '(?:00[1-9]|0[1-9][0-9]|[12][0-9]{2}|3(?:[0-5][0-9]|6[0-6]))';
const CLOCK = (t) => `${t}(?:(?:[01][0-9]|2[0-3])(?:(:?)[0-5][0-9](?:\\2[0-5][0-9])?)?|24(?::?00)?)(?:[.,][0-9]+)?`
  + '(?:[zZ]|[-+](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?';
const iso = (t) => new RegExp(`^${DATE}(?:(?:-${MONTH}|(-?)(?:${MONTH}\\1${DAYS}|${WEEK}|${ORDINAL}))(?:${CLOCK(t)})?)?$`);
const ISO = iso('[T\\s]');
const ISO_T = iso('T');

exports.isISO8601 = (str, options = {}) => {
  str = text(str);
  if (str.length > 1000 || !(options.strictSeparator ? ISO_T : ISO).test(str)) return false;
  if (!options.strict) return true;
  const ordinal = /^([0-9]{4})(-?)([0-9]{3})([ T.]|$)/.exec(str);
  if (ordinal) return Number(ordinal[3]) <= (isDay(Number(ordinal[1]), 2, 29) ? 366 : 365);
  const [, year, month, day] = /^([0-9]{4})-?([0-9]{0,2})-?([0-9]*)/.exec(str) || [];
  return !month || !day || isDay(Number(year), Number(month), Number(day.slice(0, 2)));
};

exports.isRFC3339 = (str) => {
  str = text(str);
  return str.length < 1000
    && /^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:[12][0-9]|0[1-9]|3[01])[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:Z|[-+](?:[01][0-9]|2[0-3]):[0-5][0-9])$/i.test(str);
};
