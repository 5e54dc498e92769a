// A line as long as one to another continent: TCP connections to a server that is beside us, with a delay each way.
//
// What is sent while a connection would still be under way (a round trip) arrives half a round trip after it is there. Nothing is
// lost and nothing is slow but the light; no congestion, no TLS. Runs in a thread of its own, so that the delays are kept
// whatever the driver does.

import { once } from 'node:events';
import net from 'node:net';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

/**
 * @param {number} port of the server on this machine
 * @param {number} delayMs each way
 * @returns {Promise<{ port: number, requests: string[], close: () => Promise<void> }>} `requests`: `GET /path` of every HTTP/1.1
 *   request that went through so far
 */
export async function openLine(port, delayMs) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { port, delayMs } });
  const requests = [];
  const [own] = await once(worker, 'message');
  worker.on('message', (request) => requests.push(request));
  return { port: own, requests, close: () => worker.terminate() };
}

/** Method and path of requests that begin in this piece. Browsers send the head of a request in one. */
function requestsIn(piece) {
  return [...piece.toString('latin1').matchAll(/(?:^|\r\n)([A-Z]{3,7} \S+) HTTP\/1\.1\r\n/g)].map(([, request]) => request);
}

function main({ port, delayMs }) {
  const server = net.createServer({ noDelay: true }, (near) => {
    const connectedAt = performance.now() + 2 * delayMs;
    const far = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const later = (ms, act) => setTimeout(act, ms);
    near.on('data', (piece) => {
      for (const request of requestsIn(piece)) parentPort.postMessage(request);
      later(Math.max(connectedAt - performance.now(), 0) + delayMs, () => far.write(piece));
    });
    far.on('data', (piece) => later(delayMs, () => near.write(piece)));
    near.on('end', () => later(delayMs, () => far.end()));
    far.on('end', () => later(delayMs, () => near.end()));
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('close', () => later(2 * delayMs, () => far.destroy()));
    far.on('close', () => later(2 * delayMs, () => near.destroy()));
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
}

if (!isMainThread) main(workerData);
