// Our checks against the published library's, over the samples and mutations of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { differences } from './differences.mjs';
import { ask, mutator, ours, shown, theirs } from './libraries.mjs';
import { samples } from './samples.mjs';

const ROUNDS = Number(process.env.VALIDATE_ROUNDS ?? 40);
const used = new Set();

const isCheck = (name) => /^(?:is|contains$|equals$|matches$)/.test(name) && typeof theirs[name] === 'function';

test('every check of the library is here and has samples', () => {
  const names = Object.keys(theirs).filter(isCheck);
  assert.deepEqual(names.filter((name) => typeof ours[name] !== 'function'), []);
  assert.deepEqual(names.filter((name) => !samples[name]), []);
});

for (const [name, [variants, texts]] of Object.entries(samples)) {
  test(`${name} answers like the library`, () => {
    const mutate = mutator(name.length * 7919 + name.charCodeAt(2) + Number(process.env.SEED ?? 0));
    const rounds = variants.length > 20 ? Math.ceil(ROUNDS / 4) : ROUNDS;
    let yes = 0;
    let no = 0;
    const wrong = [];
    for (const args of variants) {
      const all = new Set(texts);
      for (const text of texts) for (let i = 0; i < rounds; i++) all.add(mutate(text));
      for (const text of all) {
        const expected = ask(theirs, name, text, args);
        const actual = ask(ours, name, text, args);
        if (expected === false) no++;
        else yes++;
        if (Object.is(expected, actual)) continue;
        const known = differences.find(({ checks, when }) => checks.includes(name) && when({ args, text, theirs: expected, ours: actual }));
        if (known) used.add(known);
        else wrong.push(`${name}(${shown(text)}, ${shown(args).slice(1, -1)}) is ${expected} there, ${actual} here`);
      }
    }
    assert.ok(yes > 0 && no + (name === 'isStrongPassword') > 0, 'the samples have valid and invalid ones');
    assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} differences`);
  });
}

test('alphabets are those of the library, letter by letter', () => {
  assert.deepEqual([...ours.isAlphaLocales].sort(), [...theirs.isAlphaLocales].sort());
  for (const locale of theirs.isAlphaLocales) {
    for (let unit = 0; unit < 0x2000; unit++) {
      const char = String.fromCharCode(unit);
      for (const check of ['isAlpha', 'isAlphanumeric']) {
        if (ours[check](char, locale) !== theirs[check](char, locale)) assert.fail(`${check} of U+${unit.toString(16)} in ${locale}`);
      }
    }
  }
});

test('lists of codes are those of the library, code by code', () => {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const same = (check, code) => {
    if (ours[check](code) !== theirs[check](code)) assert.fail(`${check}(${code})`);
  };
  for (const a of letters) {
    for (const b of letters) {
      same('isISO31661Alpha2', a + b);
      same('isISO6391', (a + b).toLowerCase());
      for (const c of letters) {
        same('isISO31661Alpha3', a + b + c);
        same('isISO4217', a + b + c);
        for (const d of letters) same('isISO15924', a + (b + c + d).toLowerCase());
      }
    }
  }
  for (let i = 0; i < 1000; i++) same('isISO31661Numeric', String(i).padStart(3, '0'));
});

test('account numbers of every country have the form that the library knows', () => {
  assert.deepEqual([...ours.ibanLocales].sort(), [...theirs.ibanLocales].sort());
  const mutate = mutator(97);
  const different = new Set();
  // A right number of each country, found by trying each kind of character at each place; then numbers around it.
  for (const country of theirs.ibanLocales) {
    let found = 0;
    for (let length = 15; length <= 34; length++) {
      for (const letters of [0, 1, 3, 4, 6]) {
        for (const tail of ['', 'A', 'USD']) {
          const body = ('ABCDEF'.slice(0, letters) + '1234567890'.repeat(4)).slice(0, length - 4 - tail.length) + tail;
          const digits = `${body}${country}00`.replace(/[A-Z]/g, (letter) => letter.charCodeAt(0) - 55);
          const check = String(98 - Number(BigInt(digits) % 97n)).padStart(2, '0');
          const iban = country + check + body;
          if (theirs.isIBAN(iban)) found++;
          for (const text of [iban, mutate(iban)]) {
            if (ours.isIBAN(text) !== theirs.isIBAN(text)) different.add(country);
          }
        }
      }
    }
    if (!['BR', 'AZ', 'IT', 'SM', 'FR', 'MC'].includes(country)) assert.ok(found > 0, `a number of ${country} was tried`);
  }
  // The registry has four letters of the bank, and in AZ letters behind them.
  assert.deepEqual([...different].sort(), ['AZ', 'GE', 'JO', 'PK', 'SV']);
});

test('mobile numbers of each locale begin and end as the library has it', () => {
  const codes = '1 7 27 30 31 32 33 34 36 39 40 41 42 44 45 46 47 48 49 51 56 61 64 65 81 84 90 91 234 254 351 352 353 358 359 370 371 372 380 420 421 852 966 971 973'.split(' ');
  const heads = ['', '0', '00', '06', '8', ...codes, ...codes.map((code) => `+${code}`), '+490', '+440', '0049'];
  for (const locale of ours.isMobilePhoneLocales) {
    for (const head of heads) {
      for (let begin = 10; begin < 100; begin++) {
        for (let length = 5; length <= 13; length++) {
          const number = head + begin + '1212345678901'.slice(0, length - 2);
          if (ours.isMobilePhone(number, locale) !== theirs.isMobilePhone(number, locale)) assert.fail(`${number} in ${locale}: ${ours.isMobilePhone(number, locale)} here`);
        }
      }
    }
  }
});

test('what is not offered throws', () => {
  for (const [check, gap] of [['isTaxID', 'fr-FR'], ['isVAT', 'FR'], ['isMobilePhone', 'zh-CN'], ['isLicensePlate', 'de-DE'], ['isPassportNumber', 'CN'],
    ['isPostalCode', 'XX'], ['isIdentityCard', 'XX'], ['isAlpha', 'xx'], ['isAlphanumeric', 'xx'], ['isDecimal', 'xx'], ['isFloat', 'xx'], ['isNumeric', 'xx'],
    ['isCreditCard', { provider: 'x' }]]) {
    const option = ['isDecimal', 'isFloat', 'isNumeric'].includes(check) ? { locale: gap } : gap;
    assert.throws(() => ours[check]('1234567', option), /Invalid (?:locale|country code)|not a valid/, check);
  }
});

test('values that are no text fail as in the library', () => {
  for (const value of [undefined, null, 5, true, {}, [], new Date(0), Symbol('a'), () => 1]) {
    for (const name of Object.keys(theirs).filter(isCheck)) {
      if (ask(theirs, name, value, ['x']) !== ask(ours, name, value, ['x'])) {
        assert.fail(`${name}: ${String(ask(theirs, name, value, ['x']))} there, ${String(ask(ours, name, value, ['x']))} here`);
      }
    }
  }
});

test('changing functions answer like the library', () => {
  const cases = {
    trim: [[], ['ab'], [' .'], ['a-z']], ltrim: [[], ['a']], rtrim: [[], ['e ']], escape: [[]], unescape: [[]], stripLow: [[], [true]], whitelist: [['a-z']], blacklist: [['a-e']],
    toBoolean: [[], [true]], toInt: [[], [16]], toFloat: [[]],
  };
  const texts = ['  abc ', 'a<b>&"\'/`\\', '&lt;a&amp;lt;&#x27;', 'a\x01b\n', '12', '1.5e3', 'true', 'True', '0', '', 'ffz', '-- a-z --', '\u00a0x'];
  for (const [name, variants] of Object.entries(cases)) {
    for (const args of variants) {
      for (const text of texts) assert.deepEqual(ask(ours, name, text, args), ask(theirs, name, text, args), `${name}(${shown(text)}, ${shown(args)})`);
    }
  }
  for (const mail of ['Some.Name+tag@GMail.com', 'a.b@googlemail.com', 'X-y-z@yahoo.de', 'A+b@Outlook.com', 'A+b@me.com', 'Test@Example.com', '+a@gmail.com', 'A@ya.ru', 'a@hotmail.co.uk']) {
    for (const options of [undefined, { all_lowercase: false }, { gmail_remove_dots: false, gmail_convert_googlemaildotcom: false }]) {
      assert.equal(ask(ours, 'normalizeEmail', mail, [options]), ask(theirs, 'normalizeEmail', mail, [options]), `${mail} ${shown(options)}`);
    }
  }
});

test('every listed difference exists', { skip: ROUNDS < 40 }, () => {
  assert.deepEqual(differences.filter((difference) => !used.has(difference)).map(({ checks, why }) => `${checks}: ${why}`), []);
});
