//! What clients that behave badly, or are too many, get.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::harness::{Server, snapshot, usual_cgroups};

const SHORT: Duration = Duration::from_millis(50);
const GET: &str = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn slow_headers_and_idle_connections_are_cut_off() {
    let server = Server::with(|settings| settings.header_timeout = SHORT);
    for start in ["", "GET", "GET /metrics HTTP/1.1\r\nHost: te"] {
        let mut client = server.connect();
        client.send(start);
        assert!(client.ends(), "{start:?}");
    }
    let mut client = server.connect();
    client.send(GET);
    assert_eq!(client.reply("GET").status, 200);
    assert!(client.ends(), "idle after an answer");
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_carries_nothing() {
    let mut server = Server::with(|settings| settings.write_timeout = SHORT);
    // Far more than the kernel buffers on both ends of a connection.
    server.source.lines.store(3_000_000, Ordering::SeqCst);
    let mut deaf = server.connect();
    deaf.send(GET);
    server.await_rendering();
    // The drain waits for the connection without limit here, so only the write timeout can end it.
    assert_eq!(server.stop(), [0; 0], "a cut off scrape carries nothing");
    drop(deaf);
}

#[test]
fn a_client_that_leaves_in_the_middle_carries_nothing() {
    let mut server = Server::start();
    server.source.lines.store(400_000, Ordering::SeqCst);
    let mut leaving = server.connect();
    leaving.send(GET);
    let mut first = [0; 15];
    std::io::Read::read_exact(&mut leaving.stream, &mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    drop(leaving);
    assert_eq!(server.stop(), [0; 0]);
}

#[test]
fn headers_beyond_the_bound_are_refused() {
    let server = Server::start();
    let fits = format!("X-Fill: {}\r\n", "x".repeat(12 * 1024));
    assert_eq!(server.request("GET", "/-/healthy", &fits).status, 200);
    let long = format!("X-Fill: {}\r\n", "x".repeat(17 * 1024));
    assert_eq!(server.request("GET", "/-/healthy", &long).status, 431);
    let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
    assert_eq!(server.request("GET", "/-/healthy", &many).status, 431);
}

#[test]
fn nothing_behind_an_unclear_request_is_taken_for_a_request() {
    let server = Server::with(|settings| settings.enable_lifecycle = true);
    let hidden = "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n";
    let length = hidden.len();
    for (what, head) in [
        (
            "CL then TE",
            format!(
                "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "TE then CL",
            format!(
                "POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "TE alone",
            "POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        ("TE not chunked", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n".to_owned()),
        (
            "two lengths",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n".to_owned(),
        ),
        ("a list of lengths", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 5\r\n\r\n".to_owned()),
        ("a signed length", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n".to_owned()),
        ("a space before the colon", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n".to_owned()),
        ("no host", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n".to_owned()),
    ] {
        let mut client = server.connect();
        client.send(&format!("{head}{hidden}"));
        let reply = client.reply("GET");
        assert_eq!(reply.status, 400, "{what}: {reply:?}");
        assert!(client.ends(), "{what}: nothing after the refusal");
    }
    assert!(
        server.source.seen.lock().unwrap().iter().all(|seen| seen.code == 400),
        "no reload, no hidden request"
    );
}

#[test]
fn a_body_is_ignored_and_ends_its_connection() {
    let server = Server::with(|settings| settings.enable_lifecycle = true);
    let hidden = "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n";
    for length in [hidden.len(), 1 << 40] {
        let mut client = server.connect();
        client.send(&format!(
            "POST /-/reload HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{hidden}"
        ));
        let reply = client.reply("POST");
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{length}");
        assert!(client.ends(), "{length}");
    }
}

#[test]
fn clients_beyond_the_connection_cap_wait_for_room() {
    let server = Server::with(|settings| settings.max_connections = 1);
    let mut first = server.connect();
    first.send("GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(first.reply("GET").status, 200);
    let mut waiting: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send("GET /x HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    }
    // The first is still served, as the only one.
    first.send("GET /-/healthy HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(first.reply("GET").status, 200);
    assert_eq!(server.source.seen.lock().unwrap().len(), 2, "nobody else was answered meanwhile");
    drop(first);
    for client in &mut waiting {
        assert_eq!(client.reply("GET").status, 404);
    }
}

#[test]
fn requests_beyond_the_bound_are_refused_and_health_is_not() {
    let server = Server::with(|settings| settings.max_requests = 1);
    server.source.gate.shut();
    let mut first = server.connect();
    first.send(GET);
    server.await_rendering();
    for target in ["/metrics", "/metrics?collect[]=cpu", "/api/v1/cgroups"] {
        let refused = server.get(target);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{target}");
    }
    assert_eq!(server.get("/-/healthy").status, 200);
    server.source.gate.open();
    assert_eq!(first.reply("GET").status, 200);
    assert_eq!(server.await_carried(), 1, "the answer has gone, and with it its right to render");
    assert_eq!(server.get("/metrics").status, 200);
}

#[test]
fn a_rendering_that_takes_too_long_is_given_up_and_keeps_its_right_to_render() {
    let server = Server::with(|settings| {
        settings.max_requests = 1;
        settings.request_timeout = SHORT;
    });
    server.source.gate.shut();
    assert_eq!(server.get("/metrics").status, 503);
    let refused = server.get("/metrics");
    assert!(refused.text().contains("--web.max-requests"), "the rendering still runs: {}", refused.text());
    server.source.gate.open();
    server.publish(Some(snapshot(1, usual_cgroups())));
    // Once the rendering has ended, what it made is at hand.
    while server.get("/metrics").status != 200 {}
    assert_eq!(server.source.renderings.load(Ordering::SeqCst), 1);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(stockade::web::bind(&[server.address])).unwrap_err().to_string();
    assert!(error.contains(&server.address.to_string()), "{error}");
    assert!(error.contains("in use") && error.contains("choose another --web.listen-address"), "{error}");
    // An address of documentation (RFC 5737), which no interface has.
    let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
    let error = runtime.block_on(stockade::web::bind(&[foreign])).unwrap_err().to_string();
    assert!(error.contains("192.0.2.1") && error.contains("no interface"), "{error}");
}
