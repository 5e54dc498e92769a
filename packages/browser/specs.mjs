#!/usr/bin/env node
// Runs the spec files of the published SDK in a browser, each in a page of its own, and compares with the lists of tests
// that are expected to pass (expected/*.json, of the form that packages/conformance describes).
//
//   node specs.mjs --server <binary> [--way <way> …] [--jobs <n>] [--update] [--report <path>] [file …]
//
// The ways differ in where the page is, seen from the API; so the SDK takes another connector and the browser other rules:
//
//   frame   on another site; requests go through the connect page in an iframe
//   tls     the same over HTTPS, where browsers let cookies through
//   site    on the API's own origin, as a website of the app; requests go straight to it
//
// Exit code 0 if everything in the lists passes. The last line is "N passed, N excused, N failed".

import { X509Certificate, createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { addPasses, checkExpected, compareFile } from '../conformance/compare.mjs';
import { loadGeneration } from '../conformance/lib/generations.mjs';
import { totals } from '../conformance/lib/report.mjs';
import { runSpecs } from '../conformance/lib/schedule.mjs';
import { startServer } from '../conformance/lib/server.mjs';
import { launch } from './lib/chromium.mjs';
import { administer } from './lib/server.mjs';
import { serve } from './lib/serve.mjs';
import { runSpecPage, specSite } from './lib/spec-page.mjs';

const FILE_TIMEOUT_MS = 240_000;
// A name that browsers trust like HTTPS, which the SDK needs to see what browser it is in, on HTTP's own port, which the
// SDK needs to see that it is at home.
const OWN_HOST = 'site.localhost';

/** Where the page and the API are in each way. */
const WAYS = {
  frame: ({ origin, pagePort }) => ({ site: `http://localhost:${pagePort}`, url: `${origin}/v1` }),
  tls: ({ tlsPort, pagePort }) => ({ site: `http://localhost:${pagePort}`, url: `https://127.0.0.1:${tlsPort}/v1` }),
  site: () => ({ site: `http://${OWN_HOST}`, url: `http://${OWN_HOST}/v1` }),
};

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: 'string' },
    way: { type: 'string', multiple: true, default: Object.keys(WAYS) },
    jobs: { type: 'string', default: '2' },
    update: { type: 'boolean' },
    report: { type: 'string' },
  },
});
if (!options.server) throw new Error('say which binary to start: --server <binary>');
for (const way of options.way) if (!WAYS[way]) throw new Error(`there is no way ${way}, but ${Object.keys(WAYS).join(', ')}`);

const generation = loadGeneration('v4');
for (const file of wanted) if (!generation.specFiles.includes(file)) throw new Error(`there is no spec file ${file}`);
const files = specSite(generation);

const sum = { passed: 0, excused: 0, failed: 0 };
const results = {};
for (const way of options.way) results[way] = await runWay(way);
if (options.report) writeFileSync(options.report, `${JSON.stringify(results, null, 2)}\n`);
console.log(`\n${sum.passed} passed, ${sum.excused} excused, ${sum.failed} failed`);
process.exitCode = sum.failed > 0 ? 1 : 0;

/** Runs the files of one way against a server of its own. Resolves with the reports by file. */
async function runWay(way) {
  const expectedPath = path.join(import.meta.dirname, 'expected', `${way}.json`);
  const expected = JSON.parse(readFileSync(expectedPath, 'utf8'));
  checkExpected(expected, generation.specFiles);
  const names = wanted.length > 0 || options.update ? wanted : Object.keys(expected);
  const reports = {};
  const server = await startServer(options.server, { tls: way === 'tls' });
  let pages = null;
  let browser = null;
  try {
    if (way === 'site') await deploy(server);
    else pages = await serve(files);
    const tlsPort = server.tls && new URL(server.tls.origin).port;
    const { site, url } = WAYS[way]({ origin: server.origin, tlsPort, pagePort: pages?.port });
    browser = await launch({
      hosts: { [`${OWN_HOST}:80`]: new URL(server.origin).host },
      // A certificate that is only tolerated would keep everything out of the cache.
      flags: server.tls ? [`--ignore-certificate-errors-spki-list=${fingerprint(server.tls.certPath)}`] : [],
    });
    console.log(`\n${generation.label} in Chromium, ${way}: pages of ${site} with ${url}`);
    await runSpecs(generation, names.length > 0 ? names : generation.specFiles, {
      jobs: Number(options.jobs),
      run: (_, file, { signal }) => runSpecPage(browser, file, { site, url, timeoutMs: FILE_TIMEOUT_MS, signal }),
      signal: server.died,
      onReport(file, report) {
        reports[file] = report;
        tell(file, expected[file], report);
      },
    });
  } finally {
    await browser?.close();
    await pages?.close();
    const complaint = await server.stop();
    if (complaint) {
      console.log(complaint);
      sum.failed += 1;
    }
  }
  if (options.update) writeFileSync(expectedPath, `${JSON.stringify(addPasses(expected, reports), null, 2)}\n`);
  return reports;
}

/** The pages as a website of the app. */
async function deploy(server) {
  const admin = await administer(server.origin);
  for (const [name, content] of Object.entries(files)) await admin.deploy(`www/${name}`, content);
}

/** As browsers want it: SHA-256 of the public key. */
function fingerprint(certPath) {
  const { publicKey } = new X509Certificate(readFileSync(certPath));
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
}

function tell(file, entry, report) {
  const { passed, failed } = totals(report);
  const { regressions } = compareFile(entry, report, false);
  // Without an entry nothing is expected, but one wants to see what there is.
  const problems = entry ? regressions : report.tests.filter(({ status }) => status === 'failed' || status === 'not run')
    .map(({ key, status, error }) => ({ title: key, reason: status, error }))
    .concat(report.hooks.map(({ title, error }) => ({ title, reason: 'hook failed', error })))
    .concat(report.crash ? [{ title: '(the whole file)', reason: 'crashed', error: report.crash }] : []);
  const excused = Math.max(0, failed - problems.length);
  sum.passed += passed;
  sum.excused += excused;
  sum.failed += problems.length;
  const seconds = `${report.seconds.toFixed(1)} s`.padStart(8);
  console.log(`  ${file.padEnd(18)}${passed} passed, ${excused} excused, ${problems.length} failed${seconds}`);
  for (const { title, reason, error } of problems) {
    console.log(`${title}: ${reason}\n${error ?? ''}`.trimEnd().replace(/^/gm, '      '));
  }
}
