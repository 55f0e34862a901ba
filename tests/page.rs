//! The pages for people in a real browser, with cgroups whose names were made to do harm.

#[path = "support/browser.rs"]
mod browser;
#[allow(dead_code, reason = "the tests of the server use the rest")]
#[path = "web/harness.rs"]
mod harness;
mod support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use browser::Browser;
use harness::{Server, cgroup, snapshot, usual_cgroups};
use serde_json::json;
use stockade::model::{Field, Identity, Knob, Quantity, Value};
use stockade::record::enforcement::{
    Change, Condition, Decision, InForce, Overview, Policy, Rules, StandingLimit, Target,
};
use support::daemon::Daemon;
use support::eventually;
use support::ground::{Ground, stop};

/// Names that would run, close, hide or turn something in a careless page. All of them are possible directory names.
const HOSTILE: &[&[u8]] = &[
    b"\"'><script>document.title='ran'",
    b"<img src=x onerror=document.title='ran'>",
    b"\"><svg onload=document.title='ran'>",
    b"' onmouseover='document.title=1' x='",
    b"<base href=javascript:alert(1)>",
    b"-->]]><!--",
    b"&lt;b&gt;&#x3c;i&#x3e;",
    b"{{7*7}}${7*7}",
    "safe\u{202e}gpj.exe".as_bytes(),
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd} 123".as_bytes(),
    b"bad\xff\xfe\xc3utf8",
    b"bell\x07tab\ttext\x1b[31mred\r",
    b"%2e%2e?a=b#c&path=",
];

/// Everything that a page may consist of.
const ELEMENTS: &[&str] = &[
    "A", "BDI", "BODY", "BR", "CAPTION", "CODE", "DD", "DIV", "DL", "DT", "H1", "H2", "HEAD", "HEADER",
    "HTML", "LI", "LINK", "MAIN", "META", "METER", "NAV", "P", "SECTION", "SMALL", "SPAN", "STRONG", "TABLE",
    "TBODY", "TD", "TH", "THEAD", "TIME", "TITLE", "TR", "UL",
];

/// Looks a page over in the browser: nothing ran, nothing was injected, nothing sticks out, everything can be read.
fn is_sound(browser: &mut Browser, url: &str) {
    for (width, scheme) in [(1280, "light"), (360, "dark")] {
        browser.load(url, width, scheme);
        let place = format!("{url} at {width} px, {scheme}");
        assert_eq!(browser.console, [""; 0], "{place}: the console is silent");
        let title = browser.evaluate("document.title");
        assert!(title.as_str().is_some_and(|title| title.ends_with(" · Stockade")), "{place}: {title}");
        let found = browser.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.tagName))]");
        let found: BTreeSet<&str> =
            found.as_array().expect("a list").iter().filter_map(|name| name.as_str()).collect();
        let foreign: Vec<_> = found.iter().filter(|name| !ELEMENTS.contains(name)).collect();
        assert!(foreign.is_empty(), "{place}: injected {foreign:?}");
        let handlers = browser.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => /^on|^style$/.test(n))",
        );
        assert_eq!(handlers, json!([]), "{place}");
        let sideways = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert!(sideways.as_i64().is_some_and(|pixels| pixels <= 0), "{place}: {sideways} px stick out");
        let unread = browser.evaluate(CONTRAST);
        assert_eq!(unread, json!([]), "{place}: contrast below 4.5");
        let nameless = browser.evaluate(
            "[...document.querySelectorAll('table')].filter(t => !t.caption || [...t.tHead.rows[0].cells]\
             .some(c => c.tagName != 'TH' || c.scope != 'col')).length + \
             [...document.querySelectorAll('section')].filter(s => !document.getElementById(s.getAttribute('aria-labelledby'))).length \
             + (document.documentElement.lang == 'en' ? 0 : 1) + (document.querySelectorAll('main').length == 1 ? 0 : 1)",
        );
        assert_eq!(nameless, json!(0), "{place}: tables have captions and headings, sections names");
    }
}

