mkfifo p; (echo through >p &); cat p; stat -c %F p; mv p q; ls; rm q

perl -MSocket -e 'socket S, AF_UNIX, SOCK_STREAM, 0; bind S, sockaddr_un(q(s)) or die; listen S, 1; print -S q(s) ? qq(socket\n) : q(); if (!fork) { socket C, AF_UNIX, SOCK_STREAM, 0; connect C, sockaddr_un(q(s)) or die $!; syswrite C, qq(hello\n); exit } accept A, S; print scalar <A>; wait'; stat -c %F s; rm s; ls

ln -s nowhere l; cat l; ln l m; stat -c '%F %h' m; rm l; readlink m; ln m/ n

perl -e 'sysopen F, q(.), 020200000 | 2, 0640 or die $!; syswrite F, q(unnamed); print -s F, qq(\n); open G, q(<), q(/proc/self/fd/) . fileno F; print <G>, qq(\n)'; ls -a | wc -l

touch f; perl -e 'my ($f, $n, $v) = qw(f user.a value); my $none = q(none); print syscall(188, $none, $n, $v, 5, 0), qq( $!\n); for $how (2, 1, 1, 0, 2) { print syscall(188, $f, $n, $v, 5, $how), qq( $!\n) } my $b = q(x) x 20; print syscall(191, $f, $n, $b, 20), substr($b, 0, 5), qq(\n); print syscall(197, $f, $n), syscall(197, $f, $n), qq( $!\n)'

perl -e 'my ($f, $n, $v) = qw(. trusted.overlay.opaque y); print syscall(188, $f, $n, $v, 1, 0) < 0 ? qq(refused\n) : qq(set\n)'

truncate -s 5G big; printf end | dd of=big bs=1 seek=5368709120 conv=notrunc status=none; stat -c '%s %b' big | cut -d' ' -f1; tail -c 3 big; dd if=big bs=1M skip=5119 count=2 status=none | md5sum; truncate -s 4294967297 big; stat -c %s big; du -k big | cut -f1; fallocate -l 1M -o 4294967296 big && stat -c %s big; rm big

truncate -s 6G big; perl -e 'open F, q(+<), q(big); seek F, 5e9, 0; syswrite F, q(x); print sysseek(F, 0, 3), qq(\n); print sysseek(F, 5e9 + 10000, 4) > 5e9 ? qq(hole\n) : qq(none\n)'; cp big copy; stat -c %s copy; dd if=copy bs=1 skip=5000000000 count=1 status=none; du -k copy | awk '{ print $1 < 1000 }'

mkdir a; touch a/x; mv -T a b; perl -e 'print syscall(316, -100, q(b), -100, q(b/x), 0), qq( $!\n); print syscall(316, -100, q(b), -100, q(c), 99), qq( $!\n)'; mkdir c; touch c/y; mv -T b c; ls