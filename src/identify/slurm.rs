//! Slurm's jobs and their steps.
//!
//! v1: `slurm/uid_1000/job_42/step_0/task_0`, the top perhaps `slurm_NODE` where one host runs several slurmd
//! (xcgroup.c). v2: `slurmstepd.scope/job_42/step_0/user/task_0`, the scope then `NODE_slurmstepd.scope`
//! (<https://slurm.schedmd.com/cgroup_v2.html>); since 26.05 the job's SLUID stands there in place of `job_42`.

use super::is_number;
use crate::model::{Owner, OwnerLabel};

/// Steps that have a name in place of a number.
const NAMED_STEPS: [&str; 3] = ["batch", "extern", "interactive"];

/// Takes in one component of a path.
pub(super) fn component(name: &str, above: &str, owner: &mut Owner) {
    let number = |prefix: &str| name.strip_prefix(prefix).filter(|rest| is_number(rest));
    if let Some(uid) = number("uid_").filter(|_| above == "slurm" || above.starts_with("slurm_")) {
        owner.set(OwnerLabel::User, Some(uid));
        return;
    }
    let below_scope = above == "slurmstepd.scope" || above.ends_with("_slurmstepd.scope");
    let job = number("job_")
        .filter(|_| below_scope || above.starts_with("uid_"))
        .or_else(|| Some(name).filter(|name| below_scope && is_sluid(name)));
    if let Some(job) = job {
        owner.set(OwnerLabel::Runtime, Some("slurm"));
        owner.set(OwnerLabel::Job, Some(job));
        owner.set(OwnerLabel::Step, None);
        return;
    }
    let of_job =
        owner.get(OwnerLabel::Job).is_some_and(|job| above == job || above.strip_prefix("job_") == Some(job));
    if let Some(step) = name.strip_prefix("step_").filter(|_| of_job)
        && (is_number(step) || NAMED_STEPS.contains(&step))
    {
        owner.set(OwnerLabel::Step, Some(step));
    }
}

/// `s` and 13 characters of Crockford's base 32.
fn is_sluid(name: &str) -> bool {
    name.len() == 14
        && name.starts_with('s')
        && name.bytes().skip(1).all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::agree;

    #[test]
    fn jobs_of_both_versions() {
        agree(&[
            // Slurm 18 to 23 under v1.
            ("/slurm/uid_1000/job_42/step_0/task_0", "user=1000 runtime=slurm job_id=42 step_id=0"),
            ("/slurm/uid_1000/job_42/step_extern", "user=1000 runtime=slurm job_id=42 step_id=extern"),
            // plazonic/cgroup_exporter#5: several slurmd.
            ("/slurm_node7/uid_0/job_7", "user=0 runtime=slurm job_id=7"),
            // The v2 plugin, 22.05 and later; treydock/cgroup_exporter#30: the node's name before the scope.
            (
                "/system.slice/slurmstepd.scope/job_42/step_batch/user/task_0",
                "slice=system.slice unit=slurmstepd.scope runtime=slurm job_id=42 step_id=batch",
            ),
            (
                "/system.slice/node7_slurmstepd.scope/job_43/step_extern/slurm",
                "slice=system.slice unit=node7_slurmstepd.scope runtime=slurm job_id=43 step_id=extern",
            ),
            // guilbaults/slurm-job-exporter#66: 26.05.
            (
                "/system.slice/slurmstepd.scope/s5K1KKYAYG5D00/step_0/user/task_0",
                "slice=system.slice unit=slurmstepd.scope runtime=slurm job_id=s5K1KKYAYG5D00 step_id=0",
            ),
            ("/system.slice/slurmstepd.scope/system", "slice=system.slice unit=slurmstepd.scope"),
            ("/system.slice/myslurmstepd.scope/job_1", "slice=system.slice unit=myslurmstepd.scope"),
            ("/srv/job_42/step_0", ""),
            ("/slurm/uid_x/job_1x", ""),
            ("/slurm/uid_1/job_1/step_x", "user=1 runtime=slurm job_id=1"),
        ]);
    }
}
