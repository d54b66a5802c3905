mkdir -p p/DEBIAN p/usr/share/proof p/etc
printf 'Package: proof\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\nDepends: bash\nDescription: a proof\n' >p/DEBIAN/control
echo 1 >p/etc/proof.conf; echo /etc/proof.conf >p/DEBIAN/conffiles; for s in preinst postinst prerm postrm
do printf '#!/bin/sh\necho %s "$@"\n' $s >p/DEBIAN/$s; chmod 755 p/DEBIAN/$s; done; seq 1000 >p/usr/share/proof/data
ln -s data p/usr/share/proof/link; for z in gzip xz zstd none; do dpkg-deb -Z$z --root-owner-group -b p proof.deb
dpkg-deb -c proof.deb | wc -l; dpkg -I proof.deb | grep Version; done
dpkg -i proof.deb; dpkg -s proof | head -2; dpkg -L proof; dpkg -S /usr/share/proof/data; dpkg -l proof | tail -1
dpkg -V proof; echo 2 >/etc/proof.conf; sed -i 's/1.0/1.1/' p/DEBIAN/control
dpkg-deb --root-owner-group -b p proof.deb; dpkg -i --force-confold proof.deb; cat /etc/proof.conf; dpkg -V proof
dpkg -r proof; ls /usr/share/proof; cat /etc/proof.conf; dpkg -P proof; ls /etc/proof.conf; dpkg -s proof; echo $?

apt-get --version | head -1; apt-cache policy bash | head -2; apt-get -s remove bc 2>&1 | tail -1
dpkg --get-selections | wc -l; dpkg-query -W -f '${Package} ${Version}\n' | sort | md5sum; dpkg --audit; echo $?
dpkg --compare-versions 1.2~rc1 lt 1.2; echo $?; dpkg --print-architecture; apt-mark showmanual | wc -l
apt-config dump | wc -l; apt list --installed 2>/dev/null | wc -l; apt-get check; apt-cache stats | wc -l

dpkg -r bc; which bc; dpkg -s bc | grep Status; apt-get remove -y zip; which zip; dpkg -l zip | tail -1
update-alternatives --display awk | head -3; dpkg-divert --add --rename --divert /bin/rev.x /usr/bin/rev
ls /bin/rev.x; dpkg-divert --remove --rename /usr/bin/rev; dpkg-statoverride --list | wc -l; ldconfig; ldconfig -p |
wc -l; useradd -m joe; id joe; su joe -c 'cd; pwd; id -un'; userdel -r joe; groupadd -g 4242 grp; getent group grp
echo root:x | chpasswd -c SHA512; echo $?; getent passwd root; update-ca-certificates 2>&1 | head -0
