//! Slurm's jobs: `slurm/uid_1000/job_42/step_0` (v1), `slurmstepd.scope/job_42/step_0/user` (v2, the scope perhaps
//! behind the node's name).

use crate::model::{Owner, OwnerLabel};

/// Takes in one component of a path.
pub(super) fn component(name: &str, above: &str, owner: &mut Owner) {
    let number = |prefix: &str| {
        name.strip_prefix(prefix)
            .filter(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if let Some(uid) = number("uid_").filter(|_| above == "slurm" || above.starts_with("slurm_")) {
        owner.set(OwnerLabel::User, Some(uid));
    }
    let of_slurm = above.ends_with("slurmstepd.scope") || above.starts_with("uid_");
    if let Some(job) = number("job_").filter(|_| of_slurm) {
        owner.set(OwnerLabel::Runtime, Some("slurm"));
        owner.set(OwnerLabel::Job, Some(job));
    }
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::told;

    #[test]
    fn jobs_of_both_versions() {
        for (path, expected) in [
            ("/slurm/uid_1000/job_42/step_0/task_0", "user=1000 runtime=slurm job_id=42"),
            ("/slurm_node7/uid_0/job_7", "user=0 runtime=slurm job_id=7"),
            (
                "/system.slice/slurmstepd.scope/job_42/step_batch/user/task_0",
                "slice=system.slice unit=slurmstepd.scope runtime=slurm job_id=42",
            ),
            (
                "/system.slice/node7_slurmstepd.scope/job_43/step_extern",
                "slice=system.slice unit=node7_slurmstepd.scope runtime=slurm job_id=43",
            ),
            ("/srv/job_42", ""),
            ("/slurm/uid_x/job_1x", ""),
        ] {
            assert_eq!(told(path), expected, "{path}");
        }
    }
}
