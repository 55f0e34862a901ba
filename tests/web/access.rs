//! Who is let in: users and passwords, the bound on requests, the headers that every answer has.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stockade::config;
use stockade::web::{AccessEvent, AuthFailure, Guard, Protection};

use super::harness::Server;

/// What this text of a web configuration says.
pub(crate) fn protection(text: &str) -> Protection {
    let file = std::path::Path::new("web.yml");
    let loaded = config::web::parse(file, text, &|_| Err("no file is named here".to_owned()));
    loaded.config.unwrap_or_else(|problems| panic!("{problems}")).protection
}

/// A server that goes by a text.
fn guarded(text: &str) -> (Server, Arc<Guard>) {
    let guard = Arc::new(Guard::new(protection(text)).expect("random bytes"));
    let kept = Arc::clone(&guard);
    (Server::with(|settings| settings.guard = Some(guard)), kept)
}

/// The line of a user whose password has this cost.
fn user(name: &str, password: &str, cost: u32) -> String {
    format!("  {name}: {}\n", bcrypt::hash(password, cost).expect("a hash"))
}

fn authorization(name: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{password}")))
}

/// The costs of the hashes that were computed since the last call.
fn hashed(server: &Server) -> Vec<u32> {
    let events = std::mem::take(&mut *server.source.events.lock().expect("no test panics with it"));
    let cost = |event| match event {
        AccessEvent::PasswordHashed { cost } => Some(cost),
        _ => None,
    };
    events.into_iter().filter_map(cost).collect()
}

#[test]
fn no_route_answers_without_a_user_and_the_right_password() {
    let users = format!("basic_auth_users:\n{}", user("alice", "a:b", 4));
    let (server, _) = guarded(&users);
    let right = authorization("alice", "a:b");
    let routes =
        ["/", "/style.css", "/metrics", "/-/healthy", "/-/ready", "/api/v1/status", "/api/v1/cgroups"];
    for target in routes {
        assert_eq!(server.request("GET", target, &right).status, 200, "{target}");
        let refused = server.get(target);
        assert_eq!(refused.status, 401, "{target}");
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Stockade\", charset=\"UTF-8\""));
        assert!(
            !refused.text().contains("stockade_") && !refused.text().contains("fake_"),
            "{}",
            refused.text()
        );
    }
    for (method, target) in [("POST", "/-/reload"), ("GET", "/nothing"), ("DELETE", "/metrics")] {
        assert_eq!(server.request(method, target, "").status, 401, "what there is, is nobody's business");
    }
    server.source.events.lock().unwrap().clear();
    for (headers, failure) in [
        (String::new(), AuthFailure::Missing),
        ("Authorization: Bearer abc\r\n".to_owned(), AuthFailure::Malformed),
        ("Authorization: Basic %%%\r\n".to_owned(), AuthFailure::Malformed),
        (format!("{right}{right}"), AuthFailure::Malformed),
        (authorization("alice", "a:c"), AuthFailure::Wrong),
        (authorization("alice", ""), AuthFailure::Wrong),
        (authorization("Alice", "a:b"), AuthFailure::Wrong),
        (authorization("", ""), AuthFailure::Wrong),
        (authorization("mallory", "a:b"), AuthFailure::Wrong),
    ] {
        assert_eq!(server.request("GET", "/metrics", &headers).status, 401, "{headers}");
        let last = server.source.events.lock().unwrap().last().copied();
        assert_eq!(last, Some(AccessEvent::AuthFailed(failure)), "{headers}");
    }
}

#[test]
fn a_user_that_does_not_exist_costs_a_hash_as_one_that_does() {
    let users = ["alice", "bob"].map(|name| user(name, name, 5)).concat();
    let (server, _) = guarded(&format!("basic_auth_users:\n{users}"));
    let ask = |name: &str, password: &str| {
        let status = server.request("GET", "/-/healthy", &authorization(name, password)).status;
        (status, hashed(&server))
    };
    assert_eq!(ask("alice", "wrong"), (401, vec![5]));
    assert_eq!(ask("mallory", "wrong"), (401, vec![5]), "the same cost, although there is no such user");
    assert_eq!(ask("mallory", "alice"), (401, vec![5]), "another user's password opens nothing");
    assert_eq!(ask("mallory", "bob"), (401, vec![5]), "another user's password opens nothing");
    assert_eq!(ask("alice", "alice"), (200, vec![5]));
    // Each of them was checked before, and costs nothing now.
    for (name, password, status) in
        [("alice", "wrong", 401), ("mallory", "wrong", 401), ("mallory", "bob", 401), ("alice", "alice", 200)]
    {
        assert_eq!(ask(name, password), (status, vec![]), "{name} {password}");
    }
}