/// The texts whose colour is too near to that of what is behind them (WCAG 2.1, 1.4.3): the element's class and ratio.
const CONTRAST: &str = "(() => {
    const parts = c => c.match(/[\\d.]+/g).map(Number);
    const light = c => { const [r, g, b] = parts(c).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if ((parts(c)[3] ?? 1) > 0) return c; } return 'rgb(255, 255, 255)'; };
    return [...document.body.querySelectorAll('*')].filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()))
        .map(e => { const a = light(getComputedStyle(e).color), b = light(behind(e));
            return [e.className, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; })
        .filter(([, ratio]) => ratio < 4.5);
})()";

/// Has HTML Tidy look for errors and warnings.
fn is_valid(html: &str) {
    let mut tidy = Command::new("tidy")
        .args(["-quiet", "-errors", "-utf8", "--drop-empty-elements", "no"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tidy is installed");
    let mut input = tidy.stdin.take().expect("piped");
    input.write_all(html.as_bytes()).expect("tidy reads");
    drop(input);
    let told = tidy.wait_with_output().expect("tidy ends");
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && said.trim().is_empty(), "{said}");
}

/// A server whose snapshot, rules and decisions are full of these names.
fn full_of(names: &[&[u8]]) -> Server {
    let server = Server::start();
    let mut cgroups = usual_cgroups();
    let path = |name: &[u8]| [b"/", name].concat();
    cgroups.extend(names.iter().zip(1..).map(|(name, number)| {
        let mut one = cgroup(&path(name), number << 30);
        one.readings.set(Field::IoSomeAvg10, Some(4000 + number));
        one
    }));
    let identities: Vec<Arc<Identity>> =
        names.iter().map(|name| Arc::clone(&cgroup(&path(name), 1).identity)).collect();
    server.publish(Some(snapshot(1, cgroups)));
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    // The configuration bounds a rule's name.
    let rule = |name: &[u8]| -> Arc<str> { text(&name[..name.len().min(60)]).into() };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let policies = names.iter().zip(&identities).map(|(name, identity)| Policy {
        name: rule(name),
        mode: "dry_run",
        states: vec![("watching", 3), ("acting", 1), ("exhausted", 0), ("relieved", 0), ("cooldown", 0)],
        targets: vec![Target {
            cgroup: Arc::clone(identity),
            state: "acting",
            step: 1,
            steps: 3,
            action: "freeze",
            next_step_in: seconds(45),
            undone_in: seconds(7380),
        }],
        targets_total: 1,
    });
    let limits = names.iter().map(|name| StandingLimit {
        name: rule(name),
        mode: "enforce",
        set: vec![(Knob::MemoryHigh, Value::of(4 << 30)), (Knob::CpuMax, Value::of(1_500_000))],
        cgroups: 7,
        in_force: 14,
    });
    let in_force = identities.iter().map(|identity| InForce {
        policy: "by hand".into(),
        cgroup: Arc::clone(identity),
        control: Some(Knob::PidsMax),
        value: Some(Value::of(500)),
        before: Some(Value::of(900)),
        holds: true,
        undone_in: seconds(60),
    });
    let decisions = names.iter().zip(&identities).map(|(name, identity)| Decision {
        time: "2026-02-28T23:59:59.000Z".to_owned(),
        id: 1,
        policy: rule(name),
        cgroup: Arc::clone(identity),
        action: "set",
        step: Some(2),
        dry_run: false,
        outcome: "applied",
        detail: text(name),
        changes: vec![Change {
            control: Knob::MemoryHigh,
            before: Value::Limit(stockade::model::Limit::Max),
            after: Value::of(1 << 30),
        }],
        conditions: vec![Condition {
            signal: "memory.current".to_owned(),
            quantity: Quantity::Bytes,
            of: text(name),
            value: Some(3e9),
            compare: "above",
            threshold: Some(2e9),
            held_seconds: Duration::from_secs(5),
            truth: "true",
        }],
        reaction_seconds: Duration::from_millis(3),
    });
    *server.source.decisions.lock().expect("no test panics with it") = decisions.collect();
    let in_force: Vec<InForce> = in_force.collect();
    *server.source.overview.lock().expect("no test panics with it") = Overview {
        host: Some(text(names[0])),
        kernel: Some("6.12.0-<b>".to_owned()),
        config: Some("/etc/<i>/stockade.yaml".to_owned()),
        rules: Some(Rules {
            mode: "enforce",
            mode_since: "2026-02-28T23:59:59.000Z".to_owned(),
            policies: policies.collect(),
            limits: limits.collect(),
            in_force_total: in_force.len() + 14 * names.len(),
            in_force,
        }),
    };
    server
}

#[test]
fn hostile_names_do_nothing_to_any_page() {
    let deep = [&[b'd'; 250][..]; 16].join(&b"\"/<b>"[..]);
    let names: Vec<&[u8]> = HOSTILE.iter().copied().chain([&deep[..]]).collect();
    let server = full_of(&names);
    let mut browser = Browser::start();
    let url = format!("http://{}/", server.address);
    is_sound(&mut browser, &url);
    is_sound(&mut browser, &format!("{url}?refresh=3600"));
    is_valid(server.get("/").text());
    let text = browser.evaluate("document.body.innerText");
    for shown in
        ["<script>document.title='ran'", "safe\u{fffd}e2\u{fffd}80\u{fffd}aegpj.exe", "bad\u{fffd}ff"]
    {
        assert!(text.as_str().is_some_and(|text| text.contains(shown)), "{shown} is shown as it is: {text}");
    }
    // Every link leads to the page of the cgroup that it names.
    let links = browser.evaluate("[...new Set([...document.querySelectorAll('a.path')].map(a => a.href))]");
    let links: Vec<&str> =
        links.as_array().expect("a list").iter().filter_map(|link| link.as_str()).collect();
    assert!(links.len() > HOSTILE.len(), "{links:?}");
    for link in links {
        browser.load(link, 1280, "light");
        assert_eq!(browser.console, [""; 0], "{link}");
        let kind = browser.evaluate("document.querySelector('h2').innerText");
        assert_eq!(kind, json!("Whose it is"), "{link}");
        let target = &link[link.rfind('/').expect("a URL")..];
        let target =
            link.split_once("/cgroup?").map_or(target.to_owned(), |(_, query)| format!("/cgroup?{query}"));
        is_valid(server.get(&target).text());
    }
    is_sound(&mut browser, &format!("{url}cgroup?path=/%22%27%3E%3Cscript%3Edocument.title='ran'"));
    let missing = server.get("/cgroup?path=/%3Cscript%3E");
    assert_eq!(missing.status, 404);
    is_valid(missing.text());
    for target in ["/", "/cgroup?path=/a", "/cgroup?path=/nobody"] {
        let page = server.get(target);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(page.header(name), Some(value), "{name} of {target}");
        }
        let csp = page.header("content-security-policy").unwrap();
        assert!(csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"), "{csp}");
    }
    for (target, status) in [("/?refresh=0", 400), ("/?refresh=5%22", 400), ("/cgroup", 400)] {
        assert_eq!(server.get(target).status, status, "{target}");
    }
}

#[test]
fn what_the_policy_forbids_would_be_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = std::thread::spawn(move || {
        let page =
            "<!DOCTYPE html><title>still</title><b onclick=''></b><script>document.title='ran'</script>";
        // The icon that the browser asks for may come first or not at all.
        let (mut stream, _) = listener.accept().expect("the browser comes");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\
             Content-Security-Policy: default-src 'none'";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len()).expect("it reads");
    });
    let mut browser = Browser::start();
    browser.load(&format!("http://{address}/"), 1280, "light");
    serving.join().expect("no panic");
    assert_eq!(browser.evaluate("document.title"), json!("still"));
    assert!(
        browser.console.iter().any(|line| line.contains("Content Security Policy")),
        "{:?}",
        browser.console
    );
}

