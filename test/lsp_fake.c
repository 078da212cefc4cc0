/* SPDX-License-Identifier: MIT */
/*
 * A language server that does what it is told, however wrong.
 *
 *     lsp_fake [--log FILE] [--until FILE] [--deaf] [METHOD=FAULT...]
 *
 * It speaks the protocol on its standard input and output, and has two
 * symbols in each document, the first named by its first line.  When METHOD
 * arrives it does FAULT instead of answering, see the tables below;
 * `start=FAULT` comes before anything else.  --log appends a line for each
 * message that it gets; the fault `wait` answers once the file of --until is
 * there; --deaf ignores SIGTERM.  It trusts its client, and
 * ends if that breaks the protocol.
 */
#include <jansson.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HANG 200		/* seconds: longer than any test */

static int journal = -1;
static const char *awaited = "/";
static json_t *documents;	/* text by URI */

static void answer(json_t *message);

/* --------------------------------------------------------- what is written */

/* How else it may be cut into pieces is up to the pipe. */
static void raw(const char *bytes, size_t length)
{
	ssize_t count;

	while (length) {
		count = write(STDOUT_FILENO, bytes, length);
		if (count < 0)
			_exit(5);
		bytes += count;
		length -= (size_t)count;
	}
}

static void frame(const char *body, size_t length)
{
	char header[64];
	int size = snprintf(header, sizeof(header),
			    "Content-Length: %zu\r\n\r\n", length);

	raw(header, (size_t)size);
	raw(body, length);
}

static void say(json_t *message)
{
	char *body = json_dumps(message, JSON_COMPACT);

	json_decref(message);
	if (!body)
		_exit(5);
	frame(body, strlen(body));
	free(body);
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (journal >= 0)
		vdprintf(journal, format, args);
	va_end(args);
}

/* The next message, or the end of the process. */
static json_t *hear(void)
{
	static char body[16 * 1024 * 1024];
	size_t length = 0;
	json_t *message;
	char line[256];

	do {
		if (!fgets(line, sizeof(line), stdin))
			_exit(0);
		sscanf(line, "Content-Length: %zu", &length);
	} while (strcmp(line, "\r\n"));
	if (length > sizeof(body) || fread(body, 1, length, stdin) != length)
		_exit(5);
	message = json_loadb(body, length, 0, NULL);
	if (!message)
		_exit(5);
	return message;
}

/* ------------------------------------------------- faults that are actions */

static void hang(json_t *message)
{
	(void)message;
	sleep(HANG);
	_exit(0);
}

/* A message that ends in the middle, with its server; or within its header. */
static void cut(json_t *message)
{
	static const char part[] = "Content-Length: 100\r\n\r\n{\"jsonrpc\"";

	(void)message;
	raw(part, sizeof(part) - 1);
	_exit(0);
}

static void cut_header(json_t *message)
{
	(void)message;
	raw("Content-Le", 10);
	_exit(0);
}

static void crash(json_t *message)
{
	(void)message;
	fputs("first words\nlast \xff\033words\n", stderr);
	raise(SIGKILL);
}

static void leave(json_t *message)
{
	(void)message;
	_exit(3);
}

static void shut(json_t *message)
{
	close(STDOUT_FILENO);
	hang(message);
}

/* It ends; a process that it has started keeps all descriptors. */
static void child(json_t *message)
{
	if (fork() == 0)
		hang(message);
	_exit(4);
}

/* Without end, and without an end of line. */
static void *pour(void *arg)
{
	(void)arg;
	while (fputs("noise noise noise noise noise ", stderr) >= 0)
		;
	return NULL;
}

static void flood(json_t *message)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, pour, NULL))
		_exit(5);
	answer(message);
}

/* An answer that comes when the test wants it; what comes first is noted. */
static void wait_first(json_t *message)
{
	int more = 0, noted = 0;

	while (access(awaited, F_OK)) {
		ioctl(STDIN_FILENO, FIONREAD, &more);
		if (more && !noted++)
			note("more has come\n");
		usleep(5000);
	}
	answer(message);
}

/* The client is asked this and that, in odd pieces. */
static void ask(json_t *message)
{
	static const char *const questions[] = {
		"\"workspace/configuration\",\"params\":{\"items\":[{},{}]}",
		"\"window/workDoneProgress/create\",\"params\":{\"token\":1}",
		"\"workspace/applyEdit\",\"params\":{\"edit\":{}}",
		"\"client/registerCapability\",\"params\":{}",
		"\"no/such/method\"",
	};
	char text[512], *reply;
	json_t *heard;
	size_t i;
	int at, length, body;

	for (i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		body = snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\","
				"\"id\":\"q%zu\",\"method\":%s}", i,
				questions[i]);
		length = snprintf(text, sizeof(text), "content-LENGTH:%d \r\n"
				  "Content-Type: x; charset=utf8\r\n"
				  "X-Any: thing\r\n\r\n{\"jsonrpc\":\"2.0\","
				  "\"id\":\"q%zu\",\"method\":%s}", body, i,
				  questions[i]);
		for (at = 0; at < length; at += 7)
			raw(text + at, at + 7 < length ? 7 :
			    (size_t)(length - at));
		heard = hear();
		reply = json_dumps(heard, JSON_COMPACT | JSON_SORT_KEYS);
		note("%s\n", reply);
		free(reply);
		json_decref(heard);
	}
	answer(message);
}

