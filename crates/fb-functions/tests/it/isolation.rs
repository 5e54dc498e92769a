//! What stays between calls, and what does not.

use fb_functions::Limits;

use crate::kit::{app, app_with, limits, module};

#[tokio::test]
async fn s46_globals_of_a_call_are_gone_after_it() {
    let app = module(
        "exports.call = () => { const seen = [typeof leak, typeof other, fetchIsMine(), String(Symbol) === 'mine', Error.stackTraceLimit === 1].join(); leak = 1; globalThis.other = 2; globalThis.setTimeout = () => 'mine'; globalThis.Symbol = 'mine'; (0, eval)('var third = 3'); Error.stackTraceLimit = 1; return seen; };\nconst fetchIsMine = () => setTimeout.length === 0;",
    );
    for _ in 0..3 {
        assert_eq!(app.text().await, "undefined,undefined,false,false,false");
    }
    assert_eq!(app.engine.stats().instances, 1);
}

#[tokio::test]
async fn globals_that_a_module_makes_while_it_loads_stay_as_they_were_then() {
    let app = module(
        "globalThis.shared = { n: 0 }; globalThis.count = 0;\nexports.call = () => { count += 1; shared.n += 1; return [count, shared.n].join(); };",
    );
    assert_eq!(app.text().await, "1,1");
    assert_eq!(app.text().await, "1,2");
}

#[tokio::test]
async fn s46_an_instance_with_globals_that_cannot_be_removed_serves_nobody_else() {
    for taint in [
        "Object.defineProperty(globalThis, 'leak', { value: 1 })",
        "Object.preventExtensions(globalThis)",
        "Object.setPrototypeOf(globalThis, { leak: 1 })",
        "db.leak = Promise.resolve().constructor; require('./m').leak = globalThis; Object.freeze(globalThis)",
    ] {
        let app = module(&format!(
            "let n = 0; exports.call = (db) => {{ n += 1; {taint}; return n + typeof leak; }};"
        ));
        let first = app.text().await;
        let second = app.text().await;
        assert_eq!(first, second, "{taint}");
    }
}

#[tokio::test]
async fn what_is_not_awaited_is_given_up_with_the_call() {
    let app = module(
        "exports.call = () => { setTimeout(() => console.log('late'), 1); setInterval(() => console.log('again'), 1); return 'x'; };",
    );
    for _ in 0..3 {
        app.text().await;
    }
    let slow = "exports.call = async () => { await new Promise((done) => setTimeout(done, 10)); return 'slow'; };";
    let same = crate::kit::code(&[("m", slow)]);
    app.pool
        .call(&same, crate::kit::get(""), app.host.clone())
        .await
        .unwrap();
    assert!(app.host.lines().is_empty(), "{:?}", app.host.lines());
}

#[tokio::test]
async fn timers_run_in_order_and_promises_between_them() {
    let app = module(
        "exports.call = () => new Promise((done) => { const seen = []; setTimeout(() => { seen.push('t2'); done(seen.join()); }, 8); const stop = setInterval(() => { seen.push('i'); clearInterval(stop); }, 4); setTimeout(() => { seen.push('t1'); Promise.resolve().then(() => seen.push('p')); }, 2); setImmediate((x) => seen.push(x), 'now'); const gone = setTimeout(() => seen.push('gone'), 1); clearTimeout(gone); queueMicrotask(() => seen.push('m')); });",
    );
    assert_eq!(app.text().await, "m,now,t1,p,i,t2");
}

#[tokio::test]
async fn two_calls_at_once_have_two_instances() {
    let app = app(&[(
        "m",
        "let n = 0; exports.call = async () => { n += 1; await new Promise((done) => setTimeout(done, 5)); return String(n); };",
    )]);
    let (first, second) = tokio::join!(app.text(), app.text());
    assert_eq!((first.as_str(), second.as_str()), ("1", "1"));
    assert_eq!(app.engine.stats().instances, 2);
}

#[tokio::test]
async fn s14_structured_clone_copies_what_can_be_copied() {
    let app = module(
        r#"exports.call = () => {
            const inner = { d: new Date(5), r: /a/gi, m: new Map([[{ k: 1 }, new Set([1])]]), u: new Uint16Array([1, 300]), e: new RangeError('x'), n: undefined, b: 2n };
            inner.self = inner;
            const copy = structuredClone([inner, JSON.parse('{"__proto__": {"x": 1}}')]);
            const [c, p] = copy;
            let refused = 0;
            for (const value of [() => 1, Symbol('s'), Promise.resolve(), { deep: [() => 1] }]) {
                try { structuredClone(value); } catch (error) { refused += error.name === 'DataCloneError' ? 1 : 0; }
            }
            return [c !== inner, c.self === c, c.d.getTime(), c.r.flags, [...c.m.keys()][0].k, [...c.m.values()][0].has(1), c.u[1], c.u instanceof Uint16Array,
                c.e instanceof RangeError && c.e.message, 'n' in c, String(c.b), p.x === undefined && Object.hasOwn(p, '__proto__'), refused].join();
        };"#,
    );
    assert_eq!(app.text().await, "true,true,5,gi,1,true,300,true,x,true,2,true,4");
}

#[tokio::test]
async fn a_timer_that_was_set_before_an_operation_is_not_forgotten() {
    let app = module(
        "exports.call = async (db) => { const timer = new Promise((done) => setTimeout(done, 20)); await db.send({ method: 'GET', path: '/echo', ok: [200], responseType: 'text' }); await timer; return 'fine'; };",
    );
    assert_eq!(app.text().await, "fine");
}

#[tokio::test]
async fn an_instance_in_which_a_call_waited_for_nothing_serves_no_further_one() {
    let app = module(
        "let init; exports.call = async () => { if (!init) { init = new Promise((done) => setTimeout(done, 50)); return 'first'; } await init; return 'later'; };",
    );
    assert_eq!(app.text().await, "first");
    assert!(app.failure().await.message.contains("never happens"));
    assert_eq!(app.text().await, "first");
}

#[tokio::test]
async fn s46_an_instance_in_which_a_builtin_could_not_be_loaded_serves_no_further_call() {
    let app = app_with(
        &[(
            "m",
            "let n = 0; exports.call = () => { n += 1; let all = []; try { for (;;) all.push({ n }); } catch { all.pop(); } try { require('stream'); } catch { } all = null; return String(n); };",
        )],
        Limits {
            memory_bytes: 16 << 20,
            ..limits()
        },
    );
    assert_eq!(app.text().await, "1");
    assert_eq!(app.text().await, "1");
}
