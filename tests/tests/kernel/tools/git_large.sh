export HOME=$PWD GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.name n; git config --global user.email e; git config --global gc.autoDetach false; git init -q -b main r; cd r; python3 -c '
import os
for d in range(200):
    os.makedirs(f"d{d % 20}/e{d}")
    for f in range(100):
        open(f"d{d % 20}/e{d}/f{f}", "w").write(f"{d} {f}\n")'
git add -A; git commit -qm all; git ls-files | wc -l; git status --porcelain | wc -l; touch d1/e1/f*; git status -s
echo changed >d2/e2/f2; rm d3/e3/f3; echo new >d4/new; git status -s; git diff --stat | tail -1
git commit -qam change; git rev-parse HEAD^{tree}; git gc -q; git fsck; cd ..; git clone -q file://$PWD/r c
git -C c rev-parse HEAD^{tree}; find c -type f -not -path '*/.git/*' | wc -l; git -C c rm -qr d5; git -C c status -s |
wc -l; rm -rf c; find r -name '*.lock'