static const struct action {
	const char *name;
	void (*act)(json_t *message);
} actions[] = {
	{ "hang", hang }, { "cut", cut }, { "cut-header", cut_header },
	{ "crash", crash }, { "leave", leave }, { "shut", shut },
	{ "child", child }, { "flood", flood }, { "wait", wait_first },
	{ "ask", ask },
};

#define ACTIONS (sizeof(actions) / sizeof(*actions))

/* --------------------------------------------------- faults that are bytes */

#define X10 "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n" \
	    "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n"
#define O100 "----------------------------------------------------------" \
	     "------------------------------------------"
#define LENGTH "Content-Length: "
#define BODY(text) LENGTH text "\r\n\r\n"

static const struct bytes {
	const char *name, *bytes;
	size_t length;
} all_bytes[] = {
#define ROW(name, bytes) { name, bytes, sizeof(bytes) - 1 }
	ROW("huge", LENGTH "99999999999999999999999\r\n\r\n{"),
	ROW("over", LENGTH "10485761\r\n\r\n{"),
	ROW("claim", LENGTH "1073741824\r\n\r\n{"),
	ROW("negative", LENGTH "-1\r\n\r\n{}"),
	ROW("none", "Content-Type: text\r\n\r\n{}"),
	ROW("nothing", "\r\n{}"),
	ROW("word", LENGTH "many\r\n\r\n{}"),
	ROW("fraction", LENGTH "2.0\r\n\r\n{}"),
	ROW("plus", LENGTH "+2\r\n\r\n{}"),
	ROW("empty-number", LENGTH "\r\n\r\n{}"),
	ROW("twice", LENGTH "2\r\n" LENGTH "2\r\n\r\n{}"),
	ROW("lines", X10 X10 X10 X10 LENGTH "2\r\n\r\n{}"),
	ROW("long-line", "X: " O100 O100 O100 O100 O100 O100 O100 O100 O100
	    O100 O100),
	ROW("no-colon", "hello world\r\n\r\n"),
	ROW("no-name", ": 5\r\n\r\n"),
	ROW("no-return", LENGTH "2\n\n{}"),
	ROW("zero-byte", "Content\0-Length: 2\r\n\r\n{}"),
	ROW("space", "Content-Length : 2\r\n\r\n{}"),
	ROW("charset", "Content-Type: a; charset=utf-16\r\n" LENGTH
	    "2\r\n\r\n{}"),
	ROW("not-json", BODY("5") "hello"),
	ROW("empty", BODY("0")),
	ROW("not-utf8", BODY("9") "{\"a\":\"\xff\"}"),
	ROW("trailing", BODY("4") "{}{}"),
	ROW("number", BODY("1") "5"),
	ROW("array", BODY("2") "[]"),
	ROW("object", BODY("2") "{}"),
	ROW("stranger", BODY("36") "{\"jsonrpc\":\"2.0\",\"id\":77,"
	    "\"result\":1}"),
	ROW("odd-id", BODY("46") "{\"jsonrpc\":\"2.0\",\"id\":[],"
	    "\"method\":\"something\"}"),
	ROW("stall", BODY("100") "{\"jsonrpc\""),
};

#define ALL_BYTES (sizeof(all_bytes) / sizeof(*all_bytes))

/* Then it hangs: what comes of it is not its choice. */
static int write_bytes(const char *name)
{
	size_t i;

	for (i = 0; i < ALL_BYTES; i++)
		if (strcmp(all_bytes[i].name, name) == 0) {
			raw(all_bytes[i].bytes, all_bytes[i].length);
			hang(NULL);
		}
	return 0;
}

/* So deep that a parser which calls itself had better count. */
static void write_deep(void)
{
	static char deep[100000];

	memset(deep, '[', sizeof(deep));
	frame(deep, sizeof(deep));
	hang(NULL);
}

/* ------------------------------------------------- faults that are answers */

static json_t *symbol(const char *name)
{
	return json_pack("{s:s, s:s, s:i, s:{s:{s:i, s:i}}}", "name", name,
			 "detail", "int (void)", "kind", 12, "selectionRange",
			 "start", "line", 2, "character", 4);
}

static json_t *many_symbols(void)
{
	json_t *all = json_array();
	int i;

	for (i = 0; i < 5000; i++)
		json_array_append_new(all, symbol(O100));
	return all;
}