#[test]
fn users_of_several_costs_are_not_told_from_those_that_do_not_exist() {
    let users = [4, 5, 6].map(|cost| user(&format!("user{cost}"), "secret", cost)).concat();
    let (server, _) = guarded(&format!("basic_auth_users:\n{users}"));
    let mut costs = std::collections::BTreeSet::new();
    for number in 0..64 {
        let name = format!("nobody{number}");
        let cost = |password: &str| {
            assert_eq!(server.request("GET", "/-/healthy", &authorization(&name, password)).status, 401);
            hashed(&server)[0]
        };
        let first = cost("one");
        assert_eq!(cost("two"), first, "one name has one cost, as a user has");
        costs.insert(first);
    }
    assert!(costs.into_iter().eq([4, 5, 6]), "as the users' costs are spread");
}

#[test]
fn a_flood_of_guesses_holds_up_nobody_whose_password_is_known() {
    let users = format!("basic_auth_users:\n{}", user("alice", "secret", 8));
    let (server, _) = guarded(&users);
    let right = authorization("alice", "secret");
    assert_eq!(server.request("GET", "/metrics", &right).status, 200);
    assert_eq!(hashed(&server), [8]);
    const GUESSES: usize = 200;
    let mut guessing: Vec<_> = (0..GUESSES).map(|_| server.connect()).collect();
    for (number, client) in guessing.iter_mut().enumerate() {
        let guess = authorization("alice", &number.to_string());
        client.send(&format!("GET /metrics HTTP/1.1\r\nHost: test\r\n{guess}\r\n"));
    }
    for _ in 0..10 {
        assert_eq!(server.request("GET", "/metrics", &right).status, 200);
    }
    assert!(
        hashed(&server).len() < GUESSES,
        "the scrapes were answered while guesses still waited for their turn"
    );
}

#[test]
fn another_password_counts_at_once_on_a_kept_connection() {
    let (server, guard) = guarded(&format!("basic_auth_users:\n{}", user("alice", "old", 4)));
    let mut client = server.connect();
    let mut ask = |password: &str| {
        let authorization = authorization("alice", password);
        client.send(&format!("GET /-/healthy HTTP/1.1\r\nHost: test\r\n{authorization}\r\n"));
        client.reply("GET").status
    };
    assert_eq!(ask("old"), 200);
    assert_eq!(ask("new"), 401);
    guard.replace(protection(&format!("basic_auth_users:\n{}", user("alice", "new", 4))));
    assert_eq!(ask("old"), 401);
    assert_eq!(ask("new"), 200);
    guard.replace(protection(&format!("basic_auth_users:\n{}", user("bob", "new", 4))));
    assert_eq!(ask("new"), 401, "alice is gone");
}

#[test]
fn requests_beyond_the_rate_are_refused() {
    let (server, guard) = guarded("rate_limit: {interval: 1h, burst: 3}");
    for _ in 0..3 {
        assert_eq!(server.get("/-/healthy").status, 200);
    }
    for target in ["/-/healthy", "/metrics"] {
        let refused = server.get(target);
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        assert!(refused.text().contains("rate_limit"), "{}", refused.text());
    }
    // It stands before the passwords: guessing is bounded, too.
    guard.replace(protection(&format!(
        "rate_limit: {{interval: 1h, burst: 1}}\nbasic_auth_users:\n{}",
        user("alice", "secret", 4)
    )));
    assert_eq!(server.request("GET", "/", &authorization("alice", "guess")).status, 429);
    assert_eq!(hashed(&server), [0; 0]);
    guard.replace(Protection::default());
    assert_eq!(server.get("/metrics").status, 200);
}

#[test]
fn the_headers_are_on_every_answer() {
    let (server, _) = guarded(&format!(
        "http_server_config:\n  headers:\n    Content-Security-Policy: default-src 'self'\n    X-Frame-Options: sameorigin\n    \
         X-XSS-Protection: ''\n    Strict-Transport-Security: max-age=60\nbasic_auth_users:\n{}",
        user("alice", "secret", 4)
    ));
    let right = authorization("alice", "secret");
    for (target, headers) in [("/", &*right), ("/metrics", &*right), ("/nothing", &*right), ("/metrics", "")]
    {
        let reply = server.request("GET", target, headers);
        assert_eq!(reply.header("content-security-policy"), Some("default-src 'self'"), "{target}");
        assert_eq!(reply.header("x-frame-options"), Some("sameorigin"), "{target}");
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=60"), "{target}");
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{target}: what is not written stays"
        );
        assert_eq!(reply.header("x-xss-protection"), None, "{target}");
    }
}
