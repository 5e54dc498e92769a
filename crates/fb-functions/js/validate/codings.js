// Encodings, digests, identifiers, colours, coordinates.
'use strict';

const { text, withDefaults, own } = require('./util');

exports.isBase32 = (str, options) => {
  str = text(str);
  if (options && options.crockford) return /^[A-HJKMNP-TV-Z0-9]+$/.test(str);
  return str.length % 8 === 0 && /^[A-Z2-7]+=*$/.test(str);
};

exports.isBase58 = (str) => /^[1-9A-HJ-NP-Za-km-z]+$/.test(text(str));

const isBase64 = (str, options) => {
  str = text(str);
  const urlSafe = !!(options && options.urlSafe);
  const { padding } = withDefaults(options, { padding: !urlSafe });
  if (str === '') return true;
  if (padding && str.length % 4 !== 0) return false;
  const chars = urlSafe ? '[A-Za-z0-9_-]' : '[A-Za-z0-9+/]';
  return new RegExp(`^${chars}+${padding ? '={0,2}' : ''}$`).test(str);
};
exports.isBase64 = isBase64;

exports.isJWT = (str) => {
  const parts = text(str).split('.');
  return parts.length === 3 && parts.every((part) => isBase64(part, { urlSafe: true }));
};

exports.isJSON = (str, options) => {
  str = text(str);
  const { allow_primitives: primitives, allow_any_value: any } = withDefaults(options, { allow_primitives: false, allow_any_value: false });
  let value;
  try {
    value = JSON.parse(str);
  } catch (_) {
    return false;
  }
  return !!any || (primitives && (value === null || typeof value === 'boolean')) || (!!value && typeof value === 'object');
};

const UUID = '[0-9A-F]{8}-[0-9A-F]{4}-';
const TAIL = '[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}';
const NIL = '0{8}-0{4}-0{4}-0{4}-0{12}';
const MAX = 'F{8}-F{4}-F{4}-F{4}-F{12}';
const uuids = { nil: NIL, max: MAX, all: `(?:${UUID}[1-8]${TAIL}|${NIL}|${MAX})`, loose: `${UUID}[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}` };
for (let version = 1; version <= 8; version++) uuids[version] = `${UUID}${version}${TAIL}`;
exports.isUUID = (str, version) => {
  str = text(str);
  const pattern = own(uuids, version === undefined || version === null ? 'all' : version);
  return !!pattern && new RegExp(`^${pattern}$`, 'i').test(str);
};

exports.isULID = (str) => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(text(str));
exports.isMongoId = (str) => /^(?:0[xh])?[0-9a-f]+$/i.test(text(str)) && str.length === 24;

const HASHES = { md5: 32, md4: 32, sha1: 40, sha256: 64, sha384: 96, sha512: 128, ripemd128: 32, ripemd160: 40, tiger128: 32, tiger160: 40,
  tiger192: 48, crc32: 8, crc32b: 8 };
exports.isHash = (str, algorithm) => {
  str = text(str);
  return str.length === own(HASHES, algorithm) && /^[0-9a-f]+$/i.test(str);
};
exports.isMD5 = (str) => /^[0-9a-f]{32}$/.test(text(str));

exports.isSemVer = (str) => {
  str = text(str);
  const version = /^([0-9]+)\.([0-9]+)\.([0-9]+)(?:-([0-9a-z.-]+))?(?:\+([0-9a-z.-]+))?$/i.exec(str);
  if (!version) return false;
  const [, major, minor, patch, before, build] = version;
  const number = (digits) => digits === '0' || digits[0] !== '0';
  return [major, minor, patch].every(number) && (build === undefined || build.split('.').every((part) => part))
    && (before === undefined || before.split('.').every((part) => part && (!/^[0-9]+$/.test(part) || number(part))));
};

exports.isEthereumAddress = (str) => /^0x[0-9a-f]{40}$/i.test(text(str));
exports.isBtcAddress = (str) => /^(?:(?:bc1|tb1|bc1p|tb1p)[ac-hj-np-z02-9]{39,58}|[13mn2][a-km-zA-HJ-NP-Z1-9]{25,39})$/.test(text(str));

exports.isHexColor = (str, options) => {
  str = text(str);
  return (!options || !options.require_hashtag || str[0] === '#') && /^#?(?:[0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})$/i.test(str);
};

const BYTE = '(?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])';
const PERCENT = '(?:[0-9]|[1-9][0-9]|100)%';
const ALPHA = '(?:0?\\.[0-9]{1,2}|[01]|1\\.0)';
const rgb = (value) => `rgb\\(${value},${value},${value}\\)|rgba\\(${value},${value},${value},${ALPHA}\\)`;
const RGB = new RegExp(`^(?:${rgb(BYTE)})$`);
const RGB_PERCENT = new RegExp(`^(?:${rgb(PERCENT)})$`);
// White space only where options ask for it; a second argument that is no object is about percentages, as it was in old versions.
exports.isRgbColor = (str, options) => {
  str = text(str);
  const o = typeof options === 'object' && options !== null ? options : { includePercentValues: options };
  if (o.allowSpaces && str.startsWith('rgb')) str = str.replace(/\s/g, '');
  return RGB.test(str) || (o.includePercentValues !== false && RGB_PERCENT.test(str));
};

const NUMBER = '[-+]?(?:[0-9]+(?:\\.[0-9]+)?|\\.[0-9]+)(?:e[-+]?[0-9]+)?';
const OPACITY = '[-+]?(?:[0-9]+(?:\\.[0-9]+)?|\\.[0-9]+)(?:e[-+]?[0-9]+)?%?';
const HSL_COMMA = new RegExp(`^hsla?\\(${NUMBER}(?:deg|grad|rad|turn)?(?:,${NUMBER}%){2}(?:,${OPACITY})?\\)$`, 'i');
const HSL_SPACE = new RegExp(`^hsla?\\(${NUMBER}(?:deg|grad|rad|turn)?(?:\\s${NUMBER}%){2}(?:\\s?/\\s${OPACITY})?\\s?\\)$`, 'i');
exports.isHSL = (str) => {
  const color = text(str).replace(/\s+/g, ' ').replace(/\s?(hsla?\(|\)|,)\s?/gi, '$1');
  return (color.includes(',') ? HSL_COMMA : HSL_SPACE).test(color);
};

const LAT = /^\(?[+-]?(?:90(?:\.0+)?|[1-8]?[0-9](?:\.[0-9]+)?)$/;
const LONG = /^\s?[+-]?(?:180(?:\.0+)?|1[0-7][0-9](?:\.[0-9]+)?|[0-9]{1,2}(?:\.[0-9]+)?)\)?$/;
const MINUTES = '\\D+(?:[1-5]?[0-9]|60)\\D+(?:[1-5]?[0-9]|60)(?:\\.[0-9]+)?\\D+';
const LAT_DMS = new RegExp(`^(?:(?:[1-8]?[0-9])${MINUTES}|90\\D+0\\D+0\\D+)[NSns]?$`);
const LONG_DMS = new RegExp(`^\\s*(?:[1-7]?[0-9]{1,2}${MINUTES}|180\\D+0\\D+0\\D+)[EWew]?$`);
exports.isLatLong = (str, options) => {
  const parts = text(str).split(',');
  if (parts.length < 2 || parts[0].length > 200 || parts[1].length > 200) return false;
  const [lat, long] = parts;
  if (lat.startsWith('(') !== long.endsWith(')')) return false;
  if (options && options.checkDMS) return LAT_DMS.test(lat) && LONG_DMS.test(long);
  return LAT.test(lat) && LONG.test(long);
};
