cat >start <<'S'
redis-server --port $1 --bind 127.0.0.1 ::1 --dir $PWD --daemonize no --logfile $PWD/log --appendonly yes --save 3600 1 --io-threads 2 --unixsocket $PWD/s --pidfile $PWD/pid --enable-debug-command yes ${2:-} &
S
. ./start 7101; r() { redis-cli -p 7101 "$@"; }; until [ "$(r ping 2>&1)" = PONG ]; do sleep 0.05; done; r set a 1
r get a; r incr a; r append a x; r strlen a; r setex t 1000 v; [ $(r ttl t) -gt 500 ]
echo $?; r lpush l 1 2 3; r lrange l 0 -1
r hset h f v g w; r hgetall h; r zadd z 1 a 2 b; r zrange z 0 -1 withscores; r sadd s 1 2; r pfadd p 1 2 3
r pfcount p; r get none; r eval 'return redis.call("get", KEYS[1])' 1 a; r object encoding l; r -s s dbsize
r -h ::1 echo six; r type z; r bad 2>&1
seq 20000 | sed 's/.*/SET k& v&/' | r --pipe | tail -1; r dbsize; seq 3000 | sed 's/.*/GET k&/' | r | md5sum
seq 200 | sed 's/.*/LPUSH q &/' | r | tail -1; r brpop none 0 >popped & p=$!
until r info clients | grep -q blocked_clients:1; do sleep 0.05; done; r lpush none item; wait $p; cat popped
redis-cli -p 7101 subscribe c >heard & p=$!; until r pubsub numsub c | grep -qx 1; do sleep 0.05; done
r publish c hello; r publish c bye; until grep -q bye heard; do sleep 0.05; done; cat heard
{ kill $p; wait $p; } 2>/dev/null; echo $?
r --raw --scan --pattern 'k1999?' | sort; printf 'MULTI\nINCR m\nINCR m\nEXEC\n' | r; r config get maxclients |
tail -1; r client list | wc -l
r bgsave; until r info persistence | grep -q 'rdb_bgsave_in_progress:0'; do sleep 0.05; done; r info persistence |
grep -e rdb_last_bgsave_status -e aof_last_write; r bgrewriteaof; until r info persistence |
grep -q 'aof_rewrite_in_progress:0' && r info persistence | grep -q 'aof_rewrite_scheduled:0'; do sleep 0.05; done
r info persistence | grep aof_last_bgrewrite; r set after rewrite; redis-check-rdb dump.rdb | tail -1 | cut -d' ' -f2-
redis-benchmark -p 7101 -n 4000 -c 20 -P 4 -t set,get,incr,lpush,mset --csv | cut -d, -f1
redis-benchmark -s s -n 1000 -c 5 -q -t ping | sed 's/: .*//' | tr '\r' '\n' | sort -u; sum=$(r debug digest)
r shutdown nosave; wait; . ./start 7101; until [ "$(r ping 2>&1)" = PONG ]; do sleep 0.05; done
[ "$(r debug digest)" = "$sum" ]; echo $?; r get after; kill -9 $!; wait $! 2>/dev/null; echo $?; . ./start 7101
until [ "$(r ping 2>&1)" = PONG ]; do sleep 0.05; done; [ "$(r debug digest)" = "$sum" ]; echo $?; for i in 1 2 3 4
do redis-benchmark -p 7101 -n 500 -c 5 -q -t set >/dev/null & b[i]=$!; done; wait ${b[@]}; echo $?; r shutdown save
wait; echo $?; redis-check-aof --fix appendonlydir/*.manifest | tail -1; grep -ci -e error -e fail log

redis-server --port 7103 --dir $PWD --save '' --logfile $PWD/l1 --repl-diskless-sync-delay 0 & m=$!
redis-server --port 7104 --dir $PWD --save '' --logfile $PWD/l2 --dbfilename r.rdb --replicaof 127.0.0.1 7103 & s=$!
until redis-cli -p 7103 set x y 2>/dev/null | grep -q OK; do sleep 0.05; done
until redis-cli -p 7104 info replication 2>/dev/null | grep -q master_link_status:up; do sleep 0.05; done; seq 500 |
sed 's/.*/SET n& &/' | redis-cli -p 7103 --pipe | tail -1; printf 'SET last 1\nWAIT 1 60000\n' | redis-cli -p 7103
redis-cli -p 7104 get n500; redis-cli -p 7104 set z z 2>&1; kill -TERM $m $s; wait $m; echo $?; wait $s; echo $?
