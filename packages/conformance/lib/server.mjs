// Starts and stops one Freshbase server with an empty, temporary data directory.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { selfSigned } from './certificate.mjs';

const READY_LINE = /\bhttp:\/\/127\.0\.0\.1:\d+/;
const TLS_READY = /\bhttps:\/\/127\.0\.0\.1:(\d+)/;
const CERT = 'cert.pem';
const KEY = 'key.pem';
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 50;
const OUTPUT_TAIL_CHARS = 8000;

/**
 * @param {string} binary
 * @param {{ logPath?: string, tls?: boolean, startTimeoutMs?: number, stopTimeoutMs?: number }} [options]
 *   `logPath`: all output of the server is appended there; `tls`: it also listens for HTTPS, with a certificate of its own
 * @returns {Promise<{ origin: string, tls: { origin: string, certPath: string } | null, died: AbortSignal,
 *   stop: () => Promise<string | null> }>}
 *   `tls` says where HTTPS is and which certificate to trust. `died` fires when the server ends by itself, with an Error as reason. `stop` ends the process, removes the data
 *   directory, and resolves with a complaint if the server did not end well, else with null.
 */
export async function startServer(binary, options = {}) {
  const { logPath, tls = false, startTimeoutMs = START_TIMEOUT_MS, stopTimeoutMs = STOP_TIMEOUT_MS } = options;
  const dataDir = await mkdtemp(path.join(tmpdir(), 'freshbase-conformance-'));
  const certDir = tls ? await writeCertificate() : null;
  const child = spawn(
    path.resolve(binary),
    [
      'serve', '--listen', '127.0.0.1:0', '--data-dir', dataDir, '--compat', 'baqend',
      ...(tls ? tlsArguments(certDir) : []),
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FRESHBASE_ADMIN_USER: 'root', FRESHBASE_ADMIN_PASSWORD: 'root' },
    },
  );

  const log = logPath && createWriteStream(logPath, { flags: 'a' });
  let tail = '';
  let stopping = false;
  const died = new AbortController();
  const exited = new Promise((resolve) => {
    const finish = (how) => {
      log?.end();
      if (!stopping) died.abort(new Error(`the server ${how}${tail && `, its last output:\n${tail.trimEnd()}`}`));
      resolve();
    };
    child.once('error', (error) => finish(`could not be started: ${error.message}`));
    child.once('close', (code, signal) => finish(`ended by itself (${signal ?? `exit code ${code}`})`));
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      tail = (tail + text).slice(-OUTPUT_TAIL_CHARS);
      log?.write(text);
    });
  }

  const stop = async () => {
    const running = !died.signal.aborted;
    stopping = true;
    let complaint = null;
    if (running) {
      child.kill('SIGTERM');
      const ended = await Promise.race([exited.then(() => true), sleep(stopTimeoutMs, false, { ref: false })]);
      if (!ended) {
        complaint = `the server was still running ${stopTimeoutMs / 1000} s after SIGTERM and was killed`;
        child.kill('SIGKILL');
        await exited;
      }
    }
    for (const dir of [dataDir, certDir]) {
      if (dir) await rm(dir, { recursive: true, force: true });
    }
    return complaint;
  };

  try {
    const deadline = AbortSignal.any([died.signal, AbortSignal.timeout(startTimeoutMs)]);
    const ready = await readyLine(child.stdout, deadline);
    const [origin] = ready.match(READY_LINE);
    const tlsPort = ready.match(TLS_READY)?.[1];
    if (tls && !tlsPort) throw new Error('it does not say where it listens for HTTPS');
    await healthy(origin, deadline);
    await unlimited(origin, deadline);
    const secure = tls ? { origin: `https://localhost:${tlsPort}`, certPath: path.join(certDir, CERT) } : null;
    return { origin, tls: secure, died: died.signal, stop };
  } catch (cause) {
    await stop();
    if (died.signal.aborted) throw died.signal.reason;
    throw new Error(
      `the server was not ready after ${startTimeoutMs / 1000} s: ${cause.message}${tail && `\n${tail.trimEnd()}`}`,
      { cause },
    );
  }
}

async function writeCertificate() {
  const dir = await mkdtemp(path.join(tmpdir(), 'freshbase-conformance-tls-'));
  const { cert, key } = selfSigned();
  await writeFile(path.join(dir, CERT), cert);
  await writeFile(path.join(dir, KEY), key, { mode: 0o600 });
  return dir;
}

function tlsArguments(certDir) {
  return [
    '--tls-listen', '127.0.0.1:0', '--tls-cert', path.join(certDir, CERT), '--tls-key', path.join(certDir, KEY),
    '--https-redirect', 'off', // this process sets the server up over plain HTTP
  ];
}

/** The first line of output that contains a URL. */
function readyLine(stdout, signal) {
  return new Promise((resolve, reject) => {
    let pending = '';
    const onData = (text) => {
      const lines = (pending + text).split('\n');
      pending = lines.pop(); // a line counts once it is complete: the port could be cut
      const ready = lines.find((line) => READY_LINE.test(line));
      if (ready) {
        stdout.off('data', onData);
        resolve(ready);
      }
    };
    stdout.on('data', onData);
    const onAbort = () => reject(new Error('it printed no line with its URL'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * All suites come from one address: the limit per address on logins and registrations is not for them. A server without
 * this setting is left as it is.
 */
async function unlimited(origin, signal) {
  const call = (method, path, body, headers = {}) =>
    fetch(`${origin}/v1${path}`, { method, signal, headers, body: JSON.stringify(body) });
  const login = await call('POST', '/db/User/login', { username: 'root', password: 'root' });
  if (!login.ok) return;
  const authorization = `BAT ${login.headers.get('baqend-authorization-token')}`;
  await call('PUT', '/config', { rateLimit: { requests: 0, seconds: 1 } }, { authorization });
}

async function healthy(origin, signal) {
  let last = 'no answer';
  while (!signal.aborted) {
    try {
      const response = await fetch(`${origin}/healthz`, { signal });
      await response.arrayBuffer();
      if (response.ok) return;
      last = `status ${response.status}`;
    } catch (error) {
      if (signal.aborted) break;
      last = error.cause?.message ?? error.message;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`GET ${origin}/healthz: ${last}`);
}
