cp -r /usr/src/zlib . && cd zlib && CFLAGS=-O1 ./configure 2>&1 | grep -c . && make -j4 >log 2>&1; echo $?; make check 2>&1 |
grep -i -e test -e ok | sort | head -40; echo $?; ls -l minigzip libz.a | wc -l; ./minigzip <zlib.h | ./minigzip -d |
cmp - zlib.h; echo $?; make -j4 >again 2>&1; grep -c gcc again; make -s clean; ls *.o 2>/dev/null | wc -l
