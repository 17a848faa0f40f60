# SPDX-License-Identifier: MIT
# Draw results.tsv as an SVG: instructions, relative to the base's of each row.

BEGIN {
	FS = "\t"
	row_height = 15
	left = 230
	scale = 400 # one base
}

function text(x, y, anchor, s)
{
	return sprintf("<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, s)
}

function bar(y, width, colour)
{
	if (width > 1.5 * scale)
		width = 1.5 * scale

	return sprintf("<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"5\" fill=\"%s\"/>\n",
		       left, y, width, colour)
}

function key(x, colour, what)
{
	return sprintf("<rect x=\"%d\" y=\"8\" width=\"12\" height=\"8\" fill=\"%s\"/>\n", x,
		       colour) text(x + 18, 16, "start", what)
}

($1 == "count" || $1 == "move") && $5 > 0 {
	y = 30 + ++n * row_height
	if ($1 $2 != shape)
		body = body text(8, y, "start", $2)
	shape = $1 $2
	body = body text(left - 8, y, "end", $3)
	body = body bar(y - 9, scale * $4 / $5, "#1a73c8")
	if ($6 > 0)
		body = body bar(y - 4, scale * $6 / $5, "#9aa0a6")
	body = body text(left + 1.5 * scale + 60, y, "end", $4 " / " $5)
}

END {
	height = 50 + n * row_height
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" ",
		left + 1.5 * scale + 80, height
	print "font-family=\"sans-serif\" font-size=\"11\">"
	print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
	printf "%s%s", key(left, "#1a73c8", "ours"), key(left + 80, "#9aa0a6", "floor")
	printf "%s", text(left + scale, 16, "middle", "base = 1")
	printf "%s", text(left + 1.5 * scale + 60, 16, "end", "ours / base")
	printf "%s", body
	printf "<line x1=\"%d\" x2=\"%d\" y1=\"22\" y2=\"%d\" stroke=\"#c5221f\"/>\n",
		left + scale, left + scale, height - 12
	print "</svg>"
}
