//! PURE: which cgroups of a list stand below which, drawn with lines.

/// What lines are drawn with.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    tee: &'static str,
    corner: &'static str,
    bar: &'static str,
}

impl Lines {
    /// Box-drawing characters.
    pub const UNICODE: Self = Self { tee: "├─", corner: "└─", bar: "│ " };
    /// For terminals without them.
    pub const ASCII: Self = Self { tee: "|-", corner: "`-", bar: "| " };
}

const BLANK: &str = "  ";

/// The order in which a forest is written, with what stands before each name.
///
/// `ranked` are the members in the order in which siblings stand; `parent` gives the place of a member's parent, which
/// may be no member: then it is a root.
#[must_use]
pub fn draw(ranked: &[usize], parent: impl Fn(usize) -> Option<usize>, lines: Lines) -> Vec<(usize, String)> {
    let size = ranked.iter().copied().max().map_or(0, |most| most + 1);
    let mut member = vec![false; size];
    for &at in ranked {
        member[at] = true;
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); size];
    let mut roots = Vec::new();
    for &at in ranked {
        match parent(at).filter(|&above| member.get(above).copied().unwrap_or(false)) {
            Some(above) => children[above].push(at),
            None => roots.push(at),
        }
    }
    let mut drawn = Vec::with_capacity(ranked.len());
    // Cgroups nest deeper than a thread's stack should.
    let mut open: Vec<(usize, String, String)> =
        roots.into_iter().rev().map(|at| (at, String::new(), String::new())).collect();
    while let Some((at, before_name, before_children)) = open.pop() {
        let below = &children[at];
        for (place, &child) in below.iter().enumerate().rev() {
            let (own, deeper) =
                if place + 1 == below.len() { (lines.corner, BLANK) } else { (lines.tee, lines.bar) };
            open.push((child, format!("{before_children}{own}"), format!("{before_children}{deeper}")));
        }
        drawn.push((at, before_name));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_keep_their_rank_and_lines_lead_to_the_last() {
        // 0: the root; 1 and 4 below it; 2 and 3 below 1; 5 below a cgroup that is not shown.
        let parents = [None, Some(0), Some(1), Some(1), Some(0), Some(9)];
        let drawn = draw(&[0, 4, 1, 3, 2, 5], |at| parents[at], Lines::UNICODE);
        let drawn: Vec<(usize, &str)> = drawn.iter().map(|(at, text)| (*at, text.as_str())).collect();
        assert_eq!(drawn, [(0, ""), (4, "├─"), (1, "└─"), (3, "  ├─"), (2, "  └─"), (5, "")]);
    }
}
