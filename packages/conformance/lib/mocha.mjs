// Runs one spec file in a mocha process of its own.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

import { buildReport } from './report.mjs';

const TEST_TIMEOUT_MS = 4000; // the SDK's official setting; specs raise it where they need to
const OUTPUT_TAIL_LINES = 30;

/**
 * @param {ReturnType<import('./generations.mjs').loadGeneration>} generation
 * @param {string} file spec file name without suffix
 * @param {object} options
 * @param {string} [options.url] API base of the server, `scheme://host[:port]/v1`
 * @param {string} [options.certPath] certificate to trust if `url` is HTTPS
 * @param {string} options.tmpDir existing directory for events and output
 * @param {number} options.timeoutMs the process is killed after this time
 * @param {boolean} [options.list] only collect the tests, run none
 * @param {AbortSignal} [options.signal] kills the process
 * @returns {Promise<import('./report.mjs').Report & { seconds: number }>}
 */
export async function runSpec(generation, file, { url, certPath, tmpDir, timeoutMs, list = false, signal }) {
  const base = path.join(tmpDir, `${generation.name}-${file}`);
  const eventsPath = `${base}.events`;
  const outputPath = `${base}.output`;
  rmSync(eventsPath, { force: true }); // the reporter appends, and the file may have run before
  const output = openSync(outputPath, 'w');
  const started = performance.now();

  const child = spawn(process.execPath, [
    generation.mochaBin,
    ...generation.mochaArgs,
    '--exit',
    '--timeout', String(TEST_TIMEOUT_MS),
    '--require', path.join(import.meta.dirname, 'set-server.cjs'),
    '--reporter', path.join(import.meta.dirname, 'reporter.cjs'),
    `spec/${file}.spec.js`,
  ], {
    cwd: generation.sdkDir, // specs open their assets relative to it
    stdio: ['ignore', output, output],
    env: {
      ...process.env,
      TZ: process.env.TZ ?? 'UTC', // some test titles contain local times
      CONFORMANCE_EVENTS: eventsPath,
      ...(url && { TEST_SERVER: url }),
      ...(certPath && { NODE_EXTRA_CA_CERTS: certPath }),
      ...(list && { CONFORMANCE_LIST: '1' }),
    },
  });
  closeSync(output);

  const exit = await waitForExit(child, timeoutMs, signal);
  const events = readEvents(eventsPath);
  if (list && exit.code === 0) events.push({ type: 'end' });

  const report = buildReport(events, exit.reason);
  if (report.crash) {
    const tail = readFileSync(outputPath, 'utf8').trimEnd().split('\n').slice(-OUTPUT_TAIL_LINES).join('\n');
    report.crash = [`${report.crash} (exit code ${exit.code}, ${lastTest(events)})`, tail].filter(Boolean).join('\n');
  }
  return { ...report, seconds: (performance.now() - started) / 1000 };
}

/** Resolves with the exit code and, when the process was killed, why. */
function waitForExit(child, timeoutMs, signal) {
  return new Promise((resolve, reject) => {
    let reason = null;
    const kill = (why) => {
      reason ??= why;
      child.kill('SIGKILL');
    };
    const onAbort = () => kill('the run was aborted');
    const timer = setTimeout(() => kill(`mocha was still running after ${timeoutMs / 1000} s and was killed`), timeoutMs);

    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    child.once('error', reject);
    child.once('exit', (code, killedBy) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve({ code, reason: reason ?? (killedBy ? `mocha was killed by ${killedBy}` : null) });
    });
  });
}

/** A killed process can leave half a line at the end. */
function readEvents(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  lines.pop(); // what follows the last line feed: nothing, or half an event
  return lines.map((line) => JSON.parse(line));
}

function lastTest(events) {
  const last = events.findLast((event) => event.type === 'test');
  return last ? `last finished test: ${last.title}` : 'no test finished';
}
