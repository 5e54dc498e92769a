// A headless Chromium, driven through the DevTools protocol over a pipe. Needs no package: messages are JSON with a zero byte
// after each. Source: https://chromedevtools.github.io/devtools-protocol/

import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 10;
const DEADLINE_MS = 15_000;
const FLAGS = [
  '--headless=new', '--no-sandbox', '--remote-debugging-pipe', '--no-first-run', '--no-default-browser-check',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions',
  '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio', '--disable-popup-blocking',
  // Pages that nobody looks at are not slower than others.
  '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding',
];
/** As Chromium has it; Debian's keeps out cookies of other sites, in frames too. */
const PREFERENCES = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } };
/** Names for sites beside 127.0.0.1. */
const TEST_HOSTS = { '*.test': '127.0.0.1' };

/** Resolves with what `look` finds, once it finds something; an error after 15 seconds. */
export async function until(what, look) {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await sleep(POLL_MS);
  }
}

/**
 * Starts the browser of the environment variable CHROMIUM, else `chromium`.
 *
 * @param {{ hosts?: Record<string, string>, flags?: string[] }} [options] `hosts`: where names of hosts, with or without
 *   port, lead to, besides `*.test`, which is this machine; `flags`: more arguments
 */
export async function launch({ hosts = {}, flags = [] } = {}) {
  const profile = await mkdtemp(path.join(tmpdir(), 'freshbase-chromium-'));
  await mkdir(path.join(profile, 'Default'));
  await writeFile(path.join(profile, 'Default', 'Preferences'), JSON.stringify(PREFERENCES));
  const rules = Object.entries({ ...hosts, ...TEST_HOSTS }).map(([from, to]) => `MAP ${from} ${to}`).join(',');
  const args = [...FLAGS, `--host-resolver-rules=${rules}`, ...flags, `--user-data-dir=${profile}`, 'about:blank'];
  const child = spawn(process.env.CHROMIUM ?? 'chromium', args, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const [, , , input, output] = child.stdio;
  const waiting = new Map();
  const events = new EventEmitter();
  events.setMaxListeners(0);
  let lastId = 0;
  let gone = null;

  const failed = (why) => {
    gone ??= new Error(why);
    for (const { reject } of waiting.values()) reject(gone);
    waiting.clear();
  };
  const exited = new Promise((resolve) => {
    child.once('error', (error) => { failed(`chromium could not be started: ${error.message}`); resolve(); });
    child.once('close', (code) => { failed(`chromium ended (exit code ${code})`); resolve(); });
  });
  for (const pipe of [input, output]) pipe.on('error', (error) => failed(error.message));

  const receive = ({ id, sessionId = '', method, params, result, error }) => {
    if (method === 'Target.detachedFromTarget') {
      // Nobody answers any more what was asked there.
      for (const [asked, { session, reject, sent }] of waiting) {
        if (session !== params.sessionId) continue;
        waiting.delete(asked);
        reject(new Error(`${sent}: the page is gone`));
      }
    }
    if (method) return events.emit('event', { sessionId, method, params });
    const { resolve, reject, sent } = waiting.get(id) ?? {};
    waiting.delete(id);
    return error ? reject?.(new Error(`${sent}: ${error.message}`)) : resolve?.(result);
  };
  let pending = [];
  output.on('data', (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(0); end >= 0; end = chunk.indexOf(0, start)) {
      pending.push(chunk.subarray(start, end));
      receive(JSON.parse(Buffer.concat(pending).toString()));
      pending = [];
      start = end + 1;
    }
    pending.push(chunk.subarray(start));
  });

  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    if (gone) return reject(gone);
    lastId += 1;
    waiting.set(lastId, { resolve, reject, sent: method, session: sessionId });
    return input.write(`${JSON.stringify({ id: lastId, method, params, sessionId })}\0`);
  });
  const browser = new Browser(send, events);
  browser.close = async () => {
    if (!gone) await send('Browser.close').catch(() => {});
    const closed = await Promise.race([exited.then(() => true), sleep(5000, false, { ref: false })]);
    if (!closed) child.kill('SIGKILL');
    await exited;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await send('Target.setDiscoverTargets', { discover: true });
  } catch (error) {
    await browser.close();
    throw error;
  }
  return browser;
}

class Browser {
  /** URLs that the browser wanted to save as files. None is ever saved. */
  downloads = new Set();

  #send;
  #events;
  #targets = new Map();

  constructor(send, events) {
    this.#send = send;
    this.#events = events;
    events.on('event', ({ method, params }) => {
      if (method === 'Browser.downloadWillBegin') this.downloads.add(params.url);
      if (method === 'Target.targetCreated' || method === 'Target.targetInfoChanged') this.#targets.set(params.targetInfo.targetId, params.targetInfo);
      if (method === 'Target.targetDestroyed') this.#targets.delete(params.targetId);
    });
  }

