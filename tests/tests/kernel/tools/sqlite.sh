sqlite3 a.db 'create table t(a integer primary key, b text, c blob); create index i on t(b); insert into t select value, "row " || value, randomblob(50) from generate_series(1, 5000)'
sqlite3 a.db 'select count(*), max(b) from t; pragma integrity_check; select sum(length(c)) from t where b like "row 9%"; update t set b = upper(b) where a % 2; delete from t where a % 3 = 0; vacuum; pragma quick_check; select count(*) from t; explain query plan select * from t where b = "x"'
for m in delete truncate persist memory wal off
do sqlite3 a.db "pragma journal_mode = $m; begin; insert into t(b) values('$m'); commit; select count(*) from t where b = '$m'"
ls a.db* | tr '\n' ' '; done; sqlite3 a.db .dump | sqlite3 b.db; sqlite3 b.db 'select count(*) from t'
sqlite3 a.db '.backup c.db'; cmp <(sqlite3 a.db .sha3sum) <(sqlite3 c.db .sha3sum); echo $?
sqlite3 none/x.db 'select 1'; echo $?
sqlite3 :memory: 'with recursive r(n) as (values(1) union all select n + 1 from r where n < 100000) select sum(n) from r'

sqlite3 w.db 'pragma journal_mode = wal; create table t(who, n)'; writer() { for i in $(seq 1 10)
do sqlite3 w.db "pragma busy_timeout = 20000; begin immediate; insert into t select '$1', value from generate_series(1, 200); commit" >/dev/null || echo "$1 failed"
done; }; writer a & writer b & wait
sqlite3 w.db 'select who, count(*), sum(n) from t group by who order by who; pragma integrity_check; pragma wal_checkpoint(truncate)'
ls w.db*; python3 - <<'P'
import sqlite3, threading
def write(n):
    db = sqlite3.connect("p.db", timeout=20)
    for i in range(20):
        with db: db.execute("insert into t values(?, ?)", (n, i))
db = sqlite3.connect("p.db"); db.execute("pragma journal_mode=wal"); db.execute("create table t(a, b)"); db.execute("pragma mmap_size=1000000")
threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(db.execute("select count(*), sum(a), sum(b) from t").fetchall(), db.execute("pragma integrity_check").fetchall())
P

sqlite3 k.db 'pragma journal_mode = wal; create table t(a)'
sqlite3 k.db 'pragma wal_autocheckpoint = 0; begin; insert into t values (1), (2); commit; select count(*) from t' '.shell kill -9 $PPID' 2>/dev/null
ls k.db*; sqlite3 k.db 'select count(*) from t; pragma integrity_check'
mkfifo locked answered; sqlite3 k.db 'begin exclusive' '.shell echo >locked; read x <answered' commit & read x <locked
sqlite3 k.db 'pragma journal_mode' 'insert into t values(3)'; echo $?; (sleep 0.3; echo >answered) &
sqlite3 -cmd '.timeout 60000' k.db 'insert into t values(4); select count(*) from t'; wait
