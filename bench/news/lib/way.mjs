// How a visitor's browser reaches the server: over the line, or over a short one to an edge whose own line is the long one.

import { startEdge } from './edge.mjs';
import { openLine } from './line.mjs';

/** To the server, each way. */
export const DELAY_MS = 75;
/** To an edge, each way: to the same city, over the line of a home. */
export const EDGE_DELAY_MS = 5;
/** By how much an edge and the app allow an answer from the edge to be behind: both defaults. */
export const EDGE_BOUND_MS = 1000;
/** What an edge proves itself with. Of the form that the server wants. */
export const SECRET = '5b1d'.repeat(16);

export const HOST = 'api.test';
const PAGE_HOST = 'page.test';
const isForEdges = (request) => request.includes(' /.freshbase/');

/**
 * @param {string} binary
 * @param {{ server: { port: number, tls?: { port: number, fingerprint: string } }, pagesPort: number, isTls?: boolean, hasEdge?: boolean }} options
 *   `pagesPort`: of a site beside the server's; `isTls`: HTTPS, so HTTP/2; `hasEdge`: a new edge is in between
 * @returns {Promise<{ browser: { hosts: object, flags: string[] }, far: string[] | null, near: () => string[] | null, clear: () => void,
 *   edgePort: number | null, close: () => Promise<void> }>} `browser`: for browsers that are to go this way; `near`: requests since `clear`
 *   of the browser, unless they were encrypted; `far`: those of the edge, if there is one, which is at `edgePort`
 */
export async function openWay(binary, { server, pagesPort, isTls = false, hasEdge = false }) {
  const far = hasEdge ? await openLine(server.port, DELAY_MS) : null;
  const edge = hasEdge ? await startEdge(binary, { origin: `http://127.0.0.1:${far.port}`, secret: SECRET }) : null;
  const end = edge ?? server;
  const near = await openLine(isTls ? end.tls.port : end.port, hasEdge ? EDGE_DELAY_MS : DELAY_MS);
  const site = await openLine(pagesPort, DELAY_MS);
  const lines = [near, site, ...(far ? [far] : [])];
  const trust = isTls
    ? `--ignore-certificate-errors-spki-list=${end.tls.fingerprint}`
    // Only to pages that it trusts, as those of HTTPS, does the browser say which one it is, which the SDK goes by.
    : `--unsafely-treat-insecure-origin-as-secure=http://${HOST},http://${PAGE_HOST}`;
  return {
    browser: {
      hosts: { [`${HOST}:${isTls ? 443 : 80}`]: `127.0.0.1:${near.port}`, [`${PAGE_HOST}:80`]: `127.0.0.1:${site.port}` },
      flags: [trust],
    },
    near: () => (isTls ? null : [...near.requests, ...site.requests]),
    far: () => far && far.requests.filter((request) => !isForEdges(request)),
    clear: () => lines.forEach(({ requests }) => { requests.length = 0; }),
    edgePort: edge && edge.port,
    close: async () => {
      await edge?.stop();
      for (const line of lines) await line.close();
    },
  };
}
