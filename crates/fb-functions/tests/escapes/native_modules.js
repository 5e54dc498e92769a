// expect: none
exports.call = () => { for (const name of ['fs', 'child_process', 'net', 'std', 'qjs:os', 'qjs:std', 'node:fs', 'worker_threads', 'vm', 'module', 'freshbase:http', 'freshbase:client', 'engine', 'modules', 'main']) { try { require(name); return name; } catch (error) { if (error.code !== 'MODULE_NOT_FOUND') return String(error); } } return 'none'; };
