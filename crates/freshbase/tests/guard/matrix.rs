//! Every route, asked by every kind of caller: the decision is written down here, route by route.

use std::collections::BTreeSet;

use fb_testkit::{Client, Response, encode, root};
use serde_json::{Value, json};

use crate::{PROFILES, Profile, class, second_app, user};

/// Expected statuses for a stranger, a user, an administrator, and an administrator of another app with that app's token.
type Statuses = [u16; 4];
/// Those, a member of a role that no rule names, an owner of objects that others may not touch, and a token of that role.
const CALLERS: [&str; 7] = ["stranger", "user", "admin", "foreign", "member", "owner", "limited"];

/// What a caller is answered: a role that no rule names and objects of one's own give nobody more than other users have,
/// and a token of a role does not act on the account.
fn expected(row: &Row, profile: Profile, caller: usize) -> u16 {
    let statuses = match profile {
        Profile::Secure => row.secure,
        Profile::Baqend => row.baqend,
    };
    match CALLERS[caller] {
        "limited" if NOT_FOR_ROLES.contains(&row.route) => 466,
        "member" | "owner" | "limited" => statuses[1],
        _ => statuses[caller],
    }
}

const NOT_FOR_ROLES: [&str; 5] = [
    "mfa_init",
    "mfa_confirm",
    "mfa_delete",
    "remove_password",
    "assume_role",
];

/// One request per route. `@` stands for the caller, so that no request changes what another one meets.
struct Row {
    route: &'static str,
    path: &'static str,
    body: Value,
    secure: Statuses,
    baqend: Statuses,
}

fn row(route: &'static str, path: &'static str, body: Value, secure: Statuses, baqend: Statuses) -> Row {
    Row {
        route,
        path,
        body,
        secure,
        baqend,
    }
}

/// The same in both profiles.
fn same(route: &'static str, path: &'static str, body: Value, statuses: Statuses) -> Row {
    row(route, path, body, statuses, statuses)
}

/// Does not look at the caller at all.
fn open(route: &'static str, path: &'static str) -> Row {
    same(route, path, Value::Null, [200; 4])
}

fn open_to(route: &'static str, path: &'static str, body: Value) -> Row {
    same(route, path, body, [200; 4])
}

/// For whoever is logged in; others are told that nobody is.
fn logged_in(route: &'static str, path: &'static str, body: Value, success: u16) -> Row {
    same(route, path, body, [404, success, success, 404])
}

/// For administrators.
fn admin(route: &'static str, path: &'static str, body: Value, success: u16) -> Row {
    same(route, path, body, [466, 466, success, 460])
}

/// Objects of a class without rules of its own: logged-in users, or everybody.
fn data(route: &'static str, path: &'static str, body: Value, success: u16) -> Row {
    let logged_in = [466, success, success, 460];
    let everybody = [success, success, success, 460];
    row(route, path, body, logged_in, everybody)
}

/// Replaced by the schema as it is.
const WHOLE_SCHEMA: &str = "the whole schema";

