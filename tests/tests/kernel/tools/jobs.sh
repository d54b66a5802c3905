mkfifo q; stopped() { until jobs -s >s; [ -s s ]; do read -t 0.02 <>q; done; }
asleep() { until read -r s </proc/$$/stat; [[ $s = *') S '* ]]; do :; done; }
set -m; sleep 300 & p=$!; jobs -r; kill -STOP %1; stopped; jobs -s; kill -CONT %1; jobs
exec 2>/dev/null; kill $p; wait $p; echo $?; exec 2>&1; (asleep; exit 7) & wait $!; echo $?; asleep &
(read <q; asleep) & wait -n; echo $?; jobs -p | wc -l; : >q; wait; disown -a; sleep 1 & disown; jobs

mkfifo q; stopped() { until jobs -s >s; [ -s s ]; do read -t 0.02 <>q; done; }
asleep() { until read -r s </proc/$$/stat; [[ $s = *') S '* ]]; do :; done; }
set -m; seq 5 | (read x; kill -STOP $BASHPID; asleep; cat) & stopped; jobs; bg %1; wait %1; echo $?
(trap 'echo int' INT; asleep; kill -INT $BASHPID; sleep 0.1; echo end) & wait
(ps -o pgid= -p $BASHPID; ps -o pgid= -p $$) | sort -u | wc -l

mkfifo q; asleep() { until read -r s </proc/$$/stat; [[ $s = *') S '* ]]; do :; done; }
trap 'echo usr1' USR1; (asleep; kill -USR1 $$; read <q) & wait $!; echo $?; : >q; wait; trap 'echo exit $?' EXIT
trap 'echo chld' CHLD; /bin/true; :; trap - CHLD; trap 'echo err' ERR; false; (trap - EXIT; kill -TERM $BASHPID)
echo $?; bash -c 'kill -SEGV $$'; echo $?; bash -c 'ulimit -c 0; kill -QUIT $$'; echo $?; trap; ulimit -t 1; (while :
do :; done); echo $?; exit 6

for n in 1 2 3; do eval "seq 2000 $(printf '| cat %.0s' {1..50}) | md5sum"; done; yes |
eval "cat $(printf '| cat %.0s' {1..50})" | head -1000 | wc -l; echo ${PIPESTATUS[@]} | tr ' ' '\n' | sort | uniq -c
set -o pipefail; true | (exit 5) | true; echo $?; false | true; echo $?; ! true; echo $?

for i in {1..200}; do (exit $((i % 7))) & p[i]=$!; done; for i in {1..200}; do wait ${p[i]}; s=$((s + $?)); done
echo $s; i=0; while ((i++ < 300)); do x=$(echo $i); done; echo $x; f() { (($1 > 0)) && echo $(f $(($1 - 1)))x; }; f 20
ulimit -u 5000; ulimit -n 64; exec 60>&1; echo high >&60; exec 70>&1; echo $?

setsid bash -c 'ps -o sid= -p $$ | tr -d " " | grep -cx $$'; setsid -w bash -c 'exit 4'; echo $?
nohup bash -c 'kill -HUP $$; echo alive' 2>/dev/null; mkfifo q; exec -a other cat q & exec 5>q
tr '\0' ' ' </proc/$!/cmdline; exec 5>&-; wait; (time -p true) 2>&1 | wc -l; read -t 0.1 x < <(exec sleep 300)
echo $?; kill $!
printf '%(%Y)T\n' 0; mapfile -t a < <(seq 1000); echo ${#a[@]}; exec 3<>/dev/tcp/127.0.0.1/1; echo $?
script -qec 'tty | grep -c pts; stty size' /dev/null </dev/null; pstree -A $$ | grep -c bash; select x in a b
do echo $x
break; done <<<2
