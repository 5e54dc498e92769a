// Users, roles, tokens.

export default {
  'nobody': async (db, { err }) => [db.User.me, db.me, db.token, db.User.LoginOption, await err(() => db.disableMFA())],
  'register, login, logout': async (db, { err }) => {
    const user = await db.User.register('ann', 'secret');
    const results = [user, user === db.User.me, typeof db.token, user.username, user.acl];
    results.push(await err(() => db.User.register('ann2', 'x')), await err(() => db.User.login('ann', 'secret')));
    const todo = new db.Todo({ name: 'private' });
    todo.acl.allowReadAccess(user).allowWriteAccess(user);
    await todo.save();
    results.push(await db.User.logout(), db.User.me, db.token, await db.Todo.load(todo.id));
    const again = await db.User.login('ann', 'secret');
    results.push(again.id === user.id, (await db.Todo.load(todo.id)).name);
    await db.User.logout();
    return results;
  },
  'register without login': async (db) => {
    const user = await db.User.register('bob', 'secret', db.User.LoginOption.NO_LOGIN);
    return [user, db.User.me];
  },
  'register an object, and callbacks': async (db) => {
    const results = [await db.User.register(new db.User({ username: 'cid' }), 'secret', (it) => it.username)];
    results.push(await db.User.logout(() => 'out'), await db.User.login('cid', 'secret', (it) => it.username));
    await db.logout();
    results.push(await db.User.login('cid', 'wrong', null, (error) => error.status).catch((error) => error), await db.User.login('cid', 'secret', false, (it) => it.username), db.tokenStorage.temporary);
    return results;
  },
  'wrong names and passwords': async (db, { err }) => [await err(() => db.User.login('nobody', 'x')), await err(() => db.User.login('ann', 'wrong')), await err(() => db.User.register('ann', 'x')), db.User.me,
    await err(() => db.User.newPassword('ann', 'wrong', 'x')), await err(() => db.User.newPassword('badtoken', 'x')), await err(() => db.User.changeUsername('ann', 'b', 'wrong'))],
  'renew': async (db) => {
    const user = await db.User.login('ann', 'secret');
    const token = db.token;
    const again = await db.renew();
    await db.User.logout();
    const nobody = await db.renew();
    return [again === user, db.me, nobody, typeof token];
  },
  'loginWithToken': async (db, { open }) => {
    await db.User.login('ann', 'secret');
    const { token } = db;
    const other = await open();
    other.me = null;
    const user = await other.User.loginWithToken(token);
    return [user, other.User.me === user, await db.User.logout()];
  },
  'passwords': async (db, { err }) => {
    const user = await db.User.login('bob', 'secret');
    const same = await user.newPassword('secret', 'secret2');
    const results = [same === user, await err(() => user.newPassword('secret', 'x'))];
    await db.User.logout();
    results.push(await err(() => db.User.login('bob', 'secret')), (await db.User.login('bob', 'secret2', true, (it) => it.username)));
    await db.User.logout();
    results.push(await db.User.newPassword('bob', 'secret2', 'secret', (it) => it.username));
    return results;
  },
  'reset and names': async (db, { err }) => {
    await db.User.register('dora@example.com', 'secret');
    const results = [await err(() => db.User.changeUsername('dora@example.com', 'dora2@example.com', 'secret')), await err(() => db.User.resetPassword('dora@example.com')), await err(() => db.User.me.changeUsername('dora3@example.com', 'secret'))];
    return results.map((result) => (result instanceof Error ? result : 'done'));
  },
  'API tokens': { as: 'root', run: async (db, { err }) => {
    const user = await db.User.find().equal('username', 'cid').singleResult();
    const token = await db.User.requestAPIToken(user);
    const byKey = await db.User.requestAPIToken(user.key);
    return [token, byKey, await user.requestAPIToken((it) => Object.keys(it)), (await db.User.revokeAllTokens(user)).status, await err(() => db.User.revokeAllTokens('nobody'))];
  } },
  'second factor': async (db, { err }) => {
    await db.User.register('mfa', 'secret');
    const results = [await db.getMFAStatus()];
    const { keyUri, qrCode } = await db.initMFA();
    results.push(keyUri.replace(/secret=\w+/, ''), typeof qrCode, await err(() => db.finishMFA(1)), (await db.disableMFA()).status, await err(() => db.submitMFACode(1, 'x')), db.me === null);
    return results;
  },
  'login with others': async (db, { err }) => [await err(() => db.loginWithOAuth('google', {})), await err(() => db.loginWithOAuth('google', { path: 'x', oAuthVersion: 2, redirect: 'https://a.example', clientId: 'c', scope: 's', state: { a: 1 } })),
    await err(() => db.loginWithOAuth('Twitter', { oAuthVersion: 1, redirect: 'x' }))],
  'the caller': { as: 'root', run: async (db, { err }) => {
    const { me } = db.User;
    return [me === db.me, me, await err(() => db.User.login('ann', 'secret')), await err(() => db.User.register('eve', 'x')), (await me.load()) === me, me.username,
      (await db.User.register('eve', 'secret', -1)).username, (await db.renew()) === me];
  } },
  'roles': { as: 'root', run: async (db, { err }) => {
    const ann = await db.User.find().equal('username', 'ann').singleResult();
    const role = new db.Role();
    role.name = 'painters';
    const before = [role.id, role.hasUser(ann), role.users];
    role.addUser(ann);
    await role.save();
    const results = [before, role.id === null, role, role.hasUser(ann), db.contains(role), await err(() => role.addUser('x')), await err(() => role.removeUser({}))];
    role.removeUser(ann);
    await role.save({ refresh: true });
    results.push(role.users.size, role.users instanceof Set);
    db.clear();
    const loaded = await db.Role.find().equal('name', 'painters').singleResult();
    results.push(loaded.id === role.id, loaded.name, await loaded.delete());
    return results;
  } },
  'users are objects': { as: 'root', run: async (db) => {
    const user = await db.User.find().equal('username', 'bob').singleResult();
    const same = await db.User.load(user.key);
    return [same === user, user.inactive, user instanceof db.User, user instanceof db.binding.User, user instanceof db.binding.Entity, await db.User.find().equal('username', 'bob').count()];
  } },
  'TokenStorage': async (db) => {
    const { TokenStorage } = db.intersection;
    const data = `${'5f000000'}${'6f000000'}abcdef`;
    const storage = new TokenStorage('http://x', data + 'a'.repeat(40));
    const signed = await storage.signPath('/v1/file/b/ü ö.png');
    storage.update(`5f0000005f000000${'b'.repeat(46)}`);
    const kept = storage.token === data + 'a'.repeat(40);
    storage.update(null);
    return [signed.length, signed.replace(/[0-9a-f]{8}$/, ''), await storage.signPath('/a'), kept, storage.token, TokenStorage.parse(data + 'a'.repeat(40)).expireAt, await TokenStorage.hmac('message', 'k'.repeat(40)), await TokenStorage.hmac('m'.repeat(130), 'k'.repeat(90))];
  },
};
