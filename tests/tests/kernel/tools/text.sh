cd /usr/share/common-licenses; grep -c the GPL-3; grep -in 'warranty' GPL-2 | head -3; grep -rlw Lesser . | sort
grep -E '^ {10,}[A-Z ]+$' GPL-3; grep -Po '\bfree\w+(?= software)' GPL-3 | sort | uniq -c
grep -A1 -B1 -m1 Preamble GPL-3; grep -L zebra -r . | wc -l; grep -Fxf <(head -3 GPL-3) GPL-3 | wc -l
grep -z x /dev/null; echo $?; grep -q x none; echo $?; zgrep -c . GPL-3

cd /usr/share/common-licenses; sed -n '/Preamble/,/^$/p' GPL-3 | head -5
sed -E 's/([a-z]+) ([a-z]+)/\2 \1/g;3q' GPL-3; sed '1!G;h;$!d' <<<$'1\n2\n3'; sed -s -n '$=' GPL-2 GPL-3
sed 'y/abc/xyz/;s/./&/2g' <<<abcabc; sed -n 'l 20' <<<$'a\tb'; sed '$!N;P;D' <<<$'1\n2'; sed -n '2{p;q}' GPL-3
sed 's/x/y/w /dev/stdout' <<<x; sed = <<<$'a\nb'; sed e <<<'echo run'

cp /usr/share/common-licenses/GPL-3 g; sed -i.bak -e 's/GNU/gnu/g' -e '/^$/d' g; wc -l g g.bak; diff g g.bak | md5sum
sed -i 1d g; ls -l g | cut -d' ' -f1,2; sed -f <(echo 's/gnu/GNU/') g | head -1; diff -u <(head -3 g) <(tail -n 3 g) |
sed 1,2d; cp g h; sed -i 's/software/hardware/' h; diff -u g h >p; patch g <p; cmp g h; patch -R h <p; echo $?
diff3 g h g.bak | md5sum; cmp -l g h | wc -l

awk '{for (i = 1; i <= NF; i++) n[tolower($i)]++} END {for (w in n) if (n[w] > 60) print n[w], w | "sort -rn"}' /usr/share/common-licenses/GPL-3
awk -F: -v OFS=- '{$2 = NR; print $1, $2, $NF}' /etc/passwd | head -3
awk 'BEGIN {while ("seq 3" | getline x) s += x; close("seq 3"); print s; printf "%.4f %e %c\n", atan2(0, -1), 12345.678, 65; print substr("hello", 2, 3), index("abc", "c"), length("xyz"), toupper("up"), sprintf("%o", 8)}'

awk 'BEGIN {srand(1); n = split("c b a", w); for (i in w) print w[i] >"out"; close("out"); while ((getline l <"out") > 0) t = t l; print t; if (match("foobar", /o+/)) print RSTART, RLENGTH; s = "aaa"; print gsub(/a/, "b", s), s; print ENVIRON["PATH"]; print system("exit 3"); exit 4}'
echo $?; seq 100000 | awk '{s += $1; if (s % 7 == 0) c++} END {print s, c}'
awk 'function f(n) {return n < 2 ? n : f(n - 1) + f(n - 2)} BEGIN {print f(20)}'

bc -l <<<'scale=40; 4*a(1); 2^200; sqrt(2)'; echo '{"a":[1,2,{"b":null}]}' |
jq -c '.a[2], (.a | length), [.. | numbers] '; jq -n '[range(1000)] | add'; jq -r '.x // "none"' <<<'{}'; jq . <<<'{'
echo $?; file /bin/true /etc/passwd | cut -d, -f1; strings /bin/true | grep -c .; hexdump -C /etc/hostname | wc -l |
grep -c .; column -t -s: /etc/passwd | head -2; look x 2>&1 | head -1; cal 2>/dev/null; iconv -f utf8 -t latin1 <<<é |
od -c; less /etc/debian_version | cat; col -b <<<x; colrm 2 <<<abc; rev <<<abc
