#!/bin/sh
# Makes the upper layers of the image `debian-layers` as tar files in the current directory: one of each thing that a layer can hold.
set -eu

tar_of() { # DIR FILE
  tar --create --file "$2" --directory "$1" --format=pax --xattrs --xattrs-include='*' --acls --numeric-owner --sort=name --sparse .
}

# Layer 2: kinds of files, attributes, names.
mkdir -p 2/data/dir 2/data/many 2/data/opaque 2/data/replaced-by-file 2/data/removed-dir 2/data/sticky
cd 2/data
echo base > plain
ln plain hard-a
ln plain dir/hard-b
ln -s plain link-relative
ln -s /data/plain link-absolute
ln -s missing/target link-dangling
ln -s "$(printf '%0200d' 0)" link-long
mkfifo -m 640 fifo
mknod -m 666 char c 1 3
mknod -m 660 block b 7 0
cp /bin/busybox setuid && chown 1000:1000 setuid && chmod 6755 setuid
cp /bin/busybox capable && setcap cap_net_raw+ep capable
echo x > attributes
setfattr -n user.short -v value attributes
setfattr -n user.long -v "$(head -c 2000 /dev/zero | tr '\0' v)" attributes
setfattr -n trusted.thing -v 1 attributes
echo x > acl && setfacl -m u:1000:rw,g:2000:r acl
setfacl -d -m u:1000:rwx dir
chmod 1777 sticky
truncate -s 64M sparse && printf middle | dd of=sparse bs=1 seek=33554432 conv=notrunc status=none
: > empty
head -c 4096 /dev/zero | tr '\0' a > page
head -c 4097 /dev/zero | tr '\0' b > page-and-one
touch -d '1960-01-02 03:04:05.123456789 UTC' before-epoch
touch -d '2100-01-02 03:04:05.987654321 UTC' far-future
touch "$(printf '%0255d' 0)"
touch 'white space' "$(printf 'new\nline')" 'ünïcödé' "$(printf 'latin\351')"
mkdir -p "$(printf 'deep/%.0s' $(seq 40))"
i=0; while [ $i -lt 3000 ]; do : > many/file-$i; i=$((i + 1)); done
echo lower > opaque/hidden
echo lower > removed-file
echo lower > removed-dir/file
echo lower > replaced-by-file/file
echo lower > replaced-by-dir
chown -h 4000000000:4000000001 link-relative
cd ../..
tar_of 2 2.tar

# Layer 3: changes to what lies below. `.wh.` names are the OCI image specification's whiteouts.
mkdir -p 3/data/opaque 3/data/replaced-by-dir 3/etc
cd 3/data
: > .wh.removed-file
: > .wh.removed-dir
: > .wh.hard-a
: > opaque/.wh..wh..opq
echo upper > opaque/shown
echo upper > replaced-by-file
echo upper > replaced-by-dir/file
echo changed > plain
: > ../etc/.wh.debian_version
cd ../..
tar_of 3 3.tar

# Layer 4: an opaque marker that comes after its siblings in the stream, and a file that comes back.
mkdir -p 4/data/opaque
echo again > 4/data/removed-file
echo last > 4/data/opaque/last
: > 4/data/opaque/.wh..wh..opq
tar --create --file 4.tar --directory 4 --numeric-owner --no-recursion ./data ./data/removed-file ./data/opaque ./data/opaque/last ./data/opaque/.wh..wh..opq
