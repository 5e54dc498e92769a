// `db.log('text %s', value, data)` and `db.log.warn(…)`: entries of `logs.AppLog`.
'use strict';

const { url } = require('./connector');

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'];
const FORMATS = {
  '%s': String,
  '%d': (value) => String(Number(value)),
  '%j': (value) => {
    try {
      return JSON.stringify(value);
    } catch {
      return '[Circular]';
    }
  },
};

/** Instances are functions. */
class Logger {
  static create(entityManager) {
    const logger = function LoggerFunction(...args) {
      const sent = logger.log(...args);
      // Nobody has to wait for an entry, and none that is lost may end the call.
      sent.catch((error) => entityManager._report(`db.log: ${error.message}`));
      return sent;
    };
    Object.setPrototypeOf(logger, this.prototype);
    logger.init(entityManager);
    return logger;
  }

  init(entityManager) {
    this.entityManager = entityManager;
    this.levelIndex = LEVELS.indexOf('info');
    for (const level of LEVELS) this[level] = (...args) => this(level, ...args);
  }

  get level() {
    return LEVELS[this.levelIndex];
  }

  set level(value) {
    const index = LEVELS.indexOf(value);
    if (index === -1) throw new Error(`Unknown logging level ${value}`);
    this.levelIndex = index;
  }

  /** `([level], [message], [arguments of the message…], [data])` */
  log(...args) {
    const level = LEVELS.includes(args[0]) ? args.shift() : 'info';
    if (this.levelIndex > LEVELS.indexOf(level)) return Promise.resolve(null);
    let message = typeof args[0] === 'string' ? this.format(args.shift(), args) : '[no message]';
    let data = null;
    if (args.length) {
      data = args.pop();
      if (data instanceof Error) {
        data = { name: data.name, message: data.message, stack: data.stack, status: data.status, data: data.data };
      } else if (typeof data !== 'object' || Array.isArray(data)) {
        data = { data };
      }
    }
    if (args.length) message += `, ${args.join(', ')}`;
    const { me } = this.entityManager;
    return this.logJSON({ date: new Date().toISOString(), message, level, data, ...(me && { user: me.id }) });
  }

  /** Takes what the message names out of `args`. */
  format(message, args) {
    if (!args.length) return message;
    return message.replace(/%[sdj%]/g, (sign) => {
      if (sign === '%%') return '%';
      return args.length ? FORMATS[sign](args.shift()) : sign;
    });
  }

  logJSON(json) {
    const db = this.entityManager;
    if (!db.isReady) return db.ready(() => this.logJSON(json));
    return db.send({ method: 'POST', path: url`/db/${'logs.AppLog'}`, ok: [201, 202], body: json, type: 'json' });
  }
}
Object.setPrototypeOf(Logger.prototype, Function.prototype);
Logger.LEVELS = LEVELS;

module.exports = { Logger };
