#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Programs that know nothing of devices, with two devices at work on all of their memory:
# each has to say what it says without them.
#
# svm_bystander.so is looked for in the path and beside this file.
# shellcheck disable=SC2317 # run calls the programs, and the trap what ends it

PATH=$PATH:$(cd "$(dirname "$0")" && pwd)
set_name=svm_programs_test
set_dir=/sys/kernel/config/vsvm/$set_name
tests=0
failed=0

result()
{
	tests=$((tests + 1))
	if [[ $1 == 0 ]]; then
		echo "ok $tests $2"
	else
		echo "not ok $tests $2"
		failed=1
	fi
}

skip()
{
	echo "1..0 # SKIP $1"
	exit 4
}

finish()
{
	rmdir "$set_dir" 2>/dev/null
	rm -rf "$work"
}

# Programs: what they print depends on nothing but themselves
prog_sort()
{
	seq 10000 | tac | sort -n -S 1M --parallel=2 | cksum
	seq 10000 | sort -R --random-source=/proc/self/exe | sort -u | wc -l
}

prog_compress()
{
	seq 20000 >"$work/plain"
	xz -1 -T2 -k -c "$work/plain" >"$work/packed" && xz -dc "$work/packed" | cksum
}

# A compiler is several programs, and much memory that is never used again
prog_compile()
{
	printf '%s\n' '#include <stdio.h>' 'int main(void) { return puts("compiled") < 0; }' \
		>"$work/a.c"
	gcc -O2 -o "$work/a" "$work/a.c" && "$work/a"
}

prog_shell()
{
	local i sum=0

	for ((i = 0; i < 4; i++)); do
		sum=$((sum + $(echo "$i" | (read -r n; echo "$((n * n))"))))
	done
	echo "$sum"
}

# Memory that parent and children share and copy, a file that is mapped, and threads
prog_python()
{
	python3 -W ignore - "$work/mapped" <<-'END'
	import hashlib, mmap, os, sys, threading

	private = bytearray(i % 251 for i in range(1 << 19))
	shared = mmap.mmap(-1, 1 << 19)
	with open(sys.argv[1], "w+b") as f:
	    f.truncate(1 << 19)
	    mapped = mmap.mmap(f.fileno(), 1 << 19)

	def child(n):
	    for i in range(n, len(private), 64):
	        private[i] ^= 0xff
	        shared[i] = n
	    os._exit(private[n] ^ n ^ 0xff)

	def fill(n):
	    for i in range(n, len(mapped), 2):
	        mapped[i] = (i + n) % 256

	children = {}
	for n in range(2):
	    pid = os.fork()
	    if not pid:
	        child(n)
	    children[pid] = n
	    private[n + 64] ^= 1
	threads = [threading.Thread(target=fill, args=(n,)) for n in range(2)]
	for thread in threads:
	    thread.start()
	for thread in threads:
	    thread.join()
	for pid in children:
	    print(children[pid], os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	mapped.flush()
	mapped.close()
	with open(sys.argv[1], "rb") as f:
	    print(hashlib.sha256(f.read()).hexdigest())
	print(hashlib.sha256(private).hexdigest(), hashlib.sha256(shared).hexdigest())
	END
}

beside_devices()
{
	(
		export SVM_BYSTANDER=$set_name SVM_BYSTANDER_LOG=$work/log
		export LD_PRELOAD=$library
		"$@"
	)
}

run()
{
	local name=$1 needs=$2

	if ! command -v "$needs" >/dev/null; then
		result 0 "programs.$name # SKIP $needs is not there"
		return
	fi
	if ! bash -c "$(declare -f "prog_$name"); work=$work; prog_$name" >"$work/alone" 2>&1; then
		sed 's/^/# /' "$work/alone"
		result 1 "programs.$name fails without devices"
		return
	fi
	beside_devices bash -c "$(declare -f "prog_$name"); work=$work; prog_$name" \
		>"$work/beside" 2>&1 &&
		cmp -s "$work/alone" "$work/beside"
	result $? "programs.$name"
	diff "$work/alone" "$work/beside" | sed 's/^/# /'
}

((EUID == 0)) || skip "needs root"
library=$(command -v svm_bystander.so) || skip "svm_bystander.so is not there"
[[ -d /sys/module/vsvm ]] || skip "vsvm is not there"
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
work=$(mktemp -d)
trap finish EXIT
if ! { mkdir "$set_dir" && echo 2 >"$set_dir/devices" && echo 64M >"$set_dir/mem_size" &&
	echo 1 >"$set_dir/enabled"; }; then
	skip "no devices by $set_dir"
fi

echo "TAP version 13"
run sort sort
run compress xz
run compile gcc
run shell bash
run python python3

awk '{ looked += $1; in_ += $2; out += $3 } END { print "# pages:", looked, in_, out
	exit !(looked && in_ && out) }' "$work/log"
result $? "programs.devices_were_at_work"

echo "1..$tests"
exit $failed
