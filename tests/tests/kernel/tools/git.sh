export HOME=$PWD GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.name n; git config --global user.email e; git config --global init.defaultBranch main
git config --global advice.detachedHead false; git init r; cd r; for i in {1..10}; do seq $i 100 >f$i; git add .
git commit -qm "commit $i" || echo failed; done; git log --oneline | head -3; git log --stat -2 | tail -4
git rev-list --count HEAD; git status; git diff HEAD~3 --shortstat; git show HEAD:f3 | head -1; git blame f1 | head -1
git grep -n 42 | wc -l
cd ..; git clone -q file://$PWD/r c; cd c; git log -1 --format=%H; echo x >>f1; git commit -qam change
git push -q origin HEAD:topic; git -C ../r branch -a; git fetch; git pull -q --ff-only; cd ../r; git merge -q topic
git log -1 --format=%s; git gc -q; git fsck --full; git count-objects -v | grep -v size; git repack -adq; git prune
git verify-pack .git/objects/pack/*.idx; git archive HEAD | tar tf - | wc -l; git bundle create -q b HEAD
git bundle verify -q b; echo $?

export HOME=$PWD GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.name n; git config --global user.email e; git init -q -b main r; cd r; seq 100 >f; git add f
git commit -qm base; git checkout -qb side; sed -i 50s/^/side/ f; git commit -qam s1; echo new >g; git add g
git commit -qm s2; git checkout -q main; sed -i 5s/^/main/ f; git commit -qam m1; git rebase main side
git log --oneline --graph; git checkout -q main; sed -i 50s/^/other/ f; git commit -qam m2; git merge side
git status -s; git checkout --theirs f; git add f; git commit -qm merged; git log --format=%s%d -4
git worktree add -q ../w side; git worktree list | wc -l; (cd ../w; git status -sb; echo w >w; git add w
git commit -qm w); git branch -v; git worktree remove ../w; git cherry-pick side; git stash list; echo dirty >>f
git stash -q; git stash pop; git reset -q --hard; git tag -am tag v1; git describe --always
GIT_SEQUENCE_EDITOR='sed -i 2d' git rebase -qi HEAD~2; git log --oneline | wc -l
git bisect start -q HEAD HEAD~2 2>&1 | head -1; git bisect run true | tail -1; git bisect reset -q; git reflog | wc -l
git submodule -q add file://$PWD/../r sub 2>&1 | tail -1; git notes add -m note; git format-patch -1 --stdout |
grep -c diff; git filter-branch -f --msg-filter 'sed s/m/M/' HEAD 2>&1 | tail -1; git clean -fdxq; git fsck
git rev-parse HEAD
