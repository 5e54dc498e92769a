// `freshbase edge` in front of a server, with memory that is empty.

import { spawn } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { selfSigned } from '../../../packages/conformance/lib/certificate.mjs';

const READY = /at http:\/\/127\.0\.0\.1:(\d+) and https:\/\/127\.0\.0\.1:(\d+) .*figures: http:\/\/127\.0\.0\.1:(\d+)/;
const START_TIMEOUT_MS = 30_000;
/** Longer than the second for which `connect` may be kept. */
const LATER_MS = 1700;

/**
 * @param {string} binary
 * @param {{ origin: string, secret: string }} options `origin`: where the server is, for the edge; `secret`: what both have
 * @returns {Promise<{ port: number, tls: { port: number, fingerprint: string }, figures: () => Promise<Record<string, number>>,
 *   stop: () => Promise<void> }>} `figures`: `freshbase_edge_…` without the prefix
 */
export async function startEdge(binary, { origin, secret }) {
  const dir = mkdtempSync(path.join(tmpdir(), 'news-edge-'));
  const [certFile, keyFile] = ['cert.pem', 'key.pem'].map((name) => path.join(dir, name));
  const { cert, key } = selfSigned();
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const child = spawn(path.resolve(binary), [
    'edge', '--origin', origin, '--listen', '127.0.0.1:0', '--figures-listen', '127.0.0.1:0',
    '--tls-listen', '127.0.0.1:0', '--tls-cert', certFile, '--tls-key', keyFile,
  ], { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, FRESHBASE_EDGE_SECRET: secret } });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill();
    await exited;
    rmSync(dir, { recursive: true });
  };
  try {
    const [port, tlsPort, figuresPort] = await ready(child);
    const at = `http://127.0.0.1:${figuresPort}`;
    const figures = async () => {
      const text = await (await fetch(`${at}/metrics`)).text();
      return Object.fromEntries([...text.matchAll(/^freshbase_edge_(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
    };
    // Until the stream of purges is there, an edge passes everything on.
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await figures()).intact) {
      if (performance.now() > deadline) throw new Error('the edge does not follow the purges');
      await sleep(20);
    }
    return { port, tls: { port: tlsPort, fingerprint: fingerprint(cert) }, figures, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Fails if an edge does not answer from memory what it should: by paths, the second request of two, the way a client asks that must have what is valid now,
 * a while after the first one.
 *
 * @param {number} port
 * @param {string[]} paths
 */
export async function checkMemory(port, paths) {
  const how = async (to, headers) => {
    const answer = await fetch(`http://127.0.0.1:${port}${to}`, { headers });
    await answer.arrayBuffer();
    return answer.headers.get('cache-status');
  };
  // Of the first one an edge learns what may be kept, and keeps it for the second.
  for (const to of paths) {
    await how(to);
    await how(to);
  }
  await sleep(LATER_MS);
  for (const to of paths) {
    // Who must have what is valid now asks for objects and files like that. `connect` has no such form.
    const status = await how(to, to.includes('/connect') ? {} : { 'cache-control': 'no-cache' });
    if (status !== 'freshbase-edge; hit') throw new Error(`${to}: ${status}`);
  }
}

async function ready(child) {
  for await (const line of createInterface({ input: child.stdout, signal: AbortSignal.timeout(START_TIMEOUT_MS) })) {
    const found = line.match(READY);
    if (found) {
      child.stdout.resume();
      return found.slice(1).map(Number);
    }
  }
  throw new Error('the edge did not start');
}

/** How browsers are told which certificate to trust: SHA-256 of its public key. One that is only tolerated would keep everything out of their caches. */
export function fingerprint(cert) {
  const { publicKey } = new X509Certificate(cert);
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
}
