// What changes text instead of judging it; for functions given to `is`, which get the whole library.
'use strict';

const { text, withDefaults } = require('./util');

exports.toBoolean = (str, strict) => (strict ? ['1', 'true'].includes(text(str)) || /^true$/i.test(str) : !['0', 'false', ''].includes(text(str)));

const classOf = (chars) => chars.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const blank = /\s/;

exports.ltrim = (str, chars) => {
  str = text(str);
  const cut = chars ? new RegExp(`[${classOf(chars)}]`) : blank;
  let from = 0;
  while (from < str.length && cut.test(str[from])) from++;
  return str.slice(from);
};
exports.rtrim = (str, chars) => {
  str = text(str);
  const cut = chars ? new RegExp(`[${classOf(chars)}]`) : blank;
  let to = str.length;
  while (to > 0 && cut.test(str[to - 1])) to--;
  return str.slice(0, to);
};
exports.trim = (str, chars) => exports.rtrim(exports.ltrim(str, chars), chars);

exports.whitelist = (str, chars) => text(str).replace(new RegExp(`[^${chars}]+`, 'g'), '');
exports.blacklist = (str, chars) => text(str).replace(new RegExp(`[${chars}]+`, 'g'), '');
exports.stripLow = (str, keepNewLines) => exports.blacklist(str, keepNewLines ? '\\x00-\\x09\\x0B\\x0C\\x0E-\\x1F\\x7F' : '\\x00-\\x1F\\x7F');

const ENTITIES = { '&': '&amp;', '"': '&quot;', "'": '&#x27;', '<': '&lt;', '>': '&gt;', '/': '&#x2F;', '\\': '&#x5C;', '`': '&#96;' };
exports.escape = (str) => text(str).replace(/[&"'<>/\\`]/g, (char) => ENTITIES[char]);
exports.unescape = (str) => {
  const chars = {};
  for (const char of Object.keys(ENTITIES)) chars[ENTITIES[char]] = char;
  return text(str).replace(/&(?!amp;)(?:quot|lt|gt|#x27|#x2F|#x5C|#96);/g, (entity) => chars[entity]).replace(/&amp;/g, '&');
};

const OUTLOOK = /^(?:hotmail|live|msn|outlook|passport)\./;
exports.normalizeEmail = (mail, options) => {
  const o = withDefaults(options, {
    all_lowercase: true, gmail_lowercase: true, gmail_remove_dots: true, gmail_remove_subaddress: true, gmail_convert_googlemaildotcom: true,
    outlookdotcom_lowercase: true, outlookdotcom_remove_subaddress: true, yahoo_lowercase: true, yahoo_remove_subaddress: true,
    icloud_lowercase: true, icloud_remove_subaddress: true, yandex_lowercase: true, yandex_convert_yandexru: true,
  });
  const at = mail.lastIndexOf('@');
  let user = at < 0 ? '' : mail.slice(0, at);
  let domain = mail.slice(at + 1).toLowerCase();
  const tidy = (family, sign) => {
    if (o[`${family}_remove_subaddress`]) {
      const parts = user.split(sign);
      user = sign === '-' && parts.length > 1 ? parts.slice(0, -1).join('-') : parts[0];
    }
    if (family === 'gmail' && o.gmail_remove_dots) user = user.replace(/\.+/g, (dots) => (dots.length > 1 ? dots : ''));
    if (!user) return false;
    if (o.all_lowercase || o[`${family}_lowercase`]) user = user.toLowerCase();
    return true;
  };
  if (domain === 'gmail.com' || domain === 'googlemail.com') {
    if (!tidy('gmail', '+')) return false;
    if (o.gmail_convert_googlemaildotcom) domain = 'gmail.com';
  } else if (domain === 'icloud.com' || domain === 'me.com') {
    if (!tidy('icloud', '+')) return false;
  } else if (OUTLOOK.test(domain)) {
    if (!tidy('outlookdotcom', '+')) return false;
  } else if (/^(?:yahoo\.|ymail\.com$|rocketmail\.com$)/.test(domain)) {
    if (!tidy('yahoo', '-')) return false;
  } else if (/^(?:yandex\.(?:com|ru|ua|kz|by)|ya\.ru)$/.test(domain)) {
    if (o.all_lowercase || o.yandex_lowercase) user = user.toLowerCase();
    if (o.yandex_convert_yandexru) domain = 'yandex.ru';
  } else if (o.all_lowercase) user = user.toLowerCase();
  return `${user}@${domain}`;
};
