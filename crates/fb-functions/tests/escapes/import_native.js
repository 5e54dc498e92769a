// expect: none
exports.call = async () => { for (const name of ['fs', 'net', 'qjs:os', 'freshbase:require', 'freshbase:engine', '/code/m/module', './__proto__', 'file:///etc/passwd', '/etc/passwd']) { try { await import(name); return name; } catch {} } return 'none'; };
