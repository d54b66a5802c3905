# Tries what only root may do.
id; cat /etc/shadow; echo x >/etc/x; touch /tmp/mine; chmod 000 /tmp/mine; cat /tmp/mine
chown 0 /tmp/mine; kill -9 1; ls /root; mkdir /x; rm /etc/passwd; mv /bin/ls /tmp; ln /etc/passwd /tmp/l
hostname other; mknod /tmp/n c 1 3; chmod 666 /etc/passwd; touch /etc/passwd; rmdir /home; mount -t tmpfs t /mnt
su -c id; nice -n -5 true; ulimit -n 99999999; : </etc/passwd; stat -c %A /tmp; stat -c %U /tmp/mine
rm -f /tmp/mine; mkdir /tmp/d; chmod 555 /tmp/d; touch /tmp/d/f; chmod 311 /tmp/d; ls /tmp/d; cd /tmp/d; pwd; exit 7
