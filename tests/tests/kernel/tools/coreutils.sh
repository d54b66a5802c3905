seq 40 >n; cat -A n | head -2; cat -n n | tail -1; printf 'a\tb\n\n\nc\n' | cat -sT; tac n | head -2; nl -b a -w 3 n |
head -2; rev n | tail -1
od -A x -t x1z n | head -2; od -c -N 8 n; head -n -38 n; head -qn 1 n n; tail -n +39 n; tail -c 3 n
mkfifo p; tail -f n --pid=1 >p & exec 3<p; head -n 10 <&3; kill $!; wait; exec 3<&-

seq 100 | fmt -w 30 | head -2; seq 10 | pr -2 -t -l 5; seq 30 | tr '\n' ' ' | fold -sw 20; seq 9 | paste -sd+; seq 4 |
paste - -
printf 'a\tb\n' | expand -t 4; printf '        x\n' | unexpand; printf 'one two three' | ptx -O | head -2; seq 12 >q
split -n l/3 -d q s.; head s.*

seq 20 >n; csplit -sz n /5/ '{1}'; ls xx*; split -b 10 --numeric-suffixes=1 --additional-suffix=.p n p; wc -c *.p
cat *.p | cmp - n; seq 9 | split -l 4 --filter='wc -l' -
printf 'a\nb\nc\n' >1; printf 'b\nc\nd\n' >2; comm 1 2; comm -12 1 2; join 1 2; join -a 1 -e none -o 0,2.1 1 2
diff 1 2; sdiff 1 2; printf 'a b\nb c\n' | tsort; tsort <<<'a b b a'

printf '10 x\n9 y\n100 a\n9 x\n' >d; sort d; sort -n d; sort -rnk1,1 -k2 d; sort -t' ' -k2.1r d; sort -u -k1,1n d
sort -c d; sort -nc <(seq 9); sort -m <(seq 3) <(seq 2 4); sort -h <<<$'1M\n2K\n1G'
sort -V <<<$'v1.10\nv1.9'; sort -R d | sort | cmp - <(sort d); seq 200000 | shuf --random-source=/dev/zero |
sort -n -S 1M -T . --parallel=2 | md5sum; uniq -cd <<<$'a\na\nb'; uniq -w 1 -u <<<$'ab\nac\nb'

cut -c 2-4,6 <<<abcdefgh; cut -d, -f 2- --output-delimiter=: <<<a,b,c; cut -sd, -f1 <<<none
tr -dc '[:alnum:]' <<<'a-b c'; echo; tr -s ' ' <<<'a   b'; tr a-z A-Z <<<abc; wc -lwmcL <<<'é word'
numfmt --from=iec 4K; numfmt --to=si --format=%.2f 123456; printf '%05d|%-5s|%x|%q\n' 42 ab 255 'a b'
printf '%s-%s\n' 1 2 3; echo -e 'a\x41\tb'; seq -w 8 11; seq -f %.2f 1 .5 2; seq 3 -1 1; expr length abc + 2
expr abc : 'a\(.\)'

printf 'data\n' >f
for s in md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum 'sum -s' 'cksum -a sm3'; do $s f; done
sha256sum f >c; sha256sum -c c; echo x >>f; sha256sum --status -c c; echo $?
base64 -w 8 <<<'some text to encode'; base64 -d <<<aGkK; base32 <<<hi; basenc --base16 <<<hi; basenc --z85 <<<abc
factor 360 97 18446744073709551557; head -c 1000000 /dev/zero | b2sum -l 128

mkdir -pm 700 a/b/c; touch -d '2020-01-02 03:04:05.5' a/f; touch -r a/f a/g; touch -hd @0 a
stat -c '%A %a %U:%G %F %h' a/f a/b; stat -c '%s %y %X' a/f; stat -f -c %T / >/dev/null; stat -t /etc/passwd |
cut -d' ' -f1,2,4-6
ls -l --time-style=+%F a | tr -s ' ' | cut -d' ' -f1,3- | sed 1,2d; ls -lQ --time-style=iso a/f; ls -1Rp a; ls -aF a
ls --color=always a | cat -v; dir a; vdir --time-style=+ a | tr -s ' ' | sed 1,2d; ls -d */
ls -S /etc/passwd /etc/group; ls -i a/f | grep -c .

mkdir d; echo 1 >d/f; ln -s f d/l; ln d/f d/h; mkfifo d/p; chmod 640 d/f; cp -a d e; ls -l e | sed 1d | tr -s ' ' |
cut -d' ' -f1,2,9-; cmp d/f e/f; [ e/f -ef e/h ]; echo $?; cp -rL d/l x; cp -u d/f x; mkdir k; cp -v --parents d/f k
cp -l d/f y; stat -c %h y; cp -s $PWD/d/f z; readlink z | sed "s,$PWD,,"; cp --backup=numbered d/f y2
cp --backup=numbered d/f y2; ls y2*; cp -n x y2; cp d q; echo $?; cp --attributes-only --preserve=mode d/f at
stat -c '%a %s' at; cp -p /bin/true .; ./true; echo $?