fn rows() -> Vec<Row> {
    let none = || Value::Null;
    let field = json!({ "fields": { "extra": { "type": "/db/String" } } });
    let index = json!({ "keys": [{ "n": "asc" }] });
    let new_user = json!({ "user": { "username": "new @" }, "password": "a secret" });
    vec![
        open("list_all_resources", "/"),
        open("api_version", "/version"),
        open("specification", "/spec"),
        open("status", "/status"),
        open("ready", "/-/ready"),
        open("live", "/-/live"),
        open("startup", "/-/startup"),
        open("get_bloom_filter", "/bloomfilter"),
        admin("flush_bloom_filter", "/bloomfilter?flush=true", none(), 204),
        admin("get_expirations", "/bloomfilter/expirations", none(), 200),
        admin("get_caching", "/caching", none(), 200),
        open("connect", "/connect"),
        open("connect_via_post", "/connect"),
        open("connect_script", "/connect.js"),
        admin("get_config", "/config", none(), 200),
        admin("update_config", "/config", json!({ "sessionSeconds": 3600 }), 200),
        same("get_all_schemas", "/schema", none(), [200, 200, 200, 460]),
        admin(
            "update_all_schemas",
            "/schema",
            json!([{ "class": "/db/New@", "fields": {} }]),
            200,
        ),
        admin("replace_all_schemas", "/schema", json!(WHOLE_SCHEMA), 200),
        same("get_schema", "/schema/Thing", none(), [200, 200, 200, 460]),
        admin("update_schema", "/schema/Add@", field.clone(), 200),
        admin("replace_schema", "/schema/Replace@", field, 200),
        admin("delete_schema", "/schema/Delete@", none(), 204),
        row(
            "register",
            "/db/User/register",
            new_user,
            [466, 466, 200, 466],
            [200; 4],
        ),
        same(
            "login",
            "/db/User/login",
            json!({ "username": "root", "password": fb_testkit::ROOT_PASSWORD }),
            [200; 4],
        ),
        admin("rotate_token_key", "/config/tokenKeys", json!({}), 204),
        admin(
            "preview_mail",
            "/config/mail/preview",
            json!({ "purpose": "verifyEmail" }),
            200,
        ),
        // Before there are any keys; who asks does not matter.
        same("vapid_public_key", "/config/VAPIDPublicKey", none(), [404; 4]),
        admin("trigger_state", "/triggers", none(), 200),
        admin("list_dead_letters", "/triggers/dead", none(), 200),
        admin("delete_dead_letters", "/triggers/dead", none(), 200),
        admin("replay_dead_letters", "/triggers/dead/replay", none(), 200),
        admin("get_dead_letter", "/triggers/dead/none", none(), 404),
        admin("delete_dead_letter", "/triggers/dead/none", none(), 404),
        admin("replay_dead_letter", "/triggers/dead/none/replay", none(), 404),
        admin("generate_vapid_keys", "/config/VAPIDKeys", none(), 200),
        admin("set_fcm_key", "/config/GCMKey", json!("AAAA:APA91b"), 204),
        // A body that is no form is looked at only for administrators.
        same("set_apns_key", "/config/APNSCert", none(), [466, 466, 400, 460]),
        data(
            "register_device",
            "/db/Device/register",
            json!({ "devicetype": "Android", "subscription": { "token": "token-@" } }),
            200,
        ),
        same(
            "is_device_registered",
            "/db/Device/registered",
            none(),
            [404, 404, 404, 460],
        ),
        admin(
            "push_message",
            "/db/Device/push",
            json!({ "devices": ["/db/Device/none"], "message": "x" }),
            204,
        ),
        // Whoever knows the old password or has a link may, whoever else is logged in.
        same(
            "new_password",
            "/db/User/password",
            json!({ "username": "nobody", "password": "wrong", "newPassword": "a new secret" }),
            [460; 4],
        ),
        same("remove_password", "/db/User/password", none(), [404, 400, 400, 404]),
        open_to("reset_password", "/db/User/reset", json!({ "username": "nobody" })),
        open("reset_page", "/db/User/reset"),
        open("reset_script", "/db/User/reset.js"),
        open("reset_style", "/db/User/reset.css"),
        same(
            "change_username",
            "/db/User/changeUsername",
            json!({ "username": "nobody", "newUsername": "x@example.com", "password": "wrong" }),
            [400; 4],
        ),
        same("verify", "/db/User/verify?token=32.0011", none(), [460; 4]),
        same(
            "verify_username",
            "/db/User/verifyUsername?token=32.0011",
            none(),
            [460; 4],
        ),
        logged_in("mfa_status", "/db/User/mfa/status", none(), 200),
        logged_in("mfa_init", "/db/User/mfa/init", none(), 200),
        same(
            "mfa_confirm",
            "/db/User/mfa/init",
            json!({ "code": "000000" }),
            [404, 400, 400, 404],
        ),
        same(
            "mfa_token",
            "/db/User/mfa/token",
            json!({ "authToken": "0011", "code": "000000" }),
            [460; 4],
        ),
        logged_in("mfa_delete", "/db/User/mfa", none(), 204),
        admin("mfa_delete_of", "/db/User/2/mfa", none(), 204),
        admin("create_user_token", "/db/User/2/token", none(), 200),
        // A user that does not exist: the tokens of the callers are needed further on.
        admin("revoke_user_token", "/db/User/none/token", none(), 404),
        admin("set_inactive", "/db/User/2/inactive", json!(false), 200),
        same("assume_role", "/db/Role/3/assume", none(), [404, 200, 200, 404]),
        same("oauth", "/db/User/OAuth/none?code=x&state=y", none(), [200; 4]),
        same("oauth_start", "/db/User/OAuth1/none", none(), [404; 4]),
        open("oauth_script", "/db/User/oauth.js"),
        same("me", "/db/User/me", none(), [404, 200, 200, 404]),
        same("validate", "/db/User/validate", none(), [404, 200, 200, 404]),
        same("logout", "/db/User/logout", none(), [204; 4]),
        data("adhoc_query", "/db/Thing/query?q=%7B%7D", none(), 200),
        // Without an upgrade; messages bring their own tokens.
        same("live_socket", "/events", none(), [426; 4]),
        open("live_url", "/events-url"),
        // Whoever may is told that this one cannot be kept up to date.
        data(
            "live_events",
            "/events/Thing?sort=%7B%22n%22%3A1%7D&start=500&count=1",
            none(),
            468,
        ),
        data("adhoc_query_post", "/db/Thing/query", json!({}), 200),
        data("adhoc_count", "/db/Thing/count", none(), 200),
        data("adhoc_count_post", "/db/Thing/count", json!({}), 200),
        same("get_bucket_names", "/db", none(), [200, 200, 200, 460]),
        admin("get_bucket_ids", "/db/Thing/ids", none(), 200),
        admin("export_bucket", "/db/Thing", none(), 200),
        admin(
            "import_bucket",
            "/db/Thing",
            json!([{ "id": "/db/Thing/import-@", "n": 1 }]),
            200,
        ),
        admin("truncate_bucket", "/db/Truncate@", none(), 200),
        data(
            "create_object",
            "/db/Thing",
            json!({ "id": "/db/Thing/new-@", "n": 1 }),
            201,
        ),
        data("get_object", "/db/Thing/load-@", none(), 200),
        data("replace_object", "/db/Thing/save-@", json!({ "n": 9 }), 200),
        data("delete_object", "/db/Thing/delete-@", none(), 204),
        data(
            "update_partially",
            "/db/Thing/update-@",
            json!({ "$inc": { "n": 1 } }),
            200,
        ),
        admin("list_buckets", "/file/buckets", none(), 200),
        admin("get_bucket", "/file/data", none(), 200),
        admin("put_bucket", "/file/new@", json!({}), 204),
        admin("delete_bucket", "/file/drop@", none(), 204),
        data("create_file", "/file/data", json!({ "content": 1 }), 200),
        data("list_files", "/file/data/ids", none(), 200),
        data("download_file", "/file/data/load-@", none(), 200),
        data("upload_file", "/file/data/save-@", json!({ "content": 2 }), 200),
        data(
            "update_file",
            "/file/data/update-@",
            json!({ "headers": { "x-note": "hi" } }),
            200,
        ),
        data("delete_files", "/file/data/delete-@", none(), 204),
        admin("list_code", "/code", none(), 200),
        admin("list_code_content", "/code-content", none(), 200),
        admin("get_code", "/code/hello/module", none(), 200),
        // The text is that of a string.
        admin("set_code", "/code/new@/module", json!("use strict"), 200),
        admin("delete_code", "/code/drop@/module", none(), 204),
        // Everybody calls modules, which do what their callers may.
        same("call_module_get", "/code/hello", none(), [200, 200, 200, 460]),
        same(
            "call_module_post",
            "/code/hello",
            json!({ "n": 1 }),
            [200, 200, 200, 460],
        ),
        admin("list_indexes", "/index/Thing", none(), 200),
        // The rules of `www` as nobody has set them: everybody loads, administrators do the rest. A body that is no archive is
        // looked at only for whoever may upload.
        same(
            "download_archive",
            "/file?archive=www.zip",
            none(),
            [466, 466, 200, 460],
        ),
        same("upload_archive", "/file?archive=www.zip", none(), [466, 466, 400, 460]),
        admin("create_drop_index", "/index/Thing", index, 202),
        admin("drop_all_indexes", "/index/Truncate@", none(), 202),
        // What is no mail is looked at only for whoever may send some.
        same("send_mail", "/mail", json!({}), [466, 466, 400, 460]),
        same("am_i_banned", "/banned", none(), [204; 4]),
        admin("is_banned", "/banned/192.0.2.1", none(), 204),
        admin("unban", "/banned/192.0.2.1", none(), 204),
        admin("unban_all", "/banned", none(), 204),
    ]
}

