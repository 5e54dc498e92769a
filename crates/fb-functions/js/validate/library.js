// All checks by name. Most come from small files that are loaded at once; those with tables of locales load them at their first call.
'use strict';

const library = {};

for (const part of [require('./text'), require('./numbers'), require('./net'), require('./dates'), require('./codings'), require('./sanitize')]) {
  for (const name of Object.keys(part)) library[name] = part[name];
}

const LATER = {
  './iso': () => require('./iso'),
  './codes': () => require('./codes'),
  './persons': () => require('./persons'),
  './phones': () => require('./phones'),
  './postal': () => require('./postal'),
  './plates': () => require('./plates'),
  './tongues': () => require('./tongues'),
};

const NAMES = {
  './iso': 'isISO31661Alpha2 isISO31661Alpha3 isISO31661Numeric isISO4217 isISO6391 isISO15924',
  './codes': 'isLuhnNumber isCreditCard isIBAN isBIC isAbaRouting isISBN isISSN isISIN isEAN isISRC isIMEI isISO6346 isFreightContainerID',
  './persons': 'isIdentityCard isTaxID isVAT isPassportNumber',
  './phones': 'isMobilePhone',
  './postal': 'isPostalCode',
  './plates': 'isLicensePlate',
  './tongues': 'isLocale',
};

for (const file of Object.keys(NAMES)) {
  for (const name of NAMES[file].split(' ')) library[name] = (...args) => LATER[file]()[name](...args);
}

// Lists of the locales that a check knows, made when they are asked for.
const LISTS = {
  isAlphaLocales: () => require('./alphabets').locales,
  isAlphanumericLocales: () => require('./alphabets').locales,
  passportNumberLocales: () => require('./persons').passportLocales,
  isMobilePhoneLocales: () => require('./phones').locales,
  isPostalCodeLocales: () => require('./postal').locales,
  ibanLocales: () => require('./codes').ibanLocales,
};
for (const name of Object.keys(LISTS)) Object.defineProperty(library, name, { enumerable: true, get: LISTS[name] });

// Code of one validation gets it, and shall not change it for the next.
module.exports = Object.freeze(library);
