// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses of devices. As the shadow knows the memory, it knows how each job has to
 * end: with which data, or with which error at which address.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "soak.h"

#define MOST_BYTES	(64 * soak.page)
#define MOST_DISTURBED	32
#define READ_MARGIN	512	/* bytes of the buffer behind a read */

/* The first pages of a piece that a job works on, from @mem on; none if that is elsewhere */
static struct soak_part pages_from(const struct soak_piece *p, const struct soak_op *op,
				   const char *mem)
{
	size_t len = op->len ?: (op->count - 1) * op->stride + 8;
	size_t at = svm_addr(mem) - svm_addr(p->mem);
	struct soak_part part = { };

	if (at >= soak_bytes(p->pages))
		return part;
	part.first = at / soak.page;
	part.pages = (at + len - 1) / soak.page + 1 - part.first;
	if (part.pages > p->pages - part.first)
		part.pages = p->pages - part.first;
	if (part.pages > MOST_DISTURBED)
		part.pages = MOST_DISTURBED;
	return part;
}

/* What the job writes to, or what it reads: a read has nothing else in the piece */
static void disturb_job(struct soak_worker *w, struct soak_piece *p,
			const struct soak_op *op)
{
	struct soak_part part = pages_from(p, op, op->dst);

	if (!part.pages || (w->from && soak_below(w, 2))) {
		p = w->from ?: p;
		part = pages_from(p, op, op->src);
	}
	if (part.pages && !(p->kind->flags & SOAK_HUGETLB))
		soak_disturb(w, p, part);
}

/* Run the job; often something else happens to the memory meanwhile, if @p is there */
static bool run_job(struct soak_worker *w, struct soak_piece *p,
		    const struct soak_op *op, struct soak_outcome *out)
{
	bool disturb = p && !soak_below(w, 3);

	*out = (struct soak_outcome) { };
	w->jobs++;
	if (soak.backend->submit(w, op)) {
		soak_fail(w, "%s", svm_why());
		return false;
	}
	if (disturb)
		disturb_job(w, p, op);
	if (soak.backend->wait(w, out)) {
		soak_fail(w, "%s", svm_why());
		return false;
	}
	w->failed_jobs += !!out->status;
	return true;
}

/*
 * Where a job has to fail, and how; two places for two memories, of which a device that
 * is exact comes to the first one first
 */
struct failure {
	int error;
	uint64_t at;
};

static bool ended_as(struct soak_worker *w, const struct soak_outcome *out,
		     struct failure first, struct failure second)
{
	const struct failure *either[] = { &first, &second };
	bool exact = soak.backend->exact;

	if (!first.error && !second.error && !out->status)
		return true;
	for (int i = 0; i < (exact && first.error ? 1 : 2); i++)
		if (either[i]->error && out->status &&
		    (!exact || (out->status == either[i]->error &&
				out->fault_addr == either[i]->at)))
			return true;
	soak_fail(w, "a device's job ended with %d at %#llx, not %d at %#llx or %d at %#llx",
		  out->status, (unsigned long long)out->fault_addr,
		  first.error, (unsigned long long)first.at,
		  second.error, (unsigned long long)second.at);
	return false;
}

static bool ended(struct soak_worker *w, struct soak_piece *p,
		  const struct soak_outcome *out, int error, size_t at)
{
	struct failure first = { error, svm_addr(p->mem + at) }, none = { };

	w->result = error ? "failed" : "done";
	return ended_as(w, out, first, none);
}

static uint64_t choose_value(struct soak_worker *w)
{
	uint64_t value = svm_rand(&w->rand);

	return soak.backend->bytes_only || soak_below(w, 2) ?
	       (value & 0xff) * 0x0101010101010101ULL : value;
}

bool soak_device_fill(struct soak_worker *w, struct soak_piece *p, size_t at,
		      size_t len, uint64_t value)
{
	struct soak_op op = { .what = SOAK_FILL, .dst = p->mem + at, .len = len };
	struct soak_outcome out;
	size_t done;
	int error;

	if (soak.backend->bytes_only)
		value = (value & 0xff) * 0x0101010101010101ULL;
	op.value = value;
	done = soak_reach(p, at, len, true, &error);
	if (!run_job(w, p, &op, &out) || !ended(w, p, &out, error, at + done))
		return false;
	if (!error || soak.backend->exact)
		soak_fill(p, at, done, value);
	return true;
}