#[test]
fn every_route_decides_as_its_row_says_for_every_caller() {
    let rows = rows();
    let routes = fb_server::route_table();
    let known: BTreeSet<&str> = routes.iter().map(|route| route.name).collect();
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.route).collect();
    assert_eq!(listed.len(), rows.len(), "a route has two rows");
    assert_eq!(known.len(), routes.len(), "two routes have one name");
    let missing: Vec<_> = known.difference(&listed).collect();
    assert!(
        missing.is_empty(),
        "new routes {missing:?}: say in `rows` who may use each of them, with a request that tries it"
    );
    let gone: Vec<_> = listed.difference(&known).collect();
    assert!(gone.is_empty(), "rows for routes that do not exist: {gone:?}");
    for profile in PROFILES {
        run(profile, &routes, &rows);
    }
}

fn run(profile: Profile, routes: &[fb_server::Route], rows: &[Row]) {
    let server = profile.start();
    let stranger = server.client();
    let admin = root(&server);
    let foreign = second_app(&server, "other", profile);
    let foreign = stranger.clone().with_token(foreign.token().unwrap());
    let plain = user(&admin, &stranger, "plain").0;
    prepare(&admin);
    let schema = admin.get("/schema").json();
    let (member, id) = user(&admin, &stranger, "member");
    let team = json!({ "name": "team", "users": [id] });
    let team = admin.post("/db/Role", &team).expect(201).json()["id"].clone();
    let path = format!("{}/assume", team.as_str().unwrap());
    let limited = member.post(&path, &Value::Null).expect(200).json()["token"].clone();
    let limited = stranger.clone().with_token(limited.as_str().unwrap());
    let (owner, id) = user(&admin, &stranger, "owner");
    let own = json!({ "read": { &id: "allow" }, "write": { &id: "allow" } });
    for name in ["load", "save", "delete", "update"] {
        let path = format!("/db/Thing/{name}-owner");
        admin.put(&path, &json!({ "n": 1, "acl": own })).expect(200);
        for other in [&stranger, &plain, &member, &limited] {
            let status = other.get(&path).status;
            assert!(matches!(status, 404 | 466), "{path}: {status}");
            other
                .put(&path, &json!({ "n": 2 }))
                .expect_error(466, "PermissionDenied");
            other.delete(&path).expect_error(466, "PermissionDenied");
        }
        let path = format!("/file/data/{name}-owner");
        let rules = [("baqend-acl", own.to_string())];
        let rules = rules.each_ref().map(|(name, value)| (*name, value.as_str()));
        admin.request("PUT", &path, &rules, b"1").expect(200);
        for other in [&stranger, &plain, &member, &limited] {
            let status = other.get(&path).status;
            assert!(matches!(status, 404 | 466), "{path}: {status}");
            other
                .put(&path, &json!({ "n": 2 }))
                .expect_error(466, "PermissionDenied");
            other.delete(&path).expect_error(466, "PermissionDenied");
        }
    }
    let callers: [&Client; 7] = [&stranger, &plain, &admin, &foreign, &member, &owner, &limited];

    let mut wrong = Vec::new();
    for row in rows {
        let route = routes.iter().find(|route| route.name == row.route).unwrap();
        let expected: Vec<u16> = (0..callers.len()).map(|i| expected(row, profile, i)).collect();
        // Administrators last: what they do must not be why others are refused.
        for i in [0, 1, 3, 4, 5, 6, 2] {
            let path = row.path.replace('@', CALLERS[i]);
            let body = match &row.body {
                Value::Null => String::new(),
                Value::String(text) if text == WHOLE_SCHEMA => schema.to_string(),
                body => body.to_string().replace('@', CALLERS[i]),
            };
            // Looking at everything takes long, and the others are users as well.
            let before = if expected[i] >= 400 && i < 4 {
                Some(everything(&admin))
            } else {
                None
            };
            let answer = callers[i].request(route.method.as_str(), &path, &[], body.as_bytes());
            if answer.status != expected[i] {
                let text = String::from_utf8_lossy(&answer.body)
                    .chars()
                    .take(200)
                    .collect::<String>();
                wrong.push(format!(
                    "{profile:?} {} as {}: {} instead of {} {text}",
                    row.route, CALLERS[i], answer.status, expected[i]
                ));
            }
            if answer.status >= 400 {
                check_refusal(&answer, row.route);
            }
            if let Some(before) = before {
                assert_eq!(
                    everything(&admin),
                    before,
                    "{} refused {} but did it",
                    row.route,
                    CALLERS[i]
                );
            }
            if i == 3 {
                assert_nobody(&answer, row.route);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The classes and objects the rows speak of.
fn prepare(admin: &Client) {
    let n = json!({ "n": { "type": "/db/Integer" } });
    class(admin, "Thing", &n, &json!({}));
    // In the secure profile that is: for logged-in users.
    admin.put("/file/data", &json!({})).expect(204);
    let module = b"exports.call = () => ({ hello: 1 })";
    admin.request("PUT", "/code/hello/module", &[], module).expect(200);
    for caller in CALLERS {
        let path = format!("/code/drop{caller}/module");
        admin.request("PUT", &path, &[], module).expect(200);
        admin.put(&format!("/file/drop{caller}"), &json!({})).expect(204);
        for name in ["load", "save", "delete", "update"] {
            admin.put(&format!("/file/data/{name}-{caller}"), &json!(1)).expect(200);
        }
        for name in ["Add", "Replace", "Delete", "Truncate"] {
            class(admin, &format!("{name}{caller}"), &n, &json!({}));
        }
        let bucket = format!("Truncate{caller}");
        admin.post(&format!("/db/{bucket}"), &json!({ "n": 1 })).expect(201);
        for name in ["load", "save", "delete", "update"] {
            let id = format!("/db/Thing/{name}-{caller}");
            admin.post("/db/Thing", &json!({ "id": id, "n": 1 })).expect(201);
        }
    }
}

/// What refused requests could have changed.
fn everything(admin: &Client) -> Vec<Value> {
    let mut all = vec![
        admin.get("/schema").expect(200).json(),
        admin.get("/db/Thing").expect(200).json(),
        admin.get("/config").expect(200).json(),
        admin.get("/index/Thing").expect(200).json(),
        admin.get("/db/User/count").expect(200).json(),
        admin.get("/file/buckets").expect(200).json(),
        admin.get("/file/data").expect(200).json(),
        admin.get("/file/data/ids").expect(200).json(),
        admin.get("/code-content").expect(200).json(),
    ];
    for name in ["save", "update"] {
        for caller in CALLERS {
            let file = admin.request("HEAD", &format!("/file/data/{name}-{caller}"), &[], b"");
            let file = file.expect(200);
            all.push(json!([file.header("etag"), file.header("baqend-custom-headers")]));
        }
    }
    for caller in CALLERS {
        all.push(admin.get(&format!("/db/Truncate{caller}/count")).expect(200).json());
    }
    all
}

fn check_refusal(answer: &Response, route: &str) {
    let body = answer.json();
    for member in ["className", "message", "requestId"] {
        assert!(body[member].is_string(), "{route}: {body}");
    }
}

/// A token of another app never makes anybody somebody.
fn assert_nobody(answer: &Response, route: &str) {
    let issues_tokens = matches!(route, "login" | "register");
    if !issues_tokens {
        assert_eq!(answer.header("baqend-authorization-token"), None, "{route}");
    }
    if route.starts_with("connect") && route != "connect_script" {
        let body = answer.json();
        assert!(body["token"].is_null() && body["user"].is_null(), "{route}: {body}");
    }
}

/// The answer of `/connect` to whoever sends a token in one of the other places.
#[test]
fn tokens_of_other_apps_and_broken_ones_are_nobody_wherever_they_are_sent() {
    for profile in PROFILES {
        let server = profile.start();
        let own = root(&server);
        let foreign = second_app(&server, "other", profile);
        let own = own.token().unwrap();
        let mut broken = own.to_owned();
        let flipped = if broken.ends_with('0') { '1' } else { '0' };
        broken.pop();
        broken.push(flipped);
        // A token that names another user, with the old signature.
        let renamed = {
            let mut renamed = own.to_owned();
            let at = own.len() - 41;
            let digit = if own.as_bytes()[at] == b'0' { "1" } else { "0" };
            renamed.replace_range(at..=at, digit);
            renamed
        };
        let later = format!("{}ffffffff{}", &own[..8], &own[16..]);
        let stranger = server.client();
        for token in [
            foreign.token().unwrap(),
            &broken,
            &renamed,
            &later,
            &own[1..],
            &own[..own.len() - 40],
            &own.to_uppercase(),
            "",
            "0",
            "null",
            "%00",
            &"0".repeat(5000),
        ] {
            let client = stranger.clone().with_token(token);
            client.get("/db/User/me").expect(404);
            client.get("/db/User/validate").expect(404);
            client.get("/config").expect_error(460, "BadCredentials");
            client.post("/db/User", &json!({})).expect(460);
            for scheme in ["Basic", "bat", "Digest", ""] {
                let header = format!("{scheme} {token}");
                let answer = stranger.request("GET", "/config", &[("authorization", &header)], b"");
                answer.expect_error(460, "BadCredentials");
            }
            let url = format!("/config?BAT={}", encode(token));
            let status = stranger.get(&url).status;
            assert!(matches!(status, 460 | 466), "{status} for {token}");
            let form = format!("BAT={}", encode(token));
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            let answer = stranger.request("POST", "/connect", &headers, form.as_bytes());
            let body = answer.expect(200).json();
            assert!(body["token"].is_null() && body["user"].is_null(), "{body}");
        }
        // The token itself is good for all of this.
        stranger.clone().with_token(own).get("/config").expect(200);
        let form = format!("BAT={own}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = stranger
            .request("POST", "/connect", &headers, form.as_bytes())
            .expect(200);
        assert_eq!(answer.json()["user"]["username"], "root");
    }
}
