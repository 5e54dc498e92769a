// S36: pages that say what went wrong show what was asked for as text, if at all.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { launch } from '../lib/chromium.mjs';
import { startServer } from '../lib/server.mjs';
import { startReflecting } from '../lib/stubs.mjs';

const HOSTILE = [
  '/<script>alert(1)</script>',
  '/%3Cscript%3Ealert(1)%3C/script%3E',
  '/%3Cimg%20src=x%20onerror=alert(1)%3E',
  '/%3Csvg%20onload=alert(1)%3E',
  '/%3C/title%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E',
  '/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E/',
  '/a?%3Cscript%3Ealert(1)%3C/script%3E',
  '/%ff%3Cscript%3Ealert(1)%3C/script%3E',
  '/.%00/%3Cscript%3Ealert(1)%3C/script%3E',
  '//%3Cscript%3Ealert(1)%3C/script%3E',
  '/..%2f%3Cscript%3Ealert(1)%3C/script%3E',
  '/%3Ciframe%20srcdoc=%22%3Cscript%3Eparent.alert(1)%3C/script%3E%22%3E',
  `/${'a'.repeat(8000)}%3Cscript%3Ealert(1)%3C/script%3E`,
];

let server;
let browser;

before(async () => {
  server = await startServer();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Goes there and says what ran, and what is there that could. */
async function look(page, url) {
  page.dialogs.length = 0;
  const status = await page.goto(url);
  const parts = await page.evaluate('document.querySelectorAll("script,img,svg,iframe,a,form").length');
  return { status, parts, dialogs: [...page.dialogs] };
}

test('s36_error_pages_show_nothing_of_what_was_asked_for', async (t) => {
  const reflecting = await startReflecting();
  t.after(() => reflecting.close());
  const page = await browser.newPage();
  let run = 0;
  for (const hostile of HOSTILE) {
    const { status, parts, dialogs } = await look(page, `${server.origin}${hostile}`);
    assert.deepEqual([parts, dialogs], [0, []], hostile);
    assert.ok([400, 404].includes(status), `${hostile}: ${status}`);
    run += (await look(page, `${reflecting.origin}${hostile}`)).dialogs.length > 0 ? 1 : 0;
  }
  await page.close();
  assert.ok(run >= 8, `only ${run} of them run where a page does reflect them`);
});

test('s36_nothing_would_run_in_an_error_page_even_if_it_got_in', async () => {
  const page = await browser.newPage();
  assert.equal(await page.goto(`${server.origin}/missing`), 404);
  const refused = await page.evaluate(() => new Promise((resolve) => {
    const directives = [];
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
      directives.push(effectiveDirective);
      if (directives.length === 6) resolve(directives.sort());
    });
    document.body.innerHTML += '<p onclick="window.ran = 1"></p><img src="x"><iframe src="/"></iframe><base href="http://x.test/">';
    document.querySelector('p[onclick]').click();
    for (const fill of [(script) => { script.src = '/x.js'; }, (script) => { script.text = 'window.ran = 1'; }]) {
      const script = document.createElement('script');
      fill(script);
      document.body.append(script);
    }
    setTimeout(() => resolve(directives.sort()), 2000);
  }));
  assert.deepEqual(refused, ['base-uri', 'frame-src', 'img-src', 'script-src-attr', 'script-src-elem', 'script-src-elem']);
  assert.equal(await page.evaluate('typeof window.ran'), 'undefined');
  await page.close();
});

test('s36_error_pages_can_not_be_framed', async () => {
  await server.deploy('www/framing.html', '<!doctype html><body>');
  const page = await browser.newPage();
  await page.goto(`${server.origin}/framing.html`);
  const text = await page.evaluate(() => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.onload = () => resolve(frame.contentDocument?.body.textContent ?? null);
    frame.src = '/missing';
    document.body.append(frame);
  }));
  assert.equal(text, null);
  await page.close();
});

test('an error page says what is wrong and what to do', async () => {
  const page = await browser.newPage();
  assert.equal(await page.goto(`${server.origin}/missing`), 404);
  assert.match(await page.evaluate('document.body.innerText'), /There is nothing here[^]*Request \S+/);
  if (process.env.SCREENSHOTS) {
    mkdirSync(process.env.SCREENSHOTS, { recursive: true });
    writeFileSync(path.join(process.env.SCREENSHOTS, 'error.png'), await page.screenshot());
    await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: 'dark' }] });
    await page.send('Emulation.setDeviceMetricsOverride', { width: 360, height: 640, deviceScaleFactor: 1, mobile: true });
    writeFileSync(path.join(process.env.SCREENSHOTS, 'error-dark.png'), await page.screenshot());
  }
  await page.close();
});
