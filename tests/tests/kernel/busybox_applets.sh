ls /bin | wc -l; busybox --list | md5sum; echo $0; pwd; id; whoami

seq 1 5 | while read n; do echo $((n * n)); done; for i in a b; do echo $i; done
case x in x) echo case;; esac

echo hello | md5sum; echo hello | sha1sum; echo hello | sha512sum; seq 1000 | cksum; echo hello | hexdump -C

mkdir -p a/b; touch a/b/c; ls -R a; mv a z; find z | sort; rm -r z; ls; rmdir none; echo $?

echo x >f; cp f g; ln f h; ln -s f s; ls -l | tr -s ' ' | cut -d' ' -f1,2,5,9-; readlink s
stat -c '%h %s %F' f; cmp f g

dd if=/dev/zero of=z bs=1k count=100 2>/dev/null; du z; wc -c z; gzip z; gunzip z.gz; md5sum z
truncate -s 5 z; od z

printf 'b\na\n' | sort; uniq -c </etc/passwd | head -1; cut -d: -f1 /etc/passwd
awk -F: '{print $3}' /etc/passwd; sed s/o/0/ /etc/passwd

tar cf t.tar /etc 2>/dev/null; tar tf t.tar | sort; mkdir x; tar xf t.tar -C x; diff -r /etc x/etc
echo $?; seq 9 | tac; seq 5 | rev

sleep 0.1; usleep 1000; date -u -d @0; expr 6 \* 7; factor 12; test -f /etc/passwd; echo $?
basename /a/b.c .c; dirname /a/b

sh -c 'kill -9 $$'; echo $?; (sleep 10 & kill $!; wait $!; echo $?) 2>&1 | tail -1
timeout 1 sleep 60; echo $?; trap 'echo t' TERM; kill $$; echo e

echo a | tee b c; cat b c; head -c 3 /dev/zero | xxd; env -i A=1 env; xargs -n1 echo <b
yes | head -3; nice -n 5 nice; mktemp -u | wc -c

uname -s; hostname; nproc | grep -c .; umask; ulimit -c; mkfifo p; (echo fifo >p) & cat p; wait
mknod n p; stat -c %F n; ps | head -1

seq 200 | awk '{print $1 % 7}' | sort | uniq -c; seq 20 | sed -n '5,7p'; echo 'a b' | ed 2>&1
printf 'a\nhello\n.\nw f\nq\n' | ed; cat f; echo 'scale=5; 1/3' | bc -l; echo '2 3 * p' | dc; cal 2 2024; ascii |
head -2
egrep 'a|b' /etc/passwd; fgrep root: /etc/group; grep -rc o /etc | sort; cut -c1-4 /etc/group; fold -w 3 /etc/group |
head -2; nl /etc/group | head -2; printf 'a\tb\n' | expand -t 4; echo '        b' | unexpand -a
paste /etc/group /etc/passwd | head -1; strings /bin/busybox | grep -c BusyBox | grep -c .

seq 100 >f; head -n 2 f; head -c 5 f; tail -n 2 f; tail -c 3 f; split -l 40 f s; ls; shuf -i 1-5 | sort; ts -? 2>&1 |
head -1; comm f f 2>&1 | head -1; tee g <f | wc -l; cmp f g; diff -u f sab | head -5; sed 3d f >h; diff f h >p
patch f <p; cmp f h; echo abc | rev; more f | tail -1; less f | head -1; factor 1001; expr 3 '<' 4; od -c f | head -1
hexdump -C f | tail -1; xxd -l 16 f; xxd -p f | xxd -r -p | cmp - f

for a in md5sum sha1sum sha256sum sha3sum sha512sum cksum sum crc32 base64 uuencode; do echo $a; echo data |
$a ${a%%[!u]*}x 2>&1 | head -1; done; echo data >f; md5sum f >m; md5sum -c m; uuencode f f | uudecode -o -; base64 f |
base64 -d; dos2unix <f; unix2dos <f | od -c | head -1; cryptpw -h 2>&1 | head -1; mkpasswd -S ab -m md5 secret

seq 5000 >f; for z in gzip bzip2 lzop xz lzma; do $z -c f >f.$z 2>e || head -1 e; done; gunzip -c f.gzip | md5sum
zcat f.gzip | tail -1; bunzip2 -c f.bzip2 | md5sum; bzcat f.bzip2 | tail -1; unlzop -c f.lzop 2>&1 | md5sum; cp f c
gzip c; uncompress c.gz 2>&1; zcat <c.gz | wc -l; ls c*; xzcat /dev/null; echo $?

