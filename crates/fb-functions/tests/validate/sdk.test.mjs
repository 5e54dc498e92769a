// Validation code run by us and by the SDK's own Validator.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sdk, validate } from './libraries.mjs';

const { Validator } = sdk.intersection;

// What the SDK makes of the code, for fields with the given values.
function bySdk(code, values) {
  const names = Object.keys(values);
  const type = { attributes: () => names.map((name) => ({ name }))[Symbol.iterator]() };
  const validators = {};
  for (const name of names) validators[name] = new Validator(name, values);
  Validator.compile(type, code)(validators);
  const result = {};
  for (const name of names) result[name] = validators[name].toJSON();
  return { valid: names.every((name) => validators[name].isValid), result };
}

function byUs(code, values) {
  const fields = {};
  for (const [name, value] of Object.entries(values)) {
    fields[name] = value instanceof Date ? { type: 'DateTime', value: value.toISOString() } : { type: typeof value === 'string' ? 'String' : 'JsonObject', value };
  }
  return validate(new Function(...Object.keys(fields), code), fields);
}

const outcome = (run, code, values) => {
  try {
    return run(code, values);
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const values = {
  name: 'Peter', email: 'testtest.de', age: 20, big: 1e21, yes: true, nothing: null, date: new Date('1976-11-13T10:00:00.000Z'),
  address: { street: 'UPPER', zip: 12 }, list: ['a', 'b'], empty: '', half: '\ud800',
};

const codes = [
  '', 'email.isEmail();', 'email.isEmail("my text");', 'email.isEmail("");', 'email.isEmail().isLowercase().isURL("no url", { require_tld: false });',
  'email.isEmail().isUppercase();', 'age.is("too old", function (v) { return v <= 18; });', 'age.is(function (v) { return v <= 18; });', 'age.is("", function () { return false; });',
  'age.is("x", function () { return 0; }).is("y", function () {}).is("z", function () { return null; });', 'age.is("x", function (v, lib) { return lib.isInt(String(v)) && lib.isEmail("a@b.de") && !lib.isEmail("a"); });',
  'age.is(function () { throw new Error("thrown"); });', 'age.is("text", function () { throw new Error("thrown"); });', 'age.is("no function");', 'age.is();',
  'age.isInt({ min: 30 });', 'age.isInt("age", { min: 3, max: 30 });', 'big.isInt();', 'big.isFloat();', 'yes.isBoolean();', 'nothing.isEmpty();', 'nothing.isEmail("nothing");', 'nothing.equals("x", "null");',
  'nothing.contains({});', 'date.isDate();', 'date.isAfter("2000-01-01");', 'date.isAfter({ comparisonDate: "2000-01-01" });', 'date.isEmail();', 'date.isEmail("text");', 'date.equals("no", "x");',
  'date.is("old", function (v) { return v instanceof Date && v.getTime() > 0; });', 'date.isISO8601();', 'name.isDate();',
  'address.is("upper", function (v, lib) { return lib.isLowercase(v.street); });', 'address.isJSON();', 'address.contains("no", "UPPER");', 'list.isJSON("list");', 'list.equals("x", "[\\"a\\",\\"b\\"]");', 'list.isIn(["a"]);',
  'name.equals("no", "Peter");', 'name.equals("Peter");', 'name.equals("no", age.value);', 'name.contains("ete");', 'name.contains("no", "ete").matches("no", /^p/).matches("yes", "^p", "i");', 'name.matches(/^P/);',
  'name.isLength({ min: 2, max: 3 });', 'name.isLength("len", 2, 9);', 'name.isLength(9);', 'name.isIn("in", ["Peter"]);', 'name.isIn(["Paul"]);', 'name.isAlpha("de-DE");', 'name.isAlpha("text", "xx");', 'name.isAlpha("text", "de-DE");',
  'name.isCreditCard({ provider: "nobody" });', 'name.isMobilePhone("text", "xx");', 'name.isUUID(undefined);', 'name.ibanLocales();', 'name.trim();', 'name.nonsense();', 'name.isEmail(null);', 'name.isEmail(undefined, 1);',
  'name.isStrongPassword({ returnScore: true });', 'empty.isEmpty();', 'empty.isLength({ min: 1 });', 'half.isByteLength({ max: 9 });', 'half.isByteLength("half", { max: 9 });',
  'setTimeoutX(function () {}, 1);', 'undefinedVariable.isEmail();', 'return 5;', 'name.isEmail(); name.isURL(); if (!name.isValid && name.errors.length === 2 && name.key === "name") email.isEmail("seen");',
  'name.value = "changed"; name.equals("x", "Peter");', 'var f = name.isEmail; f();', 'name.toJSON().errors.push("pushed");', 'if (name.toStringValue() !== "Peter" || age.toStringValue() !== "20") name.isEmail("wrong");',
  'name.callMethod("isEmail", "called", []);', 'name.callMethod("isEmail", null, null); age.callMethod("isInt", null, [{ max: 3 }]);', 'this.x = 1; name.is("this", function () { return this === undefined; });',
];

for (const code of codes) {
  test(`code: ${code}`, () => {
    assert.deepEqual(outcome(byUs, code, values), outcome(bySdk, code, values));
  });
}

test('a check fails with its text, else its name, else what was thrown', () => {
  const { valid, result } = byUs('email.isEmail("mine").isEmail(); date.isEmail();', values);
  assert.equal(valid, false);
  assert.deepEqual(result.email, { isValid: false, errors: ['mine', 'isEmail'] });
  assert.deepEqual(result.date, { isValid: false, errors: ['Expected a string but received a Date'] });
  assert.deepEqual(result.name, { isValid: true, errors: [] });
});

test('days, times and moments are Dates, with and without the prefix of types', () => {
  const seen = [];
  const fields = {
    a: { type: 'DateTime', value: '2020-02-03T04:05:06.007Z' }, b: { type: 'Date', value: '2020-02-03' }, c: { type: 'Time', value: '04:05:06Z' },
    d: { type: '/db/DateTime', value: '2020-02-03T04:05:06Z' }, e: { type: 'DateTime', value: null }, f: { type: 'String', value: '2020-02-03T04:05:06Z' }, g: { type: 'Date' },
  };
  validate((...all) => all.forEach(({ value }) => seen.push(value instanceof Date ? value.toISOString() : value)), fields);
  assert.deepEqual(seen, ['2020-02-03T04:05:06.007Z', '2020-02-03T00:00:00.000Z', '1970-01-01T04:05:06.000Z', '2020-02-03T04:05:06.000Z', null, '2020-02-03T04:05:06Z', null]);
});

test('fields with the names of what objects have by themselves', () => {
  const fields = JSON.parse('{"__proto__":{"type":"String","value":"a"},"constructor":{"type":"String","value":"b"},"hasOwnProperty":{"type":"String","value":"c"}}');
  const { valid, result } = validate((a, b, c) => { a.isEmail('a'); b.isEmail('b'); c.isLowercase(); }, fields);
  assert.equal(valid, false);
  assert.equal(JSON.stringify(result), '{"__proto__":{"isValid":false,"errors":["a"]},"constructor":{"isValid":false,"errors":["b"]},"hasOwnProperty":{"isValid":true,"errors":[]}}');
});

test('validation starts anew each time', () => {
  const fields = { a: { type: 'String', value: 'x' } };
  const checks = (a) => a.isEmail();
  assert.deepEqual(validate(checks, fields), validate(checks, fields));
  assert.equal(validate(checks, fields).result.a.errors.length, 1);
});
