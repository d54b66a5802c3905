echo out; echo err >&2; exit 3

eval "echo piped $(printf '| cat %.0s' {1..50})"

cat <<END
here $((2**40 % 7)) ${PATH//:/ }
END

cat <<<string; echo {a..e}{1,2} $'tab\t'

cd /etc; echo *.conf [a-c]* p?m.d; shopt -s extglob
echo !(*o*)

(exit 5); echo $?; (cd /usr; pwd); pwd; { echo group; } | tr a-z A-Z

exec 3>x; echo hi >&3; exec 3>&-; cat x; exec 4<x; read -u 4 line; echo $line

exec 5<>rw; echo abc >&5; cat rw; echo more >>rw; wc -c <rw; : >|rw; wc -c <rw

coproc cat; echo hi >&${COPROC[1]}; read x <&${COPROC[0]}; echo $x

mkfifo p; (echo through >p) & cat p; wait

a=(1 2 3); declare -A m=([k]=v); echo ${a[@]:1} ${#a[@]} ${m[k]} ${a[-1]}

f() { local x=1; return 4; }; f; echo $?; type f | head -1; set -e; false; echo never

printf '#!/bin/bash\necho script $0 $1\n' >s; chmod +x s; ./s a; printf 'echo no line\n' >t; bash t

printf '#!/no/such\n' >s; chmod +x s; ./s; echo $?; ./absent; echo $?; /etc; echo $?; /etc/passwd; echo $?

for i in {1..50}; do (echo $i) & done | sort -n | md5sum; wait; echo all

for i in {1..100}; do /bin/true || echo failed; done; echo done

times | wc -l; umask 027; umask; ulimit -s; ulimit -c

env -i A=1 /usr/bin/env; env -i bash -c 'echo $PATH'; echo $$ $PPID $UID; id
