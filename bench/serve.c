/* SPDX-License-Identifier: MIT */
/* serve: the command line and the commands; bench.h lists them. */
#include "bench.h"
#include "subject.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_MS 100

uint64_t bench_pairs = 100000000;

static const char *program;
static const struct bench_case *rows;
static size_t row_count;

static const char *subject_of(const struct bench_case *row)
{
	return row->subject ? row->subject : subject_name();
}

/* A subject that one thread alone may use has no case with more. */
static bool possible(const struct bench_case *row, unsigned threads)
{
	return threads + row->disturbers <= subject_threads;
}

static void print_json(const struct bench_answer *answer)
{
	printf("{\"bench\": \"%s\", \"case\": \"%s\", \"subject\": \"%s\", "
	       "\"threads\": %u, \"size\": %zu, \"ns_per_op\": %.4f, "
	       "\"ops_per_s\": %.0f", program, answer->row->name,
	       subject_of(answer->row), answer->threads, answer->size,
	       answer->ns_per_op, answer->ops_per_s);
	bench_print_fields();
	puts("}");
	fflush(stdout);
}

static void print_row(const struct bench_answer *answer)
{
	printf("%-28s %-10s %7u %9zu %14.2f %14.0f", answer->row->name,
	       subject_of(answer->row), answer->threads, answer->size,
	       answer->ns_per_op, answer->ops_per_s);
	bench_print_fields();
	putchar('\n');
	fflush(stdout);
}

static void list_case(const struct bench_case *row)
{
	static const char *const when[] = { "always", "long", "limits" };
	const char *comma = "";
	const unsigned *threads;
	const size_t *size;

	printf("{\"case\": \"%s\", \"subject\": \"%s\", \"when\": \"%s\", "
	       "\"once\": %s, \"threads\": [", row->name, subject_of(row),
	       when[row->when], row->once ? "true" : "false");
	for (threads = row->threads; *threads; threads++) {
		if (!possible(row, *threads))
			continue;
		printf("%s%u", comma, *threads);
		comma = ", ";
	}
	printf("], \"sizes\": [");
	for (size = row->sizes, comma = ""; *size; size++, comma = ", ")
		printf("%s%zu", comma, *size);
	printf("]}");
}

static void list(void)
{
	size_t i;

	printf("{\"bench\": \"%s\", \"subject\": \"%s\", ", program,
	       subject_name());
	subject_describe();
	printf("\"cases\": [");
	for (i = 0; i < row_count; i++) {
		printf("%s", i ? ", " : "");
		list_case(&rows[i]);
	}
	puts("]}");
}

static void run_command(const char *line)
{
	unsigned threads, milliseconds;
	char name[64], subject[64];
	struct bench_answer answer;
	size_t i, size;

	if (sscanf(line, "run %63s %63s %u %zu %u", name, subject, &threads,
		   &size, &milliseconds) != 5)
		bench_die("not a command: %s", line);
	for (i = 0; i < row_count; i++)
		if (strcmp(name, rows[i].name) == 0 &&
		    strcmp(subject, subject_of(&rows[i])) == 0)
			break;
	if (i == row_count)
		bench_die("no case %s of %s", name, subject);
	answer = bench_run(&rows[i], threads, size, milliseconds);
	print_json(&answer);
}

static void command(const char *line)
{
	if (strcmp(line, "list") == 0)
		list();
	else if (sscanf(line, "pairs %" SCNu64, &bench_pairs) == 1)
		printf("{\"pairs\": %" PRIu64 "}\n", bench_pairs);
	else
		run_command(line);
}

static int serve(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		command(line);
		fflush(stdout);
	}
	return 0;
}

/* How to show results, how long a repetition takes, which cases. */
struct wishes {
	bool json;
	unsigned milliseconds;
	char **names;
	int name_count;
};

static bool wished(const struct wishes *wishes, const struct bench_case *row)
{
	int i;

	for (i = 0; i < wishes->name_count; i++)
		if (strcmp(wishes->names[i], row->name) == 0)
			return true;
	return !wishes->name_count && row->when == BENCH_ALWAYS;
}

static void run_row(const struct wishes *wishes, const struct bench_case *row)
{
	struct bench_answer answer;
	const unsigned *threads;
	const size_t *size;

	for (size = row->sizes; *size; size++) {
		for (threads = row->threads; *threads; threads++) {
			if (!possible(row, *threads))
				continue;
			answer = bench_run(row, *threads, *size,
					   wishes->milliseconds);
			(wishes->json ? print_json : print_row)(&answer);
		}
	}
}

static void check_names(const struct wishes *wishes)
{
	size_t i;
	int n;

	for (n = 0; n < wishes->name_count; n++) {
		for (i = 0; i < row_count; i++)
			if (strcmp(wishes->names[n], rows[i].name) == 0)
				break;
		if (i < row_count)
			continue;
		for (i = 0; i < row_count; i++)
			fprintf(stderr, "%s\n", rows[i].name);
		bench_die("no case %s; those above are all",
			  wishes->names[n]);
	}
}

static int run_rows(const struct wishes *wishes)
{
	size_t i;

	check_names(wishes);
	if (!wishes->json)
		printf("%-28s %-10s %7s %9s %14s %14s\n", "case", "subject",
		       "threads", "size", "ns/op", "ops/s");
	for (i = 0; i < row_count; i++)
		if (wished(wishes, &rows[i]))
			run_row(wishes, &rows[i]);
	return 0;
}

static unsigned long number_after(const char *option, const char *text)
{
	char *end;
	unsigned long number = strtoul(text ? text : "", &end, 10);

	if (!number || *end)
		bench_die("%s wants a number above 0", option);
	return number;
}

static __attribute__((noreturn)) void usage(void)
{
	fprintf(stderr, "usage: %s [--json] [--ms N] [--pairs N] [CASE...]\n"
		"       %s --serve\n", program_invocation_short_name,
		program_invocation_short_name);
	exit(2);
}

int bench_main(const char *name, const struct bench_case *cases, size_t count,
	       int argc, char **argv)
{
	struct wishes wishes = { .milliseconds = USUAL_MS };
	int i;

	program = name;
	rows = cases;
	row_count = count;
	subject_enter();
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--serve") == 0 && argc == 2)
			return serve();
		if (strcmp(argv[i], "--json") == 0) {
			wishes.json = true;
		} else if (strcmp(argv[i], "--ms") == 0) {
			wishes.milliseconds =
				(unsigned)number_after("--ms", argv[i + 1]);
			i++;
		} else if (strcmp(argv[i], "--pairs") == 0) {
			bench_pairs = number_after("--pairs", argv[i + 1]);
			i++;
		} else {
			usage();
		}
	}
	wishes.names = argv + i;
	wishes.name_count = argc - i;
	return run_rows(&wishes);
}
