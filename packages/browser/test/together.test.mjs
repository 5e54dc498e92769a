// The example of live queries, in two windows: what happens in one is seen in both.

import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { launch, until } from '../lib/chromium.mjs';
import { startServer } from '../lib/server.mjs';

const EXAMPLE = new URL('../../../examples/together/', import.meta.url);

let server;
let browser;
let pages;

before(async () => {
  server = await startServer();
  for (const name of await readdir(new URL('schema/', EXAMPLE))) {
    await server.addClass(JSON.parse(await readFile(new URL(`schema/${name}`, EXAMPLE), 'utf8')));
  }
  for (const name of await readdir(new URL('www/', EXAMPLE))) {
    await server.deploy(`www/${name}`, await readFile(new URL(`www/${name}`, EXAMPLE)));
  }
  browser = await launch();
  pages = [await browser.newPage(), await browser.newPage()];
  for (const page of pages) assert.equal(await page.goto(`${server.origin}/index.html`), 200);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Runs in the page. */
const texts = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent);

function submit(form, value) {
  const element = document.querySelector(form);
  element.querySelector('input').value = value;
  element.requestSubmit();
}

/** Puts a pin there, or takes the one away that is there. */
function click(x, y) {
  const map = document.querySelector('#map');
  const { left, top, width, height } = map.getBoundingClientRect();
  map.dispatchEvent(new MouseEvent('click', { clientX: left + width * x, clientY: top + height * y }));
}

const inBoth = (what, look) => Promise.all(pages.map((page, i) => until(`${what} in window ${i + 1}`, () => look(page))));
const same = (selector, expected) => inBoth(`${selector} = ${expected}`, async (page) => (
  JSON.stringify(await page.evaluate(texts, selector)) === JSON.stringify(expected)
));

test('a task that one adds, does and removes', async () => {
  const [first, second] = pages;
  await first.evaluate(submit, '#add', 'buy milk');
  await same('#tasks span', ['buy milk']);
  await second.evaluate(submit, '#add', 'call ann');
  await same('#tasks span', ['buy milk', 'call ann']);
  await second.evaluate(() => document.querySelector('#tasks input').click());
  await same('#tasks .done span', ['buy milk']);
  await first.evaluate(() => document.querySelector('#tasks .done button').click());
  await same('#tasks span', ['call ann']);
});

test('a board of the best ten', async () => {
  const [first, second] = pages;
  const players = Array.from({ length: 11 }, (_, i) => `player ${i}`);
  // Equal points: in the order of ids, which are those of the names. Ten of eleven have room.
  const ranked = (n) => players.slice(0, n).sort().slice(0, 10);
  for (const [i, player] of players.entries()) {
    await first.evaluate(submit, '#play', player);
    await same('#scores span', ranked(i + 1));
  }
  const [outsider] = players.filter((player) => !ranked(11).includes(player));
  // With another point the one who is not among them is the first.
  await second.evaluate(submit, '#play', outsider);
  await same('#scores span', [outsider, ...ranked(11).slice(0, 9)]);
  assert.deepEqual(...await Promise.all(pages.map((page) => page.evaluate(texts, '#scores li'))));
});

test('pins on a map, as far as it is in view', async () => {
  const [first, second] = pages;
  await first.evaluate(click, 0.52, 0.2);
  await inBoth('a pin', async (page) => (await page.evaluate(texts, '#seen'))[0] === '1 in view');
  await second.evaluate(click, 0.2, 0.3);
  await inBoth('two pins', async (page) => (await page.evaluate(texts, '#seen'))[0] === '2 in view');
  await second.evaluate(() => {
    const zoom = document.querySelector('#zoom');
    zoom.selectedIndex = 1;
    zoom.dispatchEvent(new Event('change'));
  });
  // Only the first one is in Europe; and it leaves.
  await until('one pin', async () => (await second.evaluate(texts, '#seen'))[0] === '1 in view');
  await first.evaluate(click, 0.9, 0.8);
  await until('no pin', async () => (await second.evaluate(texts, '#seen'))[0] === '0 in view');
});

test('pages whose connections the server ended come back by themselves', async () => {
  const [first, second] = pages;
  // With another schema, nothing that was subscribed to holds any more.
  await server.addClass({ class: '/db/Another', superClass: '/db/Object', fields: {} });
  await first.evaluate(submit, '#add', 'meanwhile');
  await same('#tasks span', ['call ann', 'meanwhile']);
  await second.evaluate(submit, '#add', 'and once more');
  await same('#tasks span', ['call ann', 'meanwhile', 'and once more']);
});

test('a picture for the documentation', async () => {
  await pages[1].evaluate(click, 0.55, 0.25);
  await pages[0].evaluate(click, 0.25, 0.35);
  await until('pins', async () => (await pages[0].evaluate(texts, '#seen'))[0] >= '2 in view');
  const picture = await pages[0].screenshot({ whole: true });
  assert.ok(picture.length > 10_000);
  if (process.env.SCREENSHOTS) await writeFile(`${process.env.SCREENSHOTS}/together.png`, picture);
});
