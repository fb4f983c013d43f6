#!/bin/sh
# SPDX-License-Identifier: MIT
# /init of a guest; see initramfs.py. Every way through it ends with the machine off.

export PATH=/bin HOME=/root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t debugfs debug /sys/kernel/debug
ip link set lo up 2>/dev/null

# Errors and warnings belong on the console, the rest into the log.
dmesg -n 5
stty -F /dev/ttyS1 raw -echo
exec </dev/null >/dev/ttyS1 2>&1

say() { echo "LWCVM $*"; }

finish() {
	# Only from the log: the console may have lost lines in a panic.
	say dmesg-begin
	dmesg
	say dmesg-end
	say end
	sync
	poweroff -f
}

# The host would only see that it takes too long; here there is still something to be said.
watch() {
	sleep "$1"
	for task in /proc/[0-9]*/task/[0-9]*; do
		[ "$(readlink "$task/exe" 2>/dev/null)" = /bin/busybox ] && continue
		grep -q '^VmSize\|^State:.D' "$task/status" 2>/dev/null || continue
		echo "# ${task##*/} $(cat "$task/comm"), $(grep State: "$task/status"), it is in:"
		# What it holds may keep us waiting too.
		timeout 2 cat "$task/stack" 2>&1
	done
	say "failed: not done after $1 s; where its tasks are, is told above"
	finish
}

leaks() {
	[ -e /sys/kernel/debug/kmemleak ] || return
	# It reports what is older than five seconds and the same in two scans.
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	echo scan >/sys/kernel/debug/kmemleak
	say "kmemleak-begin"
	cat /sys/kernel/debug/kmemleak
	say "kmemleak-end"
}

say "kernel $(uname -r)"
for module in /modules/*; do
	[ -e "$module" ] || continue
	insmod "$module" || { say "failed: insmod $module"; finish; }
done

case "$(cat /proc/cmdline)" in
*lwcvm.swap*)
	mkswap /dev/vda >/dev/null && swapon /dev/vda || { say "failed: swap on /dev/vda"; finish; }
	;;
esac

seconds=$(sed -n 's/.*lwcvm.seconds=\([0-9]*\).*/\1/p' /proc/cmdline)
watch "$seconds" &

if [ -e /sys/kernel/debug/kmemleak ]; then
	echo scan=off >/sys/kernel/debug/kmemleak
	echo scan >/sys/kernel/debug/kmemleak
	echo clear >/sys/kernel/debug/kmemleak
fi

if [ -e /lwc.ko ]; then
	insmod /lwc.ko $(cat /lwc.parameters) || { say "failed: insmod lwc.ko"; finish; }
	say loaded
fi

sh /script
say "exit $?"

if [ -e /lwc.ko ]; then
	leaks
	# The last process is gone a grace period before its hold on the module is.
	tries=0
	until rmmod lwc 2>/tmp/rmmod; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || { cat /tmp/rmmod; say "failed: rmmod lwc"; finish; }
		usleep 100000
	done
	say unloaded
	leaks
fi
finish
