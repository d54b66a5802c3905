python3 - <<'P'
import sqlite3
db = sqlite3.connect("l.db", isolation_level=None); db.execute("pragma journal_mode=wal"); db.execute("pragma synchronous=normal"); db.execute("create table t(a integer primary key, b text)")
for i in range(100):
    db.execute("begin")
    for n in range(1000): db.execute("insert into t(b) values(?)", (f"row {i} {n}",))
    db.execute("commit")
print(db.execute("select count(*), max(a) from t").fetchall(), db.execute("pragma integrity_check").fetchall())
P
writer() { python3 - $1 <<'P'
import sqlite3, sys
db = sqlite3.connect("l.db", isolation_level=None, timeout=60)
for i in range(1000): db.execute("insert into t(b) values(?)", (sys.argv[1],))
P
}; writer a & writer b & wait
sqlite3 l.db "select b, count(*) from t where b in ('a', 'b') group by b; pragma integrity_check; select count(*) from t"
for i in {1..20}
do (sqlite3 l.db 'pragma busy_timeout=60000; insert into t(b) select b from t limit 1000; select count(*) > 0 from t' >/dev/null || echo failed) &
(sleep 0.0$i; kill -9 $!) 2>/dev/null; wait; done 2>/dev/null
sqlite3 l.db 'pragma integrity_check; select count(*) > 102000 from t'