/*
 * The buffer of a read has something else in it than memory would have, so that one
 * that reads nothing shows; and so does one that goes too far
 */
static unsigned char poison(struct soak_worker *w, size_t len)
{
	unsigned char byte = svm_rand(&w->rand);

	memset(w->buf, byte, len + READ_MARGIN);
	return byte;
}

static bool is_poisoned(struct soak_worker *w, size_t at, size_t len, unsigned char byte)
{
	for (len += READ_MARGIN; at < len; at++)
		if ((unsigned char)w->buf[at] != byte) {
			soak_fail(w, "a device wrote %#x behind what it had to read, at +%#zx",
				  w->buf[at] & 0xff, at);
			return false;
		}
	return true;
}

/* A copy is what a device reads */
bool soak_device_read(struct soak_worker *w, struct soak_piece *p, size_t at,
		      size_t len)
{
	struct soak_op op = {
		.what = SOAK_COPY, .dst = w->buf, .src = p->mem + at, .len = len,
	};
	struct soak_outcome out;
	unsigned char byte;
	size_t done;
	int error;

	done = soak_reach(p, at, len, false, &error);
	byte = poison(w, len);
	if (!run_job(w, p, &op, &out) || !ended(w, p, &out, error, at + done))
		return false;
	if (error && !soak.backend->exact)
		return done || is_poisoned(w, 0, len, byte);
	return soak_compare(w, p, at, done, w->buf, "a device") &&
	       is_poisoned(w, done, len, byte);
}

bool soak_device_is_refused(struct soak_worker *w, char *mem)
{
	struct soak_op op = {
		.what = SOAK_COPY, .dst = w->buf, .src = mem, .len = soak.backend->copy_unit,
	};
	struct failure gone = { -EFAULT, svm_addr(mem) }, none = { };
	unsigned char byte = poison(w, op.len);
	struct soak_outcome out;

	/* It may cost the device a queue */
	if (!soak.backend->exact && soak_below(w, 4))
		return true;
	return run_job(w, NULL, &op, &out) && ended_as(w, &out, gone, none) &&
	       is_poisoned(w, 0, op.len, byte);
}

/*
 * Which bytes. A device that doesn't tell where it failed gets jobs that do nothing
 * but fail; and not many, as each may cost it its queue.
 */
static size_t choose_bytes(struct soak_worker *w, struct soak_piece *p, bool write,
			   size_t unit, size_t *at)
{
	struct soak_part part = soak_choose(w, p);
	size_t skip = soak_below(w, 3) ? 0 : soak_below(w, soak.page);
	size_t cut = soak_below(w, 3) ? 0 : soak_below(w, soak.page);
	size_t end = soak_bytes(part.first + part.pages) - cut / unit * unit;
	size_t len, done;
	int error;

	*at = soak_bytes(part.first) + skip / unit * unit;
	len = end > *at ? end - *at : unit;
	if (len > MOST_BYTES && soak_below(w, 8))
		len = MOST_BYTES;
	done = soak_reach(p, *at, len, write, &error);
	if (!error || soak.backend->exact)
		return len;
	if (done / unit && soak_below(w, 4))
		return done / unit * unit;
	*at = (*at + done) / soak.page * soak.page;
	len = unit < 8 ? 8 : unit;
	return soak_below(w, 4) ? 0 : len;
}

/* Without what the shadow can't know */
static size_t choose_known_bytes(struct soak_worker *w, struct soak_piece *p, bool write,
				 size_t unit, size_t *at)
{
	size_t len = choose_bytes(w, p, write, unit, at);

	for (size_t n = *at / soak.page; soak_bytes(n) < *at + len; n++)
		if (soak_is_open(p, n))
			return soak_bytes(n) > *at ? soak_bytes(n) - *at : 0;
	return len;
}

static void device_fill(struct soak_worker *w, struct soak_piece *p)
{
	size_t at, len = choose_known_bytes(w, p, true, 1, &at);

	if (len)
		soak_device_fill(w, p, at, len, choose_value(w));
}

