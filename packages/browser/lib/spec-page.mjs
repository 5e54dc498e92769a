// Pages that run the spec files of the published SDK as its authors do: mocha, chai and the SDK's own bundle as scripts.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { PACKAGE_DIR } from '../../conformance/lib/generations.mjs';
import { buildReport } from '../../conformance/lib/report.mjs';

const TEST_TIMEOUT_MS = 4000; // the SDK's official setting; specs raise it where they need to

const installed = (file) => readFileSync(path.join(PACKAGE_DIR, 'node_modules', file));

/**
 * The files of a website with one page `<file>.html` per spec file, contents by path. The address of the API is a
 * parameter of the page: `acl.html?http://127.0.0.1:8080/v1`.
 */
export function specSite({ sdkDir, specFiles }) {
  const follow = readFileSync(path.join(PACKAGE_DIR, 'lib', 'follow.cjs'), 'utf8');
  const site = {
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
  for (const entry of readdirSync(path.join(sdkDir, 'spec'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    site[path.relative(sdkDir, file)] = readFileSync(file);
  }
  for (const file of specFiles) site[`${file}.html`] = specPage(file);
  return site;
}

function specPage(file) {
  const scripts = ['lib/validator.js', 'lib/chai.js', 'lib/otpauth.js', 'lib/mocha.js', 'lib/follow.js', 'lib/baqend.js',
    'spec/env.js', 'lib/before.js', 'spec/helper.js', `spec/${file}.spec.js`, 'lib/run.js'];
  const elements = scripts.map((src) => `<script src="/${src}"></script>`).join('\n');
  return `<!doctype html>\n<meta charset="utf-8"><title>${file}</title>\n<link rel="icon" href="data:,">\n<body>\n${elements}\n`;
}

/**
 * Runs one spec file in a page of its own, with storage and caches of its own.
 *
 * @param {Awaited<ReturnType<import('./chromium.mjs').launch>>} browser
 * @param {string} file spec file name without suffix
 * @param {{ site: string, url: string, timeoutMs: number, signal?: AbortSignal }} options `site`: where specSite() is;
 *   `url`: API base
 * @returns {Promise<import('../../conformance/lib/report.mjs').Report & { seconds: number }>}
 */
export async function runSpecPage(browser, file, { site, url, timeoutMs, signal }) {
  const started = performance.now();
  const page = await browser.newPage();
  const events = [];
  const errors = [];
  let crash = null;
  try {
    const done = new Promise((resolve) => {
      const give = (why) => { crash = why; resolve(); };
      page.on('Runtime.bindingCalled', ({ payload }) => {
        const event = JSON.parse(payload);
        events.push(event);
        if (event.type === 'end') resolve();
      });
      page.on('Runtime.exceptionThrown', ({ exceptionDetails: { exception, text } }) => {
        errors.push(exception?.description ?? text);
      });
      page.on('Inspector.targetCrashed', () => give('the page crashed'));
      signal?.addEventListener('abort', () => give('the run was aborted'), { once: true });
      setTimeout(() => give(`mocha was still running after ${timeoutMs / 1000} s`), timeoutMs).unref();
    });
    await page.send('Inspector.enable');
    await page.send('Runtime.addBinding', { name: 'emitEvent' });
    const status = await page.goto(`${site}/${file}.html?${encodeURIComponent(url)}`);
    if (status !== 200) crash = `its page was answered with ${status}`;
    else await done;
  } catch (error) {
    crash ??= error.message;
  } finally {
    await page.close().catch(() => {});
  }
  const report = buildReport(events, crash);
  if (report.crash && errors.length > 0) report.crash += `\n${errors.join('\n')}`;
  return { ...report, seconds: (performance.now() - started) / 1000 };
}