mkdir -p t/d; seq 99 >t/a; ln t/a t/d/hard; ln -s a t/sym; mkfifo t/p; chmod 741 t/d; tar cf a.tar t; tar tvf a.tar |
awk '{print $1, $2, $6}' | sort; mkdir x; tar xf a.tar -C x; [ x/t/a -ef x/t/d/hard ]; echo $?; find t |
cpio -o -H newc 2>/dev/null >a.cpio; cpio -t <a.cpio 2>/dev/null | sort; mkdir y; (cd y
cpio -id 2>/dev/null <../a.cpio; ls -R); ar -t none.a 2>&1; tar czf a.tgz t; tar tzf a.tgz | wc -l; unzip 2>&1 |
head -1; rpm2cpio f 2>&1 | head -1; dpkg-deb -c none 2>&1

find / -xdev -maxdepth 1 | sort; find /bin -type l | wc -l; find /etc -name 'p*' -exec basename {} \; 
touch -d '2001-02-03 04:05:06' o; stat -c '%Y %n' o; find . -mtime +100; find . -newer o | sort; du -s /etc | wc -l
df / | wc -l; df -h /dev | wc -l; which find; run-parts --test /etc | head -1; readlink -f /proc/self/exe
realpath /bin/../etc; mountpoint /proc; echo $?; ls -la / | wc -l | grep -c .

mkdir m; chmod 700 m; chown 5:6 m; chgrp 7 m; stat -c '%a %u %g' m; ln -s x l; unlink l; link /etc/group g
stat -c %h g; mkdir -m 711 n; rmdir m n; mktemp -d /tmp/q.XXXXXX | wc -c; truncate -s 1M b; fallocate -l 2M b
wc -c <b; shred -u b; ls; dd if=/dev/urandom of=r bs=1k count=3 2>&1 | head -2; cp -a r s; cmp r s; mv s t
install 2>&1 | head -1; rm -r .; sync; fsync r 2>&1 | head -1; nuke none; fatattr r 2>&1 | head -1

ps -o pid,args | awk '$1 == 1' | wc -l; pidof nothing; echo $?; sleep 20 & kill -0 $!; echo $?; renice -n 3 -p $! 
nice; exec 3>&2 2>/dev/null; kill $!; wait $!; echo $?; exec 2>&3; nohup echo up 2>&1; setsid echo sid
timeout 0.2 sleep 60; echo $?
killall nothing 2>&1; start-stop-daemon -S -b -m -p d.pid -x /bin/sleep -- 300
until [ -s d.pid ]; do :; done; start-stop-daemon -K -p d.pid; echo $?; watch -h 2>&1 | head -1; top -bn1 | head -1 | cut -c 1-4; uptime |
grep -c load; free | wc -l; time true 2>&1 | wc -l

taskset 1 true; echo $?; ionice -c 3 true; echo $?; chrt -h 2>&1 | head -1; nproc | grep -c .; uname -snm; arch
hostname; hostid | wc -c; id; id -un; groups; whoami; who | wc -l; w | wc -l | grep -c .; last 2>&1 | wc -l |
grep -c .; logname 2>&1; tty; stty 2>&1; getopt ab: -a -b c d; printenv HOME; env A=1 printenv A 2>&1
linux32 uname -m; setarch 2>&1 | head -1; ttysize 2>&1 | head -1; date -u -d @86400 +%F; sleep 0.01; usleep 10
yes y | head -1; seq -w 3 2 11; seq -s, 3

echo '<h1>served</h1>' >index.html; httpd -p 127.0.0.1:8101 -h $PWD; for i in 1 2 3
do wget -qO- http://127.0.0.1:8101/index.html; done; wget -q http://127.0.0.1:8101/none; echo $?
listening() { until netstat -tln | grep -q :$1; do sleep 0.05; done; }; echo line >line; echo sent >sent
nc -l -p 8102 <line >in & listening 8102; nc -w 9 127.0.0.1 8102 <sent; wait $!; cat in; netstat -tln | grep -c 8101
killall httpd; echo $?; nc -w 1 127.0.0.1 8103; echo $?; nc -l -p 8104 -e cat & listening 8104; echo echoed |
nc -w 9 127.0.0.1 8104

ifconfig lo | grep -c 127.0.0.1; ip addr show lo | grep -c 'inet '; ip link show lo | wc -l; ip route | grep -c lo
route -n | head -1; arp 2>&1 | wc -l; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1; ipcalc -n 10.1.2.3/16
nslookup localhost 127.0.0.1 2>&1 | tail -1; ifconfig lo mtu 1000 2>&1; ip link add x type dummy 2>&1
brctl addbr x 2>&1; route add default gw 1.1.1.1 2>&1; hostname other 2>&1; hostname

