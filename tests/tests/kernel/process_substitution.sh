cat <(echo a) <(echo b); diff <(seq 3) <(seq 4); tee >(cat) <<<x | cat

read -t 0.1 x < <(exec sleep 300); echo $?; kill $!; read -t 0.1 -n 3 x </dev/zero; echo $?

paste <(seq 3) <(seq 4 6); join <(seq 3) <(seq 2 5); comm <(seq 3) <(seq 2 4); nl /etc/hostname | wc -l

fold -w 5 <<<abcdefghij; fmt -w 20 <<<'some words that are folded'; expand <<<$'a\tb'; rev <<<abc
tac <(seq 3)

xargs -n2 echo < <(seq 5); seq 4 | xargs -P4 -n1 echo | sort; echo 'a b' | xargs -I{} echo '<{}>'
seq 3 | xargs false; echo $?