dd if=/dev/urandom of=s bs=4k count=4 seek=1000 2>/dev/null; cp --sparse=always s t; cmp s t
[ $(stat -c %b t) -lt 200 ]; echo $?; cp --reflink=auto s u; cmp s u; truncate -s +1M u; truncate -s %4096 u
stat -c %s u; truncate -r s u; cmp s u; echo $?
fallocate -l 100000 v; stat -c %s v; fallocate -p -o 4096 -l 4096 v; echo $?; fallocate -d s; cmp s t
dd if=s of=w bs=512 skip=8000 count=2 conv=notrunc,fsync status=none; wc -c <w
dd if=w ibs=100 obs=300 conv=swab,ucase,sync 2>&1 >/dev/null | head -2; shred -n 1 -zu w; ls w

mv s t 2>&1; touch s t; mv -v s t; mv -b t t2; mkdir m; mv -t m t2; mv -T m m2; ls m2; mv -n m2/t2 .; mv none x
echo $?; install -D -m 750 /etc/passwd i/j/k; stat -c %a i/j/k; install -d -m 711 i/d; stat -c %a i/d
install -s /bin/true i/true; i/true; echo $?
ln -sf none l; ln -sfn i l; readlink l; readlink -f l/j/../j/k | sed "s,$PWD,,"; readlink -e nothing; echo $?
realpath --relative-to=i l/j; ln -rs i/j/k rel; readlink rel; link i/j/k hard; stat -c %h hard; unlink hard
rmdir -p i/j; rm -rf i; rm -v l; rm -d m2; rm none; rm -f none; echo $?; rm -rf /tmp/none; rm .; rmdir /; echo $?

umask 027; mkdir d; touch f; stat -c %a d f; chmod u=rwx,g+s,o-rwx d; stat -c %a d; chmod -R a+rX d; stat -c %a d
chmod -v 4755 f; chmod --reference=d f; stat -c %a f; chown 1:2 f; chown --from=1 daemon: f; chgrp -c adm f
stat -c %u:%g f; chown -R nobody d; chown -h 5 d; stat -c %U d; chmod 7777 none; echo $?
mknod c c 1 3; echo >c; stat -c '%F %t %T' c; mknod b b 7 0; mknod p p; stat -c %F b p; mkfifo -m 600 q; stat -c %a q
mktemp -d tmp.XXXX | wc -c; mktemp -p . --suffix=.x | wc -c; pathchk -p 'a b:c'; echo $?; basename -s .c a/b.c
dirname /a/b/ c; test -p q -a -c c; echo $?; [ -b b -o -S b ]; echo $?; chroot / /bin/echo in
chroot --userspec=1:1 / id

du -sb --apparent-size /etc/default | cut -f1 | grep -c .; mkdir -p u/v; head -c 50000 /dev/zero >u/v/f
du -a --apparent-size u/v/f; du -s --exclude=v -b u | cut -f2; df -P / | wc -l; df --output=target / | tail -1
df -i / | wc -l; df -h /dev/shm | wc -l; sync; sync f 2>&1; sync -d u/v/f; echo $?
env -u HOME A=1 sh -c 'echo $A $HOME'; env -i -S 'B=2 printenv B'; printenv NONE; echo $?; env -C / pwd
nice -n 3 nice; nohup echo hup 2>&1 | tail -1; timeout -s KILL 0.2 sleep 60; echo $?
timeout --preserve-status 0.2 sleep 60; echo $?; mkfifo q
timeout -k 0.2 60 sh -c 'trap "" TERM; until read p n s r </proc/$PPID/stat; test $s = S; do :; done
echo >q; sleep 60' & read x <q; kill $!; wait $!; echo $?
stdbuf -oL echo line; sleep 0.01s; true; false; echo $?

id; id -nG root; groups daemon; whoami; logname; users; who; pinky -s | head -1; uname -snmo; arch; nproc --all |
grep -c .; hostid | wc -c; tty; stty -a 2>&1 | head -1; date -ud @1000000000; date -ud '2024-02-29 +1 year' +%F_%j_%u
date -d 'TZ="Asia/Tokyo" 2020-01-01 00:00' -u -Is; date -R -ud @0; touch -t 202001020304 r; date -ur r +%s
tee a b <<<t; cat a b; yes x | head -3; seq 9999 | tee /dev/full 2>e | head -1; cat e; echo x >/dev/full; echo $?
mkfifo q; printf abc | tee >(cat >&2; : >q) >/dev/null 2>e; read x <q; cat e; dircolors -b | head -c 10; echo; runcon 2>&1 | head -1
chcon x y 2>&1 | head -1; pwd -P | grep -c case; vdir none; ls --zero a b | od -c | head -1
