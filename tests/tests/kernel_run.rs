//! Class `kernel`: the same command says and returns the same as in class `native`.

mod kernel;

use kernel::{BUSYBOX, DEBIAN, Kernel};

#[test]
fn shells() {
    Kernel::new(DEBIAN).same_scripts(
        "bash",
        &[
            "echo out; echo err >&2; exit 3",
            "eval \"echo piped $(printf '| cat %.0s' {1..50})\"",
            "cat <<END\nhere $((2**40 % 7)) ${PATH//:/ }\nEND",
            "cat <<<string; echo {a..e}{1,2} $'tab\\t'",
            "cd /etc; echo *.conf [a-c]* p?m.d; shopt -s extglob; echo !(*o*)",
            "(exit 5); echo $?; (cd /usr; pwd); pwd; { echo group; } | tr a-z A-Z",
            "exec 3>x; echo hi >&3; exec 3>&-; cat x; exec 4<x; read -u 4 line; echo $line",
            "exec 5<>rw; echo abc >&5; cat rw; echo more >>rw; wc -c <rw; : >|rw; wc -c <rw",
            "coproc cat; echo hi >&${COPROC[1]}; read x <&${COPROC[0]}; echo $x",
            "mkfifo p; (echo through >p) & cat p; wait",
            "a=(1 2 3); declare -A m=([k]=v); echo ${a[@]:1} ${#a[@]} ${m[k]} ${a[-1]}",
            "f() { local x=1; return 4; }; f; echo $?; type f | head -1; set -e; false; echo never",
            "printf '#!/bin/bash\\necho script $0 $1\\n' >s; chmod +x s; ./s a; printf 'echo no line\\n' >t; bash t",
            "printf '#!/no/such\\n' >s; chmod +x s; ./s; echo $?; ./absent; echo $?; /etc; echo $?; /etc/passwd; echo $?",
            "for i in {1..50}; do (echo $i) & done | sort -n | md5sum; wait; echo all",
            "for i in {1..100}; do /bin/true || echo failed; done; echo done",
            "times | wc -l; umask 027; umask; ulimit -s; ulimit -c",
            "env -i A=1 /usr/bin/env; env -i bash -c 'echo $PATH'; echo $$ $PPID $UID; id",
        ],
    );
}

#[test]
fn signals_and_exit_codes() {
    let kernel = Kernel::new(DEBIAN);
    kernel.same_scripts(
        "bash",
        &[
            "trap 'echo got term' TERM; kill -TERM $$; echo after",
            "trap 'echo exit' EXIT; exit 3",
            "trap '' INT; kill -INT $$; echo ignored; trap - INT; trap",
            "trap 'echo usr1' USR1; for i in 1 2 3; do kill -USR1 $$; done; (kill -USR1 $$); echo end",
            "trap 'echo chld' CHLD; /bin/true; echo end",
            "sleep 100 & kill $!; wait $!; echo $?",
            "sleep 100 & kill -9 $!; wait $!; echo $?; kill -0 $!",
            "sleep 100 & kill -STOP $!; kill -CONT $!; kill -HUP $!; wait $!; echo $?",
            "bash -c 'kill -ABRT $$'; echo $?; bash -c 'kill -SEGV $$'; echo $?; bash -c 'kill -PIPE $$'; echo $?",
            "timeout 0.2 sleep 5; echo $?; timeout -s KILL 0.2 sleep 5; echo $?; timeout 5 true; echo $?",
            "timeout 0.2 bash -c 'while :; do :; done'; echo $?",
            "set -m; sleep 0.1 & jobs; wait; echo done; (kill -STOP $BASHPID; echo resumed) & wait -n; jobs; fg; echo $?",
            "yes | head -2; echo ${PIPESTATUS[@]}; (trap '' PIPE; yes 2>&1) | head -1",
            "(ulimit -f 1; head -c 4096 /dev/zero >q; echo $?; stat -c %s q)",
            "(sleep 0.3; echo late) & disown; sleep 0.6; echo end",
            "(perl -e 'sleep 1 while getppid != 1; print \"orphan\\n\"' &); sleep 1.5",
            "kill -l 9 15 TERM; kill 99999; kill -99 $$; echo $?",
            "perl -e 'kill 9, $$'; echo $?; perl -e '$SIG{ALRM} = sub { print \"alarm\\n\"; exit 2 }; alarm 1; sleep 5'; echo $?",
        ],
    );
    for (script, code) in
        [("exit 3", 3), ("kill -9 $$; exit 5", 5), ("kill -TERM $$; sleep 1; exit 4", 4), ("no_such", 127)]
    {
        assert_eq!(kernel.same(&[], &["bash", "-c", script]).code, code, "{script}");
    }
    for command in ["no-such-program", "/no/such", "/etc", "/etc/passwd"] {
        kernel.same(&[], &[command]);
    }
}

