touch -d '2001-01-01 UTC' t; stat -c '%Y %X %a %F' t; chmod 4711 t; stat -c %A t; chown 5:6 t
stat -c '%u %g %a' t; chmod u+x,g-x t; stat -c %a t

truncate -s 1G s; stat -c '%s %b' s; cp --sparse=always s t; stat -c '%s %b' t; truncate -s 10 s
wc -c s; fallocate -l 8192 f; stat -c '%s %b' f

dd if=/dev/urandom of=r bs=1M count=8 2>/dev/null; cp r s; cmp r s; echo $?
dd if=r of=t bs=4k skip=3 seek=5 count=2 2>/dev/null; stat -c '%s %b' t
cmp -n 8192 -i 12288:20480 r t; echo $?

seq 1000 >f; dd if=/dev/zero of=f bs=1 count=4 seek=10 conv=notrunc 2>/dev/null; md5sum f
fallocate -p -o 0 -l 4096 f; md5sum f; truncate -s +5 f; tail -c 6 f | od -c

echo a >f; echo b >>f; exec 3<>f; read x <&3; echo c >&3; cat f; exec 3>&-; (echo d; echo e) >>f
wc -l f; : >f; wc -c f; cat f f >f; echo $?

sed -i 's/root/toor/' /etc/passwd; head -1 /etc/passwd; sed -i 's/toor/root/' /etc/passwd
echo line >>/etc/motd; tail -1 /etc/motd; rm /etc/motd; ls /etc/motd

cp -a /etc e; diff -r --no-dereference /etc e; echo $?; rm -r e; cp -p /bin/ls l; cmp l /bin/ls
./l /etc/passwd; stat -c '%a %s' l

rm -rf /usr/share; ls /usr/share; mkdir /usr/share; ls -a /usr/share; rm /usr/bin/perl; perl -v
mv /usr/sbin /usr/sb; ls -d /usr/sb*

flock lk echo locked; flock -n lk bash -c 'flock -n lk echo never || echo busy'
flock -s lk flock -s lk echo shared

umask 077; touch f; mkdir d; stat -c %a f d; umask 0; touch g; stat -c %a g; chmod 000 f; cat f
echo $?; chattr +i f 2>/dev/null; install -m 640 /etc/passwd i; stat -c '%a %s' i | cut -d' ' -f1

df -P / | wc -l; df -P /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f6; stat -f -c '%T' /dev/shm
mount | grep -c ' / '; sync; echo $?; sync -f .; echo $?

echo x >/dev/full; echo $?; head -c 5 /dev/full | od -An -tx1; head -c 3 /dev/null | wc -c
echo gone >/dev/null; [ -c /dev/tty ]; echo $?; echo out >/dev/stdout; echo err >/dev/stderr
ls -l /dev/null /dev/zero | cut -c1-10
