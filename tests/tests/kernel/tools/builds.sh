cat >a.c <<'C'
#include <stdio.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
static void *work(void *p) { double s = 0; for (int i = 1; i < 100000; i++) s += sqrt(i); *(double *)p = s; return p; }
int main(int argc, char **argv) { pthread_t t[4]; double r[4]; for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, work, &r[i]);
for (int i = 0; i < 4; i++) pthread_join(t[i], 0); printf("%.3f %d\n", r[0] + r[3], argc); return atoi(argc > 1 ? argv[1] : "0"); }
C
for o in '-O0 -g' '-O2 -static' '-O3 -flto -pie -fPIE' '-Os -s -fsanitize=undefined -fno-sanitize=all'
do gcc -Wall $o a.c -o a -lm && ./a 3; echo $?; done; gcc -S -O1 a.c -o - | grep -c call; gcc -E a.c | wc -l
gcc -c a.c -o a.o; nm a.o | grep -c ' U '; size a.o | tail -1; objdump -d a.o | wc -l; readelf -h a | grep Type
ar rcs liba.a a.o; ranlib liba.a; gcc -shared -fPIC a.c -o liba.so -lm; ldd liba.so | grep -c libc; strip a
gcc -pg --coverage a.c -o c -lm; ./c 0; gcov -n c-a.gcda | head -2; gcc bad.c; echo 'int main(){return x;}' >b.c
gcc b.c 2>&1 | head -2; gcc -M a.c | wc -l; printf 'int main(){}' | gcc -xc -pipe - -o s; ./s; echo $?

printf 'all: x y z\n\techo done\n%%: %%.in\n\tcp $< $@; sleep 0.1\nclean:\n\trm -f x y z\nfail:\n\texit 3\nsub:\n\t+$(MAKE) -s all\n' >Makefile
touch x.in y.in z.in; make -j4 -O | sort; make; make -n -B | wc -l; make -j2 clean sub; make fail; echo $?
make -k fail none; echo $?; touch -d '+1 hour' x.in; make 2>&1 | head -1 | sed 's/ [0-9]* s / /'; make -q x 2>q; echo $?; sed 's/ [0-9]* s / /' q
MAKEFLAGS= make -s -f - <<'M'
$(shell seq 9 | tr '\n' ' ' >v)
all: ; @echo $(words $(shell cat v)) $(origin CC) $(wildcard *.in)
M
