# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The cover letter: the text of the series' cover with the figures of the last
# measurement and of the last complete test, each with its date and command, if it
# has room for them.

cover_date()
{
	date -u -d "@$(stat -c %Y "$1")" '+%Y-%m-%d %H:%M UTC'
}

cover_bench()
{
	local results=$lab_build/bench/results.tsv

	if [[ ! -s $results ]]; then
		say "There is no measurement yet; 'make bench' makes one."
		return
	fi
	say "Cost, measured $(cover_date "$results") ('make bench' reproduces it):"
	say "instructions a range on one virtual CPU that counts them, this series, the"
	say "base, and a floor of one hmm_range_fault() and one dma_map_page() for each"
	say "mapping:"
	say
	tr -d '\r' <"$results" | awk -F '\t' '
	BEGIN {
		label["get"] = "get pages"
		label["get-again"] = "get again"
		label["get-valid"] = "already valid"
		label["insert"] = "insert"
		label["invalidate"] = "invalidate"
		printf "  %-22s %-14s %8s %8s %8s %6s\n", "", "", "series", "base",
			"floor", "ratio"
	}
	$1 == "count" && ($3 in label) {
		printf "  %-22s %-14s %8d %8d %8s %6s\n", ($2 == shape ? "" : $2),
			label[$3], $4, $5, ($6 > 0 ? $6 : "-"),
			($5 > 0 ? sprintf("%.2f", $4 / $5) : "-")
		shape = $2
	}
	$1 == "time" { times = times sprintf("  %-46s %8.1f %8.1f %6.2f\n", $2, $3, $4, $5) }
	END {
		if (times)
			printf "\nReal time, two CPUs, medians of alternating turns:\n\n%s", times
	}'
}

# The tests that there are, as run-tests is given them, which names their results so
cover_tests_all()
{
	find "$series_work/ours" -name '*.c' -exec \
		sed -n '/struct kunit_suite .*= *{/,/^}/s/.*\.name = "\([^"]*\)".*/kunit:\1/p' {} +
	sed -n '/^TEST_GEN_PROGS *:=/{:more;/\\$/{N;s/\\\n//;b more};s/^[^=]*= *//p}' \
		"$series_work/ours/$lab_selftests/Makefile" 2>/dev/null | tr -s ' \t' '\n' | sed 's/^/selftest:/'
}

# cover_missing RUN: the tests that it did not have
cover_missing()
{
	local test

	cover_tests_all | while read -r test; do
		compgen -G "$1/ktap/*-${test/:/-}" >/dev/null || say "$test"
	done
}

# The newest run of all tests, or else the newest of those that had the most
cover_run()
{
	local run missing best='' least=1000000

	while read -r run; do
		[[ -f $run/kernel.log && $(cat "$run/status" 2>/dev/null) == 0 ]] || continue
		missing=$(cover_missing "$run" | wc -l)
		((missing < least)) || continue
		least=$missing
		best=$run
	done < <(find "$lab_build/guest" -maxdepth 1 -name 'test-*' -printf '%T@ %p\n' 2>/dev/null |
		sort -rn | cut -d' ' -f2-)
	say "$best"
}

cover_tests()
{
	local run ktap=$series_work/tests.ktap text=$series_work/tests.txt missing files

	run=$(cover_run)
	if [[ -z $run ]]; then
		say "There is no test run yet; 'make test' makes one."
		return
	fi
	root_need >/dev/null
	mapfile -t files < <(find "$run/ktap" -type f | sort | sed "s,^$lab_build,/build,")
	in_root /repo/tools/lab/report "${run/#"$lab_build"//build}/kernel.log" \
		"${files[@]}" >"$ktap"
	in_root python3 tools/testing/kunit/kunit.py parse "${ktap/#"$lab_build"//build}" \
		>"$text" 2>&1 || true
	say "Tests, run $(cover_date "$run/kernel.log") ('make test' reproduces it) with lockdep,"
	say "KASAN, DEBUG_VM, DMA_API_DEBUG and kmemleak:"
	say
	sed -nE 's/^(not ok|ok) [0-9]+ (.*)/  \1\t\2/p' "$ktap" | expand -t 10
	say
	say "  $(report_count "$text" || true)"
	missing=$(cover_missing "$run" | paste -sd' ')
	[[ -z $missing ]] || say "
Not in that run: $missing" | fold -s -w 72
}

# cover_fill FILE: put our text where git has left room for it
cover_fill()
{
	local text=$series_work/cover

	! grep -qx '@BENCH@' "$series_cover" || cover_bench >"$text.bench"
	! grep -qx '@TESTS@' "$series_cover" || cover_tests >"$text.tests"
	sed -e 1,2d -e "s|@BASE@|$(series_base_name)|" \
		-e "/^@BENCH@$/{r $text.bench
d}" -e "/^@TESTS@$/{r $text.tests
d}" "$series_cover" >"$text"
	sed -i -e "s|\*\*\* SUBJECT HERE \*\*\*|$(sed -n 1p "$series_cover")|" \
		-e "/^\*\*\* BLURB HERE \*\*\*$/{r $text
d}" "$1"
}
