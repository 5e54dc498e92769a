// What an author throws to end a call with a message for the caller. Told apart from other errors by a private field, which no other
// object can pretend to have.
class Abort extends Error {
  #aborted = true;

  constructor(message, data) {
    super(message);
    this.data = data;
  }

  static {
    exports.isAbort = (value) => #aborted in value;
  }
}

Object.defineProperty(Abort.prototype, 'name', { value: 'Abort', writable: true, configurable: true });
exports.Abort = Abort;
