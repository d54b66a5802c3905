seq 1 100000 | sort -rn | head -3; seq 100000 | sort -R | sort -n | md5sum

seq 1000 | awk '{s += $1} END {print s; printf "%.3f\n", s / NR}'; awk -F: '{print $1, $3}' /etc/passwd

sed -n '1,3p;$p' /etc/passwd; sed 's/\(.*\):x:/\1!/' /etc/group | head -3; sed -i s/a/b/ /dev/null; echo $?

cp /etc/passwd p; sed -i 's/root/toor/g' p; grep -n toor p; grep -c : p; grep -rl bash /etc/passwd /etc/shells

grep -E '^(root|daemon):' /etc/passwd; grep -vc nologin /etc/passwd; echo abc | grep -o b
grep x /no/such; echo $?

cut -d: -f1,7 /etc/passwd | tr : ' ' | sort | uniq -c | sort -rn | head -3

echo hello | md5sum; echo hello | sha256sum; echo hello | base64; echo hello | od -c; cksum /etc/passwd

printf '%s\n' c b a | sort; printf '10\n9\n' | sort -n; sort -k2 <<<$'a 2\nb 1'
shuf -i 1-9 | sort -n | tr -d '\n'

head -c 5 /etc/passwd; tail -n 2 /etc/passwd; tail -c 5 /etc/passwd; wc /etc/passwd
split -l 5 /etc/passwd x; ls

date -u -d @86400 +%F; date -u -d '2020-02-28 + 2 days' +%F; TZ=America/New_York date -d @0 +%H
cal 2>&1 | wc -l

expr 7 \* 6; factor 360; test 3 -gt 2 && echo yes; [ -d /etc -a -r /etc/passwd ]; echo $?
numfmt --to=iec 1048576

yes | head -c 10M | md5sum; head -c 100000 /dev/urandom | wc -c
dd if=/dev/zero bs=1M count=16 2>/dev/null | md5sum

tar cf - -C / etc 2>/dev/null | tar tf - | sort | md5sum; tar czf a.tgz -C / etc; mkdir x
tar xzf a.tgz -C x; diff -r /etc x/etc; echo $?

gzip -c /etc/passwd | gunzip | cmp - /etc/passwd; echo $?
seq 100000 | gzip -9 | gzip -dc | md5sum; seq 9 | gzip | wc -c

find /etc -maxdepth 1 -name '*.conf' -type f | sort; find /usr/bin -type l -lname '*awk*' | sort
find / -xdev -type d -empty 2>&1 | sort | head -5

touch a b; find . -newer /etc/passwd -type f -print0 | xargs -0 ls; find . -name a -delete
find . -exec echo {} +; find . -size 0

nproc | grep -c .; uname -sm; arch; getconf PAGESIZE; hostname; whoami; tty; echo $?; logname; echo $?
