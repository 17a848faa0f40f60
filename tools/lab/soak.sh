# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# What user space sees of one seed of xe_soak on Debian's kernel and on ours.
#
# The soak's choices depend on the seed alone, so both kernels are asked for the
# same. Each step leaves a line in a log: the operation, how it ended, and a
# checksum of what it read. What the soak's own shadow finds to be wrong is a line
# that begins with BAD; the soak takes what is there for right from then on, and
# marks what came of that with '*'. Ours must not have a BAD line, and no line that
# is other than that of the stock kernel where that one is right. Where the stock
# kernel's run comes to an early end, the steps behind that have nothing to be
# compared with.

soak_ops=${SOAK_OPS:-300} # steps of each round
soak_dir=$lab_build/soak

# soak_log CONFIG SEED: run the seed, keep the log as build/soak/SEED-CONFIG
soak_log()
{
	local config=$1 seed=$2 log=$soak_dir/$2-$1 status=0

	boot_parse "$config" --name "soak-$config" --gpus 1 --smp 1 --mem 2G -- bash -c \
		"probe-gpu && /out/$soak_ours/selftests/xe_soak --keep-going --log /results/soak.log \
		--seed $seed --ops $soak_ops --threads 1"
	boot_run >"$log.out" 2>&1 || status=$?
	if [[ ! -f $boot_host_dir/soak.log ]]; then
		tail -n 20 "$log.out" >&2
		die "xe_soak does not run on the $config kernel"
	fi
	mv "$boot_host_dir/soak.log" "$log"
	((status == 0)) || say "BAD 0 0 0 the run ended with status $status, see $log.out" >>"$log"
	gpu_bugs | sed 's/^/BAD gpu gpu 0 /' >>"$log" || true
}

# soak_compare STOCK OURS: say what differs; fails if stock is right there
soak_compare()
{
	awk '
	function step() { return $1 " " $2 }
	function result(line) { sub(/.*]/, "", line); return line }
	FNR == 1 { file++ }
	$1 == "BAD" {
		bad[file]++
		if (file == 2)
			print "ours: " $0
		else
			wrong[$2 " " $3] = 1
		if (file == 1 && $2 == 0 && $3 == 0)
			early = 1
		next
	}
	$1 == "has" {
		if (file == 2 && $0 != has) {
			print "the guests are not alike: stock " has ", ours " $0
			differ++
		}
		has = $0
		next
	}
	file == 1 { line[step()] = $0; steps++; next }
	{
		seen++
		if (early && !(step() in line)) {
			alone++
			next
		}
		there = line[step()]
		if (there == $0 || there ~ /[*]$/ || $0 ~ /[*]$/ || step() in wrong)
			next
		if (there ~ /refused/ && $0 ~ /done/) {
			more++
			next
		}
		print "stock: " there "\nours:  " $0
		differ++
	}
	END {
		if (early ? seen < steps : seen != steps) {
			print "stock has " steps " steps, ours " seen + 0
			differ++
		}
		printf "%d steps; stock wrong in %d, ours in %d; %d differ", seen, bad[1], bad[2], differ
		printf "; %d that only ours serves, %d that stock has not come to\n", more, alone
		exit differ || bad[2] || !seen
	}' "$1" "$2"
}

# soak_diff SEED...: fails if one does
soak_diff()
{
	local seed failed=0

	mkdir -p "$soak_dir"
	for seed in "$@"; do
		say "==> seed $seed, $soak_ops steps a round, on the stock kernel and on ours (usually 8 min)"
		soak_log stock "$seed"
		soak_log "$soak_ours" "$seed"
		soak_compare "$soak_dir/$seed-stock" "$soak_dir/$seed-$soak_ours" || failed=1
	done
	return "$failed"
}
