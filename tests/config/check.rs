//! `stockade check`.

use std::path::{Path, PathBuf};

use stockade::cli::{CheckArgs, Exit, Format, PathArgs};

use super::example;

/// A captured host.
fn captured(name: &str) -> PathArgs {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    PathArgs {
        procfs: root.join("proc"),
        sysfs: root.join("sys"),
        cgroupfs: Some(root.join("sys/fs/cgroup")),
        rootfs: "/".into(),
    }
}

fn run(files: &[&Path], host: Option<&str>, format: Format) -> (Exit, String, String) {
    let files: Vec<PathBuf> = files.iter().map(|file| file.to_path_buf()).collect();
    let paths = captured(host.unwrap_or("6.12-unified"));
    let args = CheckArgs { files, web_config: None, host: false, no_host: host.is_none(), paths, format };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = args.run(&mut out, &mut err).expect("a buffer takes all");
    let text = |bytes| String::from_utf8(bytes).expect("answers are text");
    (exit, text(out), text(err))
}

#[test]
fn check_looks_at_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.yaml");
    std::fs::write(&bad, "colect: {}\n").unwrap();
    let good = example("minimal.yaml");

    let (exit, out, err) = run(&[&good], None, Format::Text);
    assert_eq!((exit, out, err), (Exit::Done, format!("{}: good\n", good.display()), String::new()));

    let (exit, out, err) = run(&[&bad, &good], None, Format::Text);
    assert_eq!((exit, out), (Exit::Failed, format!("{}: good\n", good.display())));
    assert!(err.contains("did you mean `collect`?") && err.ends_with("bad.yaml: 1 error\n"), "{err}");

    let (exit, out, err) = run(&[&bad, &good], None, Format::Json);
    assert_eq!((exit, err), (Exit::Failed, String::new()));
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["ok"], false);
    assert_eq!(
        lines[0]["problems"],
        serde_json::json!([{
            "file": bad, "line": 1, "column": 1, "width": 6, "message": "unknown key `colect`",
            "expected": "expected one of: collect, labels, safety, limits, policies; did you mean `collect`?",
        }])
    );
    assert_eq!(lines[1], serde_json::json!({"file": good, "ok": true, "problems": [], "remarks": []}));
}

const RULES: &str = "
limits:
  - name: cap
    match: {path: /a}
    set: {memory.high: 1GiB, memory.max: 2GiB}
policies:
  - name: stalls
    match: {path: /a/*}
    when: {any: [{signal: memory.pressure.full.avg10, above: 40%}, {signal: cpu.usage, above: 2}]}
    steps: [{freeze: {}}, {kill: {}}]
";

#[test]
fn what_a_host_cannot_do_is_said_rule_by_rule() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    std::fs::write(&file, RULES).unwrap();
    let shown = file.display();

    let (exit, out, err) = run(&[&file], None, Format::Text);
    assert_eq!((exit, out, err), (Exit::Done, format!("{shown}: good\n"), String::new()), "on its own");

    let (exit, out, err) = run(&[&file], Some("6.1-legacy"), Format::Text);
    let expected = format!(
        "warning: cap: memory.high becomes the soft limit of cgroup v1, which does not throttle
 --> {shown}:3:11

error: stalls: memory.pressure.full.avg10 cannot be had here: cgroups have no pressure: it takes cgroup2 and a kernel with PSI (psi=1); list it under `degrade` to accept that it is unknown
 --> {shown}:7:11

warning: stalls: kill freezes, signals each process and thaws: there is no cgroup.kill (Linux 5.14)
 --> {shown}:7:11

{shown}: 1 error on this host
"
    );
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert_eq!(err, expected);

    let (exit, out, err) = run(&[&file], Some("6.1-legacy"), Format::Json);
    assert_eq!((exit, err.as_str()), (Exit::Failed, ""));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["ok"], &document["remarks"][1]["rule"]), (&false.into(), &"stalls".into()));
    assert_eq!(
        (&document["remarks"][1]["severity"], &document["remarks"][1]["line"]),
        (&"error".into(), &7.into())
    );
}

#[test]
fn a_lack_that_is_accepted_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    std::fs::write(&file, format!("{RULES}    degrade: [memory.pressure.full.avg10]\n")).unwrap();
    let (exit, out, err) = run(&[&file], Some("6.1-legacy"), Format::Text);
    assert_eq!((exit, out), (Exit::Done, format!("{}: good\n", file.display())));
    assert!(err.contains("warning: stalls: memory.pressure.full.avg10 is unknown here: "), "{err}");
}

#[test]
fn a_host_that_cannot_be_looked_at_fails_unless_it_is_left_aside() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    std::fs::write(&file, RULES).unwrap();
    let (exit, _, err) = run(&[&file], Some("golden"), Format::Text);
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("--path.cgroupfs") && err.ends_with("--no-host checks the file alone\n"), "{err}");
    let (exit, out, _) = run(&[&file], Some("golden"), Format::Json);
    assert_eq!(exit, Exit::Failed);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["problems"][0]["expected"], "--no-host checks the file alone");
}

#[test]
fn the_examples_ask_for_nothing_that_a_recent_host_lacks() {
    let files = crate::examples::files();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    for host in ["5.10-unified", "6.12-unified", "6.12-hybrid"] {
        let (exit, _, err) = run(&files, Some(host), Format::Text);
        assert_eq!(exit, Exit::Done, "{host}: {err}");
    }
}