#[test]
fn text_tools() {
    Kernel::new(DEBIAN).same_scripts(
        "bash",
        &[
            "seq 1 100000 | sort -rn | head -3; seq 100000 | sort -R | sort -n | md5sum",
            "seq 1000 | awk '{s += $1} END {print s; printf \"%.3f\\n\", s / NR}'; awk -F: '{print $1, $3}' /etc/passwd",
            "sed -n '1,3p;$p' /etc/passwd; sed 's/\\(.*\\):x:/\\1!/' /etc/group | head -3; sed -i s/a/b/ /dev/null; echo $?",
            "cp /etc/passwd p; sed -i 's/root/toor/g' p; grep -n toor p; grep -c : p; grep -rl bash /etc/passwd /etc/shells",
            "grep -E '^(root|daemon):' /etc/passwd; grep -vc nologin /etc/passwd; echo abc | grep -o b; grep x /no/such; echo $?",
            "cut -d: -f1,7 /etc/passwd | tr : ' ' | sort | uniq -c | sort -rn | head -3",
            "echo hello | md5sum; echo hello | sha256sum; echo hello | base64; echo hello | od -c; cksum /etc/passwd",
            "printf '%s\\n' c b a | sort; printf '10\\n9\\n' | sort -n; sort -k2 <<<$'a 2\\nb 1'; shuf -i 1-9 | sort -n | tr -d '\\n'",
            "head -c 5 /etc/passwd; tail -n 2 /etc/passwd; tail -c 5 /etc/passwd; wc /etc/passwd; split -l 5 /etc/passwd x; ls",
            "date -u -d @86400 +%F; date -u -d '2020-02-28 + 2 days' +%F; TZ=America/New_York date -d @0 +%H; cal 2>&1 | wc -l",
            "expr 7 \\* 6; factor 360; test 3 -gt 2 && echo yes; [ -d /etc -a -r /etc/passwd ]; echo $?; numfmt --to=iec 1048576",
            "yes | head -c 10M | md5sum; head -c 100000 /dev/urandom | wc -c; dd if=/dev/zero bs=1M count=16 2>/dev/null | md5sum",
            "tar cf - -C / etc 2>/dev/null | tar tf - | sort | md5sum; tar czf a.tgz -C / etc; mkdir x; tar xzf a.tgz -C x; diff -r /etc x/etc; echo $?",
            "gzip -c /etc/passwd | gunzip | cmp - /etc/passwd; echo $?; seq 100000 | gzip -9 | gzip -dc | md5sum; seq 9 | gzip | wc -c",
            "find /etc -maxdepth 1 -name '*.conf' -type f | sort; find /usr/bin -type l -lname '*awk*' | sort; find / -xdev -type d -empty 2>&1 | sort | head -5",
            "touch a b; find . -newer /etc/passwd -type f -print0 | xargs -0 ls; find . -name a -delete; find . -exec echo {} +; find . -size 0",
            "nproc | grep -c .; uname -sm; arch; getconf PAGESIZE; hostname; whoami; tty; echo $?; logname; echo $?",
        ],
    );
}

#[test]
fn perl_programs() {
    Kernel::new(DEBIAN).same_scripts(
        "bash",
        &[
            "perl -e 'print join(\",\", map { $_ * 2 } 1..5), \"\\n\"; exit 4'",
            "perl -e 'for (1..50) { my $p = fork; exit($_ % 3) if !$p; waitpid $p, 0; $s += $? >> 8 } print \"$s\\n\"'",
            "perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0) or die $!; if (!fork) { syswrite A, \"hello\"; exit } sysread B, $x, 10; print \"$x\\n\"; wait; print $?, \"\\n\"'",
            "perl -e 'pipe R, W; if (!fork) { close R; print W \"line $_\\n\" for 1..1000; exit } close W; while (<R>) { $n++ } print \"$n\\n\"'",
            "perl -e 'open F, \">\", \"f\"; print F \"x\" x 100000; close F; print -s \"f\", \"\\n\"; rename \"f\", \"g\"; print -e \"f\" ? 1 : 0, \"\\n\"; truncate \"g\", 10; print -s \"g\", \"\\n\"'",
            "perl -e '$SIG{INT} = sub { print \"int\\n\" }; kill INT => $$; $SIG{CHLD} = sub { wait; print \"chld\\n\" }; exit 0 if !fork; sleep 2; print \"end\\n\"'",
            "perl -e '$| = 1; my $r = select undef, undef, undef, 0.05; print \"$r\\n\"; my @t = times; print scalar @t, \"\\n\"; print getppid > 0, \"\\n\"'",
            "perl -e 'my %h = map { $_ => 1 } 1..50000; print scalar(keys %h), \"\\n\"; my $s = \"a\" x 20_000_000; print length $s, \"\\n\"; system \"exit 3\"; print $? >> 8, \"\\n\"; print `echo back`'",
            "perl -MPOSIX -e 'print POSIX::getpid() == $$, POSIX::ttyname(0), \"\\n\"; my ($r, $w) = POSIX::pipe(); POSIX::write($w, \"abc\", 3); POSIX::read($r, my $b, 3); print \"$b\\n\"; printf \"%d\\n\", POSIX::sysconf(_SC_PAGESIZE)'",
            "perl -MTime::HiRes=usleep,time -e 'my $t = time; usleep 50000; my $d = time - $t; print $d >= 0.05 && $d < 5 ? \"ok\\n\" : \"$d\\n\"'",
            "perl -MFcntl=:flock -e 'open F, \">\", \"l\"; flock F, LOCK_EX; if (!fork) { open G, \">\", \"l\"; print flock(G, LOCK_EX | LOCK_NB) ? \"got\\n\" : \"busy $!\\n\"; exit } wait'",
            "perl -e 'opendir D, \"/etc\"; print scalar(grep { /conf/ } readdir D), \"\\n\"; print join(\" \", (stat \"/etc/passwd\")[2, 3, 4, 5, 7]), \"\\n\"; mkdir \"d\", 0700; rmdir \"d\" or print $!; print -d \"d\" ? 1 : 0, \"\\n\"'",
            "perl -e 'open P, \"-|\", \"cat /etc/passwd\"; @l = <P>; close P; print scalar @l, \" $?\\n\"; open P, \"|-\", \"tr a-z A-Z\"; print P \"up\\n\"; close P; exec \"echo\", \"replaced\"'",
            "perl -e '$0 = \"renamed\"; $x = eval { die \"caught\\n\" }; print $@; local $SIG{__DIE__}; my $d = 1 / 0'; echo $?",
        ],
    );
}

