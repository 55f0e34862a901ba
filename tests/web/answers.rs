//! What well-behaved clients get.

use std::sync::atomic::Ordering;

use super::harness::{Server, cgroup, snapshot, usual_cgroups};
use stockade::web::Route;

const OPEN_METRICS: &str =
    "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";

#[test]
fn both_formats_come_under_their_exact_types() {
    let server = Server::start();
    let text = server.get("/metrics");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(text.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(text.header("content-encoding"), None);
    assert!(text.text().contains("fake_cpu 1\n") && !text.text().contains("# EOF"), "{}", text.text());
    let open = server.request("GET", "/metrics", OPEN_METRICS);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text().ends_with("# EOF\n"), "{}", open.text());
}

#[test]
fn gzip_holds_the_same_text_and_is_made_once_per_snapshot_and_format() {
    let server = Server::start();
    // More than one piece of 64 KiB, so that the unpacking is seen to go on.
    server.source.lines.store(10_000, Ordering::SeqCst);
    let plain = server.get("/metrics");
    let packed = server.request("GET", "/metrics", "Accept-Encoding: gzip\r\n");
    assert!(plain.body.len() > 200_000);
    assert!(packed.gunzip() == plain.body, "gzip and identity are the same text");
    for _ in 0..3 {
        server.request("GET", "/metrics", "Accept-Encoding: gzip\r\n");
    }
    assert_eq!(server.source.renderings.load(Ordering::SeqCst), 1);
    server.request("GET", "/metrics", OPEN_METRICS);
    server.get("/metrics");
    assert_eq!(server.source.renderings.load(Ordering::SeqCst), 2, "one for each format");
    server.publish(Some(snapshot(2, usual_cgroups())));
    assert!(server.get("/metrics").text().contains("fake_cpu 2\n"), "a new snapshot is rendered anew");
    assert_eq!(server.source.renderings.load(Ordering::SeqCst), 3);
    server.source.generation.store(1, Ordering::SeqCst);
    server.get("/metrics");
    server.get("/metrics");
    assert_eq!(
        server.source.renderings.load(Ordering::SeqCst),
        4,
        "what is said beside it has changed, once"
    );
}

#[test]
fn scrapes_that_meet_share_one_rendering() {
    let server = Server::start();
    server.source.gate.shut();
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    server.await_rendering();
    server.source.gate.open();
    let bodies: Vec<_> = clients.iter_mut().map(|client| client.reply("GET").body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0] && !body.is_empty()));
    assert_eq!(server.source.renderings.load(Ordering::SeqCst), 1);
}

#[test]
fn filters_choose_collectors_and_are_not_kept() {
    let server = Server::start();
    let one = server.get("/metrics?collect[]=cpu");
    assert!(one.text().contains("fake_cpu 1") && !one.text().contains("fake_memory 1"), "{}", one.text());
    let rest = server.request("GET", "/metrics?exclude%5B%5D=cpu", "Accept-Encoding: gzip\r\n");
    let rest = String::from_utf8(rest.gunzip()).unwrap();
    assert!(!rest.contains("fake_cpu 1") && rest.contains("fake_memory 1"), "{rest}");
    assert!(server.get("/metrics").text().contains("fake_cpu 1"));
    for (target, expected) in [
        ("/metrics?collect[]=cpu&exclude[]=io", "both"),
        ("/metrics?collect[]=cup", "unknown collector \"cup\": expected one of core, memory, memory_stat"),
    ] {
        let refused = server.get(target);
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(expected), "{}", refused.text());
    }
}