/* Some of [at, at + len), in whole pages */
static struct soak_part choose_between(struct soak_worker *w, size_t at, size_t len)
{
	unsigned int first = at / soak.page, end = (at + len - 1) / soak.page + 1;
	struct soak_part part = { .pages = soak_below(w, end - first) + 1 };

	part.first = first + soak_below(w, end - first - part.pages + 1);
	return part;
}

static bool protect_for_reading(struct soak_worker *w, struct soak_piece *p,
				struct soak_part part)
{
	if (mprotect(soak_at(p, part.first), soak_bytes(part.pages), PROT_READ)) {
		soak_fail(w, "mprotect: %s", strerror(errno));
		return false;
	}
	for (unsigned int i = 0; i < part.pages; i++)
		p->page[part.first + i].prot = PROT_READ;
	return true;
}

/* How much is filled: all, or as much as there is before a page of that part */
static size_t filled(struct soak_worker *w, struct soak_piece *p, const struct soak_op *op,
		     const struct soak_outcome *out, struct soak_part part)
{
	uint64_t stop = out->fault_addr, start = svm_addr(soak_at(p, part.first));

	if (!out->status)
		return op->len;
	if (start < svm_addr(op->dst))
		start = svm_addr(op->dst);
	if (out->status == -EPERM && stop >= start &&
	    stop < svm_addr(soak_at(p, part.first + part.pages)))
		return stop - svm_addr(op->dst);
	soak_fail(w, "a fill ended with %d at %#llx, but pages %u+%u were protected meanwhile",
		  out->status, (unsigned long long)stop, part.first, part.pages);
	return 0;
}

/* It becomes memory for reading while a device that tells where it failed writes */
static void device_protected(struct soak_worker *w, struct soak_piece *p)
{
	size_t at, len = choose_known_bytes(w, p, true, 1, &at);
	struct soak_op op = {
		.what = SOAK_FILL, .dst = p->mem + at, .len = len, .value = choose_value(w),
	};
	struct soak_outcome out = { };
	struct soak_part part;
	int error;

	if (!soak.backend->exact || !len || soak_reach(p, at, len, true, &error) < len)
		return;
	part = choose_between(w, at, len);
	w->jobs++;
	if (soak.backend->submit(w, &op) || !protect_for_reading(w, p, part) ||
	    soak.backend->wait(w, &out)) {
		soak_fail(w, "%s", svm_why());
		return;
	}
	w->failed_jobs += !!out.status;
	soak_count("a job stopped by mprotect", out.status);
	w->result = out.status ? "stopped" : "done";
	soak_fill(p, at, filled(w, p, &op, &out, part), op.value);
}

static void device_read(struct soak_worker *w, struct soak_piece *p)
{
	size_t at, len = choose_known_bytes(w, p, false, soak.backend->copy_unit, &at);

	if (len)
		soak_device_read(w, p, at, len);
}

static void add_words(struct soak_worker *w, struct soak_piece *p,
		      enum soak_op_what what)
{
	static const size_t strides[] = { 8, 64, 4096 };
	struct soak_op op = { .what = what, .stride = strides[soak_below(w, 3)] };
	size_t at, len = choose_known_bytes(w, p, true, 8, &at), done = 0;
	struct soak_outcome out;
	int error = 0;

	op.count = len / op.stride ?: 1;
	if (op.count > soak.backend->max_words)
		op.count = soak.backend->max_words;
	op.value = svm_rand(&w->rand);
	op.dst = p->mem + at;
	while (len && done < op.count && !error) {
		error = soak_may(p, (at + done * op.stride) / soak.page, true);
		done += !error;
	}
	if (!len || (error && !soak.backend->exact && done) ||
	    !run_job(w, p, &op, &out) ||
	    !ended(w, p, &out, error, at + done * op.stride))
		return;
	for (size_t i = 0; i < done; i++)
		soak_add(p, at + i * op.stride, op.value);
}

static void device_add(struct soak_worker *w, struct soak_piece *p)
{
	add_words(w, p, SOAK_ADD);
}

static void device_atomic(struct soak_worker *w, struct soak_piece *p)
{
	/* Whether memory can move is nothing that the shadow knows */
	add_words(w, p, soak.backend->atomics_move ? SOAK_ADD : SOAK_ATOMIC);
}

static bool overlap(size_t a, size_t b, size_t len)
{
	return a < b + len && b < a + len;
}