#[test]
fn ten_thousand_cgroups_and_the_longest_names_make_no_large_page() {
    let many: Vec<Vec<u8>> =
        (0..5000).map(|n| format!("<{n:05}>{}", "\"".repeat(200)).into_bytes()).collect();
    let server = full_of(&many.iter().map(|name| &**name).collect::<Vec<_>>());
    let page = server.get("/");
    assert!(page.body.len() < 512 << 10, "{} bytes", page.body.len());
    assert!(page.text().contains("And 4980 more") && page.text().contains("And 4950 more"));
    is_valid(page.text());
    let longest: Vec<Vec<u8>> =
        (0..100).map(|n| format!("{n:03}{}", "\"".repeat(4090)).into_bytes()).collect();
    let server = full_of(&longest.iter().map(|name| &**name).collect::<Vec<_>>());
    let page = server.get("/");
    assert!(page.body.len() < 4 << 20, "{} bytes", page.body.len());
}

#[test]
fn a_kernel_without_pressure_is_said_to_have_none() {
    let server = Server::start();
    let mut still = cgroup(b"/a", 1);
    still.readings.set(Field::MemorySomeAvg10, None);
    server.publish(Some(snapshot(1, vec![still])));
    assert!(server.get("/").text().contains("No cgroup tells its pressure"));
    assert!(server.get("/cgroup?path=/a").text().contains("The kernel does not tell it"));
    let mut idle = cgroup(b"/a", 1);
    idle.readings.set(Field::MemorySomeAvg10, Some(0));
    server.publish(Some(snapshot(2, vec![idle])));
    let page = server.get("/");
    assert!(page.text().contains("No cgroup has waited"), "{}", page.text());
    assert!(
        page.text().contains("nothing is enforced") && !page.text().contains("Policies"),
        "{}",
        page.text()
    );
    is_valid(page.text());
    server.publish(None);
    is_valid(server.get("/").text());
}

