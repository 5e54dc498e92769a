#!/usr/bin/env node
// Measures how long a page of news takes to load in a browser, over a line with 75 ms each way. See README.md.
//
//   node run.mjs --server <binary> [--pocketbase <binary> | --without-pocketbase] [--repetitions 5] [--out results] [--add]
//
// `--add` keeps the repetitions that are in `results` already.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { launch, until } from '../../packages/browser/lib/chromium.mjs';
import { serve } from '../../packages/browser/lib/serve.mjs';
import { STREAMS, news } from './lib/data.mjs';
import { startFreshbase } from './lib/freshbase.mjs';
import { openLine } from './lib/line.mjs';
import { installPocketbase, startPocketbase } from './lib/pocketbase.mjs';
import { plot, table } from './lib/report.mjs';

const DELAY_MS = 75;
const API = 'http://api.test';
const ELSEWHERE = 'http://page.test';
const N_UPDATES = 5;
/** Between one load and the next, for the last answers to be written into the browser's cache. */
const PAUSE_MS = 700;
const SDK = '../../packages/conformance/node_modules/baqend-v4/dist/baqend.es2015.min.js';

const { values: options } = parseArgs({ options: {
  server: { type: 'string' }, pocketbase: { type: 'string' }, 'without-pocketbase': { type: 'boolean' }, repetitions: { type: 'string', default: '5' },
  out: { type: 'string', default: path.join(import.meta.dirname, 'results') }, add: { type: 'boolean' },
} });
if (!options.server) throw new Error('say which binary to start: --server <binary>');

const read = (file) => readFileSync(new URL(file, import.meta.url));
const script = (text) => `<!doctype html><meta charset="utf-8"><title>News</title><link rel="icon" href="data:,"><body>${text}`;
const page = (name) => script(`<script>const STREAMS = ${JSON.stringify(STREAMS)};</script>
  <script src="show.js"></script><script type="module" src="${name}.js"></script>`);
const files = {
  'freshbase.html': page('freshbase'),
  'pocketbase.html': page('pocketbase'),
  'show.js': read('page/show.js'), 'freshbase.js': read('page/freshbase.js'), 'pocketbase.js': read('page/pocketbase.js'), 'sdk.js': read(SDK),
};

const kept = options.add ? JSON.parse(readFileSync(path.join(options.out, 'news.json'), 'utf8')).results : {};
/** `page`: its address; `against`: the system whose times it is compared with. */
const systems = [
  { name: 'own', title: 'Freshbase', page: `${API}/freshbase.html`, start: () => freshbase(true) },
  { name: 'own-off', title: 'Freshbase, caching off', page: `${API}/freshbase.html`, against: 'own', start: () => freshbase(false) },
  { name: 'foreign', title: 'Freshbase, page elsewhere', page: `${ELSEWHERE}/freshbase.html`, start: () => freshbase(true) },
  { name: 'foreign-off', title: 'the same, caching off', page: `${ELSEWHERE}/freshbase.html`, against: 'foreign', start: () => freshbase(false) },
];
if (!options['without-pocketbase']) {
  const binary = options.pocketbase ?? installPocketbase(path.join(import.meta.dirname, 'cache'));
  const start = () => startPocketbase(binary, { files });
  systems.push(
    { name: 'pocketbase', title: 'PocketBase', page: `${API}/pocketbase.html`, against: 'own', start },
    { name: 'expand', title: 'PocketBase, expand', page: `${API}/pocketbase.html?expand`, against: 'own', start },
  );
}

const results = Object.fromEntries(systems.map(({ name }) => [name, kept[name] ?? []]));
const pages = await serve(files, { cacheControl: 'public, max-age=86400' });
try {
  for (let i = 0; i < Number(options.repetitions); i += 1) {
    for (const system of systems) {
      const server = await system.start();
      try {
        const times = await visit(server, system);
        results[system.name].push(times);
        console.log(system.title, ...Object.entries(times).map(([load, { ms, requests, files: own }]) => `${load} ${ms} ms ${requests} + ${own}`));
      } finally {
        await server.stop();
      }
    }
  }
} finally {
  await pages.close();
}

mkdirSync(options.out, { recursive: true });
const chromium = execFileSync(process.env.CHROMIUM ?? 'chromium', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
const machine = `${os.cpus().length} × ${os.cpus()[0].model}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release().split('-')[0]}, ${chromium}, `
  + `load ${os.loadavg().map((load) => load.toFixed(1)).join(' ')} at the end`;
const all = { machine, delayMs: DELAY_MS, systems: systems.map(({ name, title, against }) => ({ name, title, against })), results };
writeFileSync(path.join(options.out, 'news.json'), `${JSON.stringify(all, null, 1)}\n`);
writeFileSync(path.join(options.out, 'news.md'), table(all));
writeFileSync(path.join(options.out, 'news.svg'), plot(all));
console.log(table(all));

function freshbase(enabled) {
  return startFreshbase(options.server, { caching: { enabled }, files });
}

/** One visitor, new to the site: cold, warm, and warm after updates. Milliseconds and requests of each load. */
async function visit(server, { page: address }) {
  const expected = news().map(({ title }) => title);
  const [line, site] = [await openLine(server.port, DELAY_MS), await openLine(pages.port, DELAY_MS)];
  const browser = await launch({
    hosts: { 'api.test:80': `127.0.0.1:${line.port}`, 'page.test:80': `127.0.0.1:${site.port}` },
    // Only to pages that it trusts, as those of HTTPS, does the browser say which one it is, which the SDK goes by.
    flags: [`--unsafely-treat-insecure-origin-as-secure=${API},${ELSEWHERE}`],
  });
  try {
    const page = await browser.newTab();
    await page.send('Network.disable'); // watching costs time
    await page.goto(`data:text/html,<p>the browser is awake</p>`);
    await sleep(PAUSE_MS);
    const load = async () => {
      line.requests.length = 0;
      site.requests.length = 0;
      await page.goto(address);
      const result = await until('the news', () => page.evaluate('window.result'));
      if (result.error) throw new Error(result.error);
      if (JSON.stringify(result.titles) !== JSON.stringify([...expected].sort())) throw new Error(`other news: ${result.titles}`);
      await page.goto('about:blank');
      await sleep(PAUSE_MS);
      const sent = [...line.requests, ...site.requests];
      const nDynamic = sent.filter((request) => / \/(v1|api)\/(?!connect\.js)/.test(request)).length;
      return { ms: Math.round(result.ms), requests: nDynamic, files: sent.length - nDynamic };
    };
    const cold = await load();
    const warm = await load();
    for (let i = 0; i < N_UPDATES; i += 1) {
      expected[6 * i] += ' (updated)';
      await server.rename(6 * i, expected[6 * i]);
    }
    const updated = await load();
    return { cold, warm, updated };
  } finally {
    await browser.close();
    await line.close();
    await site.close();
  }
}
