// expect: TooLong
async function* all() { for (;;) yield 1; }
exports.call = async () => { for await (const one of all()) void one; };