#[test]
fn only_whole_unfiltered_scrapes_carry() {
    let mut server = Server::start();
    server.get("/metrics?collect[]=cpu");
    server.request("HEAD", "/metrics", "");
    server.get("/api/v1/cgroups");
    server.publish(Some(snapshot(2, usual_cgroups())));
    server.get("/metrics");
    assert_eq!(server.await_carried(), 2, "the filtered one and the HEAD carried nothing");
    server.request("GET", "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(server.await_carried(), 2);
    assert_eq!(server.stop(), [0; 0]);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start();
    for target in [
        "/",
        "/style.css",
        "/metrics",
        "/-/healthy",
        "/-/ready",
        "/api/v1/status",
        "/api/v1/cgroups",
        "/nothing",
    ] {
        let get = server.get(target);
        let mut client = server.connect();
        client.send(&format!("HEAD {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        let head = client.reply("HEAD");
        assert_eq!(head.status, get.status, "{target}");
        for name in ["content-type", "content-length", "vary", "x-content-type-options"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {target}");
        }
        assert!(client.ends(), "{target}: no byte after the head");
    }
}

#[test]
fn connections_are_kept_and_requests_may_come_in_a_row() {
    let server = Server::start();
    let mut client = server.connect();
    let one = "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n";
    client.send(&format!("{one}GET /-/ready HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_eq!(client.reply("GET").text(), "Stockade is healthy.\n");
    assert_eq!(client.reply("GET").text(), "Stockade is ready.\n");
    client.send(one);
    assert_eq!(client.reply("GET").status, 200);
}

#[test]
fn methods_and_paths() {
    let server = Server::with(|settings| settings.telemetry_path = "/custom/path".to_owned());
    for (method, target, status, allow) in [
        ("GET", "/custom/path", 200, None),
        ("GET", "/metrics", 404, None),
        ("POST", "/custom/path", 405, Some("GET, HEAD")),
        ("DELETE", "/api/v1/cgroup?path=/a", 405, Some("GET, HEAD")),
        ("PUT", "/", 405, Some("GET, HEAD")),
        ("OPTIONS", "/", 405, Some("GET, HEAD")),
        ("TRACE", "/-/healthy", 405, Some("GET, HEAD")),
        ("GET", "/-/reload", 405, Some("PUT, POST")),
        ("HEAD", "/-/reload", 405, Some("PUT, POST")),
        ("POST", "/-/reload", 403, None),
        ("POST", "/nothing", 404, None),
        ("GET", "/api/v1/cgroups/", 404, None),
        ("GET", "http://test/-/healthy", 200, None),
    ] {
        let reply = server.request(method, target, "");
        assert_eq!((reply.status, reply.header("allow")), (status, allow), "{method} {target}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{method} {target}");
    }
    let landing = server.get("/");
    assert!(landing.text().contains("href=\"custom/path\""), "{}", landing.text());
}

#[test]
fn ready_with_the_first_snapshot_and_healthy_before() {
    let server = Server::start();
    server.publish(None);
    for (target, status) in [
        ("/-/healthy", 200),
        ("/", 200),
        ("/api/v1/status", 200),
        ("/-/ready", 503),
        ("/metrics", 503),
        ("/api/v1/cgroups", 503),
        ("/api/v1/cgroup?path=/a", 503),
    ] {
        assert_eq!(server.get(target).status, status, "{target}");
    }
    server.publish(Some(snapshot(1, usual_cgroups())));
    assert_eq!(server.get("/-/ready").status, 200);
}

#[test]
fn reload_says_what_is_wrong() {
    let server = Server::with(|settings| settings.enable_lifecycle = true);
    assert_eq!(server.request("POST", "/-/reload", "Content-Length: 0\r\n").status, 200);
    *server.source.reload.lock().unwrap() = Err("stockade.yaml:3:5: unknown key".to_owned());
    let refused = server.request("PUT", "/-/reload", "");
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("stockade.yaml:3:5: unknown key"), "{}", refused.text());
}

#[test]
fn every_answer_is_observed() {
    let server = Server::start();
    server.get("/metrics");
    server.get("/x");
    server.request("POST", "/", "");
    let seen: Vec<_> =
        server.source.seen.lock().unwrap().iter().map(|seen| (seen.route, seen.code)).collect();
    assert_eq!(seen, [(Route::Metrics, 200), (Route::Unknown, 404), (Route::Landing, 405)]);
}

#[test]
fn the_landing_page_is_inert_whatever_cgroups_are_called() {
    let server = Server::start();
    let hostile = b"/\"'><script>alert(1)</script>\xff\n&";
    let mut cgroups = usual_cgroups();
    cgroups.push(cgroup(hostile, 1 << 40));
    cgroups.extend((0..20).map(|n| cgroup(format!("/many-{n:02}").as_bytes(), 5000 + n)));
    let mut hidden = cgroup(b"/hidden", 1 << 50);
    hidden.hidden = true;
    cgroups.push(hidden);
    server.publish(Some(snapshot(9, cgroups)));
    let page = server.get("/");
    let csp = page.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'") && !csp.contains("unsafe"), "{csp}");
    let text = page.text();
    assert!(!text.contains("<script") && !text.contains("'>"), "{text}");
    assert!(
        text.contains(
            "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\u{fffd}ff\u{fffd}0a&amp;</bdi></a>"
        ),
        "{text}"
    );
    assert!(text.contains("1.0TiB") && text.contains("hybrid") && text.contains("fanotify"), "{text}");
    assert!(text.contains("<dt>Cgroups</dt><dd>24</dd>") && !text.contains("hidden"), "{text}");
    assert!(text.contains("/many-19<") && !text.contains("/many-10<"), "the ten largest: {text}");
    let link = text.split('"').find(|part| part.starts_with("cgroup?path=") && part.contains("script"));
    let page = server.get(&format!("/{}", link.unwrap()));
    assert_eq!(page.status, 200, "{link:?}");
    let link = page.text().split('"').find(|part| part.starts_with("api/v1/cgroup?path="));
    let followed = server.get(&format!("/{}", link.unwrap()));
    assert_eq!(followed.json()["values"]["memory.current"], 1u64 << 40);
}
