//! `top`: the host's ps(1), its lines limited to the container's processes, as Docker does. A class with a kernel of
//! its own is asked instead.

use std::process::Command;

use super::{ProcessTable, QueryError, own_top};
use crate::Engine;

impl Engine {
    /// The container's processes: Docker's columns (`-ef`), or those of `ps` with other arguments.
    pub fn top(&self, name: &str, ps_arguments: &[String]) -> Result<ProcessTable, QueryError> {
        let container = self.find(name)?;
        if !self.peek(&container)?.is_live() {
            return Err(QueryError::NotRunning(container.id));
        }
        let record = container.record()?;
        let (runtime, id) = (self.backend.runtime(record.isolation, &self.directories)?, container.sandbox_id()?);
        if let Some(processes) = runtime.own_processes(&id)? {
            return own_top::table(&processes, ps_arguments);
        }
        let pids = runtime.processes(&id)?;
        table(&run_ps(ps_arguments)?, &pids)
    }
}

/// What ps(1) prints about every process.
fn run_ps(arguments: &[String]) -> Result<String, QueryError> {
    let default = ["-ef".to_owned()];
    let arguments = if arguments.is_empty() { &default } else { arguments };
    let output = Command::new("ps").args(arguments).output().map_err(|error| QueryError::Ps(format!("ps: {error}")))?;
    if !output.status.success() {
        return Err(QueryError::Ps(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The lines of these processes. The last column may have spaces.
fn table(text: &str, pids: &[u32]) -> Result<ProcessTable, QueryError> {
    let mut lines = text.lines();
    let titles: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let pid_column = titles.iter().position(|title| title == "PID");
    let pid_column = pid_column.ok_or_else(|| QueryError::Ps("Couldn't find PID field in ps output".to_owned()))?;
    let is_ours = |row: &Vec<String>| {
        row.get(pid_column).and_then(|pid| pid.parse().ok()).is_some_and(|pid: u32| pids.contains(&pid))
    };
    let processes = lines.map(|line| columns(line, titles.len())).filter(is_ours).collect();
    Ok(ProcessTable { titles, processes })
}

/// At most so many columns; the last takes the rest of the line.
fn columns(line: &str, count: usize) -> Vec<String> {
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut columns: Vec<String> = words.by_ref().take(count.saturating_sub(1)).collect();
    let rest: Vec<String> = words.collect();
    if !rest.is_empty() {
        columns.push(rest.join(" "));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_some_processes() {
        let text = "UID   PID CMD\nroot    1 init\nroot   42 sleep 10 s\nroot  142 x\n";
        let table = table(text, &[42]).unwrap();
        assert_eq!(table.titles, ["UID", "PID", "CMD"]);
        assert_eq!(table.processes, [["root", "42", "sleep 10 s"]]);
        assert!(super::table("A B\n", &[]).is_err());
    }
}
