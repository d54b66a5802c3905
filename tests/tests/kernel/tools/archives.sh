mkdir -p t/d/e; head -c 300000 /dev/zero | tr '\0' q >t/f; seq 50000 >t/n; ln t/n t/d/hard; ln -s ../n t/d/sym
ln -s none t/dangling; mkfifo t/p; truncate -s 5M t/sparse; printf end >>t/sparse; chmod 4751 t/f; chown 3:4 t/n
touch -d 2001-02-03T04:05:06.789 t/d/e; mknod t/dev c 1 5; touch "t/$(printf 'n\303\266')" "t/new
line"; python3 -c 'import os; os.setxattr("t/f", "user.key", b"value"); os.setxattr("t/d", "user.dir", bytes(range(200)))'
state() { (cd $1; find . ! -type d -printf '%P %y %m %U:%G %n %s %T@ %l\n' | sort
find . -mindepth 1 -type d -printf '%P %m %U:%G %n %T@\n' | sort; find . -type f -exec md5sum {} + | sort -k2
python3 -c 'import os; print([(p, os.getxattr(p, "user." + k)) for p, k in (("f", "key"), ("d", "dir"))]); print(os.stat("sparse").st_blocks < 1000, os.path.samefile("n", "d/hard"))')
}
state t >before; sed 's/ 1[0-9]\{9\}[.][0-9]*//' before; for z in '' --gzip --bzip2 --xz --zstd --lzma
do tar --create $z --sparse --xattrs --file a.tar t || echo failed; mkdir x
tar --extract --xattrs --xattrs-include='*' --same-owner --sparse --file a.tar --directory x; state x/t >after
cmp before after && echo same $z; rm -r x; done; cp -a t x; state x >after; cmp before after && echo same cp
tar cf - t | (mkdir y; cd y; tar xpf -); [ y/t/n -ef y/t/d/hard ]; echo $?

seq 60000 >f; touch -d 2010-10-10 f; sum=$(md5sum <f)
for z in 'gzip -1' 'gzip -9' 'bzip2 -9' 'xz -1 -T2' 'xz -9e' 'zstd -3' 'zstd -T2 -12' 'lzma -1'; do cp -p f g
$z -q g 2>&1; ls g.* | tr '\n' ' '; stat -c %Y g.*; case $z in zstd*) rm g
zstd -dq --rm g.zst;; *) ${z%% *} -d g.*;; esac; [ "$(md5sum <g)" = "$sum" ] && echo same; rm -f g*; done
gzip -tv f 2>&1; echo $?; gzip <f >f.gz; gzip -l f.gz | tail -1; gzip -t f.gz; echo $?; head -c 1000 f.gz |
gzip -d 2>&1 | tail -1 | cut -c 1-50

seq 20000 >f; gzip -k f; zcat f.gz | tail -1; zgrep -c 7 f.gz; zdiff f f.gz; echo $?; zcmp f f.gz; xz -k f
xzcat f.xz | wc -l; xzgrep -c 9 f.xz; xz -l f.xz | tail -1 | tr -s ' ' | cut -d' ' -f2,3; bzip2 -k f; bzcat f.bz2 |
head -1; bunzip2 -c f.bz2 | cmp - f; zstd -q f; zstdcat f.zst | md5sum; zstd -l f.zst | wc -l; znew f.gz 2>&1 | wc -l
zstd -qb1 -i0 f 2>&1 | wc -c | grep -c .; cat f.gz f.gz | zcat | wc -l; xz -t f.xz f.bz2; echo $?; uncompress <f.gz |
wc -l; gzexe /bin/true 2>&1 | head -0

mkdir -p t/{1..30}; for d in t/*; do seq 100 >$d/f; ln -s f $d/l; done; zip -qry a.zip t; unzip -q a.zip -d x
diff -r --no-dereference t x/t; echo $?; unzip -l a.zip | tail -1; unzip -p a.zip t/7/f | md5sum; zip -qd a.zip 't/1*'
zipinfo -t a.zip | cut -d, -f1; unzip -tq a.zip; zip -q -9 -P secret s.zip t/2/f; unzip -qoP secret s.zip; echo $?
zip -qu a.zip t/10/f; python3 -m zipfile -l a.zip | wc -l; zipgrep -c 100 a.zip t/2/f; zip -s 10k -qr split.zip t
ls split.* | wc -l

mkdir t; for i in {1..200}; do echo $i >t/f$i; done; tar cf a.tar t; tar tf a.tar | wc -l
tar rf a.tar /etc/hostname 2>/dev/null; tar --delete -f a.tar t/f1; tar tf a.tar | wc -l; echo new >t/f2
tar uf a.tar t/f2; mkdir x; tar xf a.tar -C x --strip-components=1 't/f1?'; ls x | wc -l; tar xOf a.tar t/f3
touch -d 2002-02-02 t/f3; tar df a.tar 2>&1 | grep f3; tar --exclude='*9*' -czf b.tgz t; tar tzf b.tgz | wc -l
tar -cML 100 -f m1.tar -f m2.tar -f m3.tar t; echo $?; tar tMf m1.tar -f m2.tar -f m3.tar | wc -l

mkdir t; seq 10 >t/a; seq 10 >t/b; tar --listed-incremental=snap -cf 0.tar t; rm t/a; seq 3 >t/c
tar --listed-incremental=snap -cf 1.tar t; tar tf 1.tar; mkdir x; tar -xG -f 0.tar -C x; tar -xG -f 1.tar -C x; ls x/t
tar cf w.tar --owner=joe:7 --mtime=@5 --mode=600 --transform=s,t,z, t/b; tar tvf w.tar --utc; tar --format=v7 -cf v t
tar --format=pax -cf p t; tar --format=gnu -cf g t; file v p g | cut -c 1-30; tar --to-command='wc -c' -xf g
tar -C / -cf - usr/share/common-licenses | tar -tf - | wc -l; tar xf none; echo $?
