//! The first lines of every rendered file.

use crate::yaml::comment_line;
use policy_doc::PolicySet;

/// What a file was rendered from and for whom, such as `region tokyo`.
pub(crate) fn banner(set: &PolicySet, whom: &str) -> String {
    comment_line(&format!(
        "Rendered by meshfence from policy set {}, hash {}, for {whom}.",
        set.name,
        set.hash(),
    )) + &comment_line(
        "Do not edit: the next rendering overwrites it. Change the policy set and render again.",
    )
}
