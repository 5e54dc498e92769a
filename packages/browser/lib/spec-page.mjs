// Pages that run the spec files of the published SDK as its authors do: mocha, chai and the SDK's own bundle as scripts.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { PACKAGE_DIR } from '../../conformance/lib/generations.mjs';
import { buildReport } from '../../conformance/lib/report.mjs';

const TEST_TIMEOUT_MS = 4000; // the SDK's official setting; specs raise it where they need to

const SCRIPTS = ['lib/validator.js', 'lib/chai.js', 'lib/otpauth.js', 'lib/mocha.js', 'lib/follow.js', 'lib/baqend.js',
  'spec/env.js', 'lib/before.js', 'spec/helper.js'];

const installed = (file) => readFileSync(path.join(PACKAGE_DIR, 'node_modules', file));

/**
 * The files of a website that runs one spec file on its page `index.html`, contents by path. The address of the API is a
 * parameter of the page: `/index.html?http://127.0.0.1:8080/v1`.
 *
 * @param {{ sdkDir: string }} generation
 * @param {{ file: string, only?: string, without?: string }} part spec file name without suffix; a suite's title, to run
 *   nothing but it, or everything but it
 * @returns {Record<string, string | Buffer>}
 */
export function specSite({ sdkDir }, { file, only = '', without = '' }) {
  const follow = readFileSync(path.join(PACKAGE_DIR, 'lib', 'follow.cjs'), 'utf8');
  const elements = [...SCRIPTS, `spec/${file}.spec.js`].map((src) => `<script src="/${src}"></script>`).join('\n');
  const site = {
    'index.html': `<!doctype html>\n<meta charset="utf-8"><title>${file}</title><link rel="icon" href="data:,">\n<body>\n${elements}
      <script src="/lib/run.js" data-only="${only}" data-without="${without}"></script>\n`,
    'lib/validator.js': installed('validator/validator.min.js'),
    'lib/chai.js': installed('chai/chai.js'),
    'lib/otpauth.js': installed('otpauth/dist/otpauth.umd.min.js'),
    'lib/mocha.js': installed('mocha-v4/mocha.js'),
    'lib/follow.js': `const follow = (() => { const module = {}; ${follow}\nreturn module.exports; })();`,
    'lib/baqend.js': readFileSync(path.join(sdkDir, 'dist', 'baqend.es5.js')),
    'lib/before.js': `chai.config.includeStack = true;
      window.expect = chai.expect;
      env.TEST_SERVER = decodeURIComponent(location.search.slice(1));
      mocha.setup({ ui: 'bdd', timeout: ${TEST_TIMEOUT_MS} });`,
    'lib/run.js': readFileSync(path.join(import.meta.dirname, 'run-page.js')),
  };
  const specs = ['spec/env.js', 'spec/helper.js', `spec/${file}.spec.js`];
  const assets = readdirSync(path.join(sdkDir, 'spec', 'assets')).map((name) => `spec/assets/${name}`);
  for (const name of [...specs, ...assets]) site[name] = readFileSync(path.join(sdkDir, name));
  return site;
}

/**
 * Runs the spec file of a page that is made by specSite().
 *
 * @param {Awaited<ReturnType<import('./chromium.mjs').launch>>} browser
 * @param {string} address of the page, with its parameter
 * @param {{ timeoutMs: number, signal?: AbortSignal }} options
 * @returns {Promise<import('../../conformance/lib/report.mjs').Report>}
 */
export async function runSpecPage(browser, address, { timeoutMs, signal }) {
  const page = await browser.newTab(); // in pages apart, browsers keep cookies of other sites out
  const events = [];
  const errors = [];
  let resolve;
  const done = new Promise((resolveIt) => { resolve = resolveIt; });
  page.on('Runtime.bindingCalled', ({ payload }) => {
    const event = JSON.parse(payload);
    events.push(event);
    if (event.type === 'end') resolve(null);
  });
  page.on('Runtime.exceptionThrown', ({ exceptionDetails: { exception, text } }) => errors.push(exception?.description ?? text));
  page.on('Inspector.targetCrashed', () => resolve('the page crashed'));
  const onAbort = () => resolve('the run was aborted');
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => resolve(`mocha was still running after ${timeoutMs / 1000} s`), timeoutMs);
  let crash;
  try {
    await page.send('Inspector.enable');
    await page.send('Runtime.addBinding', { name: 'emitEvent' });
    const status = await page.goto(address);
    crash = status === 200 ? await done : `the page was answered with ${status}`;
  } catch (error) {
    crash = error.message;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    await page.close().catch(() => {});
  }
  const report = buildReport(events, crash);
  // mocha takes a file that the browser could not read for one without tests.
  if (report.tests.length === 0) report.crash ??= 'there were no tests';
  if (report.crash && errors.length > 0) report.crash += `\n${errors.join('\n')}`;
  return report;
}
