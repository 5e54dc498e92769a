// Websites and pictures as visitors see them.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { launch } from '../lib/chromium.mjs';
import { png } from '../lib/png.mjs';
import { startServer } from '../lib/server.mjs';

let server;
let browser;
let port;

before(async () => {
  server = await startServer();
  browser = await launch();
  port = new URL(server.origin).port;
  await server.configure({
    hosting: {
      sites: {
        'spa.test': { bucket: 'spa', singlePage: true },
        'secret.test': { bucket: 'secret', basicAuth: { username: 'ann', password: 'open sesame' } },
      },
    },
    images: { variants: { thumb: { width: 40, height: 30, fit: 'crop', auto: 'webp' }, half: { width: 0.5 } } },
  });
  await server.openBucket('spa');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const site = (host) => `http://${host}.test:${port}`;

test('a website with styles, scripts and links is shown', async () => {
  const files = {
    'index.html': '<!doctype html><link rel="stylesheet" href="css/a.css"><title>start</title><h1>Welcome</h1><p>A page of a bucket.</p>'
      + '<a href="about/">About</a><script type="module" src="js/a.mjs"></script>',
    'css/a.css': 'body { margin: 3rem; font-family: sans-serif; background: rgb(230, 240, 250) }',
    'js/a.mjs': 'import { name } from "./b.mjs"; document.body.dataset.name = name;',
    'js/b.mjs': 'export const name = "module";',
    'about/index.html': '<!doctype html><title>about</title><a href="../">back</a>',
  };
  for (const [name, text] of Object.entries(files)) await server.deploy(`www/${name}`, text);
  const page = await browser.newPage();
  assert.equal(await page.goto(`${server.origin}/`), 200);
  assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(230, 240, 250)');
  assert.equal(await page.evaluate('document.body.dataset.name'), 'module');
  if (process.env.SCREENSHOTS) {
    mkdirSync(process.env.SCREENSHOTS, { recursive: true });
    writeFileSync(path.join(process.env.SCREENSHOTS, 'site.png'), await page.screenshot());
  }
  // Without the slash the links of a page would lead elsewhere.
  assert.equal(await page.goto(`${server.origin}/about`), 200);
  assert.deepEqual(await page.evaluate('[document.title, document.links[0].pathname]'), ['about', '/']);
  await page.close();
});

test('a page that does not exist is the 404 page of the site, with its styles', async () => {
  await server.deploy('www/own.css', 'h1 { color: rgb(1, 2, 3) }');
  await server.deploy('www/404.html', '<!doctype html><link rel="stylesheet" href="/own.css"><title>lost</title><h1>Lost</h1>');
  const page = await browser.newPage();
  for (const address of ['/missing', '/deep/er/missing.html', '/%3Cscript%3E']) {
    assert.equal(await page.goto(`${server.origin}${address}`), 404, address);
    assert.equal(await page.evaluate('document.title'), 'lost');
    assert.equal(await page.evaluate('getComputedStyle(document.querySelector("h1")).color'), 'rgb(1, 2, 3)');
  }
  await page.close();
});

test('a single page shows deep links, after a reload too, and goes back and forth', async () => {
  await server.deploy('spa/index.html', '<!doctype html><title>?</title><script src="/app.js"></script>');
  await server.deploy('spa/app.js', 'const show = () => { document.title = location.pathname; }; show(); addEventListener("popstate", show);');
  const page = await browser.newPage();
  const title = () => page.evaluate('document.title');
  assert.equal(await page.goto(`${site('spa')}/orders/17`), 200);
  assert.equal(await title(), '/orders/17');
  await page.evaluate('history.pushState(null, "", "/orders/18/lines?all=1")');
  assert.equal(await page.reload(), 200);
  assert.equal(await title(), '/orders/18/lines');
  const back = await page.evaluate(() => new Promise((resolve) => {
    addEventListener('popstate', () => setTimeout(() => resolve(document.title)));
    history.back();
  })).catch(() => null); // the way back may be a document of its own
  if (back !== null) assert.equal(back, '/orders/17');
  assert.equal(await page.goto(`${site('spa')}/missing.js`), 404);
  await page.close();
});

test('a site with a password asks for it, and lets in who knows it', async () => {
  await server.deploy('secret/index.html', '<!doctype html><title>inside</title><img src="a.png">');
  await server.deploy('secret/a.png', png(4, 4));
  const stranger = await browser.newPage();
  const status = await stranger.goto(`${site('secret')}/`);
  assert.ok(status === null || status === 401, `${status}`);
  assert.notEqual(await stranger.evaluate('document.title'), 'inside');
  await stranger.close();

  const friend = await browser.newPage();
  await friend.authenticate('ann', 'open sesame');
  assert.equal(await friend.goto(`${site('secret')}/`), 200);
  assert.equal(await friend.evaluate('document.title'), 'inside');
  assert.equal(await friend.evaluate('document.querySelector("img").naturalWidth'), 4);
  await friend.close();
});

test('pictures are shown in the sizes that are declared, and as WebP to browsers that take it', async () => {
  await server.openBucket('pictures');
  const id = await server.upload('pictures', 'large.png', png(200, 100), 'image/png');
  const page = await browser.newPage();
  await page.goto(`${server.origin}/`);
  const types = new Map();
  page.on('Network.responseReceived', ({ response }) => types.set(response.url, response.mimeType));
  for (const [query, width, height, type] of [
    ['', 200, 100, 'image/png'],
    ['?bqoptimize=1&variant=thumb', 40, 30, 'image/webp'],
    ['?bqoptimize=1&variant=half', 100, 50, 'image/png'],
  ]) {
    const url = `${server.origin}/v1${id}${query}`;
    const size = await page.evaluate((src) => new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
      image.onerror = () => resolve('failed');
      image.src = src;
    }), url);
    assert.deepEqual(size, [width, height], query);
    assert.equal(types.get(url), type, query);
  }
  await page.close();
});
