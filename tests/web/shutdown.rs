//! The end: what runs may finish, and what does not finish is cut off.

use std::net::TcpStream;
use std::time::Duration;

use super::harness::Server;

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_running_scrape_finishes_and_carries() {
    let mut server = Server::start();
    server.source.gate.shut();
    let mut client = server.connect();
    client.send(GET);
    server.await_rendering();
    server.begin_stop();
    // The listener is closed once connecting is refused: the drain has begun, with the scrape under way.
    while TcpStream::connect(server.address).is_ok() {}
    server.source.gate.open();
    let reply = client.reply("GET");
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("fake_cpu 1"));
    assert!(client.ends(), "no second request is taken");
    assert_eq!(server.stop(), [1]);
}

#[test]
fn idle_connections_end_at_once() {
    let mut server = Server::start();
    let mut kept = server.connect();
    kept.send("GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(kept.reply("GET").status, 200);
    server.begin_stop();
    assert!(kept.ends());
    server.stop();
}

#[test]
fn what_does_not_finish_is_cut_off_at_the_deadline() {
    let mut server = Server::with(|settings| settings.drain_timeout = Duration::from_millis(50));
    server.source.gate.shut();
    let mut client = server.connect();
    client.send(GET);
    server.await_rendering();
    assert_eq!(server.stop(), [0; 0]);
    assert!(client.ends(), "cut off without an answer");
}