/* From one piece to another, or within one */
static void device_copy(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_piece *from = &w->piece[soak_below(w, SOAK_SLOTS)];
	size_t unit = soak.backend->copy_unit, to, at;
	size_t len = choose_known_bytes(w, p, true, unit, &to);
	size_t most = choose_known_bytes(w, from, false, unit, &at), get, put;
	struct failure first = { }, second = { };
	struct soak_outcome out;
	struct soak_op op;

	w->from = from;
	if (len > most)
		len = most;
	if (!len || (p == from && overlap(at, to, len)) ||
	    soak_in_doubt(from, at, len))
		return;
	get = soak_reach(from, at, len, false, &first.error);
	put = soak_reach(p, to, len, true, &second.error);
	/* The nearer error hides the farther */
	if (get < put)
		second.error = 0;
	if (put < get)
		first.error = 0;
	get = get < put ? get : put;
	if (get && (first.error || second.error) && !soak.backend->exact)
		return;
	op = (struct soak_op) {
		.what = SOAK_COPY, .dst = p->mem + to, .src = from->mem + at,
		.len = len,
	};
	first.at = svm_addr(op.src + get);
	second.at = svm_addr(op.dst + get);
	soak_note(from, "step %llu: %zu bytes from +%#zx copied to piece %u",
		  (unsigned long long)w->step, len, at, p->id);
	w->result = first.error || second.error ? "failed" : "done";
	if (!run_job(w, p, &op, &out) || !ended_as(w, &out, first, second))
		return;
	p->tainted |= from->tainted;
	soak_put(p, to, from->shadow + at, get);
}

static void device_sum(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_op op = { .what = SOAK_SUM };
	size_t at, done;
	struct soak_outcome out;
	uint64_t sum = 0;
	int error;

	op.len = choose_known_bytes(w, p, false, 8, &at);
	op.src = p->mem + at;
	if (!op.len || !soak.backend->exact || soak_in_doubt(p, at, op.len))
		return;
	done = soak_reach(p, at, op.len, false, &error);
	if (!run_job(w, p, &op, &out) ||
	    !ended(w, p, &out, error, at + done) || error)
		return;
	for (size_t i = 0; i < op.len; i += 8)
		sum += *(uint64_t *)(p->shadow + at + i);
	if (sum != out.result)
		soak_fail(w, "the sum of %zu bytes at +%#zx is %#llx, not %#llx",
			  op.len, at, (unsigned long long)out.result,
			  (unsigned long long)sum);
}

/*
 * What a read fault costs: memory that only this process has is mapped for writing
 * at once. Anything may come between a read and a write, but not each time.
 */

#define COST_TRIES	16

