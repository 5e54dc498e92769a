// S29: what strangers upload runs nothing with the rights of the app, however a browser is brought to it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, until } from '../lib/chromium.mjs';
import { corpus, takeOver } from '../lib/corpus.mjs';
import { png } from '../lib/png.mjs';
import { startServer } from '../lib/server.mjs';
import { startCanary, startUnprotected } from '../lib/stubs.mjs';

const EMBEDDINGS = ['iframe', 'object', 'embed', 'img'];

let server;
let unprotected;
let canary;
let browser;
let files;

before(async () => {
  server = await startServer();
  canary = await startCanary();
  browser = await launch();
  unprotected = await startUnprotected(server.origin);
  await server.deploy('www/app.html', '<!doctype html><title>the app</title><body>');
  await server.openBucket('uploads');
  files = await Promise.all(corpus(canary.origin).map(async (file) => ({
    ...file, path: `/v1${await server.upload('uploads', file.name, file.content, file.type)}`,
  })));
});

after(async () => {
  await browser?.close();
  await Promise.all([unprotected?.close(), canary?.close(), server?.stop()]);
});

/** Runs in the page: shows a file in an element. */
function embed(kind, url) {
  return new Promise((resolve) => {
    const element = document.createElement(kind);
    element.onload = () => resolve('loaded');
    element.onerror = () => resolve('failed');
    if (kind === 'embed') element.type = 'text/html'; // whatever it is called
    element[kind === 'object' ? 'data' : 'src'] = url;
    document.body.append(element);
  });
}

/**
 * Brings a browser to a file in all ways that there are.
 *
 * @returns `outcome`: what became of it in each way; `shown`: the origin and type of the document, if there is one;
 *   `withOrigin` and `withAny`: the ways in which a script ran, with the app's origin or with any
 */
async function visit(origin, { path }) {
  const page = await browser.newPage();
  try {
    const urlOf = (way) => `${origin}${path}?BCB=${way}`;
    const outcome = {};
    /** Waits until the file is there, or on its way to the disk. */
    const settle = async (way, arrival) => {
      let arrived = null;
      arrival.then((how) => { arrived = how; }, (error) => { arrived = error; });
      outcome[way] = await until(`${way} of ${path}`, () => (browser.downloads.has(urlOf(way)) ? 'download' : arrived));
      if (outcome[way] instanceof Error) throw outcome[way];
    };

    const status = await page.goto(urlOf('top'));
    outcome.top = status === null ? await until(`a download of ${path}`, () => browser.downloads.has(urlOf('top')) && 'download') : 'loaded';
    const shown = outcome.top === 'download' ? null : await page.evaluate('({ origin: self.origin, type: document.contentType })');

    assert.equal(await page.goto(`${origin}/app.html`), 200);
    await Promise.all(EMBEDDINGS.map((kind) => settle(kind, page.evaluate(embed, kind, urlOf(kind)))));
    await page.evaluate((url) => { window.open(url); }, urlOf('open'));
    let popup = null;
    await settle('open', until('the window', async () => {
      if (browser.downloads.has(urlOf('open'))) return 'download';
      popup ??= await browser.popupOf(page);
      const state = await popup?.evaluate('location.href + " " + document.readyState').catch(() => '');
      return state === `${urlOf('open')} complete` && 'loaded';
    }));

    // What scripts have sent before this has arrived when this has.
    await page.evaluate((url) => fetch(url, { mode: 'no-cors' }), `${canary.origin}/?barrier`);
    const stored = await page.evaluate('Object.keys(localStorage)');
    const wayOf = (text) => text.match(/BCB=(\w+)/)?.[1] ?? text;
    const hits = canary.hits.filter((hit) => hit.includes(`${origin}${path}?`));
    return {
      outcome,
      shown,
      withOrigin: stored.map(wayOf).sort(),
      withAny: hits.map(wayOf).sort(),
    };
  } finally {
    await page.close();
  }
}

/** A few files at a time. */
const AT_ONCE = { concurrency: 4 };

test('s29_uploads_run_nothing', AT_ONCE, async (t) => {
  await Promise.all(files.map((file) => t.test(file.title, async () => {
    const { outcome, shown, withOrigin, withAny } = await visit(server.origin, file);
    assert.deepEqual([withOrigin, withAny], [[], []]);
    if (file.runs) assert.deepEqual([outcome.top, outcome.iframe, outcome.open], ['download', 'download', 'download']);
    // What is shown belongs to no origin at all. Of a PDF the browser makes a document of its own, around its viewer.
    if (shown && shown.type !== 'application/pdf') assert.equal(shown.origin, 'null');
  })));
});

test('s29_the_same_uploads_run_where_the_headers_are_missing', AT_ONCE, async (t) => {
  await Promise.all(files.map((file) => t.test(file.title, async () => {
    const { withOrigin, withAny } = await visit(unprotected.origin, file);
    const ways = file.runs ? ['embed', 'iframe', 'open', 'top'] : [];
    assert.deepEqual(withOrigin.filter((way) => way !== 'object'), ways);
    assert.deepEqual(withAny, withOrigin);
  })));
  assert.ok(files.filter(({ runs }) => runs).length >= 15);
});

test('s29_an_upload_is_no_service_worker', async () => {
  const path = `/v1${await server.upload('uploads', 'worker.js', takeOver(canary.origin), 'text/javascript', {
    'cache-control': 'public, max-age=3600',
  })}`;
  // From the browser's cache, if it may: where it was put as something else.
  const register = (url) => fetch(url).then((response) => response.text())
    .then(() => navigator.serviceWorker.register(url, { updateViaCache: 'all' }))
    .then(async ({ installing, waiting, active }) => {
      const worker = installing ?? waiting ?? active;
      while (worker.state !== 'activated') await new Promise((resolve) => { worker.onstatechange = resolve; });
      return 'registered';
    }, (error) => error.name);
  const results = [];
  for (const { origin } of [server, unprotected]) {
    const page = await browser.newPage();
    await page.goto(`${origin}/app.html`);
    const registered = await page.evaluate(register, path);
    // The worker would answer for everything below its own folder.
    const status = await page.goto(`${origin}/v1/file/uploads/any`);
    const ran = await page.evaluate('document.title === "ran"');
    results.push([registered, status, ran]);
    await page.close();
  }
  assert.deepEqual(results, [['TypeError', 404, false], ['registered', 200, true]]);
});

test('s29_pages_of_the_app_itself_run_and_only_as_pages', async () => {
  const html = corpus(canary.origin).find(({ title }) => title === 'HTML').content;
  await server.deploy('www/page.html', html);
  const page = await browser.newPage();
  assert.equal(await page.goto(`${server.origin}/page.html`), 200);
  assert.equal(await page.evaluate('document.title'), 'ran');
  assert.deepEqual(await page.evaluate('Object.keys(localStorage)'), [`ran ${server.origin}/page.html`]);
  await page.close();

  const { outcome, withAny } = await visit(server.origin, { path: '/v1/file/www/page.html' });
  assert.deepEqual([outcome.top, withAny], ['download', []]);
});

test('s29_uploaded_pictures_are_shown', async () => {
  const path = await server.upload('uploads', 'picture.png', png(30, 20), 'image/png');
  const page = await browser.newPage();
  await page.goto(`${server.origin}/app.html`);
  assert.equal(await page.evaluate(embed, 'img', `${server.origin}/v1${path}`), 'loaded');
  const size = await page.evaluate('[document.querySelector("img").naturalWidth, document.querySelector("img").naturalHeight]');
  assert.deepEqual(size, [30, 20]);
  await page.close();
});