#[test]
fn the_daemon_shows_what_it_enforces_on_cgroups_of_such_names() {
    let mut ground = Ground::new("page");
    for name in HOSTILE {
        for directory in ground.group.directories() {
            fs::create_dir(directory.join(OsStr::from_bytes(name))).expect("a cgroup");
        }
    }
    for child in ["busy", "idle"] {
        ground.group.child(child);
    }
    ground.sleeper("busy");
    let rules = "limits: [{name: cap, match: {path: \"@/*\"}, set: {pids.max: 500}}]
policies:
  - name: ice
    match: {path: \"@/busy\"}
    when: {signal: pids.current, above: 0}
    steps: [{freeze: {ttl: 60s}, relieved_within: 1h}]
  - name: played
    mode: dry_run
    match: {path: \"@/idle\"}
    when: {signal: age, above: 0s}
    steps: [{freeze: {ttl: 50s}, relieved_within: 1h}]
";
    let daemon = Daemon::configured(&ground.rules("mode: enforce", rules), &[]);
    let told = eventually("the policies have acted", || {
        let told: serde_json::Value =
            serde_json::from_str(&daemon.get("/api/v1/policies").text()).expect("JSON");
        let acts = |at: usize| told["policies"][at]["states"]["acting"] == 1;
        let held = told["limits"][0]["in_force"] == HOSTILE.len() + 2;
        let frozen = told["in_force"][0]["control"] == "freezer";
        (acts(0) && acts(1) && held && frozen).then_some(told)
    });
    let busy = format!("{}/busy", ground.group.path);
    let target = &told["policies"][0]["targets"][0];
    assert_eq!((&target["cgroup"], &target["action"]), (&json!(busy), &json!("freeze")), "{told}");
    assert!(target["undone_in_seconds"].as_f64().is_some_and(|left| left > 0.0 && left <= 60.0), "{target}");
    assert_eq!((&told["mode"], &told["policies"][1]["mode"]), (&json!("enforce"), &json!("dry_run")));
    let decided = eventually("all was told", || {
        let told = daemon.get("/api/v1/decisions").text();
        let decided: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        told.contains("\"played\"").then_some(decided)
    });
    let of = |rule: &str| {
        let decided = decided["decisions"].as_array().expect("a list");
        decided.iter().find(|each| each["policy"] == rule).unwrap_or_else(|| panic!("{rule}: {decided:?}"))
    };
    assert_eq!(
        (&of("ice")["outcome"], &of("ice")["conditions"][0]["value"]),
        (&json!("applied"), &json!(1.0))
    );
    assert_eq!(of("played")["outcome"], "dry_run");
    assert_eq!(of("cap")["changes"][0]["after"], "500");
    let url = format!("http://{}/", daemon.address);
    let mut browser = Browser::start();
    is_sound(&mut browser, &url);
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().expect("a text");
    for shown in [&*busy, "1 of 1, freeze", "frozen", "pids.current 1 above 0", "pids.max 500", "dry run"] {
        assert!(text.contains(shown), "{shown:?} is not in {text}");
    }
    is_valid(&daemon.get("/").text());
    is_sound(&mut browser, &format!("{url}cgroup?path={busy}"));
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().expect("a text");
    assert!(
        text.contains("when its rule ends") && text.contains("pids.max") && text.contains("ice, step 1"),
        "{text}"
    );
    stop(daemon);
}
