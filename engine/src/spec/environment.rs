//! The environment of the init and of exec'd processes.

use crate::state::Record;

/// Docker's default search path.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The init's: defaults, then the image's, then what was asked for. `HOME` is the class's: it knows the user.
pub(super) fn init(record: &Record) -> Vec<String> {
    let mut environment = vec![PATH.to_owned(), format!("HOSTNAME={}", record.hostname())];
    if record.options.tty {
        environment.push("TERM=xterm".to_owned());
    }
    let image = record.image.config.env().iter().flatten();
    image.chain(&record.options.env).for_each(|variable| set(&mut environment, variable));
    environment
}

/// An exec's: the init's, a terminal type, then what was asked for.
pub(super) fn exec(record: &Record, variables: &[String], tty: bool) -> Vec<String> {
    let mut environment = init(record);
    if tty && !record.options.tty {
        set(&mut environment, "TERM=xterm");
    }
    variables.iter().for_each(|variable| set(&mut environment, variable));
    environment
}

/// Sets or replaces one `NAME=value`; a bare `NAME` removes it.
fn set(environment: &mut Vec<String>, variable: &str) {
    let (name, value) = variable.split_once('=').map_or((variable, None), |(name, value)| (name, Some(value)));
    let position = environment.iter().position(|known| known.split('=').next() == Some(name));
    match (position, value) {
        (Some(position), Some(_)) => variable.clone_into(&mut environment[position]),
        (Some(position), None) => drop(environment.remove(position)),
        (None, Some(_)) => environment.push(variable.to_owned()),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::tests::record;
    use super::*;
    use crate::ContainerOptions;

    #[test]
    fn later_ones_win() {
        let check = |tty: bool, image: &[&str], asked: &[&str], expected: &[&str]| {
            let words = |list: &[&str]| -> Vec<String> { list.iter().map(|word| (*word).to_owned()).collect() };
            let options = ContainerOptions { tty, env: words(asked), hostname: Some("h".into()), ..Default::default() };
            let mut record = record(options);
            record.image.config.set_env(Some(words(image)));
            assert_eq!(init(&record), words(expected));
        };
        check(false, &[], &[], &[PATH, "HOSTNAME=h"]);
        check(true, &[], &[], &[PATH, "HOSTNAME=h", "TERM=xterm"]);
        check(false, &["PATH=/x", "A=1"], &["A=2", "B=3"], &["PATH=/x", "HOSTNAME=h", "A=2", "B=3"]);
        check(false, &["A=1"], &["A"], &[PATH, "HOSTNAME=h"]);
        check(false, &["A=1=2"], &["B="], &[PATH, "HOSTNAME=h", "A=1=2", "B="]);
    }
}