syslogd -O $PWD/log; for i in $(seq 99); do logger -t tag -p user.info message; sleep 0.1
grep -q message log && break; done; sed -n 's/.*tag: //p' log | sort -u; killall syslogd; while pidof syslogd >n
do sleep 0.1; done; syslogd -C16; for i in $(seq 99); do logger hidden; sleep 0.1; logread 2>/dev/null |
grep -q hidden && break; done; logread | grep hidden | sed 's/.*: //' | sort -u; killall syslogd
mkdir -p /var/spool/cron/crontabs; echo '* * * * * true' | crontab -; crontab -l; crond; sleep 0.2; killall crond
echo $?; mkfifo e; (ls /proc/self >e) & wc -l <e | grep -c .; logger -s direct 2>&1 | sed 's/.*: //'

mount 2>&1 | grep -c ' on / '; mount -t tmpfs none /mnt 2>&1; umount /proc 2>&1; swapon /none 2>&1; losetup 2>&1 |
wc -l; insmod x 2>&1; rmmod x 2>&1; modprobe x 2>&1 | wc -l | grep -c .; pivot_root / / 2>&1; chroot / echo rooted
unshare -n true 2>&1; nsenter -t 1 -m true 2>&1; sysctl -n kernel.hostname; sysctl kernel.ostype; dmesg 2>&1 | wc -l |
grep -c .; blockdev --getsz /none 2>&1; fdisk -l 2>&1; date -s 2000-01-01 2>&1 | head -1; hwclock 2>&1
fsfreeze -f / 2>&1; setpriv --nnp id -u; mknod d b 7 0; stat -c %F d; devmem 0 2>&1 | head -1; rdate localhost 2>&1 |
head -1

truncate -s 2M disk; mke2fs -F disk 2>&1 | head -1; mkdosfs disk; mkswap disk | head -1; findfs LABEL=x 2>&1
su -s /bin/sh user -c 'id -u; cd; pwd'; su user -c 'cat /etc/shadow' 2>&1; passwd -d user 2>&1; adduser -h 2>&1 |
head -1; login -h 2>&1 | head -1; vi -c q none </dev/null 2>&1 | head -0; microcom 2>&1 | head -1; script 2>&1 |
head -1; openvt true 2>&1 | head -1; chvt 1 2>&1 | head -1; clear | od -c | head -1; reset 2>&1 | head -0
resume none 2>&1 | head -1; svc 2>&1 | head -1; svok .; echo $?

adjtimex | head -1 | tr -s ' '; ash -c 'echo $0 $((6 * 7))' name; false; echo $?; linux64 uname -m; lsmod 2>/dev/null | cut -c 1-6
depmod 2>&1 | sed 's/[0-9].*//'; modinfo none 2>&1 | sed 's/[0-9].*//'; mim 2>&1; lsscsi 2>&1; mdev -s 2>&1 | wc -l
nologin & sleep 0.2; kill $!; wait $! 2>/dev/null; echo $?; getty 2>&1 | grep -c Usage
for c in unlzma unxz lzcat xzcat; do printf 'no such thing' | $c 2>&1; echo $?; done; xz -dc none 2>&1
printf '\135\0\0\200\0\5\0\0\0\0\0\0\0\0\64\31\111\356\215\351\27\211\72\63\137\374\254\367\40\0' | unlzma | od -c | head -1

ftpget localhost a b 2>&1; touch b; ftpput localhost a b 2>&1; timeout 1 tftp -g -r a localhost 2>&1; echo $?; telnet localhost 9 2>&1
ifup -a 2>&1; ifdown lo 2>&1; ipneigh 2>&1; nameif eth9 0:0:0:0:0:1 2>&1; dumpleases 2>&1; acpid -d 2>&1
telnetd -F -p 2323 -l /bin/true & t=$!; until netstat -ltn 2>&1 | grep -q :2323; do sleep 0.1; done
echo | nc localhost 2323 | head -c 15 | wc -c; kill $t
wait $t 2>/dev/null; echo $?; watchdog -F /none 2>&1; klogd; echo $?; echo x | ssl_client -s 9 2>&1

for a in blkdiscard fstrim freeramdisk partprobe swapoff; do $a /none 2>&1; done; ubirename /none a b 2>&1
mt -f /none rewind 2>&1; fstrim / 2>&1; i2cdetect -l 2>&1; i2cdump 0 0 2>&1; i2cget -y 0 3 2>&1; i2cset -y 0 3 1 2>&1
i2ctransfer -y 0 r1@3 2>&1; for a in deallocvt dumpkmap loadfont loadkmap; do $a 2>&1; echo $?; done; setkeycodes 1 2 2>&1
init 2>&1; run-init /none /bin/sh 2>&1; switch_root /none /bin/sh 2>&1; for a in halt poweroff reboot; do $a -n; echo $?
done; dpkg -l 2>&1 | head -1; dpkg -i none 2>&1; rpm -q none 2>&1; rpm -i none 2>&1; sulogin 2>&1 | head -1
