//! The first corpus: every captured file as a text of the catalogue's file of that name, `mountinfo` as a layout, the
//! example configurations, and what no fixture has.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::files;

/// Longer captured texts teach the fuzzer nothing and slow it down.
const LONGEST: usize = 8192;

/// Captured on 6.18: a write to `cgroup.max.depth` in the group of inode 44, then half a rename.
const FANOTIFY: &[u8] = b"\x48\0\0\0\x03\0\x18\0\x02\0\0\0\0\0\0\0\xff\xff\xff\xff\x94\x28\0\0\
    \x02\x03\0\0\x9d\xf1\xc2\x60\xce\xc2\xa0\x45\x08\0\0\0\xfe\0\0\0\x2c\0\0\0\0\0\0\0cgroup.max.depth\0\0\0\0\
    \x38\0\0\0\x03\0\x18\0\x40\0\0\x40\0\0\0\0\xff\xff\xff\xff\x6b\x28\0\0\
    \x02\0\x20\0\x05\x7a\x4a\xe6\xdb\x9b\xa4\x13\x08\0\0\0\xfe\0\0\0\x08\0\0\0\0\0\0\0c\0\0\0";

const INLINE: &[(&str, &[u8])] = &[
    ("wire", FANOTIFY),
    ("wire", b"\x02\0\0\0\0\x01\0\x40\0\0\0\0\x10\0\0\0child\0\0\0\0\0\0\0\0\0\0\0"),
    ("values", b"18446744073709551615\n"),
    ("values", b"9223372036854771712\n"),
    ("values", b"-1\n"),
    ("values", b"max\n"),
    ("values", b"0-3,5,7-7\n"),
    ("values", b"12.5\n"),
    ("values", b"some avg10=12.34 avg60=0.50 avg300=100.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"),
    ("values", b"7:1 7:0 8:0 rbytes=4096 wbytes=0\n8:0 Read 4096\nTotal 4096\n"),
    ("metrics", b"\x00system.slice/nginx.service\0user.slice/user-1000.slice/session-2.scope\0a\\\"} 1\xff"),
    ("metrics", b"\x90a\0b\0c\0\xef\xbf\xbd\n# EOF\n"),
    ("web", b"collect[]=cpu&collect[]=memory&path=%2Fa%ff+b&x&&y=%zz%4"),
    ("web", b"exclude[]=io&collect[]=host"),
    ("web", b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.25,*/*;q=0.1\ngzip, identity;q=0"),
    ("config", b"collect: {interval: 10s, include: [\"/a/**\"], collectors: {cpu: {interval: 1m}}}\nlabels: {attach: [unit]}\n"),
    ("config", b"limits: [{name: l, match: {any: [{path: /a}], not: [{unit: b}]}, set: {io.max: {vda: {wbps: 1M}}}}]\n"),
    ("config", b"policies: [{name: p, match: {path: /a}, when: {not: {signal: age, above: 5s}}, steps: [{freeze: }]}]\n"),
    ("config", b"collect:\n  intervall: 5\n  max_depth: -1\nlimits: &a [*a]\n"),
    ("layout", b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"),
    ("files", b"\x00"),
    ("web_config", include_bytes!("../../../deploy/web-config.yml")),
    ("web_config", b"tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt,\n\
        client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a], min_version: TLS13}\n"),
    ("web_config", b"tls_server_config: {cert_file: a.any, key_file: b.any, max_version: TLS12,\n\
        cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], curve_preferences: [X25519]}\n"),
    ("web_config", b"http_server_config: {http2: true, headers: {X-Frame-Options: deny}}\n\
        rate_limit: {interval: 1s, burst: 5}\nbasic_auth_users: {alice: hunter2, bob: &x \"y\", c: *x}\n"),
];

/// Writes a target's seeds into the directory that `STOCKADE_SEEDS` names, if it names one.
///
/// # Panics
/// When a fixture cannot be read or a seed not be written.
pub fn write(target: &str) {
    let Some(corpus) = std::env::var_os("STOCKADE_SEEDS").map(PathBuf::from) else { return };
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(&corpus)?;
        for seed in seeds(target, &tree.join("tests/fixtures"), &tree.join("config"))? {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            std::fs::write(corpus.join(format!("seed-{:016x}", hasher.finish())), seed)?;
        }
        Ok(())
    };
    write().unwrap_or_else(|error| panic!("the seeds of {target} for {}: {error}", corpus.display()));
}

fn seeds(target: &str, fixtures: &Path, configurations: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut seeds: Vec<Vec<u8>> =
        INLINE.iter().filter(|(of, _)| *of == target).map(|(_, text)| text.to_vec()).collect();
    for path in below(if target == "config" { configurations } else { fixtures })? {
        let (name, text) = (path.file_name().unwrap_or_default().as_bytes(), std::fs::read(&path)?);
        if text.len() > LONGEST {
            continue;
        }
        match target {
            "config" => seeds.push(text),
            "layout" if name == b"mountinfo" => seeds.push(text),
            "files" => seeds.extend(files::seeds(name, &text)),
            "values" if files::seeds(name, &text).next().is_some() => seeds.push(text),
            _ => {}
        }
    }
    Ok(seeds)
}

/// Every plain file below a directory; none where there is no such directory.
fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files.extend(below(&entry.path())?),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(files)
}
