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
timeout 1 sleep 5; echo $?; trap 'echo t' TERM; kill $$; echo e

echo a | tee b c; cat b c; head -c 3 /dev/zero | xxd; env -i A=1 env; xargs -n1 echo <b
yes | head -3; nice -n 5 nice; mktemp -u | wc -c

uname -s; hostname; nproc | grep -c .; umask; ulimit -c; mkfifo p; (echo fifo >p) & cat p; wait
mknod n p; stat -c %F n; ps | head -1
