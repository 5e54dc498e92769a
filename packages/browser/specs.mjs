#!/usr/bin/env node
// Runs the spec files of the published SDK in a browser, and compares with the lists of tests that are expected to pass
// (expected/*.json, of the form that packages/conformance describes).
//
//   node specs.mjs --server <binary> [--way <way> …] [--all] [--jobs <n>] [--update] [--report <path>] [file …]
//
// The ways differ in where the page is, seen from the API; so the SDK takes another connector and the browser other rules:
//
//   frame   on another port; requests go through the connect page in an iframe
//   tls     on another site, with the API on HTTPS; the same
//   site    on the API's own origin, as a website of the app; requests go straight to it
//
// Each file has a server and a browser of its own, so that files can run side by side and in any order. Exit code 0 if
// everything in the lists passes. The last line is "N passed, N excused, N failed".

import { X509Certificate, createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { addPasses, checkExpected, compareFile } from '../conformance/compare.mjs';
import { loadGeneration } from '../conformance/lib/generations.mjs';
import { totals } from '../conformance/lib/report.mjs';
import { startServer } from '../conformance/lib/server.mjs';
import { launch } from './lib/chromium.mjs';
import { administer } from './lib/server.mjs';
import { serve } from './lib/serve.mjs';
import { runSpecPage, specSite } from './lib/spec-page.mjs';

const FILE_TIMEOUT_MS = 240_000;
const OWN_HOST = 'site.test';

/** Starts what the page needs, and says where it is, where the API is, and how the browser has to be started for that. */
const WAYS = {
  async frame(server, files) {
    const { port, close } = await serve(files);
    return { page: `http://127.0.0.1:${port}`, api: server.origin, close };
  },
  async tls(server, files) {
    const { port, close } = await serve(files);
    // A certificate that is only tolerated would keep everything out of the browser's cache.
    const flags = [`--ignore-certificate-errors-spki-list=${fingerprint(server.tls.certPath)}`];
    const api = `https://127.0.0.1:${new URL(server.tls.origin).port}`;
    return { page: `http://localhost:${port}`, api, browser: { flags }, close };
  },
  async site(server, files) {
    const admin = await administer(server.origin);
    await admin.configure({ hosting: { sites: { [OWN_HOST]: { bucket: 'pages' } } } });
    await admin.openBucket('pages');
    for (const [name, content] of Object.entries(files)) await admin.deploy(`pages/${name}`, content);
    // The SDK takes a page with a port in its address for one of another origin.
    const hosts = { [`${OWN_HOST}:80`]: new URL(server.origin).host };
    const origin = `http://${OWN_HOST}`;
    // Only to pages that it trusts does the browser say which one it is, which the SDK goes by.
    const flags = [`--unsafely-treat-insecure-origin-as-secure=${origin}`];
    return { page: origin, api: origin, browser: { hosts, flags }, close: async () => {} };
  },
};

// The longest ones first. `deploy` is about the command line, and skips itself in browsers. The tests of the cache are apart
// from the others of `file`, which change who may read the bucket: that makes all copies doubtful for a while.
const CACHE = 'client caching';
const PARTS = {
  index: {}, user: {}, log: {}, types: {}, emf: {},
  file: { without: CACHE }, 'file-caching': { file: 'file', only: CACHE },
  acl: {}, bloomfilter: {}, code: {}, connect: {}, crud: {}, enhancer: {}, geopoint: {}, globalDB: {}, json: {},
  metamodel: {}, partialupdates: {}, pushnotification: {}, query: {}, validate: {},
};

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: 'string' },
    way: { type: 'string', multiple: true, default: Object.keys(WAYS) },
    all: { type: 'boolean' },
    jobs: { type: 'string', default: '4' },
    update: { type: 'boolean' },
    report: { type: 'string' },
  },
});
if (!options.server) throw new Error('say which binary to start: --server <binary>');
for (const way of options.way) if (!WAYS[way]) throw new Error(`there is no way ${way}, but ${Object.keys(WAYS).join(', ')}`);
for (const name of wanted) if (!PARTS[name]) throw new Error(`there is no file ${name}, but ${Object.keys(PARTS).join(', ')}`);

const generation = loadGeneration('v4');
const sum = { passed: 0, excused: 0, failed: 0 };
const reports = {};
for (const way of options.way) {
  const listPath = path.join(import.meta.dirname, 'expected', `${way}.json`);
  const expected = JSON.parse(readFileSync(listPath, 'utf8'));
  checkExpected(expected, Object.keys(PARTS));
  const isWanted = (name) => (wanted.length > 0 ? wanted.includes(name) : options.all || Object.hasOwn(expected, name));
  console.log(`\n${generation.label} in Chromium, way ${way}`);
  reports[way] = await runFiles(way, Object.keys(PARTS).filter(isWanted), expected);
  if (options.update) writeFileSync(listPath, `${JSON.stringify(addPasses(expected, reports[way]), null, 2)}\n`);
}
if (options.report) writeFileSync(options.report, `${JSON.stringify(reports, null, 2)}\n`);
console.log(`\n${sum.passed} passed, ${sum.excused} excused, ${sum.failed} failed`);
process.exitCode = sum.failed > 0 ? 1 : 0;

/** Reports by name. */
async function runFiles(way, names, expected) {
  const results = {};
  const queue = names.values();
  const work = async () => {
    for (const name of queue) {
      results[name] = await runFile(way, name);
      tell(name, expected[name], results[name]);
    }
  };
  await Promise.all(Array.from({ length: Number(options.jobs) }, work));
  return results;
}

async function runFile(way, name) {
  const started = performance.now();
  const server = await startServer(options.server, { tls: way === 'tls' });
  let place = null;
  let browser = null;
  let report;
  try {
    place = await WAYS[way](server, specSite(generation, { file: name, ...PARTS[name] }));
    browser = await launch(place.browser);
    const address = `${place.page}/index.html?${encodeURIComponent(`${place.api}/v1`)}`;
    report = await runSpecPage(browser, address, { timeoutMs: FILE_TIMEOUT_MS, signal: server.died });
  } finally {
    await browser?.close();
    await place?.close();
    const complaint = await server.stop();
    if (complaint && report) report.crash ??= complaint;
  }
  return { ...report, seconds: (performance.now() - started) / 1000 };
}

/** As browsers want it: SHA-256 of the public key. */
function fingerprint(certPath) {
  const { publicKey } = new X509Certificate(readFileSync(certPath));
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
}

function tell(name, entry, report) {
  const { passed, failed } = totals(report);
  // Without an entry nothing is expected, but whoever asks for the file wants to see everything.
  const problems = compareFile(entry ?? { status: 'full', tests: 1 }, report, false).regressions;
  const excused = Math.max(0, failed - problems.length);
  sum.passed += passed;
  sum.excused += excused;
  sum.failed += problems.length;
  const counts = `${passed} passed, ${excused} excused, ${problems.length} failed`;
  console.log(`  ${name.padEnd(18)}${counts.padEnd(36)}${report.seconds.toFixed(1).padStart(6)} s`);
  for (const { title, reason, error } of problems) {
    console.log(`${title}: ${reason}\n${error ?? ''}`.trimEnd().replace(/^/gm, '      '));
  }
}