/* The page faults that a read and a write of a fresh page take, or -1 */
static long read_add_faults(struct soak_worker *w)
{
	uint64_t *word = mmap(NULL, soak.page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct soak_op op = {
		.what = SOAK_READ_ADD, .dst = (char *)word, .value = svm_rand(&w->rand),
	};
	struct soak_outcome out = { };
	uint64_t old = svm_rand(&w->rand);
	long faults = -1;

	if (word == MAP_FAILED) {
		soak_fail(w, "no page: %s", strerror(errno));
		return -1;
	}
	*word = old;
	w->jobs++;
	if (soak.backend->submit(w, &op) || soak.backend->wait(w, &out) || out.status)
		soak_fail(w, "read and add: %d, %s", out.status, svm_why());
	else if (*word != old + op.value)
		soak_fail(w, "a read and a write of a fresh page left %#llx, not %#llx",
			  (unsigned long long)*word,
			  (unsigned long long)(old + op.value));
	else
		faults = out.faults;
	munmap(word, soak.page);
	return faults;
}

static void device_cost(struct soak_worker *w, struct soak_piece *p)
{
	long faults = 0;

	(void)p;
	for (int i = 0; soak.backend->counts_faults && i < COST_TRIES; i++) {
		faults = read_add_faults(w);
		if (faults <= 1)
			return;
	}
	if (faults > 1)
		soak_fail(w, "a read and a write of a fresh page took %ld faults, %d times",
			  faults, COST_TRIES);
}

/*
 * Where memory is. What can't move stays, and so does that for which there is no
 * room.
 */

/* Memory that can't be accessed, or not for all that a device may do, may not move */
static bool can_be_written(const struct soak_piece *p, struct soak_part part)
{
	for (unsigned int n = part.first; n < part.first + part.pages; n++)
		if (soak_may(p, n, true))
			return false;
	return true;
}

static void device_prefetch(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_mapped(w, p);
	unsigned int place = soak_below(w, soak.backend->places);
	int err;

	if (!part.pages)
		return;
	err = soak.backend->prefetch(w, soak_at(p, part.first),
				     soak_bytes(part.pages), place);
	soak_count(place ? "prefetch to a device" : "prefetch to the system", !err);
	if (err && (soak.backend->exact || err == -ETIME || can_be_written(p, part)))
		soak_fail(w, "prefetch to place %u: %d, %s", place, err, svm_why());
	else if (err)
		w->result = "refused";
}

static void device_prefer(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_mapped(w, p);
	unsigned int place = soak_below(w, soak.backend->places);

	if (part.pages && soak.backend->prefer(w, soak_at(p, part.first),
					       soak_bytes(part.pages), place))
		soak_fail(w, "%s", svm_why());
}

/*
 * Words that all workers, all devices and the CPU add to
 */

static uint64_t *shared_word(unsigned int n)
{
	return (uint64_t *)(soak.shared + n * (soak.page / 2 + 8));
}

static void device_shared(struct soak_worker *w, struct soak_piece *p)
{
	unsigned int first = soak_below(w, SOAK_SHARED_WORDS);
	unsigned int n = soak_below(w, SOAK_SHARED_WORDS - first) + 1;
	unsigned int cpu = soak_below(w, SOAK_SHARED_WORDS);
	uint64_t value = soak_below(w, 1000);
	struct soak_op op = {
		.what = SOAK_ATOMIC, .dst = (char *)shared_word(first),
		.count = n, .stride = soak.page / 2 + 8, .value = value,
	};
	struct soak_outcome out = { };

	(void)p;
	w->jobs++;
	if (soak.backend->submit(w, &op) || soak.backend->wait(w, &out) ||
	    out.status) {
		soak_fail(w, "atomics: %d, %s", out.status, svm_why());
		return;
	}
	for (unsigned int i = first; i < first + n; i++)
		w->added[i] += value;
	__atomic_fetch_add(shared_word(cpu), value, __ATOMIC_RELAXED);
	w->added[cpu] += value;
}

static void disturb_shared(struct soak_worker *w, struct soak_piece *p)
{
	size_t len = SOAK_SHARED_WORDS * soak.page;

	(void)p;
	switch (soak_below(w, 3)) {
	case 0:
		soak_count("MADV_PAGEOUT of shared words",
			   !madvise(soak.shared, len, MADV_PAGEOUT));
		break;
	case 1:
		soak_count("mprotect of shared words",
			   !mprotect(soak.shared, len, PROT_READ | PROT_WRITE | PROT_EXEC));
		break;
	case 2:
		soak_count("mprotect of shared words",
			   !mprotect(soak.shared, len, PROT_READ | PROT_WRITE));
		break;
	}
}

bool soak_check_shared(const struct soak_worker *workers)
{
	for (unsigned int n = 0; n < SOAK_SHARED_WORDS; n++) {
		uint64_t sum = 0;

		for (unsigned int i = 0; i < soak.threads; i++)
			sum += workers[i].added[n];
		if (*shared_word(n) != sum)
			return false;
	}
	return true;
}

const struct soak_operation soak_device_ops[] = {
	{ "device fill", device_fill, 20, 0, 0 },
	{ "device protected", device_protected, 5, 0, SOAK_HUGETLB },
	{ "device read", device_read, 20, 0, 0 },
	{ "device add", device_add, 10, 0, 0 },
	{ "device atomics", device_atomic, 5, 0, 0 },
	{ "device copy", device_copy, 12, 0, 0 },
	{ "device sum", device_sum, 5, 0, 0 },
	{ "device cost", device_cost, 1, 0, 0 },
	{ "prefetch", device_prefetch, 8, 0, 0 },
	{ "prefer", device_prefer, 3, 0, 0 },
	{ "shared words", device_shared, 3, 0, 0 },
	{ "disturb shared", disturb_shared, 1, 0, 0 },
	{ }
};
