ln -s /etc/passwd l; readlink l; head -1 l; ln l l2; stat -c '%h %F' l; mv l2 l3; ls; rm l l3; ls

mkdir -p a/b/c; touch a/b/c/d; mv a/b z; find . | sort; rm -r z a; ls; rmdir none; echo $?

mkdir d; touch d/f; rmdir d; echo $?; rm d; echo $?; mv d e; ls e; cd e; rmdir ../e; rm f
rmdir ../e; pwd; ls; touch x; echo $?

touch a; ln a b; echo text >a; cat b; stat -c '%h' b; rm a; cat b; stat -c '%h' b; ln -s b c
cat c; ln -sf none c; cat c; ls -L c; echo $?

ln -s loop loop; cat loop; readlink -f /etc/../etc/./passwd; realpath /proc/self/.. ; cd /usr/bin
cd ../lib; pwd; pwd -P

mv /etc/passwd p; ls /etc/passwd; mv p /etc/passwd; mv /etc/group .
cat group | md5sum; cp group /etc/group

touch $'new\nline' ' space' 'ümlaut' .hidden -- -dash; ls -A | od -c | md5sum; ls -b; rm -- -dash
printf 'x%.0s' {1..256} | xargs touch; echo $?

echo 1 >a; echo 2 >b; mv a b; cat b; mkdir d; mv b d; ls d; mv -T d e; ls e; cp -r e f
diff -r e f; echo $?; mv e f/none/x; echo $?

mkdir -m 1777 t; stat -c '%A %a' t; mkfifo -m 600 p; mknod s p; ls -l p s | cut -c1-10
stat -c '%F %a' p; mknod d c 1 3; echo $?

for i in $(seq 2000); do : >f$i; done; ls | wc -l; ls | sort -V | tail -1
find . -name 'f1*' -delete; ls | wc -l; rm f*; ls | wc -l

exec 3>gone; rm gone; echo deleted >&3; cat /dev/fd/3; ls; tail -c +1 /proc/self/fd/3
