# Perl's modules over the system: processes, signals, sockets, System V IPC, files, threads.
use strict;
use warnings;
use POSIX qw(:signal_h :sys_wait_h setsid pause);
use Socket qw(:all);
use IO::Handle;
use IO::Pipe;
use IO::Poll;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use IPC::Open2;
use IPC::Open3;
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_RMID GETVAL);
use Time::HiRes qw(setitimer ualarm usleep ITIMER_REAL);
use File::Copy;
use File::Find;
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use File::stat;
use Fcntl qw(:DEFAULT :seek);
use Storable qw(lock_store lock_retrieve);
use Digest::SHA qw(sha256_hex);
use Tie::File;
use threads;
use threads::shared;
use Thread::Queue;

$| = 1;
my $dir = tempdir(CLEANUP => 1);
chdir $dir or die;

sub section { print "== @_\n" }

# Runs a block in a process of its own.
sub child(&) {
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    my $status = $_[0]->();
    POSIX::_exit($status // 0);
}

section 'processes';
my @children = map { my $n = $_; child { $n } } 1 .. 20;
print join(' ', map { waitpid $_, 0; $? >> 8 } @children), "\n";
my $killed = child { pause };
kill KILL => $killed;
waitpid $killed, 0;
print WTERMSIG($?), "\n";
my $stopped = child { kill STOP => $$; 6 };
print waitpid($stopped, WUNTRACED) == $stopped ? "stopped\n" : "not stopped: $?\n";
kill CONT => $stopped;
waitpid $stopped, 0;
print $? >> 8, "\n";
waitpid child { setsid; getpgrp == $$ ? 0 : 1 }, 0;
print "$?\n";
my $pid = open3(my $in, my $out, undef, 'sh', '-c', 'cat; echo err >&2; exit 9');
print $in "through\n";
close $in;
print sort <$out>;
waitpid $pid, 0;
print $? >> 8, "\n";
$pid = open2(my $read, my $write, 'tr', 'a-z', 'A-Z');
print $write "upper\n";
close $write;
print <$read>;
waitpid $pid, 0;
print waitpid(-1, WNOHANG), ' ', $!{ECHILD} ? 'ECHILD' : $!, "\n";

section 'signals';
my @seen;
my $set = POSIX::SigSet->new(SIGUSR1, SIGUSR2);
my $action = POSIX::SigAction->new(sub { push @seen, $_[0] }, POSIX::SigSet->new, SA_SIGINFO);
sigaction($_, $action) for SIGUSR1, SIGUSR2;
sigprocmask(SIG_BLOCK, $set);
kill $_ => $$ for qw(USR2 USR1 USR1);
my $pending = POSIX::SigSet->new;
sigpending($pending);
print $pending->ismember(SIGUSR1), $pending->ismember(SIGTERM), "\n";
sigprocmask(SIG_UNBLOCK, $set);
print join(' ', sort @seen), "\n";
my $ticks = 0;
{
    local $SIG{ALRM} = sub { $ticks++ };
    setitimer(ITIMER_REAL, 0.02, 0.02);
    select undef, undef, undef, 1 while $ticks < 5;
    setitimer(ITIMER_REAL, 0);
}
pipe(my $silent, my $unused) or die;
eval {
    local $SIG{ALRM} = sub { die "timeout\n" };
    ualarm 50_000;
    sysread $silent, my $byte, 1;
};
print "$@";
my $reaped = 0;
{
    local $SIG{CHLD} = sub { $reaped++ while waitpid(-1, WNOHANG) > 0 };
    child { 0 } for 1 .. 10;
    usleep 20_000 while $reaped < 10;
}
print "$reaped\n";

section 'sockets';

# Answers eight clients in capitals, all at the same time.
sub serve {
    my ($server) = @_;
    my $set = IO::Select->new($server);
    my ($served, $bytes) = (0, 0);
    while ($served < 8) {
        for my $ready ($set->can_read(10)) {
            if ($ready == $server) { $set->add($server->accept); next }
            my $count = sysread $ready, my $data, 65536;
            if (!$count) { $set->remove($ready); close $ready; $served++; next }
            $bytes += $count;
            for (my $at = 0; $at < $count;) { $at += syswrite $ready, uc $data, $count - $at, $at }
        }
    }
    return $bytes == 8 * 10000 ? 0 : 1;
}

my $server = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
my $port = $server->sockport;
my $service = child { serve($server) };
close $server;
my @clients = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die $! } 1 .. 8;
for my $client (@clients) {
    print $client 'a' x 10000;
    $client->flush;
    $client->shutdown(1);
    local $/;
    my $answer = <$client>;
    print length $answer, $answer =~ /^A+$/ ? ' ' : '? ';
}
waitpid $service, 0;
print "$?\n";
my $refused = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
print $refused ? 'connected' : $!{ECONNREFUSED} ? 'refused' : $!, "\n";
my $unix = IO::Socket::UNIX->new(Local => "$dir/socket", Listen => 1) or die;
my $peer = child { print { IO::Socket::UNIX->new(Peer => "$dir/socket") } "from unix\n"; 0 };
my $accepted = $unix->accept;
waitpid $peer, 0;
my ($first, $second) = map { IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die $! } 1 .. 2;
send $first, "datagram $_", 0, $second->sockname for 1 .. 3;
for (1 .. 3) { recv $second, my $datagram, 100, 0; print "$datagram\n" }
socketpair(my $left, my $right, AF_UNIX, SOCK_DGRAM, PF_UNSPEC) or die;
send $left, 'pair', 0;
recv $right, my $got, 9, MSG_PEEK;
my $poll = IO::Poll->new;
$poll->mask($right => POLLIN);
print "$got ", $poll->poll(1), ' ', unpack('i', getsockopt $left, SOL_SOCKET, SO_TYPE), "\n";
socket(my $six, PF_INET6, SOCK_STREAM, 0) or die;
bind($six, pack_sockaddr_in6(0, inet_pton AF_INET6, '::1')) or die;
listen $six, 1;
my ($port6) = unpack_sockaddr_in6 getsockname $six;
socket(my $to, PF_INET6, SOCK_STREAM, 0) or die;
connect($to, pack_sockaddr_in6($port6, inet_pton AF_INET6, '::1')) or die $!;
accept(my $from, $six) or die;
syswrite $to, 'six';
sysread $from, $got, 9;
print "$got\n";

