perl -e 'print join(",", map { $_ * 2 } 1..5), "\n"; exit 4'

perl -e 'for (1..50) { my $p = fork; exit($_ % 3) if !$p; waitpid $p, 0; $s += $? >> 8 } print "$s\n"'

perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0) or die $!;
if (!fork) { syswrite A, "hello"; exit } sysread B, $x, 10; print "$x\n"; wait; print $?, "\n"'

perl -e 'pipe R, W; if (!fork) { close R; print W "line $_\n" for 1..1000; exit } close W;
while (<R>) { $n++ } print "$n\n"'

perl -e 'open F, ">", "f"; print F "x" x 100000; close F; print -s "f", "\n"; rename "f", "g";
print -e "f" ? 1 : 0, "\n"; truncate "g", 10; print -s "g", "\n"'

perl -e '$SIG{INT} = sub { print "int\n" }; kill INT => $$; $SIG{CHLD} = sub { wait;
print "chld\n"; $gone = 1 }; exit 0 if !fork; sleep 1 until $gone; print "end\n"'

perl -e '$| = 1; my $r = select undef, undef, undef, 0.05; print "$r\n"; my @t = times;
print scalar @t, "\n"; print getppid > 0, "\n"'

perl -e 'my %h = map { $_ => 1 } 1..50000; print scalar(keys %h), "\n"; my $s = "a" x 20_000_000;
print length $s, "\n"; system "exit 3"; print $? >> 8, "\n"; print `echo back`'

perl -MPOSIX -e 'print POSIX::getpid() == $$, POSIX::ttyname(0), "\n"; my ($r, $w) = POSIX::pipe();
POSIX::write($w, "abc", 3); POSIX::read($r, my $b, 3); print "$b\n";
printf "%d\n", POSIX::sysconf(_SC_PAGESIZE)'

perl -MTime::HiRes=usleep,time -e 'my $t = time; usleep 50000; my $d = time - $t;
print $d >= 0.05 && $d < 60 ? "ok\n" : "$d\n"'

perl -MFcntl=:flock -e 'open F, ">", "l"; flock F, LOCK_EX; if (!fork) { open G, ">", "l";
print flock(G, LOCK_EX | LOCK_NB) ? "got\n" : "busy $!\n"; exit } wait'

perl -e 'opendir D, "/etc"; print scalar(grep { /conf/ } readdir D), "\n";
print join(" ", (stat "/etc/passwd")[2, 3, 4, 5, 7]), "\n"; mkdir "d", 0700; rmdir "d" or print $!;
print -d "d" ? 1 : 0, "\n"'

perl -e 'open P, "-|", "cat /etc/passwd"; @l = <P>; close P; print scalar @l, " $?\n";
open P, "|-", "tr a-z A-Z"; print P "up\n"; close P; exec "echo", "replaced"'

perl -e '$0 = "renamed"; $x = eval { die "caught\n" }; print $@; local $SIG{__DIE__}; my $d = 1 / 0'; echo $?
