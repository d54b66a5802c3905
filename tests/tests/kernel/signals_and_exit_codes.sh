trap 'echo got term' TERM; kill -TERM $$; echo after

trap 'echo exit' EXIT; exit 3

trap '' INT; kill -INT $$; echo ignored; trap - INT; trap

trap 'echo usr1' USR1; for i in 1 2 3; do kill -USR1 $$; done; (kill -USR1 $$); echo end

trap 'echo chld' CHLD; /bin/true; echo end

sleep 100 & kill $!; wait $!; echo $?

sleep 100 & kill -9 $!; wait $!; echo $?; kill -0 $!

sleep 100 & kill -STOP $!; kill -CONT $!; kill -HUP $!; wait $!; echo $?

bash -c 'kill -ABRT $$'; echo $?; bash -c 'kill -SEGV $$'; echo $?; bash -c 'kill -PIPE $$'; echo $?

timeout 0.2 sleep 60; echo $?; timeout -s KILL 0.2 sleep 60; echo $?; timeout 60 true; echo $?

timeout 0.2 bash -c 'while :; do :; done'; echo $?

mkfifo q; stopped() { until jobs -s >s; [ -s s ]; do read -t 0.02 <>q; done; }
asleep() { until read -r s </proc/$$/stat; [[ $s = *') S '* ]]; do :; done; }
set -m; asleep & jobs; wait; echo done; (kill -STOP $BASHPID; echo resumed) & stopped; jobs; fg; echo $?

yes | head -2; echo ${PIPESTATUS[@]}; (trap '' PIPE; yes 2>&1) | head -1

(ulimit -f 1; head -c 4096 /dev/zero >q; echo $?; stat -c %s q)

mkfifo q; (sleep 0.3; echo late; : >q) & disown; read x <q; echo end

mkfifo q; (perl -e '$| = 1; sleep 1 while getppid != 1; print "orphan\n"; open Q, ">", "q"' &); read x <q

kill -l 9 15 TERM; kill 99999; kill -99 $$; echo $?

perl -e 'kill 9, $$'; echo $?; perl -e '$SIG{ALRM} = sub { print "alarm\n"; exit 2 }; alarm 1;
sleep 60'; echo $?
