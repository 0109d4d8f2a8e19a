//! CPU time of a process, from `/proc`.

use std::time::Duration;

use anyhow::Context;

/// User and system time of all threads of process `pid` so far; ended ones included.
pub fn time_of(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let ticks = ticks(&text).with_context(|| format!("{path}: not as expected"))?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_nanos(ticks * 1_000_000_000 / per_second))
}

/// Fields 14 and 15; the name in field 2 may hold anything, so that counting begins behind it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a ) b (c) S 1 7 7 0 -1 4194560 2 0 0 0 123 45 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(168));
        assert_eq!(ticks("7"), None);
        time_of(std::process::id()).unwrap();
    }
}