#[test]
fn busybox_applets() {
    Kernel::new(BUSYBOX).same_scripts(
        "sh",
        &[
            "ls /bin | wc -l; busybox --list | md5sum; echo $0; pwd; id; whoami",
            "seq 1 5 | while read n; do echo $((n * n)); done; for i in a b; do echo $i; done; case x in x) echo case;; esac",
            "echo hello | md5sum; echo hello | sha1sum; echo hello | sha512sum; seq 1000 | cksum; echo hello | hexdump -C",
            "mkdir -p a/b; touch a/b/c; ls -R a; mv a z; find z | sort; rm -r z; ls; rmdir none; echo $?",
            "echo x >f; cp f g; ln f h; ln -s f s; ls -l | tr -s ' ' | cut -d' ' -f1,2,5,9-; readlink s; stat -c '%h %s %F' f; cmp f g",
            "dd if=/dev/zero of=z bs=1k count=100 2>/dev/null; du z; wc -c z; gzip z; gunzip z.gz; md5sum z; truncate -s 5 z; od z",
            "printf 'b\\na\\n' | sort; uniq -c </etc/passwd | head -1; cut -d: -f1 /etc/passwd; awk -F: '{print $3}' /etc/passwd; sed s/o/0/ /etc/passwd",
            "tar cf t.tar /etc 2>/dev/null; tar tf t.tar | sort; mkdir x; tar xf t.tar -C x; diff -r /etc x/etc; echo $?; seq 9 | tac; seq 5 | rev",
            "sleep 0.1; usleep 1000; date -u -d @0; expr 6 \\* 7; factor 12; test -f /etc/passwd; echo $?; basename /a/b.c .c; dirname /a/b",
            "sh -c 'kill -9 $$'; echo $?; (sleep 10 & kill $!; wait $!; echo $?) 2>&1 | tail -1; timeout 1 sleep 5; echo $?; trap 'echo t' TERM; kill $$; echo e",
            "echo a | tee b c; cat b c; head -c 3 /dev/zero | xxd; env -i A=1 env; xargs -n1 echo <b; yes | head -3; nice -n 5 nice; mktemp -u | wc -c",
            "uname -s; hostname; nproc | grep -c .; umask; ulimit -c; mkfifo p; (echo fifo >p) & cat p; wait; mknod n p; stat -c %F n; ps | head -1",
        ],
    );
}

#[test]
fn streams() {
    let kernel = Kernel::new(DEBIAN);
    kernel.same_with_input(&["-i"], &["cat"], "typed");
    kernel.same_with_input(&[], &["cat"], "ignored");
    kernel.same_with_input(&["-i"], &["md5sum"], &"0123456789abcde\n".repeat(100_000));
    kernel.same_with_input(&["-i"], &["bash", "-c", "read a; read b; echo $b $a; cat"], "1\n2\nrest\n");
    let output = kernel.run(&[], &["seq", "1", "200000"]).ok().stdout;
    assert!(output.lines().enumerate().all(|(n, line)| line == (n + 1).to_string()));
    assert_eq!(output.lines().count(), 200_000);
    kernel.same(&[], &["bash", "-c", "echo out; echo err >&2; echo out again; exit 9"]);
}
