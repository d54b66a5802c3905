//! Docker's flags that this build lacks: known, so that each is refused by name with what is missing.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// Collects the first flag that this build lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaterFlags {
    refused: Option<String>,
}

struct Later {
    short: Option<char>,
    long: &'static str,
    takes: ArgAction,
    missing: &'static str,
}

const fn later(long: &'static str, missing: &'static str) -> Later {
    Later { short: None, long, takes: ArgAction::Append, missing }
}

const fn switch(long: &'static str, missing: &'static str) -> Later {
    Later { short: None, long, takes: ArgAction::SetTrue, missing }
}

const PORTS: &str = "published ports need container networks, which this build lacks: use --network host";
const NETWORKS: &str = "container networks are not in this build: use --network none, host, container:ID or ns:PATH";
const HEALTH: &str = "health checks are not in this build";
const LACKING: &str = "this build cannot do it";

const LATER: [Later; 29] = [
    Later { short: Some('p'), ..later("publish", PORTS) },
    Later { short: Some('P'), ..switch("publish-all", PORTS) },
    later("expose", PORTS),
    later("link", NETWORKS),
    later("network-alias", NETWORKS),
    later("net-alias", NETWORKS),
    later("ip", NETWORKS),
    later("ip6", NETWORKS),
    later("mac-address", NETWORKS),
    later("restart", "restart policies are not in this build"),
    later("health-cmd", HEALTH),
    later("health-interval", HEALTH),
    later("health-retries", HEALTH),
    later("health-start-period", HEALTH),
    later("health-start-interval", HEALTH),
    later("health-timeout", HEALTH),
    switch("init", "this build has no init to inject: put one into the image"),
    later("volumes-from", LACKING),
    later("volume-driver", "this build keeps volumes in its data directory only"),
    later("storage-opt", LACKING),
    later("userns", "user namespaces for people's containers are not in this build"),
    later("gpus", LACKING),
    later("runtime", "choose an isolation class instead: --isolation"),
    later("link-local-ip", NETWORKS),
    later("device-read-bps", LACKING),
    later("device-read-iops", LACKING),
    later("device-write-bps", LACKING),
    later("device-write-iops", LACKING),
    later("blkio-weight-device", LACKING),
];

impl Later {
    fn argument(&self) -> Arg {
        let argument = Arg::new(self.long).long(self.long).action(self.takes.clone()).hide(true);
        match self.short {
            Some(short) => argument.short(short),
            None => argument,
        }
    }

    fn refused_by(&self, matches: &mut ArgMatches) -> Option<String> {
        let given = match self.takes {
            ArgAction::Append => matches.remove_many::<String>(self.long).map(Iterator::collect::<Vec<_>>),
            _ => matches.remove_one::<bool>(self.long).filter(|&on| on).map(|_| Vec::new()),
        }?;
        let harmless = self.long == "restart" && given.iter().all(|policy| policy == "no");
        (!harmless).then(|| format!("--{}: {}", self.long, self.missing))
    }
}

impl LaterFlags {
    /// What is missing, if a flag asked for it.
    pub fn check(&self) -> Result<(), String> {
        self.refused.clone().map_or(Ok(()), Err)
    }
}

impl Args for LaterFlags {
    fn augment_args(command: Command) -> Command {
        command.args(LATER.iter().map(Later::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LaterFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        Ok(Self { refused: LATER.iter().find_map(|later| later.refused_by(matches)) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
