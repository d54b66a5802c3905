cp -a /usr/src/gzip . && cd gzip && ./configure >log 2>&1; echo $?; grep -c yes log; make -j4 >>log 2>&1; echo $?
make check 2>&1 | grep -e ^PASS -e ^FAIL -e ^SKIP -e ^ERROR -e '^# ' | sort; seq 9999 | ./gzip -9 | ./gzip -d | md5sum
make install DESTDIR=$PWD/i >>log 2>&1; find i -type f | sort
