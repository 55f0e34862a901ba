//! What the sampler tells between two passes, on this host's own kernel.

mod support;

use std::fs;

use stockade::model::{Field, Knob, Limit, Value, Writer};
use stockade::sample::{News, Sampler, Settings, Written, carried};
use support::{TestGroup, eventually};

fn sampler() -> Sampler {
    let settings = Settings { descriptors: Some(1000), news: true, ..Settings::default() };
    Sampler::new(settings, carried()).expect("a host with cgroups")
}

#[test]
fn a_write_to_a_limit_is_told_with_both_values_and_the_writer() {
    let group = TestGroup::everywhere("news");
    let mut sampler = sampler();
    sampler.pass();
    sampler.news();
    fs::write(group.directory("pids").join("pids.max"), "77").expect("a limit of ours");
    let told: Written = eventually("the write is told", || {
        sampler.pass();
        sampler.news().into_iter().find_map(|news| match news {
            News::Written(written) if *written.cgroup.display == *group.path => Some(written),
            _ => None,
        })
    });
    assert_eq!(&*told.file, "pids.max");
    let change = &told.changes[0];
    assert_eq!(
        (&change.knob, &change.before, &change.after),
        (&Knob::PidsMax, &Some(Value::Limit(Limit::Max)), &Some(Value::of(77)))
    );
    // Where the kernel tells who wrote, it was this process.
    if let Some(pid) = told.pid {
        assert_eq!((pid, told.writer), (std::process::id(), Writer::Own));
    }
}

#[test]
fn a_birth_is_told_once() {
    let mut sampler = sampler();
    sampler.pass();
    sampler.news();
    let group = TestGroup::everywhere("news-birth");
    let mut births = 0;
    eventually("the birth is told", || {
        sampler.pass();
        let news = sampler.news();
        births += news
            .iter()
            .filter(|news| matches!(news, News::Born(born) if *born.display == *group.path))
            .count();
        (births > 0).then_some(())
    });
    sampler.pass();
    assert!(
        !sampler.news().iter().any(|news| matches!(news, News::Born(born) if *born.display == *group.path))
    );
    assert_eq!(births, 1);
}

#[test]
fn looking_again_is_newer_than_the_snapshot_and_keeps_to_what_was_asked() {
    let mut group = TestGroup::everywhere("news-look");
    group.child("a");
    group.child("b");
    let mut sampler = sampler();
    let snapshot = sampler.pass();
    let before =
        snapshot.find(group.path.as_bytes()).expect("it was made before").readings.get(Field::CpuUsage);
    let pid = group.run("a", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    assert_eq!(group.wait(pid), 0);
    let looked = sampler.look([group.path.as_bytes()], 16);
    let paths: Vec<&str> = looked.iter().map(|cgroup| &*cgroup.identity.display).collect();
    assert_eq!(paths, [group.path.clone(), format!("{}/a", group.path), format!("{}/b", group.path)]);
    assert!(looked[0].readings.get(Field::CpuUsage) > before, "its numbers are of now");
    assert_eq!(sampler.look([group.path.as_bytes()], 1).len(), 1, "as many as asked for, who is above first");
    assert!(sampler.look([&b"/stockade-test-nobody"[..]], 16).is_empty());
}
