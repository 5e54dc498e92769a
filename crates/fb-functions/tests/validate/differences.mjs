// Where we answer differently on purpose. `when` gets { args, text, theirs, ours }; each entry must apply at least once in the test.

const stricter = ({ theirs, ours }) => theirs === true && ours === false;
const refuses = ({ theirs, ours }) => typeof theirs === 'boolean' && String(ours).startsWith('throws Invalid locale');

export const differences = [
  { checks: ['isPassportNumber'], why: 'a country that is not offered throws, where the library says false', when: refuses },
  { checks: ['isFloat'], why: 'an unknown locale throws; the library takes the letters of "undefined" for separators', when: refuses },
  { checks: ['isFloat'], why: 'a separator alone is no number', when: ({ text, ...both }) => /^[-+]?٫$/.test(text) && stricter(both) },
  { checks: ['isByteLength'], why: 'without options every length is right, as documented; the library then refuses all', when: ({ args, ours }) => args.length === 0 && ours === true },
  { checks: ['isEmail', 'isMailtoURI'], why: 'one quotation mark alone is no quoted name', when: ({ text, ...both }) => text.includes('"@') && stricter(both) },
  { checks: ['isEmail'], why: 'an address in angle brackets must be closed', when: ({ text, ...both }) => text.includes('<') && !text.endsWith('>') && stricter(both) },
  { checks: ['isCreditCard'], why: 'cards of Mastercard have 16 digits', when: ({ text, ...both }) => text.replace(/\D/g, '').length !== 16 && stricter(both) },
  { checks: ['isISO6346', 'isFreightContainerID'], why: 'a container has three letters of its owner, a category, and no more than 11 characters', when: stricter },
  { checks: ['isLicensePlate'], why: 'nothing may stand around a plate', when: ({ args, ...both }) => ['pt-BR', 'sq-AL'].includes(args[0]) && stricter(both) },
  { checks: ['isLicensePlate'], why: 'personal plates are not offered', when: ({ args, ...both }) => args[0] === 'sv-SE' && stricter(both) },
  { checks: ['isLicensePlate'], why: '"any" means any of those offered', when: ({ args, ...both }) => args[0] === 'any' && stricter(both) },
  { checks: ['isPostalCode'], why: 'a British postcode has an inward part', when: ({ args, text, ...both }) => ['GB', 'any'].includes(args[0]) && text.trim().length < 5 && stricter(both) },
  { checks: ['isPostalCode'], why: 'an Irish code is letters and digits', when: ({ args, text, ...both }) => ['IE', 'any'].includes(args[0]) && text.includes('_') && stricter(both) },
  { checks: ['isTaxID'], why: 'people born from 2100 on', when: ({ args, ours }) => args[0] === 'pl-PL' && ours === true },
  { checks: ['isTaxID'], why: 'a CNPJ with the check digits of the standard', when: ({ args, ours }) => args[0] === 'pt-BR' && ours === true },
  { checks: ['isISO8601'], why: 'the years 0 to 99 are years, and those with a sign', when: ({ args, text, ours }) => args[0] && args[0].strict && /^(?:[-+]|00)/.test(text) && ours === true },
  { checks: ['isISO8601'], why: 'a moment is complete and nothing stands around it', when: ({ text, ...both }) => /\n| -|[ T]$|T[-+]|^[-+][0-9]{6}T|[T ](?:2[4-9]|[3-9][0-9])|^[0-9]{6}T/.test(text) && stricter(both) },
  { checks: ['isISO8601'], why: 'a year has a 360th day', when: ({ text, ours }) => /360/.test(text) && ours === true },
  { checks: ['isDate'], why: 'days are digits', when: ({ text, ...both }) => /[^0-9/.-]/.test(text) && stricter(both) },
  { checks: ['isMobilePhone'], why: 'no line breaks in numbers, nothing before them', when: ({ text, ...both }) => /\n|^[- ]/.test(text) && stricter(both) },
  { checks: ['isMobilePhone'], why: '"any" means any of those offered', when: ({ args, ...both }) => (args.length === 0 || args[0] === 'any') && stricter(both) },
  { checks: ['isMagnetURI'], why: 'an empty parameter may stand between others', when: ({ text, ours }) => text.includes('&&') && ours === true },
  { checks: ['isIBAN'], why: 'numbers of some countries are as the registry has them', when: ({ text }) => /^[\s-]*(?:AZ|GE|JO|PK|SV)/i.test(text) },
  { checks: ['isURL'], why: 'a user name may have any escaped bytes', when: ({ text, ours }) => /%.*@/.test(text) && ours === true },
  { checks: ['isIdentityCard'], why: 'people born from 1900 to 2099', when: ({ args, text, ...both }) => ['zh-CN', 'any'].includes(args[0]) && text.length === 18 && stricter(both) },
  { checks: ['isLocale'], why: 'a part of a tag is not empty', when: ({ text, ...both }) => /--|-$/.test(text) && stricter(both) },
  { checks: ['isLocale'], why: 'a region is two letters or three digits', when: ({ text, ...both }) => /-(?:[0-9][A-Z0-9]?|[A-Z][0-9])(?:-|$)/i.test(text) && stricter(both) },
];
