//! `state`, `list` and `ps`.

use std::collections::BTreeSet;
use std::process::Command;

use serde::Serialize;
use stockade_engine::own_process_table;
use stockade_sandbox::{ContainerId, ContainerState, Error, Result, Runtime};

use super::grammar::{List, OutputFormat, Ps};
use super::out;
use crate::{format, human};

/// `state`: one object, indented.
pub fn state(runtime: &dyn Runtime, id: &ContainerId) -> Result<i32> {
    out::line(&pretty(&runtime.state(id)?)?)
}

/// `list`.
pub fn list(runtime: &dyn Runtime, args: &List) -> Result<i32> {
    let states = runtime.list()?;
    if args.quiet {
        let ids: String = states.iter().map(|state| format!("{}\n", state.id)).collect();
        return out::text(&ids);
    }
    match args.format {
        OutputFormat::Json => out::line(&serde_json::to_string(&states).map_err(out::unserialisable)?),
        OutputFormat::Table => out::text(&table(&states)),
    }
}

/// `ps`: the lines of the host's ps(1) that are of the container, or what its own kernel says; or its host pids.
pub fn ps(runtime: &dyn Runtime, args: &Ps) -> Result<i32> {
    let (id, options) = args.words.split_first().ok_or_else(|| Error::Other("a container ID is needed".to_owned()))?;
    let id: ContainerId = id.parse().map_err(|_| Error::Other("invalid container ID format".to_owned()))?;
    if args.format == OutputFormat::Table
        && let Some(own) = runtime.own_processes(&id)?
    {
        let table = own_process_table(&own, options).map_err(|error| Error::Other(error.to_string()))?;
        let line = |cells: &Vec<String>| cells.iter().map(|cell| human::plain(cell)).collect::<Vec<_>>().join("\t");
        let lines: Vec<String> = std::iter::once(&table.titles).chain(&table.processes).map(line).collect();
        return out::text(&format::align(&lines));
    }
    let pids = runtime.processes(&id)?;
    match args.format {
        OutputFormat::Json => out::line(&serde_json::to_string(&pids).map_err(out::unserialisable)?),
        OutputFormat::Table => out::text(&select(&host_ps(options)?, &pids.into_iter().collect())?),
    }
}

fn host_ps(options: &[String]) -> Result<String> {
    let default = ["-ef".to_owned()];
    let options = if options.is_empty() { &default } else { options };
    let output = Command::new("ps").args(options).output().map_err(|e| Error::os("run ps", e))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(Error::Other(text(&output.stderr))) }
}

/// The title line and the lines whose PID column is one of `pids`.
fn select(table: &str, pids: &BTreeSet<u32>) -> Result<String> {
    let title = table.lines().next().unwrap_or_default();
    let column = title.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| Error::Other("couldn't find PID field in ps output".to_owned()))?;
    let pid = |line: &str| line.split_whitespace().nth(column).and_then(|field| field.parse::<u32>().ok());
    let lines = table.lines().skip(1).filter(|line| pid(line).is_some_and(|pid| pids.contains(&pid)));
    Ok(std::iter::once(title).chain(lines).map(|line| format!("{line}\n")).collect())
}

/// Columns as runc sets them: at least 12 wide, 3 blanks between.
fn table(states: &[ContainerState]) -> String {
    let title = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(title).chain(states.iter().map(row)).collect();
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len() + 3).max().unwrap_or(0).max(12));
    rows.iter().map(|row| align(row, &widths)).collect()
}

fn row(state: &ContainerState) -> [String; 6] {
    let bundle = state.bundle.display().to_string();
    let (id, pid, status) = (state.id.to_string(), state.pid.to_string(), state.status.to_string());
    [id, pid, status, bundle, state.created.clone(), state.owner.clone()]
}

fn align(row: &[String; 6], widths: &[usize; 6]) -> String {
    let cells = row.iter().zip(widths).take(5).map(|(cell, width)| format!("{cell:width$}"));
    format!("{}{}\n", cells.collect::<String>(), row[5])
}

fn pretty(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(out::unserialisable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PS: &str =
        "UID        PID  PPID CMD\nroot        10     1 init\nroot        11    10 sh -c 12\nroot        12    10 x\n";

    #[test]
    fn only_lines_of_the_container_are_kept() {
        let selected = select(PS, &BTreeSet::from([10, 12])).unwrap();
        assert_eq!(selected, "UID        PID  PPID CMD\nroot        10     1 init\nroot        12    10 x\n");
        assert!(select("COMMAND\nx\n", &BTreeSet::new()).is_err());
    }

    #[test]
    fn an_empty_table_is_a_title() {
        assert_eq!(table(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }
}
