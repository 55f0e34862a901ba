//! Files: what cannot be read, and the drop-ins of `policies.d`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use stockade::config;

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (latin, large) = (dir.path().join("latin.yaml"), dir.path().join("large.yaml"));
    fs::write(&latin, b"collect:\n  # caf\xe9\n").unwrap();
    fs::write(&large, " ".repeat((1 << 20) + 1)).unwrap();
    for (file, message) in [
        (dir.path().join("absent.yaml"), "the file cannot be read: No such file or directory (os error 2)"),
        (dir.path().to_owned(), "this is a directory"),
        (latin, "byte 17 on line 2 is not UTF-8"),
        (large, "the file is too large"),
        (PathBuf::from("/dev/zero"), "the file is too large"),
    ] {
        let problems = config::load(Some(&file)).unwrap_err();
        assert_eq!(problems.list().len(), 1);
        assert_eq!(problems.list()[0].message(), message);
        assert_eq!(problems.list()[0].line(), None);
        let shown = problems.to_string();
        assert!(
            shown.starts_with(&format!("error: {message}\n  --> {}\n   = expected ", file.display())),
            "{shown}"
        );
    }
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_read_past() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dos.yaml");
    fs::write(&file, "\u{feff}collect:\r\n  interval: 7s\r\n").unwrap();
    assert_eq!(config::load(Some(&file)).unwrap().collect.interval, Duration::from_secs(7));
}

/// A rule that only needs a name.
fn policy(name: &str) -> String {
    format!(
        "policies:\n  - name: {name}\n    match: {{path: /a}}\n    when: {{signal: cpu.usage, above: 2}}\n    \
         steps: [{{notify: {{}}}}]\n"
    )
}

/// A configuration file and the drop-ins beside it, by name.
fn tree(main: &str, drop_ins: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory takes files");
    let file = dir.path().join("s.yaml");
    fs::write(&file, main).expect("a temporary directory takes files");
    fs::create_dir(dir.path().join("policies.d")).expect("a temporary directory takes files");
    for (name, text) in drop_ins {
        fs::write(dir.path().join("policies.d").join(name), text).expect("a temporary directory takes files");
    }
    (dir, file)
}

#[test]
fn drop_ins_are_read_after_the_file_in_the_order_of_their_names() {
    let (dir, file) = tree(
        &policy("main"),
        &[
            ("20-b.yaml", &policy("b")),
            ("10-a.yaml", &policy("a")),
            ("30.yml", "not: looked at"),
            (".hidden.yaml", "not: looked at"),
            ("empty.yaml", "# nothing\n"),
        ],
    );
    let config = config::load(Some(&file)).unwrap();
    let names: Vec<&str> = config.rules.policies.iter().map(|policy| &*policy.name).collect();
    assert_eq!(names, ["main", "a", "b"]);
    let place = &config.places["b"];
    assert_eq!(place.file, dir.path().join("policies.d/20-b.yaml"));
    assert_eq!((place.line, place.column), (2, 11));
}

#[test]
fn errors_of_all_files_come_at_once_each_with_its_own_file() {
    let (dir, file) = tree(
        &format!("colect: {{}}\n{}", policy("x")),
        &[
            ("10.yaml", &format!("collect: {{}}\n{}", policy("x").replace("cpu.usage", "cpu.usag"))),
            ("20.yaml", "limits: [\n"),
            ("30.yaml", &policy("x")),
        ],
    );
    let shown = config::load(Some(&file)).unwrap_err().to_string();
    let expected = r#"error: unknown key `colect`
  --> DIR/s.yaml:1:1
   |
 1 | colect: {}
   | ^^^^^^ expected one of: collect, labels, safety, limits, policies; did you mean `collect`?

DIR/s.yaml: 1 error
error: unknown key `collect`
  --> DIR/policies.d/10.yaml:1:1
   |
 1 | collect: {}
   | ^^^^^^^ expected one of: limits, policies

error: the name `x` is taken
  --> DIR/policies.d/10.yaml:3:11
   |
 3 |   - name: x
   |           ^ expected a name of its own for each limit and policy; it first stands in DIR/s.yaml on line 3

error: unknown signal `cpu.usag`
  --> DIR/policies.d/10.yaml:5:20
   |
 5 |     when: {signal: cpu.usag, above: 2}
   |                    ^^^^^^^^ did you mean `cpu.usage`?

DIR/policies.d/10.yaml: 3 errors
error: this is not YAML
  --> DIR/policies.d/20.yaml:1:1
   |
 1 | limits: [
   | ^ while parsing a node, did not find expected node content

DIR/policies.d/20.yaml: 1 error
error: the name `x` is taken
  --> DIR/policies.d/30.yaml:2:11
   |
 2 |   - name: x
   |           ^ expected a name of its own for each limit and policy; it first stands in DIR/s.yaml on line 3

DIR/policies.d/30.yaml: 1 error
"#;
    assert_eq!(shown, expected.replace("DIR", dir.path().to_str().unwrap()), "\n--- got:\n{shown}");
}

#[test]
fn drop_ins_that_cannot_be_read_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (file, drop_ins) = (dir.path().join("s.yaml"), dir.path().join("policies.d"));
    fs::write(&file, "").unwrap();
    assert!(config::load(Some(&file)).is_ok(), "no drop-ins are no error");
    fs::write(&drop_ins, "").unwrap();
    let problems = config::load(Some(&file)).unwrap_err();
    assert_eq!(problems.list()[0].file(), drop_ins);
    assert!(problems.list()[0].message().starts_with("the drop-ins cannot be read: Not a directory"));
    fs::remove_file(&drop_ins).unwrap();
    fs::create_dir_all(drop_ins.join("x.yaml")).unwrap();
    let problems = config::load(Some(&file)).unwrap_err();
    assert_eq!(problems.list()[0].file(), drop_ins.join("x.yaml"));
    assert_eq!(problems.list()[0].message(), "this is a directory");
}
