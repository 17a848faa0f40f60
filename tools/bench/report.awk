# SPDX-License-Identifier: MIT
# Turn the lines that user/bench.c prints into tables of at most 100 columns.
#
# Targets: a get costs at most 1.2 times the floor, a get of valid pages at most
# half of what it costs in the base, and no row more than in the base. Those of
# migration are in move_target(), and where there is a target for an overlap.

BEGIN {
	FS = "\t"
	label["fail"] = "failed fault"
	label["insert"] = "insert"
	label["get"] = "get pages"
	label["get-valid"] = "get pages, valid"
	label["invalidate"] = "invalidate"
	label["invalidate-2pass"] = "invalidate, two passes"
	label["parts-all"] = "invalidate all, by parts"
	label["parts-1"] = "invalidate one page"
	label["parts-1-get"] = "get pages, one missing"
	label["parts-8"] = "invalidate 8 pages"
	label["parts-8-get"] = "get pages, 8 missing"
	label["invalidate-idle"] = "invalidate, no range hit"
	label["get-again"] = "get pages again"
	label["fini"] = "fini"
	label["to-device"] = "to device"
	label["populate"] = "to device, populate_mm"
	label["hole"] = "a hole, populate_mm"
	label["touch"] = "CPU touches one page"
	label["read"] = "CPU reads each page"
	label["evict"] = "eviction"
	overlapped["populate"] = "populate_mm"
	overlapped["evict"] = "eviction"
}

function ratio(a, b)
{
	return b + 0 > 0 ? sprintf("%.2f", a / b) : "-"
}

function verdict(row, ours, base, floor)
{
	if (row == "get" || row == "get-again")
		return ours <= 1.2 * floor ? "ok, <= 1.2 floor" : "MISS, > 1.2 floor"
	if (row == "get-valid")
		return ours <= 0.5 * base ? "ok, <= 0.5 base" : "MISS, > 0.5 base"

	return ours <= base ? "ok, <= base" : "above base"
}

# The part of the base's cost that ours is to be at most
function move_target(shape, row,	huge)
{
	huge = shape ~ /huge/
	if (row == "to-device" || row == "populate")
		return huge ? 0.7 : 0.9
	if (row == "evict")
		return 0.85
	if (row == "touch" && !huge)
		return 0.1

	return 1
}

# How much faster it can be to overlap what the CPU and the engine do, each chunk
# for itself, all 32 of them
function overlap_limit(base, chunk_us,	engine, cpu)
{
	engine = 32 * chunk_us
	cpu = base - engine

	return base / (engine > cpu ? engine : cpu)
}

function errno(number)
{
	return number == 16 ? "-EBUSY" : "-" number
}

# What the two returned, where that isn't success
function note(ours, base, target)
{
	if (!ours && !base)
		return "<= " target

	return (ours ? "ours " errno(ours) " " : "") (base ? "base " errno(base) : "")
}

$1 == "calibration" {
	printf "Calibration: a loop of %d instructions counts as %d (%.4f)\n", $2, $3, $3 / $2
	if ($3 / $2 < 0.995 || $3 / $2 > 1.005) {
		print "The clock does not count instructions: the figures below are no counts."
		bad = 1
	}
}

$1 == "count" {
	if ($2 != shape) {
		if (shape == "")
			print "\nInstructions a range"
		printf "\n%-26s %8s %8s %8s %9s %10s\n", $2, "ours", "base", "floor",
			"ours/base", "ours/floor"
		shape = $2
	}
	printf "  %-24s %8d %8d %8s %9s %10s  %s\n", label[$3], $4, $5, ($6 > 0 ? $6 : "-"),
		ratio($4, $5), ratio($4, $6), verdict($3, $4, $5, $6)
}

function some(count)
{
	return count > 0 ? count : "-"
}

$1 == "move" {
	if ($2 != moved) {
		if (moved == "")
			print "\nInstructions to move 2 MiB to a device and back"
		printf "\n%-24s %8s %8s %8s %8s %9s %9s\n", $2, "ours", "base", "floor",
			"bare", "ours/base", "bare/base"
		moved = $2
	}
	target = move_target($2, $3)
	printf "  %-22s %8d %8d %8s %8s %9s %9s  %s, %s\n", label[$3], $4, $5, some($6),
		some($7), ratio($4, $5), ($7 > 0 ? ratio($7, $5) : "-"),
		($4 <= target * $5 ? "ok" : "MISS"), note($8 + 0, $9 + 0, target)
}

$1 == "window" {
	windows = windows sprintf("  %-22s %12d %12d\n", $2 " KiB", $3, $4)
}

# There is a target where the engine is about as fast as the CPU.
$1 == "modelled" {
	limit = overlap_limit($6, $4)
	target = $3 == "populate" && limit > 1.6
	modelled = modelled sprintf("%-48s %8d %8d %8s %8.2f%s\n",
		sprintf("%s, %s, %d us a chunk", $2, overlapped[$3], $4), $5, $6 + 0,
		ratio($6, $5), limit,
		target ? ($6 + 0 >= 1.5 * $5 ? "  ok, >= 1.5" : "  MISS, >= 1.5") : "")
}

# Three lines a shape: addresses, range, notifier
$1 == "bytes" && $3 == "addresses" {
	addresses_ours = $4
	addresses_base = $5
}

$1 == "bytes" && $3 == "range" {
	bytes = bytes sprintf("%-26s %8d %8d %8d %8d %9s\n", $2, $4, addresses_ours, $5,
		addresses_base, ratio($4 + addresses_ours, $5 + addresses_base))
}

$1 == "bytes" && $3 == "notifier" {
	notifier = sprintf("%-26s %8d %8s %8d %8s %9s\n", "a window's notifier", $4, "", $5, "",
		ratio($4, $5))
}

$1 == "time" {
	times = times sprintf("%-48s %10.1f %10.1f %10.2f\n", $2, $3, $4, $5)
}

END {
	if (bytes) {
		print "\nBytes held, a mapped range: the range itself, its address arrays\n"
		printf "%-26s %17s %17s %9s\n", "", "ours", "base", "ours/base"
		printf "%s%s", bytes, notifier
	}
	if (windows) {
		print "\nInstructions of the CPU, 2 MiB in small pages, by what a fault brings back (ours)\n"
		printf "%-24s %12s %12s\n%s", "", "touches one", "reads each", windows
	}
	if (modelled) {
		print "\nModelled time in us, 64 MiB, an engine that takes its time for each chunk\n"
		printf "%-48s %8s %8s %8s %8s\n%s", "", "ours", "base", "speedup", "overlap",
			modelled
	}
	if (times) {
		print "\nReal time, two CPUs: medians, and the median of the turns' ratios\n"
		printf "%-48s %10s %10s %10s\n%s", "", "ours", "base", "ours/base", times
	}
	exit bad
}
