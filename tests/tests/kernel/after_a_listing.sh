mkdir d; touch d/a d/b d/c; ls d; stat -c %s d/a; echo text >>d/a; stat -c %s d/a

mkdir d; touch d/a d/b; ls -l d | wc -l; rm d/a; stat d/a; ls d; touch d/new; stat -c %n d/new; cat d/absent; touch d/absent; ls d

mkdir d; touch d/a d/b; ls d; mv d/a d/x; stat -c %n d/a d/x; mv d/x d/b; ls d; stat -c '%n %h' d/b

mkdir -p d/e f; touch d/e/1; ls -R d; mv d/e f/; ls d/e; ls f/e; stat -c %n f/e/1; rmdir d; stat d

mkdir d; echo one >d/a; ln d/a d/b; ls d; echo more >>d/a; stat -c '%n %s %h' d/a d/b; rm d/a; stat -c '%s %h' d/b

mkdir d; touch d/a; ls d; chmod 600 d/a; stat -c %a d/a; chown 7:8 d/a; stat -c %u:%g d/a; touch -d @99 d/a; stat -c %Y d/a

mkdir d; echo 1 >d/1; echo 2 >d/2; ls d; perl -e 'syscall(316, -100, q(d/1), -100, q(d/2), 2)'; cat d/1 d/2; perl -e 'print syscall(316, -100, q(d/1), -100, q(d/2), 1), qq( $!\n)'

mkdir d; ln -s a d/l; touch d/a; ls d; rm d/l; ln -s b d/l; readlink d/l; cat d/l; echo b >d/b; cat d/l

mkdir d; mkdir d/s; ls -l d | wc -l; touch d/s/1 d/s/2; mkdir d/s/t; stat -c '%h' d/s; ls d/s; cd d/s; rmdir ../s; rm 1 2; rmdir t ../s; stat -c '%h' .; ls -a; touch x

mkdir d; for i in $(seq 300); do echo $i >d/$i; done; ls -l d | md5sum >/dev/null; for i in $(seq 2 2 300); do rm d/$i; done; cat d/* | md5sum; ls d | wc -l; for i in $(seq 1 2 300); do mv d/$i d/n$i; done; cat d/n* | md5sum; ls d/3

mkdir d; touch d/a; ls d; exec 3<d/a; rm d/a; stat -L -c '%h %s' /proc/self/fd/3; echo new >d/a; cat <&3; cat d/a

mkdir d; for i in 1 2 3 4 5 6; do stat -c %n d/no$i; done; for i in 1 2 3 4 5 6; do echo $i >d/no$i; done; cat d/no*