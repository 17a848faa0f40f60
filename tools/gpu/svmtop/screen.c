// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The same text on a terminal, and keys.
 */
#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event.h"
#include "screen.h"
#include "view.h"

static const struct {
	int key;
	enum svm_sort sort;
} sort_keys[] = {
	{ 'f', SVM_SORT_FAULTS },
	{ 'l', SVM_SORT_LATENCY },
	{ 'i', SVM_SORT_IN },
	{ 'o', SVM_SORT_OUT },
	{ 'h', SVM_SORT_HELD },
	{ 'v', SVM_SORT_INVALIDATIONS },
	{ 'n', SVM_SORT_PID },
};

/**
 * svm_screen_open() - Take the terminal
 *
 * Return: 0, or -1 after a message that says what to do.
 */
int svm_screen_open(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
		fprintf(stderr,
			"svmtop: this is no terminal.\nUse 'svmtop -b' for a file or a pipe.\n");
		return -1;
	}
	if (!newterm(NULL, stdout, stdin)) {
		fprintf(stderr,
			"svmtop: the terminal '%s' is not known.\nSet TERM, or use 'svmtop -b'.\n",
			term ? term : "");
		return -1;
	}
	cbreak();
	noecho();
	curs_set(0);
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	return 0;
}

/** svm_screen_close() - Give the terminal back */
void svm_screen_close(void)
{
	endwin();
}

static void draw_text(char *text, int first, int last)
{
	char *next;

	for (int y = first; text && *text && y <= last; y++) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		/* The heads of the two tables */
		if (!strncmp(text, "DEVICE", 6) || strstr(text, "  COMMAND"))
			attron(A_REVERSE);
		if (strstr(text, " LOST,"))
			attron(A_BOLD);
		mvaddnstr(y, 0, text, COLS);
		attroff(A_REVERSE | A_BOLD);
		text = next;
	}
}

/**
 * svm_screen_draw() - Show a model
 * @view: How to look at it
 * @model: The model
 * @paused: It stands still
 */
void svm_screen_draw(const struct svm_view *view, const struct svm_model *model,
		     bool paused)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	svm_view_print(view, model, out);
	fclose(out);

	erase();
	draw_text(text, 0, LINES - 2);
	attron(A_BOLD);
	mvprintw(LINES - 1, 0, "%s by %s%s | sort: f l i o h v n | t: sums | p: pause | q: quit",
		 paused ? "PAUSED," : "sorted", svm_sort_names[view->sort],
		 view->totals ? ", sums" : "");
	attroff(A_BOLD);
	refresh();
	free(text);
}

/**
 * svm_screen_key() - Look for a key
 * @view: What some keys change
 *
 * Return: What is left to be done.
 */
enum svm_key svm_screen_key(struct svm_view *view)
{
	int key = getch();

	if (key == ERR)
		return SVM_KEY_NONE;
	for (unsigned int i = 0; i < ARRAY_SIZE(sort_keys); i++)
		if (key == sort_keys[i].key)
			view->sort = sort_keys[i].sort;
	if (key == 't')
		view->totals = !view->totals;
	if (key == 'p' || key == ' ')
		return SVM_KEY_PAUSE;
	if (key == 'q')
		return SVM_KEY_QUIT;
	return SVM_KEY_REDRAW;
}