section 'ipc';
my $semaphores = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600) // die "semget: $!";
semop($semaphores, pack('s!*', 0, 3, 0, 1, 1, 0)) or die;
print join(' ', map { semctl($semaphores, $_, GETVAL, 0) + 0 } 0, 1), "\n";
my $holder = child { usleep 50_000; semop $semaphores, pack 's!*', 1, 5, 0; 0 };
semop($semaphores, pack('s!*', 1, -5, 0)) or die $!;
waitpid $holder, 0;
print semctl($semaphores, 1, GETVAL, 0) + 0, "\n";
semctl $semaphores, 0, IPC_RMID, 0;
my $queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600) // die "msgget: $!";
for (3, 1, 2) { msgsnd($queue, pack('l! a*', $_, "message $_"), 0) or die }
for my $type (2, 0, -9) { msgrcv $queue, my $message, 100, $type, 0; print join(' ', unpack 'l! a*', $message), "\n" }
msgctl $queue, IPC_RMID, 0;
my $segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) // die "shmget: $!";
waitpid child { shmwrite $segment, 'shared', 0, 6; 0 }, 0;
shmread $segment, my $shared, 0, 6;
print "$shared\n";
shmctl $segment, IPC_RMID, 0;

section 'files';
make_path('a/b/c', 'a/d');
for (1 .. 5) { open my $file, '>', "a/b/f$_" or die; print $file $_ x 10 }
my @found;
find(sub { push @found, $File::Find::name }, 'a');
print join(' ', sort @found), "\n";
copy('a/b/f1', 'copy');
move('copy', 'moved');
link 'moved', 'hard';
symlink 'moved', 'soft';
printf "%d %o %d %s\n", stat('moved')->size, stat('moved')->mode, stat('hard')->nlink, readlink 'soft';
lock_store({ list => [1 .. 3], hash => { k => 'v' } }, 'stored');
my $stored = lock_retrieve('stored');
print "@{$stored->{list}} $stored->{hash}{k}\n";
tie(my @lines, 'Tie::File', 'lines') or die;
push @lines, 'one', 'two', 'three';
splice @lines, 1, 1;
untie @lines;
open my $file, '<', 'lines';
print <$file>;
sysopen(my $exclusive, 'exclusive', O_CREAT | O_EXCL | O_RDWR, 0640) or die;
print sysopen(my $again, 'exclusive', O_CREAT | O_EXCL | O_RDWR) ? 'made' : $!, "\n";
sysseek $exclusive, 100_000, SEEK_SET;
syswrite $exclusive, 'end';
utime 1000, 2000, 'exclusive';
print stat('exclusive')->size, ' ', stat('exclusive')->mtime, "\n";
remove_tree('a');
print -e 'a' ? 'left' : 'gone', ' ', sha256_hex(join '', map { chr($_ % 256) } 1 .. 200_000), "\n";
my $pipe = IO::Pipe->new;
my $writer = fork // die;
if (!$writer) { $pipe->writer; print $pipe "line $_\n" for 1 .. 20000; $pipe->close; POSIX::_exit(0) }
$pipe->reader;
my $count = 0;
$count++ while <$pipe>;
waitpid $writer, 0;
print "$count\n";

section 'threads';
my ($work, $results) = (Thread::Queue->new, Thread::Queue->new);

sub squares {
    while (defined(my $n = $work->dequeue)) { $results->enqueue($n * $n) }
    return threads->tid;
}

my @threads = map { threads->create(\&squares) } 1 .. 4;
$work->enqueue(1 .. 200);
$work->end;
my @tids = map { $_->join } @threads;
$results->end;
my $sum = 0;
while (defined(my $n = $results->dequeue)) { $sum += $n }
print "$sum @tids\n";
my $counter : shared = 0;
$_->join for map { threads->create(sub { for (1 .. 500) { lock $counter; $counter++ } }) } 1 .. 4;
print "$counter\n";
my $endless = threads->create(sub { local $SIG{KILL} = sub { threads->exit }; usleep 10_000 while 1 });
usleep 30_000;
$endless->kill('KILL')->join;
print "end\n";
