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
    let script = include_str!("kernel/ordinary_user.sh");
    for user in ["1000:1001", "www-data", "nobody:0"] {
        assert_eq!(kernel.same(&["-u", user], &["bash", "-c", script]).code, 7);
    }
    let shared = "echo x >/tmp/x; su -s /bin/bash www-data -c 'rm /tmp/x; echo y >>/tmp/x; cat /tmp/x; id -un'";
    kernel.same(&[], &["bash", "-c", shared]);
    kernel.same(&["--cap-drop", "ALL"], &["bash", "-c", "chown 1 /etc/passwd; cat /etc/shadow; kill -0 1; echo $?"]);
    kernel.same(&[], &["bash", "-c", "chmod 4755 /usr/bin/id; su -s /bin/bash www-data -c 'id -u; id -ru'"]);
}
