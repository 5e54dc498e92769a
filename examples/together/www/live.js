// Queries that keep themselves up to date, over one WebSocket. No library.

const API = new URL('/v1/', location.href);

/** One connection for all queries of the page; comes back by itself. */
class Connection {
  #socket = null;
  #queries = new Map();
  #pause = 250;

  add(query) {
    this.#queries.set(query.id, query);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send(query.subscription());
    else this.#open();
  }

  remove(query) {
    this.#queries.delete(query.id);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send({ type: 'unsubscribe', id: query.id });
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #open() {
    if (this.#socket) return;
    const url = new URL('events', API);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener('open', () => {
      for (const query of this.#queries.values()) this.#send(query.subscription());
    });
    this.#socket.addEventListener('message', ({ data }) => {
      this.#pause = 250;
      const message = JSON.parse(data);
      this.#queries.get(message.id)?.take(message);
    });
    this.#socket.addEventListener('close', () => {
      this.#socket = null;
      // Somewhat at random, so that not all clients of a server that restarts come back at the same moment.
      setTimeout(() => this.#queries.size && this.#open(), this.#pause * (0.5 + Math.random()));
      this.#pause = Math.min(this.#pause * 2, 15_000);
    });
  }
}

const connection = new Connection();

/**
 * A query that keeps itself up to date.
 *
 * @param bucket the class
 * @param options `query` (a filter), `sort`, `limit`, `offset`
 * @param show called with all objects of the result, in their order, after each change
 * @returns an object with `end()`
 */
export function live(bucket, { query = {}, sort, limit, offset }, show) {
  let objects = [];
  const self = {
    id: crypto.randomUUID(),
    subscription: () => ({
      type: 'subscribe',
      id: self.id,
      bucket,
      query: JSON.stringify(query),
      ...(sort && { sort: JSON.stringify(sort) }),
      ...(limit && { limit }),
      ...(offset && { offset }),
      initial: true,
      matchTypes: ['all'],
      operations: ['any'],
    }),
    take({ type, matchType, index, data, error }) {
      if (type === 'result') {
        objects = data;
      } else if (type === 'match') {
        objects = objects.filter(({ id }) => id !== data.id);
        if (matchType !== 'remove') objects.splice(index ?? objects.length, 0, data);
      } else if (type === 'error') {
        console.error(error.message);
        connection.remove(self);
      }
      show(objects);
    },
    end: () => connection.remove(self),
  };
  connection.add(self);
  return self;
}

/** A plain REST request. */
export async function request(method, path, object) {
  const response = await fetch(new URL(path.replace(/^\//, ''), API), {
    method,
    ...(object && { body: JSON.stringify(object), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(JSON.parse(text).message ?? response.statusText);
  return text ? JSON.parse(text) : null;
}