  /** A page with storage, caches and passwords of its own, that nothing of other pages is in. */
  async newPage() {
    const { browserContextId } = await this.#send('Target.createBrowserContext');
    await this.#send('Browser.setDownloadBehavior', { behavior: 'deny', browserContextId, eventsEnabled: true });
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank', browserContextId });
    const page = await this.#attach(targetId);
    page.close = () => this.#send('Target.disposeBrowserContext', { browserContextId });
    return page;
  }

  /** A page of the browser's own profile, which all such pages share, with the rules that hold for ordinary visitors. */
  async newTab() {
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' });
    return this.#attach(targetId);
  }

  /** The page that a page has opened; `null` if there is none (yet, or any more). */
  async popupOf(page) {
    const target = [...this.#targets.values()].find(({ openerId, type }) => openerId === page.targetId && type === 'page');
    if (!target) return null;
    return this.#attach(target.targetId).catch(() => null); // windows of downloads close by themselves
  }

  /** A frame of another site in a page, whose address ends like this. */
  async frameOf(page, end) {
    const target = await until(`a frame ${end}`, () => [...this.#targets.values()]
      .find(({ type, url, parentFrameId }) => type === 'iframe' && url.endsWith(end) && (parentFrameId ?? page.targetId) === page.targetId));
    return this.#attach(target.targetId);
  }

  async #attach(targetId) {
    const { sessionId } = await this.#send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page((method, params) => this.#send(method, params, sessionId), targetId);
    const forward = (event) => { if (event.sessionId === sessionId) page.emit(event.method, event.params); };
    this.#events.on('event', forward);
    page.close = async () => {
      this.#events.off('event', forward);
      await this.#send('Target.closeTarget', { targetId }).catch(() => {});
    };
    for (const domain of ['Page', 'Runtime', 'Network']) await page.send(`${domain}.enable`);
    return page;
  }
}

/** One tab. Events of the protocol are emitted under their names. */
class Page extends EventEmitter {
  constructor(send, targetId) {
    super();
    this.send = send;
    this.targetId = targetId;
    // A page that shows a dialog waits for an answer, and so would everything that asks the page.
    this.dialogs = [];
    this.on('Page.javascriptDialogOpening', ({ message }) => {
      this.dialogs.push(message);
      send('Page.handleJavaScriptDialog', { accept: true }).catch(() => {});
    });
  }

  /**
   * Goes to an address, and resolves when everything has been loaded: with the status of the document, or with `null` if
   * the browser stayed where it was (a download) or shows an error of its own.
   */
  async goto(url) {
    return this.#during(() => this.send('Page.navigate', { url }));
  }

  async reload() {
    return this.#during(() => this.send('Page.reload'));
  }

  async #during(navigate) {
    let status = null;
    const onResponse = ({ type, response, frameId }) => {
      if (type === 'Document' && frameId === this.targetId) ({ status } = response);
    };
    this.on('Network.responseReceived', onResponse);
    const abort = new AbortController();
    const loaded = once(this, 'Page.loadEventFired', { signal: AbortSignal.any([abort.signal, AbortSignal.timeout(DEADLINE_MS)]) });
    loaded.catch(() => {}); // is awaited only if there is something to load
    try {
      const { errorText } = await navigate();
      if (errorText) return null;
      await loaded;
      return status;
    } finally {
      abort.abort();
      this.off('Network.responseReceived', onResponse);
    }
  }

  /** The value of a script's expression, awaited if it is a promise. `args` are passed to it if it is a function. */
  async evaluate(script, ...args) {
    const expression = typeof script === 'function' ? `(${script})(${args.map((arg) => JSON.stringify(arg)).join(',')})` : script;
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression, awaitPromise: true, returnByValue: true, userGesture: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Answers every question for name and password like this. */
  async authenticate(username, password) {
    this.on('Fetch.requestPaused', ({ requestId }) => this.send('Fetch.continueRequest', { requestId }).catch(() => {}));
    this.on('Fetch.authRequired', ({ requestId }) => this.send('Fetch.continueWithAuth', {
      requestId, authChallengeResponse: { response: 'ProvideCredentials', username, password },
    }).catch(() => {}));
    await this.send('Fetch.enable', { handleAuthRequests: true });
  }

  /** What is in the window as a PNG; with `whole` what one can scroll to as well. */
  async screenshot({ whole = false } = {}) {
    const { cssContentSize: { width, height } } = await this.send('Page.getLayoutMetrics');
    const clip = whole ? { x: 0, y: 0, width, height, scale: 1 } : undefined;
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: whole, clip });
    return Buffer.from(data, 'base64');
  }
}
