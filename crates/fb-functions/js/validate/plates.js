// Vehicle registration plates.
'use strict';

const { text, own, badLocale } = require('./util');

const PLATES = {
  'cs-CZ': /^(?:[A-FHIJ-NPR-VX-Z0-9]-?){5,8}$/,
  'de-LI': /^FL[- ]?[0-9]{1,5}[UZ]?$/,
  'en-IN': /^[A-Z]{2}[ -]?[0-9]{1,2}(?:[ -]?[A-Z])(?:[ -]?[A-Z]*)?[ -]?[0-9]{4}$/,
  'en-SG': /^[A-Z]{3}[ -]?[0-9]{4}[ -]?[A-Z]$/,
  'es-AR': /^(?:[A-Z]{2} ?[0-9]{3} ?[A-Z]{2}|[A-Z]{3} ?[0-9]{3})$/,
  'pt-BR': /^[A-Z]{3}[ -]?[0-9][A-Z0-9][0-9]{2}$/,
  'sq-AL': /^[A-Z]{2}[- ]?[0-9]{3}[- ]?[A-Z]{2}$/,
  'sv-SE': /^(?:[A-HJ-PR-UW-Z]{3} ?[0-9]{2}[A-HJ-PR-UW-Z1-9] ?)$/,
};

exports.isLicensePlate = (str, locale) => {
  str = text(str);
  if (locale === 'any') return Object.keys(PLATES).some((name) => PLATES[name].test(str));
  return (own(PLATES, locale) || badLocale(locale)).test(str);
};
