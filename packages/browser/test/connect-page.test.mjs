// The page that clients have in a frame: whom it answers, and what it lets them reach.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, until } from '../lib/chromium.mjs';
import { serve } from '../lib/serve.mjs';
import { startServer } from '../lib/server.mjs';

// A page of somebody that has the connect page in a frame, as the SDK has, and can ask it for something. With a `neighbour`
// it has that in a frame before, and waits until it has begun to ask.
const EMBEDDER = `<!doctype html><title>embedder</title><body><script>
  const { api, token, neighbour } = Object.fromEntries(new URLSearchParams(location.search));
  const answers = new Map();
  let asked = 0;
  addEventListener('message', ({ data, origin, source }) => {
    if (source === frame.contentWindow) {
      const answer = JSON.parse(data);
      answers.get(answer.mid)?.({ ...answer, origin });
    } else {
      asked += 1;
      if (asked === 1) form.submit();
    }
  });
  function frameOf(properties) {
    const element = Object.assign(document.createElement('iframe'), properties);
    document.body.append(element);
    return element;
  }
  const frame = frameOf({ name: 'api' });
  const form = Object.assign(document.createElement('form'), { target: 'api', method: 'post', action: api + '/connect' });
  if (token) form.innerHTML = '<input type="hidden" name="BAT" value="' + token + '">';
  document.body.append(form);
  const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
  if (neighbour) frameOf({ src: neighbour });
  else form.submit();
  async function ask(method, path, ms = 5000) {
    await loaded;
    const mid = answers.size + 1;
    const message = { mid, method, path, headers: {}, responseHeaders: ['content-type', 'baqend-authorization-token'] };
    frame.contentWindow.postMessage(JSON.stringify(message), '*');
    return new Promise((resolve) => {
      answers.set(mid, resolve);
      setTimeout(resolve, ms, null);
    });
  }
</script>`;
// One that another page has in a frame (an advertisement, say), and that asks that page's other frames.
const NEIGHBOUR = `<!doctype html><title>neighbour</title><script>
  window.heard = [];
  addEventListener('message', ({ data }) => { if ('status' in JSON.parse(data)) heard.push(data); }); // it asks itself, too
  function askAll() {
    for (let i = 0; i < parent.frames.length; i += 1) {
      for (const method of ['GET', 'OAUTH']) {
        parent.frames[i].postMessage(JSON.stringify({ mid: 1, method, path: '/connect', headers: {}, responseHeaders: [] }), '*');
      }
    }
    parent.postMessage('asked', '*');
  }
  setInterval(askAll, 1); // from before the other frame is there
</script>`;

let server;
let browser;
let pages;

before(async () => {
  server = await startServer();
  browser = await launch();
  pages = await serve({ 'index.html': EMBEDDER, 'neighbour.html': NEIGHBOUR });
  await server.deploy('www/index.html', '<!doctype html><title>own</title><p>a page of the app</p>');
});

after(async () => {
  await browser?.close();
  await pages?.close();
  await server?.stop();
});

/** The embedder on another site, or on another port of this one, whose frames share the storage of the API's pages. */
async function embedder({ site = 'http://localhost', ...parameters } = {}) {
  const page = await browser.newTab();
  const query = new URLSearchParams({ api: `${server.origin}/v1`, ...parameters });
  assert.equal(await page.goto(`${site}:${pages.port}/index.html?${query}`), 200);
  return page;
}

test('the page that has it in a frame is answered, from what it holds and from the API', async () => {
  const page = await embedder({ token: server.token });
  const first = await page.evaluate(() => ask('GET', '/connect'));
  assert.equal(first.status, 200);
  assert.equal(first.origin, server.origin);
  assert.equal(JSON.parse(first.entity).user.username, 'root');
  assert.match(first.headers['baqend-authorization-token'], /^[0-9a-f]{60,}$/);
  const next = await page.evaluate(() => ask('GET', '/db/User/me'));
  assert.equal(next.status, 404); // the relay adds no token of its own
  assert.match(next.headers['content-type'], /^application\/json/);
  await page.close();
});

test('s38 no other frame of that page gets anything, however early it asks', async () => {
  const neighbour = `http://neighbour.test:${pages.port}/neighbour.html`;
  const page = await embedder({ token: server.token, neighbour });
  const first = await page.evaluate(() => ask('GET', '/connect'));
  // Had the neighbour been answered, the token would be gone: the page gives it once.
  assert.match(first?.headers['baqend-authorization-token'] ?? 'none', /^[0-9a-f]{60,}$/);
  assert.ok(await page.evaluate(() => asked) > 0);
  const frame = await browser.frameOf(page, 'neighbour.html');
  assert.deepEqual(await frame.evaluate('heard'), []);
  await page.close();
});

test('s38 what is not the API is out of reach, also with dots', async () => {
  const page = await embedder();
  for (const path of ['/../index.html', '/..%2findex.html/../../index.html', '/%2e%2e/', '/db/../../', '\\..\\', '/.\t./', '@example.com/', '']) {
    const answer = await page.evaluate((p) => ask('GET', p), path);
    assert.ok(answer, `${path}: no answer`);
    assert.ok(!answer.entity.includes('a page of the app'), `${path}: ${answer.entity}`);
    assert.ok(answer.status === 400 || answer.status === 404, `${path}: ${answer.status}`);
  }
  assert.equal((await page.evaluate(() => ask('GET', '/db/../status'))).status, 200);
  await page.close();
});

test('s22 logins with other providers are handed to the pages of the app alone', async () => {
  const login = JSON.stringify({ status: 200, headers: { 'baqend-authorization-token': 'secret' }, entity: '{}' });
  const site = 'http://127.0.0.1';
  const own = await browser.newTab();
  const finish = () => own.evaluate((item) => localStorage.setItem('oauth-response', item), login);
  await own.goto(`${server.origin}/index.html`);

  const stranger = await embedder({ site });
  const refused = await stranger.evaluate(() => ask('OAUTH', '/'));
  assert.equal(refused.status, 400);
  assert.match(refused.entity, /oauth\.authorizedDomains/);
  await finish();
  assert.equal(await own.evaluate('localStorage.getItem("oauth-response")'), login);
  await stranger.close();

  await server.configure({ oauth: { authorizedDomains: [`${site}:${pages.port}`] } });
  const known = await embedder({ site });
  const asked = known.evaluate(() => ask('OAUTH', '/', 10_000));
  // What was there before is of an older login.
  await until('the wait for a login', () => own.evaluate('localStorage.getItem("oauth-response") === null'));
  await finish();
  const answer = await asked;
  assert.equal(answer.headers['baqend-authorization-token'], 'secret');
  // Another process of the browser hears of it later.
  await until('the login is taken away', () => own.evaluate('localStorage.getItem("oauth-response") === null'));
  await known.close();
  await own.close();
});

test('as a page of its own it answers nobody', async () => {
  const page = await browser.newTab();
  await page.goto(`${server.origin}/v1/connect`);
  const answers = await page.evaluate(() => new Promise((resolve) => {
    let all = 0;
    addEventListener('message', ({ data }) => { all += JSON.parse(data).status === undefined ? 0 : 1; });
    postMessage(JSON.stringify({ mid: 1, method: 'GET', path: '/connect', headers: {}, responseHeaders: [] }), '*');
    postMessage(JSON.stringify({ mid: 2, method: 'GET', path: '/status', headers: {}, responseHeaders: [] }), '*');
    fetch('/v1/status').then(() => setTimeout(() => resolve(all), 0));
  }));
  assert.equal(answers, 0);
  await page.close();
});
