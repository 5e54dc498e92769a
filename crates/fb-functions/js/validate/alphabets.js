// The letters of languages. A row: locales, letters, digits (0-9 where not said), letters among letters and digits (the same where not said).
// Parts of regular expressions' character classes.
'use strict';

const ROWS = [
  ['en-US en-AU en-GB en-HK en-IN en-NZ en-ZA en-ZM', 'A-Za-z'],
  ['az-AZ', 'A-VX-Za-vx-zÇÖÜçöüĞğİıŞşƏə'],
  ['bg-BG', 'А-яᲀ-ᲆ'],
  ['cs-CZ', 'A-Za-zÁÉÍÓÚÝáéíóúýČ-ďĚěŇňŘřŠšŤťŮůŽž'],
  ['da-DK nb-NO nn-NO', 'A-Za-zÅÆØåæø'],
  ['de-DE', 'A-Za-zÄÖÜßäöü'],
  ['el-GR', 'µ\\u0345ΆΈ-ΊΌΎΏΑ-ώϐϑϕϖϰϱϵι', '0-9', 'µ\\u0345ΆΈ-ΊΑ-ϋϐϑϕϖϰϱϵι'],
  ['es-ES', 'A-Za-zÁÉÍÑÓÚÜáéíñóúü'],
  ['fa-IR', '\\u0627\\u0628\\u062a-\\u063a\\u0641\\u0642\\u0644-\\u0648\\u067e\\u0686\\u0698\\u06a9\\u06af\\u06cc', '\\u00270-9\\u0621-\\u0624\\u0626\\u0629\\u06f0-\\u06f9'],
  ['fi-FI sv-SE', 'A-Za-zÄÅÖäåö'],
  ['fr-FR fr-CA', 'A-Za-zÀÂÆ-ËÎÏÔÙÛÜàâæ-ëîïôùûüÿŒœŸ'],
  ['it-IT', 'A-Za-zÀÈÉÌÎÒÓÙàèéìîòóù'],
  ['ja-JP', '\\u3001\\u3002ぁ-んァ-ヶ\\u30fbー一-龠\\uff66-\\uff9f', '0-9０-９'],
  ['nl-NL', 'A-Za-zÁÉËÏÓÖÚÜáéëïóöúü'],
  ['hu-HU', 'A-Za-zÁÉÍÓÖÚÜáéíóöúüŐőŰű'],
  ['pl-PL pl-Pl', 'A-Za-zÓóĄ-ćĘęŁ-ńŚśŹ-ż'],
  ['pt-PT pt-BR', 'A-Za-zÀ-ÄÇÉ-ËÍÏÓ-ÖÚÜà-äçé-ëíïó-öúü'],
  ['ru-RU', 'ЁА-яёᲀ-ᲆ'],
  ['kk-KZ', 'ЁІА-яёіҒғҚқҢңҮ-ұҺһӘәӨөᲀ-ᲆ'],
  ['sl-SI sr-RS@latin', 'A-Za-zĆćČčĐđŠšŽž'],
  ['sk-SK', 'A-Za-zÁÄÉÍÓÔÚÝáäéíóôúýČ-ďĹĺĽľŇňŔŕŠšŤťŽž'],
  ['sr-RS', 'ЂЈ-ЋЏ-яђј-ћџᲀ-ᲆ'],
  ['th-TH', '\\u0009-\\u000d\\u0020\\u00a0ก-๐\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff', '๑-๙'],
  ['tr-TR', 'A-Za-zÇÖÜçöüĞğİıŞş'],
  ['uk-UA', 'IiЄІЇА-ЩЬЮ-щьюяєіїҐґᲀ-ᲅ'],
  ['vi-VN', 'A-Za-zÀ-ÃÈ-ÊÌÍÒ-ÕÙÚÝà-ãè-êìíò-õùúýĂăĐđĨĩŨũƠơƯưẠ-ỹ'],
  ['ko-KR', 'ㄱ-ㅣ가-힣'],
  ['ku-IQ', '\\u0622-\\u063a\\u0641-\\u0646\\u0648\\u064a\\u067e\\u0686\\u0695\\u0698\\u06a4\\u06a9\\u06af\\u06b5\\u06be\\u06c6\\u06cc\\u06ce\\u06d5', '0-9\\u0660-\\u0669'],
  ['ar ar-AE ar-BH ar-DZ ar-EG ar-IQ ar-JO ar-KW ar-LB ar-LY ar-MA ar-QM ar-QA ar-SA ar-SD ar-SY ar-TN ar-YE', '\\u0621-\\u063a\\u0641-\\u0652\\u0670', '0-9\\u0660-\\u0669'],
  ['he', '\\u05d0-\\u05ea'],
  ['fa fa-AF', '\\u0027\\u0621-\\u0624\\u0626-\\u063a\\u0641\\u0642\\u0644-\\u0648\\u067e\\u0686\\u0698\\u06a9\\u06af\\u06cc', '0-9\\u06f0-\\u06f9'],
  ['bn bn-BD bn-IN', '\\u0027ঀ-\\u0983অ-ঌএঐও-নপ-রলশ-হ\\u09bc-\\u09c4\\u09c7\\u09c8\\u09cb-ৎ\\u09d7ড়ঢ়য়-\\u09e3ৰ-\\u09fb', '০-৯'],
  ['eo', 'A-PR-VZa-pr-vzĈĉĜĝĤĥĴĵŜŝŬŭ'],
  ['hi-IN', '\\u0900-ॡ', '\\u0962\\u0963'],
  ['si-LK', '\\u0d80-\\u0dff'],
  ['ta-IN', '\\u0b80-\\u0bff', '\\u002e0-9'],
  ['te-IN', '\\u0c00-\\u0c7f', '\\u002e0-9'],
  ['kn-IN', 'ಀ-\\u0cff', '\\u002e0-9'],
  ['ml-IN', '\\u0d00-ൿ', '\\u002e0-9'],
  ['gu-IN', '\\u0a80-\\u0aff', '\\u002e0-9'],
  ['pa-IN', '\\u0a00-\\u0a7f', '\\u002e0-9'],
  ['or-IN', '\\u0b00-\\u0b7f', '\\u002e0-9'],
];

const rows = {};
for (const row of ROWS) for (const locale of row[0].split(' ')) rows[locale] = row;

exports.locales = Object.keys(rows);

// Letters, and letters with digits.
exports.of = (locale) => {
  if (!Object.prototype.hasOwnProperty.call(rows, locale)) return undefined;
  const [, letters, digits = '0-9', lettersBesideDigits = letters] = rows[locale];
  return [letters, lettersBesideDigits + digits];
};
