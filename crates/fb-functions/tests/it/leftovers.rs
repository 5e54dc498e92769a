//! What a call does to what it shares with the next one: builtins and `db`. More attempts are `tests/escapes/left_*.js`.

use std::sync::Arc;

use fb_functions::{Host, HostError, HttpResponse, LogLine, Operation};
use futures_util::future::BoxFuture;

use crate::kit::{code, engine, get, limits, module};

/// An app with classes.
struct Classes;

impl Host for Classes {
    fn operate(&self, _: Operation) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        Box::pin(async { Err(HostError("nobody is there".to_owned())) })
    }
    fn log(&self, _: LogLine) {}
    fn schema(&self) -> (u64, Arc<str>) {
        let field = r#"{"name": {"name": "name", "type": "/db/String", "order": 0}}"#;
        let class = |name: &str| {
            format!(
                r#"{{"class": "/db/{name}", "superClass": "/db/Object", "acl": {{}}, "metadata": {{"a": "b"}}, "fields": {field}}}"#
            )
        };
        (1, format!("[{},{}]", class("Todo"), class("User")).into())
    }
}

/// Runs `source` again and again on one instance.
async fn answers(source: &str, times: usize) -> Vec<String> {
    let (engine, source) = (engine(), code(&[("m", source)]));
    let pool = engine.pool("test", limits());
    let mut answers = Vec::new();
    for _ in 0..times {
        let outcome = pool.call(&source, get(""), Arc::new(Classes)).await.unwrap();
        answers.push(String::from_utf8(outcome.body.to_vec()).unwrap());
    }
    assert_eq!(engine.stats().instances, 1);
    answers
}

#[tokio::test]
async fn s46_what_a_call_does_to_classes_of_db_is_gone_after_it() {
    for (leave, look) in [
        ("db.Todo.addMethod('left', () => 1)", "new db.Todo().left"),
        ("db.Todo.addMethods({ left: () => 1 })", "new db.Todo().left"),
        ("db.Todo.methods.left = () => 1", "new db.Todo().left"),
        ("db.Todo.prototype.left = 1", "new db.Todo().left"),
        ("new db.Todo().constructor.left = 1", "new db.Todo().constructor.left"),
        (
            "db.Todo = class extends db.binding.Entity { get left() { return 1; } }",
            "new db.Todo().left",
        ),
        ("db.User.prototype.left = 1", "new db.User().left"),
        (
            "db.metamodel.entity('Todo').metadata.left = 1",
            "db.metamodel.entity('Todo').metadata.left",
        ),
        (
            "db.metamodel.entity('Todo').loadPermission.allowAccess({ id: '/db/User/1' })",
            "db.metamodel.entity('Todo').loadPermission.toJSON()['/db/User/1']",
        ),
        (
            "db.metamodel.entity('Todo').addAttribute(new db.metamodel.SingularAttribute('left', db.metamodel.baseType('String')))",
            "db.metamodel.entity('Todo').getAttribute('left') ?? undefined",
        ),
        ("Object.getPrototypeOf(db).left = 1", "db.left"),
        ("db.EntityManager.prototype.left = 1", "db.left"),
        ("db.binding.Entity.prototype.left = 1", "new db.Todo().left"),
        ("db.binding.Entity.left = 1", "db.binding.Entity.left"),
        ("Object.getPrototypeOf(db.Todo).left = 1", "db.Todo.left"),
        ("db.Acl.prototype.left = 1", "new db.Acl().left"),
        ("db.util.left = 1", "db.util.left"),
        ("db.GeoPoint.left = 1", "db.GeoPoint.left"),
        ("db.error.left = 1", "db.error.left"),
        ("Object.getPrototypeOf(db.Todo.find()).left = 1", "db.Todo.find().left"),
        (
            "Object.getPrototypeOf(db.metamodel.baseType('String')).left = 1",
            "db.metamodel.baseType('String').left",
        ),
        (
            "db.metamodel.baseType('String').left = 1",
            "db.metamodel.baseType('String').left",
        ),
        ("db.left = 1", "db.left"),
        ("db.Todo.left = 1", "db.Todo.left"),
        ("db.metamodel.left = 1", "db.metamodel.left"),
    ] {
        let source = format!(
            "exports.call = (db) => {{ const seen = typeof ({look}); try {{ {leave}; }} catch (error) {{ if (!(error instanceof TypeError)) throw error; }} return seen; }};"
        );
        assert_eq!(answers(&source, 3).await, ["undefined"; 3], "{leave}");
    }
}

#[tokio::test]
async fn what_code_does_to_classes_of_db_works_while_the_call_runs() {
    let source = "exports.call = (db) => { const n = db.Todo.n = (db.Todo.n ?? 0) + 1; db.Todo.addMethod('hello', function () { return this.name + n; }); return new db.Todo({ name: 'a' }).hello(); };";
    assert_eq!(answers(source, 2).await, ["a1"; 2]);
}

#[tokio::test]
async fn objects_may_have_what_their_prototypes_have() {
    let app = module(
        "'use strict';
        const EventEmitter = require('events');
        const { Readable, Transform } = require('stream');
        const util = require('util');
        function Old() { EventEmitter.call(this); }
        util.inherits(Old, EventEmitter);
        Old.prototype.emit = function (...all) { return 'old ' + EventEmitter.prototype.emit.apply(this, all); };
        exports.call = (db, data, req) => {
            const emitter = new EventEmitter();
            emitter.emit = () => 'mine';
            const readable = new Readable();
            readable._read = () => {};
            readable.read = () => 'r';
            const transform = new Transform();
            transform._transform = () => 't';
            req.get = (name) => name;
            const bytes = Buffer.from('a');
            bytes.toString = () => 'b';
            const url = new URL('http://a/');
            url.toString = () => 'u';
            return [emitter.emit(), new Old().emit('x'), readable.read(), transform._transform(), req.get('g'), `${bytes}`, `${url}`, Object.keys(emitter).includes('emit')].join();
        };",
    );
    for _ in 0..2 {
        assert_eq!(app.text().await, "mine,old false,r,t,g,b,u,true");
    }
}

#[tokio::test]
async fn what_modules_set_in_builtins_while_they_load_stays() {
    let app = module(
        "require('events').defaultMaxListeners = 20; require('util').inspect.defaultOptions.depth = 0;
        exports.call = () => { const seen = [new (require('events'))().getMaxListeners(), require('util').inspect({ a: {} , b: { c: 1 } })].join(); require('events').defaultMaxListeners = 5; require('util').inspect.defaultOptions.depth = 5; return seen; };",
    );
    for _ in 0..2 {
        assert_eq!(app.text().await, "20,{ a: {}, b: [Object] }");
    }
}
