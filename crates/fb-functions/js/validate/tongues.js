// Names of languages as in BCP 47 (RFC 5646), with `_` as well as `-` between the parts.
'use strict';

const { text } = require('./util');

const LANGUAGE = '[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{5,8}';
const REST = '(?:[-_][a-z]{4})?(?:[-_](?:[a-z]{2}|[0-9]{3}))?(?:[-_](?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:[-_][0-9a-wyz](?:-[a-z0-9]{2,8})+)*';
const PRIVATE = 'x(?:-[a-z0-9]{1,8})+';
const TAG = new RegExp(`^(?:(?:${LANGUAGE})${REST}(?:[-_]${PRIVATE})?|${PRIVATE})$`, 'i');
const OLD = new RegExp('^(?:en-GB-oed|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)|sgn-(?:BE-FR|BE-NL|CH-DE)'
  + '|art-lojban|cel-gaulish|no-(?:bok|nyn)|zh-(?:guoyu|hakka|min|min-nan|xiang))$');

exports.isLocale = (str) => text(str).length <= 200 && ((TAG.test(str) && !/(?:^|[-_])X[-_]/.test(str)) || OLD.test(str));
