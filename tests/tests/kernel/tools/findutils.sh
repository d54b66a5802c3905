mkdir -p a/b/c d; touch -d '2000-01-01' a/old; seq 1000 >a/b/big; touch 'd/sp ace' "d/q'q" d/.h; ln -s ../a d/l
mkfifo d/f; chmod 600 a/old; find . | sort; find . -type f -size +1k; find . ! -newermt 2001-01-01 -print
find . -perm 600; find . -type l -printf '%p %l %Y\n'; find . -type p

mkdir -p x/{1..20}/{a,b}; touch x/{1..20}/{a,b}/f; find x -depth -name 'f' -path '*/1*/a/*' | wc -l
find x -maxdepth 1 -mindepth 1 -regex '.*/[0-9]' | sort | tr '\n' ' '; find x -prune
find x -name b -prune -o -type f -print | wc -l; find x -empty -delete; find x -type d | wc -l; find x | wc -l

touch {1..500}; find . -type f -print0 | xargs -0 -n 100 sh -c 'echo $#' sh; ls | xargs -P 4 -n 50 echo | wc -w
seq 5 | xargs -I {} echo '<{}>'; find . -name '1?' -exec rm {} \; ; find . -name '2?' -execdir sh -c 'echo $0' {} \; |
sort; find . -type f -exec ls {} + | wc -l; echo a b | xargs -p echo 2>&1 </dev/null | cat; xargs false <<<x; echo $?
xargs -r false </dev/null; echo $?

touch a; ln a b; find . -samefile a | sort; find . -links 2 | wc -l; find . -inum $(stat -c %i a) | wc -l
find . -user root -group 0 | wc -l; find . -uid 1; find . -mmin -5 | wc -l; find . -amin +5
find / -maxdepth 1 -fstype proc; find /proc/self/fd -lname 'pipe*' | wc -l | grep -c .; find -L . -xtype l
find . -type f -printf '%M %n %u %s %f\n' | sort; find nothing; echo $?

find /usr/share -type f -name '*.py' | wc -l; find /usr/lib -xdev -type l | sort | md5sum
find /etc -type f -printf '%m %s %P\n' | grep -v -e hosts -e hostname -e resolv | sort | md5sum; find /usr -type d |
wc -l; find /usr/bin -type f -perm -4000 | sort