static void reply(json_t *message, const char *with, json_t *value)
{
	json_t *id = json_object_get(message, "id");

	say(json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, with,
		      value));
}

static int give_answer(json_t *message, const char *name)
{
	if (strcmp(name, "error") == 0)
		reply(message, "error", json_pack("{s:i, s:s}", "code", -32099,
						  "message", "not\ntoday"));
	else if (strcmp(name, "neither") == 0)
		reply(message, "extra", json_integer(1));
	else if (strcmp(name, "odd-result") == 0)
		reply(message, "result", json_integer(5));
	else if (strcmp(name, "large") == 0)
		reply(message, "result", many_symbols());
	else
		return 0;
	return 1;
}

static void do_fault(json_t *message, const char *name)
{
	size_t i;

	for (i = 0; i < ACTIONS; i++)
		if (strcmp(actions[i].name, name) == 0) {
			actions[i].act(message);
			return;
		}
	if (strcmp(name, "deep") == 0)
		write_deep();
	if (!give_answer(message, name) && !write_bytes(name))
		_exit(6);
}

/* -------------------------------------------------------------- the server */

static json_t *document_symbols(json_t *message)
{
	const char *uri = "", *text;
	char first[80];
	json_t *outer;

	json_unpack(message, "{s:{s:{s:s}}}", "params", "textDocument", "uri",
		    &uri);
	text = json_string_value(json_object_get(documents, uri));
	if (!text)
		return json_null();
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, "\n"), text);
	outer = symbol(first);
	json_object_set_new(outer, "children", json_pack("[o]",
							 symbol("inner")));
	return json_pack("[o]", outer);
}

static void answer(json_t *message)
{
	const char *method = json_string_value(json_object_get(message,
							       "method"));

	if (strcmp(method, "initialize") == 0)
		reply(message, "result", json_pack("{s:{}}", "capabilities"));
	else if (strcmp(method, "textDocument/documentSymbol") == 0)
		reply(message, "result", document_symbols(message));
	else if (strcmp(method, "shutdown") == 0)
		reply(message, "result", json_null());
	else
		reply(message, "error", json_pack("{s:i, s:s}", "code", -32601,
						  "message", "what?"));
}

/* Follow the client; what it may not do is noted. */
static void keep_document(const char *method, json_t *message)
{
	json_t *params = json_object_get(message, "params");
	json_t *document = json_object_get(params, "textDocument");
	const char *uri = json_string_value(json_object_get(document, "uri"));
	json_int_t version = json_integer_value(json_object_get(document,
								"version"));
	int known = uri && json_object_get(documents, uri);
	json_t *change = json_array_get(json_object_get(params,
							"contentChanges"), 0);

	if (strcmp(method, "textDocument/didOpen") == 0) {
		note("open %lld%s\n", (long long)version,
		     known ? ", but it is" : "");
		json_object_set(documents, uri, json_object_get(document,
								"text"));
	} else if (strcmp(method, "textDocument/didChange") == 0) {
		note("change %lld%s\n", (long long)version,
		     known ? "" : ", but it is not open");
		json_object_set(documents, uri, json_object_get(change,
								"text"));
	} else if (strcmp(method, "textDocument/didClose") == 0) {
		note("close%s\n", known ? "" : ", but it is not open");
		json_object_del(documents, uri);
	} else {
		note("%s\n", method);
	}
}

/* The fault that METHOD=FAULT names, or NULL. */
static const char *fault_of(char **words, const char *method)
{
	const char *last = strrchr(method, '/');
	size_t length;

	method = last ? last + 1 : method;
	length = strlen(method);
	for (; *words; words++)
		if (strncmp(*words, method, length) == 0 &&
		    (*words)[length] == '=')
			return *words + length + 1;
	return NULL;
}

static void serve_one(char **words)
{
	json_t *message = hear();
	const char *method = json_string_value(json_object_get(message,
							       "method"));
	const char *fault = method ? fault_of(words, method) : NULL;

	if (!method)
		_exit(5);
	keep_document(method, message);
	if (fault)
		do_fault(message, fault);
	else if (strcmp(method, "exit") == 0)
		_exit(0);
	else if (json_object_get(message, "id"))
		answer(message);
	json_decref(message);
}

int main(int argc, char **argv)
{
	int i;

	documents = json_object();
	setvbuf(stdin, NULL, _IONBF, 0);	/* all unread is in the pipe */
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--deaf") == 0)
			signal(SIGTERM, SIG_IGN);
		else if (strcmp(argv[i], "--until") == 0 && i + 1 < argc)
			awaited = argv[++i];
		else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
			journal = open(argv[++i], O_WRONLY | O_CREAT |
				       O_APPEND | O_CLOEXEC, 0600);
	}
	if (fault_of(argv + 1, "start"))
		do_fault(NULL, fault_of(argv + 1, "start"));
	for (;;)
		serve_one(argv + 1);
}
