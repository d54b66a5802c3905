export PATH=/usr/lib/postgresql/15/bin:$PATH LC_ALL=C PGHOST=$PWD PGPORT=5499 PGUSER=postgres; chown postgres .
p() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }; q() { psql -qAtX -c "$1" ${2:-postgres}; }
p initdb -D d --no-sync -k -E UTF8 2>&1 | grep -c ok$; echo "unix_socket_directories = '$PWD'" >>d/postgresql.conf
p pg_ctl -D d -w -l log start | tail -1; q 'select 6 * 7'; q 'create database b'
q 'create table t(a int primary key, b text); insert into t select g, md5(g::text) from generate_series(1, 20000) g; analyze; select count(*), min(b), max(b) from t' b
q 'create index on t(b); explain (costs off) select * from t where b = $$x$$; select sum(hashtext(b)::bigint) from t' b
q 'select name, setting from pg_settings where name in ($$shared_memory_type$$, $$dynamic_shared_memory_type$$, $$wal_sync_method$$) order by 1'
q 'set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; explain (costs off) select count(*) from t; select count(*), sum(length(b)) from t' b
psql -h 127.0.0.1 -AtXc 'select inet_server_port()'
pgbench -iq -s 2 b 2>&1 | tail -1 | cut -c 1-7; pgbench -c 4 -j 2 -t 100 b 2>&1 | grep -e processed -e failed
pgbench -c 4 -j 2 -t 300 -S -M prepared b 2>&1 | grep -e processed
q 'select sum(abalance) = (select sum(bbalance) from pgbench_branches), count(*) from pgbench_accounts' b
q 'select count(*) from pgbench_history' b; pgbench -c 4 -T 200 b >/dev/null 2>&1 &
until [ $(q 'select count(*) > 500 from pgbench_history' b) = t ]; do sleep 0.1; done
kill -9 $(head -1 d/postmaster.pid); wait $! 2>/dev/null; while pgrep -u postgres >/dev/null; do sleep 0.1; done; p pg_ctl -D d -w -l log start | tail -1
grep -c 'redo done' log
q 'select sum(abalance) = (select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history) = sum(abalance), count(*) from pgbench_accounts' b
kill -9 $(pgrep -f '^postgres: checkpointer'); until grep -q 'all server processes terminated' log; do sleep 0.1; done
until q 'select 1' 2>/dev/null; do sleep 0.1; done; q 'listen x; notify x' | wc -l
q 'begin; lock t; select pg_backend_pid() > 1; commit' b
mkfifo held go; psql -qAtX b >/dev/null <<'Q' & holder=$!
begin; update t set b = 1 where a = 1;
\! echo >held; read x <go
commit;
Q
read x <held; q 'set lock_timeout = 200; update t set b = 2 where a = 1' b; echo >go; wait $holder
q 'set statement_timeout = 300; select pg_sleep(10)'
pg_dump b | md5sum | wc -l; vacuumdb -qaz -j 2; echo $?; pg_amcheck -j 2 --install-missing b; echo $?
p pg_basebackup -D copy -c fast; echo $?; p pg_verifybackup copy; p pg_ctl -D d -w -m fast stop | tail -1
p pg_controldata d | grep state; p pg_checksums -D d | grep -e scanned -e Bad | grep Bad; ls .s.* 2>&1 | wc -l
