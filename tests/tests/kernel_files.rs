//! Class `kernel`: files, as root and as an ordinary user, behave as in class `native`.

mod kernel;

use kernel::{DEBIAN, Kernel};

#[test]
fn names_and_links() {
    Kernel::new(DEBIAN).same_scripts("bash", include_str!("kernel/names_and_links.sh"));
}

#[test]
fn contents_and_attributes() {
    Kernel::new(DEBIAN).same_scripts("bash", include_str!("kernel/contents_and_attributes.sh"));
}

#[test]
fn an_ordinary_user_may_not_do_what_root_may() {
    let kernel = Kernel::new(DEBIAN);
    let script = "id; cat /etc/shadow; echo x >/etc/x; touch /tmp/mine; chmod 000 /tmp/mine; cat /tmp/mine
        chown 0 /tmp/mine; kill -9 1; ls /root; mkdir /x; rm /etc/passwd; mv /bin/ls /tmp; ln /etc/passwd /tmp/l
        hostname other; mknod /tmp/n c 1 3; chmod 666 /etc/passwd; touch /etc/passwd; rmdir /home; mount -t tmpfs t /mnt
        su -c id; nice -n -5 true; ulimit -n 99999999; : </etc/passwd; ls -ld /tmp; stat -c %U /tmp/mine
        rm -f /tmp/mine; mkdir /tmp/d; chmod 555 /tmp/d; touch /tmp/d/f; chmod 311 /tmp/d; ls /tmp/d; cd /tmp/d; pwd; exit 7";
    for user in ["1000:1001", "www-data", "nobody:0"] {
        assert_eq!(kernel.same(&["-u", user], &["bash", "-c", script]).code, 7);
    }
    let other =
        "echo x >/tmp/x; chmod 1777 /tmp; su -s /bin/bash www-data -c 'rm /tmp/x; echo y >>/tmp/x; cat /tmp/x; id -un'";
    kernel.same(&[], &["bash", "-c", other]);
    kernel.same(&["--cap-drop", "ALL"], &["bash", "-c", "chown 1 /etc/passwd; cat /etc/shadow; kill -0 1; echo $?"]);
    kernel.same(&[], &["bash", "-c", "chmod 4755 /usr/bin/id; su -s /bin/bash www-data -c 'id -u; id -ru'"]);
}
