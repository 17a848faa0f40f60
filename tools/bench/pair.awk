# SPDX-License-Identifier: MIT
# Turn the lines of pair-xe into a table: the median of each side's rounds, and the
# ratio, which is better above 1 for rates and below 1 for times. Fails if a side has
# none of a row.

BEGIN {
	FS = "\t"
	printf "%-44s %9s %11s %11s %9s\n", "", "unit", "ours", "base", "ours/base"
}

function median(key, side,	n, i, j, value, sorted)
{
	n = count[key, side]
	for (i = 1; i <= n; i++) {
		value = values[key, side, i]
		for (j = i - 1; j > 0 && sorted[j] > value; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = value
	}
	return sorted[int(n / 2) + 1]
}

$1 == "xe-row" && NF == 6 {
	key = $4 FS $5
	if (!(key in seen)) {
		seen[key] = 1
		keys[++rows] = key
	}
	values[key, $2, ++count[key, $2]] = $6 + 0
}

END {
	for (row = 1; row <= rows; row++) {
		key = keys[row]
		split(key, part, FS)
		if (!count[key, "ours"] || !count[key, "base"]) {
			printf "%-44s %9s  only of one side\n", part[1], part[2]
			bad = 1
			continue
		}
		ours = median(key, "ours")
		base = median(key, "base")
		printf "%-44s %9s %11.2f %11.2f %9s\n", part[1], part[2], ours, base,
			(base > 0 ? sprintf("%.2f", ours / base) : "-")
	}
	exit bad || !rows
}
