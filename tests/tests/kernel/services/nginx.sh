mkdir -p www logs tmp; seq 100000 >www/big; head -c 7000000 /dev/zero >www/huge; for i in {1..50}; do echo page $i >www/$i.html; done; cat >n.conf <<C
daemon off; worker_processes 3; pid $PWD/pid; error_log $PWD/error.log notice; user root;
events { worker_connections 256; multi_accept on; }
http { access_log $PWD/access.log; sendfile on; tcp_nopush on; keepalive_timeout 30; gzip on; gzip_min_length 100; aio threads; directio 8m; open_file_cache max=100;
client_body_temp_path $PWD/tmp/b; proxy_temp_path $PWD/tmp/p; fastcgi_temp_path $PWD/tmp/f; uwsgi_temp_path $PWD/tmp/u; scgi_temp_path $PWD/tmp/s; types { text/html html; text/plain txt; }
upstream u { server 127.0.0.1:8201; server unix:$PWD/sock; keepalive 4; }
server { listen 127.0.0.1:8201 reuseport; listen [::1]:8201; listen unix:$PWD/sock; root $PWD/www; autoindex on; location /slow { limit_rate 300k; alias $PWD/www/big; } location /v { return 200 "version 1\n"; } location /put { client_max_body_size 5m; proxy_pass http://127.0.0.1:8202; } }
server { listen 127.0.0.1:8202; location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://u/; } } }
C
nginx -t -c $PWD/n.conf 2>&1 | sed "s,$PWD,,"; nginx -c $PWD/n.conf 2>/dev/null & n=$!
until wget -qO- http://127.0.0.1:8201/1.html; do sleep 0.05; done; wget -qO- http://[::1]:8201/big | md5sum
wget -qO- http://127.0.0.1:8202/2.html; wget -qO- --header 'Accept-Encoding: gzip' http://127.0.0.1:8201/1.html |
zcat -f; wget -q http://127.0.0.1:8201/none; echo $?
workers() { for i in {1..600}; do [ $(pgrep -c -P $n) = $1 ] && break; sleep 0.05; done; pgrep -c -P $n; }; workers 3
cat >client.py <<'P'
import hashlib, http.client, socket, sys, threading
port = int(sys.argv[1])
def many(n, results):
    c = http.client.HTTPConnection("127.0.0.1", port)
    total = hashlib.md5()
    for i in range(50):
        c.request("GET", f"/{i % 50 + 1}.html"); r = c.getresponse(); total.update(r.read()); assert r.status == 200
    c.request("GET", "/big"); total.update(c.getresponse().read())
    c.request("GET", "/big", headers={"Range": "bytes=1000-1999"}); r = c.getresponse(); results[n] = (r.status, r.read()[:9], total.hexdigest())
results = [None] * 8
threads = [threading.Thread(target=many, args=(n, results)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(set(results)), results[0])
s = socket.create_connection(("127.0.0.1", port)); s.sendall(b"GET /v HTTP/1.1\r\nHost: x\r\n\r\n" * 5 + b"GET /v HTTP/1.0\r\n\r\n")
data = b""
while (piece := s.recv(4096)): data += piece
print(data.count(b"version 1"), data.count(b"200 OK"))
P
cat >held.py <<'P'
import hashlib, socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536); s.connect(("127.0.0.1", 8201))
s.sendall(b"GET /huge HTTP/1.0\r\n\r\n"); data = s.recv(1); open("held", "w").close(); open("go").read()
while (piece := s.recv(65536)): data += piece
body = data.partition(b"\r\n\r\n")[2]; print(len(body), hashlib.md5(body).hexdigest())
P
leaving() { until [ $(grep -c gracefully error.log) = $1 ]; do sleep 0.05; done; }; mkfifo held go
python3 client.py 8201; python3 client.py 8202; wget -qO- http://127.0.0.1:8201/slow | md5sum
python3 held.py & slow=$!; read x <held; old=$(pgrep -P $n); sed -i 's/"version 1/"version 2/' n.conf; kill -HUP $n
leaving 3; wget -qO- http://127.0.0.1:8201/v; workers 4; echo >go; wait $slow; workers 3; for p in $old
do kill -0 $p 2>/dev/null && echo old; done; victim=$(pgrep -P $n | head -1); kill -9 $victim
while kill -0 $victim 2>/dev/null; do sleep 0.05; done; workers 3; mv access.log access.1; kill -USR1 $n
until [ $(ls -l $(pgrep -P $n | sed 's,.*,/proc/&/fd,') | grep -c access.log$) = 3 ]; do sleep 0.05; done
wget -qO- http://127.0.0.1:8201/v; until [ -s access.log ]; do sleep 0.05; done; wc -l <access.log
python3 held.py & slow=$!; read x <held; kill -QUIT $n; leaving 6; echo >go; wait $slow; wait $n; echo $?
ls pid sock 2>&1 | wc -l; wget -q -T 2 -t 1 http://127.0.0.1:8201/v; echo $?
grep -c -e emerg -e crit -e '\[error\].*failed (1[013]:' error.log; sed 's/^[^]]*\] [0-9#: *]*//' error.log |
grep -v -e start -e signal -e exit -e reopen -e gracefully -e 'worker process' -e 'none' -e built -e OS -e RLIMIT -e reconfig -e 'using the' -e epoll -e 'to a temporary file' |
head -20

cat >n.conf <<C
worker_processes 2; pid $PWD/pid; error_log $PWD/error.log; events { use epoll; } http { access_log off; client_body_temp_path $PWD/b; proxy_temp_path $PWD/p; fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s; server { listen 8203 default_server; listen [::]:8203; root $PWD; location /s { alias /proc/self/status; } location /e { echo_off; } } }
C
nginx -c $PWD/n.conf 2>&1 | sed 's/.*\[/[/;s/[0-9#]*: //;s/ in .*//'
sed -i 's/location .e.*; }/location \/e { return 204; }/' n.conf; sed -i 's/{ echo_off; }/{ return 204; }/' n.conf
nginx -c $PWD/n.conf; until wget -qO- http://localhost:8203/n.conf >/dev/null; do sleep 0.05; done
until [ $(ps -o user= -C nginx | grep -vc root) = 2 ]; do sleep 0.05; done; wget -S -O /dev/null http://localhost:8203/e 2>&1 | grep -c 'HTTP/1.1 204'
su www-data -s /bin/sh -c id >/dev/null; ps -o user= -C nginx | sort | uniq -c; stat -c %a pid
nginx -s quit -c $PWD/n.conf 2>/dev/null; while pgrep nginx >/dev/null; do sleep 0.05; done; ls pid
pgrep nginx; echo $?
