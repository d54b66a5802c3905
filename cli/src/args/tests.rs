//! The grammar by examples.

use super::*;

fn parsed(line: &str) -> Result<Verb, String> {
    let words: Vec<OsString> = format!("stockade {line}").split_whitespace().map(Into::into).collect();
    let all = parse_by_all(&words);
    if let Some(alone) = alone::parse(&words) {
        assert_eq!(format!("{:?}", all.as_ref().ok()), format!("{:?}", Some(alone)), "{line}");
    }
    all.map(|cli| cli.verb).map_err(|error| error.to_string())
}

fn run(line: &str) -> RunArgs {
    match parsed(&format!("run {line}")) {
        Ok(Verb::On(OnContainers::Run(args))) => *args,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str, expected: &str) {
    let error = parsed(line).err().unwrap_or_else(|| panic!("{line} was accepted"));
    assert!(error.contains(expected), "{line}: {error}");
}

#[test]
fn the_grammar_is_sound() {
    command().debug_assert();
}

#[test]
fn frequent_verbs_are_parsed_by_themselves() {
    let is_alone = |line: &str| alone::parse(&line.split(' ').map(Into::into).collect::<Vec<_>>()).is_some();
    assert!(is_alone("stockade run -h host busybox") && is_alone("stockade exec -it web sh -c id"));
    assert!(is_alone("stockade vmm --no-api --config-file f --id a --id b"));
    assert!(is_alone("stockade --root r --state=s -l debug run --rm busybox true") && is_alone("stockade -D exec a b"));
    for line in ["stockade", "stockade ps", "stockade run --help", "stockade exec -h", "stockade vmm --no-api"] {
        assert!(!is_alone(line), "{line}");
    }
    for line in
        ["stockade rm run", "stockade --root run ps", "stockade --bogus run busybox", "stockade run", "stockade -h"]
    {
        assert!(!is_alone(line), "{line}");
    }
}

#[test]
fn flags_end_at_the_image() {
    let args = run("-it --rm -e A=1 --env=B busybox sh -c true --rm -- x");
    assert!(
        args.create.flags.init.process.interactive && args.create.flags.init.process.tty && args.create.flags.keep.rm
    );
    assert_eq!(args.create.flags.init.process.env, ["A=1", "B"]);
    assert_eq!(args.create.image_and_command, ["busybox", "sh", "-c", "true", "--rm", "--", "x"]);
    let args = run("--entrypoint sh busybox -c true");
    assert_eq!(args.create.image_and_command, ["busybox", "-c", "true"]);
    assert_eq!(args.create.flags.limits.cpu_shares, None);
}

#[test]
fn switches_take_values_and_repeats_as_in_go() {
    assert!(!run("--rm=false busybox").create.flags.keep.rm);
    assert!(run("--rm=false --rm busybox").create.flags.keep.rm);
    assert!(run("-d=true busybox").detach);
    assert!(!run("--sig-proxy=false busybox").session.sig_proxy);
    assert_eq!(run("--name a --name=b busybox").create.flags.keep.name.as_deref(), Some("b"));
    assert_eq!(run("-m512m busybox").create.flags.limits.memory, Some(512 << 20));
    assert_eq!(run("--memory-swap -1 busybox").create.flags.limits.memory_swap, Some(-1));
    assert_eq!(run("-h web busybox").create.flags.network.hostname.as_deref(), Some("web"));
}

#[test]
fn verbs_and_aliases() {
    for line in [
        "ps -aq --no-trunc --filter status=exited",
        "ls -n 3",
        "container ls -l",
        "container prune -f",
        "exec -it web sh -c true",
        "logs -f --tail 10 --since 1m -t web",
        "stop -t 3 a b",
        "stop --timeout -1 a",
        "kill -s USR1 a",
        "image ls --digests",
        "images --filter dangling=true --format json",
        "image rm -f a b",
        "rmi a",
        "image prune -af",
        "pull -q debian:bookworm",
        "inspect -f {{.Id}} --type image a",
        "top web -o pid",
        "stats --no-stream",
        "update --memory 64m -c 512 web",
        "events --since 10m --filter type=container",
        "image import -m note rootfs.tar x:y",
        "save -o f a b",
        "load oci:dir:tag",
        "version --format json",
        "completion fish",
        "--root /r --state /s --config /c -D --log-format json ps",
    ] {
        if let Err(error) = parsed(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn mistakes_are_refused_with_a_hint() {
    refused("inspct busybox", "inspect");
    refused("run --naem x busybox", "--name");
    refused("run", "required");
    refused("run --memory lots busybox", "invalid size");
    refused("run --network bridge busybox", "container networks are not in this build");
    refused("run --isolation xen busybox", "choose native, kernel or vm");
    refused("run --ulimit nofiles=1 busybox", "nofiles");
    refused("exec web", "values");
    refused("kill -s NOPE web", "NOPE");
}

#[test]
fn what_this_build_lacks_is_named() {
    let missing = |line: &str| run(line).create.flags.later.check();
    assert!(missing("-p 80:80 busybox").unwrap_err().starts_with("--publish: published ports need"));
    assert!(missing("-P busybox").unwrap_err().starts_with("--publish-all:"));
    assert!(missing("--restart always busybox").unwrap_err().contains("restart policies"));
    assert!(missing("--health-cmd true busybox").unwrap_err().contains("health checks"));
    assert!(missing("--restart no busybox").is_ok());
    assert!(missing("--init=false busybox").is_ok());
}
